"""The logarithm of the gamma function, and its derivative, the digamma function.

Both are computed in float64, float32 through it. Arguments are moved by whole steps to an interval of length
one, where a polynomial (Chebyshev, fitted to 60 digits) stands for the function divided by its zeros; large
ones take Stirling's series, negative ones Euler's reflection. Near zeros at negative numbers results are
accurate to the last places of 1, elsewhere to 4 units in the last place.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from symgraph.kernels.maths.exponential import log
from symgraph.kernels.maths.trigonometric import sin_cos
from symgraph.kernels.tile.vector import Vec, polynomial, where

_INFINITY = float("inf")
# lgamma(x) / ((x - 1) (x - 2)) as a polynomial in x - 1.75 for x between 1 and 2.5.
_LGAMMA = (
    0.4501393121092563, -0.11948158662524275, 0.04452044719850941, -0.019053957830247412,
    0.008776370425277888, -0.004226194125928346, 0.0020955338792364464, -0.0010605660749412342,
    0.0005448970025495887, -0.0002831906297104388, 0.00014851664114522942, -7.846167352252309e-05,
    4.170624738675929e-05, -2.228191217665965e-05, 1.194597872164936e-05, -6.434822788014993e-06,
    3.516434844428187e-06, -1.9066804238023735e-06, 9.424957587698116e-07, -5.128211509102332e-07,
    4.346200532078776e-07, -2.386040832536453e-07, -3.336913537804954e-08, 1.8847734392676648e-08,
    9.11277895517167e-08, -5.0333679908980265e-08,
)  # fmt: skip
# digamma(x) / (x - root) as a polynomial in x - 1.5 for x between 1 and 2; the root in two parts.
_DIGAMMA = (
    0.951055876031833, -0.4236274212814605, 0.2405424842407742, -0.14840492305390884, 0.09498872445494122,
    -0.061922133273064534, 0.04076083381242074, -0.02697579675613825, 0.0179072524394512,
    -0.011908218001568644, 0.007926944646403797, -0.005279964873257405, 0.003519006401502276,
    -0.002345267632540769, 0.0015566317474486838, -0.0010376374098418604, 0.0007233266279287554,
    -0.0004821990530566789, 0.0002272331660987376, -0.00015148586836773365, 0.00025968482126430747,
    -0.00017312261802727394,
)  # fmt: skip
_ROOT = (1.4616321449683622, 9.549995429965697e-17)
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
# Of 1 / x, 1 / x**3 ... in Stirling's series, and of 1 / x**2, 1 / x**4 ... in its derivative.
_STIRLING = tuple(b / (2 * k * (2 * k - 1)) for k, b in enumerate(_BERNOULLI, 1))
_SLOPE = tuple(-b / (2 * k) for k, b in enumerate(_BERNOULLI, 1))
_LARGE = 10.0


def _in_double(function: Callable[[Vec], Vec]) -> Callable[[Vec], Vec]:
    """`function` of float64; float32 goes through it."""

    def computed(x: Vec) -> Vec:
        return function(x.cast("float64")).cast(x.dtype)

    computed.__doc__ = function.__doc__
    return computed


def _turn(x: Vec) -> tuple[Vec, Vec]:
    """Sine and cosine of pi x, for the distance of x from the nearest whole number; both but for the sign."""
    rest = x - x.rint()
    near = abs(rest) <= 0.25
    # Beyond a quarter of a turn from the other side: sin_cos takes up to pi / 4.
    folded = where(near, rest, (0.5 - abs(rest)).copysign(rest))
    sine, cosine = sin_cos(folded * math.pi)
    return where(near, sine, abs(cosine).copysign(rest)), where(near, cosine, abs(sine))


@_in_double
def lgamma(x: Vec) -> Vec:
    """ln |gamma(x)|; infinite at 0 and the negative whole numbers."""
    size = abs(x)
    large = size >= _LARGE
    y = where(large, 2.0, size)
    raised = y < 1.0
    # The distance from 1, after a step up of small numbers, in which nothing is rounded.
    d = where(raised, y, y - 1.0)
    factor = where(raised, y, 1.0)
    for _ in range(8):
        high = d > 1.5
        d = where(high, d - 1.0, d)
        factor = where(high, factor * (d + 1.0), factor)
    step = log(factor)
    near = d * (d - 1.0) * polynomial(d - 0.75, _LGAMMA) + where(raised, -step, step)
    inverse = 1.0 / size
    series = inverse * polynomial(inverse * inverse, _STIRLING)
    # ln(2 pi) / 2 - 1 / 2
    far = (size - 0.5) * (log(size) - 1.0) + (0.4189385332046727 + series)
    positive = where(large, where(size.equals(_INFINITY), size, far), near)
    sine, _ = _turn(size)
    reflected = log(math.pi / (size * abs(sine))) - positive
    result = where(x < 0.0, where(size.equals(_INFINITY), size, reflected), positive)
    return where(x.equals(0.0) | ((x < 0.0) & x.floor().equals(x)), _INFINITY, result)


@_in_double
def digamma(x: Vec) -> Vec:
    """The derivative of ln gamma(x): infinite at 0, NaN at the negative whole numbers."""
    negative = x < 0.0
    # 1 - x of a negative number, whose distance from whole numbers counts for itself below.
    base = where(negative, 1.0 - x, x)
    large = base >= _LARGE
    y = where(large, 1.5, base)
    total = x.constant(0.0)
    low = y < 1.0
    total = where(low, -1.0 / y, total)
    y = where(low, y + 1.0, y)
    for _ in range(8):
        high = y > 2.0
        y = where(high, y - 1.0, y)
        total = where(high, total + 1.0 / y, total)
    near = ((y - _ROOT[0]) - _ROOT[1]) * polynomial(y - 1.5, _DIGAMMA) + total
    inverse = 1.0 / base
    square = inverse * inverse
    far = log(base) + (square * polynomial(square, _SLOPE) - 0.5 * inverse)
    result = where(large, far, near)
    sine, cosine = _turn(x)
    result = where(negative, result - math.pi * cosine / sine, result)
    result = where(negative & (x.floor().equals(x)), float("nan"), result)
    return where(x.equals(0.0), x.constant(-_INFINITY).copysign(-x), result)
