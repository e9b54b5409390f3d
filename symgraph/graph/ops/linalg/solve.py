"""Systems of linear equations, and inverses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.graph.dims import Dim, shape_text
from symgraph.graph.op import Sample
from symgraph.graph.ops.elementwise import broadcast_requirements, broadcast_shapes, sum_to
from symgraph.graph.ops.linalg.matrices import (
    SQUARE,
    LinAlgError,
    SquareOp,
    check_dtypes,
    check_matrices,
    floats,
    matrix_name,
    matrix_samples,
    refusal,
    regular,
    smooth_samples,
    stack_flops,
    swap,
    tril,
    triu,
)
from symgraph.graph.ops.matmul import matmul
from symgraph.graph.ops.shape import expand_dims, squeeze
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import FLOATS, TensorType

_BLOCK = 64
"""Rows that are substituted by one call of LAPACK."""


@dataclass(frozen=True)
class Inv(SquareOp):
    """The inverses of square matrices [..., N, N]."""

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """-y' grad y' (Giles 2008, section 2.2.3)."""
        turned = swap(output)
        return (-matmul(turned, matmul(grad, turned)),)

    def compute(self, *arrays: np.ndarray) -> Any:
        """numpy's inverse."""
        try:
            return np.linalg.inv(arrays[0])
        except LinAlgError as error:
            raise refusal(arrays[0], np.linalg.inv, "is singular") from error

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """2 N^3."""
        return stack_flops(inputs[0], 2 * inputs[0][-1] ** 3)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Regular matrices."""
        return smooth_samples(cls(), matrix_samples(rng, SQUARE, regular))


class _System(SquareOp):
    """The solution x of a x = b for matrices a [..., N, N] and b [..., N, K]; leading axes broadcast."""

    def infer(self, *types: Any) -> TensorType:
        """[..., N, K]."""
        a, b = types
        check_matrices(self, a, square=True)
        check_matrices(self, b)
        check_dtypes(self, a, b)
        rows = b.shape[-2]
        if isinstance(a.shape[-1], int) and isinstance(rows, int) and a.shape[-1] != rows:
            raise ValueError(
                f"{self}: shapes {shape_text(a.shape)} and {shape_text(b.shape)} do not fit: expected "
                f"right-hand sides of {a.shape[-1]} rows, got {rows}"
            )
        return TensorType(
            a.dtype, (*broadcast_shapes([a.shape[:-2], b.shape[:-2]], str(self)), *b.shape[-2:])
        )

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """Square matrices, with as many rows as the right-hand sides; batch axes."""
        yield from super().requires(*types)
        a, b = types
        if a.shape[-1] != b.shape[-2]:
            yield a.shape[-1], b.shape[-2]
        yield from broadcast_requirements([a.shape[:-2], b.shape[:-2]])

    @staticmethod
    def _sample_arrays(rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray, Any]]:
        shapes = [
            ((3, 3), (3, 2)), ((1, 1), (1, 1)), ((2, 4, 4), (2, 4, 3)), ((2, 4, 4), (4, 1)),
            ((3, 3), (2, 3, 2)), ((2, 1, 2, 2), (3, 2, 2)), ((0, 0), (0, 2)), ((3, 3), (3, 0)),
            ((0, 2, 2), (0, 2, 1)),
        ]  # fmt: skip
        for dtype in FLOATS:
            for left, right in shapes:
                a = regular(rng.standard_normal(left)).astype(dtype)
                axes = range(len(left)) if len(left) == len(right) else ()
                free = tuple((number, axis) for number in (0, 1) for axis in axes)
                yield a, rng.standard_normal(right).astype(dtype), free


@dataclass(frozen=True)
class Solve(_System):
    """The solution x of a x = b for square matrices, by LU factors."""

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """b: a'^-1 grad; a: minus that times x' (Giles 2008, section 2.3.1)."""
        a, b = inputs
        grad_b = Solve()(swap(a), grad)
        return sum_to(-matmul(grad_b, swap(output)), a), sum_to(grad_b, b)

    def compute(self, *arrays: np.ndarray) -> Any:
        """numpy's solution."""
        a, b = arrays
        try:
            return np.linalg.solve(a, b)
        except LinAlgError as error:
            raise refusal(a, np.linalg.inv, "is singular") from error

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """2/3 N^3 for the factors of each matrix, 2 N^2 for each right-hand side."""
        size = inputs[0][-1]
        factors = stack_flops(inputs[0], 2 * size**3 / 3)
        return factors + stack_flops(outputs[0], 2 * size**2 * outputs[0][-1])

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Stacks that broadcast, empty ones."""
        for a, b, free in cls._sample_arrays(rng):
            yield Sample(cls(), (a, b), True, free)


@dataclass(frozen=True)
class SolveTriangular(_System):
    """The solution x of t x = b, where t is one triangle of the first operand, by substitution.

    The other triangle is not read, nor is the diagonal where `unit_diagonal` takes it for ones.
    """

    lower: bool = True
    unit_diagonal: bool = False

    def __str__(self) -> str:
        unit = ", unit" if self.unit_diagonal else ""
        return f"solve_triangular[{'lower' if self.lower else 'upper'}{unit}]"

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """As that of `Solve`, of which the triangle is kept."""
        a, b = inputs
        grad_b = SolveTriangular(not self.lower, self.unit_diagonal)(swap(a), grad)
        whole = sum_to(-matmul(grad_b, swap(output)), a)
        unit = int(self.unit_diagonal)
        return tril(whole, -unit) if self.lower else triu(whole, unit), sum_to(grad_b, b)

    def compute(self, *arrays: np.ndarray) -> Any:
        """Substitution by blocks."""
        a, b = arrays
        if not self.unit_diagonal:
            zeros = np.diagonal(a, 0, -2, -1) == 0
            if zeros.any():
                *index, place = map(int, np.argwhere(zeros)[0])
                raise LinAlgError(f"{matrix_name(index)} is singular: element {place} of its diagonal is 0")
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        x = np.array(np.broadcast_to(b, (*lead, *b.shape[-2:])), order="C")
        _substitute(a, x, self.lower, self.unit_diagonal)
        return x

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """N^2 for each right-hand side."""
        return stack_flops(outputs[0], inputs[0][-1] ** 2 * outputs[0][-1])

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Both triangles, with and without a diagonal; more than a block."""
        for number, (a, b, free) in enumerate(cls._sample_arrays(rng)):
            for lower in (True, False):
                yield Sample(cls(lower, bool(number % 2)), (a, b), True, free)
        large = np.eye(150) + rng.standard_normal((150, 150)) / 150
        yield Sample(cls(), (large, rng.standard_normal((150, 2))), False)
        yield Sample(cls(False), (large, rng.standard_normal((150, 2))), False)


def _substitute(a: np.ndarray, x: np.ndarray, lower: bool, unit: bool) -> None:
    """Put the solution for a triangle of `a` into the place of the right-hand sides `x`, half by half."""
    size = a.shape[-1]
    if size <= _BLOCK:
        x[...] = _substituted(a, x, lower, unit)
        return
    middle = -(-size // (2 * _BLOCK)) * _BLOCK
    halves = slice(None, middle), slice(middle, None)
    first, then = halves if lower else halves[::-1]
    _substitute(a[..., first, first], x[..., first, :], lower, unit)
    x[..., then, :] -= a[..., then, first] @ x[..., first, :]
    _substitute(a[..., then, then], x[..., then, :], lower, unit)


def _substituted(a: np.ndarray, b: np.ndarray, lower: bool, unit: bool) -> np.ndarray:
    """The solution for one block, by LAPACK's `gesv`, which only substitutes if the triangle is an upper one.

    Its LU factors are then the unit matrix and the block itself. A lower one is turned round for that.
    """
    block = np.tril(a) if lower else np.triu(a)
    if unit:
        block[..., range(a.shape[-1]), range(a.shape[-1])] = 1
    if not lower:
        return np.asarray(np.linalg.solve(block, b))
    return np.asarray(np.linalg.solve(block[..., ::-1, ::-1], b[..., ::-1, :]))[..., ::-1, :]


def inv(x: Any) -> Tensor:
    """The inverses of square matrices [..., N, N]. LinAlgError, when it is computed, for a singular one."""
    (x,) = floats(x)
    return Inv()(x)


def _as_columns(a: Any, b: Any, op: _System) -> Tensor:
    """The solution for a vector b [N], or for matrices."""
    a, b = floats(a, b)
    return squeeze(op(a, expand_dims(b, -1)), -1) if b.ndim == 1 else op(a, b)


def solve(a: Any, b: Any) -> Tensor:
    """The solution x of a x = b.

    Parameters
    ----------
    a : tensor, [..., N, N]
    b : tensor, [N] or [..., N, K]
        A vector, or matrices of right-hand sides; leading axes broadcast with those of `a`.

    Raises
    ------
    numpy.linalg.LinAlgError
        When it is computed, if a matrix is singular; it names the op, the matrix and the line.
    """
    return _as_columns(a, b, Solve())


def solve_triangular(
    a: Any, b: Any, lower: bool = False, trans: bool = False, unit_diagonal: bool = False
) -> Tensor:
    """The solution x of t x = b (of t' x = b under `trans`), where t is a triangle of `a`.

    Parameters
    ----------
    a : tensor, [..., N, N]
        Its other triangle is not read.
    b : tensor, [N] or [..., N, K]
    lower : bool
        Which triangle; as in scipy, the upper one by default.
    unit_diagonal : bool
        Take the diagonal for ones, whatever it holds.
    """
    a, b = floats(a, b)
    check_matrices("solve_triangular", a.type, square=True)
    return _as_columns(
        swap(a) if trans else a, b, SolveTriangular(bool(lower) != bool(trans), bool(unit_diagonal))
    )
