"""Choices: a condition that is known leaves one side of a `Cond`; bodies go through the passes.

A choice and the wider one that its gradient asked for (with more values kept) are one. Inputs that are
constants move into the bodies, where they are folded; results and inputs that nobody needs fall away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from symgraph.graph.body import Body
from symgraph.graph.leaves import Constant, DimValue
from symgraph.graph.op import Part
from symgraph.graph.ops.cond import Cond
from symgraph.graph.ops.shape import BroadcastTo, Reshape
from symgraph.graph.substitute import substitute
from symgraph.graph.tensor import Tensor, consumers, topological
from symgraph.passes.rewrite import replace_nodes

Optimise = Callable[[Sequence[Tensor]], list[Tensor]]


def tidy_branches(roots: Sequence[Tensor], hits: Counter[str], optimise: Optimise) -> list[Tensor]:
    """All of the above; `optimise` runs the passes on the results of a body."""
    if not any(isinstance(node.op, Cond) for node in topological(roots)):
        return list(roots)
    roots = _merge(roots, hits)
    order = topological(roots)
    readers = consumers(order)
    used = {
        id(node): sorted({r.op.index for r in readers[id(node)] if isinstance(r.op, Part)})
        for node in order
        if isinstance(node.op, Cond)
    }
    chosen: dict[int, list[Tensor]] = {}

    def visit(old: Tensor, new: Tensor) -> Tensor:
        if isinstance(old.op, Cond):
            known = _known_side(new)
            if known is None:
                return _tidied(new, used[id(old)], hits, optimise)
            hits["conditions known"] += 1
            chosen[id(old)] = substitute(known.results, dict(zip(known.inputs, new.inputs[1:], strict=True)))
            return new
        if isinstance(old.op, Part) and id(old.inputs[0]) in chosen:
            return chosen[id(old.inputs[0])][old.op.index]
        if isinstance(old.op, Part) and id(old.inputs[0]) in used:
            place = used[id(old.inputs[0])].index(old.op.index)
            return Part(place)(new.inputs[0], origins=new.origins, name=new.name)
        return new

    return replace_nodes(roots, visit)


def _merge(roots: Sequence[Tensor], hits: Counter[str]) -> list[Tensor]:
    """Choices between the same sides that differ only in their results become one with all of them."""
    groups: dict[tuple[int, ...], list[Tensor]] = {}
    for node in topological(roots):
        if isinstance(node.op, Cond):
            op = node.op
            key = (*map(id, node.inputs), *map(id, op.then.inputs), *map(id, op.otherwise.inputs))
            groups.setdefault(key, []).append(node)
    unions: dict[int, Cond] = {}
    places: dict[int, list[int]] = {}
    for group in groups.values():
        if len(group) > 1:
            hits["choices united"] += len(group) - 1
            _unite(group, unions, places)
    made: dict[int, Tensor] = {}

    def visit(old: Tensor, new: Tensor) -> Tensor:
        union = unions.get(id(old))
        if union is not None:
            return made.setdefault(id(union), union(*new.inputs, origins=new.origins))
        if isinstance(old.op, Part) and id(old.inputs[0]) in places:
            return Part(places[id(old.inputs[0])][old.op.index])(new.inputs[0], origins=new.origins)
        return new

    return replace_nodes(roots, visit) if unions else list(roots)


def _unite(group: Sequence[Tensor], unions: dict[int, Cond], places: dict[int, list[int]]) -> None:
    """The union of a group, and where each result of a member is in it."""
    pairs: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
    for node in group:
        assert isinstance(node.op, Cond)
        for pair in zip(node.op.then.results, node.op.otherwise.results, strict=True):
            pairs.setdefault((id(pair[0]), id(pair[1])), pair)
    then, otherwise = zip(*pairs.values(), strict=True)
    order = {key: place for place, key in enumerate(pairs)}
    for node in group:
        assert isinstance(node.op, Cond)
        own = zip(node.op.then.results, node.op.otherwise.results, strict=True)
        places[id(node)] = [order[id(a), id(b)] for a, b in own]
    first = group[0].op
    assert isinstance(first, Cond)
    union = Cond(Body(first.then.inputs, then), Body(first.otherwise.inputs, otherwise))
    unions.update((id(node), union) for node in group)


def _known_side(node: Tensor) -> Body | None:
    """The body that is always chosen."""
    condition = node.inputs[0].op
    assert isinstance(node.op, Cond)
    if not isinstance(condition, Constant):
        return None
    return node.op.then if bool(condition.array) else node.op.otherwise


def _tidied(node: Tensor, used: Sequence[int], hits: Counter[str], optimise: Optimise) -> Tensor:
    """The choice with fewer results and inputs, and optimised bodies."""
    op = node.op
    assert isinstance(op, Cond)
    hits["dropped results"] += len(op.then.results) - len(used)
    condition, *given = node.inputs
    sides = []
    for body in (op.then, op.otherwise):
        known = {t: v for t, v in zip(body.inputs, given, strict=True) if is_constant(v)}
        results = optimise(substitute([body.results[index] for index in used], known))
        sides.append((body.inputs, results))
    needed = {id(n) for _, results in sides for n in topological(results)}
    stays = [any(id(inputs[k]) in needed for inputs, _ in sides) for k in range(len(given))]
    bodies = [
        Body(tuple(t for t, stay in zip(inputs, stays, strict=True) if stay), tuple(results))
        for inputs, results in sides
    ]
    left = [v for v, stay in zip(given, stays, strict=True) if stay]
    return Cond(*bodies)(condition, *left, origins=node.origins, name=node.name)


def is_constant(value: Tensor) -> bool:
    """Whether `value` is a constant, or one that is stretched or reshaped."""
    while isinstance(value.op, (BroadcastTo, Reshape)):
        (value,) = value.inputs
    return isinstance(value.op, (Constant, DimValue))
