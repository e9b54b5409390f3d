"""The second part of a report: what the passes did, and what each kernel goes back to."""

from __future__ import annotations

from symgraph.inspection.draw.outline import node_link, origin_layer
from symgraph.inspection.facts.function import PassFacts
from symgraph.inspection.report.markup import bar, details, element, link, plural, seconds_text, table, text
from symgraph.inspection.report.material import Numbers

_MOST_LINES = 60
_MOST_ROWS = 600


def passes(numbers: Numbers) -> str:
    """The section's markup."""
    steps = numbers.material.passes
    longest = max((p.seconds for p in steps), default=0.0) or 1.0
    most = max((max(p.before, p.after) for p in steps), default=1)
    rows = [
        (
            str(i + 1),
            text(p.name),
            bar(p.seconds / longest),
            text(seconds_text(p.seconds)),
            bar(p.after / most, kind="quiet"),
            text(f"{p.before:,} → {p.after:,}" if p.before != p.after else f"{p.after:,}"),
            _rules(p),
        )
        for i, p in enumerate(steps)
    ]
    head = ("", "pass", "time", "", "nodes", "", "rules that fired, and what changed")
    return table(head, rows, (0, 3, 5), class_="passes") + details(
        "Lineage: each kernel, back to layer and line", _lineage(numbers)
    )


def _rules(step: PassFacts) -> str:
    hits = ", ".join(f"{name} ×{count}" for name, count in step.hits.items() if count)
    gone, come = sum(step.removed.values()), sum(step.added.values())
    if not gone and not come:
        return text(hits)
    lines = [("-", t, n) for t, n in step.removed.items()] + [("+", t, n) for t, n in step.added.items()]
    shown = "".join(
        element("li", text(f"{t}{f'  (×{n})' if n > 1 else ''}"), class_="gone" if sign == "-" else "come")
        for sign, t, n in lines[:_MOST_LINES]
    )
    if len(lines) > _MOST_LINES:
        shown += element("li", text(f"and {len(lines) - _MOST_LINES} more: print(function.passes)"))
    return text(hits) + details(f"{gone} nodes went, {come} came", element("ul", shown, class_="diff"))


def _lineage(numbers: Numbers) -> str:
    rows = []
    for row in numbers.facts.rows[:_MOST_ROWS]:
        node = numbers.nodes[row.node]
        layers = dict.fromkeys(name for o in node.origins if (name := origin_layer(o)) is not None)
        lines = list(dict.fromkeys(place(o) for o in node.origins))
        more = f" and {len(lines) - 2} more" if len(lines) > 2 else ""
        rows.append(
            (
                str(row.row),
                text(row.kernel),
                link(node_link(node.id), node.id),
                text(", ".join(list(layers)[:4]) + (" ..." if len(layers) > 4 else "")),
                text(", ".join(lines[:2]) + more),
            )
        )
    note = ""
    if len(numbers.facts.rows) > _MOST_ROWS:
        left = len(numbers.facts.rows) - _MOST_ROWS
        note = element("p", text(f"{plural(left, 'row')} more: print(function)"), class_="note")
    return table(("row", "kernel", "node", "layers", "written at"), rows, (0,)) + note


def place(origin: str) -> str:
    """File and line of an origin."""
    return origin.rsplit(" (", 1)[1].rstrip(")") if origin.startswith("layer ") else origin
