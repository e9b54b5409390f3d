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
from typing import NamedTuple

import numpy as np

from symgraph.kernels.contraction.contract import SMALL, Operands, slots, stage_lines
from symgraph.kernels.contraction.partials import partial_sum_row
from symgraph.kernels.conv_parts.algorithm import takes_winograd_weight_gradient
from symgraph.kernels.conv_parts.depthwise import depthwise_weight_gradient_rows
from symgraph.kernels.conv_parts.geometry import Padding, Pair, Tap, View, check_geometry, lattice
from symgraph.kernels.conv_parts.winograd_gradient import winograd_weight_gradient_rows
from symgraph.kernels.reduce import reduce_rows
from symgraph.kernels.run.buffer import Buffer, Scratch, check_bias, launch
from symgraph.kernels.run.integers import greatest, least, parted, parts_of, share
from symgraph.kernels.run.jit import Kernel, inlined, numba_kernel
from symgraph.kernels.run.machine import Row
from symgraph.kernels.run.memory import address_of, load_int
from symgraph.kernels.run.target import TARGET
from symgraph.kernels.tile.block import Block, choose_block
from symgraph.kernels.tile.lines import Lines, SumLines
from symgraph.kernels.tile.multiply import Multiply, Pack, Panel, Tile
from symgraph.kernels.tile.words import Word, filling, named, slot

BAND_STEPS = 256
"""Output pixels whose gradient is packed at once: long enough to hide loading and storing the sums."""
DIRECT_LINE = 256
"""The output's gradient is read where it lies if a pixel has no more bytes; longer lines collide in L1."""
PARTIAL_BYTES = 1 << 20
"""Weights up to this size get partial sums per tile; larger ones are shared by columns."""


class WeightGradient(NamedTuple):
    """The words of a weight gradient: addresses, byte steps, numbers of elements.

    A is the convolution's input, B its output's gradient, C the gradient of its weights. After the words come
    `cells` offsets into A, and the lines of A that each cell lies below an output line's.
    """

    a: Word
    b: Word
    c: Word
    # Where sums of B go; 0 where they are not wanted.
    sums: Word = 0
    sums_part: Word = 0
    # Packed B and staged lines of A are cut into slots, one per tile.
    pack: Word = 0
    pack_slot: Word = 0
    stage: Word = 0
    stage_slot: Word = 0
    # The grid of tiles: parts of the bands x parts of the columns; each part of the bands has a C of its own.
    parts_bands: Word = 1
    parts_columns: Word = 1
    c_part: Word = 0
    # The depth: bands of lines of output pixels; small pictures are taken together.
    samples: Word = 1
    samples_per_band: Word = 1
    lines: Word = 1
    lines_per_band: Word = 1
    pixels: Word = 1
    a_sample: Word = 0
    a_line: Word = 0
    a_step: Word = 0
    b_sample: Word = 0
    b_line: Word = 0
    b_step: Word = 0
    # Rows of C: `length` for each of `cells` kernel cells. Columns, in each of `groups`.
    cells: Word = 1
    length: Word = 1
    groups: Word = 1
    columns: Word = 1
    a_group: Word = 0
    c_step: Word = 0
    # The block: its rows and columns, and the bytes of an element.
    block_rows: Word = 1
    block_width: Word = 1
    size: Word = 4
    # Whether B is packed first; without, all blocks have all of their columns.
    packed: Word = 0
    # Whether lines of A are staged, and how (see `Contraction`).
    staged: Word = 0
    stage_sample: Word = 0
    stage_line: Word = 0
    stage_row: Word = 0
    stage_step: Word = 0
    stage_extra: Word = 0
    stage_top: Word = 0
    stage_height: Word = 0
    stage_skip: Word = 0
    stage_left: Word = 0
    stage_middle: Word = 0
    stage_right: Word = 0


class Band(NamedTuple):
    """The lines of output pixels that are worked on: where A and B begin, and C for this tile."""

    samples: Word
    line: Word
    lines: Word
    a: Word
    a_sample: Word
    a_line: Word
    b: Word
    c: Word
    sums: Word
    pack: Word
    load: Word


_WORDS = 8 * len(WeightGradient._fields)
words, multiply, pack, sum_lines = named(WeightGradient), slot(Tile), slot(Panel), slot(Lines)


def weight_gradient(operands, tile):
    """C = A transposed times B, for one tile: its share of the bands, and of the panels of columns."""
    w = words(operands)
    part, part_columns = parted(tile, w.parts_columns)
    panels, bands = parts_of(w.columns, w.block_width), parts_of(w.lines, w.lines_per_band)
    first_panel, end_panel = share(part_columns, w.parts_columns, panels * w.groups)
    first, end = share(part, w.parts_bands, parts_of(w.samples, w.samples_per_band) * bands)
    for unit in range(first, end):
        number, rest = parted(unit, bands)
        sample, line = number * w.samples_per_band, rest * w.lines_per_band
        samples = least(w.samples_per_band, w.samples - sample)
        lines = least(w.lines_per_band, w.lines - line)
        a, a_sample, a_line = w.a + sample * w.a_sample, w.a_sample, w.a_line
        if w.staged:
            stage = w.stage + tile * w.stage_slot
            for i in range(samples):
                stage_lines(w, stage + i * w.stage_sample, a + i * w.a_sample, line, lines)
            a, a_sample, a_line = stage, w.stage_sample, w.stage_step * w.stage_row
        else:
            a += line * w.a_line
        b = w.b + sample * w.b_sample + line * w.b_line
        c, sums, room = w.c + part * w.c_part, w.sums + part * w.sums_part, w.pack + tile * w.pack_slot
        band = Band(samples, line, lines, a, a_sample, a_line, b, c, sums, room, unit != first)
        add_band(w, operands, band, first_panel, end_panel)
    return 0


@inlined
def add_band(w, operands, band, first_panel, end_panel):
    """Add one band's products to all rows of a share of the panels of columns."""
    offsets = address_of(operands) + _WORDS
    panels = parts_of(w.columns, w.block_width)
    steps = band.samples * band.lines * w.pixels
    for panel in range(first_panel, end_panel):
        group, place = parted(panel, panels)
        column = place * w.block_width
        across, columns = (group * w.columns + column) * w.size, w.columns - column
        b, b_step = band.b + across, w.b_step
        if w.packed:
            pack(Panel(b, b_step, steps, columns, band.pack))
            b, b_step = band.pack, w.block_width * w.size
        if w.sums != 0:
            sum_lines(Lines(b, b_step, steps, columns, band.sums + across, band.load))
        for cell in range(w.cells):
            a = band.a + load_int(offsets + 8 * cell) + group * w.a_group
            c = band.c + cell * w.length * w.c_step + across
            seen = seen_lines(w, band, load_int(offsets + 8 * (w.cells + cell)))
            add_cell(w, band, seen, a, b, b_step, c, columns)


@inlined
def seen_lines(w, band, below):
    """The lines of a band, from the first to past the last, where a cell sees more than the border of A."""
    if not w.staged:
        return 0, band.lines
    top = band.line * w.stage_step + below
    first = least(parts_of(greatest(-top, 0), w.stage_step), band.lines)
    end = least(parts_of(greatest(w.stage_height - top, 0), w.stage_step), band.lines)
    return first, greatest(first, end)


@inlined
def add_cell(w, band, seen, a, b, b_step, c, columns):
    """Add one band's products to a kernel cell's rows, for one panel of columns."""
    for i in range(parts_of(w.length, w.block_rows)):
        start = least(i * w.block_rows, w.length - w.block_rows)
        for sample in range(band.samples):
            multiply(
                Tile(
                    a=a + sample * band.a_sample + start * w.size,
                    row_step=w.size,
                    depth_step=w.a_step,
                    first_run=seen[0],
                    runs=seen[1],
                    run_step=band.a_line,
                    run_offsets=0,
                    depth=w.pixels,
                    b=b + sample * band.lines * w.pixels * b_step,
                    b_step=b_step,
                    c=c + start * w.c_step,
                    c_step=w.c_step,
                    columns=columns,
                    skip=i * w.block_rows - start,
                    load=band.load | (sample != 0),
                    last=1,
                    bias=0,
                    bias_step=0,
                    activation=0,
                    gate=0,
                    turn=0,
                    jump=0,
                )
            )


@cache
def weight_gradient_kernel(block: Block) -> Kernel:
    """The kernel for one block size."""
    tile = Multiply(block, biased=False, direct=True, whole=True, listed=False)
    packing, adding = Pack(block), SumLines(block)
    slots = dict([filling(Tile, tile), filling(Panel, packing), filling(Lines, adding)])
    name = f"conv2d_weight_gradient[{block.dtype}, {block.rows}x{block.vectors}]"
    return numba_kernel(name, weight_gradient, (tile, packing, adding), slots=slots, words=WeightGradient)


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
    values = _operands(x, grad, out, strides, groups, joined, view, block)
    bands, columns = _parts(values, block, out, threads)
    values["samples_per_band"] = _together(values, view, bands)
    # Samples that are taken together may be fewer bands than there were to be tiles: each needs one.
    bands = min(bands, _bands(values))
    target = out if bands == 1 else scratch((bands, *out.shape), out.dtype)
    values |= {"parts_bands": bands, "parts_columns": columns, "c": target.address, "c_part": out.nbytes}
    partial = sums if sums is None or bands == 1 else scratch((bands, features), out.dtype)
    if partial:
        values |= {"sums": partial.address, "sums_part": features * size}
    # Masks belong outside the hot loop: an incomplete panel is packed too.
    values["packed"] = int(features * size > DIRECT_LINE or features // groups % block.width != 0)
    samples = values["samples_per_band"]
    if values["packed"]:
        pack = samples * values["lines_per_band"] * values["pixels"] * block.width * size
        values["pack"], values["pack_slot"] = slots(scratch, bands * columns, pack)
    if view.padded:
        values["stage_sample"] = _staged_bytes(values, view)
        values["stage"], values["stage_slot"] = slots(
            scratch, bands * columns, samples * values["stage_sample"]
        )
    below = [tap.y for tap in taps[::joined]]
    operands = (*WeightGradient(**values), *view.offsets(taps, x)[::joined], *below)
    rows = [Row(weight_gradient_kernel(block), operands, bands * columns)]
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
    x: Buffer, grad: Buffer, out: Buffer, strides: Pair, groups: int, joined: int, view: View, block: Block
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
        "block_rows": block.rows, "block_width": block.width, "size": size, "staged": int(view.padded),
    }  # fmt: skip
    if view.padded:
        values |= view.staging(x, strides)
    elif values["a_sample"] == lines * values["a_line"]:
        values |= {"samples": 1, "lines": samples * lines}
    values["lines_per_band"] = max(1, min(values["lines"], round(BAND_STEPS / pixels)))
    return values


def _parts(values: Operands, block: Block, out: Buffer, threads: int) -> Pair:
    """How many tiles share the depth, and how many the columns."""
    units = _bands(values | {"samples_per_band": 1})
    panels = values["groups"] * -(-values["columns"] // block.width)
    work = values["samples"] * values["lines"] * values["pixels"] * out.size
    if threads == 1 or work < SMALL:
        return 1, 1
    if out.nbytes <= PARTIAL_BYTES:
        return min(units, threads), 1
    columns = min(panels, threads)
    return min(units, max(1, threads // columns)), columns


def _bands(values: Operands) -> int:
    """How many bands the output's lines make."""
    samples = -(-values["samples"] // values["samples_per_band"])
    return samples * -(-values["lines"] // values["lines_per_band"])


def _staged_bytes(values: Operands, view: View) -> int:
    """Room for a sample's staged lines of a band; none where nothing is staged."""
    if not view.padded:
        return 0
    return ((values["lines_per_band"] - 1) * values["stage_step"] + view.extra + 1) * values["stage_row"]


def _together(values: Operands, view: View, bands: int) -> int:
    """How many samples are taken at once: as many as `BAND_STEPS` pixels are, if those are whole pictures."""
    if values["lines_per_band"] < values["lines"]:
        return 1
    most = min(
        BAND_STEPS // (values["lines"] * values["pixels"]),
        TARGET.l2_bytes // 2 // max(1, _staged_bytes(values, view)),
    )
    share = -(-values["samples"] // bands)
    return -(-share // -(-share // max(1, most)))


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
