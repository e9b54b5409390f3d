"""What all ranks do at the beginning of a training, and what the first one alone does."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from symgraph.distributed.world import World, world


def is_first() -> bool:
    """Whether this process prints, logs and saves: it is alone, or the first of several."""
    return world().rank == 0


def share_random_states() -> None:
    """Let the generators of numpy and of Python go on on all ranks as on the first one."""
    ranks = world()
    if ranks.size == 1:
        return
    name, keys, place, has_gauss, gauss = np.random.get_state()
    shared, drawn = np.array(keys, np.uint32), np.array([place, has_gauss, gauss], np.float64)
    version, words, next_gauss = random.getstate()
    own = np.array(words, np.int64)
    pending = np.array([next_gauss is not None, next_gauss or 0.0], np.float64)
    for buffer in (shared, drawn, own, pending):
        ranks.broadcast(buffer)
    np.random.set_state((name, shared, int(drawn[0]), int(drawn[1]), float(drawn[2])))
    random.setstate((version, tuple(map(int, own)), float(pending[1]) if pending[0] else None))


def share_order(order: np.ndarray) -> np.ndarray:
    """The order of samples that the first rank has drawn."""
    order = np.ascontiguousarray(order)
    world().broadcast(order)
    return order


def quietly(callbacks: Iterable[Any]) -> list[Any]:
    """The callbacks that run on this rank: on all but the first one they print, and write files, nothing."""
    kept = list(callbacks)
    if is_first():
        return kept
    kept = [callback for callback in kept if not getattr(callback, "only_first_rank", False)]
    for callback in kept:
        if getattr(callback, "verbose", 0):
            callback.verbose = 0
    return kept


@contextmanager
def written_by_first() -> Iterator[bool]:
    """Whether this rank is to write; when the block ends, the first one has written."""
    ranks: World = world()
    if ranks.rank:
        yield False
        ranks.await_signal()
        return
    try:
        yield True
    finally:
        ranks.signal()
