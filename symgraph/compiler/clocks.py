"""Times of a Program's rows, added up by the machine while it runs, and who wants them."""

from __future__ import annotations

import threading
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

import numpy as np

from symgraph.kernels.machine import CLOCK_WORDS, EVENT_WORDS, Lease, read_cycles

if TYPE_CHECKING:
    from symgraph.compiler.program import Program


class Clocks:
    """What one Program's runs took.

    Attributes
    ----------
    calls : int
    seconds : float
        Wall time of the calls.
    cycles : array of int64, [machine rows, CLOCK_WORDS]
        See `kernels.machine`.
    events : array of int64, [1 + most, EVENT_WORDS], or None
        Tiles with their times, while there is room.
    """

    def __init__(self, machine_rows: int, most_events: int = 0) -> None:
        self.calls = 0
        self.seconds = 0.0
        self.cycles = np.zeros((machine_rows, CLOCK_WORDS), np.int64)
        self.events: np.ndarray | None = None
        if most_events:
            self.events = np.zeros((1 + most_events, EVENT_WORDS), np.int64)
            self.events[0, 1] = most_events
        self.lease: Lease | None = None
        self.lock = threading.Lock()

    def row_cycles(self, gangs: np.ndarray) -> np.ndarray:
        """Cycles of each machine row from start to end; `gangs` tells for each row the first one of its gang.

        Rows of one gang share its time in proportion to what their tiles took.
        """
        tiles, whole = self.cycles[:, 0].astype(float), self.cycles[:, 1].astype(float)
        sums = np.bincount(gangs, tiles, len(tiles))
        shares: np.ndarray = tiles / np.maximum(sums[gangs], 1) * whole[gangs]
        return shares


class Recorder(Protocol):
    """Somebody who wants to know what runs."""

    def clocks(self, program: Program, variant: object) -> Clocks | None:
        """Where the times of the next run of `program` go; None for no times."""


RECORDER: ContextVar[Recorder | None] = ContextVar("symgraph_recorder", default=None)
"""The recorder of this thread (or task)."""


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
