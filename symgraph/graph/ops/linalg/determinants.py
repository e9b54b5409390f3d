"""Determinants, and their logarithms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.graph.op import Sample, parts
from symgraph.graph.ops.linalg.matrices import (
    SQUARE,
    LinAlgError,
    SquareOp,
    check_dtypes,
    floats,
    matrix_samples,
    refusal,
    regular,
    smooth_samples,
    stack_flops,
    swap,
)
from symgraph.graph.ops.linalg.solve import Inv
from symgraph.graph.ops.matmul import matmul
from symgraph.graph.ops.reduce import sum as total
from symgraph.graph.ops.shape import expand_dims
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import TensorType, TupleType


def _scalars(x: Tensor) -> Tensor:
    """[...] as [..., 1, 1]."""
    return expand_dims(expand_dims(x, -1), -1)


def _inner(a: Tensor, b: Tensor) -> Tensor:
    """The sums of products of two stacks of matrices, [..., 1, 1]."""
    return total(a * b, (-2, -1), True)


def _singular(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """U, s and V' of square matrices, and det(U V') [..., 1, 1]."""
    try:
        u, s, vt = np.linalg.svd(x)
    except LinAlgError as error:
        raise refusal(x, np.linalg.svd, "has singular values that LAPACK did not find") from error
    sign = np.sign(np.linalg.det(u) * np.linalg.det(vt)).astype(x.dtype)
    return u, s, vt, sign[..., None, None]


def _others(s: np.ndarray) -> np.ndarray:
    """For each number the product of all others along the last axis."""
    ones = np.ones_like(s[..., :1])
    before = np.cumprod(np.concatenate([ones, s[..., :-1]], -1), -1)
    after = np.cumprod(np.concatenate([ones, s[..., :0:-1]], -1), -1)[..., ::-1]
    return np.asarray(before * after)[..., : s.shape[-1]]


@dataclass(frozen=True)
class Det(SquareOp):
    """The determinants [...] of square matrices [..., N, N]."""

    def infer(self, *types: Any) -> TensorType:
        """[...]."""
        kind = super().infer(*types)
        return TensorType(kind.dtype, kind.shape[:-2])

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """The cofactors (Jacobi's formula); defined for singular matrices too."""
        return (_scalars(grad) * Cofactors()(inputs[0]),)

    def compute(self, *arrays: np.ndarray) -> Any:
        """numpy's determinant."""
        with np.errstate(all="ignore"):
            return np.asarray(np.linalg.det(arrays[0]))

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """2/3 N^3."""
        return stack_flops(inputs[0], 2 * inputs[0][-1] ** 3 / 3)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Regular and singular matrices."""
        yield from smooth_samples(cls(), matrix_samples(rng, SQUARE, regular))
        yield Sample(cls(), (np.outer([1.0, 2.0, 3.0], [1.0, 0.5, -1.0]),), True)


@dataclass(frozen=True)
class Cofactors(SquareOp):
    """det(x) x'^-1, the gradient of the determinant, of any square matrix."""

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """Their change in the direction of grad: second derivatives of the determinant are symmetric."""
        return (CofactorChange()(inputs[0], grad),)

    def compute(self, *arrays: np.ndarray) -> Any:
        """U diag(products of the other singular values) V', which divides by nothing."""
        with np.errstate(all="ignore"):
            u, s, vt, sign = _singular(arrays[0])
            return (u * (sign * _others(s)[..., None, :])) @ vt

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """About 22 N^3 for the singular vectors, 2 N^3 for the product."""
        return stack_flops(inputs[0], 24 * inputs[0][-1] ** 3)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Regular matrices, and one of rank 1."""
        yield from smooth_samples(cls(), matrix_samples(rng, SQUARE, regular))
        yield Sample(cls(), (np.outer([1.0, 2.0, 3.0], [1.0, 0.5, -1.0]),), False)


@dataclass(frozen=True)
class CofactorChange(SquareOp):
    """The derivative of the cofactors of x in a direction: the second derivative of the determinant.

    Its own derivative by x is defined where x is regular, and NaN elsewhere.
    """

    def infer(self, *types: Any) -> TensorType:
        """As x."""
        check_dtypes(self, *types)
        if len(types[0].shape) != len(types[1].shape):
            raise ValueError(f"{self}: expected a direction like {types[0]}, got {types[1]}")
        kind: TensorType = super().infer(*types)
        return kind

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """By the direction: the change in that of grad. By x: of (<C, d> C - C d' C) / det(x)."""
        x, direction = inputs
        c, h = Cofactors()(x), grad / _scalars(Det()(x))
        by_c = _inner(h, c) * direction + _inner(c, direction) * h
        by_c = by_c - matmul(h, matmul(swap(c), direction)) - matmul(direction, matmul(swap(c), h))
        return CofactorChange()(x, by_c) - _inner(h, output) * c, CofactorChange()(x, grad)

    def compute(self, *arrays: np.ndarray) -> Any:
        """In the bases of the singular vectors, where x is diagonal."""
        x, direction = arrays
        with np.errstate(all="ignore"):
            u, s, vt, sign = _singular(x)
            inner = np.swapaxes(u, -1, -2) @ direction @ np.swapaxes(vt, -1, -2)
            size = s.shape[-1]
            ones = np.eye(size, dtype=bool)
            # Products of all singular values but two; nothing on the diagonal.
            without_two = np.where(ones, 0, _others(np.where(ones, 1, s[..., None, :])))
            change = -without_two * np.swapaxes(inner, -1, -2)
            slopes = without_two @ np.diagonal(inner, 0, -2, -1)[..., None]
            change[..., range(size), range(size)] = slopes[..., 0]
            return (sign * (u @ change @ vt)).astype(x.dtype, copy=False)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """About 22 N^3 for the singular vectors, 8 N^3 for products, 3 N^3 for those of numbers."""
        return stack_flops(inputs[0], 33 * inputs[0][-1] ** 3)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Regular matrices."""
        for x, free in matrix_samples(rng, SQUARE, regular):
            both = (*free, *((1, axis) for _, axis in free))
            yield Sample(cls(), (x, rng.standard_normal(x.shape).astype(x.dtype)), True, both)


@dataclass(frozen=True)
class Slogdet(SquareOp):
    """The signs of determinants, and the logarithms of their absolute values: [...] each."""

    def infer(self, *types: Any) -> TupleType:
        """[...] twice."""
        kind = super().infer(*types)
        scalars = TensorType(kind.dtype, kind.shape[:-2])
        return TupleType((scalars, scalars))

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Any) -> Sequence[Tensor | None]:
        """x'^-1 for the logarithm (Giles 2008, section 2.2.4); none for the sign."""
        _, of_logarithm = grad
        return (None if of_logarithm is None else _scalars(of_logarithm) * swap(Inv()(inputs[0])),)

    def compute(self, *arrays: np.ndarray) -> Any:
        """numpy's."""
        with np.errstate(all="ignore"):
            sign, logarithm = np.linalg.slogdet(arrays[0])
        return np.asarray(sign), np.asarray(logarithm)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """2/3 N^3, and a logarithm of each number of the diagonal."""
        size = inputs[0][-1]
        return stack_flops(inputs[0], 2 * size**3 / 3 + size)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Regular matrices, and a singular one."""
        yield from smooth_samples(cls(), matrix_samples(rng, SQUARE, regular))
        yield Sample(cls(), (np.ones((2, 2)),), False)


def det(x: Any) -> Tensor:
    """The determinants [...] of square matrices [..., N, N]. Differentiable for singular matrices too."""
    (x,) = floats(x)
    return Det()(x)


def slogdet(x: Any) -> tuple[Tensor, Tensor]:
    """The signs of determinants and the logarithms of their absolute values, [...] each.

    A singular matrix has 0 and -inf; the gradient of its logarithm is a LinAlgError when it is computed.
    """
    (x,) = floats(x)
    sign, logarithm = parts(Slogdet()(x))
    return sign, logarithm
