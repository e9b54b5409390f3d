"""Rules that a comparison can break: ``time>+10%``, ``arena>64MiB``, ``rows>+0``.

A rule is a quantity (time, bytes, flops, arena, rows), ``>`` or ``<``, and a limit. A limit in % is one for
the change relative to the first profile; one with a sign is for the difference; any other for the value in
the second profile. Times are in ms, or in what is written: us, ms, s; bytes and arena take KiB, MiB, GiB.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

QUANTITIES = ("time", "bytes", "flops", "arena", "rows")
_RULE = re.compile(r"\s*([a-z]+)\s*([<>])\s*([+-]?)\s*(\d+(?:\.\d+)?)\s*([%A-Za-z]*)\s*")
_UNITS = {
    "time": {"": 1e-3, "us": 1e-6, "ms": 1e-3, "s": 1.0},
    "bytes": {"": 1.0, "B": 1.0, "KiB": 1024.0, "MiB": 1024.0**2, "GiB": 1024.0**3},
    "flops": {"": 1.0},
    "arena": {"": 1.0, "B": 1.0, "KiB": 1024.0, "MiB": 1024.0**2, "GiB": 1024.0**3},
    "rows": {"": 1.0},
}


@dataclass(frozen=True)
class Rule:
    """A rule as it was written, and what it means.

    `kind` is ``change`` (`limit` is in %), ``difference`` or ``value``.
    """

    text: str
    quantity: str
    above: bool
    kind: str
    limit: float

    def breaks(self, before: float, after: float) -> bool:
        """Whether a quantity that was `before` and is `after` breaks the rule."""
        found = {"change": change(before, after), "difference": after - before, "value": after}[self.kind]
        return found > self.limit if self.above else found < self.limit


def rule(text: str) -> Rule:
    """A rule from its text. ValueError for one that is none, which says how rules look."""
    match = _RULE.fullmatch(text)
    if match is None or match[1] not in QUANTITIES:
        raise ValueError(_help(text))
    quantity, sign, unit = match[1], match[3], match[5]
    limit = float(sign + match[4])
    if unit == "%":
        return Rule(text, quantity, match[2] == ">", "change", limit)
    if unit not in _UNITS[quantity]:
        raise ValueError(_help(text))
    kind = "difference" if sign else "value"
    return Rule(text, quantity, match[2] == ">", kind, limit * _UNITS[quantity][unit])


def change(before: float, after: float) -> float:
    """By how many percent `after` differs from `before`; infinite where there was nothing before."""
    if before == after:
        return 0.0
    return 100.0 * (after - before) / before if before else math.copysign(math.inf, after - before)


def _help(text: str) -> str:
    return (
        f"expected a rule such as 'time>+10%', 'arena>64MiB' or 'rows>+0' (one of {', '.join(QUANTITIES)}; "
        "> or <; a number with %, with a sign, or plain; time in us, ms or s, bytes and arena in B, KiB, "
        f"MiB or GiB), got {text!r}"
    )
