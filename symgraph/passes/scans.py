"""Loops: scans of one body become one, work leaves the loop, and the body itself goes through the passes.

A scan and the wider one that its gradient asked for (with more values kept of each step) are one loop. Inputs
that are constants move into the body, where they are folded. Results that nobody reads are not made; of a
state whose history nobody reads only the last value is kept. Matrix products that need nothing but sequences
and constants are done for all steps at once before the loop, those that only make an output after it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from symgraph.graph.body import Body
from symgraph.graph.leaves import Constant, placeholder
from symgraph.graph.op import Part
from symgraph.graph.ops.elementwise import Add, Elementwise
from symgraph.graph.ops.matmul import MatMul
from symgraph.graph.ops.scan import Scan
from symgraph.graph.ops.shape import Reshape
from symgraph.graph.ops.slicing import Slice
from symgraph.graph.substitute import substitute
from symgraph.graph.tensor import Tensor, consumers, topological
from symgraph.passes.branches import is_constant
from symgraph.passes.loop_results import share_results
from symgraph.passes.merge import merge
from symgraph.passes.rewrite import replace_nodes
from symgraph.passes.simplify import simplify
from symgraph.passes.slices import slice_first

Optimise = Callable[[Sequence[Tensor]], list[Tensor]]


def tidy_scans(roots: Sequence[Tensor], hits: Counter[str], optimise: Optimise) -> list[Tensor]:
    """All of the above; `optimise` runs the passes on a body."""
    if not any(isinstance(node.op, Scan) for node in topological(roots)):
        return list(roots)
    merged = _merge(roots, hits)
    sunk = _sink_products(_simplified(merged, hits), hits)
    # Merged, so that each result is one node for all who read it.
    return _tidy(merge(share_results(sunk, hits), hits), hits, optimise)


def _simplified(roots: Sequence[Tensor], hits: Counter[str]) -> list[Tensor]:
    """Bodies without what hides products from the rules here."""

    def visit(old: Tensor, new: Tensor) -> Tensor:
        if not isinstance(new.op, Scan):
            return new
        body = new.op.body
        op = replace(new.op, body=Body(body.inputs, tuple(merge(simplify(body.results, hits), hits))))
        return op(*new.inputs, origins=new.origins, name=new.name)

    return replace_nodes(roots, visit)


# Merging


def _key(node: Tensor) -> tuple[object, ...]:
    op = node.op
    assert isinstance(op, Scan)
    same = (*map(id, op.body.inputs), *map(id, node.inputs))
    return (same, op.sequences, op.kept, op.length, op.backward)


def _merge(roots: Sequence[Tensor], hits: Counter[str]) -> list[Tensor]:
    """Scans that differ only in their outputs become one with all of them."""
    groups: dict[tuple[object, ...], list[Tensor]] = {}
    for node in topological(roots):
        if isinstance(node.op, Scan):
            groups.setdefault(_key(node), []).append(node)
    unions: dict[int, Scan] = {}
    places: dict[int, list[int]] = {}
    for group in groups.values():
        if len(group) > 1:
            hits["loops united"] += len(group) - 1
            _unite(group, unions, places)
    if not unions:
        return list(roots)
    made: dict[int, Tensor] = {}

    def visit(old: Tensor, new: Tensor) -> Tensor:
        union = unions.get(id(old))
        if union is not None:
            return made.setdefault(id(union), union(*new.inputs, origins=new.origins))
        if isinstance(old.op, Part) and id(old.inputs[0]) in places:
            return Part(places[id(old.inputs[0])][old.op.index])(new.inputs[0], origins=new.origins)
        return new

    return replace_nodes(roots, visit)


def _unite(group: Sequence[Tensor], unions: dict[int, Scan], places: dict[int, list[int]]) -> None:
    """The union of a group, and where each result of a member is in it."""
    first = group[0].op
    assert isinstance(first, Scan)
    outputs: list[Tensor] = []
    for node in group:
        assert isinstance(node.op, Scan)
        outputs += [r for r in node.op.body.results[: node.op.outputs] if all(r is not o for o in outputs)]
    states = first.body.results[first.outputs :]
    union = replace(first, body=Body(first.body.inputs, (*outputs, *states)))
    for node in group:
        assert isinstance(node.op, Scan)
        own = node.op.body.results[: node.op.outputs]
        where = [next(i for i, o in enumerate(outputs) if o is r) for r in own]
        places[id(node)] = where + list(range(len(outputs), len(outputs) + len(states)))
        unions[id(node)] = union


# Tidying


@dataclass
class _Loop:
    """A scan while it is rewritten."""

    op: Scan
    inputs: list[Tensor]

    @property
    def sequences(self) -> tuple[Tensor, ...]:
        return self.op.body.inputs[: self.op.sequences]

    @property
    def constants(self) -> tuple[Tensor, ...]:
        return self.op.body.inputs[self.op.sequences + self.op.states :]

    def with_body(self, inputs: Sequence[Tensor], results: Sequence[Tensor]) -> None:
        self.op = replace(self.op, body=Body(tuple(inputs), tuple(results)))


def _tidy(roots: Sequence[Tensor], hits: Counter[str], optimise: Optimise) -> list[Tensor]:
    order = topological(roots)
    readers = consumers(order)
    results = {id(root) for root in roots}
    places: dict[int, list[int | None]] = {}
    lasts: dict[int, set[int]] = {}
    for node in order:
        if isinstance(node.op, Scan):
            used = {r.op.index: r for r in readers[id(node)] if isinstance(r.op, Part)}
            lasts[id(node)] = set(_only_last(node.op, used, readers, results))
            places[id(node)] = _places(node.op, set(used))

    def visit(old: Tensor, new: Tensor) -> Tensor:
        if isinstance(old.op, Scan):
            return _rewritten(new, places[id(old)], lasts[id(old)], hits, optimise)
        if isinstance(old.op, Part) and id(old.inputs[0]) in places:
            place = places[id(old.inputs[0])][old.op.index]
            assert place is not None
            return Part(place)(new.inputs[0], origins=new.origins, name=new.name)
        if isinstance(old.op, Slice) and _is_last(old.inputs[0], lasts):
            last = new.inputs[0]
            only = Reshape((1, *last.shape))(last, origins=new.origins)
            # Other axes may be cut and turned round by the same slice.
            return replace(old.op, starts=(0, *old.op.starts[1:]))(only, origins=new.origins, name=new.name)
        return new

    return replace_nodes(roots, visit)


def _is_last(history: Tensor, lasts: dict[int, set[int]]) -> bool:
    """Whether a tensor was the history of a state that keeps its last value only."""
    return isinstance(history.op, Part) and history.op.index in lasts.get(id(history.inputs[0]), ())


def _only_last(
    op: Scan, used: dict[int, Tensor], readers: dict[int, list[Tensor]], results: set[int]
) -> Iterator[int]:
    """Numbers of the kept states of which only the last value is read."""
    for number, kept in enumerate(op.kept):
        index = op.outputs + number
        part = used.get(index)
        last = 0 if op.backward else op.length
        if not kept or (part is not None and id(part) in results):
            continue
        reading = readers[id(part)] if part is not None else []
        if all(isinstance(r.op, Slice) and r.op.starts[0] == last and r.op.sizes[0] == 1 for r in reading):
            yield index


def _places(op: Scan, used: set[int]) -> list[int | None]:
    """Where each result goes when outputs that nobody reads are left out; states stay."""
    places: list[int | None] = []
    count = 0
    for index in range(op.outputs + op.states):
        stays = index in used or index >= op.outputs
        places.append(count if stays else None)
        count += stays
    return places


def _rewritten(
    node: Tensor, places: Sequence[int | None], lasts: set[int], hits: Counter[str], optimise: Optimise
) -> Tensor:
    """The scan with fewer results and inputs, and an optimised body."""
    op = node.op
    assert isinstance(op, Scan)
    results = [r for r, place in zip(op.body.results, places, strict=True) if place is not None]
    hits["dropped results"] += len(op.body.results) - len(results)
    kept = tuple(k and op.outputs + i not in lasts for i, k in enumerate(op.kept))
    hits["histories not kept"] += sum(op.kept) - sum(kept)
    loop = _Loop(replace(op, kept=kept, body=Body(op.body.inputs, tuple(results))), list(node.inputs))
    _inline_constants(loop, hits)
    _hoist_products(loop, hits)
    loop.with_body(loop.op.body.inputs, optimise(slice_first(loop.op.body.results, hits)))
    _drop_inputs(loop)
    return loop.op(*loop.inputs, origins=node.origins, name=node.name)


def _inline_constants(loop: _Loop, hits: Counter[str]) -> None:
    """Constants, also stretched ones, become part of the body."""
    first = loop.op.sequences + loop.op.states
    inlined = {
        inner: given
        for inner, given in zip(loop.constants, loop.inputs[first:], strict=True)
        if is_constant(given)
    }
    hits["constants moved in"] += len(inlined)
    loop.with_body(loop.op.body.inputs, substitute(loop.op.body.results, inlined))
    _drop_inputs(loop)


def _drop_inputs(loop: _Loop) -> None:
    """Sequences and constants that the body does not read fall away."""
    needed = {id(n) for n in topological(loop.op.body.results)}
    first, second = loop.op.sequences, loop.op.sequences + loop.op.states
    stays = [
        first <= number < second or id(inner) in needed for number, inner in enumerate(loop.op.body.inputs)
    ]
    loop.op = replace(loop.op, sequences=sum(stays[:first]))
    loop.inputs = [value for value, stay in zip(loop.inputs, stays, strict=True) if stay]
    inner = [value for value, stay in zip(loop.op.body.inputs, stays, strict=True) if stay]
    loop.with_body(inner, loop.op.body.results)


# Work that leaves the loop


def _sink_products(roots: Sequence[Tensor], hits: Counter[str]) -> list[Tensor]:
    """An output that is a product with a constant becomes its other factor, multiplied after the loop."""
    sunk: dict[int, dict[int, tuple[int, Tensor]]] = {}

    def visit(old: Tensor, new: Tensor) -> Tensor:
        if isinstance(old.op, Scan):
            found = _sinking(new)
            if not found:
                return new
            hits["products after the loop"] += len(found)
            new, sunk[id(old)] = _with_factors(new, found)
            return new
        if isinstance(old.op, Part) and old.op.index in sunk.get(id(old.inputs[0]), ()):
            place, weights = sunk[id(old.inputs[0])][old.op.index]
            return _product_of_steps(Part(place)(new.inputs[0], origins=new.origins), weights)
        return new

    return replace_nodes(roots, visit)


def _sinking(node: Tensor) -> dict[int, Tensor]:
    """By number: the outputs that are products of a step's matrix with one made of constants alone."""
    op = node.op
    assert isinstance(op, Scan)
    order = topological(op.body.results)
    readers = consumers(order)
    varies = {id(i) for i in op.body.inputs[: op.sequences + op.states]}
    for inner in order:
        if any(id(i) in varies for i in inner.inputs):
            varies.add(id(inner))
    return {
        number: result
        for number, result in enumerate(op.body.results[: op.outputs])
        if isinstance(result.op, MatMul)
        and result.ndim == 2
        and len(result.inputs) == 2
        and id(result.inputs[0]) in varies
        and id(result.inputs[1]) not in varies
        and not readers[id(result)]
        and sum(r is result for r in op.body.results) == 1
    }


def _with_factors(node: Tensor, found: dict[int, Tensor]) -> tuple[Tensor, dict[int, tuple[int, Tensor]]]:
    """The scan with factors in the place of products, and for each where it is and its weights outside."""
    op = node.op
    assert isinstance(op, Scan)
    results = list(op.body.results)
    outside = dict(zip(op.body.inputs, node.inputs, strict=True))
    places = {}
    for number, product in found.items():
        left, right = product.inputs
        results[number] = left
        (weights,) = substitute([right], outside)
        places[number] = number, weights
    wide = replace(op, body=Body(op.body.inputs, tuple(results)))
    return wide(*node.inputs, origins=node.origins, name=node.name), places


def _product_of_steps(steps: Tensor, weights: Tensor) -> Tensor:
    """[T, B, K] @ [K, N], the rows of all steps as one matrix."""
    joined = Reshape((steps.shape[0] * steps.shape[1], steps.shape[2]))(steps)
    product = MatMul()(joined, weights)
    return Reshape((*steps.shape[:2], weights.shape[1]))(product)


def _hoist_products(loop: _Loop, hits: Counter[str]) -> None:
    """x_t @ w, for all t at once: one large product instead of many small ones."""
    outside = dict(zip(loop.op.body.inputs, loop.inputs, strict=True))
    sequences = {id(s) for s in loop.sequences}
    states = {id(s) for s in loop.op.body.inputs} - sequences - {id(c) for c in loop.constants}
    free = dict.fromkeys(sequences, True)
    hoisted: dict[Tensor, Tensor] = {}
    for node in topological(loop.op.body.results):
        if id(node) in free or id(node) in states or not _is_row_wise(node):
            continue
        if not any(id(i) in free for i in node.inputs) or not all(
            id(i) in free or isinstance(i.op, Constant) or i in loop.constants for i in node.inputs
        ):
            continue
        if isinstance(node.op, MatMul) and id(node.inputs[1]) in free:
            continue
        free[id(node)] = True
        if isinstance(node.op, MatMul):
            hoisted[node] = _on_all_steps(node, outside, free)
            hits["products before the loop"] += 1
        elif type(node.op) is Add and (whole := _with_bias(node, hoisted, outside)) is not None:
            hoisted[node] = whole
    if not hoisted:
        return
    steps = {node: placeholder(node.shape, dtype=node.dtype) for node in hoisted}
    results = substitute(loop.op.body.results, dict(steps.items()))
    first = loop.op.sequences
    inner = [*loop.op.body.inputs[:first], *steps.values(), *loop.op.body.inputs[first:]]
    loop.inputs = [*loop.inputs[:first], *hoisted.values(), *loop.inputs[first:]]
    loop.op = replace(loop.op, sequences=first + len(steps))
    loop.with_body(inner, results)
    _drop_inputs(loop)


def _with_bias(node: Tensor, products: dict[Tensor, Tensor], outside: dict[Tensor, Tensor]) -> Tensor | None:
    """A product of all steps and a bias, in the order in which they become one kernel."""
    for product, bias in (node.inputs, node.inputs[::-1]):
        if product in products and bias.ndim == 1 and product.type == node.type:
            (joined,) = products[product].inputs
            return Reshape(products[product].shape)(node.op(joined, outside.get(bias, bias)))
    return None


def _is_row_wise(node: Tensor) -> bool:
    """Element-wise, or a product of a matrix of steps' rows with another one."""
    if isinstance(node.op, MatMul):
        return node.ndim == 2 and len(node.inputs) == 2
    return isinstance(node.op, Elementwise) and all(i.ndim <= node.ndim for i in node.inputs)


def _on_all_steps(node: Tensor, outside: dict[Tensor, Tensor], free: dict[int, bool]) -> Tensor:
    """`node` with whole sequences in the place of their steps."""
    if node in outside:
        return outside[node]
    if id(node) not in free and not isinstance(node.op, MatMul):
        return node
    inputs = [_on_all_steps(i, outside, free) for i in node.inputs]
    if isinstance(node.op, MatMul):
        return _product_of_steps(*inputs)
    lifted = [
        Reshape((*i.shape[:1], *(1,) * (node.ndim - old.ndim), *i.shape[1:]))(i)
        if id(old) in free and old.ndim < node.ndim
        else i
        for old, i in zip(node.inputs, inputs, strict=True)
    ]
    return node.op(*lifted)
