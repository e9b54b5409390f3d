"""All that is known about one node, layer or kernel, as text."""

from __future__ import annotations

from difflib import get_close_matches

from symgraph.inspection.facts.function import Facts, NodeFacts
from symgraph.inspection.facts.times import FunctionTimes
from symgraph.inspection.text.table import byte_text, count_text, table


def explain(facts: Facts, name: str, times: FunctionTimes | None = None) -> str:
    """What `name` (a node's id or name, a layer, a row's number, or a kernel) was compiled to.

    Raises
    ------
    ValueError
        Nothing has that name; the message lists what comes close.
    """
    found = find(facts, name)
    if len(found) == 1:
        return "\n".join(node_lines(facts, found[0], times))
    seconds = times.node_seconds() if times else {}
    rows = [
        (
            node.id,
            node.op,
            node.phase,
            node.type,
            " ".join(facts.rows[row].kernel for row in node.rows[:1]),
            count_text(node.flops or 0),
            byte_text(node.bytes or 0),
            f"{1e3 * seconds.get(node.id, 0.0) / max(times.calls, 1):.3f} ms" if times else "",
        )
        for node in found
    ]
    head = ("node", "op", "phase", "type", "kernel", "FLOPs", "bytes", "time" if times else "")
    lines = table(head, rows, right=(5, 6, 7))
    origins = dict.fromkeys(text for node in found for text in node.origins if name in text)
    return "\n".join([f"{name}: {len(found)} nodes", *lines, *(f"written at {o}" for o in list(origins)[:3])])


def find(facts: Facts, name: str) -> list[NodeFacts]:
    """The nodes that a name stands for: see `explain`."""
    nodes = facts.nodes
    exact = [n for n in nodes if name in (n.id, n.name)]
    if exact:
        return exact
    if name.isdigit() and int(name) < len(facts.rows):
        return [facts.node(facts.rows[int(name)].node)]
    own = [n for n in nodes if n.role == "op" and n.layer is not None and _is_layer(n, name)]
    if own:
        return own
    kernels = {row.node for row in facts.rows if row.kernel == name or row.kernel.split("[")[0] == name}
    by_kernel = [n for n in nodes if n.id in kernels or (n.role == "op" and name in (n.op, n.kind))]
    if by_kernel:
        return by_kernel
    known = dict.fromkeys(str(text) for n in nodes for text in (n.name, n.layer, n.kind) if text is not None)
    near = get_close_matches(name, known, 5, 0.5)
    raise ValueError(
        f"{facts.name}: there is no node, layer or kernel {name!r}; "
        + (f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(list(known)[:20])}")
    )


def _is_layer(node: NodeFacts, name: str) -> bool:
    """Whether a layer, or one that is inside of it, wrote a node; merged nodes have several."""
    texts = [
        origin.removeprefix("layer ").split(" (")[0] for origin in node.origins if origin.startswith("layer ")
    ]
    return any(text == name or text.startswith(f"{name}/") for text in texts)


def node_lines(facts: Facts, node: NodeFacts, times: FunctionTimes | None = None) -> list[str]:
    """Everything about one node."""
    readers = [other.id for other in facts.nodes if node.id in other.inputs]
    lines = [
        f"{node.id}  {node.op}" + (f"  {node.name!r}" if node.name else ""),
        f"  type      {node.type}" + (f" = {' and '.join(map(str, node.shapes))}" if node.shapes else ""),
        f"  written   {'; '.join(node.origins)}",
        f"  phase     {node.phase}",
        f"  reads     {' '.join(node.inputs) or 'nothing'}",
        f"  read by   {' '.join(readers) or 'nobody'}",
    ]
    if node.inside:
        lines.append(f"  inside    {node.inside}")
    if node.role == "op" and node.flops is not None:
        ratio = f", {node.flops / node.bytes:.3g} FLOPs a byte" if node.bytes else ""
        lines.append(f"  costs     {count_text(node.flops)} FLOPs, {byte_text(node.bytes or 0)}{ratio}")
        lines.append(f"            {node.formula}")
    for number in node.rows[:8]:
        row = facts.rows[number]
        turns = f", {row.turns} turns" if row.turns > 1 else ""
        lines.append(f"  row {row.row:<5} {row.kernel}, {row.tiles} tiles, gang {row.gang}{turns}")
        lines.append(f"            {' '.join(row.operands)} -> {' '.join(row.results)}")
    if len(node.rows) > 8:
        lines.append(f"            and {len(node.rows) - 8} rows more")
    for block in facts.arena:
        if block.node == node.id:
            span = f"rows {block.first} to {block.last}"
            lines.append(f"  arena     {byte_text(block.nbytes)} at {block.offset:,}, {span}")
    if times is not None and node.rows:
        seconds = times.node_seconds().get(node.id, 0.0)
        share = seconds / times.seconds if times.seconds else 0.0
        rate = f", {(node.flops or 0) * times.calls / seconds / 1e9:.1f} GFLOP/s" if seconds else ""
        lines.append(
            f"  time      {1e3 * seconds / max(times.calls, 1):.3f} ms a call, {100 * share:.1f} %{rate}"
        )
    return lines
