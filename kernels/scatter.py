"""Writing by indices: adding, which is the gradient of gathers, and storing, multiplying, least and greatest.

What happens at a place is done by one tile, in the order of the indices.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from symgraph.kernels.copies import contiguous_copy, copy_rows, fill_rows
from symgraph.kernels.run.buffer import Buffer, Scratch, contiguous_strides
from symgraph.kernels.run.jit import Kernel
from symgraph.kernels.run.machine import Address, Row
from symgraph.kernels.run.target import TARGET
from symgraph.kernels.tile.nest import Writer, load, store, vector_kernel
from symgraph.kernels.tile.operand import WORTH_A_THREAD, each_row, extra_word, lesser, row_nest
from symgraph.kernels.tile.subscript import OUT_OF_RANGE, checked, row_place
from symgraph.kernels.tile.vector import ITEMSIZE, Vec, maximum, minimum

_UPDATES, _INDICES, _OUT, _POSITIONS, _WIDTH, _CHUNK = range(6)


#: What becomes of the element that is there, and the update.
_COMBINED: dict[str, Callable[[Vec, Vec], Vec]] = {
    "add": lambda there, update: there + update,
    "multiply": lambda there, update: there * update,
    "max": maximum,
    "min": minimum,
    "set": lambda there, update: update,
}


@cache
def _scatter_kernel(dtype: str, index_dtype: str, parts: int, mode: str, how: str) -> Kernel:
    def write(writer: Writer) -> None:
        lanes, size = TARGET.lanes(ITEMSIZE[dtype]), ITEMSIZE[dtype]
        first = writer.tile * writer.word(_CHUNK)
        count = lesser(writer.word(_WIDTH) - first, writer.word(_CHUNK))
        with writer.loop(0, writer.word(_POSITIONS)) as at:
            place = row_place(writer, index_dtype, parts, mode, at)
            source = writer.word(_UPDATES) + (at * writer.word(_WIDTH) + first) * size
            _combine(writer, dtype, lanes, source, writer.word(_OUT) + place + first * size, count, how)

    key = (dtype, index_dtype, parts, mode, how)
    return vector_kernel(f"scatter_{how}[{dtype}]", write, key, OUT_OF_RANGE)


def _combine(writer: Writer, dtype: str, lanes: int, source: Vec, target: Vec, count: Vec, how: str) -> None:
    """``target[:count] += source[:count]``, or as `how` says: whole vectors, then single elements."""
    size, combined = ITEMSIZE[dtype], _COMBINED[how]
    whole = count - count.remainder(lanes)
    with writer.loop(0, whole, lanes) as at:
        there, update = load(target + at * size, dtype, lanes), load(source + at * size, dtype, lanes)
        store(combined(there, update), target + at * size)
    with writer.loop(whole, count) as at:
        there, update = load(target + at * size, dtype), load(source + at * size, dtype)
        store(combined(there, update), target + at * size)


def _scatter(
    indices: Buffer,
    updates: Buffer,
    out: Buffer,
    parts: int,
    mode: str,
    threads: int,
    scratch: Scratch,
    how: str = "add",
) -> list[Row]:
    assert out.contiguous, "scattering needs a contiguous output"
    rows: list[Row] = []
    indices = contiguous_copy(indices, rows, threads, scratch)
    updates = contiguous_copy(updates, rows, threads, scratch)
    width = int(np.prod(out.shape[parts:], dtype=np.int64))
    positions = indices.size // parts
    strides = contiguous_strides(out.shape, out.dtype.itemsize)
    work = positions * (3.0 + 0.1 * width * out.dtype.itemsize)
    # Tiles own columns: every sum is made by one tile, in the order of the indices.
    tiles = min(threads, width // 64, int(work / WORTH_A_THREAD)) if threads > 1 else 1
    chunk = width if tiles <= 1 else -(-width // tiles // 16) * 16
    words: list[int | Address] = [
        updates.address,
        indices.address,
        out.address,
        positions,
        width,
        chunk,
        0,
        0,
    ]
    words += [w for i in range(parts) for w in (out.shape[i], strides[i])]
    kernel = _scatter_kernel(out.dtype.name, indices.dtype.name, parts, mode, how)
    return [*rows, Row(kernel, tuple(words), -(-width // chunk))]


def scatter_add_rows(
    indices: Buffer,
    updates: Buffer,
    out: Buffer,
    *,
    clear: bool = False,
    mode: str = "raise",
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """Rows for ``out[indices[i...], b...] += updates[i..., b...]``, the gradient of a gather along axis 0.

    Sums are made in the order of the indices whatever the number of threads. `out` is contiguous; with
    `clear` it is zeroed first. float32, float64, int32 or int64.
    """
    rows = fill_rows(out, 0, threads=threads, scratch=scratch) if clear else []
    if updates.size == 0 or out.size == 0:
        return rows
    return rows + _scatter(indices, updates, out, 1, mode, threads, scratch)


def scatter_rows(
    indices: Buffer,
    updates: Buffer,
    out: Buffer,
    how: str,
    *,
    mode: str = "raise",
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """Rows for ``out[indices[i...], b...] = updates[i..., b...]``, or what else `how` says.

    `how` is 'set' (the last one stays where an index is repeated), 'add', 'multiply', 'min' or 'max' (NaN
    where either is NaN); `out` is contiguous. bool for 'set', 'min' and 'max' only.
    """
    if updates.size == 0 or out.size == 0:
        return []
    return _scatter(indices, updates, out, 1, mode, threads, scratch, how)


@cache
def _range_kernel(dtype: str) -> Kernel:
    def write(writer: Writer) -> None:
        size = ITEMSIZE[dtype]
        with writer.loop(0, writer.word(2)) as at:
            index = load(writer.word(0) + at * size, dtype).cast("int64")
            index = checked(writer, index, writer.word(3), "raise")
            store(index.cast(dtype), writer.word(1) + at * size)

    return vector_kernel(f"in_range[{dtype}]", write, dtype, OUT_OF_RANGE)


def in_range_rows(indices: Buffer, out: Buffer, size: int, *, threads: int, scratch: Scratch) -> list[Row]:
    """Rows for ``out = indices`` counted from the front of an axis of `size`; an error for one outside."""
    if out.size == 0:
        return []
    rows: list[Row] = []
    indices = contiguous_copy(indices, rows, threads, scratch)
    target = out if out.contiguous else scratch(out.shape, out.dtype)
    words = (indices.address, target.address, out.size, size)
    rows.append(Row(_range_kernel(out.dtype.name), words, 1))
    return rows if target is out else rows + copy_rows(target, out, threads=threads, scratch=scratch)


def scatter_nd_add_rows(
    indices: Buffer,
    updates: Buffer,
    out: Buffer,
    *,
    clear: bool = False,
    mode: str = "raise",
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """Rows for ``out[(*indices[i...], b...)] += updates[i..., b...]``, the gradient of `gather_nd_rows`."""
    rows = fill_rows(out, 0, threads=threads, scratch=scratch) if clear else []
    if updates.size == 0 or out.size == 0:
        return rows
    return rows + _scatter(indices, updates, out, indices.shape[-1], mode, threads, scratch)


@cache
def along_kernel(dtype: str, index_dtype: str, add: bool, mode: str) -> Kernel:
    """Elements along an axis taken from, or (`add`) added to, the places that indices name."""

    def write(writer: Writer) -> None:
        size = extra_word(writer, 0)
        operands = [(index_dtype, "strided"), (dtype, "strided"), (dtype, "strided")]
        with each_row(writer, operands, 0) as ((indices, whole, picked), count), writer.loop(0, count) as at:
            index = checked(writer, load(indices.place(at), index_dtype).cast("int64"), size, mode)
            if add:
                place = whole.place(index)
                store(load(place, dtype) + load(picked.place(at), dtype), place)
            else:
                store(load(whole.place(index), dtype), picked.place(at))

    name = "scatter_add_along_axis" if add else "take_along_axis"
    return vector_kernel(f"{name}[{dtype}]", write, (dtype, index_dtype, add, mode), OUT_OF_RANGE)


def scatter_add_along_axis_rows(
    indices: Buffer,
    updates: Buffer,
    out: Buffer,
    axis: int,
    *,
    clear: bool = False,
    mode: str = "raise",
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """Rows for ``out[.., indices[.., j, ..], ..] += updates[.., j, ..]``, the gradient of taking."""
    axis %= len(out.shape)
    rows = fill_rows(out, 0, threads=threads, scratch=scratch) if clear else []
    if updates.size == 0 or out.size == 0:
        return rows
    kernel = along_kernel(out.dtype.name, indices.dtype.name, True, mode)
    cost = 5.0 + 2.0 * indices.shape[axis]
    return rows + row_nest(kernel, [indices, out, updates], axis, cost, threads, [out.shape[axis]])
