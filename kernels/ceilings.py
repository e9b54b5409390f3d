"""What this machine can do at most, measured with kernels of our own: multiply-adds, and bytes copied."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from symgraph.kernels.copies import copy_rows
from symgraph.kernels.run.buffer import Buffer
from symgraph.kernels.run.jit import Kernel
from symgraph.kernels.run.machine import Lease, Row, Table
from symgraph.kernels.run.target import TARGET
from symgraph.kernels.run.threads import get_num_threads
from symgraph.kernels.tile.nest import Writer, vector_kernel

_TURNS = 50_000  # a run takes about 1 ms: less than the system gives a program at a time
_TILES = 4  # a thread
_COPIED = 1 << 26  # bytes: more than caches hold
_SECONDS = 0.25  # for each ceiling
_lock = threading.Lock()


@dataclass(frozen=True)
class Ceilings:
    """What a machine can do at most, measured.

    Attributes
    ----------
    threads : int
    gflops : float
        10^9 floating-point operations a second: float32 multiply-adds, two operations each, from registers.
    gbytes : float
        10^9 bytes a second of a copy that no cache holds: bytes read and bytes written.
    """

    threads: int
    gflops: float
    gbytes: float

    def seconds(self, flops: float, bytes: float) -> float:
        """The time that this much work takes at least, if each byte comes from memory once (roofline)."""
        return max(flops / self.gflops, bytes / self.gbytes) / 1e9

    def share(self, flops: float, bytes: float, seconds: float) -> float:
        """`seconds` of that least time over those it took, 0 to 1.

        More than 1 comes from operands that lie in caches, and from convolutions in tiles, which need fewer
        operations than are counted.
        """
        return self.seconds(flops, bytes) / seconds if seconds > 0 else 0.0


def measure_ceilings(threads: int | None = None) -> Ceilings:
    """The ceilings on `threads` threads (now set, if not given): measured once in a process, in under 1 s."""
    with _lock:
        return _measured(threads or get_num_threads())


@cache
def _measured(threads: int) -> Ceilings:
    return Ceilings(threads, _multiply_add_rate(threads) / 1e9, _copy_rate(threads) / 1e9)


def _multiply_add_rate(threads: int) -> float:
    """Floating-point operations a second."""
    tiles = _TILES * threads
    lease = Lease(Table([Row(_multiply_adds(), (), tiles)], threads), 0)
    return 2 * _chains() * TARGET.lanes(4) * _TURNS * tiles / _best(lease.run)


def _copy_rate(threads: int) -> float:
    """Bytes a second, those read and those written."""
    source, target = np.ones(_COPIED // 4, np.float32), np.zeros(_COPIED // 4, np.float32)
    buffers = [Buffer(i, 0, a.shape, a.strides, a.dtype) for i, a in enumerate((source, target))]
    lease = Lease(Table(copy_rows(*buffers, threads=threads, scratch=_no_scratch), threads), 2)
    lease.bases[:] = source.ctypes.data, target.ctypes.data
    return (source.nbytes + target.nbytes) / _best(lease.run)


def _no_scratch(*_: object) -> Buffer:
    raise AssertionError("a plain copy needs no memory of its own")


def _best(call: Callable[[], None]) -> float:
    """The shortest of several times, in seconds; the first call, which may load kernels, does not count."""
    call()
    times: list[float] = []
    end = time.perf_counter() + _SECONDS
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def _chains() -> int:
    """Sums that do not wait for each other: enough to hide the latency, few enough to stay in registers."""
    return 24 if TARGET.registers == 32 else 12


@cache
def _multiply_adds() -> Kernel:
    """`_TURNS` turns of independent vector multiply-adds that never leave the registers."""
    lanes, chains = TARGET.lanes(4), _chains()

    def write(writer: Writer) -> None:
        # 0 or 1, which the compiler cannot know.
        factor = writer.splat((writer.tile & 1).cast("float32"), lanes)
        sums = [writer.variable(factor.constant(float(i))) for i in range(chains)]
        with writer.loop(0, writer.integer(_TURNS)):
            for total in sums:
                total.set(total.get().multiply_add(factor, factor))
        whole = sums[0].get()
        for total in sums[1:]:
            whole = whole + total.get()
        # Used, so that nothing is left out; never true: sums of small whole numbers.
        writer.end(whole.lane(0).equals(0.5).cast("int64"))

    return vector_kernel("multiply_adds", write, (lanes, chains, _TURNS))
