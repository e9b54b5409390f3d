"""Unused results are not computed: a max-pooling without gradient keeps no positions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from symgraph.graph.op import Part
from symgraph.graph.ops.pool import MaxPool2D, MaxPool2DWithIndex
from symgraph.graph.tensor import Tensor, consumers, topological
from symgraph.passes.rewrite import replace_nodes


def drop_unused_results(roots: Sequence[Tensor], hits: Counter[str]) -> list[Tensor]:
    """part 0 of max_pool2d_with_index(x), its only reader -> max_pool2d(x)"""
    readers = consumers(topological(roots))

    def visit(old: Tensor, new: Tensor) -> Tensor:
        if not isinstance(new.op, Part) or not isinstance(new.inputs[0].op, MaxPool2DWithIndex):
            return new
        used = {r.op.index for r in readers[id(old.inputs[0])] if isinstance(r.op, Part)}
        if used != {0}:
            return new
        hits["positions"] += 1
        pool = new.inputs[0]
        return Tensor(MaxPool2D(*pool.op.parameters()), pool.inputs, new.type, new.origins, new.name)  # type: ignore[attr-defined]

    return replace_nodes(roots, visit)
