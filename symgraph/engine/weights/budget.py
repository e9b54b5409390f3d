"""Limits to the weights of a model: the computer's memory, and what the file holds that it is made for."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

_LEAST_BYTES = 4  # of a number, a float32

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
    numbers = math.prod(int(size) for size in shape)
    if numbers * _LEAST_BYTES > _memory():
        raise ValueError(
            f"layer {layer}: the weight {weight} of shape {tuple(shape)} is larger than the memory of this "
            f"machine, {_memory() / 2**30:.0f} GiB"
        )
    left = _left.get()
    if left is None:
        return
    left[0] -= numbers
    if left[0] < 0:
        raise ValueError(
            f"layer {layer}: the weight {weight} of shape {tuple(shape)} is larger than what the file "
            "holds for it"
        )


@cache
def _memory() -> int:
    """The memory of the computer in bytes; where the system does not tell, what 48 bits can address."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 1 << 48
