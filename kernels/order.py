"""Kernels that go along one axis in order: places of extremes, the k greatest, running sums and products."""

from __future__ import annotations

from functools import cache

import numpy as np

from symgraph.kernels.run.buffer import Buffer, Scratch, launch
from symgraph.kernels.run.jit import Kernel
from symgraph.kernels.run.machine import Row
from symgraph.kernels.tile.builder import lane_order, undefined
from symgraph.kernels.tile.nest import Writer, load, natural_lanes, store, vector_kernel
from symgraph.kernels.tile.operand import CONTIGUOUS, Operand, each_row, extra_word, row_access, row_nest
from symgraph.kernels.tile.reduction import accumulator_dtype
from symgraph.kernels.tile.vector import Vec, highest, lowest, repeat_while, where


def _better(kind: str, a: Vec, b: Vec) -> Vec:
    """Whether `a` comes strictly before `b`: greater (or less), and NaN before all numbers."""
    first = a > b if kind == "argmax" else a < b
    return first | (a.is_nan() & ~b.is_nan())


def _halves(value: Vec) -> tuple[Vec, Vec]:
    half = value.lanes // 2
    parts = []
    for start in (0, half):
        lanes = lane_order(range(start, start + half))
        empty = undefined(value.value.type)
        parts.append(Vec(value.builder, value.builder.shuffle_vector(value.value, empty, lanes), value.dtype))
    return parts[0], parts[1]


def _first_best(kind: str, value: Vec, index: Vec) -> Vec:
    """The index of the best lane; the lowest of equals."""
    while value.lanes > 1:
        (a, b), (i, j) = _halves(value), _halves(index)
        same = a.equals(b) | (a.is_nan() & b.is_nan())
        second = _better(kind, b, a) | (same & (j < i))
        value, index = where(second, b, a), where(second, j, i)
    return index.lane(0)


@cache
def _argreduce_kernel(kind: str, dtype: str, access: str, lanes: int) -> Kernel:
    stored = dtype
    dtype = "uint8" if dtype == "bool" else dtype

    def write(writer: Writer) -> None:
        worst = lowest(dtype) if kind == "argmax" else highest(dtype)
        numbers = writer.lane_numbers(lanes, "int64")
        with each_row(writer, [(stored, access), ("int64", CONTIGUOUS)], lanes) as ((x, out), count):
            best = writer.variable(writer.splat(writer.integer(0).constant(worst, dtype), lanes))
            where_best = writer.variable(numbers)
            with writer.loop(0, count, lanes) as at:
                mask = writer.tail_mask(count - at, lanes)
                full = (at + lanes <= count).value
                (value,) = writer.choose(full, lambda: [x.read(at)], lambda: [x.read(at, mask)])
                value = value.cast(dtype)
                better = mask & _better(kind, value, best.get())
                best.set(where(better, value, best.get()))
                where_best.set(where(better, numbers + writer.splat(at, lanes), where_best.get()))
            store(_first_best(kind, best.get(), where_best.get()), out.place(writer.integer(0)))

    return vector_kernel(f"{kind}[{dtype}]", write, (kind, stored, access, lanes))


# Vectors of neighbouring results that an axis is walked along for at once, and elements of a tile's line.
_BLOCK, _LINE = 4, 512


@cache
def _argreduce_columns_kernel(kind: str, dtype: str, lanes: int) -> Kernel:
    """The inner axis is kept: every lane has a result of its own. Extra words: the axis' size and stride."""
    stored = dtype
    dtype = "uint8" if dtype == "bool" else dtype

    def write(writer: Writer) -> None:
        worst = lowest(dtype) if kind == "argmax" else highest(dtype)
        size, stride = extra_word(writer, 0), extra_word(writer, 1)

        def results(x: Operand, out: Operand, at: Vec, block: int, mask: Vec | None) -> None:
            zero = writer.integer(0)
            best = [writer.variable(writer.splat(zero.constant(worst, dtype), lanes)) for _ in range(block)]
            place = [writer.variable(writer.splat(zero.cast("int32"), lanes)) for _ in range(block)]
            with writer.loop(0, size) as i:
                number = writer.splat(i.cast("int32"), lanes)
                for k in range(block):
                    address = x.place(at + k * lanes) + i * stride
                    value = load(address, stored, lanes, mask).cast(dtype)
                    better = _better(kind, value, best[k].get())
                    best[k].set(where(better, value, best[k].get()))
                    place[k].set(where(better, number, place[k].get()))
            for k in range(block):
                out.write(place[k].get().cast("int64"), at + k * lanes, mask)

        with each_row(writer, [(stored, CONTIGUOUS), ("int64", CONTIGUOUS)], lanes) as ((x, out), count):
            whole = count - count.remainder(_BLOCK * lanes)
            with writer.loop(0, whole, _BLOCK * lanes) as at:
                results(x, out, at, _BLOCK, None)
            with writer.loop(whole, count, lanes) as at:
                results(x, out, at, 1, writer.tail_mask(count - at, lanes))

    return vector_kernel(f"{kind}[{dtype}, columns]", write, (kind, stored, lanes))


def _argreduce_columns(
    kind: str, x: Buffer, out: Buffer, axis: int, lanes: int, threads: int
) -> list[Row] | None:
    """Rows where a kept axis is contiguous in both buffers; None where none is, or it is short."""
    shape = x.shape[:axis] + x.shape[axis + 1 :]
    strides = x.strides[:axis] + x.strides[axis + 1 :]
    inner = [
        a
        for a, size in enumerate(shape)
        if size >= lanes and strides[a] == x.dtype.itemsize and out.strides[a] == out.dtype.itemsize
    ]
    if not inner or x.shape[axis] >= 2**31:
        return None
    size = shape[inner[0]]
    # Long lines in pieces, for more tiles than one.
    piece = _LINE if size % _LINE == 0 else size
    lines = [
        Buffer(
            b.base,
            b.offset,
            (*shape[: inner[0]], size // piece, *shape[inner[0] + 1 :], piece),
            (*s[: inner[0]], piece * b.dtype.itemsize, *s[inner[0] + 1 :], b.dtype.itemsize),
            b.dtype,
        )
        for b, s in ((x, strides), (out, out.strides))
    ]
    kernel = _argreduce_columns_kernel(kind, x.dtype.name, lanes)
    cost = piece * x.shape[axis] * x.dtype.itemsize * 0.1
    return row_nest(kernel, lines, len(shape), cost, threads, (x.shape[axis], x.strides[axis]))


def argreduce_rows(
    kind: str, x: Buffer, out: Buffer, axis: int, *, threads: int, scratch: Scratch
) -> list[Row]:
    """Rows for the index of the greatest or least element along an axis.

    Parameters
    ----------
    kind : {'argmax', 'argmin'}
    x : Buffer
        Any dtype and strides; the axis must not be empty. NaN wins, and the first of equals.
    out : Buffer
        int64, the axes of `x` without `axis`.
    """
    axis %= len(x.shape)
    if out.size == 0:
        return []
    dtype, access = row_access(x, axis)
    lanes = natural_lanes([dtype, "int32"], access != CONTIGUOUS)
    if access != CONTIGUOUS:
        rows = _argreduce_columns(kind, x, out, axis, lanes, threads)
        if rows is not None:
            return rows
    kernel = _argreduce_kernel(kind, dtype, access, lanes)
    cost = 20.0 + x.shape[axis] * x.dtype.itemsize * (0.1 if access == CONTIGUOUS else 0.4)
    return row_nest(kernel, [x, _with_axis(out, axis)], axis, cost, threads)


def _with_axis(out: Buffer, axis: int) -> Buffer:
    """`out` with an axis of length 1 put in."""
    shape = (*out.shape[:axis], 1, *out.shape[axis:])
    strides = (*out.strides[:axis], out.dtype.itemsize, *out.strides[axis:])
    return Buffer(out.base, out.offset, shape, strides, out.dtype)


@cache
def _cumulative_kernel(kind: str, dtype: str) -> Kernel:
    def write(writer: Writer) -> None:
        wide = accumulator_dtype(kind[3:], dtype)
        with each_row(writer, [(dtype, "strided")] * 2, 0) as ((x, out), count):
            total = writer.variable(writer.integer(0).constant(0 if kind == "cumsum" else 1, wide))
            with writer.loop(0, count) as at:
                value = load(x.place(at), dtype).cast(wide)
                total.set(total.get() + value if kind == "cumsum" else total.get() * value)
                store(total.get().cast(dtype), out.place(at))

    return vector_kernel(f"{kind}[{dtype}]", write, (kind, dtype))


def cumulative_rows(
    kind: str, x: Buffer, out: Buffer, axis: int, *, threads: int, scratch: Scratch
) -> list[Row]:
    """Rows for running sums or products along an axis.

    Parameters
    ----------
    kind : {'cumsum', 'cumprod'}
    x, out : Buffer
        One shape and dtype, any strides; `out` may be `x`. Float32 is accumulated in float64.
    """
    axis %= len(x.shape)
    if x.size == 0:
        return []
    return row_nest(
        _cumulative_kernel(kind, x.dtype.name), [x, out], axis, 5.0 + 1.5 * x.shape[axis], threads
    )


@cache
def _top_k_kernel(dtype: str) -> Kernel:
    def write(writer: Writer) -> None:
        operands = [(dtype, "strided")] * 2 + [("int32", "strided")]
        k = extra_word(writer, 0)
        with each_row(writer, operands, 0) as ((x, values, indices), count), writer.loop(0, count) as at:
            _insert(writer, x, values, indices, at, k)

    return vector_kernel(f"top_k[{dtype}]", write, dtype)


def _insert(writer: Writer, x: Operand, values: Operand, indices: Operand, at: Vec, k: Vec) -> None:
    """Put element `at` into the sorted list of at most `k` that the outputs hold so far."""
    builder = writer.builder
    value = load(x.place(at), x.dtype)
    full = at >= k
    filled = Vec(builder, builder.select(full.value, k.value, at.value), "int64")
    # A full list is entered only by what beats its last element, which falls out.
    last = load(values.place(where(full, k - 1, 0)), x.dtype)
    with writer.when(~full | _better("argmax", value, last)):
        start = where(full, k - 1, filled)

        def smaller_before(j: Vec) -> Vec:
            before = load(values.place(where(j > 0, j - 1, 0)), x.dtype)
            return (j > 0) & _better("argmax", value, before)

        def move(j: Vec) -> list[Vec]:
            for operand in (values, indices):
                store(load(operand.place(j - 1), operand.dtype), operand.place(j))
            return [j - 1]

        (place,) = repeat_while(smaller_before, move, [start])
        store(value, values.place(place))
        store(at.cast("int32"), indices.place(place))


def top_k_rows(
    x: Buffer, values: Buffer, indices: Buffer, k: int, *, threads: int, scratch: Scratch
) -> list[Row]:
    """Rows for the `k` greatest elements along the last axis, in falling order.

    Parameters
    ----------
    x : Buffer
        Any dtype and strides; NaN counts as greatest, and of equals the lower index comes first.
    values : Buffer
        ``[..., k]`` of x's dtype.
    indices : Buffer
        ``[..., k]`` int32.
    k : int
        At most the length of the last axis.
    """
    if k == 0 or values.size == 0:
        return []
    axis = len(x.shape) - 1
    return row_nest(
        _top_k_kernel(x.dtype.name), [x, values, indices], axis, 10.0 + 2.0 * x.shape[axis], threads, [k]
    )


def argreduce(kind: str, x: np.ndarray, axis: int = -1, threads: int | None = None) -> np.ndarray:
    """Index of the greatest (argmax) or least (argmin) element of a numpy array along an axis."""
    axis %= x.ndim
    out = np.empty(x.shape[:axis] + x.shape[axis + 1 :], "int64")
    launch(lambda x, out, **options: argreduce_rows(kind, x, out, axis, **options), x, out, threads=threads)
    return out


def cumulative(kind: str, x: np.ndarray, axis: int = -1, threads: int | None = None) -> np.ndarray:
    """Running sums (cumsum) or products (cumprod) of a numpy array along an axis."""
    out = np.empty_like(x)
    launch(lambda x, out, **options: cumulative_rows(kind, x, out, axis, **options), x, out, threads=threads)
    return out


def top_k(x: np.ndarray, k: int, threads: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The `k` greatest elements along the last axis of a numpy array, and their int32 indices."""
    values = np.empty((*x.shape[:-1], k), x.dtype)
    indices = np.empty(values.shape, "int32")
    launch(top_k_rows, x, values, indices, threads=threads, k=k)
    return values, indices
