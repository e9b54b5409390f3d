"""Alpha, beta and gamma of the network that ranks of MPI talk over, and what its Allreduce takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.distributed.scaling.network import Network
from symgraph.distributed.world import World

MESSAGES = tuple(8 * 4**power for power in range(11))
"""Bytes of the messages that are timed: 8 B to 8 MiB."""
VECTORS = (1 << 12, 1 << 16, 1 << 20, 1 << 22)
"""Bytes of the vectors whose Allreduce is timed."""
_SECONDS = 0.15  # for each size
_RUNS = (5, 400)


@dataclass(frozen=True)
class Measured:
    """What was timed between ranks.

    Attributes
    ----------
    network : Network
        What fits the messages best.
    messages, allreduces : dict of int to float
        Seconds by bytes: of a message in both directions at once, of an Allreduce.
    """

    network: Network
    ranks: int
    messages: dict[int, float]
    allreduces: dict[int, float]


def measure(world: Any, vectors: Sequence[int] = VECTORS) -> Measured:
    """Time messages between ranks, sums on each, and the Allreduce of MPI; the same result on all ranks.

    Ranks exchange messages in pairs, all pairs at the same time, as in the rounds of an Allreduce. Of each
    size the median counts, of the slowest rank.

    Parameters
    ----------
    world : MPIWorld
    vectors : sequence of int
        Bytes, multiples of 4, of the vectors whose Allreduce is timed.

    Raises
    ------
    ValueError
        There is no other rank to talk to.
    """
    if world.size < 2:
        raise ValueError(
            "--measure: expected two or more processes of MPI, got one: start it as "
            "`mpirun -n 2 symgraph scale --measure`, on nodes that the training is to run on"
        )
    messages = {size: _timed(world, _exchange(world, size)) for size in MESSAGES}
    sums = {size: _timed(world, _addition(size)) for size in (1 << 20, 1 << 22)}
    allreduces = {size: _timed(world, _sum_of_ranks(world, size)) for size in vectors}
    latency, beta = fit_line(messages)
    reduction = statistics.median(size / seconds for size, seconds in sums.items())
    network = Network(f"measured between {world.size} ranks", latency, 1 / beta, reduction)
    return Measured(network, world.size, messages, allreduces)


def fit_line(times: dict[int, float]) -> tuple[float, float]:
    """alpha and beta of the line alpha + beta · bytes with the least squares of relative errors."""
    sizes, seconds = np.array(list(times), float), np.array(list(times.values()))
    columns = np.stack([1 / seconds, sizes / seconds], axis=1)
    (alpha, beta), *_ = np.linalg.lstsq(columns, np.ones(len(sizes)), rcond=None)
    if alpha < 0 or beta <= 0:
        # The line through zero.
        alpha, beta = 0.0, float(np.sum(columns[:, 1]) / np.sum(columns[:, 1] ** 2))
    return float(alpha), float(beta)


def _exchange(world: Any, size: int) -> Callable[[], object]:
    """A message to the partner and one from it. Of an odd number of ranks the last one has none."""
    half = world.size // 2
    mine, theirs = np.zeros(size, np.uint8), np.empty(size, np.uint8)
    if world.rank >= 2 * half:
        return lambda: None
    partner = world.rank + half if world.rank < half else world.rank - half
    return lambda: world.communicator.Sendrecv(mine, partner, 0, theirs, partner, 0)


def _addition(size: int) -> Callable[[], object]:
    mine, theirs = np.zeros(size // 4, np.float32), np.zeros(size // 4, np.float32)
    return lambda: np.add(mine, theirs, out=mine)


def _sum_of_ranks(world: World, size: int) -> Callable[[], object]:
    vector = np.zeros(size // 4, np.float32)
    return lambda: world.allreduce(vector)


def _timed(world: World, act: Callable[[], object]) -> float:
    """The median seconds of `act`, of the rank where it is largest."""
    for _ in range(3):
        act()
    world.barrier()
    begin = time.perf_counter()
    for _ in range(3):
        act()
    # All ranks have to go round as often.
    runs = np.array([_SECONDS / max(time.perf_counter() - begin, 1e-9) * 3])
    world.broadcast(runs)
    times = []
    world.barrier()
    for _ in range(int(np.clip(runs[0], *_RUNS))):
        begin = time.perf_counter()
        act()
        times.append(time.perf_counter() - begin)
    medians = np.zeros(world.size)
    medians[world.rank] = statistics.median(times)
    world.allreduce(medians)
    return float(medians.max())
