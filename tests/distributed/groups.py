"""Processes that train together, played by threads of one process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph.distributed import World


class ThreadWorld(World):
    """One of several ranks that are threads: sums and copies go through a list that all of them see."""

    def __init__(self, rank: int, places: list[Any], barrier: threading.Barrier) -> None:
        self.rank, self.size = rank, len(places)
        self._places, self._barrier = places, barrier
        self.communicator = self

    def Sendrecv(
        self, mine: np.ndarray, target: int, tag: int, theirs: np.ndarray, source: int, other_tag: int
    ) -> None:
        assert (target, tag) == (source, other_tag)
        theirs[...] = self._exchanged(mine)[source]

    def allreduce(self, buffer: np.ndarray) -> None:
        parts = self._exchanged(buffer)
        buffer[...] = sum(parts[1:], parts[0])

    def broadcast(self, buffer: np.ndarray, root: int = 0) -> None:
        buffer[...] = self._exchanged(buffer)[root]

    def barrier(self) -> None:
        self._barrier.wait(20)

    def _exchanged(self, buffer: np.ndarray) -> list[np.ndarray]:
        self._places[self.rank] = buffer.copy()
        self.barrier()
        parts = list(self._places)
        self.barrier()
        return parts


def together(size: int, act: Callable[[World], Any]) -> list[Any]:
    """What `act` returns on each of so many ranks, or the error that it raised there."""
    places, barrier, results = [None] * size, threading.Barrier(size), [None] * size

    def run(rank: int) -> None:
        try:
            results[rank] = act(ThreadWorld(rank, places, barrier))
        except Exception as error:
            results[rank] = error

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results
