"""Warnings that name the user's line, however deep inside the package their cause is noticed."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

_INSIDE = ("symgraph", "contextlib")  # context managers of the package run below contextlib's frames
_PROGRAMS = "symgraph.models"  # users of the package themselves


def warn_user(text: str) -> None:
    """Give a UserWarning at the innermost line on the stack that is not the package's own."""
    level = 1
    frame: FrameType | None = sys._getframe()
    while frame is not None and _is_ours(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, UserWarning, stacklevel=level)


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in _INSIDE and not f"{module}.".startswith(f"{_PROGRAMS}.")
