"""Which standard recurrent cell the graph of one step is, whether a layer or a user wrote it.

Cells are recognised by how new states depend on old ones: through matrix products, as gates, or directly.
Biases, inputs, activations, masks and dropout may be any.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations

from symgraph.graph.ops.elementwise import Add, Elementwise, Multiply, Subtract, Where
from symgraph.graph.ops.matmul import MatMul
from symgraph.graph.tensor import Tensor, topological


def cell_name(old: Sequence[Tensor], new: Sequence[Tensor]) -> str:
    """The name of the cell that makes the states `new` of `old`, or nothing.

    Returns
    -------
    str
        "lstm" (two states, h and c), "gru" or "simple_rnn" (one), or "". Another state may follow h, as the
        output of masked steps does.
    """
    states = _States(old, new)
    for h, c in permutations(old, 2):
        if states.follow(h, {h, c}) and states.is_lstm(h, c):
            return "lstm"
    for h in old:
        if states.follow(h, {h}):
            if states.is_gru(h):
                return "gru"
            if states.is_simple(h):
                return "simple_rnn"
    return ""


class _States:
    """Old states, their new values, and what depends on which: as they are, or through a product."""

    def __init__(self, old: Sequence[Tensor], new: Sequence[Tensor]) -> None:
        self.new = {before: _unmasked(after, before) for before, after in zip(old, new, strict=True)}
        self.order = topological(list(new))
        self.plain: dict[Tensor, frozenset[Tensor]] = {}
        self.mixed: dict[Tensor, frozenset[Tensor]] = {}
        none = frozenset[Tensor]()
        for node in self.order:
            plain = none.union(*(self.plain[i] for i in node.inputs))
            mixed = none.union(*(self.mixed[i] for i in node.inputs))
            if node in self.new:
                plain = frozenset([node])
            elif isinstance(node.op, MatMul):
                plain, mixed = none, plain | mixed
            self.plain[node], self.mixed[node] = plain, mixed

    def follow(self, h: Tensor, known: set[Tensor]) -> bool:
        """Whether all states but the `known` ones only repeat the new h."""
        return all(new is self.new[h] for old, new in self.new.items() if old not in known)

    def is_lstm(self, h: Tensor, c: Tensor) -> bool:
        """c' = f · c + i · g and h' = o · activation(c'), where f, i, g and o see h through products."""
        new = self.new[c]
        kept = any(
            factor is c and self._is_gate(gate, h) and isinstance(added.op, Multiply) and self._sees(added, h)
            for product, added in _pairs(new, Add)
            for factor, gate in _pairs(product, Multiply)
        )
        return kept and any(
            self._is_gate(gate, h) and new in topological([seen]) and self.mixed[seen] <= {h}
            for gate, seen in _pairs(self.new[h], Multiply)
        )

    def is_gru(self, h: Tensor) -> bool:
        """h' = z · h + (1 - z) · n, where a second gate is a factor of what n sees of h."""
        for product, added in _pairs(self.new[h], Add):
            for z, before in _pairs(product, Multiply):
                if not (self._is_gate(z, h) and self.plain[before] == {h} and not self.mixed[before]):
                    continue
                for rest, candidate in _pairs(added, Multiply):
                    opposite = isinstance(rest.op, Subtract) and rest.inputs[1] is z
                    if opposite and self._sees(candidate, h) and self._is_reset(candidate, h):
                        return True
        return False

    def _is_reset(self, candidate: Tensor, h: Tensor) -> bool:
        return any(
            self._is_gate(r, h) and h in self.plain[seen] | self.mixed[seen]
            for node in topological([candidate])
            for r, seen in _pairs(node, Multiply)
        )

    def is_simple(self, h: Tensor) -> bool:
        """h' = activation(h · U + ...)."""
        new = self.new[h]
        products = [n for n in topological([new]) if isinstance(n.op, MatMul) and h in self.mixed[n]]
        return self._sees(new, h) and len(products) == 1 and self._rows_of(products[0], h)

    def _rows_of(self, product: Tensor, h: Tensor) -> bool:
        left, right = product.inputs[:2]
        return self.plain[left] == {h} and not self.plain[right] | self.mixed[right]

    def _sees(self, node: Tensor, h: Tensor) -> bool:
        """Whether h is all that a node sees of the states, through products only."""
        return not self.plain[node] and self.mixed[node] == {h}

    def _is_gate(self, node: Tensor, h: Tensor) -> bool:
        """A value that is activated, or a part of one, and sees h only through products."""
        return not isinstance(node.op, MatMul) and self._sees(node, h)


def _unmasked(new: Tensor, old: Tensor) -> Tensor:
    """The new value of a state where its step is not masked."""
    return new.inputs[1] if isinstance(new.op, Where) and new.inputs[2] is old else new


def _pairs(node: Tensor, kind: type[Elementwise]) -> Iterator[tuple[Tensor, Tensor]]:
    """The operands of a node of a commutative op, both ways round; nothing of other nodes."""
    if type(node.op) is kind:
        yield node.inputs[0], node.inputs[1]
        yield node.inputs[1], node.inputs[0]
