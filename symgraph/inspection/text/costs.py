"""What the nodes of a Program cost by count: floating-point operations and bytes."""

from __future__ import annotations

from dataclasses import dataclass

from symgraph.inspection.facts.function import Facts, NodeFacts
from symgraph.inspection.text.table import byte_text, count_text, table


@dataclass(frozen=True)
class Costs:
    """Costs of one call, node by node.

    Attributes
    ----------
    nodes : tuple of NodeFacts
        Those that have rows, the most operations first.
    flops, bytes : int
        Floating-point operations, and bytes of operands and results, each once: what cannot be avoided.
    """

    nodes: tuple[NodeFacts, ...]
    flops: int
    bytes: int

    def __str__(self) -> str:
        rows = [
            (
                node.id,
                node.op,
                node.layer or "",
                count_text(node.flops or 0),
                byte_text(node.bytes or 0),
                f"{(node.flops or 0) / node.bytes:.3g}" if node.bytes else "",
                node.formula,
            )
            for node in self.nodes
        ]
        head = ("node", "op", "layer", "FLOPs", "bytes", "FLOPs/byte", "counted as")
        unit = "FLOPs" if self.flops >= 1000 else " FLOPs"
        total = f"{count_text(self.flops)}{unit}, {byte_text(self.bytes)}"
        return "\n".join([*table(head, rows, right=(3, 4, 5)), f"in all {total}"])

    __repr__ = __str__


def costs(facts: Facts) -> Costs:
    """The costs of the Program that `facts` are of."""
    nodes = sorted((n for n in facts.nodes if n.rows), key=lambda n: (-(n.flops or 0), -(n.bytes or 0)))
    flops, moved = (sum(getattr(n, field) or 0 for n in nodes) for field in ("flops", "bytes"))
    return Costs(tuple(nodes), flops, moved)
