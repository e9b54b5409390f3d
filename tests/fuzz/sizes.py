"""Sizes and slice bounds that are fed, and elements that data choose, in random graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from symgraph.graph.ops import create, shape
from tests.fuzz.nodes import Node

if TYPE_CHECKING:
    from tests.fuzz.grow import Grower

_MOST_AXES = 4


def fed_slice(g: Grower) -> Node | None:
    """A slice between fed bounds, which may be negative or lie outside, along the first or last axis."""
    a = g.pick(lambda n: n.tensor.ndim > 0)
    low, high, step = g.choose(g.fed), g.choose(g.fed), g.choose((1, 1, 1, 2, -1))
    last = bool(g.draw(2))

    def key(i: Any, j: Any) -> Any:
        own = slice(i, j, step)
        return (..., own) if last else own

    def cut(k: Any, x: Any, i: Any, j: Any) -> Any:
        return x[key(int(i) - 2, int(j) - 1)]

    text = f"x[{'..., ' if last else ''}i - 2 : j - 1 : {step}]"
    return g.node(text, lambda x, i, j: x[key(i - 2, j - 1)], (a, low, high), cut, True)


def fed_batch(g: Grower) -> Node | None:
    """A part of fixed size whose place is fed."""
    a = g.pick(lambda n: n.tensor.ndim > 0)
    size = 1 + g.draw(2)
    return g.node(
        f"x[i * {size} : (i + 1) * {size}]",
        lambda x, i: x[i * size : (i + 1) * size],
        (a, g.choose(g.fed)),
        lambda k, x, i: x[int(i) * size : (int(i) + 1) * size],
        True,
    )


def fed_shape(g: Grower) -> Node | None:
    """Repeated, ranges, and shapes that are fed."""
    count = g.choose(g.fed)
    kind = g.draw(3)
    if kind == 0:
        a = g.pick(lambda n: 0 < n.tensor.ndim < _MOST_AXES)
        ones = (1,) * (a.tensor.ndim - 1)
        return g.node(
            "tile(x, n)",
            lambda x, n: shape.tile(x, (n, *ones)),
            (a, count),
            lambda k, x, n: np.tile(x, (int(n), *ones)),
            True,
        )
    if kind == 1:
        return g.node(
            "arange(i - 2, j)",
            lambda i, j: create.arange(i - 2, j, dtype="int32"),
            (count, g.choose(g.fed)),
            lambda k, i, j: np.arange(int(i) - 2, int(j), dtype="int32"),
            True,
        )
    return g.node(
        "ones(n, 4)",
        lambda n: create.ones((n, 4), "float32"),
        (count,),
        lambda k, n: np.ones((int(n), 4), k("float32")),
        True,
    )


def masked(g: Grower) -> Node | None:
    """What a mask of exact numbers leaves."""
    a = g.pick(lambda n: n.tensor.ndim > 0 and n.tensor.dtype in ("int32", "bool", "uint8"))
    if a.tensor.dtype == "bool":
        return g.node("x[x]", lambda x: x[x], (a,), lambda k, x: x[x], True)
    return g.node("x[x > 1]", lambda x: x[x > 1], (a,), lambda k, x: x[x > 1], True)


STEPS = (fed_slice, fed_batch, fed_shape, masked)
