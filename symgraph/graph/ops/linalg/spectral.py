"""Eigenvalues of symmetric matrices, and singular values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.graph.dims import smaller
from symgraph.graph.op import Sample, parts
from symgraph.graph.ops.create import eye, zeros_like
from symgraph.graph.ops.host_call import HostCall
from symgraph.graph.ops.linalg.matrices import (
    SQUARE,
    TALL_AND_WIDE,
    LinAlgError,
    SquareOp,
    check_matrices,
    definite,
    floats,
    folded,
    matrix_samples,
    refusal,
    regular,
    smooth_samples,
    stack_flops,
    swap,
)
from symgraph.graph.ops.matmul import matmul
from symgraph.graph.ops.shape import expand_dims
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import TensorType, TupleType

_NOT_FOUND = "has eigenvalues that LAPACK did not find"
_NOT_FOUND_SINGULAR = "has singular values that LAPACK did not find"


def _gaps(values: Tensor) -> Tensor:
    """F with 1 / (values[j] - values[i]) at [i, j], and zeros on the diagonal."""
    ones = eye(values.shape[-1], dtype=values.dtype)
    return (1 - ones) / (expand_dims(values, -2) - expand_dims(values, -1) + ones)


@dataclass(frozen=True)
class Eigvalsh(SquareOp):
    """The eigenvalues of symmetric matrices, rising, of which the lower triangle is read: [..., N]."""

    def infer(self, *types: Any) -> TensorType:
        """[..., N]."""
        kind = super().infer(*types)
        return TensorType(kind.dtype, kind.shape[:-1])

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """V diag(grad) V'."""
        _, vectors = parts(Eigh()(inputs[0]))
        return (folded(matmul(vectors * expand_dims(grad, -2), swap(vectors))),)

    def compute(self, *arrays: np.ndarray) -> Any:
        """numpy's eigenvalues."""
        try:
            return np.linalg.eigvalsh(arrays[0])
        except LinAlgError as error:
            raise refusal(arrays[0], np.linalg.eigvalsh, _NOT_FOUND) from error

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """About 4/3 N^3 (Golub and Van Loan, section 8.3)."""
        return stack_flops(inputs[0], 4 * inputs[0][-1] ** 3 / 3)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Symmetric matrices."""
        return smooth_samples(cls(), matrix_samples(rng, SQUARE, definite))


@dataclass(frozen=True)
class Eigh(SquareOp):
    """Eigenvalues w, rising, and eigenvectors V of symmetric matrices: x V = V diag(w).

    Only the lower triangle is read. Signs are those of LAPACK.
    """

    def infer(self, *types: Any) -> TupleType:
        """[..., N] and [..., N, N]."""
        kind = super().infer(*types)
        return TupleType((TensorType(kind.dtype, kind.shape[:-1]), TensorType(kind.dtype, kind.shape)))

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Any) -> Sequence[Tensor | None]:
        """V (diag(grad_w) + F ∘ V' grad_V) V' (Giles 2008, section 3.1).

        Not finite where eigenvalues are equal.
        """
        values, vectors = parts(output)
        of_values, of_vectors = grad
        found = None if of_values is None else matmul(vectors * expand_dims(of_values, -2), swap(vectors))
        if of_vectors is not None:
            inner = _gaps(values) * matmul(swap(vectors), of_vectors)
            turned = matmul(matmul(vectors, inner), swap(vectors))
            found = turned if found is None else found + turned
        return (None if found is None else folded(found),)

    def compute(self, *arrays: np.ndarray) -> Any:
        """numpy's."""
        try:
            values, vectors = np.linalg.eigh(arrays[0])
        except LinAlgError as error:
            raise refusal(arrays[0], np.linalg.eigh, _NOT_FOUND) from error
        return values, vectors

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """About 9 N^3 (Golub and Van Loan, section 8.3)."""
        return stack_flops(inputs[0], 9 * inputs[0][-1] ** 3)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Symmetric matrices."""
        return smooth_samples(cls(), matrix_samples(rng, SQUARE, definite))


@dataclass(frozen=True)
class Svdvals(HostCall):
    """The singular values of matrices [..., M, N], falling: [..., min(M, N)]."""

    def infer(self, *types: Any) -> TensorType:
        """[..., min(M, N)]."""
        (x,) = types
        check_matrices(self, x)
        return TensorType(x.dtype, (*x.shape[:-2], smaller(*x.shape[-2:])))

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """U diag(grad) V'."""
        u, _, vt = parts(Svd(False)(inputs[0]))
        return (matmul(u * expand_dims(grad, -2), vt),)

    def compute(self, *arrays: np.ndarray) -> Any:
        """numpy's singular values."""
        try:
            return np.linalg.svd(arrays[0], compute_uv=False)
        except LinAlgError as error:
            raise refusal(arrays[0], np.linalg.svd, _NOT_FOUND_SINGULAR) from error

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """4 M N^2 - 4/3 N^3 (Golub and Van Loan, section 8.6), N being the smaller size."""
        long, short = max(inputs[0][-2:]), min(inputs[0][-2:])
        return stack_flops(inputs[0], 4 * long * short**2 - 4 * short**3 / 3)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Tall, wide and empty ones."""
        return smooth_samples(cls(), matrix_samples(rng, TALL_AND_WIDE, regular))


@dataclass(frozen=True)
class Svd(HostCall):
    """U, s and V' with U diag(s) V' = x, singular values falling. Signs are those of LAPACK.

    Of M x N matrices, K = min(M, N): U is M x K and V' is K x N; under `full_matrices` M x M and N x N.
    """

    full_matrices: bool = True

    def __str__(self) -> str:
        return "svd[full]" if self.full_matrices else "svd"

    def infer(self, *types: Any) -> TupleType:
        """U, s, V'."""
        (x,) = types
        check_matrices(self, x)
        rows, columns = x.shape[-2:]
        count = smaller(rows, columns)
        left, right = (rows, columns) if self.full_matrices else (count, count)
        shapes = (*x.shape[:-1], left), (*x.shape[:-2], count), (*x.shape[:-2], right, columns)
        return TupleType(tuple(TensorType(x.dtype, shape) for shape in shapes))

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Any) -> Sequence[Tensor | None]:
        """Townsend 2016, "Differentiating the singular value decomposition", section 1.3.

        Not finite where singular values are equal, or are 0 in a matrix that is not square.
        """
        (x,) = inputs
        rows, columns = x.shape[-2:]
        of_u, of_s, of_vt = grad
        if self.full_matrices and not (of_u is None and of_vt is None) and rows != columns:
            raise NotImplementedError(
                f"{self}: the gradient of full singular vectors is not unique for matrices that are not "
                f"square, got {x.type}; use full_matrices=False"
            )
        if of_u is None and of_s is None and of_vt is None:
            return (None,)
        u, s, vt = parts(Svd(False)(x) if self.full_matrices else output)
        inner: Tensor | None = None
        if of_s is not None:
            inner = eye(s.shape[-1], dtype=s.dtype) * expand_dims(of_s, -2)
        outside: Tensor | None = None
        if of_u is not None or of_vt is not None:
            of_u = zeros_like(u) if of_u is None else of_u
            of_v = zeros_like(swap(vt)) if of_vt is None else swap(of_vt)
            turned, outside = _of_vectors(u, s, vt, of_u, of_v, rows, columns)
            inner = turned if inner is None else inner + turned
        assert inner is not None
        found = matmul(matmul(u, inner), vt)
        return (found if outside is None else found + outside,)

    def compute(self, *arrays: np.ndarray) -> Any:
        """numpy's."""
        try:
            u, s, vt = np.linalg.svd(arrays[0], full_matrices=self.full_matrices)
        except LinAlgError as error:
            raise refusal(arrays[0], np.linalg.svd, _NOT_FOUND_SINGULAR) from error
        return u, s, vt

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """14 M N^2 + 8 N^3 (Golub and Van Loan, section 8.6), N being the smaller size."""
        long, short = max(inputs[0][-2:]), min(inputs[0][-2:])
        return stack_flops(inputs[0], 14 * long * short**2 + 8 * short**3)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Tall, wide and empty ones; full ones of square matrices have gradients."""
        yield from smooth_samples(cls(False), matrix_samples(rng, TALL_AND_WIDE, regular))
        for x, free in matrix_samples(rng, TALL_AND_WIDE, regular):
            yield Sample(cls(), (x,), x.shape[-2] == x.shape[-1], free)


def _of_vectors(
    u: Tensor, s: Tensor, vt: Tensor, of_u: Tensor, of_v: Tensor, rows: Any, columns: Any
) -> tuple[Tensor, Tensor | None]:
    """What flows to x through the singular vectors: in their bases, and from outside of these."""
    along_rows, along_columns = expand_dims(s, -2), expand_dims(s, -1)
    ones = eye(s.shape[-1], dtype=s.dtype)
    # 1 / (s[j]^2 - s[i]^2), without the squares, of which the difference has fewer digits.
    gaps = (1 - ones) / ((along_rows - along_columns) * (along_rows + along_columns) + ones)
    left, right = matmul(swap(u), of_u), matmul(vt, of_v)
    turned = gaps * (left - swap(left)) * along_rows + along_columns * gaps * (right - swap(right))
    outside: Tensor | None = None
    known = isinstance(rows, int) and isinstance(columns, int)
    if not known or rows > columns:
        outside = matmul((of_u - matmul(u, left)) / along_rows, vt)
    if not known or columns > rows:
        other = matmul(u / along_rows, swap(of_v - matmul(swap(vt), right)))
        outside = other if outside is None else outside + other
    return turned, outside


def _lower(x: Any, upper: bool) -> Tensor:
    """Matrices of which the lower triangle is to be read."""
    (x,) = floats(x)
    check_matrices("eigh", x.type, square=True)
    return swap(x) if upper else x


def eigh(x: Any, upper: bool = False) -> tuple[Tensor, Tensor]:
    """Eigenvalues [..., N], rising, and eigenvectors [..., N, N], in columns, of symmetric matrices.

    Only the lower triangle is read (or the upper one), and the gradient is one of that triangle, see
    `cholesky`. The gradient of eigenvectors is not finite where eigenvalues are equal: it does not exist.
    """
    values, vectors = parts(Eigh()(_lower(x, upper)))
    return values, vectors


def eigvalsh(x: Any, upper: bool = False) -> Tensor:
    """Eigenvalues [..., N] of symmetric matrices, rising; see `eigh`."""
    return Eigvalsh()(_lower(x, upper))


def svd(x: Any, full_matrices: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """U, s and V' with U diag(s) V' = x, singular values falling.

    Of matrices [..., M, N], K = min(M, N): U is [..., M, M], s [..., K], V' [..., N, N]; without
    `full_matrices` U is [..., M, K] and V' [..., K, N]. Gradients of full vectors exist for square matrices.
    """
    (x,) = floats(x)
    u, s, vt = parts(Svd(bool(full_matrices))(x))
    return u, s, vt


def svdvals(x: Any) -> Tensor:
    """The singular values [..., min(M, N)] of matrices [..., M, N], falling."""
    (x,) = floats(x)
    return Svdvals()(x)
