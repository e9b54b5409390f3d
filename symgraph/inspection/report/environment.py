"""The eighth part of a report: the hardware, and everything else that the times depend on."""

from __future__ import annotations

from symgraph.inspection.report.markup import element, facts_list, plural, text
from symgraph.inspection.report.material import Numbers
from symgraph.inspection.text.table import byte_text


def environment(numbers: Numbers) -> str:
    """The section's markup."""
    found = numbers.material.hardware
    chips = "".join(element("code", text(feature)) for feature in found.features)
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    settings = ", ".join(f"{name}={value}" for name, value in found.settings.items())
    ceilings = "; ".join(
        f"{plural(c.threads, 'thread')}: {c.gflops:.1f} GFLOP/s, {c.gbytes:.1f} GB/s"
        for c in numbers.material.ceilings
    )
    pairs = [
        ("processor", text(f"{found.processor} ({found.cpu})")),
        ("vectors", text(f"{found.vector_bits} bits")),
        ("caches", text(f"{byte_text(found.l1_bytes)} and {byte_text(found.l2_bytes)} a core")),
        ("processors", text(f"{found.processors}, of which {numbers.facts.threads} are used")),
        ("threads by", text(found.threading_layer)),
        ("ceilings", text(ceilings or "not measured")),
        ("clock", text(found.clock or "none")),
        ("system", text(found.system)),
        ("Python", text(found.python)),
        ("versions", text(versions)),
        ("kernel cache", text(found.cache or "none")),
        ("settings", text(settings or "none that matter")),
        ("random numbers", text(_seeds(numbers))),
        ("features", element("div", chips, class_="chips")),
    ]
    return facts_list(pairs)


def _seeds(numbers: Numbers) -> str:
    """Which nodes draw, and what they draw from."""
    drawn = [node for node in numbers.facts.nodes if node.kind.startswith("random") and node.role == "op"]
    if not drawn:
        return "none are drawn"
    states = dict.fromkeys(
        read.name or read.id
        for node in drawn
        for name in node.inputs
        if (read := numbers.nodes.get(name)) is not None and read.role == "variable"
    )
    lines = ", ".join(f"{node.id} {node.op}" for node in drawn[:8]) + (" ..." if len(drawn) > 8 else "")
    return lines + (f"; states are in {', '.join(list(states)[:8])}" if states else "; with fixed seeds")
