"""The team of threads that share the tiles of a row, and the choice between it and numba's threading layers.

Why not numba's layers: their parallel loop ends when every thread of the pool has come and gone, so on a busy
machine each row waits for threads that the system has not scheduled yet, though the tiles are long done. Here
a row is open while it has tiles: whoever comes in time takes some, nobody waits for those who do not come.
Calls that find the team busy run on their own thread, so threads are never oversubscribed.

The team needs POSIX semaphores (Linux). Elsewhere, and where `NUMBA_THREADING_LAYER` names one, numba's layer
is used: omp, tbb, or workqueue under a lock.
"""

from __future__ import annotations

import atexit
import ctypes
import importlib
import os
import platform
import sys
import threading
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numba.core import config as numba_config
from numba.np.ufunc import parallel as numba_parallel

from symgraph.kernels.run.jit import intrinsic, numba_kernel, types
from symgraph.kernels.run.memory import fetch_add, store_int
from symgraph.kernels.tile.builder import INDEX, INT, NOTHING, call, call_address, pointer_to

# The words of the block that the team shares. The gate is `_CLOSED` plus the number of helpers inside while
# closed, and just that number while open.
(_GATE, _BUSY, _SLEEPERS, _STOP, _WORKER, _ARGUMENTS, _LIMIT, _SERIAL, _SEMAPHORE, _WAIT, _POST, _YIELD) = (
    range(0, 96, 8)
)
_WORDS = 96
_CLOSED = -(1 << 40)
# Idle helpers look for work this many times (some 50 to 100 µs) before they sleep: about as long as the
# interpreter needs between two batches.
_LOOKS = 4000
# A caller looks this many times for helpers to leave before it offers its processor to others.
_LOOKS_BEFORE_YIELD = 2000
_IS_X86 = platform.machine().lower() in ("x86_64", "amd64")


@intrinsic
def _load(typing, address):
    """An int64 that other threads change."""

    def emit(context, builder, signature, args):
        return builder.load_atomic(builder.inttoptr(args[0], pointer_to("int64")), "seq_cst", 8)

    return types.int64(types.int64), emit


@intrinsic
def _take(typing, address):
    """Turn 0 at `address` into 1; whether this call did."""

    def emit(context, builder, signature, args):
        pointer = builder.inttoptr(args[0], pointer_to("int64"))
        result = builder.cmpxchg(pointer, INT(0), INT(1), "seq_cst", "seq_cst")
        return builder.zext(builder.extract_value(result, 1), INT)

    return types.int64(types.int64), emit


@intrinsic
def _release(typing, address):
    """Store 0 for other threads to see."""

    def emit(context, builder, signature, args):
        builder.store_atomic(INT(0), builder.inttoptr(args[0], pointer_to("int64")), "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(types.int64), emit


@intrinsic
def _call_c(typing, function, argument):
    """Call the C function ``int function(void *)`` at an address."""

    def emit(context, builder, signature, args):
        call_address(builder, args[0], INDEX, args[1:])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), emit


@intrinsic
def _call_worker(typing, worker, arguments, thread):
    """Call the kernel at an address for thread number `thread` of the team."""

    def emit(context, builder, signature, args):
        operands = builder.inttoptr(args[1], pointer_to("int64"))
        return call_address(builder, args[0], INT, [operands, args[2]])

    return types.int64(types.int64, types.int64, types.int64), emit


@intrinsic
def _pause(typing):
    """Tell the processor that this is a waiting loop."""

    def emit(context, builder, signature, args):
        if _IS_X86:
            call(builder, "llvm.x86.sse2.pause", NOTHING, [])
        return context.get_dummy_value()

    return types.void(), emit


def _together(block, worker_and_arguments):
    """Run ``worker(arguments, thread)`` here, as number 0, and on every helper that comes in time.

    Operands: block, worker, arguments, threads.
    """
    team, worker, arguments, threads = block[0], block[1], block[2], block[3]
    if _take(team + _BUSY) == 0:
        _call_worker(worker, arguments, 0)
        return 0
    store_int(team + _WORKER, worker)
    store_int(team + _ARGUMENTS, arguments)
    store_int(team + _LIMIT, threads - 1)
    fetch_add(team + _SERIAL, 1)
    fetch_add(team + _GATE, -_CLOSED)
    for _ in range(min(_load(team + _SLEEPERS), threads - 1)):
        _call_c(_load(team + _POST), _load(team + _SEMAPHORE))
    _call_worker(worker, arguments, 0)
    fetch_add(team + _GATE, _CLOSED)
    looks = 0
    while _load(team + _GATE) != _CLOSED:
        _pause()
        looks += 1
        if looks > _LOOKS_BEFORE_YIELD:
            _call_c(_load(team + _YIELD), 0)
    _release(team + _BUSY)
    return 0


def _serve(mine, unused):
    """A helper's life: look for an open row, work on it, sleep when there is none for a while.

    Operands: block, the helper's number (from 1 on).
    """
    team, thread = mine[0], mine[1]
    seen = -1
    looks = 0
    while _load(team + _STOP) == 0:
        serial = _load(team + _SERIAL)
        inside = _load(team + _GATE)
        if serial != seen and 0 <= inside < _load(team + _LIMIT):
            before = fetch_add(team + _GATE, 1)
            if 0 <= before < _load(team + _LIMIT):
                seen = _load(team + _SERIAL)
                _call_worker(_load(team + _WORKER), _load(team + _ARGUMENTS), thread)
            fetch_add(team + _GATE, -1)
            looks = 0
            continue
        _pause()
        looks += 1
        if looks > _LOOKS:
            fetch_add(team + _SLEEPERS, 1)
            if _load(team + _GATE) < 0 and _load(team + _STOP) == 0:
                _call_c(_load(team + _WAIT), _load(team + _SEMAPHORE))
            fetch_add(team + _SLEEPERS, -1)
            looks = 0
    return 0


TOGETHER = numba_kernel("together", _together)
_SERVE = numba_kernel("serve", _serve)
_ENTRY = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64)


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


class _Team:
    """Helpers that wait for rows: daemon threads of this process, started when first needed."""

    def __init__(self, helpers: int) -> None:
        library = ctypes.CDLL(None)
        self._semaphore = ctypes.create_string_buffer(64)
        if library.sem_init(self._semaphore, 0, 0) != 0:
            raise OSError("sem_init failed")
        self.block = np.zeros(_WORDS // 8 + 8, np.int64)
        self.address = self.block.ctypes.data
        words = {
            _GATE: _CLOSED,
            _SEMAPHORE: ctypes.addressof(self._semaphore),
            _WAIT: _address(library.sem_wait),
            _POST: _address(library.sem_post),
            _YIELD: _address(library.sched_yield),
        }
        for place, value in words.items():
            self.block[place // 8] = value
        self._operands = np.array([[self.address, number] for number in range(1, helpers + 1)], np.int64)
        self._post = library.sem_post
        serve = _ENTRY(_SERVE.address)
        self._threads = [
            threading.Thread(target=serve, args=(mine.ctypes.data, 0), name="symgraph", daemon=True)
            for mine in self._operands
        ]
        for thread in self._threads:
            thread.start()
        atexit.register(self.stop)

    def stop(self) -> None:
        """Let the helpers end, so that none runs while the interpreter takes itself apart."""
        self.block[_STOP // 8] = 1
        for _ in self._threads:
            self._post(self._semaphore)
        for thread in self._threads:
            thread.join(timeout=1.0)


@dataclass(frozen=True)
class Layer:
    """How rows are spread over threads.

    `name` is team, omp, tbb or workqueue; `address` the team's block, or the address of numba's
    ``parallel_for``; `lock` is held around every run where the layer cannot stand concurrent use.
    """

    name: str
    address: int
    lock: threading.Lock | None = None
    team: _Team | None = None


def most_threads() -> int:
    """How many threads may be asked for: numba's number (`NUMBA_NUM_THREADS`, else the processors)."""
    return int(getattr(numba_config, "NUMBA_NUM_THREADS"))  # noqa: B009


class _Setting:
    """The number of threads of this process: one setting, as numba and BLAS have one each."""

    def __init__(self) -> None:
        self.threads = 0


_setting = _Setting()


def get_num_threads() -> int:
    """Threads that share the tiles of a row, unless a call says otherwise.

    What `set_num_threads` said, else `SYMGRAPH_NUM_THREADS`, else numba's number.
    """
    if not _setting.threads:
        named = os.environ.get("SYMGRAPH_NUM_THREADS", "")
        if named and not named.isdigit():
            raise ValueError(f"SYMGRAPH_NUM_THREADS: expected a number, got {named!r}")
        _setting.threads = max(1, min(int(named), most_threads())) if named else most_threads()
    return _setting.threads


def set_num_threads(threads: int) -> None:
    """Set the number of threads for all Functions from their next call on.

    Raises
    ------
    ValueError
        `threads` lies outside 1 to `NUMBA_NUM_THREADS` (by default the number of processors).
    """
    if not isinstance(threads, (int, np.integer)) or not 1 <= threads <= most_threads():
        raise ValueError(f"set_num_threads: expected 1 to {most_threads()}, got {threads!r}")
    _setting.threads = int(threads)


@cache
def layer() -> Layer:
    """The threading layer of this process, started when first asked for."""
    if sys.platform == "linux" and not os.environ.get("NUMBA_THREADING_LAYER"):
        team = _Team(most_threads() - 1)
        return Layer("team", team.address, team=team)
    numba_parallel._launch_threads()
    name = str(numba_parallel.threading_layer())
    library = {"tbb": "tbbpool", "omp": "omppool", "workqueue": "workqueue"}[name]
    module = importlib.import_module(f"numba.np.ufunc.{library}")
    return Layer(name, module.parallel_for, threading.Lock() if name == "workqueue" else None)


def _forget_after_fork() -> None:
    """A forked child has none of the helpers: it starts a team of its own when it needs one."""
    layer.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
