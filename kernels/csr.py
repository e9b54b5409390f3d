"""Sparse matrices in compressed rows (CSR): their products with dense matrices, and their dense form.

Row i holds ``values[bounds[i]:bounds[i + 1]]`` in the columns ``indices[bounds[i]:bounds[i + 1]]``, in any
order; numbers in one place add up. What `values` and `indices` hold behind the last bound is never read. A
bound or a column that is out of range ends a kernel with a status before anything outside is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from symgraph.kernels.copies import contiguous_copy, copy_rows, fill_rows
from symgraph.kernels.run.buffer import Buffer, Scratch, launch
from symgraph.kernels.run.integers import least, parted, share
from symgraph.kernels.run.jit import Kernel, numba_kernel
from symgraph.kernels.run.machine import Row
from symgraph.kernels.run.memory import clear_bytes, load_int
from symgraph.kernels.run.target import TARGET
from symgraph.kernels.tile.nest import Writer, load, store
from symgraph.kernels.tile.operand import WORTH_A_THREAD
from symgraph.kernels.tile.subscript import OUT_OF_RANGE
from symgraph.kernels.tile.vector import ITEMSIZE, Vec
from symgraph.kernels.tile.words import Word, filling, named, slot

# Vectors of columns that are held in registers while a row is walked, widest first.
_VECTORS = (8, 4, 2, 1)
# A tile of columns is made of whole cache lines, so that no two tiles write to one.
_CACHE_LINE = 64


class Sparse(NamedTuple):
    """The words of all three kernels: a sparse matrix, and the lines of numbers that its rows meet."""

    values: Word
    indices: Word
    bounds: Word
    # How many numbers there may be, and the matrix' rows and columns.
    stored: Word
    rows: Word
    depth: Word
    out: Word
    # From a row of the matrix to the next: bytes in the result and in the dense operand.
    out_line: Word = 0
    dense: Word = 0
    dense_line: Word = 0
    # From one line that stored columns tell to the next.
    step: Word = 0
    # Tiles: parts of the rows, and columns of a tile.
    parts_rows: Word = 1
    columns: Word = 1
    chunk: Word = 1
    # Bytes of the result that are zeros before a row's numbers are added.
    cleared: Word = 0
    size: Word = 4


class Numbers(NamedTuple):
    """The numbers of a row of the matrix, `count` of `values` and `indices`.

    Indices, below `depth`, tell lines of `columns` numbers, `step` apart: of `dense` or of `out`.
    """

    values: Word
    indices: Word
    count: Word
    depth: Word
    dense: Word
    out: Word
    step: Word
    columns: Word


words, walk_numbers = named(Sparse), slot(Numbers)


def walk_rows(operands, tile):
    """Rows of the matrix, one after the other, for some columns of the lines that they meet."""
    w = words(operands)
    part_columns, part_rows = parted(tile, w.parts_rows)
    start = part_columns * w.chunk
    first_row, end_row = share(part_rows, w.parts_rows, w.rows)
    for row in range(first_row, end_row):
        first, end = load_int(w.bounds + 8 * row), load_int(w.bounds + 8 * row + 8)
        if (first < 0) | (first > end) | (end > w.stored):
            return 1
        dense, out = w.dense + row * w.dense_line, w.out + row * w.out_line
        if w.cleared != 0:
            clear_bytes(out, w.cleared)
        status = walk_numbers(
            Numbers(
                values=w.values + first * w.size,
                indices=w.indices + first * 4,
                count=end - first,
                depth=w.depth,
                dense=dense + start * w.size,
                out=out + start * w.size,
                step=w.step,
                columns=least(w.chunk, w.columns - start),
            )
        )
        if status != 0:
            return status
    return 0


def _column(writer: Writer, numbers: Numbers, at: Vec) -> Vec:
    """The column of stored number `at`."""
    column = load(numbers.indices + at * 4, "int32").cast("int64")
    # Taken as unsigned, a negative number is larger than any size.
    writer.leave(column.unsigned() >= numbers.depth.unsigned(), 1)
    return column


def _in_blocks(writer: Writer, dtype: str, columns: Vec, block: Callable[[int, Sequence[Vec]], None]) -> None:
    """Write ``block(lanes, offsets)`` for all columns.

    A block is of vectors of as many lanes each (0: a single number), `offsets` bytes from the first column:
    wide ones as far as they go, then narrower ones, so that no lane is masked.
    """
    size = ITEMSIZE[dtype]
    lanes = TARGET.lanes(size)

    def blocks(done: Vec, count: int, width: int) -> Vec:
        """Blocks of `count` vectors from column `done` on; the first column behind them."""
        end = columns - ((columns - done) & (count * width - 1))
        with writer.loop(done, end, count * width) as column:
            block(width if width > 1 else 0, [(column + k * width) * size for k in range(count)])
        return end

    # Lines that are narrow, or whole vectors, jump over the others.
    whole, done = columns - (columns & (lanes - 1)), writer.integer(0)
    with writer.when(whole > 0):
        for count in _VECTORS:
            done = blocks(done, count, lanes)
    with writer.when(whole < columns):
        done = whole
        for k in range(1, lanes.bit_length()):
            done = blocks(done, 1, lanes >> k)


@dataclass(frozen=True, slots=True)
class Dot:
    """``out = sum over p of values[p] * dense[indices[p]]``: fills a slot of `Numbers`."""

    dtype: str

    def __call__(self, writer: Writer, numbers: Numbers) -> None:
        """Write the code."""
        dtype, size = self.dtype, ITEMSIZE[self.dtype]

        def block(lanes: int, offsets: Sequence[Vec]) -> None:
            sums = [writer.variable(writer.zero(dtype, lanes)) for _ in offsets]
            with writer.loop(0, numbers.count) as at:
                source = numbers.dense + _column(writer, numbers, at) * numbers.step
                value = writer.splat(load(numbers.values + at * size, dtype), lanes)
                for total, offset in zip(sums, offsets, strict=True):
                    total.set(value.multiply_add(load(source + offset, dtype, lanes), total.get()))
            for total, offset in zip(sums, offsets, strict=True):
                store(total.get(), numbers.out + offset)

        _in_blocks(writer, dtype, numbers.columns, block)


@dataclass(frozen=True, slots=True)
class TransposedDot:
    """``out[indices[p]] += values[p] * dense`` for every p: fills a slot of `Numbers`."""

    dtype: str

    def __call__(self, writer: Writer, numbers: Numbers) -> None:
        """Write the code."""
        dtype, size = self.dtype, ITEMSIZE[self.dtype]

        def block(lanes: int, offsets: Sequence[Vec]) -> None:
            factors = [load(numbers.dense + offset, dtype, lanes) for offset in offsets]
            with writer.loop(0, numbers.count) as at:
                target = numbers.out + _column(writer, numbers, at) * numbers.step
                value = writer.splat(load(numbers.values + at * size, dtype), lanes)
                for factor, offset in zip(factors, offsets, strict=True):
                    before = load(target + offset, dtype, lanes)
                    store(value.multiply_add(factor, before), target + offset)

        _in_blocks(writer, dtype, numbers.columns, block)


@dataclass(frozen=True, slots=True)
class Scatter:
    """``out[indices[p]] += values[p]`` for every p: fills a slot of `Numbers`."""

    dtype: str

    def __call__(self, writer: Writer, numbers: Numbers) -> None:
        """Write the code."""
        size = ITEMSIZE[self.dtype]
        with writer.loop(0, numbers.count) as at:
            target = numbers.out + _column(writer, numbers, at) * size
            value = load(numbers.values + at * size, self.dtype)
            store(load(target, self.dtype) + value, target)


@cache
def _kernel(name: str, filled: Dot | TransposedDot | Scatter) -> Kernel:
    slots = dict([filling(Numbers, filled)])
    return numba_kernel(f"{name}[{filled.dtype}]", walk_rows, filled, OUT_OF_RANGE, slots, Sparse)


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
    size = out.dtype.itemsize
    sparse = Sparse(
        values=values.address,
        indices=indices.address,
        bounds=bounds.address,
        stored=values.size,
        rows=count,
        depth=out.shape[0] if transpose else dense.shape[0],
        out=target.address,
        dense=dense.address,
        columns=columns,
        size=size,
    )
    if transpose:
        # Tiles own columns: every sum is made by one tile, in the order of the stored numbers.
        line = _CACHE_LINE // size
        parts = _tiles(-(-columns // line), work, threads)
        chunk = -(-columns // min(parts, threads) // line) * line
        sparse = sparse._replace(dense_line=dense.strides[0], step=columns * size, chunk=chunk)
        kernel, tiles = _kernel("csr_dot_transposed", TransposedDot(out.dtype.name)), -(-columns // chunk)
        rows += fill_rows(target, 0, threads=threads, scratch=scratch)
    else:
        kernel, tiles = _kernel("csr_dot", Dot(out.dtype.name)), _tiles(count, work, threads)
        sparse = sparse._replace(
            out_line=columns * size, step=dense.strides[0], chunk=columns, parts_rows=tiles
        )
    rows.append(Row(kernel, sparse, tiles))
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
    size = out.dtype.itemsize
    sparse = Sparse(
        values=values.address,
        indices=indices.address,
        bounds=bounds.address,
        stored=values.size,
        rows=count,
        depth=depth,
        out=target.address,
        out_line=depth * size,
        parts_rows=tiles,
        cleared=depth * size,
        size=size,
    )
    rows.append(Row(_kernel("csr_to_dense", Scatter(out.dtype.name)), sparse, tiles))
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
    whole = [np.issubdtype(x.dtype, np.integer) for x in (indices, bounds)]
    # An empty array is one of floats where nothing else is said.
    if not (whole[0] or indices.size == 0) or not whole[1]:
        raise TypeError(
            f"csr: expected whole numbers in indices and bounds, got {indices.dtype} and {bounds.dtype}"
        )
    # What does not fit would come out as a column that is there; the kernel refuses -1.
    limits = np.iinfo(np.int32)
    fitting = (indices >= limits.min) & (indices <= limits.max)
    return values, np.where(fitting, indices, -1).astype(np.int32), bounds.astype(np.int64)


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
