"""Gradient of two-dimensional convolution with respect to its weights.

``dw[ky, kx, c, f] = sum over n, oy, ox of x[n, oy * sy + ky, ox * sx + kx, c] * grad[n, oy, ox, f]``: a
matrix product whose depth is the output pixels. Rows of the result are (kernel cell, channel), contiguous in
x, so x is read where it lies; the output gradient of a band of pixels is used for every kernel cell (long
pixels are packed first). Tiles that share the depth write partial results, which a second row sums in a fixed
order. On demand the gradient with respect to a bias, ``sum over n, oy, ox of grad``, comes with it: each band
is added up while it lies in the cache.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import numpy as np
from llvmlite import ir

from symgraph.kernels.contraction.contract import SMALL, Operands, slots
from symgraph.kernels.contraction.partials import partial_sum_row
from symgraph.kernels.conv_parts.algorithm import takes_winograd_weight_gradient
from symgraph.kernels.conv_parts.depthwise import depthwise_weight_gradient_rows
from symgraph.kernels.conv_parts.geometry import Padding, Pair, Tap, View, check_geometry, lattice
from symgraph.kernels.conv_parts.winograd_gradient import winograd_weight_gradient_rows
from symgraph.kernels.reduce import reduce_rows
from symgraph.kernels.run.buffer import Buffer, Scratch, check_bias, launch
from symgraph.kernels.run.jit import Kernel, ir_kernel
from symgraph.kernels.run.machine import Row
from symgraph.kernels.tile.block import Block, choose_block
from symgraph.kernels.tile.emit import Code, Int, vector_type, zero
from symgraph.kernels.tile.simd import Tile, column_masks, emit_block, emit_pack, emit_padded_lines

BAND_STEPS = 256
"""Output pixels whose gradient is packed at once: long enough to hide loading and storing the sums."""
DIRECT_LINE = 256
"""The output's gradient is read where it lies if a pixel has no more bytes; longer lines collide in L1."""
SUM_STEPS = 4
"""Pixels of the output's gradient that are added up side by side."""
PARTIAL_BYTES = 1 << 20
"""Weights up to this size get partial sums per tile; larger ones are shared by columns."""

NAMES = (
    "a", "b", "c", "pack", "pack_slot", "stage", "stage_slot", "parts_columns", "parts_bands", "c_part",
    "samples", "lines", "lines_per_band", "pixels", "a_sample", "a_line", "stage_line", "a_step", "b_sample",
    "b_line", "b_step", "cells", "length", "groups", "columns", "a_group", "c_step",
    "stage_row", "stage_step", "stage_extra", "stage_top", "stage_height", "stage_skip",
    "stage_left", "stage_middle", "stage_right",
    # Where sums of the output's gradient go, if they are wanted.
    "sums", "sums_part",
)  # fmt: skip


@cache
def weight_gradient(block: Block, padded: bool, packed: bool, summed: bool) -> Kernel:
    """The kernel for one block size.

    `padded` tells that windows leave the picture, `packed` that the output's gradient is packed first,
    `summed` that it is added up too.
    """

    def emit(builder: ir.IRBuilder, function: ir.Function) -> None:
        code = Code(builder, function)
        w = code.words(NAMES)
        part_columns, part = code.tile % w.parts_columns, code.tile // w.parts_columns
        w.pack += code.tile * w.pack_slot
        w.stage += code.tile * w.stage_slot
        w.c += part * w.c_part
        w.sums += part * w.sums_part
        w.panels = (w.columns + (block.width - 1)) // block.width
        bands = (w.lines + w.lines_per_band - 1) // w.lines_per_band
        first_panel, end_panel = code.share(part_columns, w.parts_columns, w.panels * w.groups)
        first, end = code.share(part, w.parts_bands, w.samples * bands)
        with code.loop(end, first) as unit:
            sample, line = unit // bands, unit % bands * w.lines_per_band
            count = code.minimum(w.lines_per_band, w.lines - line)
            source = w.a + sample * w.a_sample
            if padded:
                emit_padded_lines(code, w, source, line, count)
                a, a_line = w.stage, w.stage_step * w.stage_row
            else:
                a, a_line = source + line * w.a_line, w.a_line
            grad = w.b + sample * w.b_sample + line * w.b_line
            with code.loop(end_panel, first_panel) as panel:
                again = unit.differs(first)
                _emit_panel(code, w, block, packed, summed, a, a_line, grad, count, panel, again)
        code.finish()

    name = f"conv2d_weight_gradient[{block.dtype}, {block.rows}x{block.vectors}"
    name += f"{', pad' if padded else ''}{', packed' if packed else ''}{', summed' if summed else ''}]"
    return ir_kernel(name, emit, (block, padded, packed, summed))


def _emit_panel(
    code: Code,
    w: SimpleNamespace,
    block: Block,
    packed: bool,
    summed: bool,
    a: Int,
    a_line: Int,
    grad: Int,
    count: Int,
    panel: Int,
    load: ir.Value,
) -> None:
    """Add one band's products to all rows of one panel of columns."""
    group, column = panel // w.panels, panel % w.panels * block.width
    across = (group * w.columns + column) * block.size
    if packed:
        emit_pack(code, block, grad + across, w.b_step, count * w.pixels, w.columns - column, w.pack)
    if summed:
        source = w.pack if packed else grad + across
        step = code.number(block.width * block.size) if packed else w.b_step
        target = w.sums + across
        _emit_sums(code, block, source, step, count * w.pixels, w.columns - column, target, load)
    blocks = (w.length + (block.rows - 1)) // block.rows
    # Panels that are not packed are complete. Said here, it keeps a second, masked loop from being written,
    # whose registers the first one would have to share.
    columns = w.columns - column if packed else code.number(block.width)
    with code.loop(w.cells) as cell, code.loop(blocks) as i:
        start = code.minimum(i * block.rows, w.length - block.rows)
        offset = code.word(cell + len(NAMES)) + group * w.a_group + start * block.size
        emit_block(code, block, Tile(
            a=a + offset, row_step=code.number(block.size), depth_step=w.a_step, runs=count, depth=w.pixels,
            run_offset=lambda run: run * a_line, b=w.pack if packed else grad + across,
            c=w.c + (cell * w.length + start) * w.c_step + across,
            c_step=w.c_step, columns=columns, skip=i * block.rows - start, load=load,
            b_step=None if packed else w.b_step,
        ))  # fmt: skip


def _emit_sums(
    code: Code,
    block: Block,
    source: Int,
    step: Int,
    count: Int,
    columns: Int,
    target: Int,
    load: ir.Value,
) -> None:
    """Add up `count` lines of the block's width, `step` bytes apart, to `columns` numbers at `target`."""
    builder = code.builder
    cells = [
        [code.variable(vector_type(block.dtype)) for _ in range(block.vectors)] for _ in range(SUM_STEPS)
    ]
    for cell in (cell for row in cells for cell in row):
        builder.store(zero(vector_type(block.dtype)), cell)

    def add(place: Int, row: list[ir.Value]) -> None:
        for v, cell in enumerate(row):
            value = code.load(place + v * block.lanes * block.size, vector_type(block.dtype))
            builder.store(builder.fadd(builder.load(cell), value), cell)

    whole = count - count % SUM_STEPS
    with code.loop(whole, step=SUM_STEPS) as i:
        for j, row in enumerate(cells):
            add(source + step * (i + j), row)
    with code.loop(count, whole) as i:
        add(source + step * i, cells[0])
    for v, mask in enumerate(column_masks(code, block, columns)):
        place = target + v * block.lanes * block.size
        total = builder.load(cells[0][v])
        for row in cells[1:]:
            total = builder.fadd(total, builder.load(row[v]))
        builder.store(total, cells[0][v])
        with code.when(load):
            held = code.load(place, vector_type(block.dtype), mask)
            builder.store(builder.fadd(builder.load(cells[0][v]), held), cells[0][v])
        code.store(builder.load(cells[0][v]), place, mask)


def conv2d_weight_gradient_rows(
    x: Buffer,
    grad: Buffer,
    out: Buffer,
    sums: Buffer | None = None,
    *,
    strides: Pair,
    padding: Padding,
    dilation: Pair = (1, 1),
    groups: int = 1,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """Rows for the gradient of `conv2d_rows` with respect to w: `grad` has its out's shape, `out` its w's.

    With `sums`, contiguous of shape [F], also those for the gradient with respect to the bias.
    """
    check_geometry(x, out, grad, strides, padding, dilation, groups)
    kh, kw, depth, features = out.shape
    check_bias(sums, features, out.dtype, "conv2d_weight_gradient")
    size, name = x.dtype.itemsize, x.dtype.name
    apart = depth == 1 and groups > 1
    if out.size == 0 or grad.size == 0 or x.size == 0 or apart:
        rows = _sum_rows(grad, sums, threads, scratch) if sums else []
        if apart and out.size and grad.size and x.size:
            return rows + _depthwise(x, grad, out, strides, padding, dilation, threads, scratch)
        zeros = partial_sum_row(name, out.address, 0, kh * kw * depth, features, out.address, features * size)
        return [*rows, zeros] if out.size else rows
    steps = (*strides, *dilation)
    if takes_winograd_weight_gradient(x.dtype, out.shape, steps, groups, grad.shape, threads):
        return winograd_weight_gradient_rows(x, grad, out, sums, padding=padding, threads=threads,
                                             scratch=scratch)  # fmt: skip
    (top, _), (left, _) = padding
    taps = [Tap(ky * dilation[0] - top, kx * dilation[1] - left, 0) for ky in range(kh) for kx in range(kw)]
    # One kernel row's cells and channels follow each other in x, as they do in the weights.
    joined = kw if groups == 1 and dilation[1] == 1 else 1
    view = View.of(taps, lattice(grad), strides, x.shape[1], x.shape[2])
    block = choose_block(joined * depth, features // groups, x.dtype, "rows")
    values = _operands(x, grad, out, strides, groups, joined, view)
    bands, columns = _parts(values, block, out, threads)
    target = out if bands == 1 else scratch((bands, *out.shape), out.dtype)
    values |= {"parts_bands": bands, "parts_columns": columns, "c": target.address, "c_part": out.nbytes}
    partial = sums if sums is None or bands == 1 else scratch((bands, features), out.dtype)
    if partial:
        values |= {"sums": partial.address, "sums_part": features * size}
    # Masks belong outside the hot loop: an incomplete panel is packed too.
    packed = features * size > DIRECT_LINE or features // groups % block.width != 0
    if packed:
        pack = values["lines_per_band"] * values["pixels"] * block.width * size
        values["pack"], values["pack_slot"] = slots(scratch, bands * columns, pack)
    if view.padded:
        lines = (values["lines_per_band"] - 1) * strides[0] + view.extra + 1
        values["stage"], values["stage_slot"] = slots(scratch, bands * columns, lines * values["stage_row"])
    operands = (*(values.get(word, 0) for word in NAMES), *view.offsets(taps, x)[::joined])
    kernel = weight_gradient(block, view.padded, packed, sums is not None)
    rows = [Row(kernel, operands, bands * columns)]
    if bands > 1:
        rows.append(partial_sum_row(name, target.address, bands, kh * kw * depth, features, out.address,
                                    features * size, threads=threads))  # fmt: skip
    if bands > 1 and sums and partial:
        rows.append(partial_sum_row(name, partial.address, bands, 1, features, sums.address, 0))
    return rows


def _sum_rows(grad: Buffer, sums: Buffer, threads: int, scratch: Scratch) -> list[Row]:
    """Sum over pictures and pixels in a row of its own, for kernels that do not make it."""
    return reduce_rows("sum", (), 0, [grad], sums, (0, 1, 2), threads=threads, scratch=scratch)


def _depthwise(
    x: Buffer,
    grad: Buffer,
    out: Buffer,
    strides: Pair,
    padding: Padding,
    dilation: Pair,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    return depthwise_weight_gradient_rows(
        x, grad, out, strides=strides, padding=padding, dilation=dilation, threads=threads, scratch=scratch
    )


def _operands(
    x: Buffer, grad: Buffer, out: Buffer, strides: Pair, groups: int, joined: int, view: View
) -> Operands:
    _, height, width, channels = x.shape
    samples, lines, pixels, features = grad.shape
    kh, kw, depth, _ = out.shape
    size = x.dtype.itemsize
    values: Operands = {
        "a": x.address, "b": grad.address, "samples": samples, "lines": lines, "pixels": pixels,
        "a_sample": height * width * channels * size, "a_line": strides[0] * width * channels * size,
        "a_step": strides[1] * channels * size, "b_sample": lines * pixels * features * size,
        "b_line": pixels * features * size, "b_step": features * size,
        "cells": kh * kw // joined, "length": joined * depth, "groups": groups, "columns": features // groups,
        "a_group": depth * size, "c_step": features * size,
    }  # fmt: skip
    if view.padded:
        values |= view.staging(x, strides)
    elif values["a_sample"] == lines * values["a_line"]:
        values |= {"samples": 1, "lines": samples * lines}
    values["lines_per_band"] = max(1, min(values["lines"], round(BAND_STEPS / pixels)))
    return values


def _parts(values: Operands, block: Block, out: Buffer, threads: int) -> Pair:
    """How many tiles share the depth, and how many the columns."""
    units = values["samples"] * -(-values["lines"] // values["lines_per_band"])
    panels = values["groups"] * -(-values["columns"] // block.width)
    work = values["samples"] * values["lines"] * values["pixels"] * out.size
    if threads == 1 or work < SMALL:
        return 1, 1
    if out.nbytes <= PARTIAL_BYTES:
        return min(units, threads), 1
    columns = min(panels, threads)
    return min(units, max(1, threads // columns)), columns


def conv2d_weight_gradient(
    x: np.ndarray,
    grad: np.ndarray,
    shape: tuple[int, ...],
    strides: Pair = (1, 1),
    padding: Padding = ((0, 0), (0, 0)),
    dilation: Pair = (1, 1),
    groups: int = 1,
    threads: int | None = None,
) -> np.ndarray:
    """Gradient of `conv2d` with respect to its weights.

    Parameters
    ----------
    x : ndarray, shape (N, H, W, C)
    grad : ndarray, shape (N, OH, OW, F)
        Gradient of the output.
    shape : (kh, kw, C / groups, F)
        Shape of the weights.

    Returns
    -------
    ndarray of `shape`
    """
    x, grad = np.ascontiguousarray(x), np.ascontiguousarray(grad)
    out = np.empty(shape, x.dtype)
    launch(conv2d_weight_gradient_rows, x, grad, out, threads=threads, strides=strides, padding=padding,
           dilation=dilation, groups=groups)  # fmt: skip
    return out
