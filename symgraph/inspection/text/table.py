"""Tables as text: columns as wide as they need to be, long cells wrapped and never cut."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import zip_longest

_WIDEST = 46


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Lines of a table: `rows` under `head`. Columns of the numbers in `right` are set flush right."""
    wrapped = [
        [textwrap.wrap(cell, _WIDEST, break_long_words=False, break_on_hyphens=False) or [""] for cell in row]
        for row in [head, *rows]
    ]
    widths = [max(len(line) for row in wrapped for line in row[i]) for i in range(len(head))]
    return [
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for row in wrapped
        for line in zip_longest(*row, fillvalue="")
    ]


def byte_text(count: float) -> str:
    """Bytes with a unit: ``1.5 MiB``."""
    for unit in ("B", "KiB", "MiB"):
        if abs(count) < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:.4g} GiB"


def count_text(count: float) -> str:
    """A count with a unit: ``1.5 G``."""
    for unit in ("", " k", " M", " G"):
        if abs(count) < 1000:
            return f"{count:.4g}{unit}"
        count /= 1000
    return f"{count:.4g} T"


def time_text(seconds: float) -> str:
    """Seconds with a unit: ``1.5 ms``."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.4g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
