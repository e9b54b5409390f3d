"""Loops and choices of random graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from symgraph.graph.ops import cond as conds
from symgraph.graph.ops import elementwise, math, reduce
from symgraph.graph.ops import scan as scans
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import is_float
from tests.fuzz.nodes import Choice, Environment, Loop, Node, Part, Scope
from tests.fuzz.values import Value

if TYPE_CHECKING:
    from tests.fuzz.grow import Grower


def loop(g: Grower) -> Node | None:
    """A scan over one or two sequences, with one or two states."""
    first = g.pick(lambda n: 1 <= n.tensor.ndim <= 3)
    length = first.tensor.shape[0]
    sequences = [
        first,
        *(g.pick(lambda n: n.tensor.ndim and n.tensor.shape[0] == length) for _ in range(g.draw(2))),
    ]
    states = [g.pick(lambda n: n.tensor.ndim <= 2) for _ in range(1 + g.draw(2))]
    made = _Body(g, sequences, states)
    backward = bool(g.draw(2))
    try:
        outputs, histories = scans.scan(
            made.step, [s.tensor for s in sequences], [s.tensor for s in states], backward=backward
        )
    except (ValueError, TypeError) as error:
        g.refused.append(f"scan: {error}")
        return None
    whole = Loop(
        g.scope, None, "backward scan" if backward else "scan", (*sequences, *states),  # type: ignore[arg-type]
        sequences=tuple(sequences), states=tuple(states), steps=tuple(made.steps), olds=tuple(made.olds),
        outputs=tuple(made.outputs), news=tuple(made.news), backward=backward, length=length, body=made.scope,
    )  # fmt: skip
    for number, tensor in enumerate((*outputs, *histories)):
        g.kept(Part(g.scope, tensor, f"result {number}", (whole,), number=number))
    return whole


class _Body:
    """The body of a loop, grown when the scan calls its step."""

    def __init__(self, g: Grower, sequences: list[Node], states: list[Node]) -> None:
        self.g = g
        self.sequences, self.states = sequences, states
        self.scope = Scope(g.scope)
        self.steps: list[Node] = []
        self.olds: list[Node] = []
        self.outputs: list[Node] = []
        self.news: list[Node] = []

    def step(self, values: list[Tensor], states: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Some operations; outputs are any of their nodes, new states those of a state's type."""
        g = self.g
        self.steps = [Node(self.scope, v, "step of a sequence") for v in values]
        self.olds = [Node(self.scope, s, "state") for s in states]
        with g.inside(self.scope, [self._sample(run) for run in g.runs]):
            for _ in range(1 + g.draw(6)):
                g.step(
                    deeper=g.draw(3) == 0 and self.scope.outer is not None and self.scope.outer.outer is None
                )
            self.news = [self._new(old) for old in self.olds]
            inner = [n for n in self.scope.nodes if n.tensor is not None and n.tensor.ndim < 4]
            self.outputs = [inner[-1 - g.draw(min(5, len(inner)))] for _ in range(g.draw(3))]
        return [n.tensor for n in self.outputs], [n.tensor for n in self.news]

    def _sample(self, run: Environment) -> Environment:
        """The first turn, or one of zeros where there is none."""
        inner = Environment(self.scope, run.sizes, run)
        for step, sequence in zip(self.steps, self.sequences, strict=True):
            whole = run.of(sequence).own
            inner.values[step] = Value.given(whole[0] if len(whole) else whole.sum(0).astype(whole.dtype))
        for old, state in zip(self.olds, self.states, strict=True):
            inner.values[old] = run.of(state)
        return inner

    def _new(self, old: Node) -> Node:
        """A new state of the type of the old one."""
        g = self.g
        kind = old.tensor.type
        found = [
            n for n in self.scope.nodes if n.tensor is not None and n.tensor.type == kind and n is not old
        ]
        if found and g.draw(4):
            return found[-1 - g.draw(min(3, len(found)))]
        half = (
            g.node("s * 0.5", lambda s: s * 0.5, (old,), lambda k, s: s * s.dtype.type(0.5))
            if is_float(old.tensor.dtype)
            else None
        )
        return half or old


def choice(g: Grower) -> Node | None:
    """A cond whose sides are chains of functions of one tensor."""
    c: Node | None = g.pick(lambda n: n.tensor.dtype == "bool")
    if c is not None and c.tensor.ndim:
        c = g.node("any", reduce.any, (c,), lambda k, x: x.any(), True)
    if c is None:
        return None
    x = g.pick(lambda n: is_float(n.tensor.dtype))
    sides = [_Side(g, x), _Side(g, x)]
    try:
        tensor = conds.cond(c.tensor, sides[0].build, sides[1].build)
    except (ValueError, TypeError) as error:
        g.refused.append(f"cond: {error}")
        return None
    scopes, results = tuple(s.scope for s in sides), tuple(s.result for s in sides)
    return g.kept(Choice(g.scope, tensor, "cond", (c, x), sides=scopes, results=results))


class _Side:
    """One side of a choice, grown when the cond calls it."""

    def __init__(self, g: Grower, x: Node) -> None:
        self.g = g
        self.scope = Scope(g.scope)
        self.result = x

    def build(self) -> Tensor:
        """A chain of element-wise functions."""
        g = self.g
        with g.inside(self.scope, [Environment(self.scope, run.sizes, run) for run in g.runs]):
            for _ in range(1 + g.draw(3)):
                self.result = self._next(self.result) or self.result
        return self.result.tensor

    def _next(self, x: Node) -> Node | None:
        g = self.g
        kind = g.draw(4)
        if kind == 0:
            return g.node("tanh", math.tanh, (x,), lambda k, v: np.tanh(v))
        if kind == 1:
            return g.node(
                "x * 2 - 1", lambda t: t * 2 - 1, (x,), lambda k, v: v * v.dtype.type(2) - v.dtype.type(1)
            )
        if kind == 2:
            return g.node("square", math.square, (x,), lambda k, v: v * v)
        other = g.pick(lambda n: n.tensor.type == x.tensor.type)
        return g.node("add", elementwise.add, (x, other), lambda k, a, b: a + b)


STEPS = (loop, choice)
