"""Iterators: seed, epoch and number alone settle a batch, whoever makes it."""

from __future__ import annotations

import gc
import itertools
import pickle
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symgraph import get_num_threads, set_num_threads
from symgraph.preprocessing.image import Iterator
from symgraph.preprocessing.image.iterator import sample_seeds
from symgraph.utils import Sequence
from tests.preprocessing.stand_ins import N, arrays, folders, numbered, numbers, same

pytestmark = pytest.mark.threads


@pytest.fixture(autouse=True)
def _several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pictures, too, are read by all threads."""
    monkeypatch.setattr("symgraph.preprocessing.image.file_iterator._WORTH_SHARING", 0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return numbered(tmp_path / "data", {"cat": 9, "dog": 7, "owl": 7})


def test_each_sample_comes_once_an_epoch_in_keras_order() -> None:
    iterator = arrays()
    assert isinstance(iterator, Sequence)
    assert len(iterator) == 5
    for epoch in range(3):
        batches = [next(iterator) for _ in range(5)]
        assert [len(x) for x, _ in batches] == [5, 5, 5, 5, 3]
        order = np.concatenate([y for _, y in batches])
        np.testing.assert_array_equal(np.concatenate([numbers(x) for x, _ in batches]), order)
        # Keras seeds numpy with the seed plus the number of batches that it gave.
        np.testing.assert_array_equal(order, np.random.RandomState(7 + 5 * epoch).permutation(N))
        assert iterator.batch_index == 0
        assert iterator.total_batches_seen == 5 * epoch + 5


def test_without_shuffling_samples_come_in_order() -> None:
    iterator = arrays(shuffle=False)
    for _ in range(2):
        assert [n for _ in range(5) for n in next(iterator)[1]] == list(range(N))


def test_batches_by_number_are_those_of_next() -> None:
    drawn, asked = arrays(), arrays()
    for _ in range(3):
        batches = [next(drawn) for _ in range(5)]
        for index in random.Random(1).sample(range(5), 5) * 2:
            assert same(asked[index], batches[index])
        asked.on_epoch_end()
    assert asked.total_batches_seen == 0


def test_threads_get_the_batches_that_one_would_get(folder: Path) -> None:
    iterator = folders(folder)
    expected = [[iterator[i] for i in range(5)]]
    iterator.on_epoch_end()
    expected.append([iterator[i] for i in range(5)])

    shared = folders(folder)
    with ThreadPoolExecutor(8) as pool:
        for epoch in range(2):
            tasks = [i for i in range(5) for _ in range(8)]
            random.Random(epoch).shuffle(tasks)
            for index, batch in zip(tasks, pool.map(shared.__getitem__, tasks), strict=True):
                assert same(batch, expected[epoch][index])
            shared.on_epoch_end()
        # With next(), too, though threads are in different epochs for a while.
        drawn = folders(folder)
        found = list(pool.map(lambda _: next(drawn), range(10)))
    key = lambda batch: batch[0].tobytes()  # noqa: E731
    assert sorted(map(key, found)) == sorted(map(key, expected[0] + expected[1]))


def test_number_of_threads_changes_nothing(folder: Path) -> None:
    before = get_num_threads()
    try:
        set_num_threads(1)
        one = [folders(folder)[i] for i in range(5)]
        set_num_threads(before)
        assert all(same(folders(folder)[i], one[i]) for i in range(5))
    finally:
        set_num_threads(before)


def test_seeds_of_samples_depend_on_seed_epoch_and_index_only() -> None:
    everything = np.arange(1000)
    seeds = {(s, e): sample_seeds(s, e, everything) for s in (0, 1, 2**32 - 1) for e in (0, 1, 2)}
    assert all(0 <= seed < 2**32 for row in seeds.values() for seed in row)
    assert len({seed for row in seeds.values() for seed in row}) == 9 * 1000
    assert sample_seeds(1, 2, np.array([17, 3])) == [seeds[1, 2][17], seeds[1, 2][3]]
    # Splitmix64 itself, in whole numbers of Python: the first output for the state 1234567 is known.
    assert _mix(1234567) == 6457827717110365317
    assert seeds[1, 2][17] == _mix(_mix(_mix(1) + 2) + 17) >> 32
    halves = np.array(seeds[0, 0]) / 2**32
    assert abs(halves.mean() - 0.5) < 0.04
    assert abs(np.corrcoef(halves, np.array(seeds[0, 1]))[0, 1]) < 0.1


def _mix(value: int) -> int:
    value = (value + 0x9E3779B97F4A7C15) % 2**64
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB % 2**64
    return value ^ (value >> 31)


def test_random_transformations_are_new_in_each_epoch_and_the_same_for_a_seed() -> None:
    def noise(iterator: Iterator) -> list[float]:
        return [
            float(v) % 1 for x, y in (next(iterator) for _ in range(5)) for v in x[np.argsort(y), 0, 0, 0]
        ]

    one, other = arrays(shuffle=False), arrays(shuffle=False)
    first, second = noise(one), noise(one)
    assert [first, second] == [noise(other), noise(other)]
    assert len({*first, *second}) == 2 * N
    assert noise(arrays(shuffle=False, seed=8)) != first


def test_a_seed_of_none_comes_from_numpy() -> None:
    np.random.seed(5)
    one = arrays(seed=None)[0]
    np.random.seed(5)
    assert same(arrays(seed=None)[0], one)
    assert not same(arrays(seed=None)[0], one)
    assert arrays(seed=None).seed is None


def test_making_batches_leaves_numpy_alone(folder: Path) -> None:
    np.random.seed(5)
    expected = np.random.rand()
    iterators = arrays(), folders(folder)
    np.random.seed(5)
    for iterator in iterators:
        next(iterator), iterator[1], iterator.on_epoch_end()
    assert np.random.rand() == expected


def test_reset_begins_a_new_epoch_unless_it_has_not_begun() -> None:
    iterator = arrays()
    first = next(iterator)
    iterator.reset()
    assert iterator.batch_index == 0
    second = next(iterator)
    assert not same(first, second)
    fresh = arrays()
    fresh.reset()
    assert same(next(fresh), first)
    fresh.on_epoch_end()
    assert same(next(fresh), second)


def test_a_loop_never_ends() -> None:
    assert len(list(itertools.islice(arrays(), 12))) == 12


def test_iterators_can_be_sent_to_other_processes(folder: Path) -> None:
    for iterator in (arrays(), folders(folder)):
        next(iterator)
        iterator.on_epoch_end()
        copy = pickle.loads(pickle.dumps(iterator))
        assert all(same(copy[i], iterator[i]) for i in range(5))
        assert same(next(copy), next(iterator))
        with copy.lock:
            pass


def test_a_subclass_written_for_keras_works() -> None:
    class Pairs(Iterator):
        def __init__(self, x: np.ndarray) -> None:
            self.x = x
            super().__init__(len(x), batch_size=4, shuffle=False, seed=1)

        def next(self) -> Any:
            with self.lock:
                index_array = next(self.index_generator)
            return self._get_batches_of_transformed_samples(index_array)

        def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> np.ndarray:
            return self.x[index_array]

    pairs = Pairs(np.arange(10))
    assert [next(pairs).tolist() for _ in range(4)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9], [0, 1, 2, 3]]
    assert pairs[2].tolist() == [8, 9]

    class Own(Pairs):
        def _set_index_array(self) -> None:
            self.index_array = np.arange(self.n)[::-1]

    assert next(Own(np.arange(10))).tolist() == [9, 8, 7, 6]


def test_the_base_class_makes_no_batches() -> None:
    with pytest.raises(NotImplementedError):
        Iterator(3, 2, False, None)[0]


def test_numbers_beyond_the_end_are_refused() -> None:
    for index in (5, -1):
        with pytest.raises(ValueError, match=f"retrieve element {index}, but the Sequence has length 5"):
            arrays()[index]


def test_bad_settings_are_refused() -> None:
    for size in (0, 2.5, None):
        with pytest.raises(ValueError, match=f"batch_size must be a whole number of 1 or more, got {size}"):
            arrays(batch_size=size)
    with pytest.raises(TypeError, match=r"seed must be a whole number or None, got 1\.5"):
        arrays(seed=1.5)
    arrays(seed=np.int64(3))
    assert len(next(arrays(seed=-1))[1]) == 5


def test_no_threads_are_left(folder: Path) -> None:
    iterator = folders(folder)
    next(iterator)
    assert get_num_threads() == 1 or any("symgraph-pictures" in t.name for t in threading.enumerate())
    del iterator
    gc.collect()
    end = time.monotonic() + 10
    while any("symgraph-pictures" in t.name for t in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_memory_stays_flat_over_10000_batches(tmp_path: Path) -> None:
    directory = numbered(tmp_path, {"a": 3, "b": 1}, size=(1, 1))
    files = folders(directory, target_size=(1, 1), batch_size=1)
    memory = arrays(batch_size=1)

    def run(batches: int) -> int:
        for _ in range(batches):
            next(files)
            next(memory), next(memory), next(memory), next(memory)
        gc.collect()
        return sys.getallocatedblocks()

    before = run(200)
    assert run(2000) - before < 500
