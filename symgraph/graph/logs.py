"""Logarithms of sums and differences of exponentials, without overflow, underflow or loss of digits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symgraph.graph.leaves import constant
from symgraph.graph.ops.barrier import bounded, stop_gradient
from symgraph.graph.ops.compare import equal, greater, greater_equal, less, logical_or
from symgraph.graph.ops.elementwise import cast, maximum, minimum, where
from symgraph.graph.ops.math import exp, expm1, isinf, isnan, log, log1p, round, softplus
from symgraph.graph.ops.nn import Softmax
from symgraph.graph.ops.reduce import MaxOrLowest, Sum
from symgraph.graph.tensor import Tensor

# Where softplus(x) = x to the last digit of its logarithm, where 1 - exp(x) = -x, and the largest safe
# exponent.
_SMALL = {"float32": -20.0, "float64": -40.0}
_ALMOST_ZERO = {"float32": -1e-20, "float64": -1e-150}
_MOST = {"float32": 80.0, "float64": 700.0}

# How large exponents may be beside sums of exponentials, each divided by the largest one.
_MOST_BESIDE_SUMS = {"float32": 40.0, "float64": 350.0}


def number(value: float, like: Tensor) -> Tensor:
    """A constant of the dtype of `like`."""
    return constant(value, like.dtype)


def log_one_minus_exp(x: Tensor) -> Tensor:
    """log(1 - exp(x)), for x <= 0; NaN elsewhere."""
    # Near 0 the difference loses digits, far from it the logarithm of nearly 1 does.
    near = greater(x, number(-np.log(2), x))
    close, far = where(near, x, number(-1, x)), where(near, number(-1, x), x)
    return where(near, log(-expm1(bounded(close))), log1p(-exp(bounded(far))))


def log_one_minus_exp_near_zero(x: Tensor, small: Tensor) -> Tensor:
    """log(1 - exp(x)), for x <= 0; `small` is log(-x), which it is where x is almost 0 or has vanished."""
    near = greater(x, number(_ALMOST_ZERO[x.dtype], x))
    return where(near, small, log_one_minus_exp(where(near, number(-1, x), x)))


def log_softplus(x: Tensor) -> Tensor:
    """log(log(1 + exp(x))): x itself where exp(x) is too small to be added to 1."""
    small = less(x, number(_SMALL[x.dtype], x))
    return where(small, x, log(softplus(bounded(where(small, number(0, x), x)))))


def log_not_softmax(x: Tensor) -> Tensor:
    """log(1 - softmax(x)) over the last axis.

    At most one probability is above 1/2; what is missing there is the sum of the others.
    """
    axis = (x.ndim - 1,)
    x = x - largest(x, axis)
    chances = Softmax()(bounded(x))
    likely = greater(chances, number(0.5, x))
    others = where(likely, number(-np.inf, x), x)
    rest = log_sum_exp(others, axis) - log_sum_exp(x, axis)
    return where(likely, rest, log1p(-where(likely, number(0, x), chances)))


def log_sum_exp(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """log(Σ exp(x)) over `axes`, which stay with size 1."""
    top = largest(x, axes)
    return top + log_sum([x - top], axes)


def largest(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The largest element along `axes`, which stay with size 1; 0 where it is not finite."""
    return finite(MaxOrLowest(axes, True)(x))


def finite(top: Tensor) -> Tensor:
    """`top` as a constant, 0 where it is infinite or NaN: those must not be subtracted from themselves."""
    top = stop_gradient(top)
    return where(logical_or(isinf(top), isnan(top)), number(0, top), top)


def top_of(logs: Sequence[Tensor]) -> Tensor:
    """The largest of several tensors, element by element; 0 where it is not finite."""
    top = logs[0]
    for other in logs[1:]:
        top = maximum(top, other)
    return finite(top)


def log_sum(gaps: Sequence[Tensor], axes: tuple[int, ...] = ()) -> Tensor:
    """log(Σ exp(gap)) of gaps of which the largest is 0; over `axes` too, which stay with size 1.

    The largest is left out of the sum, so that the rest does not vanish beside it.
    """
    rest = count = None
    for gap in gaps:
        first = cast(greater_equal(gap, number(0, gap)), gap.dtype)
        small = exp(bounded(gap)) - first
        if axes:
            small, first = Sum(axes, True)(small), Sum(axes, True)(first)
        rest = small if rest is None else rest + small
        count = first if count is None else count + first
    assert rest is not None and count is not None
    return log1p(rest + (count - number(1, count)))


def power_of_gap(gap: Tensor) -> Tensor:
    """exp(gap), of a gap that is above 0 only where it is infinite, or will be multiplied by 0."""
    held = minimum(gap, largest_exponent(gap))
    return exp(bounded(where(isinf(gap), gap, held)))


def largest_exponent(like: Tensor) -> Tensor:
    """The largest number of which the exponential is safe."""
    return number(_MOST[like.dtype], like)


def balanced(a: Tensor, b: Tensor, sign: int, by_sums: bool) -> tuple[Tensor, Tensor]:
    """Two exponents whose sum (`sign` 1) or difference (-1) counts, moved so far that none overflows alone.

    Whole numbers are moved, which costs no digit. `by_sums` tells that the numbers that the exponentials will
    be multiplied by are no smaller or larger than the sums of a few million exponentials. Other numbers can
    be anything: exponents below what exp overflows at then stay as they are, and so does every result.
    """
    most = (_MOST_BESIDE_SUMS if by_sums else _MOST)[a.dtype]
    moved = _excess(a, most)
    a, b = a - moved, b + moved if sign > 0 else b - moved
    moved = _excess(b, most)
    return a + moved if sign > 0 else a - moved, b - moved


def _excess(x: Tensor, most: float) -> Tensor:
    """What x has above `most`, or below -`most`, as a whole number that is a constant."""
    held = minimum(maximum(x, number(-most, x)), number(most, x))
    return round(finite(x - held))


def unless_zero(log_part: Tensor, rest: Tensor) -> Tensor:
    """The logarithm's part of what is not zero; -inf where `rest` is."""
    return where(equal(rest, number(0, rest)), number(-np.inf, log_part), log_part)
