"""Times of a Program's rows, added up by the machine while it runs."""

from __future__ import annotations

import threading
import time
from functools import cache

import numpy as np

from symgraph.kernels.run.jit import numba_kernel
from symgraph.kernels.run.machine import CLOCK_WORDS, EVENT_WORDS, Lease, Row, Table, read_cycles


class Clocks:
    """What one Program's runs took.

    Attributes
    ----------
    calls : int
    seconds : float
        Wall time of the calls.
    cycles : array of int64, [machine rows, CLOCK_WORDS]
        See `kernels.run.machine`.
    events : array of int64, [1 + most, EVENT_WORDS], or None
        Tiles with their times, while there is room.
    calls_at : list of (float, float)
        Beginnings and ends of the calls, where tiles are noted.
    """

    def __init__(self, machine_rows: int, most_events: int = 0) -> None:
        self.calls = 0
        self.seconds = 0.0
        self.cycles = np.zeros((machine_rows, CLOCK_WORDS), np.int64)
        self.events: np.ndarray | None = None
        if most_events:
            self.events = np.zeros((1 + most_events, EVENT_WORDS), np.int64)
            self.events[0, 1] = most_events
        self.calls_at: list[tuple[float, float]] = []
        self.lease: Lease | None = None
        self.lock = threading.Lock()

    def note(self, start: float, end: float) -> None:
        """Add a call, with its beginning and end by `time.perf_counter`."""
        self.calls += 1
        self.seconds += end - start
        if self.events is not None:
            self.calls_at.append((start, end))

    def row_cycles(self, gangs: np.ndarray) -> np.ndarray:
        """Cycles of each machine row from start to end; `gangs` tells for each row the first one of its gang.

        Rows of one gang share its time in proportion to what their tiles took.
        """
        tiles, whole = self.cycles[:, 0].astype(float), self.cycles[:, 1].astype(float)
        sums = np.bincount(gangs, tiles, len(tiles))
        shares: np.ndarray = tiles / np.maximum(sums[gangs], 1) * whole[gangs]
        return shares


class Scale:
    """Seconds of a cycle: both are read at the beginning, and again when the scale is asked for."""

    def __init__(self) -> None:
        self._cycles, self._seconds = read_cycles(), time.perf_counter()

    def seconds(self) -> float:
        """Seconds a cycle; 0.0 where there is no counter."""
        # Both are read in a few hundred nanoseconds: after 10 ms that is no error to speak of.
        while time.perf_counter() - self._seconds < 0.01:
            pass
        cycles, seconds = read_cycles(), time.perf_counter()
        return (seconds - self._seconds) / (cycles - self._cycles) if cycles != self._cycles else 0.0


_ROWS = 1000


@cache
def clock_cost() -> float:
    """Seconds that the clock of one tile takes: a table of empty rows is run with clocks and without them."""
    table = Table([Row(numba_kernel("nothing", _nothing), ())] * _ROWS, 1)
    clocks = np.zeros((_ROWS, CLOCK_WORDS), np.int64)
    plain, timed = (_shortest(lease) for lease in (Lease(table, 0), Lease(table, 0, clocks)))
    return max(timed - plain, 0.0) / _ROWS


def _nothing(operands: object, tile: int) -> int:
    return 0


def _shortest(lease: Lease) -> float:
    """Seconds of the shortest of several runs."""
    times = []
    for _ in range(20):
        start = time.perf_counter()
        lease.run()
        times.append(time.perf_counter() - start)
    return min(times)
