"""Logarithms to other bases and of sums of exponentials, and inverse hyperbolic functions, which are some."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from symgraph.globals import floatx
from symgraph.graph.leaves import as_tensor, constant
from symgraph.graph.ops.compare import equal
from symgraph.graph.ops.elementwise import cast, maximum, power, together, where
from symgraph.graph.ops.math import Unary, absolute, exp, log1p, reciprocal, rsqrt, unary
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import is_float, working_dtype


@dataclass(frozen=True)
class Log2(Unary):
    """Logarithm to base 2, exact for powers of two."""

    kernel: ClassVar[str] = "log2"
    function: ClassVar[Callable[..., Any]] = np.log2
    domain: ClassVar[tuple[float, float]] = (0.3, 3.0)

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        """1/(x ln 2)."""
        return 1 / math.log(2) * reciprocal(x)


@dataclass(frozen=True)
class Log10(Unary):
    """Logarithm to base 10."""

    kernel: ClassVar[str] = "log10"
    function: ClassVar[Callable[..., Any]] = np.log10
    domain: ClassVar[tuple[float, float]] = (0.3, 3.0)

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        """1/(x ln 10)."""
        return 1 / math.log(10) * reciprocal(x)


@dataclass(frozen=True)
class Arcsinh(Unary):
    """Inverse hyperbolic sine."""

    kernel: ClassVar[str] = "asinh"
    function: ClassVar[Callable[..., Any]] = np.arcsinh

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        """1/√(x² + 1)."""
        return rsqrt(x * x + 1)


@dataclass(frozen=True)
class Arccosh(Unary):
    """Inverse hyperbolic cosine."""

    kernel: ClassVar[str] = "acosh"
    function: ClassVar[Callable[..., Any]] = np.arccosh
    domain: ClassVar[tuple[float, float]] = (1.3, 3.0)

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        """1/√((x - 1)(x + 1))."""
        return rsqrt((x - 1) * (x + 1))


@dataclass(frozen=True)
class Arctanh(Unary):
    """Inverse hyperbolic tangent."""

    kernel: ClassVar[str] = "atanh"
    function: ClassVar[Callable[..., Any]] = np.arctanh
    domain: ClassVar[tuple[float, float]] = (-0.8, 0.8)

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        """1/((1 - x)(1 + x))."""
        return reciprocal((1 - x) * (1 + x))


log2 = unary(Log2)
log10 = unary(Log10)
arcsinh = unary(Arcsinh)
arccosh = unary(Arccosh)
arctanh = unary(Arctanh)


def logaddexp(a: Any, b: Any) -> Tensor:
    """ln(e^a + e^b), without overflow. Broadcasts; integers are computed in `K.floatx()`."""
    a, b = together(a, b)
    if not is_float(a.dtype):
        a, b = cast(a, working_dtype(floatx())), cast(b, working_dtype(floatx()))
    # Of equal infinities there is no difference.
    gap = where(equal(a, b), constant(0, a.dtype), a - b)
    return maximum(a, b) + log1p(exp(-absolute(gap)))


def exp2(x: Any) -> Tensor:
    """2^x. Integers are computed in `K.floatx()`."""
    x = as_tensor(x, floatx())
    x = x if is_float(x.dtype) else cast(x, working_dtype(floatx()))
    return power(constant(2, x.dtype), x)
