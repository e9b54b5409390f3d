"""The standard's functions whose results are as long as data tell: they are refused by name."""

from __future__ import annotations

from typing import Any, NoReturn


def _refused(name: str) -> NoReturn:
    raise NotImplementedError(
        f"{name}: the number of results would depend on data; use where(mask, x, ...) or sort instead"
    )


def nonzero(x: Any, /) -> NoReturn:
    """Refused: its results are as long as data tell."""
    _refused("nonzero")


def unique_all(x: Any, /) -> NoReturn:
    """Refused: its results are as long as data tell."""
    _refused("unique_all")


def unique_counts(x: Any, /) -> NoReturn:
    """Refused: its results are as long as data tell."""
    _refused("unique_counts")


def unique_inverse(x: Any, /) -> NoReturn:
    """Refused: its results are as long as data tell."""
    _refused("unique_inverse")


def unique_values(x: Any, /) -> NoReturn:
    """Refused: its result is as long as data tell."""
    _refused("unique_values")


__all__ = ["nonzero", "unique_all", "unique_counts", "unique_inverse", "unique_values"]
