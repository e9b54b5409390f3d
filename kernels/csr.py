"""Sparse matrices in compressed rows (CSR): their products with dense matrices, and their dense form.

Row i holds ``values[bounds[i]:bounds[i + 1]]`` in the columns ``indices[bounds[i]:bounds[i + 1]]``, in any
order; numbers in one place add up. What `values` and `indices` hold behind the last bound is never read. A
bound or a column that is out of range ends a kernel with a status before anything outside is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from types import SimpleNamespace

import numpy as np
from llvmlite import ir

from symgraph.kernels.copies import contiguous_copy, copy_rows, fill_rows
from symgraph.kernels.run.buffer import Buffer, Scratch, launch
from symgraph.kernels.run.jit import INT, Kernel, ir_kernel
from symgraph.kernels.run.machine import Row
from symgraph.kernels.run.target import TARGET
from symgraph.kernels.tile.emit import I32, Code, Int, alignment, float_type, zero
from symgraph.kernels.tile.operand import WORTH_A_THREAD
from symgraph.kernels.tile.subscript import OUT_OF_RANGE

# The matrix, as every kernel gets it, then what else there is: a dense operand, the result, the tiles' share.
_WORDS = ("values", "indices", "bounds", "stored", "rows", "depth", "dense", "dense_row", "out", "out_row",
          "columns", "tiles", "chunk")  # fmt: skip
# Vectors of columns that are held in registers while a row is walked, widest first.
_VECTORS = (8, 4, 2, 1)
# A tile of columns is made of whole cache lines, so that no two tiles write to one.
_CACHE_LINE = 64


def _start(builder: ir.IRBuilder, function: ir.Function) -> tuple[Code, SimpleNamespace]:
    code = Code(builder, function)
    return code, code.words(_WORDS)


def _refuse(code: Code, wrong: ir.Value) -> None:
    with code.when(wrong):
        code.builder.ret(INT(1))


def _row(code: Code, w: SimpleNamespace, row: Int) -> tuple[Int, Int]:
    """First and end of what a row stores."""
    first, end = (Int(code, code.load(w.bounds + (row + k) * 8, INT)) for k in (0, 1))
    builder = code.builder
    _refuse(code, builder.or_(builder.or_(first < 0, first > end), end > w.stored))
    return first, end


def _column(code: Code, w: SimpleNamespace, at: Int) -> Int:
    """The column of stored number `at`."""
    column = Int(code, code.builder.sext(code.load(w.indices + at * 4, I32), INT))
    # Taken as unsigned, a negative number is larger than any size.
    _refuse(code, code.builder.icmp_unsigned(">=", column.value, w.depth.value))
    return column


def _spread(code: Code, w: SimpleNamespace, at: Int, kind: ir.VectorType) -> ir.Value:
    """Stored number `at` in every lane of a vector."""
    return code.splat(code.load(w.values + at * alignment(kind), kind.element), kind.count)


def _element(dtype: str) -> ir.Type:
    """The LLVM type of a float or an integer."""
    kind = np.dtype(dtype)
    return float_type(kind) if kind.kind == "f" else ir.IntType(8 * kind.itemsize)


def _in_blocks(code: Code, dtype: str, first: Int, end: Int, block: Callable[..., None]) -> None:
    """Write ``block(kind, column, offsets)`` for all columns of [first, end).

    A block is of vectors of one kind, `offsets` bytes behind its first column: wide ones as far as they go,
    then narrower ones, so that no lane is masked.
    """
    element, size = _element(dtype), np.dtype(dtype).itemsize
    lanes, done = TARGET.lanes(size), first
    sizes = [(count, lanes) for count in _VECTORS] + [(1, lanes >> k) for k in range(1, lanes.bit_length())]
    for count, width in sizes:
        whole = end - (end - done) % (count * width)
        with code.loop(whole, done, count * width) as column:
            block(ir.VectorType(element, width), column, [k * width * size for k in range(count)])
        done = whole


@cache
def _dot_kernel(dtype: str) -> Kernel:
    """``out[i] = sum over p of row i of values[p] * dense[indices[p]]``; tiles own rows."""
    size = np.dtype(dtype).itemsize

    def emit(builder: ir.IRBuilder, function: ir.Function) -> None:
        code, w = _start(builder, function)
        start, stop = code.share(code.tile, w.tiles, w.rows)
        with code.loop(stop, start) as row:
            first, end = _row(code, w, row)

            def block(kind: ir.VectorType, column: Int, offsets: list[int]) -> None:
                sums = [code.variable(kind) for _ in offsets]
                for total in sums:
                    builder.store(zero(kind), total)
                with code.loop(end, first) as at:
                    source = w.dense + _column(code, w, at) * w.dense_row + column * size
                    value = _spread(code, w, at, kind)
                    for total, offset in zip(sums, offsets, strict=True):
                        factor = code.load(source + offset, kind)
                        builder.store(code.multiply_add(value, factor, builder.load(total)), total)
                target = w.out + row * w.out_row + column * size
                for total, offset in zip(sums, offsets, strict=True):
                    code.store(builder.load(total), target + offset)

            _in_blocks(code, dtype, code.number(0), w.columns, block)
        code.finish()

    return ir_kernel(f"csr_dot[{dtype}]", emit, (dtype,), OUT_OF_RANGE)


@cache
def _transposed_kernel(dtype: str) -> Kernel:
    """``out[indices[p]] += values[p] * dense[i]`` for every p of every row i; tiles own columns.

    So every sum is made by one tile, in the order of the stored numbers.
    """
    size = np.dtype(dtype).itemsize

    def emit(builder: ir.IRBuilder, function: ir.Function) -> None:
        code, w = _start(builder, function)
        start = code.tile * w.chunk
        stop = code.minimum(start + w.chunk, w.columns)
        with code.loop(w.rows) as row:
            first, end = _row(code, w, row)

            def block(kind: ir.VectorType, column: Int, offsets: list[int]) -> None:
                source = w.dense + row * w.dense_row + column * size
                factors = [code.load(source + offset, kind) for offset in offsets]
                with code.loop(end, first) as at:
                    target = w.out + _column(code, w, at) * w.out_row + column * size
                    value = _spread(code, w, at, kind)
                    for factor, offset in zip(factors, offsets, strict=True):
                        before = code.load(target + offset, kind)
                        code.store(code.multiply_add(value, factor, before), target + offset)

            _in_blocks(code, dtype, start, stop, block)
        code.finish()

    return ir_kernel(f"csr_dot_transposed[{dtype}]", emit, (dtype,), OUT_OF_RANGE)


@cache
def _dense_kernel(dtype: str) -> Kernel:
    """``out[i] = 0; out[i, indices[p]] += values[p]``; tiles own rows."""
    size, is_float, kind = np.dtype(dtype).itemsize, np.dtype(dtype).kind == "f", _element(dtype)

    def emit(builder: ir.IRBuilder, function: ir.Function) -> None:
        code, w = _start(builder, function)
        add = builder.fadd if is_float else builder.add
        start, stop = code.share(code.tile, w.tiles, w.rows)
        with code.loop(stop, start) as row:
            first, end = _row(code, w, row)
            line = w.out + row * w.out_row
            code.clear(line, w.depth * size)
            with code.loop(end, first) as at:
                target = line + _column(code, w, at) * size
                value = code.load(w.values + at * size, kind)
                code.store(add(code.load(target, kind), value), target)
        code.finish()

    return ir_kernel(f"csr_to_dense[{dtype}]", emit, (dtype,), OUT_OF_RANGE)


def _tiles(parts: int, work: float, threads: int) -> int:
    """Tiles for `parts` rows that take `work` ns: several a thread, since rows are not equally full."""
    return 1 if threads == 1 else max(1, min(parts, 8 * threads, int(work / WORTH_A_THREAD)))


def _with_lines(x: Buffer, rows: list[Row], threads: int, scratch: Scratch) -> Buffer:
    """A matrix whose lines are contiguous: `x`, or a copy that `rows` make."""
    size = x.dtype.itemsize
    fits = x.strides[1] == size and x.strides[0] >= 0
    return x if fits else contiguous_copy(x, rows, threads, scratch)


def csr_dot_rows(
    values: Buffer,
    indices: Buffer,
    bounds: Buffer,
    dense: Buffer,
    out: Buffer,
    *,
    transpose: bool = False,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """Rows for ``out = A @ dense``, or ``A.T @ dense``, with a sparse A.

    Parameters
    ----------
    values, indices, bounds : Buffer
        A: [stored] of float32, float64, int32 or int64, int32 [stored] and int64 [rows + 1].
    dense, out : Buffer
        Matrices of the dtype of `values`, any strides. The sums are the same for any number of threads; those
        of integers wrap around.
    """
    rows: list[Row] = []
    if out.size == 0:
        return rows
    values, indices, bounds = (contiguous_copy(x, rows, threads, scratch) for x in (values, indices, bounds))
    dense = _with_lines(dense, rows, threads, scratch)
    target = out if out.contiguous else scratch(out.shape, out.dtype)
    count, columns = bounds.size - 1, out.shape[1]
    work = values.size * (2.0 + 0.1 * columns)
    if transpose:
        line = _CACHE_LINE // out.dtype.itemsize
        parts = _tiles(-(-columns // line), work, threads)
        chunk = -(-columns // min(parts, threads) // line) * line
        kernel, tiles, depth = _transposed_kernel(out.dtype.name), -(-columns // chunk), out.shape[0]
        rows += fill_rows(target, 0, threads=threads, scratch=scratch)
    else:
        kernel, tiles, depth = _dot_kernel(out.dtype.name), _tiles(count, work, threads), dense.shape[0]
        chunk = columns
    operands = (
        values.address, indices.address, bounds.address, values.size, count, depth, dense.address,
        dense.strides[0], target.address, columns * out.dtype.itemsize, columns, tiles, chunk,
    )  # fmt: skip
    rows.append(Row(kernel, operands, tiles))
    if target is not out:
        rows += copy_rows(target, out, threads=threads, scratch=scratch)
    return rows


def csr_to_dense_rows(
    values: Buffer, indices: Buffer, bounds: Buffer, out: Buffer, *, threads: int, scratch: Scratch
) -> list[Row]:
    """Rows for the dense form of a sparse matrix: float32, float64, int32 or int64, any strides."""
    rows: list[Row] = []
    if out.size == 0:
        return rows
    values, indices, bounds = (contiguous_copy(x, rows, threads, scratch) for x in (values, indices, bounds))
    target = out if out.contiguous else scratch(out.shape, out.dtype)
    count, depth = out.shape
    tiles = _tiles(count, 2.0 * values.size + 0.03 * out.nbytes, threads)
    operands = (
        values.address, indices.address, bounds.address, values.size, count, depth, 0, 0, target.address,
        depth * out.dtype.itemsize, depth, tiles, 0,
    )  # fmt: skip
    rows.append(Row(_dense_kernel(out.dtype.name), operands, tiles))
    if target is not out:
        rows += copy_rows(target, out, threads=threads, scratch=scratch)
    return rows


_DTYPES = ("float32", "float64", "int32", "int64")


def _checked(
    values: np.ndarray, indices: np.ndarray, bounds: np.ndarray, dtypes: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The three arrays in the dtypes that kernels take."""
    if values.dtype.name not in dtypes:
        raise TypeError(f"csr: expected values of dtype {' or '.join(dtypes)}, got {values.dtype}")
    if values.ndim != 1 or values.shape != indices.shape or bounds.ndim != 1 or not bounds.size:
        raise ValueError(
            f"csr: expected values [n], indices [n] and bounds [rows + 1], got shapes {values.shape}, "
            f"{indices.shape} and {bounds.shape}"
        )
    return values, indices.astype(np.int32), bounds.astype(np.int64)


def csr_dot(
    values: np.ndarray,
    indices: np.ndarray,
    bounds: np.ndarray,
    dense: np.ndarray,
    transpose: bool = False,
    columns: int | None = None,
    threads: int | None = None,
) -> np.ndarray:
    """``A @ dense`` (or ``A.T @ dense``, for A with `columns` columns) on numpy arrays of one dtype.

    float32, float64, int32 or int64. ValueError or TypeError for arrays that do not fit, `KernelError` for a
    column that A does not have.
    """
    values, indices, bounds = _checked(values, indices, bounds, _DTYPES)
    rows = len(bounds) - 1
    if (
        dense.ndim != 2
        or dense.dtype != values.dtype
        or (transpose and (len(dense) != rows or columns is None))
    ):
        raise ValueError(
            f"csr_dot: {dense.dtype} array of shape {dense.shape} does not fit {rows} sparse rows"
        )
    count = columns if transpose and columns is not None else rows
    out = np.empty((count, dense.shape[1]), values.dtype)
    launch(csr_dot_rows, values, indices, bounds, dense, out, threads=threads, transpose=transpose)
    return out


def csr_to_dense(
    values: np.ndarray, indices: np.ndarray, bounds: np.ndarray, columns: int, threads: int | None = None
) -> np.ndarray:
    """The dense form, with `columns` columns, of a sparse matrix given as numpy arrays.

    ValueError or TypeError for arrays that do not fit, `KernelError` for a column out of range.
    """
    values, indices, bounds = _checked(values, indices, bounds, _DTYPES)
    out = np.empty((len(bounds) - 1, columns), values.dtype)
    launch(csr_to_dense_rows, values, indices, bounds, out, threads=threads)
    return out
