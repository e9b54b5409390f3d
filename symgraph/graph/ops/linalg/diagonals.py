"""Diagonals of matrices, and traces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from symgraph.graph.dims import Dim, larger, smaller
from symgraph.graph.leaves import as_tensor
from symgraph.graph.op import Sample
from symgraph.graph.ops.elementwise import cast
from symgraph.graph.ops.movement import Movement, View
from symgraph.graph.ops.reduce import sum as total
from symgraph.graph.ops.sizes import known
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import DTYPES, TensorType
from symgraph.kernels.index import copy_rows, fill_rows
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.machine import Row


def _length(shape: Sequence[Dim], offset: int) -> Dim:
    """How many elements a diagonal of matrices [..., M, N] has."""
    rows, columns = shape[-2:]
    found = smaller(rows + min(offset, 0), columns - max(offset, 0))
    return larger(found, 0) if offset else found


def _seen(source: Buffer, offset: int) -> Buffer:
    """A diagonal of the last two axes, where it lies."""
    *lead, down, right = source.strides
    start = right * offset if offset >= 0 else -down * offset
    size = known(_length(source.shape, offset))
    return replace(
        source,
        offset=source.offset + (start if size else 0),
        shape=(*source.shape[:-2], size),
        strides=(*lead, down + right),
    )


@dataclass(frozen=True)
class Diagonal(View):
    """Elements [..., i, i + offset] of matrices."""

    offset: int = 0

    def __str__(self) -> str:
        return f"diagonal[{self.offset}]" if self.offset else "diagonal"

    def infer(self, *types: Any) -> TensorType:
        """[..., length]."""
        (x,) = types
        if x.ndim < 2:
            raise ValueError(f"{self}: expected at least 2 dimensions, got {x}")
        return TensorType(x.dtype, (*x.shape[:-2], _length(x.shape, self.offset)))

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """Back on the diagonal, among zeros."""
        rows, columns = inputs[0].shape[-2:]
        return (OnDiagonal((rows, columns), self.offset)(grad),)

    def reference(self, *arrays: Any) -> Any:
        """numpy's diagonal."""
        return np.diagonal(arrays[0], self.offset, -2, -1)

    def view(self, source: Buffer, shape: tuple[int, ...]) -> Buffer | None:
        """One stride, the sum of two."""
        return _seen(source, self.offset)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Every dtype; beside the main diagonal, outside of the matrix."""
        for shape, offset in (
            ((3, 3), 0), ((2, 3, 5), 0), ((4, 2), 1), ((4, 2), -1), ((3, 3), 5), ((3, 3), -3), ((0, 3), 0),
            ((2, 0, 0), 0), ((3, 4), 3),
        ):  # fmt: skip
            free = tuple((0, axis) for axis in range(len(shape)))
            yield Sample(cls(offset), (rng.standard_normal(shape),), True, free)
        for dtype in DTYPES:
            yield Sample(cls(), (rng.integers(0, 2, (3, 4)).astype(dtype),))


@dataclass(frozen=True)
class OnDiagonal(Movement):
    """Vectors [..., length] on a diagonal of matrices of a `shape` that are zero elsewhere."""

    shape: tuple[Dim, Dim]
    offset: int = 0

    def __str__(self) -> str:
        return f"on_diagonal[{self.offset}]" if self.offset else "on_diagonal"

    def infer(self, *types: Any) -> TensorType:
        """[..., M, N]."""
        (x,) = types
        wanted = _length(self.shape, self.offset)
        size = x.shape[-1] if x.ndim else None
        if size is None or (isinstance(size, int) and isinstance(wanted, int) and size != wanted):
            raise ValueError(f"{self}: expected vectors of {wanted} elements, got {x}")
        return TensorType(x.dtype, (*x.shape[:-1], *self.shape))

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """As many elements as the diagonal has."""
        wanted = _length(self.shape, self.offset)
        if types[0].shape[-1] != wanted:
            yield types[0].shape[-1], wanted

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """That diagonal of it."""
        return (Diagonal(self.offset)(grad),)

    def reference(self, *arrays: Any) -> Any:
        """Zeros, and an assignment."""
        (x,) = arrays
        rows, columns = map(known, self.shape)
        found = np.zeros((*x.shape[:-1], rows, columns), x.dtype)
        places = np.arange(x.shape[-1])
        found[..., places - min(self.offset, 0), places + max(self.offset, 0)] = x
        return found

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """Zeros, then a copy."""
        rows = fill_rows(outputs[0], 0.0, threads=threads, scratch=scratch)
        target = _seen(outputs[0], self.offset)
        return rows + copy_rows(inputs[0], target, threads=threads, scratch=scratch)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Every dtype; beside the main diagonal, none on it."""
        for size, shape, offset in (
            ((3,), (3, 3), 0), ((2, 3), (3, 5), 0), ((1,), (4, 2), 1), ((2,), (4, 2), -1), ((0,), (3, 3), 5),
            ((0,), (0, 3), 0), ((2, 3), (5, 3), -2),
        ):  # fmt: skip
            free = ((0, 0),) if len(size) > 1 else ()
            yield Sample(cls(shape, offset), (rng.standard_normal(size),), True, free)
        for dtype in DTYPES:
            yield Sample(cls((3, 4)), (rng.integers(0, 2, (3,)).astype(dtype),))


def diagonal(x: Any, offset: int = 0) -> Tensor:
    """Elements [..., i, i + offset] of matrices [..., M, N]."""
    return Diagonal(int(offset))(as_tensor(x))


def diag_matrix(x: Any) -> Tensor:
    """Vectors [..., N] as diagonals of matrices [..., N, N]."""
    x = as_tensor(x)
    if not x.ndim:
        raise ValueError(f"diag_matrix: expected at least 1 dimension, got {x.type}")
    return OnDiagonal((x.shape[-1], x.shape[-1]))(x)


def trace(x: Any, offset: int = 0, dtype: str | None = None) -> Tensor:
    """The sums of diagonals of matrices [..., M, N]. Integers and bools are added in int64."""
    x = diagonal(x, offset)
    return total(x if dtype is None else cast(x, dtype), axis=-1)
