"""Long names in several lines, broken where their parts end."""

from __future__ import annotations

import re

_PARTS = re.compile(r"[^,+>/ ]*[,+>/ ]*")


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` letters, if no part of the text is longer; nothing is cut."""
    lines, line = [], ""
    for part in _PARTS.findall(text):
        if line and len(line) + len(part.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += part
    return [*lines, line.rstrip()] if line.strip() or not lines else lines
