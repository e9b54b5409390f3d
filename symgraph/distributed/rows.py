"""Which samples of a batch are whose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.distributed.world import world


def bounds(samples: int, size: int) -> list[int]:
    """The first sample of each of `size` ranks, and behind them the number of all.

    Each rank has its samples one after the other. The first ones have one more where they cannot all have as
    many; of fewer samples than ranks the last ranks have none.
    """
    least, more = divmod(samples, size)
    return [rank * least + min(rank, more) for rank in range(size + 1)]


def exchanged_bounds(own: int) -> list[int]:
    """As `bounds`, where each rank says how many samples it has: this one has `own`."""
    ranks = world()
    counts = np.zeros(ranks.size, np.int64)
    counts[ranks.rank] = own
    ranks.allreduce(counts)
    return [0, *np.cumsum(counts).tolist()]


def own_bounds(samples: int) -> list[int]:
    """`bounds` for the ranks that there are; where the others compute nothing this one has all samples."""
    ranks = world()
    if not ranks.exchanges:
        return [samples * (rank > ranks.rank) for rank in range(ranks.size + 1)]
    return bounds(samples, ranks.size)


def own_share(samples: int) -> slice:
    """The samples of this process, of a batch of so many."""
    rank = world().rank
    return slice(*own_bounds(samples)[rank : rank + 2])


class OwnRows(list[Any]):
    """What a divided function is fed with, where this rank has read its own samples alone.

    Parameters
    ----------
    arrays : sequence
        One for each input: the rows of this rank, as `bounds` tells them, or all of what counts no samples.
    samples : int
        How many samples the ranks have together.
    starts : sequence of int, optional
        What all ranks know to take the place of `bounds`.
    """

    def __init__(self, arrays: Sequence[Any], samples: int, starts: Sequence[int] | None = None) -> None:
        super().__init__(arrays)
        self.samples = samples
        self.starts = starts
