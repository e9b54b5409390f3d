"""Reductions over the same axes that read a common tensor become one node: memory is read once for all.

Neither may depend on the other, also not by way of other nodes that have been joined.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from symgraph.graph.dims import Dim
from symgraph.graph.op import parts
from symgraph.graph.ops.elementwise import broadcast_shapes
from symgraph.graph.ops.fused import FusedReduction, FusedStep
from symgraph.graph.ops.reduce import Reduction
from symgraph.graph.ops.siblings import SiblingReductions
from symgraph.graph.origin import Origin, inherit
from symgraph.graph.tensor import Tensor, consumers, topological

# More results than that do not fit into registers together.
_MOST_RESULTS = 4
_MOST_STEPS = 40
_MOST_INPUTS = 12
# How many families that share a tensor are looked at for one more member, the youngest: a tensor that all
# nodes of a long chain read would else make every pair of them be tried.
_MOST_FAMILIES = 8


def join_siblings(roots: Sequence[Tensor], hits: Counter[str]) -> list[Tensor]:
    """sum(f(x, y)), sum(g(x, z)) -> one pass over x, y and z with two results"""
    order = topological(roots)
    families = _Families(order)
    # By what they reduce and a tensor that they read whole, which members share: each family with the number
    # of its first node.
    open_: dict[tuple[tuple[int, ...], tuple[Dim, ...], int], dict[int, list[Tensor]]] = {}
    for number, node in enumerate(order):
        shape = _full_shape(node)
        if shape is None:
            continue
        axes, whole = _reduction(node).axes, [id(i) for i in node.inputs if i.shape == shape]
        places = [open_.setdefault((axes, shape, key), {}) for key in whole]
        known = {first: family for place in places for first, family in place.items()}
        near = sorted(known)[-_MOST_FAMILIES:]
        found = next((first for first in near if families.may_join(known[first], node)), None)
        if found is None:
            found, family = number, [node]
        else:
            family = known[found]
            families.join(family, node)
            hits["siblings"] += 1
        for place in places:
            place[found] = family
    return _rebuilt(roots, families) if hits["siblings"] else list(roots)


def _reduction(node: Tensor) -> Reduction:
    op = node.op.reduction if isinstance(node.op, FusedReduction) else node.op
    assert isinstance(op, Reduction)
    return op


def _steps(node: Tensor) -> tuple[FusedStep, ...]:
    return node.op.steps if isinstance(node.op, FusedReduction) else ()


def _origins(node: Tensor) -> tuple[tuple[Origin, ...], ...]:
    """Where each step of a reduction comes from, and the reduction itself."""
    return node.op.origins if isinstance(node.op, FusedReduction) else (node.origins,)


def _full_shape(node: Tensor) -> tuple[Dim, ...] | None:
    """The shape that a reduction runs over; None for other nodes, and where there is nothing to share."""
    if isinstance(node.op, Reduction) and node.op.axes:
        return node.inputs[0].shape
    if isinstance(node.op, FusedReduction) and node.op.reduction.axes:
        return broadcast_shapes([i.shape for i in node.inputs], str(node.op))
    return None


class _Families:
    """Which nodes are to become one, and what depends on what when they are."""

    def __init__(self, order: Sequence[Tensor]) -> None:
        self._readers = consumers(order)
        self._place = {id(node): place for place, node in enumerate(order)}
        self._family: dict[int, list[Tensor]] = {}

    def of(self, node: Tensor) -> list[Tensor]:
        """The nodes that `node` is joined with, and itself."""
        return self._family.get(id(node), [node])

    def may_join(self, family: Sequence[Tensor], node: Tensor) -> bool:
        """Whether `node`, which shares a tensor with them, keeps the kernel small and makes no cycle."""
        count = len({id(i) for member in (*family, node) for i in member.inputs})
        steps = sum(len(_steps(m)) for m in family) + len(_steps(node))
        small = len(family) < _MOST_RESULTS and steps <= _MOST_STEPS and count <= _MOST_INPUTS
        return small and not self._leads(family, node) and not self._leads([node], family[0])

    def join(self, family: list[Tensor], node: Tensor) -> None:
        """Make `node` one of a family."""
        family.append(node)
        for member in family:
            self._family[id(member)] = family

    def _leads(self, starts: Sequence[Tensor], target: Tensor) -> bool:
        """Whether `target`, or what it is joined with, depends on one of `starts`."""
        goals = {id(n) for n in self.of(target)}
        last = max(self._place[goal] for goal in goals)
        stack, seen = list(starts), {id(n) for n in starts}
        while stack:
            for reader in self._readers.get(id(stack.pop()), ()):
                for node in self.of(reader):
                    if id(node) in goals:
                        return True
                    # Beyond the last goal nothing leads back to it, but for what nodes there are joined with.
                    if id(node) not in seen and self._place[id(node)] < last:
                        seen.add(id(node))
                        stack.append(node)
        return False


def _rebuilt(roots: Sequence[Tensor], families: _Families) -> list[Tensor]:
    """The graph with every family as one node; a new order, since its members' readers come after all."""
    done: dict[int, Tensor] = {}
    stack = list(roots)
    while stack:
        node = stack[-1]
        family = families.of(node)
        missing = [i for m in family for i in m.inputs if id(i) not in done]
        if missing and id(node) not in done:
            stack.extend(missing)
            continue
        stack.pop()
        if id(node) in done:
            continue
        if len(family) > 1:
            _emit(family, done)
            continue
        inputs = tuple(done[id(i)] for i in node.inputs)
        same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
        done[id(node)] = node if same else Tensor(node.op, inputs, node.type, node.origins, node.name)
    return [done[id(r)] for r in roots]


def _emit(family: Sequence[Tensor], done: dict[int, Tensor]) -> None:
    """Make one node of a family; `done` learns which part each member became."""
    outer = list({id(i): i for member in family for i in member.inputs}.values())
    place = {id(i): k for k, i in enumerate(outer)}
    steps: dict[FusedStep, int] = {}
    origins: list[tuple[Origin, ...]] = []
    reductions = []
    for member in family:
        # Where the member's own places lie among all: equal steps are taken once.
        places = [place[id(i)] for i in member.inputs]
        for (op, arguments), own in zip(_steps(member), _origins(member), strict=False):
            step = (op, tuple(places[i] for i in arguments))
            if step not in steps:
                origins.append(own)
            places.append(steps.setdefault(step, len(outer) + len(steps)))
        reductions.append((_reduction(member), places[-1]))
    origins += [_origins(member)[-1] for member in family]
    joined = SiblingReductions(tuple(steps), tuple(reductions), tuple(origins))
    with inherit(tuple(dict.fromkeys(o for member in family for o in member.origins))):
        whole = joined(*(done[id(i)] for i in outer))
        for member, part in zip(family, parts(whole), strict=True):
            part.name = member.name
            done[id(member)] = part
