"""Depthwise convolution: every channel has its own small kernel, so vectors run along the channels.

With a channel multiplier the input is stretched first (channel c is repeated), after which every output
channel has an input channel of its own; the input gradient sums the repeats at the end.

Pictures are read where they lie (see `channelwise.py` for what is done at their borders). Only lines of
pixels whose distance makes them fall into few sets of the cache are copied first, with gaps between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from symgraph.kernels.contraction.contract import BAND_BYTES, SMALL, Operands, slots
from symgraph.kernels.contraction.partials import partial_sum_row
from symgraph.kernels.conv_parts.channelwise import Pixels, SumWindows, WeighPixels, Windows
from symgraph.kernels.conv_parts.geometry import Lattice, Padding, Pair, Tap, View, lattice, phase_taps
from symgraph.kernels.conv_parts.repeats import fold_row, repeat_row
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.integers import least, over, parted, parts_of, share
from symgraph.kernels.run.jit import Kernel, inlined, numba_kernel
from symgraph.kernels.run.machine import Row
from symgraph.kernels.run.memory import address_of, clear_bytes, copy_bytes, load_int
from symgraph.kernels.run.target import TARGET
from symgraph.kernels.tile.block import split_epilogue
from symgraph.kernels.tile.multiply import activation_number
from symgraph.kernels.tile.words import Word, filling, named, slot

_PIXELS = 8
_COLLIDING = 2048
"""Pixels this many bytes (or a multiple) long fall into few sets of L1."""
_LINE = 64
"""Bytes of a cache line."""
_GAP = _LINE
"""What is put between them."""
_SUMS = TARGET.registers - 7
"""Taps whose sums the weight gradient holds in registers at once."""


class Depthwise(NamedTuple):
    """The words of depthwise kernels: addresses, byte steps, numbers of elements.

    A is the input, B the weights and C the output; for the weight gradient, B is the output's gradient and C
    that of the weights. After the words come for each of `rows` kernel rows the lines of A that it lies below
    the output's line, and for each tap the bytes that its weights lie behind `b`.
    """

    a: Word
    b: Word
    c: Word
    bias: Word = 0
    # The number of the activation (`multiply.activation_number`).
    activation: Word = 0
    # Room for a pixel of zeros, and for staged lines: slots, one per tile.
    zeros: Word = 0
    zeros_slot: Word = 0
    stage: Word = 0
    stage_slot: Word = 0
    # Units: bands of lines of output pixels.
    tiles: Word = 1
    samples: Word = 1
    lines: Word = 1
    lines_per_band: Word = 1
    length: Word = 1
    channels: Word = 1
    # Bytes of a pixel's channels.
    bytes: Word = 4
    # Where A is read, staged or not: its lines and pixels, and the bytes to the next one. Windows go `y_step`
    # lines and `x_step` pixels on; the first one's first tap sees column `left`.
    a_sample: Word = 0
    row: Word = 0
    pixel: Word = 0
    height: Word = 0
    width: Word = 0
    y_step: Word = 1
    x_step: Word = 1
    left: Word = 0
    rows: Word = 0
    # Output pixels, or kernel rows, that are taken at once; pixels that see no column that A has not.
    block: Word = 1
    middle: Word = 0
    middle_end: Word = 0
    b_sample: Word = 0
    b_row: Word = 0
    c_sample: Word = 0
    c_row: Word = 0
    c_step: Word = 0
    c_part: Word = 0
    # Where lines are staged: the part of the picture that is, from line `stage_top` and column `stage_left`
    # on, and `stage_extra` lines more than the output's.
    staged: Word = 0
    stage_top: Word = 0
    stage_left: Word = 0
    stage_extra: Word = 0
    stage_line: Word = 0
    stage_height: Word = 0
    stage_width: Word = 0


_LISTS = 8 * len(Depthwise._fields)
words, weigh_pixels, sum_windows = named(Depthwise), slot(Pixels), slot(Windows)


class Band(NamedTuple):
    """Some lines of output pixels: where A is read for them, and what its line 0 is then."""

    sample: Word
    line: Word
    lines: Word
    a: Word
    # The line of A that the first output line sees before a kernel row's lines are added.
    y_first: Word
    zeros: Word


def depthwise(operands, tile):
    """A depthwise convolution: one tile's share of the output's lines."""
    w = words(operands)
    lists = address_of(operands) + _LISTS
    bands = parts_of(w.lines, w.lines_per_band)
    first, end = share(tile, w.tiles, w.samples * bands)
    zeros = cleared(w, tile)
    for unit in range(first, end):
        sample, number = parted(unit, bands)
        band = made_band(w, tile, sample, number * w.lines_per_band, zeros)
        for i in range(band.lines):
            weigh_line(w, lists, band, i)
    return 0


def depthwise_weights(operands, tile):
    """The gradient of a depthwise convolution's weights: one tile's share of the output's lines."""
    w = words(operands)
    lists = address_of(operands) + _LISTS
    bands = parts_of(w.lines, w.lines_per_band)
    first, end = share(tile, w.tiles, w.samples * bands)
    zeros = cleared(w, tile)
    for unit in range(first, end):
        sample, number = parted(unit, bands)
        band = made_band(w, tile, sample, number * w.lines_per_band, zeros)
        sum_windows(
            Windows(
                a=band.a,
                line=w.row,
                pixel=w.pixel,
                height=w.height,
                width=w.width,
                zeros=zeros,
                rows=lists,
                groups=over(w.rows, w.block),
                y_first=band.y_first,
                y_step=w.y_step,
                left=w.left,
                lines=band.lines,
                length=w.length,
                middle=w.middle,
                middle_end=w.middle_end,
                b=w.b + sample * w.b_sample + band.line * w.b_row,
                b_line=w.b_row,
                channels=w.channels,
                c=w.c + tile * w.c_part,
                load=unit != first,
            )
        )
    return 0


@inlined
def cleared(w, tile):
    """The tile's pixel of zeros."""
    zeros = w.zeros + tile * w.zeros_slot
    clear_bytes(zeros, w.bytes)
    return zeros


@inlined
def made_band(w, tile, sample, line, zeros):
    """The band of a sample that begins with an output line; its part of A is staged where that is due."""
    lines = least(w.lines_per_band, w.lines - line)
    source = w.a + sample * w.a_sample
    y_first = line * w.y_step
    if w.staged:
        stage = w.stage + tile * w.stage_slot
        spread_lines(w, stage, source, y_first + w.stage_top, (lines - 1) * w.y_step + w.stage_extra + 1)
        source, y_first = stage, -w.stage_top
    return Band(sample, line, lines, source, y_first, zeros)


@inlined
def spread_lines(w, stage, source, top, lines):
    """Copy lines of A from line `top` on, with gaps between pixels, and zeros for those that A has not."""
    for i in range(lines):
        for x in range(w.width):
            target, from_y, from_x = stage + i * w.row + x * w.pixel, top + i, w.stage_left + x
            if 0 <= from_y < w.stage_height and 0 <= from_x < w.stage_width:
                copy_bytes(target, source + from_y * w.stage_line + from_x * w.bytes, w.bytes)
            else:
                clear_bytes(target, w.bytes)


@inlined
def weigh_line(w, lists, band, i):
    """Output line number `i` of a band."""
    top = band.y_first + i * w.y_step
    # Kernel rows that see nothing but zeros above or below A are left out.
    first_row, end_row = 0, w.rows
    while first_row < end_row and top + load_int(lists + 8 * first_row) < 0:
        first_row += 1
    while first_row < end_row and top + load_int(lists + 8 * (end_row - 1)) >= w.height:
        end_row -= 1
    c = w.c + band.sample * w.c_sample + (band.line + i) * w.c_row
    for number in range(parts_of(w.length, w.block)):
        start = least(number * w.block, w.length - w.block)
        x = start * w.x_step + w.left
        weigh_pixels(
            Pixels(
                a=band.a + top * w.row + x * w.pixel,
                line=w.row,
                pixel=w.pixel,
                x=x,
                width=w.width,
                zeros=band.zeros,
                rows=lists,
                first_row=first_row,
                end_row=end_row,
                b=w.b,
                taps=lists + 8 * w.rows,
                channels=w.channels,
                c=c + start * w.c_step,
                c_step=w.c_step,
                bias=w.bias,
                activation=w.activation,
            )
        )


@cache
def _forward(dtype: str, pixels: int, step: int, xs: tuple[int, ...], steps: str) -> Kernel:
    """Kernel: `pixels` output pixels at a time; the last block of a line overlaps its neighbour."""
    code = WeighPixels(dtype, pixels, step, xs, steps)
    name = f"depthwise_conv2d[{dtype}, {pixels}, {len(xs)}/{step}{', ' + steps if steps else ''}]"
    return numba_kernel(name, depthwise, code, slots=dict([filling(Pixels, code)]), words=Depthwise)


@cache
def _weight_gradient(dtype: str, pixels: int, step: int, xs: tuple[int, ...], together: int) -> Kernel:
    """Kernel: sums over a tile's bands, one partial result per tile."""
    code = SumWindows(dtype, pixels, step, xs, together)
    name = f"depthwise_weight_gradient[{dtype}, {pixels}, {together}x{len(xs)}/{step}]"
    return numba_kernel(name, depthwise_weights, code, slots=dict([filling(Windows, code)]), words=Depthwise)


def _stretched(x: Buffer, channels: int, threads: int, scratch: Scratch) -> tuple[Buffer, list[Row]]:
    """`x` with its channels repeated to `channels`, and the rows that do it."""
    if x.shape[3] == channels:
        return x, []
    wide = scratch((*x.shape[:3], channels), x.dtype)
    return wide, [repeat_row(x, wide, threads)] if x.size else []


def depthwise_rows(
    x: Buffer,
    w: Buffer,
    out: Buffer,
    *,
    strides: Pair,
    padding: Padding,
    dilation: Pair,
    bias: Buffer | None,
    activation: str,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """Rows for a convolution with one input channel per group; operands as in `conv.conv2d_rows`."""
    kh, kw, _, features = w.shape
    x, rows = _stretched(x, features, threads, scratch)
    (top, _), (left, _) = padding
    taps = [Tap(ky * dilation[0] - top, kx * dilation[1] - left, (ky * kw + kx) * features * x.dtype.itemsize)
            for ky in range(kh) for kx in range(kw)]  # fmt: skip
    return rows + _tap_rows(x, w, taps, lattice(out), strides, bias, activation, threads, scratch)


def depthwise_input_gradient_rows(
    grad: Buffer,
    w: Buffer,
    out: Buffer,
    *,
    strides: Pair,
    padding: Padding,
    dilation: Pair,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """Rows for the gradient of `depthwise_rows` with respect to x, one product per phase of the strides."""
    kh, kw, _, features = w.shape
    wide = (
        out if out.shape[3] == features or out.size == 0 else scratch((*out.shape[:3], features), out.dtype)
    )
    rows: list[Row] = []
    for phase_y in range(min(strides[0], out.shape[1])):
        for phase_x in range(min(strides[1], out.shape[2])):
            ys = phase_taps(kh, phase_y + padding[0][0], strides[0], dilation[0])
            xs = phase_taps(kw, phase_x + padding[1][0], strides[1], dilation[1])
            taps = [Tap(y, x, (ky * kw + kx) * features * out.dtype.itemsize) for ky, y in ys for kx, x in xs]
            pixels = lattice(wide, (phase_y, phase_x), strides)
            rows += _tap_rows(grad, w, taps, pixels, (1, 1), None, "linear", threads, scratch)
    if wide is not out:
        rows.append(fold_row(wide, out, threads))
    return rows


def _tap_rows(
    a: Buffer,
    w: Buffer,
    taps: Sequence[Tap],
    out: Lattice,
    steps: Pair,
    bias: Buffer | None,
    epilogue: str,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    if out.samples * out.height * out.width * w.shape[3] == 0:
        return []
    taps = taps if a.size else []
    vectors, activation = split_epilogue(epilogue)
    # Strides leave out every other pixel: what is left hardly collides where it is read once.
    colliding = _COLLIDING if steps[1] == 1 or TARGET.vector_bytes < _LINE else 0
    values = _operands(a, taps, out, steps, colliding, threads, scratch)
    # Sums, the weights of a kernel row, and a value; a line is cut evenly.
    most = max(2, min(_PIXELS, TARGET.registers - 1 - len(_row_taps(taps))))
    pixels = -(-out.width // -(-out.width // most))
    values |= {"b": w.address, "c": out.address, "bias": bias.address if bias else 0, "block": pixels,
               "activation": activation_number(activation),
               "c_sample": out.sample, "c_row": out.row, "c_step": out.step}  # fmt: skip
    kernel = _forward(a.dtype.name, pixels, steps[1], _row_taps(taps), vectors)
    return [_row(kernel, values, taps)]


def _row_taps(taps: Sequence[Tap]) -> tuple[int, ...]:
    """How far the taps of a kernel row lie behind its first one; all rows are alike."""
    return tuple(tap.x - taps[0].x for tap in taps if tap.y == taps[0].y)


def _operands(
    a: Buffer,
    taps: Sequence[Tap],
    out: Lattice,
    steps: Pair,
    colliding: int,
    threads: int,
    scratch: Scratch,
) -> Operands:
    """The words that both kernels have, but for B and C; `out` has the output's pixels.

    Lines are staged where pixels have a multiple of `colliding` bytes (never for 0).
    """
    _, height, width, channels = a.shape
    pixel = channels * a.dtype.itemsize
    band = max(1, BAND_BYTES // max(1, steps[0] * width * pixel))
    values: Operands = {
        "a": a.address, "samples": out.samples, "lines": out.height, "length": out.width,
        "channels": channels, "bytes": pixel,
        "lines_per_band": min(out.height, band, max(1, -(-out.samples * out.height // (4 * threads)))),
        "a_sample": height * width * pixel, "row": width * pixel, "pixel": pixel, "height": height,
        "width": width, "y_step": steps[0], "x_step": steps[1], "left": taps[0].x if taps else 0,
        "rows": len({tap.y for tap in taps}),
    }  # fmt: skip
    units = out.samples * -(-out.height // values["lines_per_band"])
    # A multiply-add costs about eight times what it does in a matrix product: there is a load for each.
    work = out.samples * out.height * out.width * channels * max(1, len(taps))
    values["tiles"] = 1 if threads == 1 or work < SMALL // 8 else min(units, 4 * threads)
    values["zeros"], values["zeros_slot"] = slots(scratch, values["tiles"], pixel)
    if taps and pixel and colliding and pixel % colliding == 0 and len(taps) * out.width > 16:
        view = View.of(taps, out, steps, height, width)
        lines = (values["lines_per_band"] - 1) * steps[0] + view.extra + 1
        values |= {
            "staged": 1, "stage_top": view.top, "stage_left": view.left, "stage_extra": view.extra,
            "stage_line": width * pixel, "stage_height": height, "stage_width": width,
            "pixel": pixel + _GAP, "row": view.width * (pixel + _GAP), "height": lines, "width": view.width,
            "left": 0,
        }  # fmt: skip
        values["stage"], values["stage_slot"] = slots(scratch, values["tiles"], lines * values["row"])
    return values


def _row(kernel: Kernel, values: Operands, taps: Sequence[Tap]) -> Row:
    lines = sorted({tap.y for tap in taps})
    return Row(kernel, (*Depthwise(**values), *lines, *(tap.offset for tap in taps)), values["tiles"])


def _beside(pixels: int, sums: int) -> int:
    """How many of the pixels in the middle of a line are taken at once, next to some sums in registers.

    Those that are left over take three times as long; blocks that would fill the registers were slower.
    """
    most = max(2, min(6, (TARGET.registers - sums) // 2))
    return min(range(most, 1, -1), key=lambda count: pixels // count * (count + 1) + pixels % count * 3)


def depthwise_weight_gradient_rows(
    x: Buffer,
    grad: Buffer,
    out: Buffer,
    *,
    strides: Pair,
    padding: Padding,
    dilation: Pair,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """Rows for the gradient of `depthwise_rows` with respect to w; x and grad are not empty."""
    kh, kw, _, features = out.shape
    x, rows = _stretched(x, features, threads, scratch)
    (top, _), (left, _) = padding
    taps = [Tap(ky * dilation[0] - top, kx * dilation[1] - left, 0) for ky in range(kh) for kx in range(kw)]
    pixels = lattice(grad)
    # A line of the cache that holds two vectors is met twice, far apart.
    colliding = _COLLIDING * TARGET.vector_bytes // _LINE
    values = _operands(x, taps, pixels, strides, colliding, threads, scratch)
    tiles = values["tiles"]
    target = out if tiles == 1 else scratch((tiles, *out.shape), out.dtype)
    together = next(rows for rows in range(kh, 0, -1) if kh % rows == 0 and rows * kw <= max(kw, _SUMS))
    xs = _row_taps(taps)
    first = min(pixels.width, -(-max(0, -values["left"]) // strides[1]))
    seen = (values["width"] - 1 - xs[-1] - values["left"]) // strides[1] + 1
    values |= {
        "b": grad.address, "b_sample": pixels.sample, "b_row": pixels.row,
        "c": target.address, "c_part": out.nbytes, "block": together,
        "middle": first, "middle_end": max(first, min(pixels.width, seen)),
    }  # fmt: skip
    beside = _beside(values["middle_end"] - first, together * kw)
    rows.append(_row(_weight_gradient(x.dtype.name, beside, strides[1], xs, together), values, taps))
    if tiles > 1:
        rows.append(partial_sum_row(x.dtype.name, target.address, tiles, 1, out.size, out.address, 0))
    return rows
