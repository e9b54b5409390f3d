"""Element-wise fusion: chains of element-wise ops become one sweep, and may start a reduction.

A node joins the group of its readers when all of them are in one group and have its shape: then nothing is
computed twice and no cycle can arise. Results of the graph that are also read inside the group (an
optimizer's moments) become further results of the same sweep. Groups whose results nobody reads may become
one where a node joins both (new weight and new moment, made from one step): no path can lead from one to the
other.

A cheap node that several groups read is computed in each of them where that moves less memory than storing
it once: ``x - mean`` costs no more to read than x does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from symgraph.graph.dims import Dim
from symgraph.graph.op import parts
from symgraph.graph.ops.elementwise import Elementwise
from symgraph.graph.ops.fused import Fused, FusedReduction, FusedStep
from symgraph.graph.ops.reduce import Reduction
from symgraph.graph.origin import inherit
from symgraph.graph.tensor import Tensor, consumers, topological
from symgraph.graph.types import TensorType
from symgraph.kernels.maths.functions import FUNCTIONS
from symgraph.kernels.tile.vector import ITEMSIZE

# Beyond this a kernel spills registers and its code is hardly ever shared between graphs.
_MOST_STEPS = 40
_MOST_INPUTS = 24
# Chains of functions up to this cost are cheaper to compute again than to fetch from memory.
_CHEAP = 8.0


@dataclass(eq=False)
class _Group:
    """Nodes that become one kernel: found from the last to the first.

    `final`: nobody but the graph's caller reads what the group stores.
    """

    shape: tuple[Dim, ...]
    nodes: list[Tensor] = field(default_factory=list)
    reduction: Tensor | None = None
    final: bool = False
    outside: set[int] = field(default_factory=set)
    """Ids of what the group reads."""

    @property
    def last(self) -> Tensor:
        """The node whose place the whole group takes."""
        return self.nodes[0] if self.reduction is None else self.reduction


def fuse(roots: Sequence[Tensor], hits: Counter[str]) -> list[Tensor]:
    """Replace groups of element-wise nodes by `Fused` and `FusedReduction` nodes."""
    order = topological(roots)
    groups = _find_groups(order, {id(r) for r in roots})
    return _build(roots, order, groups, hits)


def _find_groups(order: Sequence[Tensor], roots: set[int]) -> dict[int, list[_Group]]:
    """The groups of each node that has any, by node id; several where it is computed in each of them."""
    readers = consumers(order)
    place = {id(node): index for index, node in enumerate(order)}
    member: dict[int, list[_Group]] = {}
    # What is computed again from each node on, for nodes that several groups compute.
    again: dict[int, float] = {}
    for node in reversed(order):
        if isinstance(node.op, Reduction) and _elementwise(node.inputs[0]):
            member[id(node)] = [_Group(node.inputs[0].shape, [], node, outside={id(node.inputs[0])})]
        if not isinstance(node.op, Elementwise):
            continue
        found = _groups_of_readers(node, readers[id(node)], member, roots)
        cost = FUNCTIONS[node.op.kernel].cost + sum(again.get(id(r), 0.0) for r in readers[id(node)])
        if found and not _is_one(found) and cost <= _CHEAP and _moves_less(node, found):
            groups, again[id(node)] = found, cost
        elif found and _is_one(found):
            groups = [_joined(found, member, place)]
        else:
            groups = [_Group(node.shape, final=not readers[id(node)])]
        for group in groups:
            group.nodes.append(node)
            group.outside.discard(id(node))
            group.outside.update(id(i) for i in node.inputs)
        member[id(node)] = groups
    return member


def _is_one(groups: Sequence[_Group]) -> bool:
    """Whether the groups are or may become one."""
    return len(groups) == 1 or all(group.final for group in groups)


def _moves_less(node: Tensor, groups: Sequence[_Group]) -> bool:
    """Whether computing `node` in each of the groups that read it moves less memory than storing it."""
    size = ITEMSIZE[node.dtype]
    inputs = {id(i): ITEMSIZE[i.dtype] for i in node.inputs if i.shape == node.shape}
    more = sum(sum(b for i, b in inputs.items() if i not in g.outside) - size for g in groups)
    return more <= sum(inputs.values()) + size


def _elementwise(node: Tensor) -> bool:
    return isinstance(node.op, Elementwise)


def _groups_of_readers(
    node: Tensor, readers: Sequence[Tensor], member: dict[int, list[_Group]], roots: set[int]
) -> list[_Group]:
    """The groups that all readers of `node` are in, if it may join them; else none."""
    if any(id(r) not in member for r in readers):
        return []
    found = list({id(g): g for r in readers for g in member[id(r)]}.values())
    same_shape = all(group.shape == node.shape for group in found)
    in_all = len(found) > 1 and not _is_one(found)
    stored_apart = id(node) in roots and (in_all or any(group.reduction is not None for group in found))
    operands = set[int]().union(*(g.outside for g in found)) | {id(i) for i in node.inputs}
    small = sum(len(g.nodes) for g in found) < _MOST_STEPS and len(operands) <= _MOST_INPUTS
    return found if same_shape and small and not stored_apart else []


def _joined(groups: Sequence[_Group], member: dict[int, list[_Group]], place: dict[int, int]) -> _Group:
    """Several groups as one, its nodes still from the last to the first."""
    first, *others = groups
    for group in others:
        known = {id(n) for n in first.nodes}
        first.nodes += [n for n in group.nodes if id(n) not in known]
        first.outside |= group.outside
        for node in group.nodes:
            kept = [g for g in member[id(node)] if g is not group and g is not first]
            member[id(node)] = [*kept, first]
    if others:
        first.nodes.sort(key=lambda n: -place[id(n)])
    return first


def _build(
    roots: Sequence[Tensor], order: Sequence[Tensor], groups: dict[int, list[_Group]], hits: Counter[str]
) -> list[Tensor]:
    """The graph with each group of two or more made into one node."""
    done: dict[int, Tensor] = {}
    results = {id(r) for r in roots}
    for node in order:
        own = groups.get(id(node), ())
        if len(own) > 1:
            hits["repeated"] += len(own) - 1
            continue
        group = own[0] if own else None
        if group is None or len(group.nodes) + (group.reduction is not None) < 2:
            inputs = tuple(done[id(i)] for i in node.inputs)
            same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
            done[id(node)] = node if same else Tensor(node.op, inputs, node.type, node.origins, node.name)
        elif node is group.last:
            hits["fused"] += len(group.nodes)
            _emit(group, done, results)
    return [done[id(r)] for r in roots]


def _emit(group: _Group, done: dict[int, Tensor], results: set[int]) -> None:
    """Make the node of a group; `done` learns what each stored member became."""
    members = group.nodes[::-1]
    inputs: dict[int, int] = {}
    outer: list[Tensor] = []
    inside = {id(n) for n in members}
    for node in members:
        for value in node.inputs:
            if id(value) not in inside and id(done[id(value)]) not in inputs:
                inputs[id(done[id(value)])] = len(outer)
                outer.append(done[id(value)])
    place: dict[int, int] = {}
    steps: list[FusedStep] = []
    for node in members:
        arguments = tuple(place[id(v)] if id(v) in inside else inputs[id(done[id(v)])] for v in node.inputs)
        assert isinstance(node.op, Elementwise)
        steps.append((node.op, arguments))
        place[id(node)] = len(outer) + len(steps) - 1
    origins = tuple(dict.fromkeys(o for n in [*members, group.last] for o in n.origins))
    own = tuple(n.origins for n in members)
    with inherit(origins):
        if group.reduction is not None:
            last = group.reduction
            assert isinstance(last.op, Reduction)
            op = FusedReduction(tuple(steps), last.op, (*own, last.origins))
            done[id(last)] = Tensor(op, tuple(outer), last.type, name=last.name)
            return
        stored = [n for n in members if id(n) in results or n is members[-1]]
        sweep = Fused(tuple(steps), tuple(place[id(n)] for n in stored), own)
        if len(stored) == 1:
            done[id(stored[0])] = Tensor(sweep, tuple(outer), stored[0].type, name=stored[0].name)
            return
        whole = sweep(*outer)
        for node, part in zip(stored, parts(whole), strict=True):
            assert isinstance(node.type, TensorType)
            part.name = node.name
            done[id(node)] = part
