"""Vector code of depthwise convolutions: vectors run along the channels, which stay apart.

It is written for some pixels of a line at once, and knows how the taps of a kernel row lie, so a pixel that
several taps see is loaded once. Pixels are read where they lie: for one that is not there, zeros are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from symgraph.kernels.run.target import TARGET
from symgraph.kernels.tile.multiply import activate, apply_steps
from symgraph.kernels.tile.nest import Variable, Writer, load, store
from symgraph.kernels.tile.vector import ITEMSIZE, Vec, where
from symgraph.kernels.tile.words import Word


class Pixels(NamedTuple):
    """Output pixels side by side. Steps are bytes.

    Kernel row r reads number r of the list at `rows` lines below `a`; its tap k has its weights as far behind
    `b` as number ``r * len(xs) + k`` of the list at `taps` tells. Rows from `first_row` up to `end_row`
    count. The first tap of the first pixel sees column `x` of the `width` that A has.
    """

    a: Word
    line: Word
    pixel: Word
    x: Word
    width: Word
    zeros: Word
    rows: Word
    first_row: Word
    end_row: Word
    b: Word
    taps: Word
    channels: Word
    c: Word
    c_step: Word
    # Vectors of the epilogue's steps (see `split_epilogue`); a single bias may be 0.
    bias: Word
    # The number of the activation (`multiply.activation_number`).
    activation: Word


@dataclass(frozen=True, slots=True)
class WeighPixels:
    """Sum what the taps see of each of `pixels` pixels, times their weights: fills a slot of `Pixels`.

    The windows go `step` pixels of A on from pixel to pixel; `xs` tells where the taps of a kernel row lie,
    from the first one on.
    """

    dtype: str
    pixels: int
    step: int
    xs: tuple[int, ...]
    steps: str

    def __call__(self, writer: Writer, at: Pixels) -> None:
        """Write the code."""
        lanes = TARGET.lanes(ITEMSIZE[self.dtype])
        whole = at.channels - at.channels.remainder(lanes)
        seen = pixels_seen(self.pixels, self.step, self.xs)

        def vectors(checked: bool) -> None:
            with writer.loop(0, whole, lanes) as c:
                self._channels(writer, at, c, None, checked)

        inside = (at.x >= 0) & (at.x + max(seen, default=0) < at.width)
        writer.either(inside, lambda: vectors(checked=False), lambda: vectors(checked=True))
        with writer.when(whole < at.channels):
            self._channels(writer, at, whole, writer.tail_mask(at.channels - whole, lanes), checked=True)

    def _channels(self, writer: Writer, at: Pixels, c: Vec, mask: Vec | None, checked: bool) -> None:
        """All pixels of one vector of channels; `checked` tells that some of those seen may not be there."""
        lanes, size = TARGET.lanes(ITEMSIZE[self.dtype]), ITEMSIZE[self.dtype]
        sums = [writer.variable(writer.zero(self.dtype, lanes)) for _ in range(self.pixels)]
        if not self.steps:
            with writer.when(at.bias.differs(0)):
                bias = load(at.bias + c * size, self.dtype, lanes, mask)
                for total in sums:
                    total.set(bias)
        with writer.loop(at.first_row, at.end_row) as row:
            self._add_row(at, sums, row, c * size, mask, checked)
        vectors = [
            load(at.bias + (at.channels * number + c) * size, self.dtype, lanes, mask)
            for number in range(len(self.steps))
        ]
        for total in sums:
            total.set(apply_steps(total.get(), self.steps, vectors))
        with writer.when(at.activation.differs(0)):
            activate(writer, at.activation, sums)
        for p, total in enumerate(sums):
            store(total.get(), at.c + at.c_step * p + c * size, mask)

    def _add_row(
        self, at: Pixels, sums: Sequence[Variable], row: Vec, here: Vec, mask: Vec | None, checked: bool
    ) -> None:
        """What the taps of one kernel row see."""
        lanes = TARGET.lanes(ITEMSIZE[self.dtype])
        taps = [at.taps + (row * len(self.xs) + k) * 8 for k in range(len(self.xs))]
        weights = [load(at.b + load(tap, "int64") + here, self.dtype, lanes, mask) for tap in taps]
        line = at.a + load(at.rows + row * 8, "int64") * at.line + here
        for offset, users in pixels_seen(self.pixels, self.step, self.xs).items():
            place = line + at.pixel * offset
            if checked:
                place = where(within(at.x + offset, at.width), place, at.zeros + here)
            value = load(place, self.dtype, lanes, mask)
            for p, k in users:
                sums[p].set(value.multiply_add(weights[k], sums[p].get()))


class Windows(NamedTuple):
    """Lines of output pixels, and the windows that they see. Steps are bytes.

    Of A's `height` lines, kernel row r of output line y sees ``y * y_step + y_first`` plus number r of the
    list at `rows`; of its `width` columns, the first tap of the first pixel sees `left`. Pixels from `middle`
    up to `middle_end` see no column that is not there.
    """

    a: Word
    line: Word
    pixel: Word
    height: Word
    width: Word
    zeros: Word
    rows: Word
    groups: Word
    y_first: Word
    y_step: Word
    left: Word
    lines: Word
    length: Word
    middle: Word
    middle_end: Word
    b: Word
    b_line: Word
    channels: Word
    c: Word
    # Whether sums begin with what C holds.
    load: Word


@dataclass(frozen=True, slots=True)
class SumWindows:
    """Sum what each tap sees, times the output's gradient: fills a slot of `Windows`.

    The sums of `together` kernel rows are made at once, `pixels` in the middle of a line side by side; the
    rest is as in `WeighPixels`.
    """

    dtype: str
    pixels: int
    step: int
    xs: tuple[int, ...]
    together: int

    def __call__(self, writer: Writer, at: Windows) -> None:
        """Write the code."""
        lanes = TARGET.lanes(ITEMSIZE[self.dtype])
        whole = at.channels - at.channels.remainder(lanes)
        with writer.loop(0, whole, lanes) as c:
            self._channels(writer, at, c, None)
        with writer.when(whole < at.channels):
            self._channels(writer, at, whole, writer.tail_mask(at.channels - whole, lanes))

    def _channels(self, writer: Writer, at: Windows, c: Vec, mask: Vec | None) -> None:
        """The sums of one vector of channels."""
        lanes, size = TARGET.lanes(ITEMSIZE[self.dtype]), ITEMSIZE[self.dtype]
        sums = [
            [writer.variable(writer.zero(self.dtype, lanes)) for _ in self.xs] for _ in range(self.together)
        ]
        cells = [cell for row in sums for cell in row]
        with writer.loop(0, at.groups) as group:
            first = at.c + (group * len(cells) * at.channels + c) * size
            places = [first + at.channels * (number * size) for number in range(len(cells))]
            for cell in cells:
                cell.set(writer.zero(self.dtype, lanes))
            with writer.when(at.load.differs(0)):
                for place, cell in zip(places, cells, strict=True):
                    cell.set(load(place, self.dtype, lanes, mask))
            with writer.loop(0, at.lines) as y:
                self._add_line(writer, at, sums, group, y, c * size, mask)
            for place, cell in zip(places, cells, strict=True):
                store(cell.get(), place, mask)

    def _add_line(
        self,
        writer: Writer,
        at: Windows,
        sums: Sequence[Sequence[Variable]],
        group: Vec,
        y: Vec,
        here: Vec,
        mask: Vec | None,
    ) -> None:
        """What an output line's pixels see: those in the middle side by side, then the others."""
        rows = [at.rows + (group * self.together + j) * 8 for j in range(self.together)]
        seen = [at.y_first + y * at.y_step + load(row, "int64") for row in rows]
        there = [within(line, at.height) for line in seen]
        # A line that is not there is one pixel of zeros over and over.
        lines = [
            where(inside, at.a + line * at.line + at.left * at.pixel, at.zeros) + here
            for line, inside in zip(seen, there, strict=True)
        ]
        steps = [where(inside, at.pixel, 0) for inside in there]
        grad, step = at.b + y * at.b_line + here, at.channels * ITEMSIZE[self.dtype]

        def add(p: Vec, pixels: int, checked: bool) -> None:
            lanes = TARGET.lanes(ITEMSIZE[self.dtype])
            flows = [load(grad + step * (p + i), self.dtype, lanes, mask) for i in range(pixels)]
            for row, line, pixel in zip(sums, lines, steps, strict=True):
                start = line + p * self.step * pixel
                for offset, users in pixels_seen(pixels, self.step, self.xs).items():
                    place = start + pixel * offset
                    if checked:
                        place = where(
                            within(p * self.step + at.left + offset, at.width), place, at.zeros + here
                        )
                    value = load(place, self.dtype, lanes, mask)
                    for i, k in users:
                        row[k].set(value.multiply_add(flows[i], row[k].get()))

        count = at.middle_end - at.middle
        whole = at.middle + count - count.remainder(self.pixels)
        with writer.loop(at.middle, whole, self.pixels) as p:
            add(p, self.pixels, checked=False)
        with writer.loop(whole, at.middle_end) as p:
            add(p, 1, checked=False)
        with writer.loop(0, at.length - count) as i:
            add(i + where(i >= at.middle, count, 0), 1, checked=True)


def within(place: Vec, size: Vec) -> Vec:
    """Whether a place is one of `size` from 0 on."""
    return place.unsigned() < size.unsigned()


def pixels_seen(count: int, step: int, xs: Sequence[int]) -> dict[int, list[tuple[int, int]]]:
    """The pixels that the taps `xs` of a kernel row see from `count` places, with the (place, tap) pairs."""
    found: dict[int, list[tuple[int, int]]] = {}
    for p in range(count):
        for k, x in enumerate(xs):
            found.setdefault(p * step + x, []).append((p, k))
    return dict(sorted(found.items()))
