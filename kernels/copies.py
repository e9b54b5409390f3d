"""Copies and fills of strided arrays, and what is made of them: ranges, identities, padding, one-hot rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from symgraph.kernels.elementwise import Instruction, Program, elementwise_rows, nest_rows
from symgraph.kernels.run.buffer import Buffer, Scratch, contiguous_strides, launch
from symgraph.kernels.run.machine import Row
from symgraph.kernels.tile.nest import Axis, axes_of, collapse, in_memory_order
from symgraph.kernels.tile.operand import Number
from symgraph.kernels.tile.vector import FLOATS
from symgraph.kernels.transpose import as_units, transpose_rows, transposition


def copy_rows(source: Buffer, target: Buffer, *, threads: int, scratch: Scratch) -> list[Row]:
    """Rows for ``target[...] = source``: one shape and dtype, any strides; bits are kept as they are."""
    source, target = as_units(source), as_units(target)
    if target.size == 0:
        return []
    plan = transposition(source, target)
    if plan is not None:
        return transpose_rows(source, target, plan, threads)
    return elementwise_rows((), (0,), [source], [target], threads=threads, scratch=scratch)


def fill_rows(out: Buffer, value: float, *, threads: int, scratch: Scratch) -> list[Row]:
    """Rows for ``out[...] = value``; any dtype and strides."""
    return elementwise_rows(
        (), (0,), [Number(value, out.dtype.name)], [out], threads=threads, scratch=scratch
    )


def arange_rows(out: Buffer, start: float, step: float, *, threads: int, scratch: Scratch) -> list[Row]:
    """Rows for ``out[i] = start + i * step`` (one axis), computed in float64 or int64."""
    wide = "float64" if out.dtype.name in FLOATS else "int64"
    program = (
        Instruction("index", (), wide),
        Instruction("mul", (2, 1), wide),
        Instruction("add", (3, 0), wide),
        Instruction("cast", (4,), out.dtype.name),
    )
    numbers = [Number(start, wide), Number(step, wide)]
    return elementwise_rows(program, (5,), numbers, [out], threads=threads, scratch=scratch)


def eye_rows(out: Buffer, k: int = 0, *, threads: int, scratch: Scratch) -> list[Row]:
    """Rows for a matrix of zeros with ones where column - row is `k`."""
    rows = fill_rows(out, 0, threads=threads, scratch=scratch)
    (height, width), (down, right) = out.shape, out.strides
    first_row, first_column = max(0, -k), max(0, k)
    length = min(height - first_row, width - first_column)
    if length > 0:
        offset = out.offset + first_row * down + first_column * right
        diagonal = Buffer(out.base, offset, (length,), (down + right,), out.dtype)
        rows += fill_rows(diagonal, 1, threads=threads, scratch=scratch)
    return rows


def pad_rows(
    x: Buffer, out: Buffer, before: Sequence[int], value: float = 0.0, *, threads: int, scratch: Scratch
) -> list[Row]:
    """Rows that put `x` into `out` at the place `before`, and fill the rest with `value`."""
    rows: list[Row] = []
    inside = out
    for axis, (start, size) in enumerate(zip(before, x.shape, strict=True)):
        for low, high in ((0, start), (start + size, out.shape[axis])):
            border = _part(inside, axis, low, high - low)
            if border.size:
                rows += fill_rows(border, value, threads=threads, scratch=scratch)
        inside = _part(inside, axis, start, size)
    return rows + copy_rows(x, inside, threads=threads, scratch=scratch)


def _part(buffer: Buffer, axis: int, start: int, size: int) -> Buffer:
    """`size` elements of an axis from `start` on."""
    shape = (*buffer.shape[:axis], size, *buffer.shape[axis + 1 :])
    return replace(buffer, offset=buffer.offset + start * buffer.strides[axis], shape=shape)


def one_hot_rows(indices: Buffer, out: Buffer, *, threads: int, scratch: Scratch) -> list[Row]:
    """Rows for ``out[..., j] = (indices[...] == j)``: int32, int64 or uint8 indices, any dtype out.

    An index outside the last axis gives zeros only; negative ones do not count from the end.
    """
    if out.size == 0:
        return []
    program: Program = (
        Instruction("index", (), "int64"),
        Instruction("cast", (0,), "int64"),
        Instruction("equal", (1, 2), "bool"),
        Instruction("cast", (3,), out.dtype.name),
    )
    spread = (*indices.strides, 0)
    axes = collapse(in_memory_order(axes_of(out.shape[:-1], [spread[:-1], out.strides[:-1]]), [1, 0]))
    # The classes are the inner axis whatever its length, so that `index` counts them.
    last = Axis(out.shape[-1], (0, out.strides[-1]))
    return nest_rows(program, (4,), (indices, out), 1, [*axes, last], threads)


def contiguous_copy(buffer: Buffer, rows: list[Row], threads: int, scratch: Scratch) -> Buffer:
    """The buffer itself, or a contiguous copy that `rows` then begin with."""
    if buffer.contiguous:
        return replace(buffer, strides=contiguous_strides(buffer.shape, buffer.dtype.itemsize))
    copied = scratch(buffer.shape, buffer.dtype)
    rows += copy_rows(buffer, copied, threads=threads, scratch=scratch)
    return copied


def copy(x: np.ndarray, threads: int | None = None) -> np.ndarray:
    """A C-contiguous copy of a numpy array of any strides."""
    out = np.empty(x.shape, x.dtype)
    launch(copy_rows, x, out, threads=threads)
    return out
