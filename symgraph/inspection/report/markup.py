"""HTML from data: every text is escaped on its way in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from symgraph.inspection.text.table import byte_text, count_text, time_text

UNKNOWN = "unknown"


def text(value: object) -> str:
    """Any value as text in markup."""
    return escape(str(value))


def breakable(value: str) -> str:
    """A long name as markup that may be broken after its parts."""
    return "<wbr>".join(escape(part) for part in re.split(r"(?<=[+,_>/])", value))


def element(name: str, content: str = "", **attributes: object) -> str:
    """An element around markup. ``class_`` and the like lose the last ``_``; None leaves an attribute out."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{given}>{content}</{name}>"


def link(href: str, label: object, **attributes: object) -> str:
    """A link inside the page."""
    return element("a", text(label), href=href, **attributes)


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = (), **attributes: object
) -> str:
    """A table of markup cells under text heads; columns in `numbers` are set flush right."""
    classes = ["num" if i in numbers else None for i in range(len(head))]
    top = "".join(element("th", text(h), class_=c) for h, c in zip(head, classes, strict=True))
    body = "".join(
        "<tr>"
        + "".join(element("td", cell, class_=c) for cell, c in zip(row, classes, strict=True))
        + "</tr>\n"
        for row in rows
    )
    inner = f"<thead><tr>{top}</tr></thead><tbody>\n{body}</tbody>"
    return element("div", element("table", inner, **attributes), class_="scroll")


def facts_list(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and markup values."""
    inner = "".join(f"<dt>{text(name)}</dt><dd>{value}</dd>" for name, value in pairs if value)
    return element("dl", inner)


def details(summary: str, content: str, opened: bool = False) -> str:
    """A part that is collapsed at first; `summary` is markup."""
    return f"<details{' open' if opened else ''}><summary>{summary}</summary>{content}</details>"


def bar(share: float, label: str = "", kind: str = "") -> str:
    """A bar that fills a share (0 to 1) of its room."""
    width = f"{100 * min(max(share, 0.0), 1.0):.1f}%"
    inner = element("i", "", style=f"width:{width}", class_=kind or None)
    return element("span", inner + (element("b", text(label)) if label else ""), class_="bar")


def percent(share: float | None) -> str:
    """A share as text: ``31 %``."""
    if share is None:
        return UNKNOWN
    return f"{100 * share:.1f} %" if share < 0.0995 else f"{100 * share:.0f} %"


def seconds_text(seconds: float | None) -> str:
    """Seconds with a unit; ``not measured`` for None."""
    return "not measured" if seconds is None else "0" if seconds == 0 else time_text(seconds)


def bytes_text(count: int | None) -> str:
    """Bytes with a unit."""
    return UNKNOWN if count is None else byte_text(count)


def flops_text(count: int | None) -> str:
    """Floating-point operations with a unit."""
    return (
        UNKNOWN
        if count is None
        else f"{count_text(count)}FLOP".replace("FLOP", " FLOP" if count < 1000 else "FLOP")
    )


def rate_text(rate: float | None, unit: str) -> str:
    """A rate of 10^9 a second."""
    return UNKNOWN if rate is None else f"{rate:.3g} {unit}"


def plural(count: int, word: str) -> str:
    """``1 node``, ``2 nodes``."""
    return f"{count:,} {word}" + ("" if count == 1 else "s")
