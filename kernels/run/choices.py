"""Forced choices of planning functions, for measurements and comparisons.

A planning function estimates the time of each algorithm from shapes, and takes the best. Within `choosing` it
takes the named one instead, as far as the shapes allow; the names of its kernels show the choice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

ALGORITHMS = ("auto", "direct", "winograd", "winograd_2x2", "winograd_4x4")
"""Of convolutions: what the model of time takes, sums as they are, tiles of the best or of a given size."""
MOST_ROWS, MOST_VECTORS = 16, 8
"""The largest block of registers that can be chosen; the larger ones spill to memory."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What is to be taken.

    Attributes
    ----------
    algorithm : str
        One of `ALGORITHMS`; empty for what `SYMGRAPH_CONVOLUTION` says.
    block : (int, int), optional
        Rows and vectors of the block of registers in matrix products and direct convolutions.
    """

    algorithm: str = ""
    block: tuple[int, int] | None = None


_NOTHING = Choices()
_choices: ContextVar[Choices] = ContextVar("choices", default=_NOTHING)


def choices() -> Choices:
    """What is to be taken in this context."""
    return _choices.get()


@contextmanager
def choosing(algorithm: str = "", block: tuple[int, int] | None = None) -> Iterator[None]:
    """Plan with this algorithm and this block within the body.

    Raises
    ------
    ValueError
        There is no such algorithm or block.
    """
    if algorithm and algorithm not in ALGORITHMS:
        raise ValueError(f"algorithm: expected one of {', '.join(ALGORITHMS)}, got {algorithm!r}")
    if block is not None and not (1 <= block[0] <= MOST_ROWS and 1 <= block[1] <= MOST_VECTORS):
        raise ValueError(
            f"block: expected 1 to {MOST_ROWS} rows and 1 to {MOST_VECTORS} vectors, "
            f"got {block[0]}x{block[1]}"
        )
    token = _choices.set(Choices(algorithm, block))
    try:
        yield
    finally:
        _choices.reset(token)
