"""Where a node comes from: the user's source line and the layer that wrote it."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

_PACKAGE = Path(__file__).parent.parent
# Frames of these files are ours; programs in models/ are written as users write theirs.
_HOUSE = (f"{_PACKAGE}{os.sep}", f"{(_PACKAGE / 'kernels').resolve()}{os.sep}")
_PROGRAMS = f"{_PACKAGE / 'models'}{os.sep}"
_layer: ContextVar[str | None] = ContextVar("symgraph_layer", default=None)
_inherited: ContextVar[tuple[Origin, ...] | None] = ContextVar("symgraph_origins", default=None)


@dataclass(frozen=True, slots=True)
class Origin:
    """A line of a user's file, and the name of a layer (None outside layers)."""

    file: str
    line: int
    layer: str | None

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}"
        return f"layer {self.layer} ({where})" if self.layer else where


@contextmanager
def layer_scope(name: str) -> Iterator[None]:
    """Nodes made inside belong to the layer `name`."""
    token = _layer.set(name)
    try:
        yield
    finally:
        _layer.reset(token)


@contextmanager
def inherit(origins: tuple[Origin, ...]) -> Iterator[None]:
    """Nodes made inside come from `origins`: how a rewrite passes on where the replaced nodes came from."""
    token = _inherited.set(origins)
    try:
        yield
    finally:
        _inherited.reset(token)


def current() -> tuple[Origin, ...]:
    """The origins of a node made now: inherited ones inside a rewrite, else the user's line."""
    return _inherited.get() or (here(),)


def here() -> Origin:
    """The origin of a node made now: the innermost line on the stack outside this package."""
    inside = sys._getframe(1)
    frame: FrameType | None = inside
    while frame is not None and _is_ours(frame.f_code.co_filename):
        inside, frame = frame, frame.f_back
    chosen = frame or inside
    return Origin(chosen.f_code.co_filename, chosen.f_lineno, _layer.get())


def _is_ours(file: str) -> bool:
    return file.startswith(_HOUSE) and not file.startswith(_PROGRAMS)


def current_layer() -> str | None:
    """The layer, or other scope, that nodes made now belong to."""
    return _layer.get()


def warn_user(text: str) -> None:
    """Give a warning at the user's line: the innermost one on the stack outside this package."""
    level = 1
    frame: FrameType | None = sys._getframe()
    while frame is not None and _is_ours(frame.f_code.co_filename):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, stacklevel=level)
