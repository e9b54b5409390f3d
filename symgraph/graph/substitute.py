"""Graphs rebuilt with other nodes in the place of some."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.graph.tensor import Tensor, topological


def rebuild(node: Tensor, inputs: Sequence[Tensor]) -> Tensor:
    """`node` on other inputs of the same types; the same object where they are the same."""
    if all(a is b for a, b in zip(node.inputs, inputs, strict=True)):
        return node
    return Tensor(node.op, tuple(inputs), node.type, node.origins, node.name)


def substitute(roots: Sequence[Tensor], replacements: dict[Tensor, Tensor]) -> list[Tensor]:
    """`roots` with some nodes replaced. Nothing above a replaced node is kept."""
    if not replacements:
        return list(roots)
    done: dict[int, Tensor] = {id(old): new for old, new in replacements.items()}
    for node in topological(roots, stop=list(replacements)):
        if id(node) not in done:
            done[id(node)] = rebuild(node, [done[id(i)] for i in node.inputs])
    return [done[id(root)] for root in roots]
