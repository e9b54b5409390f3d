"""The logarithm of the gamma function and its derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from symgraph.globals import floatx
from symgraph.graph.leaves import as_tensor, constant
from symgraph.graph.ops.compare import less
from symgraph.graph.ops.elementwise import cast, where
from symgraph.graph.ops.math import Unary, reciprocal, round, sin, square, unary
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import is_float, working_dtype

_lgamma = np.vectorize(lambda x: math.inf if x <= 0 and x == math.floor(x) else math.lgamma(x), otypes=["d"])
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
# Where the asymptotic series are used from.
_FAR = 12


def _digamma(x: np.ndarray) -> np.ndarray:
    """The asymptotic series at x + 20 less the steps there, in the widest floats; reflected for x < 0."""
    wide = np.asarray(x).astype(np.longdouble)
    with np.errstate(all="ignore"):
        base = np.where(wide < 0, 1 - wide, wide)
        steps = sum(1 / (base + k) for k in range(20))
        far = base + 20
        found = np.log(far) - 1 / (2 * far) - steps
        for k, number in enumerate(_BERNOULLI, 1):
            found = found - number / (2 * k) / far ** (2 * k)
        turn = (wide - np.round(wide)) * (4 * np.arctan(np.longdouble(1)))
        found = np.where(wide < 0, found - 4 * np.arctan(np.longdouble(1)) / np.tan(turn), found)
        found = np.where((wide < 0) & (np.floor(wide) == wide), np.nan, found)
        found = np.where(np.isposinf(wide), wide, found)
        return np.asarray(np.where(wide == 0, -np.copysign(np.inf, wide), found))


@dataclass(frozen=True)
class Lgamma(Unary):
    """ln |Γ(x)|."""

    kernel: ClassVar[str] = "lgamma"
    function: ClassVar[Callable[..., Any]] = staticmethod(
        lambda x: _lgamma(x) if np.size(x) else np.zeros_like(x)
    )
    domain: ClassVar[tuple[float, float]] = (0.3, 6.0)

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        """digamma(x)."""
        return digamma(x)


@dataclass(frozen=True)
class Digamma(Unary):
    """The derivative of ln Γ(x)."""

    kernel: ClassVar[str] = "digamma"
    function: ClassVar[Callable[..., Any]] = staticmethod(_digamma)
    domain: ClassVar[tuple[float, float]] = (0.3, 6.0)

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        """trigamma(x)."""
        return trigamma(x)


lgamma = unary(Lgamma)
digamma = unary(Digamma)


def trigamma(x: Any) -> Tensor:
    """The second derivative of ln Γ(x). Integers are computed in `K.floatx()`.

    Written with plain functions, so that it has derivatives of every order: the asymptotic series from 12 on,
    less the steps to there; Euler's reflection ψ'(1 - x) + ψ'(x) = π²/sin²(πx) for negative x.
    """
    x = as_tensor(x)
    x = x if is_float(x.dtype) else cast(x, working_dtype(floatx()))
    negative = less(x, 0)
    base = where(negative, 1 - x, x)
    far = base + _FAR
    inverse = reciprocal(far)
    powers = square(inverse)
    # 1/x + 1/(2x²) + 1/(6x³) - 1/(30x⁵) + ...
    series = constant(_BERNOULLI[-1], x.dtype) * powers
    for number in _BERNOULLI[-2::-1]:
        series = (series + number) * powers
    found = inverse + 0.5 * powers + inverse * series
    for k in range(_FAR - 1, -1, -1):
        found = found + square(reciprocal(base + k))
    # Away from its poles, where this is not chosen and must not give infinities.
    turn = where(negative, x - round(x), constant(0.5, x.dtype))
    reflected = square(math.pi * reciprocal(sin(math.pi * turn))) - found
    return where(negative, reflected, found)
