"""Slices of element-wise values: taken before instead of after, where each element is needed once.

Gates of recurrent cells are parts of one wide sum. Sliced first, they are one sweep with what is made of
them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from symgraph.graph.dims import Dim
from symgraph.graph.ops.elementwise import Elementwise
from symgraph.graph.ops.slicing import Slice
from symgraph.graph.tensor import Tensor, consumers, topological
from symgraph.passes.rewrite import replace_nodes


def slice_first(roots: Sequence[Tensor], hits: Counter[str]) -> list[Tensor]:
    """f(x, y)[a:b] -> f(x[a:b], y[a:b])"""
    current = list(roots)
    while True:
        found = _sliced_apart(current)
        if not found:
            return current
        hits["sliced before"] += len(found)

        def visit(old: Tensor, new: Tensor, found: set[int] = found) -> Tensor:
            if not (isinstance(new.op, Slice) and id(old.inputs[0]) in found):
                return new
            (source,) = new.inputs
            parts = [_part(value, new.op, source.shape) for value in source.inputs]
            return source.op(*parts, origins=source.origins, name=new.name)

        current = replace_nodes(current, visit)


def _sliced_apart(roots: Sequence[Tensor]) -> set[int]:
    """Element-wise nodes that are read by slices alone, which do not overlap."""
    order = topological(roots)
    readers = consumers(order)
    results = {id(root) for root in roots}
    found = set()
    for node in order:
        slices = [r.op for r in readers[id(node)] if isinstance(r.op, Slice)]
        alone = len(slices) == len(readers[id(node)]) and id(node) not in results
        if slices and alone and isinstance(node.op, Elementwise) and _apart(slices, node.shape):
            found.add(id(node))
    return found


def _apart(slices: Sequence[Slice], shape: Sequence[Dim]) -> bool:
    """Whether slices are of the last axis only, and no element is in two of them."""
    spans: list[tuple[int, int]] = []
    for op in slices:
        start, size = op.starts[-1], op.sizes[-1]
        whole = (0,) * (len(shape) - 1), tuple(shape[:-1])
        if not (isinstance(start, int) and isinstance(size, int)):
            return False
        if (op.starts[:-1], op.sizes[:-1]) != whole or any(step != 1 for step in op.steps):
            return False
        spans.append((start, start + size))
    spans.sort()
    return all(before[1] <= after[0] for before, after in pairwise(spans))


def _part(value: Tensor, op: Slice, full: Sequence[Dim]) -> Tensor:
    """What a slice of the last axis of a value of shape `full` needs of an operand stretched to it."""
    if not value.ndim or value.shape[-1] != full[-1]:
        return value
    starts = (0,) * (value.ndim - 1) + op.starts[-1:]
    return Slice(starts, (*value.shape[:-1], op.sizes[-1]), (1,) * value.ndim)(value)
