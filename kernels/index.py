"""Reading by indices: rows along an axis (`gather_rows`), places in several axes, elements along an axis.

The writing counterparts are in `scatter`, copies and fills in `copies`; both can be imported from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from symgraph.kernels.copies import (
    arange_rows,
    contiguous_copy,
    copy,
    copy_rows,
    eye_rows,
    fill_rows,
    one_hot_rows,
    pad_rows,
)
from symgraph.kernels.run.buffer import Buffer, Scratch, launch
from symgraph.kernels.run.jit import Kernel
from symgraph.kernels.run.machine import Address, Row
from symgraph.kernels.scatter import (
    along_kernel,
    scatter_add_along_axis_rows,
    scatter_add_rows,
    scatter_nd_add_rows,
)
from symgraph.kernels.tile.builder import copy_bytes
from symgraph.kernels.tile.nest import Writer, load, store, vector_kernel
from symgraph.kernels.tile.operand import WORTH_A_THREAD, lesser, row_nest
from symgraph.kernels.tile.subscript import OUT_OF_RANGE, row_place
from symgraph.kernels.tile.vector import Vec
from symgraph.kernels.transpose import as_units

__all__ = [
    "arange_rows", "copy", "copy_rows", "eye_rows", "fill_rows", "gather", "gather_nd_rows", "gather_rows",
    "one_hot_rows", "pad_rows", "scatter_add_along_axis_rows", "scatter_add_rows", "scatter_nd_add_rows",
    "take_along_axis_rows",
]  # fmt: skip

# Rows of these sizes are copied as one integer.
_SMALL = {1: "uint8", 4: "int32", 8: "int64"}
_SOURCE, _INDICES, _OUT, _COUNT, _POSITIONS, _PER_TILE, _OUTER_STEP, _BYTES = range(8)


@cache
def _gather_kernel(index_dtype: str, parts: int, row_bytes: int, mode: str) -> Kernel:
    """`parts` indices name one row of `row_bytes` bytes (0: any number, known at run time)."""

    def write(writer: Writer) -> None:
        length = writer.integer(row_bytes) if row_bytes else writer.word(_BYTES)
        count = writer.word(_POSITIONS)
        first = writer.tile * writer.word(_PER_TILE)
        last = lesser(first + writer.word(_PER_TILE), writer.word(_COUNT))
        with writer.loop(first, last) as at:
            outer = at / count
            place = row_place(writer, index_dtype, parts, mode, at - outer * count)
            source = writer.word(_SOURCE) + outer * writer.word(_OUTER_STEP) + place
            _copy_bytes(source, writer.word(_OUT) + at * length, length, row_bytes)

    key = (index_dtype, parts, row_bytes, mode)
    return vector_kernel(f"gather[{index_dtype}]", write, key, OUT_OF_RANGE)


def _copy_bytes(source: Vec, target: Vec, length: Vec, row_bytes: int) -> None:
    if row_bytes:
        store(load(source, _SMALL[row_bytes]), target)
        return
    copy_bytes(source.builder, target.value, source.value, length.value)


def _gather(
    x: Buffer,
    indices: Buffer,
    out: Buffer,
    outer: tuple[int, int],
    named: Sequence[tuple[int, int]],
    row_bytes: int,
    mode: str,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """`outer`: how often all indices are used, and the step between; `named`: size and stride of a part."""
    rows: list[Row] = []
    indices = contiguous_copy(indices, rows, threads, scratch)
    target = out if out.contiguous else scratch(out.shape, out.dtype)
    positions = indices.size // len(named)
    count = outer[0] * positions
    work = count * (5.0 + 0.1 * row_bytes)
    tiles = 1 if threads == 1 else max(1, min(count, 4 * threads, int(work / WORTH_A_THREAD)))
    per_tile = -(-count // tiles)
    words: list[int | Address] = [
        x.address,
        indices.address,
        target.address,
        count,
        positions,
        per_tile,
        outer[1],
        row_bytes,
        *(w for pair in named for w in pair),
    ]
    kernel = _gather_kernel(indices.dtype.name, len(named), row_bytes if row_bytes in _SMALL else 0, mode)
    rows.append(Row(kernel, tuple(words), -(-count // per_tile)))
    if target is not out:
        rows += copy_rows(target, out, threads=threads, scratch=scratch)
    return rows


def gather_rows(
    x: Buffer,
    indices: Buffer,
    out: Buffer,
    axis: int = 0,
    mode: str = "raise",
    *,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """Rows for numpy's ``take``: ``out[a..., i..., b...] = x[a..., indices[i...], b...]``.

    Parameters
    ----------
    x, out : Buffer
        One dtype, any strides (where rows are not contiguous, through a copy).
    indices : Buffer
        int32, int64 or uint8 of any shape; negative ones count from the end.
    mode : {'raise', 'front', 'clip', 'wrap'}
        What an index out of range does: the status 'index out of range', the nearest row, the remainder.
        Under 'front' a negative one is out of range, too.
    """
    axis %= len(x.shape)
    if out.size == 0:
        return []
    rows: list[Row] = []
    x = contiguous_copy(x, rows, threads, scratch)
    outer = int(np.prod(x.shape[:axis], dtype=np.int64))
    step = x.strides[axis]
    named = [(x.shape[axis], step)]
    return rows + _gather(x, indices, out, (outer, step * x.shape[axis]), named, step, mode, threads, scratch)


def gather_nd_rows(
    x: Buffer, indices: Buffer, out: Buffer, mode: str = "raise", *, threads: int, scratch: Scratch
) -> list[Row]:
    """Rows for ``out[i..., b...] = x[(*indices[i...], b...)]``: the last axis of `indices` is a place."""
    if out.size == 0:
        return []
    parts = indices.shape[-1]
    rows: list[Row] = []
    x = contiguous_copy(x, rows, threads, scratch)
    if parts == 0:
        return rows + copy_rows(x.broadcast(out.shape), out, threads=threads, scratch=scratch)
    named = list(zip(x.shape[:parts], x.strides[:parts], strict=True))
    return rows + _gather(x, indices, out, (1, 0), named, x.strides[parts - 1], mode, threads, scratch)


def take_along_axis_rows(
    x: Buffer, indices: Buffer, out: Buffer, axis: int, mode: str = "raise", *, threads: int, scratch: Scratch
) -> list[Row]:
    """Rows for ``out[.., j, ..] = x[.., indices[.., j, ..], ..]`` as ``take_along_axis``; any strides."""
    axis %= len(x.shape)
    if out.size == 0:
        return []
    x, out = as_units(x), as_units(out)
    kernel = along_kernel(out.dtype.name, indices.dtype.name, False, mode)
    cost = 5.0 + 1.5 * indices.shape[axis]
    return row_nest(kernel, [indices, x, out], axis, cost, threads, [x.shape[axis]])


def gather(x: np.ndarray, indices: np.ndarray, axis: int = 0, mode: str = "raise") -> np.ndarray:
    """numpy's ``take`` along an axis, run by the kernel. `indices`: uint8, int32 or int64."""
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"gather: axis {axis} is out of range for an array of shape {x.shape}")
    if indices.dtype.name not in ("uint8", "int32", "int64"):
        raise TypeError(f"gather: expected indices of dtype uint8, int32 or int64, got {indices.dtype}")
    axis %= x.ndim
    out = np.empty(x.shape[:axis] + indices.shape + x.shape[axis + 1 :], x.dtype)
    launch(lambda x, i, out, **options: gather_rows(x, i, out, axis, mode, **options), x, indices, out)
    return out
