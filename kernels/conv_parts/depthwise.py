"""Depthwise convolution: every channel has its own small kernel, so vectors run along the channels.

With a channel multiplier the input is stretched first (channel c is repeated), after which every output
channel has an input channel of its own; the input gradient sums the repeats at the end.

Kernels work on some pixels of a line at once and know how the taps of a kernel row lie, so a pixel that
several taps see is loaded once. Pixels whose distance makes them fall into few sets of the cache are brought
further apart first, in the copy of lines that pictures with borders need anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import product
from types import SimpleNamespace

import numpy as np
from llvmlite import ir

from symgraph.kernels.contraction.contract import BAND_BYTES, SMALL, Operands, slots
from symgraph.kernels.contraction.partials import partial_sum_row
from symgraph.kernels.conv_parts.geometry import Lattice, Padding, Pair, Tap, View, lattice, phase_taps
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.jit import Kernel, ir_kernel
from symgraph.kernels.run.machine import Row
from symgraph.kernels.run.target import TARGET
from symgraph.kernels.tile.emit import Code, Int, float_type, vector_type, zero
from symgraph.kernels.tile.simd import ACTIVATIONS, apply_steps, emit_padded_lines, split_epilogue

_PIXELS = 8
_COLLIDING = 1024
"""Pixels this many bytes (or a multiple) long fall into few sets of L1."""
_GAP = 64
"""What is put between them: a cache line."""
_SUMS = 9
"""Taps whose sums the weight gradient holds in registers at once."""
_NAMES = (
    "a", "b", "c", "bias", "stage", "stage_slot", "tiles", "samples", "lines", "lines_per_band", "length",
    "channels", "a_sample", "a_line", "stage_line", "a_step", "b_sample", "b_line", "c_sample", "c_row",
    "c_step", "c_part", "taps", "rows", "stage_row", "stage_step", "stage_extra", "stage_top", "stage_height",
    "stage_skip", "stage_left", "stage_middle", "stage_right",
    # The distance of pixels, where they are staged too; of a staged line of `stage_width` pixels, those from
    # `stage_first` up to `stage_end` are A's.
    "pixel", "stage_width", "stage_first", "stage_end",
)  # fmt: skip
# A pixel's address, and the (place, tap) pairs that see it.
_Seen = tuple[Int, list[tuple[int, int]]]
# A band's body gets: code, words, unit number, first unit, sample, first line, lines, A and A's line step.
_Body = Callable[[Code, SimpleNamespace, Int, Int, Int, Int, Int, Int, Int], None]


def _bands(builder: ir.IRBuilder, function: ir.Function, stage: str, body: _Body) -> None:
    """The frame of both kernels: a tile's bands of lines, A's part of each staged where it has borders."""
    code = Code(builder, function)
    w = code.words(_NAMES)
    w.stage += code.tile * w.stage_slot
    bands = (w.lines + w.lines_per_band - 1) // w.lines_per_band
    first, end = code.share(code.tile, w.tiles, w.samples * bands)
    with code.loop(end, first) as unit:
        sample, line = unit // bands, unit % bands * w.lines_per_band
        count = code.minimum(w.lines_per_band, w.lines - line)
        source = w.a + sample * w.a_sample
        if stage != "none":
            (_spread_lines if stage == "spread" else emit_padded_lines)(code, w, source, line, count)
            a, a_line = w.stage, w.stage_step * w.stage_row
        else:
            a, a_line = source + line * w.a_line, w.a_line
        body(code, w, unit, first, sample, line, count, a, a_line)
    code.finish()


def _spread_lines(code: Code, w: SimpleNamespace, source: Int, first_line: Int, lines: Int) -> None:
    """As `emit_padded_lines`, with gaps between the pixels."""
    top = first_line * w.stage_step - w.stage_top
    length = w.pixel - _GAP
    with code.loop((lines - 1) * w.stage_step + w.stage_extra + 1) as i, code.loop(w.stage_width) as x:
        target = w.stage + i * w.stage_row + x * w.pixel
        y = top + i
        inside = code.builder.and_(y >= 0, y < w.stage_height)
        inside = code.builder.and_(inside, code.builder.and_(x >= w.stage_first, x < w.stage_end))

        def copy(target: Int = target, x: Int = x, y: Int = y) -> None:
            place = source + y * w.stage_line + w.stage_skip + (x - w.stage_first) * length
            code.copy(target, place, length)

        def clear(target: Int = target) -> None:
            code.clear(target, length)

        code.either(inside, copy, clear)


def _vectors(code: Code, channels: Int, lanes: int, body: Callable[[Int, ir.Value | None], None]) -> None:
    whole = channels - channels % lanes
    with code.loop(whole, step=lanes) as c:
        body(c, None)
    with code.when(whole < channels):
        body(whole, code.first_lanes(channels - whole, lanes))


def _seen(code: Code, place: Int, pixel: Int, count: int, step: int, xs: Sequence[int]) -> Iterator[_Seen]:
    """The pixels that the taps `xs` of a kernel row see from `count` places, each once, with who sees it."""
    found: dict[int, list[tuple[int, int]]] = {}
    for p, (k, x) in product(range(count), enumerate(xs)):
        found.setdefault(p * step + x - xs[0], []).append((p, k))
    for offset in sorted(found):
        yield place + pixel * offset, found[offset]


@cache
def _forward(dtype: str, pixels: int, step: int, xs: tuple[int, ...], stage: str, epilogue: str) -> Kernel:
    """Kernel: `pixels` output pixels at a time; the last block of a line overlaps its neighbour.

    `step` is that of the windows along a line, `xs` tells where the taps of a kernel row lie.
    `stage` is "none", "pad" (lines get zero borders) or "spread" (pixels get gaps between them too).
    """
    size, vector = np.dtype(dtype).itemsize, vector_type(dtype)
    steps, activation = split_epilogue(epilogue)

    def body(
        code: Code,
        w: SimpleNamespace,
        unit: Int,
        first: Int,
        sample: Int,
        line: Int,
        count: Int,
        a: Int,
        a_line: Int,
    ) -> None:
        builder = code.builder
        sums = [code.variable(vector) for _ in range(pixels)]
        blocks = (w.length + (pixels - 1)) // pixels
        with code.loop(count) as y, code.loop(blocks) as i:
            start = code.minimum(i * pixels, w.length - pixels)
            here = a + y * a_line + start * w.a_step
            there = w.c + sample * w.c_sample + (line + y) * w.c_row + start * w.c_step

            def channels(c: Int, mask: ir.Value | None) -> None:
                for total in sums:
                    builder.store(zero(vector), total)

                def after(number: int) -> ir.Value:
                    return code.load(w.bias + (w.channels * number + c) * size, vector, mask)

                if not steps:
                    with code.when(w.bias.differs(0)):
                        value = after(0)
                        for total in sums:
                            builder.store(value, total)
                with code.loop(w.rows) as row:
                    tap = row * len(xs) + len(_NAMES)
                    places = [w.b + code.word(w.taps + tap + k) + c * size for k in range(len(xs))]
                    weights = [code.load(place, vector, mask) for place in places]
                    place = here + code.word(tap) + c * size
                    for at, users in _seen(code, place, w.pixel, pixels, step, xs):
                        value = code.load(at, vector, mask)
                        for p, k in users:
                            total = code.multiply_add(value, weights[k], builder.load(sums[p]))
                            builder.store(total, sums[p])
                for p, total in enumerate(sums):
                    value = apply_steps(code, builder.load(total), steps, after)
                    value = ACTIVATIONS[activation](code, value)
                    code.store(value, there + w.c_step * p + c * size, mask)

            _vectors(code, w.channels, vector.count, channels)

    def emit(builder: ir.IRBuilder, function: ir.Function) -> None:
        _bands(builder, function, stage, body)

    name = f"depthwise_conv2d[{dtype}, {pixels}, {len(xs)}/{step}, {stage}, {epilogue}]"
    return ir_kernel(name, emit, (dtype, pixels, step, xs, stage, epilogue))


@cache
def _weight_gradient(dtype: str, step: int, xs: tuple[int, ...], together: int, stage: str) -> Kernel:
    """Kernel: sums of A times the output's gradient over a tile's bands, one partial result per tile.

    The sums of `together` kernel rows are made at once; The rest is as in `_forward`.
    """
    size, vector = np.dtype(dtype).itemsize, vector_type(dtype)
    pixels = 4

    def body(
        code: Code,
        w: SimpleNamespace,
        unit: Int,
        first: Int,
        sample: Int,
        line: Int,
        count: Int,
        a: Int,
        a_line: Int,
    ) -> None:
        builder = code.builder
        sums = [[code.variable(vector) for _ in xs] for _ in range(together)]
        cells = [(j, k, total) for j, row in enumerate(sums) for k, total in enumerate(row)]
        grad = w.b + sample * w.b_sample + line * w.b_line
        pixel = w.channels * size
        whole = w.length - w.length % pixels

        def channels(c: Int, mask: ir.Value | None) -> None:
            def add(lines: list[Int], g: Int, p: Int, places: int) -> None:
                flows = [code.load(g + pixel * (p + i), vector, mask) for i in range(places)]
                for start, row in zip(lines, sums, strict=True):
                    for at, users in _seen(code, start + p * w.a_step, w.pixel, places, step, xs):
                        value = code.load(at, vector, mask)
                        for i, k in users:
                            builder.store(code.multiply_add(value, flows[i], builder.load(row[k])), row[k])

            with code.loop(w.rows // together) as group:
                tap = group * (together * len(xs))
                target = w.c + code.tile * w.c_part + tap * pixel + c * size
                for j, k, total in cells:
                    builder.store(zero(vector), total)
                    with code.when(unit.differs(first)):
                        held = code.load(target + pixel * (j * len(xs) + k), vector, mask)
                        builder.store(held, total)
                offsets = [code.word(tap + (len(_NAMES) + j * len(xs))) for j in range(together)]
                with code.loop(count) as y:
                    lines = [a + offset + y * a_line + c * size for offset in offsets]
                    g = grad + y * w.b_line + c * size
                    with code.loop(whole, step=pixels) as p:
                        add(lines, g, p, pixels)
                    with code.loop(w.length, whole) as p:
                        add(lines, g, p, 1)
                for j, k, total in cells:
                    code.store(builder.load(total), target + pixel * (j * len(xs) + k), mask)

        _vectors(code, w.channels, vector.count, channels)

    def emit(builder: ir.IRBuilder, function: ir.Function) -> None:
        _bands(builder, function, stage, body)

    name = f"depthwise_weight_gradient[{dtype}, {together}x{len(xs)}/{step}, {stage}]"
    return ir_kernel(name, emit, (dtype, step, xs, together, stage))


@cache
def _repeat(dtype: str, fold: bool) -> Kernel:
    """Kernel: repeat each of `count` values `times` times side by side, or (`fold`) sum groups of `times`."""
    size, kind = np.dtype(dtype).itemsize, float_type(dtype)

    def emit(builder: ir.IRBuilder, function: ir.Function) -> None:
        code = Code(builder, function)
        w = code.words(("source", "target", "count", "times", "tiles"))
        first, end = code.share(code.tile, w.tiles, w.count)
        total = code.variable(kind)
        with code.loop(end, first) as i:
            if fold:
                builder.store(zero(kind), total)
                with code.loop(w.times) as j:
                    value = code.load(w.source + (i * w.times + j) * size, kind)
                    builder.store(builder.fadd(builder.load(total), value), total)
                code.store(builder.load(total), w.target + i * size)
            else:
                value = code.load(w.source + i * size, kind)
                with code.loop(w.times) as j:
                    code.store(value, w.target + (i * w.times + j) * size)
        code.finish()

    return ir_kernel(f"{'fold' if fold else 'repeat'}_channels[{dtype}]", emit, (dtype, fold))


def _repeat_row(source: Buffer, target: Buffer, times: int, threads: int, fold: bool = False) -> Row:
    count = target.size if fold else source.size
    tiles = min(4 * threads, max(1, count)) if threads > 1 and count * times > 1 << 16 else 1
    return Row(_repeat(source.dtype.name, fold), (source.address, target.address, count, times, tiles), tiles)


def _stretched(x: Buffer, channels: int, threads: int, scratch: Scratch) -> tuple[Buffer, list[Row]]:
    """`x` with its channels repeated to `channels`, and the rows that do it."""
    if x.shape[3] == channels:
        return x, []
    wide = scratch((*x.shape[:3], channels), x.dtype)
    return wide, [_repeat_row(x, wide, channels // x.shape[3], threads)] if x.size else []


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
        rows.append(_repeat_row(wide, out, features // out.shape[3], threads, fold=True))
    return rows


def _tap_rows(
    a: Buffer,
    w: Buffer,
    taps: Sequence[Tap],
    out: Lattice,
    steps: Pair,
    bias: Buffer | None,
    activation: str,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    channels = w.shape[3]
    if out.samples * out.height * out.width * channels == 0:
        return []
    taps = taps if a.size else []
    view = View.of(taps, out, steps, a.shape[1], a.shape[2])
    stage = _stage(a, view, taps, out.width)
    values = _operands(a, view, stage, steps, out.samples, out.height, out.width, taps, threads)
    values |= {"b": w.address, "c": out.address, "bias": bias.address if bias else 0,
               "c_sample": out.sample, "c_row": out.row, "c_step": out.step}  # fmt: skip
    xs = _row_taps(taps)
    # Sums, the weights of a kernel row, and a value.
    pixels = max(2, min(_PIXELS, TARGET.registers - 1 - len(xs)))
    kernel = _forward(a.dtype.name, min(pixels, out.width), steps[1], xs, stage, activation)
    offsets = _offsets(a, view, stage, taps)
    return [_row(kernel, values, view, stage, [*offsets, *(t.offset for t in taps)], scratch)]


def _row_taps(taps: Sequence[Tap]) -> tuple[int, ...]:
    """Where the taps of a kernel row lie; all rows are alike."""
    return tuple(tap.x for tap in taps if tap.y == taps[0].y)


def _operands(
    a: Buffer,
    view: View,
    stage: str,
    steps: Pair,
    samples: int,
    lines: int,
    length: int,
    taps: Sequence[Tap],
    threads: int,
) -> Operands:
    _, height, width, channels = a.shape
    pixel = channels * a.dtype.itemsize
    band = max(1, BAND_BYTES // max(1, steps[0] * width * pixel))
    values: Operands = {
        "a": a.address, "samples": samples, "lines": lines, "length": length, "channels": channels,
        "lines_per_band": min(lines, band, max(1, -(-samples * lines // (4 * threads)))),
        "a_sample": height * width * pixel, "a_line": steps[0] * width * pixel, "a_step": steps[1] * pixel,
        "taps": len(taps), "rows": len({tap.y for tap in taps}),
    }  # fmt: skip
    if stage != "none":
        values |= view.staging(a, steps)
    gap = _GAP if stage == "spread" else 0
    values |= {
        "pixel": pixel + gap, "a_step": steps[1] * (pixel + gap), "stage_width": view.width,
        "stage_row": view.width * (pixel + gap), "stage_first": values.get("stage_left", 0) // pixel,
        "stage_end": (values.get("stage_left", 0) + values.get("stage_middle", 0)) // pixel,
    }  # fmt: skip
    units = samples * -(-lines // values["lines_per_band"])
    # A multiply-add costs about eight times what it does in a matrix product: there is a load for each.
    small = threads == 1 or samples * lines * length * channels * max(1, len(taps)) < SMALL // 8
    values["tiles"] = 1 if small else min(units, 4 * threads)
    return values


def _stage(a: Buffer, view: View, taps: Sequence[Tap], width: int) -> str:
    """How lines of A are brought together before a band is worked on."""
    pixel = a.shape[3] * a.dtype.itemsize
    if taps and pixel and pixel % _COLLIDING == 0 and len(taps) * width > 16:
        return "spread"
    return "pad" if view.padded else "none"


def _offsets(a: Buffer, view: View, stage: str, taps: Sequence[Tap]) -> list[int]:
    """Bytes from an output pixel's place in A, or in the copy of lines, to each tap."""
    if stage != "spread":
        return view.offsets(taps, a)
    pixel = a.shape[3] * a.dtype.itemsize + _GAP
    return [((t.y - view.top) * view.width + t.x - view.left) * pixel for t in taps]


def _row(
    kernel: Kernel, values: Operands, view: View, stage: str, offsets: Sequence[int], scratch: Scratch
) -> Row:
    if stage != "none":
        lines = (values["lines_per_band"] - 1) * values["stage_step"] + view.extra + 1
        values["stage"], values["stage_slot"] = slots(scratch, values["tiles"], lines * values["stage_row"])
    return Row(kernel, (*(values.get(name, 0) for name in _NAMES), *offsets), values["tiles"])


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
    view = View.of(taps, pixels, strides, x.shape[1], x.shape[2])
    stage = _stage(x, view, taps, pixels.width)
    values = _operands(x, view, stage, strides, pixels.samples, pixels.height, pixels.width, taps, threads)
    values |= {"b": grad.address, "b_sample": pixels.sample, "b_line": pixels.row}
    tiles = values["tiles"]
    target = out if tiles == 1 else scratch((tiles, *out.shape), out.dtype)
    values |= {"c": target.address, "c_part": out.nbytes}
    together = kh if kh * kw <= _SUMS else 1
    kernel = _weight_gradient(x.dtype.name, strides[1], _row_taps(taps), together, stage)
    rows.append(_row(kernel, values, view, stage, _offsets(x, view, stage, taps), scratch))
    if tiles > 1:
        rows.append(partial_sum_row(x.dtype.name, target.address, tiles, 1, out.size, out.address, 0))
    return rows
