"""Two-dimensional convolution, forward and with respect to its input, as an implicit matrix product.

Pictures are NHWC, kernels HWIO, so for one kernel cell the channels of a pixel are one contiguous run and
neighbouring pixels are rows of a matrix that lies in the picture itself: nothing is copied to columns. The
input gradient of a convolution with strides is one such product per phase (the output pixels that share a
remainder modulo the strides), so no multiplication with an inserted zero is ever made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from symgraph.kernels.contraction.contract import (
    BAND_BYTES,
    PACK_BYTES,
    SMALL,
    Operands,
    contraction_row,
    cut_depth,
    slots,
)
from symgraph.kernels.conv_parts.algorithm import winograd_outputs
from symgraph.kernels.conv_parts.depthwise import depthwise_input_gradient_rows, depthwise_rows
from symgraph.kernels.conv_parts.geometry import (
    Lattice,
    Padding,
    Pair,
    Tap,
    View,
    check_geometry,
    lattice,
    output_shape,
    phase_taps,
    run_length,
    tap_lines,
)
from symgraph.kernels.conv_parts.winograd import winograd_input_gradient_rows, winograd_rows
from symgraph.kernels.copies import copy_rows
from symgraph.kernels.elementwise import Instruction, elementwise_rows
from symgraph.kernels.matmul import matmul_rows
from symgraph.kernels.run.buffer import (
    Buffer,
    Scratch,
    check_addend,
    check_bias,
    contiguous_strides,
    launch,
    optional,
)
from symgraph.kernels.run.machine import Address, Row
from symgraph.kernels.run.target import TARGET
from symgraph.kernels.tile.block import Block, choose_block, rows_side_by_side, split_epilogue, step_cycles

JOINED_DEPTH = 96
"""Multiply-adds a result from which on blocks may go across the ends of lines."""


@dataclass(frozen=True, slots=True)
class Weights:
    """B of a convolution: its place, sizes per group, byte steps along depth, columns and groups."""

    address: Address
    depth: int
    columns: int
    groups: int
    depth_step: int
    column_step: int
    group_step: int


def conv2d_rows(
    x: Buffer,
    w: Buffer,
    out: Buffer,
    *,
    strides: Pair,
    padding: Padding,
    dilation: Pair = (1, 1),
    groups: int = 1,
    bias: Buffer | None = None,
    activation: str = "linear",
    addend: Buffer | None = None,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """Rows for ``out = activation(cross_correlation(x, w) + bias + addend)``.

    Parameters
    ----------
    x, w, out : Buffer
        Contiguous [N, H, W, C], [kh, kw, C / groups, F] and [N, OH, OW, F]; float32 or float64.
    strides, dilation : (int, int)
    padding : ((top, bottom), (left, right))
    bias : Buffer, optional
        Contiguous [F]; [k, F] for k steps.
    activation : {'linear', 'relu', 'relu6'}
        Behind steps that are taken first, such as ``"*+ relu"`` (see `block.split_epilogue`).
    addend : Buffer, optional
        Contiguous, of out's shape, added behind bias or steps; it may be out itself.
    """
    check_geometry(x, w, out, strides, padding, dilation, groups)
    kh, kw, depth, features = w.shape
    vectors, after = split_epilogue(activation)
    check_bias(bias, features, out.dtype, "conv2d", vectors)
    check_addend(addend, out, "conv2d")
    if depth == 1 and groups > 1:
        rows: list[Row] = []
        if addend is not None:
            addend = _apart(addend, out.address, rows, threads, scratch)
        rows += depthwise_rows(
            x,
            w,
            out,
            strides=strides,
            padding=padding,
            dilation=dilation,
            bias=bias,
            activation=activation if addend is None else f"{vectors} linear".strip(),
            threads=threads,
            scratch=scratch,
        )
        if addend is not None:
            rows += _addend_rows(out, addend, after, threads, scratch)
        return rows
    tile = winograd_outputs(
        x.dtype, (kh, kw), (*strides, *dilation), groups, out.shape, depth, "rows", threads
    )
    if tile and x.size:
        return winograd_rows(x, w, out, padding=padding, outputs=tile, bias=bias, activation=activation,
                             addend=addend, threads=threads, scratch=scratch)  # fmt: skip
    plain = (kh, kw, *strides, groups) == (1, 1, 1, 1, 1) and not any(map(any, padding))
    if plain and w.room and x.shape[0] == 1 and x.size:
        # A matrix product, whose weights stay packed: at one picture packing them costs as much as the rest.
        a, b, c = (flattened(buffer) for buffer in (x, w, out))
        more = None if addend is None else flattened(addend)
        return matmul_rows(a, b, c, bias=bias, activation=activation, addend=more,
                           threads=threads, scratch=scratch)  # fmt: skip
    size = x.dtype.itemsize
    (top, _), (left, _) = padding
    taps = [Tap(ky * dilation[0] - top, kx * dilation[1] - left, (ky * kw + kx) * depth * features * size)
            for ky in range(kh) for kx in range(kw)]  # fmt: skip
    columns = features // groups
    weights = Weights(w.address, depth, columns, groups, features * size, size, columns * size)
    return tap_rows(x, weights, taps, lattice(out), strides, bias, activation, threads, scratch,
                    addend=addend)  # fmt: skip


def flattened(buffer: Buffer) -> Buffer:
    """A contiguous buffer as a matrix of its last axis' lines."""
    columns = buffer.shape[-1]
    shape = (math.prod(buffer.shape[:-1]), columns)
    return replace(buffer, shape=shape, strides=contiguous_strides(shape, buffer.dtype.itemsize))


def conv2d_input_gradient_rows(
    grad: Buffer,
    w: Buffer,
    out: Buffer,
    *,
    strides: Pair,
    padding: Padding,
    dilation: Pair = (1, 1),
    groups: int = 1,
    gate: Buffer | None = None,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """Rows for the gradient of `conv2d_rows` with respect to x: `grad` has its out's shape, `out` its x's.

    With a `gate` (contiguous, of `out`'s shape and dtype) results are kept where it is positive, and zeros
    put elsewhere: the gradient through a ReLU whose output the gate is.
    """
    check_geometry(out, w, grad, strides, padding, dilation, groups)
    kh, kw, columns, features = w.shape
    if columns == 1 and groups > 1:
        rows = depthwise_input_gradient_rows(
            grad,
            w,
            out,
            strides=strides,
            padding=padding,
            dilation=dilation,
            threads=threads,
            scratch=scratch,
        )
        return rows + (_gate_rows(out, gate, threads, scratch) if gate else [])
    tile = winograd_outputs(
        grad.dtype, (kh, kw), (*strides, *dilation), groups, out.shape, features, "columns", threads
    )
    if tile and grad.size:
        return winograd_input_gradient_rows(grad, w, out, padding=padding, outputs=tile, gate=gate,
                                            threads=threads, scratch=scratch)  # fmt: skip
    size = grad.dtype.itemsize
    depth = features // groups
    weights = Weights(w.address, depth, columns, groups, size, features * size, depth * size)
    rows = []
    for phase_y in range(min(strides[0], out.shape[1])):
        for phase_x in range(min(strides[1], out.shape[2])):
            ys = phase_taps(kh, phase_y + padding[0][0], strides[0], dilation[0])
            xs = phase_taps(kw, phase_x + padding[1][0], strides[1], dilation[1])
            taps = [Tap(y, x, (ky * kw + kx) * columns * features * size) for ky, y in ys for kx, x in xs]
            first = (phase_y, phase_x)
            rows += tap_rows(
                grad, weights, taps, lattice(out, first, strides), (1, 1), None,
                "gated" if gate else "linear", threads, scratch,
                gate=lattice(gate, first, strides).address if gate else 0,
            )  # fmt: skip
    return rows


def _gate_rows(out: Buffer, gate: Buffer, threads: int, scratch: Scratch) -> list[Row]:
    """Zero `out` where the gate is not positive: a sweep of its own, for kernels that have no gate."""
    dtype = out.dtype.name
    program = (
        Instruction("constant", (), dtype, (0.0,)),
        Instruction("greater", (1, 2), "bool"),
        Instruction("where", (3, 0, 2), dtype),
    )
    return elementwise_rows(program, (4,), [out, gate], [out], threads=threads, scratch=scratch)


def _apart(addend: Buffer, out: Address, rows: list[Row], threads: int, scratch: Scratch) -> Buffer:
    """`addend`, or a copy if results are to lie in its place; a row that makes it joins `rows`."""
    if addend.address != out:
        return addend
    copy = scratch(addend.shape, addend.dtype)
    rows += copy_rows(addend, copy, threads=threads, scratch=scratch)
    return copy


def _addend_rows(out: Buffer, addend: Buffer, activation: str, threads: int, scratch: Scratch) -> list[Row]:
    """Add to `out`, and activate: a sweep of its own, for kernels that add nothing."""
    dtype = out.dtype.name
    program = (
        Instruction("add", (0, 1), dtype),
        Instruction("relu", (2,), dtype),
        Instruction("constant", (), dtype, (6.0,)),
        Instruction("minimum", (3, 4), dtype),
    )[: {"linear": 1, "relu": 2, "relu6": 4}[activation]]
    result = (len(program) + 1,)
    return elementwise_rows(program, result, [out, addend], [out], threads=threads, scratch=scratch)


def tap_rows(
    a: Buffer,
    weights: Weights,
    taps: Sequence[Tap],
    out: Lattice,
    steps: Pair,
    bias: Buffer | None,
    activation: str,
    threads: int,
    scratch: Scratch,
    gate: Address | int = 0,
    addend: Buffer | None = None,
) -> list[Row]:
    """Rows for ``out[n, y, x] = sum over taps of a[n, y * sy + tap.y, x * sx + tap.x] @ w[tap]``.

    Pixels outside `a` count as zeros; bias, `addend` (laid out like `out`) and activation follow.
    """
    samples, height, width, channels = a.shape
    if out.samples * out.height * out.width * weights.columns == 0:
        return []
    size = a.dtype.itemsize
    pixel = channels * size
    if weights.depth * samples * height * width == 0:
        taps = []
    view = View.of(taps, out, steps, height, width)
    values: Operands = {
        "a": a.address, "b": weights.address, "c": out.address, "gate": gate,
        "bias": bias.address if bias else 0,
        "samples": out.samples, "lines": out.height, "length": out.width,
        "a_sample": height * width * pixel, "a_row": steps[0] * width * pixel, "a_step": steps[1] * pixel,
        "a_depth": size, "c_sample": out.sample, "c_row": out.row, "c_step": out.step,
        "depth": weights.depth, "groups": weights.groups, "columns": weights.columns,
        "b_depth": weights.depth_step, "b_column": weights.column_step, "b_group": weights.group_step,
        "a_group": weights.depth * size,
    }  # fmt: skip
    if view.padded:
        values |= view.staging(a, steps)
    else:
        _merge_lines(values)
    offsets = view.offsets(taps, a)
    block, joined = _choose(values, len(taps), a.dtype)
    panels = weights.groups * -(-weights.columns // block.width)
    values["chunk"], values["panel_chunk"] = cut_depth(weights.depth, len(taps), panels, block)
    rows: list[Row] = []
    if addend is not None and values["chunk"] < weights.depth:
        # Sums of the first chunks are stored before it is read.
        addend = _apart(addend, out.address, rows, threads, scratch)
    values["addend"] = 0 if addend is None else addend.address
    run_taps = 1 if values["chunk"] < weights.depth else run_length(offsets, weights.depth * size)
    values["run_taps"] = run_taps
    values["tap_lines"] = tap_lines(taps, run_taps) if view.padded else 0
    _cut_rows(values, block, view, joined, threads)
    _cut_tiles(values, block, len(taps), threads)
    tiles = values["parts_rows"] * values["parts_columns"]
    pack = len(taps) * values["chunk"] * values["panel_chunk"] * block.width + block.lanes * block.width
    values["pack"], values["pack_slot"] = slots(scratch, tiles, pack * size)
    if view.padded:
        lines = (values["lines_per_band"] - 1) * steps[0] + values["stage_extra"] + 1
        values["stage"], values["stage_slot"] = slots(scratch, tiles, lines * values["stage_row"])
    stage = "pad" if view.padded else "none"
    layout = "columns" if weights.depth_step == size else "rows"
    places = [t.offset for t in taps]
    looking = _looks_ahead(values, len(taps), view)
    rows.append(
        contraction_row(
            block, stage, layout, activation, values, offsets[::run_taps], places, joined, looking
        )
    )
    return rows


def _looks_ahead(values: Operands, taps: int, view: View) -> bool:
    """Whether blocks may ask for the next unit's rows: all of A is one matrix, which is read in order."""
    whole = values["a_step"] == values["depth"] * values["a_depth"]
    one = values["samples"] * values["lines"] * values["groups"] == 1
    return taps == 1 and not view.padded and one and whole


def _choose(values: Operands, taps: int, dtype: np.dtype) -> tuple[Block, bool]:
    """The block, and whether blocks go across the ends of lines.

    They do where the last blocks of lines waste much and a long depth hides the search for rows. With 32
    registers blocks have too many rows to keep the place of each in an integer register.
    """
    length, columns = values["length"], values["columns"]
    most = rows_side_by_side(length * values["lines"] * values["samples"], values["a_step"])
    block = choose_block(length, columns, dtype, most_rows=most)
    gapless = values["c_row"] == length * values["c_step"]
    shallow = values["depth"] * taps < JOINED_DEPTH
    if TARGET.registers == 32 or values["lines"] == 1 or not gapless or shallow:
        return block, False
    long = choose_block(length * values["lines"], columns, dtype, most_rows=most)
    cycles = [
        step_cycles(b.rows, b.vectors) * -(-columns // b.width) * blocks
        for b, blocks in ((block, -(-length // block.rows)), (long, length / long.rows))
    ]
    joined = length >= long.rows and cycles[1] < 0.97 * cycles[0]
    return (long, True) if joined else (block, False)


def _merge_lines(values: Operands) -> None:
    """Make one long line of lines, and of samples, that follow each other without a gap on both sides."""
    if (
        values["a_row"] == values["length"] * values["a_step"]
        and values["c_row"] == values["length"] * values["c_step"]
    ):
        values["length"] *= values["lines"]
        values["lines"] = 1
        length = values["length"]
        if (
            values["a_sample"] == length * values["a_step"]
            and values["c_sample"] == length * values["c_step"]
        ):
            values["length"] *= values["samples"]
            values["samples"] = 1


def _cut_rows(values: Operands, block: Block, view: View, joined: bool, threads: int) -> None:
    """Choose bands of lines, or of one line, whose part of A stays in the cache."""
    row = values["stage_row"] * values["stage_step"] if view.padded else values["a_row"]
    lines = max(1, BAND_BYTES // max(1, row))
    wanted = -(-values["lines"] * values["samples"] // (4 * threads))
    values["lines_per_band"] = min(values["lines"], lines, max(1, wanted))
    blocks = -(-values["length"] // block.rows)
    if view.padded or joined:
        values["blocks_per_band"] = blocks
        return
    most = max(1, BAND_BYTES // max(1, values["a_step"] * block.rows))
    if values["lines"] * values["samples"] < 4 * threads:
        most = min(most, max(1, -(-blocks // (4 * threads))))
    values["blocks_per_band"] = min(blocks, most)


def _cut_tiles(values: Operands, block: Block, taps: int, threads: int) -> None:
    """Share the work: by rows where there are many, else by columns, so that little is packed twice."""
    panels = values["groups"] * -(-values["columns"] // block.width)
    pixels = values["samples"] * values["lines"] * values["length"]
    bands = -(-values["lines"] // values["lines_per_band"])
    blocks = -(-values["length"] // block.rows)
    units = values["samples"] * bands * -(-blocks // values["blocks_per_band"])
    work = pixels * values["columns"] * values["groups"] * max(1, values["depth"] * taps)
    values["parts_rows"] = values["parts_columns"] = 1
    if threads == 1 or work < SMALL:
        return
    if pixels < 1024 * threads and panels >= threads:
        values["parts_columns"] = threads
    else:
        # Every tile packs B for itself: the more there is to pack, the fewer tiles.
        packed = taps * values["chunk"] * values["panel_chunk"] * block.width * block.size
        values["parts_rows"] = min(units, (4 if packed <= PACK_BYTES // 4 else 2) * threads)


def conv2d(
    x: np.ndarray,
    w: np.ndarray,
    strides: Pair = (1, 1),
    padding: Padding = ((0, 0), (0, 0)),
    dilation: Pair = (1, 1),
    groups: int = 1,
    bias: np.ndarray | None = None,
    activation: str = "linear",
    threads: int | None = None,
    addend: np.ndarray | None = None,
) -> np.ndarray:
    """``activation(cross_correlation(x, w) + bias + addend)``.

    Parameters
    ----------
    x : ndarray, shape (N, H, W, C)
    w : ndarray, shape (kh, kw, C / groups, F)
    padding : ((top, bottom), (left, right))
    bias : ndarray, shape (F,), optional
    activation : {'linear', 'relu', 'relu6'}
    addend : ndarray, shape (N, OH, OW, F), optional

    Returns
    -------
    ndarray, shape (N, OH, OW, F)
        With ``OH = (H + top + bottom - (kh - 1) * dilation - 1) // stride + 1``.

    Raises
    ------
    ValueError, TypeError
        Shapes or dtypes that do not belong together.
    """
    x, w = np.ascontiguousarray(x), np.ascontiguousarray(w)
    size = output_shape(x.shape[1:3], w.shape[:2], strides, padding, dilation)
    out = np.empty((x.shape[0], *size, w.shape[3]), x.dtype)
    given, named = optional(
        bias=None if bias is None else np.ascontiguousarray(bias, x.dtype),
        addend=None if addend is None else np.ascontiguousarray(addend, x.dtype),
    )

    def plan(x: Buffer, w: Buffer, out: Buffer, *extra: Buffer, **options: Any) -> list[Row]:
        return conv2d_rows(x, w, out, **named(*extra), **options)

    launch(plan, x, w, out, *given, threads=threads, strides=strides, padding=padding, dilation=dilation,
           groups=groups, activation=activation)  # fmt: skip
    return out


def conv2d_input_gradient(
    grad: np.ndarray,
    w: np.ndarray,
    shape: tuple[int, ...],
    strides: Pair = (1, 1),
    padding: Padding = ((0, 0), (0, 0)),
    dilation: Pair = (1, 1),
    groups: int = 1,
    threads: int | None = None,
) -> np.ndarray:
    """Gradient of `conv2d` with respect to x, of shape `shape`; `grad` is the output's, (N, OH, OW, F)."""
    grad, w = np.ascontiguousarray(grad), np.ascontiguousarray(w)
    out = np.empty(shape, grad.dtype)
    launch(conv2d_input_gradient_rows, grad, w, out, threads=threads, strides=strides, padding=padding,
           dilation=dilation, groups=groups)  # fmt: skip
    return out
