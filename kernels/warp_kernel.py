"""The kernels of `warp`: a band of rows of a sample, and what needs the extremes of the whole sample.

Coordinates are computed in float64 and in scipy's order, so that even pixels on the very edge fall on the
same side of it. The runs of pixels whose four neighbours all lie inside are found before a row is walked: only the
others look at the fill mode. Shifts and brightness need the least and the largest value of the whole sample,
so they are a second sweep over it, in the same tile while the sample is in the cache, or in a row of their
own where big pictures are cut into bands.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from llvmlite import ir

from symgraph.kernels.jit import Kernel, inlined, intrinsic, numba_kernel, types
from symgraph.kernels.memory import as_float

FILL_MODES = ("constant", "nearest", "reflect", "wrap")
_CONSTANT, _NEAREST, _REFLECT, _WRAP = range(4)
# The float64 numbers that a sample has: its matrix, 1 to mirror columns and rows, the shift of its channels
# and its brightness (NaN: none).
_MATRIX, MIRROR, FLIP, SHIFT, BRIGHTNESS, SETTINGS = 0, 6, 7, 8, 9, 10
# Operand words.
(_SOURCE, _OUT, _PARAMETERS, _EXTREMES, _SAMPLES, _PLANES, _HEIGHT, _WIDTH, _CHANNELS, _BANDS, _MODE, _CVAL,
 _SCALE, _FINISHES) = range(14)  # fmt: skip


def _strict(operation: str):
    """An operation on two floats of one type that no fast-math rule may change.

    Numba gives its flags to operations that have none; this one says nothing but that 0 has no sign.
    """

    @intrinsic
    def apply(typing, a, b):
        def emit(context, builder, signature, args):
            return getattr(builder, operation)(*args, flags=["nsz"])

        return a(a, b), emit

    return apply


_add, _subtract, _multiply, _divide = (_strict(name) for name in ("fadd", "fsub", "fmul", "fdiv"))


@intrinsic
def _floor(typing, x):
    def emit(context, builder, signature, args):
        kind = args[0].type
        name = f"llvm.floor.f{32 if isinstance(kind, ir.FloatType) else 64}"
        known = builder.module.globals.get(name)
        return builder.call(known or ir.Function(builder.module, ir.FunctionType(kind, [kind]), name), args)

    return x(x), emit


def _element(builder, kind, args):
    """The place of element number `args[1]` of the array at address `args[0]`."""
    return builder.gep(builder.inttoptr(args[0], kind.as_pointer()), [args[1]])


@cache
def _access(dtype: str):
    """Intrinsics ``load(array, index)`` and ``store(array, index, value)``; a uint8 is loaded as an int32."""
    kinds = {"uint8": (types.int32, ir.IntType(8)), "float32": (types.float32, ir.FloatType()),
             "float64": (types.float64, ir.DoubleType())}  # fmt: skip
    kind, stored = kinds[dtype]

    @intrinsic
    def load(typing, array, index):
        def emit(context, builder, signature, args):
            value = builder.load(_element(builder, stored, args))
            return builder.zext(value, ir.IntType(32)) if dtype == "uint8" else value

        return kind(types.int64, types.int64), emit

    @intrinsic
    def store(typing, array, index, value):
        def emit(context, builder, signature, args):
            builder.store(args[2], _element(builder, stored, args))
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, kind), emit

    return load, store


_load_setting, _store_setting = _access("float64")


@inlined
def _mapped(x, size, mode):
    """A coordinate outside the picture, brought into [-1, size]; scipy's formulas."""
    last = size - 1.0
    if mode == _REFLECT and size > 1.0:
        twice = 2.0 * size
        if x < 0.0:
            x = _add(x, _multiply(twice, _floor(_divide(-x, twice))))
            x = _add(x, twice) if x < -size else _subtract(-x, 1.0)
        elif x > last:
            x = _subtract(x, _multiply(twice, _floor(_divide(x, twice))))
            x = _subtract(_subtract(twice, x), 1.0) if x >= size else x
    elif mode == _WRAP and size > 1.0:
        if x < 0.0:
            x = _add(x, _multiply(last, _floor(_divide(-x, last)) + 1.0))
        elif x > last:
            x = _subtract(x, _multiply(last, _floor(_divide(x, last))))
    else:
        x = max(x, 0.0)
        x = min(x, last)
    return x


@inlined
def _inside(x, size):
    """`x`, or the nearest number that is the index of a pixel; 0 for NaN."""
    x = x if x > 0.0 else 0.0
    return np.int64(x if x < size - 1.0 else size - 1.0)


@inlined
def _level(value):
    """As Pillow turns a number into a level of grey."""
    value = value if value > 0.0 else np.float32(0.0)
    return _floor(value if value < 255.0 else np.float32(255.0))


@inlined
def _narrowed(base, slope, limit, first, end):
    """The part of [first, end) outside which ``base + slope * c`` is not in [0, limit), or a bit more."""
    if slope == 0.0:
        return first, (end if base >= 0.0 and base < limit else first)
    a, b = -base / slope, (limit - base) / slope
    low, high = (a, b) if a < b else (b, a)
    low, high = low - 1.0, high + 2.0
    if low > first:
        first = np.int64(low) if low < end else end
    if high < end:
        end = np.int64(high) if high > first else first
    return first, end


def _make_pixels(source: str, target: str, channels: int):
    """Functions that write pixels of one source dtype, one target dtype, and `channels` numbers (0: any)."""
    load, _ = _access(source)
    _, store = _access(target)
    real = getattr(np, target)

    @inlined
    def mix(picture, corner, right, below, wy, wx, scale, out, place, count):
        """Interpolate between the pixel at `corner` and those `right` and `below` of it."""
        numbers = channels if channels else count
        wy, wx = real(wy), real(wx)
        for c in range(numbers):
            a, b = real(load(picture, corner + c)), real(load(picture, corner + right + c))
            d, e = real(load(picture, corner + below + c)), real(load(picture, corner + below + right + c))
            top, bottom = a + wx * (b - a), d + wx * (e - d)
            store(out, place + c, _multiply(top + wy * (bottom - top), scale))

    @inlined
    def fill(value, out, place, count):
        numbers = channels if channels else count
        for c in range(numbers):
            store(out, place + c, value)

    @inlined
    def outer(picture, y, x, height, width, mode, cval, scale, out, place, count):
        """A pixel some of whose neighbours may lie outside."""
        tall, wide = float(height), float(width)
        if mode == _CONSTANT and not (y >= 0.0 and y <= tall - 1.0 and x >= 0.0 and x <= wide - 1.0):
            fill(_multiply(cval, scale), out, place, count)
            return
        y, x = _mapped(y, tall, mode), _mapped(x, wide, mode)
        top, left = _floor(y), _floor(x)
        row, column = _inside(top, tall), _inside(left, wide)
        numbers = channels if channels else count
        right = (_inside(left + 1.0, wide) - column) * numbers
        below = (_inside(top + 1.0, tall) - row) * width * numbers
        corner = (row * width + column) * numbers
        mix(picture, corner, right, below, y - top, x - left, scale, out, place, count)

    @inlined
    def copy(picture, at, scale, out, place, step, width, count):
        """A row of pixels as they are; the next one goes `step` numbers further."""
        numbers = channels if channels else count
        for pixel in range(width):
            for c in range(numbers):
                value = real(load(picture, at + pixel * numbers + c))
                store(out, place + pixel * step + c, _multiply(value, scale))

    return mix, outer, copy


def _make_plane(source: str, target: str, channels: int):
    """The function that warps some rows of one plane of a sample."""
    mix, outer, copy = _make_pixels(source, target, channels)
    real = getattr(np, target)

    @inlined
    def interior(y, x, my, mx, height, width):
        """The columns of a row, from `first` to before `end`, whose four neighbours all lie inside."""
        tall, wide = float(height) - 1.0, float(width) - 1.0
        first, end = _narrowed(y, my, tall, 0, width)
        first, end = _narrowed(x, mx, wide, first, end)
        # Coordinates never turn back along a row: where both ends lie inside, so does what is between them.
        while first < end:
            ys, xs = _add(y, _multiply(float(first), my)), _add(x, _multiply(float(first), mx))
            if ys >= 0.0 and ys < tall and xs >= 0.0 and xs < wide:
                break
            first += 1
        while first < end:
            ys, xs = _add(y, _multiply(float(end - 1), my)), _add(x, _multiply(float(end - 1), mx))
            if ys >= 0.0 and ys < tall and xs >= 0.0 and xs < wide:
                break
            end -= 1
        return first, end

    @inlined
    def warp_row(picture, settings, y, x, height, width, mode, cval, scale, out, start, step, count):
        """A row that begins at coordinates (y, x); its pixels go to `start`, `start` + `step`, ..."""
        numbers = channels if channels else count
        my, mx = _load_setting(settings, 1), _load_setting(settings, 4)
        below = width * numbers
        first, end = interior(y, x, my, mx, height, width)
        for turn in range(first + width - end):
            c = turn if turn < first else turn - first + end
            ys, xs = _add(y, _multiply(float(c), my)), _add(x, _multiply(float(c), mx))
            outer(picture, ys, xs, height, width, mode, cval, scale, out, start + c * step, count)
        for c in range(first, end):
            ys, xs = _add(y, _multiply(float(c), my)), _add(x, _multiply(float(c), mx))
            row, column = np.int64(ys), np.int64(xs)
            wy, wx = ys - float(row), xs - float(column)
            corner = (row * width + column) * numbers
            mix(picture, corner, numbers, below, wy, wx, scale, out, start + c * step, count)

    @inlined
    def plane(picture, settings, out, first, end, height, width, mode, cval, scale, count):
        numbers = channels if channels else count
        mirrored, flipped = _load_setting(settings, MIRROR) != 0.0, _load_setting(settings, FLIP) != 0.0
        m0, m3 = _load_setting(settings, 0), _load_setting(settings, 3)
        y0, x0 = _load_setting(settings, 2), _load_setting(settings, 5)
        same = m0 == 1.0 and m3 == 0.0 and y0 == 0.0 and x0 == 0.0
        same = same and _load_setting(settings, 1) == 0.0 and _load_setting(settings, 4) == 1.0
        step = -numbers if mirrored else numbers
        for r in range(first, end):
            start = ((height - 1 - r if flipped else r) * width + (width - 1 if mirrored else 0)) * numbers
            if same:
                copy(picture, r * width * numbers, scale, out, start, step, width, count)
            else:
                y, x = _add(y0, _multiply(float(r), m0)), _add(x0, _multiply(float(r), m3))
                warp_row(
                    picture, settings, y, x, height, width, mode, real(cval), scale, out, start, step, count
                )

    return plane


def _make_finish(target: str):
    """Functions over a run of finished pixels: its extremes, and what is done with those of the sample."""
    load, store = _access(target)
    real = getattr(np, target)

    @inlined
    def extremes(array, first, end, low, high):
        """The least and the largest of numbers, and of `low` and `high`; NaNs do not count."""
        low_b, low_c, low_d, high_b, high_c, high_d = low, low, low, high, high, high
        fours = (end - first) // 4
        for turn in range(fours):
            at = first + 4 * turn
            a, b, c, d = load(array, at), load(array, at + 1), load(array, at + 2), load(array, at + 3)
            low, high = (a if a < low else low), (a if a > high else high)
            low_b, high_b = (b if b < low_b else low_b), (b if b > high_b else high_b)
            low_c, high_c = (c if c < low_c else low_c), (c if c > high_c else high_c)
            low_d, high_d = (d if d < low_d else low_d), (d if d > high_d else high_d)
        for at in range(first + 4 * fours, end):
            a = load(array, at)
            low, high = (a if a < low else low), (a if a > high else high)
        return min(low, low_b, low_c, low_d), max(high, high_b, high_c, high_d)

    @inlined
    def shift(array, first, end, low, high, amount, scale):
        """Add `amount` and stay between the extremes."""
        for at in range(first, end):
            value = _add(load(array, at), amount)
            value = low if value < low else value
            store(array, at, _multiply(high if value > high else value, scale))

    @inlined
    def brighten(array, first, end, low, high, factor, fourth, scale):
        """Stretch to 0..255, cut off fractions, multiply by `factor` (every fourth: `fourth`), cut again."""
        below = -np.float32(low) if low < 0.0 else np.float32(0.0)
        top = _add(np.float32(high), below)
        top = top if top != 0.0 else np.float32(1.0)
        for at in range(first, end):
            value = _add(np.float32(load(array, at)), below)
            value = _level(_multiply(_divide(value, top), np.float32(255.0)))
            value = _level(_multiply(value, fourth if (at & 3) == 3 else factor))
            store(array, at, _multiply(real(value), scale))

    return extremes, shift, brighten


def _make_sample(target: str):
    """Functions over the rows of a sample: their extremes, and what follows the warp."""
    extremes, shift, brighten = _make_finish(target)
    real = getattr(np, target)

    @inlined
    def sample_extremes(out, planes, first, end, height, line):
        low, high = real(np.inf), real(-np.inf)
        for p in range(planes):
            low, high = extremes(out, (p * height + first) * line, (p * height + end) * line, low, high)
        return low, high

    @inlined
    def finish(out, settings, planes, channels, first, end, height, line, low, high, scale):
        amount, brightness = _load_setting(settings, SHIFT), _load_setting(settings, BRIGHTNESS)
        bright = not np.isnan(brightness)
        if not np.isnan(amount):
            between = real(1.0) if bright else scale
            moved = real(amount)
            for p in range(planes):
                base = p * height
                shift(out, (base + first) * line, (base + end) * line, low, high, moved, between)
            before = low
            low = min(_add(low, moved), high)
            low = max(low, before)
            high = max(min(_add(high, moved), high), before)
        elif not bright:
            for p in range(planes):
                base = p * height
                shift(out, (base + first) * line, (base + end) * line, low, high, real(0.0), scale)
        if bright:
            factor, same = np.float32(brightness), np.float32(1.0)
            for p in range(planes):
                # The fourth of four channels is opacity, which has no brightness.
                own = same if planes == 4 and p == 3 else factor
                fourth = same if channels == 4 else own
                base = p * height
                brighten(out, (base + first) * line, (base + end) * line, low, high, own, fourth, scale)

    return sample_extremes, finish


@cache
def warp_kernel(source: str, target: str, channels: int) -> Kernel:
    """Warp a band of rows of a sample; finish the sample where it is one band, else note its extremes."""
    plane = _make_plane(source, target, channels)
    sample_extremes, finish = _make_sample(target)
    real = getattr(np, target)
    size_in, size_out = np.dtype(source).itemsize, np.dtype(target).itemsize

    def entry(operands, tile):
        planes, height, width = operands[_PLANES], operands[_HEIGHT], operands[_WIDTH]
        count, bands = operands[_CHANNELS], operands[_BANDS]
        sample, band = tile // bands, tile % bands
        first, end = height * band // bands, height * (band + 1) // bands
        settings = operands[_PARAMETERS] + 8 * SETTINGS * sample
        line, scale = width * count, real(as_float(operands[_SCALE]))
        cval = as_float(operands[_CVAL])
        finishes = operands[_FINISHES] != 0
        sample_size = planes * height * line
        out = operands[_OUT] + size_out * sample * sample_size
        picture = operands[_SOURCE] + size_in * sample * sample_size
        for p in range(planes):
            place = p * height * line
            plane(
                picture + size_in * place, settings, out + size_out * place, first, end, height, width,
                operands[_MODE], cval, real(1.0) if finishes else scale, count,
            )  # fmt: skip
        if finishes:
            # Mirrored rows lie at the other end of the picture.
            if _load_setting(settings, FLIP) != 0.0:
                first, end = height - end, height - first
            low, high = sample_extremes(out, planes, first, end, height, line)
            if bands == 1:
                finish(out, settings, planes, count, first, end, height, line, low, high, scale)
            else:
                _store_setting(operands[_EXTREMES], 2 * tile, float(low))
                _store_setting(operands[_EXTREMES], 2 * tile + 1, float(high))
        return 0

    return numba_kernel(f"warp[{source}, {target}, {channels or 'any'}]", entry, (source, target, channels))


@cache
def finish_kernel(target: str) -> Kernel:
    """Finish a band of rows of a sample, when the extremes of all its bands are known."""
    _, finish = _make_sample(target)
    real = getattr(np, target)
    size_out = np.dtype(target).itemsize

    def entry(operands, tile):
        planes, height = operands[_PLANES], operands[_HEIGHT]
        count, bands = operands[_CHANNELS], operands[_BANDS]
        sample, band = tile // bands, tile % bands
        line = operands[_WIDTH] * count
        low, high = np.inf, -np.inf
        for other in range(bands):
            low = min(low, _load_setting(operands[_EXTREMES], 2 * (sample * bands + other)))
            high = max(high, _load_setting(operands[_EXTREMES], 2 * (sample * bands + other) + 1))
        finish(
            operands[_OUT] + size_out * sample * planes * height * line,
            operands[_PARAMETERS] + 8 * SETTINGS * sample,
            planes, count, height * band // bands, height * (band + 1) // bands, height, line,
            real(low), real(high), real(as_float(operands[_SCALE])),
        )  # fmt: skip
        return 0

    return numba_kernel(f"warp_finish[{target}]", entry, (target,))
