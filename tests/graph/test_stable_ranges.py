"""What is in range as written stays so: products and quotients of exponentials and numbers of any size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.compiler.function import Function
from symgraph.graph.gradient import gradients
from symgraph.graph.leaves import placeholder
from symgraph.graph.tensor import Tensor

EXPONENTS = np.array([-87, -60, -33, -10, -1.5, 0, 0.1, 10, 25, 50, 70, 88])
SIZES = np.array([1e-38, 1e-30, -1e-20, 1e-9, 1, -3.0, 1e10, -1e20, 1e30, 1e38])
POINTS = [p.ravel() for p in np.meshgrid(EXPONENTS, EXPONENTS, SIZES, SIZES, indexing="ij")]

Expression = Callable[..., Any]

# Each an expression of exp, x, y, u, v, and its derivative by x as a multiple of its value.
PRODUCTS: dict[str, tuple[Expression, float]] = {
    "u exp(x) * v exp(y)": (lambda exp, x, y, u, v: (u * exp(x)) * (v * exp(y)), 1),
    "exp(x) * v exp(y)": (lambda exp, x, y, u, v: exp(x) * (v * exp(y)), 1),
    "u exp(x) / v exp(y)": (lambda exp, x, y, u, v: (u * exp(x)) / (v * exp(y)), 1),
    "exp(x) / v exp(y)": (lambda exp, x, y, u, v: exp(x) / (v * exp(y)), 1),
    "u / v exp(x)": (lambda exp, x, y, u, v: u / (v * exp(x)), -1),
    "(u exp(x))^2 / v exp(y)": (lambda exp, x, y, u, v: (u * exp(x)) ** 2 / (v * exp(y)), 2),
    "(u exp(x) v) / exp(y)": (lambda exp, x, y, u, v: ((u * exp(x)) * v) / exp(y), 1),
    "(u exp(x) v) * exp(y)": (lambda exp, x, y, u, v: ((u * exp(x)) * v) * exp(y), 1),
    "1 / (u exp(x) v)": (lambda exp, x, y, u, v: 1 / ((u * exp(x)) * v), -1),
}

SUMS: dict[str, Expression] = {
    "exp(y) * (exp(x) - 1)": lambda exp, x, y, u, v: exp(y) * (exp(x) - 1),
    "exp(y) / (exp(x) - 1)": lambda exp, x, y, u, v: exp(y) / (exp(x) - 1),
    "u exp(x) / (u exp(x) + exp(y))": lambda exp, x, y, u, v: (u * exp(x)) / (u * exp(x) + exp(y)),
    "v * (1 + exp(x)) / u": lambda exp, x, y, u, v: v * (1 + exp(x)) / u,
    "u / (v + exp(x))": lambda exp, x, y, u, v: u / (v + exp(x)),
    "exp(y) / (v + exp(x))": lambda exp, x, y, u, v: exp(y) / (v + exp(x)),
}

LOGS: dict[str, Expression] = {
    "u exp(x) v": lambda exp, x, y, u, v: (u * exp(x)) * v,
    "u exp(x) / v": lambda exp, x, y, u, v: (u * exp(x)) / v,
    "1 + u exp(x)": lambda exp, x, y, u, v: 1 + u * exp(x),
    "1 + u exp(x) v": lambda exp, x, y, u, v: 1 + (u * exp(x)) * v,
    "u exp(x) * v exp(y)": lambda exp, x, y, u, v: (u * exp(x)) * (v * exp(y)),
}


def outputs(build: Expression, outer: Callable[[Tensor], Tensor] = lambda t: t) -> list[np.ndarray]:
    """Value and derivative by x, in float32."""
    inputs = [placeholder((None,)) for _ in POINTS]
    value = outer(build(K.exp, *inputs))
    slope = gradients(K.sum(value), [inputs[0]])[0]
    found = Function(inputs, [value, slope])([p.astype("float32") for p in POINTS])
    return [np.asarray(x) for x in found]


def in_range(build: Expression) -> tuple[np.ndarray, np.ndarray]:
    """Where no step of the expression as it is written leaves float32's range; the true value."""
    good = np.ones(POINTS[0].shape, bool)
    tiny, huge = np.finfo("f4").tiny, np.finfo("f4").max

    class Seen:
        """A number of which every step is looked at."""

        def __init__(self, value: Any) -> None:
            nonlocal good
            self.value = value
            good &= (value == 0) | ((np.abs(value) >= tiny) & (np.abs(value) <= huge / 4))

        def __mul__(self, other: Any) -> Seen:
            return Seen(self.value * _plain(other))

        def __add__(self, other: Any) -> Seen:
            return Seen(self.value + _plain(other))

        def __sub__(self, other: Any) -> Seen:
            return Seen(self.value - _plain(other))

        def __truediv__(self, other: Any) -> Seen:
            return Seen(self.value / _plain(other))

        def __rtruediv__(self, other: Any) -> Seen:
            return Seen(other / self.value)

        def __pow__(self, other: float) -> Seen:
            return Seen(self.value**other)

        __radd__, __rmul__ = __add__, __mul__

    def exp(x: Any) -> Seen:
        return Seen(np.exp(x.value))

    def _plain(x: Any) -> Any:
        return x.value if isinstance(x, Seen) else x

    with np.errstate(all="ignore"):
        true = build(exp, *(Seen(p.astype("f4").astype("longdouble")) for p in POINTS)).value
    return good, true


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_and_quotients_in_range_stay_in_range(name: str) -> None:
    build, factor = PRODUCTS[name]
    good, true = in_range(build)
    value, slope = outputs(build)
    assert good.sum() > 1000
    np.testing.assert_allclose(value[good], true[good], rtol=2e-5)
    # A derivative has steps of its own, squares among them, which may leave the range.
    x, y, u, v = np.abs(POINTS)
    good &= (np.maximum(x, y) < 30) & (np.maximum(u, v) < 1e5) & (np.minimum(u, v) > 1e-15)
    good &= np.abs(true) < 1e15
    assert good.sum() > 100
    np.testing.assert_allclose(slope[good], factor * true[good], rtol=2e-5)


@pytest.mark.parametrize("name", SUMS)
def test_sums_in_range_stay_in_range(name: str) -> None:
    good, true = in_range(SUMS[name])
    assert good.sum() > 1000
    value, _ = outputs(SUMS[name])
    np.testing.assert_allclose(value[good], true[good], rtol=2e-5)


@pytest.mark.parametrize("name", LOGS)
def test_logarithms_of_what_is_in_range(name: str) -> None:
    good, true = in_range(LOGS[name])
    good &= true > 0
    value, _ = outputs(LOGS[name], K.log)
    assert good.sum() > 1000
    np.testing.assert_allclose(value[good], np.log(true[good]), rtol=2e-5, atol=2e-5)


def test_a_number_divided_by_itself_is_one() -> None:
    x = placeholder((None,))
    both = K.stack([K.exp(x), x])
    values = np.array([1e-44, 1e-39, 1e-38, -1e-30, 3e-7, 5.0, -88.0, 88.7, -1e20, 3e38], "float32")
    (found,) = Function([x], [both / both])([values])
    np.testing.assert_array_equal(found[1], 1)
    np.testing.assert_array_equal(found[0, np.abs(values) < 87], 1)
