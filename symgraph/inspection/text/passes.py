"""What the passes did, as text."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.inspection.facts.function import PassFacts
from symgraph.inspection.text.table import table, time_text


class Passes(tuple[PassFacts, ...]):
    """The passes of one lowering, in order. Printed, those that changed something, with what they changed."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join(pass_lines(self))

    __repr__ = __str__


def pass_lines(passes: Sequence[PassFacts], differences: bool = True) -> list[str]:
    """A table of all passes; then, for each that changed something, nodes that went and nodes that came."""
    rows = [
        (
            p.name,
            f"{p.before} → {p.after}",
            time_text(p.seconds),
            ", ".join(f"{k} ×{n}" for k, n in p.hits.items() if n),
        )
        for p in passes
    ]
    lines = table(("pass", "nodes", "time", "rules"), rows)
    for number, one in enumerate(passes):
        if differences and (one.removed or one.added):
            lines += ["", f"{number + 1}. {one.name}"]
            lines += [f"  - {text}{_times(count)}" for text, count in one.removed.items()]
            lines += [f"  + {text}{_times(count)}" for text, count in one.added.items()]
    return lines


def _times(count: int) -> str:
    return f"  (×{count})" if count > 1 else ""
