"""Which rows a process trains on, and batches of which it makes those rows only."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symgraph.distributed import ShardedSequence, makes_shards, share
from symgraph.utils import OrderedEnqueuer, Sequence
from tests.utils.sequences import Rows, Sharded


@given(st.integers(0, 100), st.integers(1, 12))
def test_shares_are_those_of_numpy(rows: int, size: int) -> None:
    expected = np.array_split(np.arange(rows), size)
    for rank in range(size):
        np.testing.assert_array_equal(np.arange(rows)[share(rows, rank, size)], expected[rank])


@pytest.mark.parametrize(("rank", "size"), [(2, 2), (-1, 2), (0, 0)])
def test_a_rank_that_does_not_exist_is_refused(rank: int, size: int) -> None:
    with pytest.raises(ValueError, match=rf"got rank {rank} of size {size}"):
        share(10, rank, size)


@pytest.mark.parametrize(("size", "processes"), [(1, False), (3, False), (5, False), (3, True)])
def test_the_shards_of_all_ranks_are_the_batches(size: int, processes: bool) -> None:
    """Pass after pass, in the shuffled order of one process; with 4 rows a batch, rank 4 of 5 has none."""
    whole = _two_passes(Rows(), processes=False)
    parts = [_two_passes(ShardedSequence(Sharded(), rank, size), processes) for rank in range(size)]
    for (x, y), *shards in zip(whole, *parts, strict=True):
        assert [len(rows) for rows, _ in shards] == [len(part) for part in np.array_split(x, size)]
        np.testing.assert_array_equal(np.concatenate([rows for rows, _ in shards]), x)
        np.testing.assert_array_equal(np.concatenate([targets for _, targets in shards]), y)


def _two_passes(sequence: Sequence, processes: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    np.random.seed(3)
    enqueuer = OrderedEnqueuer(sequence, use_multiprocessing=processes, shuffle=True)
    enqueuer.start(workers=2, batches=2 * len(sequence))
    try:
        return list(enqueuer.get())
    finally:
        enqueuer.stop()


class _Scaled(Sharded):
    """Whole batches that are not what `shard` makes."""

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        x, y = super().__getitem__(index)
        return x * 2, y


class _ScaledShards(_Scaled):
    def shard(self, index: int, rank: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        x, y = super().shard(index, rank, size)
        return x * 2, y


def test_a_shard_that_is_older_than_the_batches_is_not_used() -> None:
    assert makes_shards(Sharded())
    assert makes_shards(_ScaledShards())
    assert not makes_shards(_Scaled())
    assert not makes_shards(Rows())
    assert not makes_shards(iter([]))
