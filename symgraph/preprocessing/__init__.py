"""Preparing data for models: `image`, `sequence` and `text`; each is loaded when it is first used."""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["image", "sequence", "text"]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
