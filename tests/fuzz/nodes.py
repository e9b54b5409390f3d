"""Nodes of a random graph, each beside its twin in numpy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from symgraph.graph.dims import Dim, Unknown, evaluate
from symgraph.graph.evaluate import concrete_shape
from symgraph.graph.tensor import Tensor
from tests.fuzz.values import Kind, Value, largest, lost, own, shake, small, still_exact, wide


class Scope:
    """Where nodes live: the graph itself, or the body of a loop or of one side of a choice."""

    def __init__(self, outer: Scope | None = None) -> None:
        self.outer = outer
        self.nodes: list[Node] = []

    def visible(self) -> list[Node]:
        """The nodes that new ones may read; own ones last."""
        return [*(self.outer.visible() if self.outer else ()), *self.nodes]


class Environment:
    """The values of one scope's nodes in one run, or in one turn of a loop."""

    def __init__(
        self,
        scope: Scope,
        sizes: dict[Unknown, int],
        outer: Environment | None = None,
        rewritten: bool = True,
    ) -> None:
        self.scope = scope
        self.sizes = sizes
        self.outer = outer
        self.rewritten = outer.rewritten if outer is not None else rewritten
        self.values: dict[Node, Any] = {}
        self.inner: list[Environment] = []

    def entered(self, scope: Scope) -> Environment:
        """An environment for a turn of a loop or for a chosen side, whose values stay to be looked at."""
        self.inner.append(Environment(scope, self.sizes, self))
        return self.inner[-1]

    def everything(self) -> Iterator[tuple[Node, Any]]:
        """All nodes that were computed, in loops once a turn, with their values."""
        yield from self.values.items()
        for inner in self.inner:
            yield from inner.everything()

    def as_written(self) -> Environment:
        """The same inputs for a graph that no pass has made stable."""
        copy = Environment(self.scope, self.sizes, rewritten=False)
        copy.values.update((n, v) for n, v in self.values.items() if not n.sources)
        return copy

    def of(self, node: Node) -> Any:
        """The value of `node`, computed when first asked for."""
        if node.scope is not self.scope:
            assert self.outer is not None, "a node of a scope that is not visible"
            return self.outer.of(node)
        if node not in self.values:
            self.values[node] = node.value(self)
        return self.values[node]


@dataclass(eq=False)
class Node:
    """A tensor and how numpy computes it: ``compute(kind, *arrays)``; ``kind(dtype)`` is the dtype to use.

    `moves` tells that no number is rounded, `jumps` that a small change of a source may be a large one here.
    What is `stabilised` is far from numpy's answer as long as it stands as it was written; `sums` have terms
    that may be larger than they are. A function that `vanishes` may be rounded to a 0 or an infinity that it
    never is, so that nothing can be told of a quotient of two. `doubt(*arrays)` tells whether numpy's answer
    depends on the order in which it computes.
    """

    scope: Scope
    tensor: Tensor
    text: str
    sources: tuple[Node, ...] = ()
    compute: Callable[..., np.ndarray] | None = None
    moves: bool = False
    jumps: bool = False
    stabilised: bool = False
    sums: bool = False
    vanishes: bool = False
    doubt: Callable[..., bool] | None = None

    def __post_init__(self) -> None:
        self.scope.nodes.append(self)

    def value(self, run: Environment) -> Any:
        """The twin's value."""
        assert self.compute is not None, f"{self.text} was not given"
        sources = [run.of(s) for s in self.sources]
        with np.errstate(all="ignore"):
            mine = self._finished(own, [s.own for s in sources])
            more = self._finished(wide, [s.wide for s in sources])
            shaken = self._finished(wide, [s.shaken for s in sources])
            terms = self._terms([np.abs(s.wide) for s in sources]) if self.sums else more
            ordered = self.doubt is not None and self.doubt(*(s.own for s in sources))
        known = all(s.known for s in sources)
        doubtful = any(s.doubtful or s.cancelled for s in sources) or (self.jumps and not known)
        if self.sums and mine.dtype.kind == "f":
            # Parts of such a sum may be infinite, by the order in which they are added.
            ordered = ordered or largest(terms) > float(np.finfo(mine.dtype).max)
        doubtful = doubtful or ordered or (self.stabilised and not run.rewritten)
        if not self.moves and mine.dtype.kind == "f":
            known = known and all(small(s.own) for s in sources) and still_exact(mine)
        cancelled = self.vanishes and not (np.isfinite(mine) & (np.abs(mine) > np.finfo("f4").tiny)).all()
        if mine.dtype.kind == "f" and not (known or self.moves):
            with np.errstate(all="ignore"):
                shaken = shake(shaken, terms, self.tensor.dtype)
                cancelled = cancelled or (self.sums and lost(more, terms, self.tensor.dtype))
        return Value(mine, more, shaken, known, doubtful, largest(terms), cancelled)

    def _terms(self, sizes: Sequence[np.ndarray]) -> np.ndarray:
        """The sum of the sizes of all terms."""
        if self.text in ("add", "subtract"):
            return np.asarray(sizes[0] + sizes[1]).astype(wide(self.tensor.dtype), copy=False)
        return self._finished(wide, sizes)

    def _finished(self, kind: Kind, arrays: Sequence[np.ndarray]) -> np.ndarray:
        assert self.compute is not None
        return np.asarray(self.compute(kind, *arrays)).astype(kind(self.tensor.dtype), copy=False)


@dataclass(eq=False)
class Loop(Node):
    """A scan: one value for each output and each state's history."""

    sequences: tuple[Node, ...] = ()
    states: tuple[Node, ...] = ()
    steps: tuple[Node, ...] = ()
    olds: tuple[Node, ...] = ()
    outputs: tuple[Node, ...] = ()
    news: tuple[Node, ...] = ()
    backward: bool = False
    length: Dim = 0
    body: Scope = field(default_factory=Scope)

    def value(self, run: Environment) -> list[Value]:
        """A loop of Python around the twins of the body."""
        sequences = [run.of(s) for s in self.sequences]
        states = [run.of(s) for s in self.states]
        count = evaluate(self.length, run.sizes)
        outputs: list[list[Value]] = [[] for _ in self.outputs]
        histories = [[state] for state in states]
        for turn in range(count):
            place = count - 1 - turn if self.backward else turn
            inner = run.entered(self.body)
            inner.values.update(zip(self.steps, (s.entry(place) for s in sequences), strict=True))
            inner.values.update(zip(self.olds, (h[-1] for h in histories), strict=True))
            for whole, node in zip([*outputs, *histories], [*self.outputs, *self.news], strict=True):
                whole.append(inner.of(node))
        empty = [concrete_shape(n.tensor.type, run.sizes) for n in (*self.outputs, *self.news)]
        kinds = [n.tensor.dtype for n in (*self.outputs, *self.news)]
        stacks = [w[::-1] if self.backward else w for w in (*outputs, *histories)]
        return [_stacked(s, d, k) for s, d, k in zip(stacks, empty, kinds, strict=True)]


def _stacked(steps: Sequence[Value], shape: tuple[int, ...], dtype: str) -> Value:
    return Value.stacked(steps) if steps else Value.given(np.zeros((0, *shape), dtype))


@dataclass(eq=False)
class Part(Node):
    """One result of a loop."""

    number: int = 0

    def value(self, run: Environment) -> Value:
        """That result."""
        return run.of(self.sources[0])[self.number]


@dataclass(eq=False)
class Choice(Node):
    """A cond: the value of the side that is chosen."""

    sides: tuple[Scope, ...] = ()
    results: tuple[Node, ...] = ()

    def value(self, run: Environment) -> Value:
        """Only the chosen side is computed."""
        condition = run.of(self.sources[0])
        chosen = 0 if condition.own else 1
        found = run.entered(self.sides[chosen]).of(self.results[chosen])
        return replace(found, doubtful=found.doubtful or not condition.known)


def listing(nodes: Sequence[Node]) -> Iterator[str]:
    """Lines that tell how `nodes` and all that they need are made."""
    numbers: dict[Node, int] = {}

    def visit(node: Node, indent: str) -> Iterator[str]:
        if node in numbers:
            return
        inner = (*node.outputs, *node.news) if isinstance(node, Loop) else ()
        inner = node.results if isinstance(node, Choice) else inner
        for source in node.sources:
            yield from visit(source, indent)
        for result in inner:
            yield from visit(result, indent + "    ")
        numbers[node] = len(numbers)
        names = " ".join(f"%{numbers[s]}" for s in (*node.sources, *inner))
        kind = node.tensor.type if node.tensor is not None else "several"
        yield f"{indent}%{numbers[node]} = {node.text} {names}  : {kind}"

    for node in nodes:
        yield from visit(node, "")
