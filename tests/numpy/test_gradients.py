"""Gradients of everything smooth in the namespace, by finite differences, and theirs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symgraph
from symgraph import numpy as xp
from symgraph.graph.evaluate import evaluate
from symgraph.graph.gradient import gradients
from tests.checkers import _difference, _probe
from tests.numpy.cases import Call

INSIDE = np.random.default_rng(1).permutation(np.linspace(-0.87, 0.9, 12)).reshape(3, 4)
ABOVE = INSIDE + 2.4
# Of numbers between -1 and 1, and of numbers above 1.
SMOOTH = (
    "abs", "acos", "asin", "asinh", "atan", "atanh", "cos", "cosh", "erf", "exp", "exp2", "expm1", "negative",
    "positive", "sin", "sinh", "square", "tan", "tanh", "sinc", "degrees", "radians",
)  # fmt: skip
POSITIVE = ("acosh", "digamma", "lgamma", "log", "log10", "log1p", "log2", "reciprocal", "sqrt")
TWO = (
    "add", "atan2", "copysign", "divide", "hypot", "logaddexp", "maximum", "minimum", "multiply", "pow",
    "remainder", "subtract",
)  # fmt: skip


def of_one(name: str) -> Call:
    """A function of one tensor."""
    return lambda xp, x: getattr(xp, name)(x)


def of_two(name: str) -> Call:
    """A function of two tensors, of which both depend on one."""
    return lambda xp, x: getattr(xp, name)(x, x[:1] * 0.5 + 0.4)


MOVED: dict[str, Call] = {
    "concat": lambda xp, x: xp.concat([x, x * x], axis=0),
    "sort": lambda xp, x: xp.sort(x * x, axis=1, descending=True),
    "take": lambda xp, x: xp.take(x * x, xp.asarray([0, 2, 0]), axis=1),
    "roll": lambda xp, x: xp.roll(x * x, 1, axis=1) * x,
    "flip": lambda xp, x: xp.flip(x) * x,
    "tile": lambda xp, x: xp.tile(x * x, (2, 2)),
    "repeat": lambda xp, x: xp.repeat(x, 2, axis=1) ** 2,
    "repeat by counts": lambda xp, x: xp.repeat(x, [1, 0, 3, 2], axis=1) ** 2,
    "pad": lambda xp, x: xp.pad(x, ((1, 0), (2, 3)), mode="reflect") ** 2,
    "split": lambda xp, x: xp.split(x, [1, 3], axis=1)[1] ** 2,
    "diff": lambda xp, x: xp.diff(x, axis=1) ** 2,
    "tril": lambda xp, x: xp.tril(x) ** 2,
    "where": lambda xp, x: xp.where(x > 0, x * x, xp.exp(x)),
    "clip": lambda xp, x: xp.clip(x, -0.5, 0.5) ** 2,
    "astype": lambda xp, x: xp.astype(x, xp.float64) ** 2,
}
SUMMED: dict[str, Call] = {
    "lgamma of negative numbers": lambda xp, x: xp.lgamma(x - 2.1),
    "digamma of negative numbers": lambda xp, x: xp.digamma(x * 0.4 - 1.5),
    "sum": lambda xp, x: xp.sum(x * x, axis=1),
    "prod": lambda xp, x: xp.prod(x, axis=0),
    "mean": lambda xp, x: xp.mean(x * x, axis=0),
    "var": lambda xp, x: xp.var(x, axis=1, correction=1),
    "std": lambda xp, x: xp.std(x, axis=1),
    "max": lambda xp, x: xp.max(x, axis=1) ** 2,
    "min": lambda xp, x: xp.min(x) ** 2,
    "cumulative_sum": lambda xp, x: xp.cumulative_sum(x * x, axis=1, include_initial=True),
    "cumulative_prod": lambda xp, x: xp.cumulative_prod(x, axis=1),
    "median": lambda xp, x: xp.median(x * x, axis=1),
    "average": lambda xp, x: xp.average(x, axis=1, weights=xp.exp(x)),
    "einsum": lambda xp, x: xp.einsum("ij,kj,kl->il", x, x, x),
    "einsum of a diagonal": lambda xp, x: xp.einsum("ii,i->i", xp.matmul(x, x.T), x[:, 0]),
    "interp": lambda xp, x: xp.interp(x, xp.cumulative_sum(xp.exp(x[0, :])) - 2, x[1, :]),
    "bincount": lambda xp, x: xp.bincount(xp.asarray([0, 2, 0, 1]), x[0, :] ** 2, length=4),
    "matmul": lambda xp, x: xp.matmul(x, xp.matrix_transpose(x)),
    "vecdot": lambda xp, x: xp.vecdot(x, xp.exp(x)),
}
CASES: dict[str, tuple[Call, np.ndarray]] = {
    **{name: (of_one(name), INSIDE) for name in SMOOTH},
    **{name: (of_one(name), ABOVE) for name in POSITIVE},
    **{name: (of_two(name), ABOVE) for name in TWO},
    **{name: (call, INSIDE) for name, call in (MOVED | SUMMED).items()},
}


@pytest.mark.parametrize("name", CASES)
def test_gradient_and_its_gradient(name: str) -> None:
    call, array = CASES[name]
    rng = np.random.default_rng(len(name))
    x = symgraph.placeholder(array.shape, dtype="float64", name="x")
    scalar: Any = _probe([call(xp, x)], rng)
    for order in (1, 2):
        (slope,) = gradients(scalar, [x], disconnected="zero")
        direction = rng.standard_normal(array.shape)
        found = float(np.sum(evaluate([slope], {x: array})[0] * direction))
        measured = _difference(scalar, [x], [array], [0], [direction])
        assert abs(found - measured) <= 2e-5 * max(1.0, abs(measured)), (name, order, found, measured)
        scalar = _probe([slope], rng)


def test_gradients_at_special_points() -> None:
    """Finite where the function is: the origin of hypot, equal infinities of logaddexp."""
    x, y = (symgraph.placeholder((2,), dtype="float64", name=n) for n in "xy")
    slopes = gradients(xp.sum(xp.hypot(x, y)), [x, y])
    for slope in symgraph.function([x, y], slopes)([0.0, 3.0], [0.0, 4.0]):
        np.testing.assert_allclose(slope[0], 0.0)
    slopes = gradients(xp.sum(xp.logaddexp(x, y)), [x, y])
    first, second = symgraph.function([x, y], slopes)([-np.inf, -np.inf], [-np.inf, 3.0])
    np.testing.assert_allclose(first, [0.5, 0.0])
    np.testing.assert_allclose(second, [0.5, 1.0])
