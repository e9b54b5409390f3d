"""A Program as text: one row a kernel call, in running order."""

from __future__ import annotations

from collections.abc import Iterator

from symgraph.inspection.facts.function import Facts, NodeFacts, RowFacts
from symgraph.inspection.text.table import byte_text, table

_HEAD = ("row", "result", "type", "layer", "kernel", "operands", "place", "tiles", "turns", "slices", "gang")
_ALWAYS = 8  # columns; later ones only where a row has something to say


def listing(facts: Facts) -> str:
    """The table of kernel calls, or of graph nodes where no Program was planned yet."""
    nodes = {node.id: node for node in facts.nodes}
    inputs = ", ".join(f"{i.id} {i.name or ''}: {i.type}" for i in facts.inputs)
    head = f"{facts.name}({inputs}) -> {', '.join(facts.outputs)}"
    if not facts.rows and facts.shapes is None:
        shown = [node for node in facts.nodes if node.role in ("op", "part") and node.inside is None]
        rows = [(n.id, n.op, _operands(n, nodes), n.type, n.layer or "") for n in shown]
        return "\n".join([head, *table(("result", "op", "operands", "type", "layer"), rows)])
    cells = list(_cells(facts, nodes))
    used = [i for i in range(len(_HEAD)) if i < _ALWAYS or any(row[i] for row in cells)]
    lines = table([_HEAD[i] for i in used], [[row[i] for i in used] for row in cells])
    memory = f"arena {byte_text(facts.arena_bytes)} for {byte_text(facts.buffer_bytes)} of temporaries"
    return "\n".join([head, *lines, f"{len(facts.rows)} rows, {memory}", *facts.widened])


def _cells(facts: Facts, nodes: dict[str, NodeFacts]) -> Iterator[tuple[str, ...]]:
    """The rows' cells. Of rows that are repeated for slices of the samples the first one stands for all."""
    slices: dict[tuple[str, str], set[int]] = {}
    sizes: dict[int, int] = {}
    for row in facts.rows:
        slices.setdefault((row.node, row.kernel), set()).add(row.slice)
        sizes[row.gang] = sizes.get(row.gang, 0) + 1
    for row in facts.rows:
        if row.row == facts.guarded:
            yield ("", "", "", "", "-- from here on nothing is interrupted --", *[""] * 6)
        same = slices[row.node, row.kernel]
        if row.slice == min(same):
            yield (
                *_row_cells(row, nodes),
                str(row.turns) if row.turns > 1 else "",
                str(len(same)) if len(same) > 1 else "",
                str(row.gang) if sizes[row.gang] > 1 else "",
            )


def _row_cells(row: RowFacts, nodes: dict[str, NodeFacts]) -> tuple[str, ...]:
    node = nodes[row.node]
    return (
        str(row.row),
        node.id,
        node.type,
        node.layer or "",
        row.kernel,
        _operands(node, nodes),
        " ".join(row.results),
        str(row.tiles),
    )


def _operands(node: NodeFacts, nodes: dict[str, NodeFacts]) -> str:
    return " ".join(_operand(name, nodes) for name in node.inputs)


def _operand(name: str, nodes: dict[str, NodeFacts]) -> str:
    node = nodes.get(name)
    return node.name if node is not None and node.role in ("input", "variable") and node.name else name
