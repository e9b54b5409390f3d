"""The second sweep of `warp`: channels are shifted and brightness changed, as Keras and Pillow do it.

A shift adds a number to all values, which stay between the extremes of the sample. Brightness stretches the
sample to 0..255, cuts off fractions (Keras makes a picture of it), multiplies, and cuts off again (Pillow).
Each step is rounded as numpy and Pillow round it: levels of grey depend on it.
"""

from __future__ import annotations

from collections.abc import Callable

from symgraph.kernels.run.target import TARGET
from symgraph.kernels.tile.builder import call
from symgraph.kernels.tile.nest import Writer, load, store
from symgraph.kernels.tile.vector import ITEMSIZE, Vec, where


def _level(value: Vec) -> Vec:
    """A number as Pillow makes a level of grey of it; 0 for NaN."""
    value = where(value > 0.0, value, 0.0)
    return where(value < 255.0, value, 255.0).floor()


class Finish:
    """Writes the sweep over rows of one sample.

    Parameters
    ----------
    writer : Writer
    target : {'float32', 'float64'}
    opaque : bool
        Whether every fourth number is opacity, which has no brightness.
    out : Vec
        Where the sample lies: `planes` of `height` rows of `line` numbers.
    """

    def __init__(
        self, writer: Writer, target: str, opaque: bool, out: Vec, planes: Vec, height: Vec, line: Vec
    ) -> None:
        self.writer, self.target, self.opaque = writer, target, opaque
        self.out, self.planes, self.height, self.line = out, planes, height, line
        self.lanes = TARGET.lanes(ITEMSIZE[target])

    def _sweep(self, p: Vec, first: Vec, end: Vec, body: Callable[[Vec, Vec, int], None]) -> None:
        """Write ``body(place, number, lanes)`` for rows of a plane: vectors, then single numbers."""
        size, lanes = ITEMSIZE[self.target], self.lanes
        base = self.out + p * self.height * self.line * size
        start, stop = first * self.line, end * self.line
        whole = stop - (stop - start).remainder(lanes)
        with self.writer.loop(start, whole, lanes) as at:
            body(base + at * size, at, lanes)
        with self.writer.loop(whole, stop) as at:
            body(base + at * size, at, 0)

    def _splat(self, scalar: Vec, lanes: int) -> Vec:
        return self.writer.splat(scalar, lanes)

    def extremes(self, first: Vec, end: Vec) -> tuple[Vec, Vec]:
        """The least and the largest number of some rows; NaNs do not count."""
        builder, writer, lanes = self.writer.builder, self.writer, self.lanes
        zero = writer.integer(0).cast(self.target)
        found = [writer.variable(zero.constant(v)) for v in (float("inf"), float("-inf"))]
        wide = [writer.variable(self._splat(v.get(), lanes)) for v in found]

        def look(place: Vec, at: Vec, count: int) -> None:
            value = load(place, self.target, count)
            low, high = wide if count else found
            low.set(where(value < low.get(), value, low.get()))
            high.set(where(value > high.get(), value, high.get()))

        with writer.loop(0, self.planes) as p:
            self._sweep(p, first, end, look)
        for name, one, many in zip(("fmin", "fmax"), found, wide, strict=True):
            lanes_of = many.get()
            kind = f"llvm.vector.reduce.{name}.{lanes_of.mangled}"
            value = Vec(builder, call(builder, kind, zero.value.type, [lanes_of.value]), self.target)
            held = one.get()
            one.set(where(value < held if name == "fmin" else value > held, value, held))
        return found[0].get(), found[1].get()

    def write(
        self, first: Vec, end: Vec, low: Vec, high: Vec, shift: Vec, brightness: Vec, scale: Vec
    ) -> None:
        """Shift (unless NaN), change brightness (unless NaN), and multiply by `scale`."""
        shifts, brightens = ~shift.is_nan(), ~brightness.is_nan()
        moved = where(shifts, shift.cast(self.target), 0.0)
        between = where(brightens, scale.constant(1.0), scale)
        with self.writer.loop(0, self.planes) as p:
            with self.writer.when(shifts | ~brightens):
                self._shift(p, first, end, low, high, moved, between)
            with self.writer.when(brightens):
                least, largest = (_kept(v + moved, low, high) for v in (low, high))
                self._brighten(p, first, end, least, largest, brightness, scale)

    def _shift(self, p: Vec, first: Vec, end: Vec, low: Vec, high: Vec, amount: Vec, scale: Vec) -> None:
        def body(place: Vec, at: Vec, lanes: int) -> None:
            value = load(place, self.target, lanes) + self._splat(amount, lanes)
            value = _kept(value, self._splat(low, lanes), self._splat(high, lanes))
            store(value * self._splat(scale, lanes), place)

        self._sweep(p, first, end, body)

    def _brighten(
        self, p: Vec, first: Vec, end: Vec, low: Vec, high: Vec, brightness: Vec, scale: Vec
    ) -> None:
        below = -low.cast("float32")
        below = where(below > 0.0, below, 0.0)
        top = high.cast("float32") + below
        top = where(top.differs(0.0), top, 1.0)
        # The fourth of four planes is opacity too.
        other = self.planes.equals(4) & p.equals(3)
        factor = where(other, brightness.constant(1.0), brightness).cast("float32")

        def body(place: Vec, at: Vec, lanes: int) -> None:
            value = load(place, self.target, lanes).cast("float32") + self._splat(below, lanes)
            value = _level(value / self._splat(top, lanes) * 255.0)
            factors = self._splat(factor, lanes)
            if self.opaque:
                number = self.writer.lane_numbers(lanes) if lanes else at.cast("int32")
                factors = where((number & 3).equals(3), factors.constant(1.0), factors)
            value = _level(value * factors).cast(self.target)
            store(value * self._splat(scale, lanes), place)

        self._sweep(p, first, end, body)


def _kept(value: Vec, low: Vec, high: Vec) -> Vec:
    """Between the extremes; NaN stays."""
    value = where(value < low, low, value)
    return where(value > high, high, value)
