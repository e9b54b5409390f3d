"""Pseudo-inverses, least squares, ranks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.graph.dims import Dim, larger, shape_text
from symgraph.graph.leaves import as_tensor
from symgraph.graph.op import Sample
from symgraph.graph.ops.compare import greater
from symgraph.graph.ops.elementwise import (
    broadcast_requirements,
    broadcast_shapes,
    cast,
    sum_to,
)
from symgraph.graph.ops.host_call import HostCall
from symgraph.graph.ops.linalg.matrices import (
    TALL_AND_WIDE,
    LinAlgError,
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
)
from symgraph.graph.ops.linalg.spectral import svdvals
from symgraph.graph.ops.math import square
from symgraph.graph.ops.matmul import matmul
from symgraph.graph.ops.reduce import max_or_lowest
from symgraph.graph.ops.reduce import sum as total
from symgraph.graph.ops.shape import expand_dims, squeeze
from symgraph.graph.ops.sizes import size_tensor
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import FLOATS, TensorType

_NOT_FOUND = "has singular values that LAPACK did not find"


@dataclass(frozen=True)
class Pinv(HostCall):
    """Moore and Penrose's inverse [..., N, M] of matrices [..., M, N].

    Singular values up to `rtol` times the largest count as 0: a second input that broadcasts to [...], or
    without one max(M, N) times the precision of the dtype.
    """

    def infer(self, *types: Any) -> TensorType:
        """[..., N, M]."""
        x = types[0]
        check_matrices(self, x)
        check_dtypes(self, *types)
        lead = x.shape[:-2]
        if len(types) > 1 and broadcast_shapes([lead, types[1].shape], f"{self}: rtol") != lead:
            raise ValueError(
                f"{self}: expected an rtol that broadcasts to {shape_text(lead)}, got {types[1]}"
            )
        return TensorType(x.dtype, (*lead, x.shape[-1], x.shape[-2]))

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """Those of `rtol`."""
        return broadcast_requirements([types[0].shape[:-2], *(t.shape for t in types[1:])])

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """Golub and Pereyra 1973, equation 4.12, for matrices whose rank does not change near by."""
        a, p, g = inputs[0], output, swap(grad)
        turned = swap(p)
        found = -matmul(turned, matmul(grad, turned))
        left = matmul(matmul(g, p), turned)
        right = matmul(turned, matmul(p, g))
        found = found + left - matmul(a, matmul(p, left)) + right - matmul(matmul(right, p), a)
        return (found, *(None for _ in inputs[1:]))

    def compute(self, *arrays: np.ndarray) -> Any:
        """numpy's, of which `rtol` is the standard's."""
        x = arrays[0]
        rtol = arrays[1] if len(arrays) > 1 else max(x.shape[-2:]) * np.finfo(x.dtype).eps
        try:
            with np.errstate(all="ignore"):
                return np.linalg.pinv(x, rtol=rtol).astype(x.dtype, copy=False)
        except LinAlgError as error:
            raise refusal(x, np.linalg.svd, _NOT_FOUND) from error

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """14 M N^2 + 8 N^3 for singular vectors, N being the smaller size, and a product."""
        long, short = max(inputs[0][-2:]), min(inputs[0][-2:])
        return stack_flops(inputs[0], 16 * long * short**2 + 8 * short**3)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Tall, wide and empty ones; with limits of their own."""
        yield from smooth_samples(cls(), matrix_samples(rng, TALL_AND_WIDE, regular))
        x = rng.standard_normal((2, 3, 4))
        yield Sample(cls(), (x, np.array([1e-3, 0.9])), False, ((0, 0), (1, 0)))


@dataclass(frozen=True)
class Lstsq(HostCall):
    """The x of least norm among those that make |a x - b| least: [..., N, K] of a [..., M, N], b [..., M, K].

    Singular values of `a` up to `rcond` times the largest count as 0; None is max(M, N) times the precision.
    """

    rcond: float | None = None

    def infer(self, *types: Any) -> TensorType:
        """[..., N, K]."""
        a, b = types
        check_matrices(self, a)
        check_matrices(self, b)
        check_dtypes(self, a, b)
        rows = a.shape[-2], b.shape[-2]
        if all(isinstance(size, int) for size in rows) and rows[0] != rows[1]:
            raise ValueError(
                f"{self}: shapes {shape_text(a.shape)} and {shape_text(b.shape)} do not fit: expected "
                f"right-hand sides of {rows[0]} rows, got {rows[1]}"
            )
        lead = broadcast_shapes([a.shape[:-2], b.shape[:-2]], str(self))
        return TensorType(a.dtype, (*lead, a.shape[-1], b.shape[-1]))

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """As many equations as numbers on the right-hand side; batch axes."""
        a, b = types
        if a.shape[-2] != b.shape[-2]:
            yield a.shape[-2], b.shape[-2]
        yield from broadcast_requirements([a.shape[:-2], b.shape[:-2]])

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """That of pinv(a) b, without its square matrices; see `Pinv`."""
        a, b = inputs
        p = pinv(a) if self.rcond is None else pinv(a, self.rcond)
        turned = swap(p)
        flow = matmul(turned, grad)
        rest = b - matmul(a, output)
        found = matmul(rest, swap(matmul(p, flow))) - matmul(flow, swap(output))
        beyond = grad - matmul(p, matmul(a, grad))
        found = found + matmul(matmul(turned, output), swap(beyond))
        return sum_to(found, a), sum_to(flow, b)

    def compute(self, *arrays: np.ndarray) -> Any:
        """numpy's, matrix by matrix."""
        a, b = arrays
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        a, b = (np.broadcast_to(m, (*lead, *m.shape[-2:])) for m in (a, b))
        found = np.empty((*lead, a.shape[-1], b.shape[-1]), a.dtype)
        for index in np.ndindex(lead):
            if not (np.isfinite(a[index]).all() and np.isfinite(b[index]).all()):
                raise LinAlgError(
                    f"{matrix_name(index)} or its right-hand side has numbers that are not finite"
                )
            try:
                found[index] = np.linalg.lstsq(a[index], b[index], self.rcond)[0]
            except LinAlgError as error:
                raise LinAlgError(f"{matrix_name(index)} {_NOT_FOUND}") from error
        return found

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """As many as singular vectors take, and a product for each right-hand side."""
        long, short = max(inputs[0][-2:]), min(inputs[0][-2:])
        each = 14 * long * short**2 + 8 * short**3 + 4 * long * short * outputs[0][-1]
        return stack_flops(outputs[0], each)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """More and fewer equations than unknowns, stacks that broadcast, empty ones."""
        shapes = [
            ((4, 3), (4, 2)), ((3, 5), (3, 1)), ((2, 3, 3), (3, 2)), ((2, 4, 2), (2, 4, 1)), ((0, 3), (0, 2)),
            ((0, 2, 3), (0, 2, 1)), ((3, 0), (3, 2)),
        ]  # fmt: skip
        for dtype in FLOATS:
            for left, right in shapes:
                a = regular(rng.standard_normal(left)).astype(dtype)
                axes = range(len(left)) if len(left) == len(right) else ()
                free = tuple((number, axis) for number in (0, 1) for axis in axes)
                yield Sample(cls(), (a, rng.standard_normal(right).astype(dtype)), True, free)


def pinv(x: Any, rtol: Any = None) -> Tensor:
    """Moore and Penrose's inverse [..., N, M] of matrices [..., M, N].

    Singular values up to `rtol` (a number, or a tensor that broadcasts to [...]) times the largest count as
    0; by default max(M, N) times the precision of the dtype. The gradient is that at a fixed rank.
    """
    (x,) = floats(x)
    return Pinv()(x) if rtol is None else Pinv()(x, cast(as_tensor(rtol, x.dtype), x.dtype))


def matrix_rank(x: Any, rtol: Any = None) -> Tensor:
    """How many singular values of matrices [..., M, N] exceed `rtol` times the largest: int64 [...].

    `rtol` as in `pinv`.
    """
    (x,) = floats(x)
    values = svdvals(x)
    if rtol is None:
        sizes = cast(size_tensor(larger(*x.shape[-2:])), x.dtype)
        limit = sizes * float(np.finfo(x.dtype).eps)
    else:
        limit = expand_dims(cast(as_tensor(rtol, x.dtype), x.dtype), -1)
    largest = max_or_lowest(values, axis=-1, keepdims=True)
    return total(cast(greater(values, limit * largest), "int64"), axis=-1)


def lstsq(a: Any, b: Any, rcond: float | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Least squares: x, the sums of squares that are left, the rank of a, its singular values.

    Parameters
    ----------
    a : tensor, [..., M, N]
    b : tensor, [M] or [..., M, K]
    rcond : float, optional
        Singular values up to this times the largest count as 0; max(M, N) times the precision if None.

    Returns
    -------
    x : [N] or [..., N, K]
        Of the solutions the one of least norm.
    residuals : [1] or [..., K]
        Other than numpy's never empty: its shape does not depend on the rank.
    rank : int64 [...]
    singular values : [..., min(M, N)]
    """
    a, b = floats(a, b)
    rcond = None if rcond is None else float(rcond)
    columns = expand_dims(b, -1) if b.ndim == 1 else b
    x = Lstsq(rcond)(a, columns)
    residuals = total(square(columns - matmul(a, x)), axis=-2)
    return squeeze(x, -1) if b.ndim == 1 else x, residuals, matrix_rank(a, rcond), svdvals(a)
