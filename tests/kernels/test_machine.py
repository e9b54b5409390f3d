"""The Program machine: order, tiles, addresses, errors, interruption, on each threading layer."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symgraph.kernels.run import machine
from symgraph.kernels.run import threads as threads_module
from symgraph.kernels.run.buffer import Buffer, contiguous_strides, launch
from symgraph.kernels.run.jit import Kernel, numba_kernel
from symgraph.kernels.run.machine import (
    CLOCK_WORDS,
    EVENT_WORDS,
    Address,
    Branch,
    Host,
    KernelError,
    Lease,
    Loop,
    Row,
    Table,
    read_cycles,
    threading_layer,
)
from symgraph.kernels.run.memory import as_float, float_bits, load_int, store_int, vector_at
from symgraph.kernels.run.threads import get_num_threads, most_threads, set_num_threads

pytestmark = pytest.mark.threads


def _append(operands, tile):  # type: ignore[no-untyped-def]
    """Write operand 1 to the next free place of a list at operand 0."""
    place = operands[0]
    count = load_int(place) + 1
    store_int(place, count)
    store_int(place + 8 * count, operands[1])
    return 0


def _fill(operands, tile):  # type: ignore[no-untyped-def]
    values = vector_at(operands[0], operands[1], np.float64)
    tiles = operands[3]
    for i in range(tile * operands[1] // tiles, (tile + 1) * operands[1] // tiles):
        values[i] = as_float(operands[2]) + tile
    return 0


def _fail(operands, tile):  # type: ignore[no-untyped-def]
    return 3 if tile == operands[0] else 0


def _fail_at(operands, tile):  # type: ignore[no-untyped-def]
    return load_int(operands[0])


APPEND = numba_kernel("append", _append, "test")
FILL = numba_kernel("fill", _fill, "test")
FAIL_AT = numba_kernel("fail at", _fail_at, "test")
FAIL = numba_kernel("fail", _fail, "test", {3: "index out of range"})


def run(rows: list[Row], arrays: list[np.ndarray], threads: int = 2) -> None:
    lease = Lease(Table(rows, threads), len(arrays))
    lease.bases[:] = [a.ctypes.data for a in arrays]
    lease.run()


def test_rows_run_in_order() -> None:
    log = np.zeros(20, np.int64)
    run([Row(APPEND, (Address(0, 0), i)) for i in range(10)], [log])
    np.testing.assert_array_equal(log[:11], [10, *range(10)])


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("tiles", [1, 2, 3, 17])
def test_every_tile_runs_once(threads: int, tiles: int) -> None:
    values = np.full(1000, np.nan)
    run([Row(FILL, (Address(0, 0), 1000, float_bits(0.5), tiles), tiles)], [values], threads)
    edges = [t * 1000 // tiles for t in range(tiles + 1)]
    expected = np.concatenate([np.full(b - a, 0.5 + t) for t, (a, b) in enumerate(pairwise(edges))])
    np.testing.assert_array_equal(values, expected)


def test_addresses_are_base_and_offset() -> None:
    one, two = np.zeros(4), np.zeros(4)
    run([Row(FILL, (Address(1, 16), 2, float_bits(7.0), 1))], [one, two])
    np.testing.assert_array_equal(one, 0)
    np.testing.assert_array_equal(two, [0, 0, 7, 7])


@pytest.mark.parametrize("tiles", [1, 5])
def test_an_error_stops_and_names_the_row(tiles: int) -> None:
    log = np.zeros(4, np.int64)
    rows = [
        Row(APPEND, (Address(0, 0), 1)),
        Row(FAIL, (tiles - 1,), tiles, "the node"),
        Row(APPEND, (Address(0, 0), 2)),
    ]
    with pytest.raises(KernelError, match="fail: index out of range") as caught:
        run(rows, [log])
    assert caught.value.row.node == "the node"
    np.testing.assert_array_equal(log, [1, 1, 0, 0])


@pytest.mark.parametrize("threads", [1, 2])
def test_tiles_of_a_gang_all_run_once(threads: int) -> None:
    sizes = [(3, 1), (100, 7), (5, 1), (64, 2)]
    values = [np.full(size, np.nan) for size, _ in sizes]
    rows = [
        Row(FILL, (Address(i, 0), size, float_bits(10.0 * i), tiles), tiles)
        for i, (size, tiles) in enumerate(sizes)
    ]
    lease = Lease(Table(rows, threads, gangs=[1, 3]), len(values))
    lease.bases[:] = [a.ctypes.data for a in values]
    for _ in range(50):
        for array in values:
            array[:] = np.nan
        lease.run()
        for i, (size, tiles) in enumerate(sizes):
            tile = np.searchsorted([t * size // tiles for t in range(1, tiles)], np.arange(size), "right")
            np.testing.assert_array_equal(values[i], 10.0 * i + tile)


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_in_a_gang_names_its_row_and_stops_what_follows(threads: int) -> None:
    log = np.zeros(4, np.int64)
    rows = [
        Row(APPEND, (Address(0, 0), 1)),
        Row(FAIL, (9,), 4, "no failure"),
        Row(FAIL, (2,), 3, "the node"),
        Row(APPEND, (Address(0, 0), 2)),
    ]
    lease = Lease(Table(rows, threads, gangs=[1, 2, 1]), 1)
    lease.bases[:] = log.ctypes.data
    with pytest.raises(KernelError, match="fail: index out of range") as caught:
        lease.run()
    assert caught.value.row.node == "the node" and caught.value.status == 3
    np.testing.assert_array_equal(log, [1, 1, 0, 0])


def test_rows_of_a_gang_have_clocks_of_their_own() -> None:
    values = np.zeros((3, 10))
    clocks = np.zeros((3, CLOCK_WORDS), np.int64)
    events = np.zeros((1 + 4, EVENT_WORDS), np.int64)
    events[0, 1] = 4
    # Each has its own place: the tiles of a gang run in any order.
    rows = [Row(FILL, (Address(0, 80 * (n - 1)), 10, float_bits(1.0), n), n) for n in (1, 2, 3)]
    lease = Lease(Table(rows, 2, gangs=[3]), 1, clocks, events)
    lease.bases[:] = values.ctypes.data
    before = read_cycles()
    lease.run()
    after = read_cycles()
    assert (clocks[:, 0] > 0).all() and 0 < clocks[0, 1] <= after - before
    np.testing.assert_array_equal(clocks[:, 2], [1, 0, 0])
    # Six tiles, of which four were noted.
    assert events[0, 0] == 6 and set(events[1:, 0]) <= {0, 1, 2} and set(events[1:, 1]) <= {0, 1}
    assert (before <= events[1:, 2]).all() and (events[1:, 2] < events[1:, 3]).all()
    assert (events[1:, 3] <= after).all()
    np.testing.assert_array_equal(values, [[1] * 10, [1] * 5 + [2] * 5, [1] * 3 + [2] * 3 + [3] * 4])


def test_loops_move_addresses_and_nest() -> None:
    """Each turn of the outer loop fills a line with 1, then the inner one its first four cells with 7."""
    table, log = np.zeros((3, 5)), np.zeros(100, np.int64)
    rows = [
        Row(APPEND, (Address(1, 0), 100)),
        Row(FILL, (Address(0, 0, (40,)), 5, float_bits(1.0), 1)),
        Row(FILL, (Address(0, 0, (40, 8)), 1, float_bits(7.0), 1)),
        Row(APPEND, (Address(1, 0), 3)),
        Row(APPEND, (Address(1, 0), 2)),
        Row(APPEND, (Address(1, 0), 1)),
    ]
    loops = [Loop(2, 4, 4), Loop(1, 5, 3)]
    lease = Lease(Table(rows, 2, blocks=loops), 2)
    lease.bases[:] = [table.ctypes.data, log.ctypes.data]
    for _ in range(3):
        table[:] = log[:] = 0
        lease.run()
        np.testing.assert_array_equal(table, [[7, 7, 7, 7, 1]] * 3)
        np.testing.assert_array_equal(log[1:18], [100] + [3, 3, 3, 3, 2] * 3 + [1])


def test_loops_that_end_together_and_follow_each_other() -> None:
    table, more = np.zeros((3, 4)), np.zeros(6)
    rows = [
        Row(FILL, (Address(0, 0, (32, 8)), 1, float_bits(2.0), 1)),
        Row(FILL, (Address(1, 40, (-8,)), 1, float_bits(5.0), 1)),
    ]
    lease = Lease(Table(rows, 1, blocks=[Loop(0, 1, 4), Loop(0, 1, 3), Loop(1, 2, 5)]), 2)
    lease.bases[:] = [table.ctypes.data, more.ctypes.data]
    lease.run()
    np.testing.assert_array_equal(table, 2)
    np.testing.assert_array_equal(more, [0, 5, 5, 5, 5, 5])


def test_a_failed_loop_starts_anew() -> None:
    log = np.zeros(50, np.int64)
    bad = np.zeros(8, np.int64)
    rows = [
        Row(APPEND, (Address(0, 0), 1)),
        Row(FAIL_AT, (Address(1, 0, (8,)),)),
        Row(APPEND, (Address(0, 0), 2)),
    ]
    lease = Lease(Table(rows, 1, blocks=[Loop(0, 2, 8)]), 2)
    lease.bases[:] = [log.ctypes.data, bad.ctypes.data]
    bad[5] = 3
    with pytest.raises(KernelError) as caught:
        lease.run()
    assert caught.value.row is rows[1] and log[0] == 6
    log[:] = bad[:] = 0
    lease.run()
    np.testing.assert_array_equal(log[:11], [9, *[1] * 8, 2, 0])


def test_a_lease_runs_again_after_an_error() -> None:
    table = Table([Row(FAIL, (0,), 2)], 2)
    lease = Lease(table, 0)
    for _ in range(3):
        with pytest.raises(KernelError):
            lease.run()


def test_launch_gives_scratch() -> None:
    def plan(x: Buffer, *, threads: int, scratch) -> list[Row]:  # type: ignore[no-untyped-def]
        spare = scratch((3,), np.float64)
        assert spare.contiguous and spare.base != x.base
        return [Row(FILL, (b.address, 3, float_bits(2.0), 1)) for b in (spare, x)]

    values = np.zeros(3)
    launch(plan, values)
    np.testing.assert_array_equal(values, 2)


def test_buffers() -> None:
    b = Buffer(0, 8, (2, 3, 4), contiguous_strides((2, 3, 4), 4), np.dtype("float32"))
    assert b.strides == (48, 16, 4) and b.contiguous and b.size == 24 and b.nbytes == 96
    assert b.address == Address(0, 8)
    assert not b.transpose((1, 0, 2)).contiguous
    assert b.reshape((6, 4)).strides == (16, 4)
    assert b.broadcast((5, 2, 3, 4)).strides == (0, 48, 16, 4)
    assert Buffer(0, 0, (2, 0, 3), (7, 7, 7), np.dtype("uint8")).contiguous


def test_threads_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads_module, "_setting", threads_module._Setting())
    monkeypatch.setenv("SYMGRAPH_NUM_THREADS", "1")
    assert get_num_threads() == 1
    set_num_threads(most_threads())
    assert get_num_threads() == most_threads()
    for wrong in (0, -1, most_threads() + 1, 1.5, "2"):
        with pytest.raises(ValueError, match="set_num_threads: expected 1 to"):
            set_num_threads(wrong)  # type: ignore[arg-type]
    monkeypatch.setattr(threads_module, "_setting", threads_module._Setting())
    monkeypatch.setenv("SYMGRAPH_NUM_THREADS", "100000")
    assert 1 <= get_num_threads() < 100000
    monkeypatch.setattr(threads_module, "_setting", threads_module._Setting())
    monkeypatch.setenv("SYMGRAPH_NUM_THREADS", "many")
    with pytest.raises(ValueError, match="SYMGRAPH_NUM_THREADS: expected a number, got 'many'"):
        get_num_threads()
    assert threading_layer() in ("team", "omp", "tbb", "workqueue")


CONCURRENT = """
import threading, numpy as np
from symgraph import backend as K
x = K.placeholder((None, 300))
f = K.function([x], [K.tanh(x) * 2, K.sum(x, axis=0)])
feeds = [np.random.default_rng(i).standard_normal((400, 300)).astype("float32") for i in range(6)]
wanted = [f([v]) for v in feeds]
wrong = []
def work(i):
    for _ in range(30):
        if not all(np.array_equal(a, b) for a, b in zip(f([feeds[i]]), wanted[i])):
            wrong.append(i)
threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
[t.start() for t in threads]; [t.join() for t in threads]
from symgraph.kernels.run.machine import threading_layer
print(threading_layer(), wrong)
"""


@pytest.mark.parametrize("layer", ["team", "omp", "workqueue"])
def test_threads_call_at_once_on_each_layer(layer: str) -> None:
    if layer == "team" and sys.platform != "linux":
        pytest.skip("the team of threads needs POSIX semaphores, which only Linux has unnamed")
    environment = dict(os.environ, NUMBA_THREADING_LAYER="" if layer == "team" else layer)
    done = subprocess.run(
        [sys.executable, "-c", CONCURRENT],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.stdout.strip() == f"{layer} []", done.stderr


CROWD = """
import numpy as np
from symgraph.kernels.elementwise import elementwise
x = np.arange(200_000, dtype="float32")
for _ in range(200):
    assert np.array_equal(elementwise("add", x, x, threads=60), x + x)
print("fine")
"""


@pytest.mark.parametrize("layer", ["", "omp", "workqueue"])
def test_more_threads_than_there_are(layer: str) -> None:
    environment = dict(os.environ, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS="2")
    done = subprocess.run(
        [sys.executable, "-c", CROWD],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "fine\n"), done.stderr


INTERRUPT = """
import os, signal, threading, time, numpy as np
from symgraph.graph.leaves import Variable, placeholder
from symgraph.graph.ops import math, matmul
from symgraph.compiler.function import Function
x = placeholder((2000, 2000))
v = Variable(np.float32(0))
y = x
for _ in range(400):
    y = math.tanh(matmul.matmul(y, x))
f = Function([x], y, updates=[(v, v + 1)])
value = np.eye(2000, dtype=np.float32)
f.program((2000, 2000))
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
start = time.time()
try:
    f(value)
    print("not interrupted")
except KeyboardInterrupt:
    print("interrupted", time.time() - start < 5, float(v.get_value()))
"""


def test_ctrl_c_stops_between_rows_and_updates_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPT], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.stdout.strip() == "interrupted True 0.0", done.stderr


FORK = """
import os, numpy as np
from symgraph import backend as K
x = K.placeholder((None, 300))
f = K.function([x], [K.tanh(x) * 2])
value = np.random.default_rng(0).standard_normal((900, 300)).astype("float32")
wanted = f([value])[0]
child = os.fork()
if child == 0:
    again = K.function([x], [K.tanh(x) * 2])
    same = np.array_equal(f([value])[0], wanted) and np.array_equal(again([value])[0], wanted)
    os._exit(0 if same else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(
    sys.platform != "linux", reason="numba's layers do not all survive a fork; the team is Linux only"
)
def test_a_forked_child_computes() -> None:
    environment = dict(os.environ, NUMBA_THREADING_LAYER="")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout.strip() == "0", done.stderr


def test_a_busy_team_is_not_waited_for() -> None:
    """Calls from several threads at once: whoever finds the team busy works alone, with the same results."""
    values = np.full(1000, np.nan)
    inner = Table([Row(FILL, (Address(0, 0), 1000, float_bits(1.0), 4), 4)], 2)
    results = []

    def work() -> None:
        lease = Lease(inner, 1)
        own = values.copy()
        lease.bases[:] = [own.ctypes.data]
        for _ in range(200):
            lease.run()
        results.append(own)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = np.repeat([1.0, 2.0, 3.0, 4.0], 250)
    for own in results:
        np.testing.assert_array_equal(own, expected)


def test_kernels_have_names() -> None:
    assert isinstance(APPEND, Kernel)
    assert repr(APPEND) == "<Kernel append>"


def test_branches_run_one_list_of_rows() -> None:
    """Either list may be empty; branches nest, and lie beside loops."""
    flags, log = np.zeros(3, np.int8), np.zeros(60, np.int64)
    rows = [Row(APPEND, (Address(1, 0), number)) for number in range(8)]
    blocks = [
        Loop(1, 2, 2),
        Branch(0, 1, 2, Address(0, 1)),  # row 0, else row 1 twice
        Branch(0, 3, 4, Address(0, 0)),  # rows 0 to 2, else row 3
        Branch(4, 4, 5, Address(0, 0)),  # nothing, else row 4
        Branch(5, 6, 6, Address(0, 2)),  # row 5, else nothing
    ]
    lease = Lease(Table(rows, 2, blocks=blocks), 2)
    lease.bases[:] = [flags.ctypes.data, log.ctypes.data]
    for a, b, c in product((0, 1), repeat=3):
        flags[:], log[:] = (a, b, 8 * c), 0
        lease.run()
        first = [*([0] if b else [1, 1]), 2] if a else [3, 4]
        expected = [*first, *([5] if c else []), 6, 7]
        np.testing.assert_array_equal(log[: log[0] + 1], [len(expected), *expected])


def test_a_branch_in_a_loop_reads_a_condition_that_moves() -> None:
    flags, log = np.array([1, 0, 0, 1, 1], np.int8), np.zeros(20, np.int64)
    rows = [Row(APPEND, (Address(1, 0), 1)), Row(APPEND, (Address(1, 0), 2))]
    blocks = [Branch(0, 1, 2, Address(0, 0, (1,))), Loop(0, 2, 5)]
    lease = Lease(Table(rows, 1, blocks=blocks), 2)
    lease.bases[:] = [flags.ctypes.data, log.ctypes.data]
    for _ in range(2):
        log[:] = 0
        lease.run()
        np.testing.assert_array_equal(log[:6], [5, 1, 2, 2, 1, 1])


def test_python_is_called_between_rows_with_the_operands_of_the_turn() -> None:
    values = np.zeros((3, 4))
    seen: list[np.ndarray] = []

    def look(operands: Sequence[int]) -> None:
        assert operands == [values.ctypes.data + 32 * len(seen), 17]
        seen.append(values.copy())

    rows = [
        Row(FILL, (Address(0, 0, (32,)), 4, float_bits(1.0), 2), 2),
        Row(Host("look", look), (Address(0, 0, (32,)), 17)),
        Row(FILL, (Address(0, 0, (32,)), 4, float_bits(5.0), 1)),
    ]
    lease = Lease(Table(rows, 2, blocks=[Loop(0, 3, 3)]), 1)
    lease.bases[:] = [values.ctypes.data]
    lease.run()
    np.testing.assert_array_equal([s[:, 0] for s in seen], [[1, 0, 0], [5, 1, 0], [5, 5, 1]])
    np.testing.assert_array_equal(values, 5)


def test_a_call_of_python_has_a_clock() -> None:
    before = read_cycles()
    lengths = []

    def wait(operands: Sequence[int]) -> None:
        start = read_cycles()
        time.sleep(0.002)
        lengths.append(read_cycles() - start)

    clocks, events = np.zeros((2, CLOCK_WORDS), np.int64), np.zeros((6, EVENT_WORDS), np.int64)
    events[0, 1] = 3
    log = np.zeros(20, np.int64)
    lease = Lease(Table([Row(APPEND, (Address(0, 0), 1)), Row(Host("wait", wait), ())], 1), 1, clocks, events)
    lease.bases[:] = log.ctypes.data
    for _ in range(2):
        lease.run()
    after = read_cycles()
    assert sum(lengths) <= clocks[1, 0] == clocks[1, 1] <= after - before
    assert clocks[1, 2] == 2
    # There is room for three of the four tiles and calls.
    assert events[0].tolist()[:2] == [4, 3]
    assert events[1:4, 0].tolist() == [0, 1, 0]
    assert before <= events[2, 2] < events[2, 3] <= after


def test_what_python_raises_ends_the_run() -> None:
    log = np.zeros(20, np.int64)

    def refuse(operands: Sequence[int]) -> None:
        raise OSError("no paper")

    rows = [Row(APPEND, (Address(0, 0), 1)), Row(Host("print", refuse), ()), Row(APPEND, (Address(0, 0), 2))]
    lease = Lease(Table(rows, 2), 1)
    lease.bases[:] = log.ctypes.data
    for count in (1, 2):
        with pytest.raises(OSError, match="no paper"):
            lease.run()
        np.testing.assert_array_equal(log[:4], [count, *[1] * count, *[0] * (3 - count)])


def test_the_machine_stops_after_every_gang_if_asked() -> None:
    log = np.zeros(20, np.int64)
    rows = [Row(APPEND, (Address(0, 0), number)) for number in range(4)]
    lease = Lease(Table(rows, 2, gangs=[1, 2, 1], blocks=[Loop(1, 3, 2)]), 1)
    lease.bases[:] = log.ctypes.data
    assert [(next_row, int(log[0]), lease.turns(3)) for next_row in lease.steps()] == [
        (1, 1, 0), (3, 3, 0), (3, 5, 1), (5, 6, 0)
    ]  # fmt: skip
    lease.run()
    assert log[0] == 12


def _gang(tiles: int, shares: int) -> tuple[np.ndarray, np.ndarray]:
    """What threads see of a gang of which nothing is taken, and how much of each share is."""
    region, taken = np.zeros(machine._SIZE, np.int64), np.zeros((shares, machine.TAKEN_WORDS), np.int64)
    region[machine._TILES], region[machine._SHARES] = tiles, shares
    region[machine._TAKEN] = taken.ctypes.data
    return region, taken


def test_threads_take_their_own_tiles_first() -> None:
    region, _ = _gang(7, 2)
    at = region.ctypes.data
    assert [machine._next_tile(at, 1) for _ in range(3)] == [3, 4, 5]
    assert machine._next_tile(at, 0) == 0
    assert not machine._is_done(at)
    # What is left of the other's share comes after one's own.
    assert [machine._next_tile(at, 1) for _ in range(4)] == [6, 1, 2, -1]
    assert machine._is_done(at) and machine._next_tile(at, 0) == -1


@given(st.integers(1, 40), st.integers(1, 6), st.data())
def test_each_tile_is_taken_once(tiles: int, shares: int, data: st.DataObject) -> None:
    region, _ = _gang(tiles, shares)
    found = []
    # Helpers that are more than there are shares begin with one of these.
    while (tile := machine._next_tile(region.ctypes.data, data.draw(st.integers(0, 8)))) >= 0:
        found.append(tile)
    assert sorted(found) == list(range(tiles))
