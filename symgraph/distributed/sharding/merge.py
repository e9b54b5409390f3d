"""Sums over ranks put together: few exchanges of many values, in an order that all ranks keep."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from symgraph.distributed.sharding.sharder import Total
from symgraph.graph.dims import Dim, product
from symgraph.graph.ops.collective import RowsOfRanks, SumOfRanks
from symgraph.graph.ops.shape import reshape
from symgraph.graph.ops.slicing import slice_axis
from symgraph.graph.substitute import rebuild
from symgraph.graph.tensor import Tensor, topological


def merge(roots: Sequence[Tensor], exchange: Any) -> list[Tensor]:
    """`roots` with `Total` nodes put together, each sort of number into one vector.

    An exchange waits for what it adds only. Sums that no other exchange needs are all in the last one, among
    them the gradients; the others are made as early as they can be. Each exchange has the one before it as an
    input, so that all ranks exchange the same things one after the other.
    """
    order = topological(roots)
    levels = _levels(order)
    maker = _Maker(exchange)
    for level in range(1, max(levels.values(), default=0) + 1):
        here = [node for node in order if levels.get(id(node)) == level]
        totals: dict[str, list[Tensor]] = {}
        for node in here:
            if isinstance(node.op, Total):
                totals.setdefault(node.dtype, []).append(node)
        for node in here:
            if isinstance(node.op, RowsOfRanks):
                maker.gather(node)
        for dtype in sorted(totals):
            maker.add(totals[dtype])
    return maker.build(roots)


def _levels(order: Sequence[Tensor]) -> dict[int, int]:
    """For each collective node how many exchanges come before it, and it."""
    depth: dict[int, int] = {}
    collective = []
    for node in order:
        before = max((depth[id(value)] for value in node.inputs), default=0)
        waits = isinstance(node.op, (Total, RowsOfRanks))
        depth[id(node)] = before + waits
        if waits:
            collective.append(node)
    awaited: set[int] = set()
    for node in reversed(order):
        if id(node) in awaited or isinstance(node.op, (Total, RowsOfRanks)):
            awaited.update(id(value) for value in node.inputs)
    last = max((depth[id(node)] for node in collective), default=0)
    return {id(node): depth[id(node)] if id(node) in awaited else last for node in collective}


class _Maker:
    """Rebuilds a graph around the exchanges that it is given, in their order."""

    def __init__(self, exchange: Any) -> None:
        self._exchange = exchange
        self._done: dict[int, Tensor] = {}
        self._last: Tensor | None = None

    def build(self, roots: Iterable[Tensor]) -> list[Tensor]:
        """The new forms of `roots`."""
        roots = list(roots)
        stack = list(reversed(roots))
        while stack:
            node = stack[-1]
            open_inputs = [value for value in node.inputs if id(value) not in self._done]
            if id(node) in self._done:
                stack.pop()
            elif open_inputs:
                stack.extend(reversed(open_inputs))
            else:
                stack.pop()
                self._done[id(node)] = rebuild(node, [self._done[id(value)] for value in node.inputs])
        return [self._done[id(root)] for root in roots]

    def gather(self, node: Tensor) -> None:
        """Rows of all ranks."""
        (own,) = self.build(node.inputs)
        made = Tensor(node.op, (own, *self._after()), node.type, node.origins, node.name)
        self._done[id(node)] = self._last = made

    def add(self, totals: Sequence[Tensor]) -> None:
        """Sums of all ranks, in one vector."""
        parts = self.build(node.inputs[0] for node in totals)
        after = self._after()
        vector = SumOfRanks(self._exchange, len(after))(*parts, *after)
        self._last = vector
        start: Dim = 0
        for node, part in zip(totals, parts, strict=True):
            size = product(part.shape)
            self._done[id(node)] = reshape(slice_axis(vector, 0, start, size), part.shape)
            start = start + size

    def _after(self) -> tuple[Tensor, ...]:
        return () if self._last is None else (self._last,)
