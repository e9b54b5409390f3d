"""Ranks that are threads of one process: what they compute of a divided graph."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symgraph.distributed.rows import bounds
from symgraph.distributed.sharding import Divided, divide
from symgraph.graph.tensor import Tensor

Run = Callable[[Sequence[Tensor], Sequence[Tensor], Sequence[np.ndarray]], list[Any]]
"""Values of outputs for arrays that are fed to inputs."""


class ThreadExchange:
    """The exchange of one of several threads, by a list that all of them see."""

    def __init__(self, rank: int, places: list[Any], barrier: threading.Barrier) -> None:
        self.rank, self.size = rank, len(places)
        self._places, self._barrier = places, barrier
        self.calls: list[tuple[str, int]] = []

    def allreduce(self, values: np.ndarray) -> None:
        self.calls.append(("sum", values.size))
        parts = self._exchanged(values)
        values[...] = sum(parts[1:], parts[0])

    def gather(self, rows: np.ndarray, unit: int) -> None:
        self.calls.append(("rows", rows.size))
        edges = [unit * edge for edge in bounds(len(rows) // unit, self.size)]
        for rank, part in enumerate(self._exchanged(rows)):
            rows[edges[rank] : edges[rank + 1]] = part[edges[rank] : edges[rank + 1]]

    def give_up(self) -> None:
        self._barrier.abort()

    def _exchanged(self, buffer: np.ndarray) -> list[np.ndarray]:
        self._places[self.rank] = buffer.copy()
        self._barrier.wait(200)
        parts = list(self._places)
        self._barrier.wait(200)
        return parts


def on_ranks(
    inputs: Sequence[Tensor], outputs: Sequence[Tensor], arrays: Sequence[np.ndarray], size: int, run: Run
) -> tuple[list[list[Any]], list[tuple[str, int]]]:
    """What each of `size` ranks computes of outputs, and what the first one exchanged for that."""
    places, barrier = [None] * size, threading.Barrier(size)
    exchanges = [ThreadExchange(rank, places, barrier) for rank in range(size)]
    found: list[Any] = [None] * size

    def act(rank: int) -> None:
        try:
            divided = divide(inputs, outputs, [], exchanges[rank])
            assert divided is not None
            fed = [*divided.inputs, *divided.sizes]
            found[rank] = run(fed, divided.outputs, own_arrays(divided, arrays, rank, size))
        except BaseException as error:
            found[rank] = error
            exchanges[rank].give_up()

    threads = [threading.Thread(target=act, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    errors = [f for f in found if isinstance(f, BaseException)]
    if errors:
        raise next((e for e in errors if not isinstance(e, threading.BrokenBarrierError)), errors[0])
    return found, exchanges[0].calls


def own_arrays(divided: Divided, arrays: Sequence[np.ndarray], rank: int, size: int) -> list[np.ndarray]:
    """What a rank is fed with."""
    samples = next(len(a) for a, rows in zip(arrays, divided.by_rows, strict=True) if rows)
    start, end = bounds(samples, size)[rank : rank + 2]
    own = [a[start:end] if rows else a for a, rows in zip(arrays, divided.by_rows, strict=True)]
    return [*own, *(np.zeros((count, 0), np.float32) for count in (samples, start))]
