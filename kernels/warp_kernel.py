"""The kernels of `warp`: a band of rows of a sample, and what needs the extremes of the whole sample.

Coordinates are computed in float64 and in scipy's order, without fused operations, so that even pixels on the
very edge fall on the same side of it. The run of a row's pixels whose four neighbours all lie inside is found
before the row is walked: only the others look at the fill mode. Channel shifts and brightness need the
extremes of the sample, so they are a second sweep (`warp_finish`): in the same tile, while the sample is in
the cache, or in a row of their own where big pictures are cut into bands.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from symgraph.kernels.run.jit import Kernel
from symgraph.kernels.tile.builder import INDEX, undefined, vector_type
from symgraph.kernels.tile.nest import Writer, load, store, vector_kernel
from symgraph.kernels.tile.vector import ITEMSIZE, Vec, repeat_while, where
from symgraph.kernels.warp_finish import Finish

FILL_MODES = ("constant", "nearest", "reflect", "wrap")
# The float64 numbers that a sample has: its matrix, 1 to mirror columns and rows, the shift of its channels
# and its brightness (NaN: none).
MIRROR, FLIP, SHIFT, BRIGHTNESS, SETTINGS = 6, 7, 8, 9, 10
# Operand words.
(_SOURCE, _OUT, _SETTINGS, _EXTREMES, _PLANES, _HEIGHT, _WIDTH, _CHANNELS, _BANDS, _CVAL, _SCALE,
 _FINISHES) = range(12)  # fmt: skip


@dataclass
class _Setting:
    """What is known of a kernel, and of a tile, while the kernel is written."""

    writer: Writer
    source: str
    target: str
    channels: int
    mode: str

    def __post_init__(self) -> None:
        word = self.writer.word
        self.planes, self.height, self.width = word(_PLANES), word(_HEIGHT), word(_WIDTH)
        # A constant where the kernel is made for it.
        self.numbers = self.writer.integer(self.channels) if self.channels else word(_CHANNELS)
        self.line = self.width * self.numbers
        bands = word(_BANDS)
        self.sample, self.band, self.bands = (
            self.writer.tile / bands,
            self.writer.tile.remainder(bands),
            bands,
        )
        self.first = self.height * self.band / bands
        self.end = self.height * (self.band + 1) / bands
        self.sample_numbers = self.planes * self.height * self.line
        self.out = word(_OUT) + self.sample * self.sample_numbers * ITEMSIZE[self.target]
        self.scale = self.writer.float_word(_SCALE).cast(self.target)

    def number(self, index: int) -> Vec:
        """Number `index` of the sample's settings."""
        return load(self.writer.word(_SETTINGS) + self.sample * (8 * SETTINGS) + 8 * index, "float64")


def _mapped(x: Vec, size: Vec, mode: str) -> Vec:
    """A coordinate, brought to where the picture is by scipy's formulas for a mode; `size` is a float."""
    last = size - 1.0
    if mode == "reflect":
        twice = size * 2.0
        before = x + twice * (-x / twice).floor()
        before = where(before < -size, before + twice, -before - 1.0)
        behind = x - twice * (x / twice).floor()
        behind = where(behind >= size, twice - behind - 1.0, behind)
    elif mode == "wrap":
        before = x + last * ((-x / last).floor() + 1.0)
        behind = x - last * (x / last).floor()
    else:
        before, behind = x.constant(0.0), last
    return where(size > 1.0, where(x < 0.0, before, where(x > last, behind, x)), 0.0)


class _Plane:
    """Writes the walk over the rows of one plane of a sample."""

    def __init__(self, s: _Setting, picture: Vec, out: Vec) -> None:
        self.s, self.writer, self.builder = s, s.writer, s.writer.builder
        self.picture, self.out = picture, out
        self.tall, self.wide = s.height.cast("float64"), s.width.cast("float64")
        # Until the extremes are known, nothing is rescaled.
        finishes = s.writer.word(_FINISHES).differs(0)
        self.scale = where(finishes, s.scale.constant(1.0), s.scale)
        self.matrix = [s.number(k) for k in range(6)]
        self.mirrored, self.flipped = s.number(MIRROR).differs(0.0), s.number(FLIP).differs(0.0)
        same = self.matrix[0].equals(1.0)
        for value, wanted in zip(self.matrix[1:], (0.0, 0.0, 0.0, 1.0, 0.0), strict=True):
            same = same & value.equals(wanted)
        self.same = same

    def write(self) -> None:
        """All rows of the band."""
        s, size = self.s, ITEMSIZE[self.s.target]
        step = where(self.mirrored, -s.numbers, s.numbers) * size
        with self.writer.loop(s.first, s.end) as r:
            row = where(self.flipped, s.height - 1 - r, r)
            start = self.out + (row * s.width + where(self.mirrored, s.width - 1, 0)) * s.numbers * size
            with self.builder.if_else(self.same.value) as (then, otherwise):
                with then:
                    self._copy(r, start, step)
                with otherwise:
                    self._warp(r, start, step)

    def _copy(self, r: Vec, start: Vec, step: Vec) -> None:
        """A row as it is."""
        s = self.s
        picture = self.picture + r * s.line * ITEMSIZE[s.source]
        with self.writer.loop(0, s.width) as pixel, self.writer.loop(0, s.numbers) as c:
            value = load(picture + (pixel * s.numbers + c) * ITEMSIZE[s.source], s.source).cast(s.target)
            store(value * self.scale, start + pixel * step + c * ITEMSIZE[s.target])

    def _warp(self, r: Vec, start: Vec, step: Vec) -> None:
        """A row by the matrix: first the pixels at the ends that look outside, then those between."""
        line, m = r.cast("float64"), self.matrix
        y, x = m[2] + line * m[0], m[5] + line * m[3]
        first, end = self._inner(y, x)
        begin, slope = self._pair(y, x), self._pair(m[1], m[4])

        def place(c: Vec) -> Vec:
            return begin + self.writer.splat(c.cast("float64"), 2) * slope

        with self.writer.loop(0, first + self.s.width - end) as turn:
            c = where(turn < first, turn, turn - first + end)
            self._outer_pixel(place(c), start + c * step)
        with self.writer.loop(first, end) as c:
            self._inner_pixel(place(c), start + c * step)

    def _inner(self, y: Vec, x: Vec) -> tuple[Vec, Vec]:
        """The columns of a row, first and end, whose four neighbours all lie inside.

        An estimate that is too large by a little is made smaller, by the coordinates as they will be
        computed: these never turn back along a row, so where both ends lie inside, so does what is between.
        """
        tall, wide = self.tall - 1.0, self.wide - 1.0
        my, mx = self.matrix[1], self.matrix[4]
        lows, highs = zip(self._crossings(y, my, tall), self._crossings(x, mx, wide), strict=True)
        first, end = self.writer.integer(0), self.s.width
        for low, high in zip(lows, highs, strict=True):
            low, high = low.cast("int64"), high.cast("int64")
            first, end = where(low > first, low, first), where(high < end, high, end)
        end = where(end > first, end, first)

        def outside(c: Vec) -> Vec:
            column = c.cast("float64")
            ys, xs = y + column * my, x + column * mx
            return ~((ys >= 0.0) & (ys < tall) & (xs >= 0.0) & (xs < wide))

        (first,) = repeat_while(lambda c: (c < end) & outside(c), lambda c: [c + 1], [first])
        (end,) = repeat_while(lambda c: (c > first) & outside(c - 1), lambda c: [c - 1], [end])
        # Outside both ends of the row there are no pixels.
        return where(first < self.s.width, first, self.s.width), where(end < self.s.width, end, self.s.width)

    def _crossings(self, base: Vec, slope: Vec, limit: Vec) -> tuple[Vec, Vec]:
        """About the columns between which ``base + slope * c`` lies in [0, limit); NaN is cast to 0."""
        a, b = -base / slope, (limit - base) / slope
        low, high = where(a < b, a, b) - 1.0, where(a < b, b, a) + 2.0
        inside = (base >= 0.0) & (base < limit)
        all_of_it = self.wide + 1.0
        flat = slope.equals(0.0)
        return where(flat, 0.0, low), where(flat, where(inside, all_of_it, 0.0), high)

    def _outer_pixel(self, place: Vec, out: Vec) -> None:
        """A pixel at `place`, a pair of coordinates, some of whose neighbours may lie outside."""
        s, size = self.s, self._pair(self.tall, self.wide)
        last = size - 1.0

        def within() -> None:
            at = _mapped(place, size, s.mode)
            whole = at.floor()
            # Whatever became of huge numbers: at most one pixel outside.
            held = where(whole >= -1.0, whole, -1.0)
            top, left = self._split(where(held < last, held, last))
            row, column = where(top > 0, top, 0), where(left > 0, left, 0)
            right = (where(left + 1 < s.width, left + 1, column) - column) * s.numbers
            below = (where(top + 1 < s.height, top + 1, row) - row) * s.line
            corner = (row * s.width + column) * s.numbers
            self._pixel(corner, right, below, (at - whole).cast(s.target), out)

        if s.mode != "constant":
            within()
            return
        inside = (place >= 0.0) & (place <= last)
        lanes = [self._lane(inside, k).value for k in range(2)]
        with self.builder.if_else(self.builder.and_(*lanes)) as (then, otherwise):
            with then:
                within()
            with otherwise, self.writer.loop(0, s.numbers) as c:
                value = self.writer.float_word(_CVAL).cast(s.target) * self.scale
                store(value, out + c * ITEMSIZE[s.target])

    def _inner_pixel(self, place: Vec, out: Vec) -> None:
        """A pixel all of whose neighbours lie inside."""
        s = self.s
        # Coordinates that lie inside are not negative: to cut is to floor.
        whole = Vec(self.builder, self.builder.fptosi(place.value, vector_type("int32", 2)), "int32")
        row, column = self._split(whole)
        weights = (place - whole.cast("float64")).cast(s.target)
        self._pixel((row * s.width + column) * s.numbers, None, s.line, weights, out)

    def _pixel(self, corner: Vec, right: Vec | None, below: Vec, weights: Vec, out: Vec) -> None:
        """Interpolate between the pixel at `corner`, the one `right` (None: next), and those `below`."""
        s = self.s
        if s.channels in (3, 4):
            wy, wx = (self._part(weights, [k] * 4) for k in range(2))
            rows = []
            for at in (corner, corner + below):
                rows += self._neighbours(at) if right is None else [self._four(at), self._four(at + right)]
            value = self._mixed(rows, wy, wx, self.writer.splat(self.scale, 4))
            store(self._part(value, [0, 1, 2]) if s.channels == 3 else value, out)
            return
        wy, wx = (self._lane(weights, k) for k in range(2))
        self._scalars(corner, s.numbers if right is None else right, below, wy, wx, out)

    def _mixed(self, corners: list[Vec], wy: Vec, wx: Vec, scale: Vec) -> Vec:
        """Linear interpolation between the values of left and right above, and below."""
        a, b, d, e = (v.cast(self.s.target) for v in corners)
        top, bottom = (b - a).multiply_add(wx, a), (e - d).multiply_add(wx, d)
        return (bottom - top).multiply_add(wy, top) * scale

    def _scalars(self, corner: Vec, right: Vec, below: Vec, wy: Vec, wx: Vec, place: Vec) -> None:
        """A pixel, one channel after the other; `corner`, `right` and `below` count numbers."""
        s, size = self.s, ITEMSIZE[self.s.source]
        with self.writer.loop(0, s.numbers) as c:
            at = self.picture + (corner + c) * size
            places = (at, at + right * size, at + below * size, at + (below + right) * size)
            value = self._mixed([load(p, s.source) for p in places], wy, wx, self.scale)
            store(value, place + c * ITEMSIZE[s.target])

    def _neighbours(self, corner: Vec) -> list[Vec]:
        """A pixel and the one to its right, each in a vector of four.

        Of three channels, the vector of the left one ends with a number of the right one, whose own begins
        with one of the left: so nothing outside the picture is read.
        """
        s, size = self.s, ITEMSIZE[self.s.source]
        at = self.picture + corner * size
        left, right = load(at, s.source, 4), load(at + (2 if s.channels == 3 else 4) * size, s.source, 4)
        return [left, self._part(right, [1, 2, 3, 3]) if s.channels == 3 else right]

    def _four(self, corner: Vec) -> Vec:
        """Any pixel in a vector of four; the last of a picture is read together with the number before it."""
        s, size = self.s, ITEMSIZE[self.s.source]
        if s.channels == 4:
            return load(self.picture + corner * size, s.source, 4)
        last = s.height * s.line - 4
        value = load(self.picture + where(corner > last, last, corner) * size, s.source, 4)
        return where(corner > last, self._part(value, [1, 2, 3, 3]), value)

    def _pair(self, y: Vec, x: Vec) -> Vec:
        """Two float64 in one vector."""
        empty = undefined(vector_type(y.dtype, 2))
        one = self.builder.insert_element(empty, y.value, INDEX(0))
        return Vec(self.builder, self.builder.insert_element(one, x.value, INDEX(1)), y.dtype)

    def _split(self, pair: Vec) -> list[Vec]:
        """Two numbers of a vector as scalar int64; floats are whole and small."""
        if pair.is_float:
            pair = Vec(self.builder, self.builder.fptosi(pair.value, vector_type("int32", 2)), "int32")
        return [self._lane(pair, k).cast("int64") for k in range(2)]

    def _lane(self, v: Vec, k: int) -> Vec:
        return v.lane(k)

    def _part(self, v: Vec, lanes: list[int]) -> Vec:
        return v.shuffled(v, lanes)


@cache
def warp_kernel(source: str, target: str, channels: int, mode: str) -> Kernel:
    """Warp a band of rows of a sample; finish the sample where it is one band, else note its extremes.

    `channels` is 1, 3 (of pictures of more than one pixel), 4, or 0 for any number.
    """

    def write(writer: Writer) -> None:
        s = _Setting(writer, source, target, channels, mode)
        picture = writer.word(_SOURCE) + s.sample * s.sample_numbers * ITEMSIZE[source]
        with writer.loop(0, s.planes) as p:
            before = p * s.height * s.line
            _Plane(s, picture + before * ITEMSIZE[source], s.out + before * ITEMSIZE[target]).write()
        with writer.when(writer.word(_FINISHES).differs(0)):
            flipped = s.number(FLIP).differs(0.0)
            # Mirrored rows lie at the other end of the picture.
            first, end = where(flipped, s.height - s.end, s.first), where(flipped, s.height - s.first, s.end)
            finish = Finish(writer, target, channels == 4, s.out, s.planes, s.height, s.line)
            low, high = finish.extremes(first, end)
            with writer.builder.if_else(s.bands.equals(1).value) as (then, otherwise):
                with then:
                    finish.write(first, end, low, high, s.number(SHIFT), s.number(BRIGHTNESS), s.scale)
                with otherwise:
                    place = writer.word(_EXTREMES) + writer.tile * 16
                    store(low.cast("float64"), place)
                    store(high.cast("float64"), place + 8)

    key = (source, target, channels, mode)
    return vector_kernel(f"warp[{source}, {target}, {channels or 'any'}, {mode}]", write, key)


@cache
def finish_kernel(target: str, opaque: bool) -> Kernel:
    """Finish a band of rows of a sample, when the extremes of all its bands are known."""

    def write(writer: Writer) -> None:
        s = _Setting(writer, "uint8", target, 4 if opaque else 0, "nearest")
        low, high = (writer.variable(s.number(0).constant(float(v))) for v in ("inf", "-inf"))
        with writer.loop(0, s.bands) as band:
            place = writer.word(_EXTREMES) + (s.sample * s.bands + band) * 16
            least, largest = load(place, "float64"), load(place + 8, "float64")
            low.set(where(least < low.get(), least, low.get()))
            high.set(where(largest > high.get(), largest, high.get()))
        Finish(writer, target, opaque, s.out, s.planes, s.height, s.line).write(
            s.first, s.end, low.get().cast(target), high.get().cast(target), s.number(SHIFT),
            s.number(BRIGHTNESS), s.scale,
        )  # fmt: skip

    return vector_kernel(f"warp_finish[{target}]", write, (target, opaque))
