"""Sparse matrices in compressed rows: products with dense matrices, and their dense form.

A matrix is three tensors: `values` [stored], `indices` int32 [stored], the columns of the values, and
`bounds` int64 [rows + 1]; row i holds the values from bounds[i] to bounds[i + 1]. What lies behind the last
bound is not read, so arrays of few lengths do for matrices with any number of values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from symgraph.graph.dims import Dim, shape_text
from symgraph.graph.op import Op, Sample
from symgraph.graph.ops.elementwise import cast
from symgraph.graph.ops.shape import concatenate, reshape
from symgraph.graph.ops.slicing import slice_axis
from symgraph.graph.sparse import Csr, SparseTensor
from symgraph.graph.strict import check_widening
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import FLOATS, TensorType, promote
from symgraph.kernels.csr import csr_dot_rows, csr_to_dense_rows
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.machine import Row

_ADDED = ("int32", "int64", *FLOATS)
"""The dtypes that numbers of one place can be added in."""


def _rows(bounds: Any) -> Dim:
    rows: Dim = bounds.shape[0] - 1
    return rows


@dataclass(frozen=True)
class CsrOp(Op):
    """An op whose first inputs are the values, indices and bounds of a matrix with `columns` columns."""

    columns: Dim
    abstract: ClassVar[bool] = True

    def _check(self, types: Sequence[Any], dtypes: Sequence[str]) -> None:
        values, indices, bounds = types[:3]
        if values.dtype not in dtypes or indices.dtype != "int32" or bounds.dtype != "int64":
            raise TypeError(
                f"{self}: expected values of dtype {' or '.join(dtypes)}, int32 indices and int64 bounds, "
                f"got {values.dtype}, {indices.dtype} and {bounds.dtype}"
            )
        sizes = [t.shape[0] for t in (values, indices) if t.ndim == 1 and isinstance(t.shape[0], int)]
        if {t.ndim for t in types[:3]} != {1} or len(set(sizes)) > 1 or bounds.shape[0] == 0:
            raise ValueError(
                f"{self}: expected an index for each value and bounds [rows + 1], got {values}, {indices} "
                f"and {bounds}"
            )

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """A column for every value."""
        if types[0].shape[0] != types[1].shape[0]:
            yield types[0].shape[0], types[1].shape[0]

    @staticmethod
    def _stored(arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Values, and the row and the column of each."""
        values, indices, bounds = arrays[:3]
        rows = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
        return values[: len(rows)], rows, indices[: len(rows)]


@dataclass(frozen=True)
class CsrDot(CsrOp):
    """``A @ dense``, or ``A.T @ dense`` where `transpose`, for a sparse A of `columns` columns."""

    transpose: bool = False

    def __str__(self) -> str:
        return "csr_dot[transposed]" if self.transpose else "csr_dot"

    def infer(self, *types: Any) -> TensorType:
        """[rows, N], or [columns, N]."""
        self._check(types, _ADDED)
        dense, (needed, count) = types[3], self._sizes(types[2])
        if dense.dtype != types[0].dtype:
            raise TypeError(f"{self}: expected two of one dtype, got {types[0].dtype} and {dense.dtype}")
        known = dense.ndim == 2 and isinstance(dense.shape[0], int) and isinstance(needed, int)
        if dense.ndim != 2 or (known and dense.shape[0] != needed):
            raise ValueError(
                f"{self}: expected a dense matrix with {needed} rows, got shape {shape_text(dense.shape)}"
            )
        return TensorType(dense.dtype, (count, dense.shape[1]))

    def _sizes(self, bounds: Any) -> tuple[Dim, Dim]:
        """Rows that the dense operand has to have, and rows of the result."""
        rows = _rows(bounds)
        return (rows, self.columns) if self.transpose else (self.columns, rows)

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """Sizes that meet."""
        yield from super().requires(*types)
        needed, _ = self._sizes(types[2])
        if needed != types[3].shape[0]:
            yield needed, types[3].shape[0]

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """To the dense operand: the product of the gradient with the other of A and A.T. To A: none."""
        other = CsrDot(self.columns, not self.transpose)
        return None, None, None, other(*inputs[:3], grad)

    def reference(self, *arrays: Any) -> Any:
        """One product of a value and a line after another; of floats in float64."""
        values, rows, columns = self._stored(arrays)
        dense = arrays[3].astype(np.float64) if arrays[3].dtype.kind == "f" else arrays[3]
        targets, sources = (columns, rows) if self.transpose else (rows, columns)
        shape = self.columns if self.transpose else len(arrays[2]) - 1, dense.shape[1]
        out = np.zeros(shape, dense.dtype)
        np.add.at(out, targets, values[:, None].astype(dense.dtype) * dense[sources])
        return out.astype(arrays[3].dtype)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """A multiply and an add per value, as many as there is room for, and column."""
        return 2 * inputs[0][0] * inputs[3][1]

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """Rows of the result are shared out, or columns where A is transposed."""
        values, indices, bounds, dense = inputs
        return csr_dot_rows(
            values,
            indices,
            bounds,
            dense,
            outputs[0],
            transpose=self.transpose,
            threads=threads,
            scratch=scratch,
        )

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Both ways, wide and narrow, empty ones, rows without values, two values in one place."""
        for dtype in _ADDED:
            for (rows, columns), width, stored in (
                ((5, 7), 3, 11), ((40, 30), 65, 200), ((1, 1), 1, 1), ((6, 4), 16, 0), ((0, 3), 2, 0),
                ((3, 0), 2, 0), ((4, 5), 0, 6), ((9, 2), 27, 40),
            ):  # fmt: skip
                arrays = random_csr(rng, rows, columns, stored, dtype)
                for transpose in (False, True):
                    shape = (rows if transpose else columns, width)
                    dense = (10 * rng.standard_normal(shape)).astype(dtype)
                    free = ((0, 0), (1, 0), (2, 0), (3, 1))
                    # Smooth in the dense operand only, so the check by differences is one of its own.
                    yield Sample(cls(columns, transpose), (*arrays, dense), False, free)


@dataclass(frozen=True)
class CsrToDense(CsrOp):
    """The dense form of a sparse matrix with `columns` columns; values in one place add up."""

    def infer(self, *types: Any) -> TensorType:
        """[rows, columns]."""
        self._check(types, _ADDED)
        return TensorType(types[0].dtype, (_rows(types[2]), self.columns))

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """None: a sparse matrix is data."""
        return None, None, None

    def reference(self, *arrays: Any) -> Any:
        """One value after another."""
        values, rows, columns = self._stored(arrays)
        out = np.zeros((len(arrays[2]) - 1, self.columns), arrays[0].dtype)
        np.add.at(out, (rows, columns), values)
        return out

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """An add per value, as many as there is room for."""
        return inputs[0][0]

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """Rows are shared out."""
        values, indices, bounds = inputs
        return csr_to_dense_rows(values, indices, bounds, outputs[0], threads=threads, scratch=scratch)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Every dtype; empty ones, rows without values, two values in one place."""
        for dtype in _ADDED:
            for (rows, columns), stored in (
                ((5, 7), 11),
                ((3, 2), 20),
                ((6, 4), 0),
                ((0, 3), 0),
                ((3, 0), 0),
            ):
                arrays = random_csr(rng, rows, columns, stored, dtype)
                yield Sample(cls(columns), arrays, False, ((0, 0), (1, 0), (2, 0)))


def random_csr(
    rng: np.random.Generator, rows: int, columns: int, stored: int, dtype: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, indices and bounds of a sample: columns in any order, some twice, and room that is not used."""
    bounds = np.sort(np.append(rng.integers(0, stored + 1, max(rows - 1, 0)), [0, stored] if rows else [0]))
    values = 10 * rng.standard_normal(stored + 3)
    indices = rng.integers(0, max(columns, 1), stored + 3)
    return values.astype(dtype), indices.astype(np.int32), bounds.astype(np.int64)


def to_dense(x: SparseTensor) -> Tensor:
    """The dense form of a sparse tensor."""
    if x.csr is None:
        return concatenate([to_dense(part) for part in x.parts], x.axis)
    values, indices, bounds = x.csr
    wide = values if x.dtype in _ADDED else cast(values, "int32")
    return cast(CsrToDense(x.shape[1])(wide, indices, bounds), x.dtype)


def dot(x: SparseTensor, dense: Tensor) -> Tensor:
    """``x @ dense`` with a sparse x. Of two dtypes the wider one is the result; bools count as int32.

    Products of integers are exact modulo 2^bits.

    Raises
    ------
    ValueError
        `dense` is no matrix with a row for every column of `x`.
    """
    check_widening([x.dtype, dense.dtype])
    kind = promote(x.dtype, dense.dtype)
    if kind not in _ADDED:
        whole = dot(cast_sparse(x, "int64"), cast(dense, "int64"))
        return cast(whole, "int32" if kind == "bool" else kind)
    x = cast_sparse(x, kind)
    if not dense.sparse:
        dense = cast(dense, kind)
    if x.csr is not None:
        return CsrDot(x.shape[1])(*x.csr, dense)
    if x.axis == 0:
        return concatenate([dot(part, dense) for part in x.parts], 0)
    return _dot_side_by_side(x, dense)


def _dot_side_by_side(x: SparseTensor, dense: Tensor) -> Tensor:
    """The product of matrices that lie side by side: each meets its own rows of `dense`, and all add up."""
    known = isinstance(dense.shape[0], int) and isinstance(x.shape[1], int)
    if dense.ndim != 2 or (known and dense.shape[0] != x.shape[1]):
        raise ValueError(
            f"dot: expected a dense matrix with {x.shape[1]} rows, got shape {shape_text(dense.shape)}"
        )
    if dense.shape[0] != x.shape[1]:
        dense = reshape(dense, (x.shape[1], dense.shape[1]))  # checks the number of rows when data come
    total: Tensor | None = None
    start: Dim = 0
    for part in x.parts:
        product = dot(part, slice_axis(dense, 0, start, part.shape[1]))
        if product.shape[0] != x.shape[0]:  # or a matrix of one row would be stretched
            product = reshape(product, (x.shape[0], product.shape[1]))
        total = product if total is None else total + product
        start = start + part.shape[1]
    assert total is not None
    return total


def cast_sparse(x: SparseTensor, dtype: str) -> SparseTensor:
    """A sparse tensor in another dtype: the same where it has it."""
    if x.dtype == dtype:
        return x
    if x.csr is None:
        return x.rebuilt(dtype, parts=tuple(cast_sparse(part, dtype) for part in x.parts))
    return x.rebuilt(dtype, csr=Csr(cast(x.csr.values, dtype), x.csr.indices, x.csr.bounds))
