"""Warnings that name the user's line, however deep inside the package their cause is noticed."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

_INSIDE = ("symgraph", "contextlib")  # context managers of the package run below contextlib's frames
_PROGRAMS = "symgraph.models."  # those with a `main` use the package themselves


class OldCallWarning(DeprecationWarning, UserWarning):
    """A name or an argument of Keras 1, which still works.

    Keras 2 gave a `UserWarning` for these, so filters that scripts set for either kind apply.
    """


def warn_user(text: str, category: type[Warning] = UserWarning) -> None:
    """Give a warning at the innermost line on the stack that is not the package's own."""
    level = 1
    frame: FrameType | None = sys._getframe()
    while frame is not None and _is_ours(frame):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, category, stacklevel=level)


def warn_old(text: str) -> None:
    """Tell the user's line that it is written for Keras 1, and what would be said today."""
    warn_user(text, OldCallWarning)


def _is_ours(frame: FrameType) -> bool:
    module = frame.f_globals.get("__name__", "")
    program = module.startswith(_PROGRAMS) and "main" in frame.f_globals
    return module.partition(".")[0] in _INSIDE and not program
