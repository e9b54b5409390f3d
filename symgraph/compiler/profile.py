"""Profiles: how long each row of the Programs took that ran meanwhile.

The clocks are in the Program itself (see `kernels.machine`): what runs is the same, row for row, and so are
its results.
"""

from __future__ import annotations

import time
from contextvars import Token
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.compiler.clocks import RECORDER, Clocks, Recorder, Scale
from symgraph.compiler.collect import collect
from symgraph.compiler.program import Program
from symgraph.compiler.variant import Variant
from symgraph.inspection.times import Event, FunctionTimes
from symgraph.kernels.machine import read_cycles

_MOST_EVENTS = 200_000


@dataclass
class _Record:
    """The clocks of one Program: of its first call, of the others, and of those in the window of a trace."""

    variant: Variant
    program: Program
    first: Clocks
    warm: Clocks
    traced: Clocks | None = None
    calls: int = 0


class Profile:
    """Times of all Functions that this thread calls inside ``with symgraph.profile() as p:``.

    Parameters
    ----------
    trace : (int, int), optional
        Note every tile of some calls of each Program, for a trace: how many calls to let pass, and how many
        to note.
    most_events : int
        How many tiles are noted at most, for each Program.

    Attributes
    ----------
    seconds : float
        From the beginning to the end of the profile.
    """

    def __init__(self, trace: tuple[int, int] | None = None, most_events: int = _MOST_EVENTS) -> None:
        if trace is not None and (len(trace) != 2 or trace[0] < 0 or trace[1] < 1):
            raise ValueError(f"profile: expected trace=(calls to let pass, calls to note), got {trace!r}")
        self.trace = trace
        self.seconds = 0.0
        self._most_events = most_events
        self._records: dict[int, _Record] = {}
        self._token: Token[Recorder | None] | None = None
        self._start = 0.0
        self._zero = 0
        self._scale: Scale | None = None
        self._cycle = 0.0

    def __enter__(self) -> Profile:
        if self._token is not None:
            raise RuntimeError("profile: it is running already")
        self._scale = Scale()
        self._zero = read_cycles()
        self._start = time.perf_counter()
        self._token = RECORDER.set(self)
        return self

    def __exit__(self, *error: object) -> None:
        assert self._token is not None and self._scale is not None
        RECORDER.reset(self._token)
        self._token = None
        self.seconds += time.perf_counter() - self._start
        self._cycle = self._scale.seconds()

    def clocks(self, program: Program, variant: Any) -> Clocks:
        """Where the times of the next run go: see `clocks.Recorder`."""
        rows = len(program.machine_rows)
        record = self._records.get(id(program))
        if record is None:
            record = _Record(variant, program, Clocks(rows), Clocks(rows))
            self._records[id(program)] = record
        record.calls += 1
        if self.trace is not None and self.trace[0] < record.calls <= sum(self.trace):
            if record.traced is None:
                record.traced = Clocks(rows, self._most_events)
            return record.traced
        return record.first if record.calls == 1 else record.warm

    @property
    def functions(self) -> list[FunctionTimes]:
        """One entry for each Program that ran, the longest first."""
        found = [self._times(record) for record in self._records.values()]
        return sorted(found, key=lambda times: -(times.seconds + times.first_seconds))

    def _times(self, record: _Record) -> FunctionTimes:
        program = record.program
        parts = [record.warm, *([record.traced] if record.traced else [])]
        if not any(part.calls for part in parts):
            # Nothing but a first call: better than no times.
            parts = [record.first]
        heads = _heads(program)
        real = [number for number, row in enumerate(program.machine_rows) if row is not None]
        cycles = np.sum([part.row_cycles(heads) for part in parts], axis=0)[real]
        runs = np.sum([part.cycles[:, 2] for part in parts], axis=0)[heads][real]
        return FunctionTimes(
            collect(record.variant.name, record.variant.lowered, program),
            sum(part.calls for part in parts),
            sum(part.seconds for part in parts),
            record.first.seconds,
            tuple(float(c) * self._cycle for c in cycles),
            tuple(int(r) for r in runs),
            tuple(self._events(record.traced, real)) if record.traced else (),
        )

    def _events(self, clocks: Clocks, real: list[int]) -> list[Event]:
        assert clocks.events is not None
        count = min(int(clocks.events[0, 0]), int(clocks.events[0, 1]))
        number = {machine: row for row, machine in enumerate(real)}
        return [
            Event(number[row], lane, (start - self._zero) * self._cycle, (end - self._zero) * self._cycle)
            for row, lane, start, end in clocks.events[1 : 1 + count].tolist()
        ]


def profile(trace: tuple[int, int] | None = None, most_events: int = _MOST_EVENTS) -> Profile:
    """A `Profile`, to be entered with ``with``."""
    return Profile(trace, most_events)


def _heads(program: Program) -> np.ndarray:
    """For each machine row the first one of its gang; control rows are gangs of their own."""
    heads = np.arange(len(program.machine_rows))
    machine = [number for number, row in enumerate(program.machine_rows) if row is not None]
    first = 0
    for size in program.gangs:
        heads[machine[first : first + size]] = machine[first]
        first += size
    return heads
