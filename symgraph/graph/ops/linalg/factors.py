"""Factors of matrices: Cholesky's, and QR."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.graph.dims import smaller
from symgraph.graph.op import Sample, parts
from symgraph.graph.ops.create import zeros_like
from symgraph.graph.ops.host_call import HostCall
from symgraph.graph.ops.linalg.matrices import (
    SQUARE,
    TALL_AND_WIDE,
    LinAlgError,
    SquareOp,
    check_matrices,
    copy_lower,
    definite,
    floats,
    folded,
    half_lower,
    matrix_samples,
    refusal,
    regular,
    smooth_samples,
    stack_flops,
    swap,
)
from symgraph.graph.ops.linalg.solve import SolveTriangular
from symgraph.graph.ops.matmul import matmul
from symgraph.graph.ops.shape import concatenate
from symgraph.graph.ops.slicing import slice_axis
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import TensorType, TupleType


@dataclass(frozen=True)
class Cholesky(SquareOp):
    """The lower triangular L with L L' = x for positive definite x. Only the lower triangle of x is read."""

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """L'^-1 Φ(L' grad) L^-1 (Murray 2016, equation 10), of the lower triangle that is read."""
        inner = half_lower(matmul(swap(output), grad))
        left = SolveTriangular(lower=False)(swap(output), inner)
        both = SolveTriangular(lower=False)(swap(output), swap(left))
        return (folded(both),)

    def compute(self, *arrays: np.ndarray) -> Any:
        """numpy's factor."""
        try:
            return np.linalg.cholesky(arrays[0])
        except LinAlgError as error:
            raise refusal(arrays[0], np.linalg.cholesky, "is not positive definite") from error

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """N^3 / 3."""
        return stack_flops(inputs[0], inputs[0][-1] ** 3 / 3)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Positive definite matrices."""
        return smooth_samples(cls(), matrix_samples(rng, SQUARE, definite))


@dataclass(frozen=True)
class QR(HostCall):
    """Q with orthonormal columns and upper triangular R with Q R = x, as LAPACK's signs have them.

    Of M x N matrices: Q is M x K and R is K x N with K = min(M, N); under `complete` K is M.
    """

    complete: bool = False

    def __str__(self) -> str:
        return "qr[complete]" if self.complete else "qr"

    def infer(self, *types: Any) -> TupleType:
        """Q and R."""
        (x,) = types
        check_matrices(self, x)
        rows, columns = x.shape[-2:]
        inner = rows if self.complete else smaller(rows, columns)
        return TupleType(
            (
                TensorType(x.dtype, (*x.shape[:-1], inner)),
                TensorType(x.dtype, (*x.shape[:-2], inner, columns)),
            )
        )

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Any) -> Sequence[Tensor | None]:
        """(grad_Q + Q copyltu(M)) R'^-1 with M = R grad_R' - grad_Q' Q (Walter and Lehmann 2018, section 3).

        Of wide matrices the first M columns are factored, and R has Q' times the others beside that.
        """
        (x,) = inputs
        rows, columns = x.shape[-2:]
        whole = isinstance(rows, int) and isinstance(columns, int) and rows <= columns
        if self.complete and not whole:
            raise NotImplementedError(
                f"{self}: the gradient of complete factors of matrices with more rows than columns is not "
                f"unique, got {x.type}; use mode='reduced'"
            )
        q, r = parts(output)
        grad_q, grad_r = (zeros_like(of) if g is None else g for of, g in zip((q, r), grad, strict=True))
        size = q.shape[-1]
        rest = columns - size
        square, grad_square = (slice_axis(m, -1, 0, size) for m in (r, grad_r))
        wide = rest != 0
        if wide:
            others, grad_others = slice_axis(x, -1, size, rest), slice_axis(grad_r, -1, size, rest)
            grad_q = grad_q + matmul(others, swap(grad_others))
        inner = matmul(square, swap(grad_square)) - matmul(swap(grad_q), q)
        before = grad_q + matmul(q, copy_lower(inner))
        # before R'^-1, by its transpose: R^-1 before'
        first = swap(SolveTriangular(lower=False)(square, swap(before)))
        return (concatenate([first, matmul(q, grad_others)], -1) if wide else first,)

    def compute(self, *arrays: np.ndarray) -> Any:
        """numpy's factors."""
        q, r = np.linalg.qr(arrays[0], "complete" if self.complete else "reduced")
        return q, r

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """2 M N^2 - 2/3 N^3 for R (Golub and Van Loan, section 5.2.1), N being the smaller; as many for Q."""
        long, short = max(inputs[0][-2:]), min(inputs[0][-2:])
        return stack_flops(inputs[0], 2 * (2 * long * short**2 - 2 * short**3 / 3))

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Tall, wide and empty ones; complete factors, which have gradients where there are not more rows."""
        yield from smooth_samples(cls(), matrix_samples(rng, TALL_AND_WIDE, regular))
        for x, free in matrix_samples(rng, TALL_AND_WIDE, regular):
            yield Sample(cls(True), (x,), x.shape[-2] <= x.shape[-1], free)


def cholesky(x: Any, upper: bool = False) -> Tensor:
    """The factor L of positive definite matrices [..., N, N] with L L' = x; under `upper` U = L' of U' U = x.

    Only that triangle of x is read, so the gradient is one of that triangle, and zero in the other; added to
    its transpose, and halved, it is the symmetric gradient that other libraries give.

    Raises
    ------
    numpy.linalg.LinAlgError
        When it is computed, if a matrix is not positive definite.
    """
    (x,) = floats(x)
    check_matrices("cholesky", x.type, square=True)
    return swap(Cholesky()(swap(x))) if upper else Cholesky()(x)


def qr(x: Any, mode: str = "reduced") -> tuple[Tensor, Tensor]:
    """Q and R with Q R = x for matrices [..., M, N], where R is upper triangular.

    ``mode="reduced"``: [..., M, K] and [..., K, N] with K = min(M, N); ``"complete"``: K = M.
    """
    if mode not in ("reduced", "complete"):
        raise ValueError(f"qr: expected a mode of 'reduced' or 'complete', got {mode!r}")
    (x,) = floats(x)
    q, r = parts(QR(mode == "complete")(x))
    return q, r
