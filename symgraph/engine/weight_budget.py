"""A limit to the weights of a model that is made for a file: a small file cannot ask for terabytes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

_left: ContextVar[list[int] | None] = ContextVar("symgraph_weight_budget", default=None)


@contextmanager
def weight_budget(numbers: int) -> Iterator[None]:
    """In this block layers make weights of `numbers` numbers in all, or raise ValueError."""
    token = _left.set([numbers])
    try:
        yield
    finally:
        _left.reset(token)


def spend(layer: str, weight: str, shape: Sequence[int]) -> None:
    """Note that a weight is about to be made. ValueError, before any memory is taken, if it is too large."""
    left = _left.get()
    if left is None:
        return
    left[0] -= math.prod(int(size) for size in shape)
    if left[0] < 0:
        raise ValueError(
            f"layer {layer}: the weight {weight} of shape {tuple(shape)} is larger than what the file "
            "holds for it"
        )
