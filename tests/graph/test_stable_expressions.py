"""Random expressions of exponentials: as they were written, as they are made stable, and their derivatives.

Values stay in a range in which float64 loses nothing, so that the expression as it was written is the truth.
Matrices are square: what lies along a wrong axis has a shape that fits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.graph.evaluate import evaluate
from symgraph.graph.gradient import gradients
from symgraph.graph.leaves import placeholder
from symgraph.graph.ops.shape import broadcast_to
from symgraph.graph.tensor import Tensor
from symgraph.passes.stabilise import stabilise

SIZE = 3


def line(reduce: Callable[..., Tensor], axis: int, place: int) -> Callable[[Tensor], Tensor]:
    """A reduction over one axis, laid along an axis that may be another one, in one of three ways."""

    def build(x: Tensor) -> Tensor:
        shape = (1, SIZE) if place else (SIZE, 1)
        return K.reshape(reduce(x, axis=axis), shape)

    return build


def tiled(part: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def build(x: Tensor) -> Tensor:
        value = part(x)
        return K.tile(value, [SIZE // int(n or 1) for n in K.int_shape(value)])

    return build


LINES = [
    line(reduce, axis, place) for reduce in (K.sum, K.max, K.mean) for axis in (0, 1) for place in (0, 1)
]
PARTS = [*LINES, *(tiled(part) for part in LINES)]
UNARY: list[Callable[[Tensor], Tensor]] = [
    K.exp, K.exp, K.exp, K.sigmoid, K.sigmoid, K.softplus, K.tanh, K.softmax, K.log, K.sqrt, K.square, K.abs,
    lambda x: -x, lambda x: 1 - x, lambda x: 1 + x, lambda x: 2 - x, lambda x: 1 / x, lambda x: x * 0.5,
    lambda x: K.softmax(x, 0), lambda x: K.pow(x, 3), lambda x: K.pow(x, -1), lambda x: K.log(1 - x),
    lambda x: 1 - K.prod(1 - x, axis=1, keepdims=True), lambda x: 1 / x - 1, lambda x: 1 - K.exp(-x),
    lambda x: x - 1, K.transpose, lambda x: x[::-1], lambda x: K.maximum(x, 0.0), lambda x: K.clip(x, -3, 3),
    lambda x: K.concatenate([x[:, 1:], x[:, :1]], 1), lambda x: K.switch(K.greater(x, 0.5), x, 2 * x),
    lambda x: K.gather(x, K.constant([1, 2, 1], dtype="int32")), lambda x: K.cumsum(x, 1),
    lambda x: K.sum(x * K.constant(np.eye(SIZE), "float64"), axis=1, keepdims=True) + 0 * x,
]  # fmt: skip
BINARY: list[Callable[[Tensor, Tensor], Tensor]] = [
    lambda a, b: a + b, lambda a, b: a - b, lambda a, b: -a + b, lambda a, b: -a - b, lambda a, b: -a + -b,
    lambda a, b: -(a - b), lambda a, b: a * b, lambda a, b: a / b, lambda a, b: a / (a + b),
    lambda a, b: K.log(a + b), lambda a, b: 0.25 * a + 0.75 * b, lambda a, b: a + b * 2 - a * b,
    K.maximum, K.minimum, lambda a, b: K.concatenate([a[:1], b[1:]], 0),
]  # fmt: skip


def softmax_by_hand(part: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """With a sum that may lie along a wrong axis."""
    return lambda x: K.exp(x) / part(K.exp(x))


def shifted_softmax(part: Callable[[Tensor], Tensor], axis: int) -> Callable[[Tensor], Tensor]:
    """With a largest element that may have been taken off along a wrong axis."""

    def build(x: Tensor) -> Tensor:
        power = K.exp(x - part(x))
        return power / K.sum(power, axis=axis, keepdims=True)

    return build


SOFTMAX = [
    *(softmax_by_hand(part) for part in PARTS),
    *(shifted_softmax(part, axis) for part in PARTS for axis in (0, 1)),
]
OUTER: list[Callable[[Tensor], Tensor]] = [
    lambda x: 1 / x, K.exp, lambda x: K.log(-x), lambda x: K.log(K.square(x)), lambda x: K.log(1 - x),
]  # fmt: skip


def grown(seed: int, x: Tensor) -> Tensor:
    """A random expression of x: each step is made of the last few."""
    rng = np.random.default_rng(seed)

    def pick(things: list[Any]) -> Any:
        return things[rng.integers(len(things))]

    pool = [x]
    for _ in range(rng.integers(2, 8)):
        kind, a = rng.random(), pick(pool[-3:])
        if kind < 0.45:
            made = pick(UNARY)(a)
        elif kind < 0.55:
            made = pick(SOFTMAX)(a)
        elif kind < 0.7:
            part = pick(PARTS)(a)
            made = a - part if rng.random() < 0.4 else a / part
        elif kind < 0.9:
            made = pick(BINARY)(a, pick(pool))
        else:
            made = pick(OUTER)(
                pick(BINARY)(pick([K.exp, K.sigmoid])(a), pick([K.exp, K.sigmoid])(pick(pool)))
            )
        pool.append(made if made.shape == x.shape else broadcast_to(made, x.shape))
    return pool[-1]


def check_seed(seed: int) -> bool:
    """Whether the derivative of expression number `seed` was compared; its value always is."""
    rng = np.random.default_rng(seed)
    x = placeholder((SIZE, SIZE), dtype="float64")
    value, way = rng.uniform(-1.5, 1.5, (SIZE, SIZE)), rng.standard_normal((SIZE, SIZE))
    with np.errstate(all="ignore"):
        y = grown(seed, x)
        loss = K.sum(y * K.constant(rng.uniform(0.2, 2, (SIZE, SIZE)), "float64"))
        (plain,) = evaluate([y], {x: value})
        if not np.isfinite(plain).all() or np.abs(plain).max() > 1e6:
            return False
        roots = [y, *gradients(loss, [x], disconnected="zero")]
        found, slope = evaluate(stabilise(roots, Counter()), {x: value})
        np.testing.assert_allclose(found, plain, rtol=1e-6, atol=1e-8, err_msg=f"seed {seed}")
        sides = [evaluate([loss], {x: value + step * way})[0] for step in (1e-5, -1e-5, 2e-5, -2e-5)]
    one, two = (sides[0] - sides[1]) / 2e-5, (sides[2] - sides[3]) / 4e-5
    scale = max(float(np.abs(slope).max()), abs(one), 1e-3)
    steady = bool(abs(one - two) < 1e-6 * scale)
    if steady:
        assert abs((slope * way).sum() - one) < 1e-4 * scale, f"seed {seed}: {slope}, by differences {one}"
    return steady


@pytest.mark.parametrize("first", range(0, 1200, 150))
def test_stable_expressions_are_what_was_written(first: int) -> None:
    assert sum(check_seed(seed) for seed in range(first, first + 150)) > 50
