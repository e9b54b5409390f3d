"""Graphs and profiles for TensorBoard."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from symgraph.inspection.export.events import EventWriter, graph_def, node_def
from symgraph.inspection.facts.function import Facts, NodeFacts
from symgraph.inspection.facts.profile import ProfileFacts


def graph_of(facts: Facts) -> bytes:
    """A GraphDef: one node for each of the compiled graph, in the scope of its layer.

    What is inside of a loop or a choice is in its scope. Of a node with several results the number of the
    one that is read follows its name.
    """
    return graph_def(_nodes(facts))


def write_profile(log_dir: str | os.PathLike[str], profile: ProfileFacts, step: int) -> None:
    """Times by layer and phase as scalars (ms a call), totals, and the graph of the longest Function."""
    writer = EventWriter(log_dir)
    if profile.functions:
        writer.graph(graph_of(profile.functions[0].facts))
    for number, times in enumerate(profile.functions):
        name = f"{times.facts.name}_{number}"
        calls = max(times.calls, 1)
        scalars = {f"{name}/call_ms": 1e3 * times.seconds / calls, f"{name}/coverage": times.coverage}
        for by in ("phase", "layer"):
            for group in times.groups(by):
                scalars[f"{name}/{by}_ms/{group.name}"] = 1e3 * group.seconds / calls
        writer.scalars(scalars, step)


def _nodes(facts: Facts) -> Iterator[bytes]:
    names: dict[str, str] = {}
    for node in facts.nodes:
        if node.role == "part":
            index = node.op.removeprefix("part[").removesuffix("]")
            names[node.id] = f"{names[node.inputs[0]]}:{index}"
            continue
        names[node.id] = _name(node, names)
        texts = {"type": node.type, "parameters": node.op, "phase": node.phase}
        if node.origins:
            texts["written"] = node.origins[0]
        if node.rows:
            texts["kernel"] = facts.rows[node.rows[0]].kernel
        yield node_def(
            names[node.id],
            node.kind,
            [names[value] for value in node.inputs if value in names],
            node.dtypes[0] if node.dtypes else None,
            node.shapes or (),
            texts,
        )


def _name(node: NodeFacts, names: dict[str, str]) -> str:
    """Scopes, then what it is and its number: unique, of the characters that TensorBoard takes."""
    scope = names.get(node.inside, "") if node.inside else (node.layer or "")
    own = node.name if node.role in ("input", "variable") and node.name else node.kind
    if scope and own.startswith(f"{scope}/"):
        own = own.removeprefix(f"{scope}/")
    path = [*scope.split("/"), f"{own}_{node.id.removeprefix('%')}"]
    return "/".join(re.sub(r"[^A-Za-z0-9_.\-/]", "_", part).lstrip("_-/") or "x" for part in path if part)
