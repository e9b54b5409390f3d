"""Results of loops that are something else already: a sequence, another result, or a state's history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from symgraph.graph.op import Part
from symgraph.graph.ops.scan import Scan
from symgraph.graph.ops.slicing import slice_axis
from symgraph.graph.tensor import Tensor
from symgraph.passes.rewrite import replace_nodes


def share_results(roots: Sequence[Tensor], hits: Counter[str]) -> list[Tensor]:
    """Read from elsewhere what a loop would only copy; results that nobody reads any more fall away later."""

    def visit(old: Tensor, new: Tensor) -> Tensor:
        if not (isinstance(new.op, Part) and isinstance(new.inputs[0].op, Scan)):
            return new
        found = _elsewhere(new.inputs[0], new.op.index)
        if found is None:
            return new
        hits["results shared"] += 1
        return found

    return replace_nodes(roots, visit)


def _elsewhere(node: Tensor, index: int) -> Tensor | None:
    """Another way to output number `index` of a scan."""
    op = node.op
    assert isinstance(op, Scan)
    if index >= op.outputs:
        return None
    result = op.body.results[index]
    for sequence, given in zip(op.body.inputs[: op.sequences], node.inputs, strict=False):
        if result is sequence:
            return given
    states = op.body.inputs[op.sequences : op.sequences + op.states]
    for number, (before, kept) in enumerate(zip(states, op.kept, strict=True)):
        after = op.body.results[op.outputs + number]
        if kept and (result is before or result is after):
            history = Part(op.outputs + number)(node, origins=node.origins)
            return slice_axis(history, 0, int((result is before) == op.backward), op.length)
    first = next(i for i, r in enumerate(op.body.results) if r is result)
    return Part(first)(node, origins=node.origins) if first < index else None
