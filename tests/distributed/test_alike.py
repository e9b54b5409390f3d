"""Data that differ between ranks are refused on all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse

from symgraph.distributed import World, alike, rows
from symgraph.distributed.alike import check_alike, check_shares
from tests.distributed.groups import together

BATCH = np.random.default_rng(0).normal(size=(30, 4, 5))


class _Ranks(threading.local):
    """The group of each thread."""

    world = World()


def _on_ranks(monkeypatch: pytest.MonkeyPatch, size: int, check: Callable[[int], None]) -> list[Any]:
    """What comes of a check on each rank: nothing, or an error."""
    own = _Ranks()
    for module in (alike, rows):
        monkeypatch.setattr(module, "world", lambda: own.world)

    def act(world: World) -> None:
        own.world = world
        check(world.rank)

    return together(size, act)


def _found(monkeypatch: pytest.MonkeyPatch, samples: list[int], arrays: list[list[Any]]) -> list[Any]:
    return _on_ranks(monkeypatch, len(samples), lambda rank: check_alike(samples[rank], arrays[rank]))


def test_the_same_data_are_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, sparse = np.arange(30), scipy.sparse.random(30, 50, 0.1, "csr", random_state=1)
    nearly = BATCH * (1 + 1e-12)
    holes = np.where(BATCH > 1, np.nan, BATCH)
    arrays = [BATCH, labels, sparse, holes, np.zeros((30, 2), bool), "anything"]
    assert _found(monkeypatch, [30] * 3, [arrays, arrays, [nearly, *arrays[1:]]]) == [None] * 3
    assert _found(monkeypatch, [0] * 2, [[BATCH[:0]]] * 2) == [None] * 2
    check_alike(3, [BATCH])


@pytest.mark.parametrize("ranks", [2, 3, 8])
def test_other_data_on_one_rank_are_refused_on_all(ranks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shuffled = BATCH[np.random.default_rng(1).permutation(30)]
    labels = np.arange(30) % 10
    sparse = scipy.sparse.random(30, 50, 0.1, "csr", random_state=1)
    for own, other in (
        (BATCH, shuffled),
        (labels, labels[::-1]),
        (np.eye(10)[labels], np.eye(10)[labels[::-1]]),
        (sparse, sparse * 2),
        (BATCH, BATCH + 1e-4),
        (BATCH.transpose(2, 0, 1), shuffled.transpose(2, 0, 1)),
    ):
        # Beside an array of large numbers, which are the same.
        large = np.full(30, 1e9)
        found = _found(monkeypatch, [30] * ranks, [[own, large]] * (ranks - 1) + [[other, large]])
        assert all(isinstance(error, ValueError) for error in found), found
        assert f"the {ranks} ranks were given different data" in str(found[0])


def test_batches_of_other_sizes_are_refused_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    for rank, error in enumerate(_found(monkeypatch, [30, 30, 29], [[]] * 3)):
        assert f"rank {rank} of 3 has a batch of {30 - rank // 2} samples, others have another" in str(error)


def test_each_rank_checks_its_share_and_all_hear_of_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = np.arange(10)
    checked: list[int] = []

    def check(mine: slice) -> None:
        checked.extend(numbers[mine].tolist())
        if 5 in numbers[mine]:
            raise ValueError("row 5 is odd")

    errors = _on_ranks(monkeypatch, 3, lambda rank: check_shares(10, check))
    assert sorted(checked) == numbers.tolist()
    other = "the data were refused by rank 1 of 3, whose error says why"
    assert list(map(str, errors)) == [other, "row 5 is odd", other]
    assert _on_ranks(monkeypatch, 4, lambda rank: check_shares(5, check)) == [None] * 4
