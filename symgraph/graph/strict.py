"""Strict dtypes: float32 becomes float64 only where that is written down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from symgraph.graph.origin import here

_STRICT: ContextVar[bool] = ContextVar("symgraph_strict_dtypes", default=False)


@contextmanager
def strict_dtypes() -> Iterator[None]:
    """Inside, graphs that are written widen no float32 to float64 but by a cast that is written down.

    Raises
    ------
    TypeError
        Where float32 meets float64, with the line.
    """
    token = _STRICT.set(True)
    try:
        yield
    finally:
        _STRICT.reset(token)


def check_widening(dtypes: Sequence[str]) -> None:
    """Under `strict_dtypes`, refuse what would widen float32 to float64."""
    if _STRICT.get() and "float32" in dtypes and "float64" in dtypes:
        raise TypeError(
            f"float32 would be widened to float64 at {here()}: expected one dtype, got {', '.join(dtypes)}; "
            "use K.cast"
        )
