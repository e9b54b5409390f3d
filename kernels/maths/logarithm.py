"""Logarithms to other bases and inverse hyperbolic functions, from the natural logarithm.

The inverse hyperbolic functions are written as logarithms of 1 + t with a t that needs no cancellation, as in
fdlibm (Sun Microsystems, 1993).
"""

from __future__ import annotations

import math

from symgraph.kernels.maths.exponential import (
    INFINITY,
    log,
    log1p,
    log_double,
    log_parts,
    log_positive,
    small_float,
    two_product,
)
from symgraph.kernels.tile.vector import Vec, where

# 1 / ln 10 in two parts.
_INVERSE_LN10 = (0.4342944819032518, 1.098319650216765e-17)
# Beyond, the 1 in x**2 + 1 and in x + 1 does not count.
_LARGE = 2.0**28


def _outside_of_range(x: Vec, inside: Vec) -> Vec:
    """`inside`, and what a logarithm is at 0 and below, at infinity and of NaN."""
    result = where(x < INFINITY, inside, x)
    result = where(x.equals(0.0), -INFINITY, result)
    return where(x < 0.0, float("nan"), result)


def log2(x: Vec) -> Vec:
    """Logarithm to base 2: the exponent, and the logarithm of what lies between sqrt(1/2) and sqrt(2)."""
    k, f = log_parts(x)
    rest = log_positive(1.0 + f) * (1.0 / math.log(2.0))
    return _outside_of_range(x, small_float(k, x.dtype) + rest)


def log10(x: Vec) -> Vec:
    """Logarithm to base 10, of whole powers exact: float32 through float64, float64 through two."""
    if x.dtype == "float32":
        return (log(x.cast("float64")) * _INVERSE_LN10[0]).cast("float32")
    regular = (x > 0.0) & (x < INFINITY)
    high, low = log_double(where(regular, x, 1.0))
    product, error = two_product(high, x.constant(_INVERSE_LN10[0]))
    return _outside_of_range(x, product + (error + (high * _INVERSE_LN10[1] + low * _INVERSE_LN10[0])))


def asinh(x: Vec) -> Vec:
    """Inverse hyperbolic sine: log(1 + t) with t = x + x**2 / (1 + sqrt(x**2 + 1))."""
    size = abs(x)
    large = size > _LARGE
    bounded = where(large, 1.0, size)
    square = bounded * bounded
    near = log1p(bounded + square / (1.0 + (square + 1.0).sqrt()))
    far = log(size) + math.log(2.0)
    result = where(large, far, where(size < 2.0**-28, size, near))
    return where(x.is_nan(), x, result.copysign(x))


def acosh(x: Vec) -> Vec:
    """Inverse hyperbolic cosine: log(1 + t) with t = y + sqrt(2 y + y**2), y = x - 1; NaN below 1."""
    large = x > _LARGE
    above = where(large, 1.0, x - 1.0)
    near = log1p(above + (2.0 * above + above * above).sqrt())
    return where(x < 1.0, float("nan"), where(large, log(x) + math.log(2.0), near))


def atanh(x: Vec) -> Vec:
    """Inverse hyperbolic tangent: log(1 + 2 x / (1 - x)) / 2; NaN outside [-1, 1]."""
    size = abs(x)
    twice = size + size
    # For small numbers 2 x + 2 x**2 / (1 - x), in which the first term is exact.
    ratio = where(size < 0.5, twice + twice * size / (1.0 - size), twice / (1.0 - size))
    result = where(size < 2.0**-28, size, 0.5 * log1p(ratio))
    return where(size > 1.0, float("nan"), result.copysign(x))
