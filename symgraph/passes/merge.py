"""Common subexpressions: equal ops on equal inputs become one node that keeps the origins of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from symgraph.graph.op import Op
from symgraph.graph.tensor import Tensor
from symgraph.passes.rewrite import replace_nodes


def merge(roots: Sequence[Tensor], hits: Counter[str]) -> list[Tensor]:
    """One node for each distinct computation. Random draws, placeholders and variables are never merged."""
    known: dict[tuple[Op, tuple[int, ...]], Tensor] = {}
    users: dict[int, list[Tensor]] = {}

    def visit(old: Tensor, new: Tensor) -> Tensor:
        if not new.op.pure:
            return new
        first = known.setdefault((new.op, tuple(id(i) for i in new.inputs)), new)
        users.setdefault(id(first), []).append(old)
        if first is not new:
            hits["merged"] += 1
        return first

    merged = replace_nodes(roots, visit)
    return _with_all_origins(merged, users) if hits["merged"] else merged


def _with_all_origins(roots: Sequence[Tensor], users: dict[int, list[Tensor]]) -> list[Tensor]:
    """Give each merged node the origins of all the nodes that it stands for."""

    def visit(old: Tensor, new: Tensor) -> Tensor:
        group = users.get(id(old), ())
        if len(group) < 2:
            return new
        origins = tuple(dict.fromkeys(o for node in group for o in node.origins))
        name = next((node.name for node in group if node.name), None)
        return Tensor(new.op, new.inputs, new.type, origins, name)

    return replace_nodes(roots, visit)
