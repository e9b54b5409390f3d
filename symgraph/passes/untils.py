"""Loops that their bodies end: the body goes through the passes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from symgraph.graph.ops.until import Until
from symgraph.graph.tensor import Tensor, topological
from symgraph.passes.rewrite import replace_nodes

Optimise = Callable[[Sequence[Tensor]], list[Tensor]]


def tidy_untils(roots: Sequence[Tensor], hits: Counter[str], optimise: Optimise) -> list[Tensor]:
    """`optimise` runs the passes on the results of a turn."""
    if not any(isinstance(node.op, Until) for node in topological(roots)):
        return list(roots)

    def visit(old: Tensor, new: Tensor) -> Tensor:
        if not isinstance(new.op, Until):
            return new
        hits["turns"] += 1
        body = replace(new.op.body, results=tuple(optimise(new.op.body.results)))
        return Tensor(replace(new.op, body=body), new.inputs, new.type, new.origins, new.name)

    return replace_nodes(roots, visit)
