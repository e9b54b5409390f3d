"""Queues of batches: the same batches whoever makes them, and an orderly end whatever happens."""

from __future__ import annotations

import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
import weakref
from itertools import islice

import numpy as np
import pytest
from PIL import Image

from symgraph.preprocessing.image import ImageDataGenerator
from symgraph.utils import GeneratorEnqueuer, OrderedEnqueuer
from symgraph.utils.data_utils import SequenceEnqueuer
from tests.utils.processes import children, environment, gone, wait_until
from tests.utils.sequences import Closed, Dying, Failing, OddlyFailing, Pids, Rows

pytestmark = pytest.mark.threads


@pytest.fixture(autouse=True)
def _nothing_is_left():
    yield
    assert [t for t in threading.enumerate() if t.name.startswith("symgraph-data")] == []
    assert children() == []


def _taken(enqueuer, count, workers, ahead=3):
    enqueuer.start(workers, ahead)
    try:
        return list(islice(enqueuer.get(), count))
    finally:
        enqueuer.stop()


def _same(found, wanted):
    return len(found) == len(wanted) and all(
        np.array_equal(a, b) and a.dtype == b.dtype
        for one, other in zip(found, wanted, strict=True)
        for a, b in zip(one, other, strict=True)
    )


def _passes(count):
    """Batches of `count` passes of Rows, made here."""
    data, batches = Rows(), []
    for _ in range(count):
        batches += list(data)
        data.on_epoch_end()
    return batches


# -- the same batches ----------------------------------------------------------------------------------------

MAKERS = [(0, False), (1, False), (2, False), (8, False), (1, True), (3, True)]


@pytest.mark.parametrize(("workers", "processes"), MAKERS)
def test_batches_are_the_same_whoever_makes_them(workers, processes):
    # More than two passes: each pass has other numbers, which processes have to be told.
    assert _same(_taken(OrderedEnqueuer(Rows(), processes), 17, workers), _passes(3)[:17])


@pytest.mark.parametrize(("workers", "processes"), MAKERS)
def test_shuffled_batches_too(workers, processes):
    np.random.seed(4)
    found = _taken(OrderedEnqueuer(Rows(), processes, shuffle=True), 14, workers)
    np.random.seed(4)
    order = np.random.RandomState(np.random.randint(2**31))
    wanted, data = [], Rows()
    numbers = np.arange(7)
    for _ in range(2):
        numbers = np.arange(7)
        order.shuffle(numbers)
        wanted += [data[i] for i in numbers]
        data.on_epoch_end()
    assert _same(found, wanted)
    assert not _same(found, _passes(2))


@pytest.mark.parametrize(("workers", "processes"), [(0, False), (3, False), (2, True)])
def test_batches_of_augmented_pictures_are_the_same_whoever_makes_them(tmp_path, workers, processes):
    pixels = np.random.default_rng(0).integers(0, 256, (10, 12, 16, 3), dtype=np.uint8)
    for number, picture in enumerate(pixels):
        folder = tmp_path / f"class {number % 2}"
        folder.mkdir(exist_ok=True)
        Image.fromarray(picture).save(folder / f"{number}.png")

    def flow():
        transforms = ImageDataGenerator(
            rotation_range=40,
            zoom_range=0.3,
            horizontal_flip=True,
            brightness_range=(0.5, 1.5),
            rescale=1 / 255,
        )
        return transforms.flow_from_directory(str(tmp_path), target_size=(12, 16), batch_size=4, seed=3)

    wanted, data = [], flow()
    for _ in range(3):
        wanted += [data[i] for i in range(3)]
        data.on_epoch_end()
    assert not np.array_equal(wanted[0][0], wanted[3][0])
    found = flow()
    assert _same(_taken(OrderedEnqueuer(found, processes), 9, workers), wanted)
    assert found.epoch == 3


class Forms(Rows):
    """Arrays that are odd to send."""

    def __len__(self):
        return 1

    def __getitem__(self, index):
        table = np.arange(24.0).reshape(4, 6)
        return (
            table[:, ::2],
            np.asfortranarray(table),
            np.zeros((0, 3), "uint8"),
            np.array(7, "int64"),
            np.array(["a", "bc"]),
            table.T > 3,
        )


def test_arrays_of_all_forms_come_through_and_can_be_written():
    (found,) = _taken(OrderedEnqueuer(Forms(), True), 1, 1)
    assert _same([found], [Forms()[0]])
    assert all(array.flags.writeable for array in found)


def test_one_generator_keeps_its_order_with_many_workers():
    def squares():
        for i in range(200):
            yield i * i
            time.sleep(0)

    for workers in (0, 1, 5):
        assert _taken(GeneratorEnqueuer(squares()), 150, workers) == [i * i for i in range(150)]
        assert _taken(GeneratorEnqueuer(squares()), 250, workers) == [i * i for i in range(200)]


def test_batches_that_are_none_are_left_out():
    assert _taken(GeneratorEnqueuer(iter([1, None, 2])), 3, 2) == [1, 2]


# -- bounds, passes, states ----------------------------------------------------------------------------------


def test_no_more_is_made_ahead_than_the_queue_holds():
    made = []

    def numbers():
        for i in range(100):
            made.append(i)
            yield i

    enqueuer = GeneratorEnqueuer(numbers())
    enqueuer.start(workers=1, max_queue_size=4)
    batches = enqueuer.get()
    for taken in (1, 2, 3):
        assert next(batches) == taken - 1
        assert wait_until(lambda taken=taken: len(made) == taken + 4)
        time.sleep(0.02)
        assert len(made) == taken + 4
    enqueuer.stop()


def test_a_pass_ends_when_all_its_batches_are_made_before_they_are_read():
    under_way, ends = [0], []

    class Slow(Rows):
        def __getitem__(self, index):
            under_way[0] += 1
            time.sleep(0.01 * (index % 3))
            under_way[0] -= 1
            return index, self.epoch

        def on_epoch_end(self):
            ends.append(under_way[0])
            super().on_epoch_end()

    enqueuer = OrderedEnqueuer(Slow(5))
    enqueuer.start(workers=3, max_queue_size=10)
    batches = enqueuer.get()
    # Two passes are made while nobody asks for a batch.
    assert wait_until(lambda: len(ends) == 2)
    assert list(islice(batches, 10)) == [(i, epoch) for epoch in range(2) for i in range(5)]
    enqueuer.stop()
    assert set(ends) == {0}


def test_an_error_between_passes_reaches_the_caller():
    class Ending(Rows):
        def on_epoch_end(self):
            raise LookupError("no next pass")

    for workers in (0, 2):
        with pytest.raises(LookupError, match="no next pass"):
            _taken(OrderedEnqueuer(Ending()), 8, workers)


def test_as_many_batches_as_asked_for():
    enqueuer = OrderedEnqueuer(Rows())
    enqueuer.start(2, 3, batches=9)
    assert _same(list(enqueuer.get()), _passes(2)[:9])
    enqueuer.stop()


def test_states_and_refusals():
    enqueuer = OrderedEnqueuer(Rows())
    assert isinstance(enqueuer, SequenceEnqueuer)
    assert not enqueuer.is_running()
    with pytest.raises(RuntimeError, match=r"call `start\(\)` first"):
        enqueuer.get()
    with pytest.raises(ValueError, match="`max_queue_size` should be at least 1, got 0"):
        enqueuer.start(max_queue_size=0)
    with pytest.raises(TypeError, match="`workers` should be an int"):
        enqueuer.start("2")
    enqueuer.start()
    assert enqueuer.is_running()
    with pytest.raises(RuntimeError, match="started already"):
        enqueuer.start()
    batches = enqueuer.get()
    next(batches)
    enqueuer.stop()
    assert not enqueuer.is_running()
    assert list(batches) == []
    enqueuer.stop()
    # And again from the beginning.
    assert _same(_taken(OrderedEnqueuer(Rows()), 7, 2), _passes(1))
    with pytest.raises(ValueError, match="Rows has no batches"):
        _taken(OrderedEnqueuer(Rows(batches=0)), 1, 1)
    with pytest.warns(DeprecationWarning, match="`wait_time` is not used anymore"):
        GeneratorEnqueuer(iter([]), wait_time=0.1)


def test_a_batch_that_takes_for_ever_does_not_hold_up_the_end():
    go_on = threading.Event()

    class Stuck(Rows):
        def __getitem__(self, index):
            go_on.wait()

    enqueuer = OrderedEnqueuer(Stuck())
    enqueuer.start(2)
    enqueuer.stop(timeout=0.05)
    assert not enqueuer.is_running()
    go_on.set()
    assert wait_until(lambda: not any(t.name == "symgraph-data" for t in threading.enumerate()))


@pytest.mark.parametrize("processes", [False, True])
def test_ctrl_c_in_the_midst_of_the_start_leaves_nothing(monkeypatch, processes):
    begin, begun = threading.Thread.start, []

    def start(thread):
        begun.append(thread)
        if len(begun) == 2:
            raise KeyboardInterrupt
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    enqueuer = OrderedEnqueuer(Rows(), processes)
    with pytest.raises(KeyboardInterrupt):
        enqueuer.start(workers=1)
    assert not enqueuer.is_running()
    assert not any(thread.is_alive() for thread in begun)
    assert children() == []


def test_no_process_is_started_that_no_batch_is_for():
    enqueuer = OrderedEnqueuer(Pids(batches=1), True)
    enqueuer.start(workers=3)
    assert wait_until(lambda: len(children()) == 1)
    next(enqueuer.get())
    assert len(children()) == 1
    enqueuer.stop()


def test_an_error_holds_no_data():
    gc.disable()
    try:
        data = Failing()
        held = weakref.ref(data)
        with pytest.raises(LookupError):
            _taken(OrderedEnqueuer(data), 7, 2)
        del data
        assert held() is None
    finally:
        gc.enable()


def test_memory_stays_flat_over_ten_thousand_batches():
    enqueuer = OrderedEnqueuer(Rows(batches=100, size=8))
    tracemalloc.start()
    try:
        enqueuer.start(workers=2)
        batches = enqueuer.get()
        for _ in islice(batches, 1000):
            pass
        before = tracemalloc.get_traced_memory()[0]
        for _ in islice(batches, 9000):
            pass
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
        enqueuer.stop()
    # One kept object of each would be 9,000.
    assert grown < 100_000


def test_a_process_imports_little_of_its_own():
    code = "import sys, symgraph.utils.workers; from symgraph.utils import Sequence; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "symgraph.utils.workers" in loaded
    assert not loaded & {"numba", "networkx", "h5py", "PIL", "http.client", "symgraph.graph"}


# -- errors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("workers", "processes"), [(0, False), (2, False), (2, True)])
def test_an_error_comes_after_the_batches_before_it(workers, processes):
    enqueuer = OrderedEnqueuer(Failing(), processes)
    enqueuer.start(workers, 10)
    found = []
    with pytest.raises(LookupError, match=r"picture-3\.png is broken") as caught:
        for batch in enqueuer.get():
            found.append(batch)
    assert _same(found, _passes(1)[:3])
    assert not enqueuer.is_running()
    lines = str(caught.value.__cause__) if processes else "".join(str(e.path) for e in caught.traceback)
    assert "sequences.py" in lines


def test_an_error_that_cannot_be_sent_is_told_in_words():
    with pytest.raises(RuntimeError, match="OddError: 1 and 2") as caught:
        _taken(OrderedEnqueuer(OddlyFailing(), True), 1, 1)
    assert "raise OddError(1, 2)" in str(caught.value.__cause__)


def test_a_process_that_dies_in_a_batch_is_told():
    with pytest.raises(RuntimeError, match=r"The worker process \d+ was killed by SIGKILL .* batch 2"):
        _taken(OrderedEnqueuer(Dying(), True), 7, 2)


@pytest.mark.parametrize("case", range(10))
def test_a_killed_process_is_an_error_at_once_and_leaves_none(case):
    rng = random.Random(case)
    enqueuer = OrderedEnqueuer(Pids(seconds=rng.choice([0.0, 0.005])), True)
    enqueuer.start(workers=2, max_queue_size=rng.choice([1, 10]))
    batches = enqueuer.get()
    # A process that was only just begun does not have its name yet.
    assert wait_until(lambda: len(children()) == 2)
    pids = children()
    # While they start, too.
    for _ in range(rng.choice([0, 0, 3, 30])):
        next(batches)
    time.sleep(rng.random() * 0.02)
    os.kill(rng.choice(pids), signal.SIGKILL)
    killed = time.monotonic()
    with pytest.raises(RuntimeError, match="was killed by SIGKILL"):
        for _ in batches:
            # Else a test that fails would not end.
            assert time.monotonic() - killed < 5
    assert all(gone(pid) for pid in pids)
    assert not enqueuer.is_running()


def test_a_death_leaves_no_pipe_open_until_a_collection():
    _taken(OrderedEnqueuer(Pids(), True), 1, 2)  # whatever stays open once there were processes
    gc.collect()
    before = sorted(os.listdir("/proc/self/fd"))
    gc.disable()
    try:
        for _ in range(2):
            with pytest.raises(RuntimeError, match="was killed by SIGKILL"):
                _taken(OrderedEnqueuer(Dying(), True), 7, 2)
        assert sorted(os.listdir("/proc/self/fd")) == before
    finally:
        gc.enable()


# -- where there are threads instead -------------------------------------------------------------------------


def test_what_cannot_be_pickled_gets_threads():
    with pytest.warns(UserWarning, match=r"Closed cannot be pickled \(TypeError: a closed thing\).*Threads"):
        found = _taken(OrderedEnqueuer(Closed(), True), 7, 2)
    assert _same(found, _passes(1))


def test_a_generator_gets_a_thread():
    with pytest.warns(UserWarning, match="consider using the `symgraph.utils.Sequence` class"):
        assert _taken(GeneratorEnqueuer(iter([1, 2]), True), 2, 4) == [1, 2]
