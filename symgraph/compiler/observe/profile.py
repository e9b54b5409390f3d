"""Profiles: how long each row of the Programs took that ran meanwhile.

The clocks are in the Program itself (see `kernels.run.machine`): what runs is the same, row for row, and so
are its results.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Token
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from symgraph.compiler.program.clocks import Clocks, Scale, clock_cost
from symgraph.compiler.program.program import Program
from symgraph.compiler.run.collect import collect
from symgraph.compiler.run.named_graph import NamedGraph
from symgraph.compiler.run.recorder import RECORDER, Recorder
from symgraph.inspection.export.chrome_trace import MOST_BYTES, write_trace
from symgraph.inspection.export.json_files import write_json
from symgraph.inspection.export.tensorboard import write_profile
from symgraph.inspection.facts.function import Facts
from symgraph.inspection.facts.hardware import hardware_facts
from symgraph.inspection.facts.profile import ProfileFacts
from symgraph.inspection.facts.times import Call, Event, FunctionTimes
from symgraph.inspection.text.profile import profile_table, profile_text
from symgraph.kernels.ceilings import measure_ceilings
from symgraph.kernels.run.machine import read_cycles
from symgraph.kernels.run.threads import get_num_threads

_MOST_EVENTS = 200_000


@dataclass
class _Record:
    """The clocks of one Program: of its first call, of the others, and of those in the window of a trace."""

    graph: NamedGraph
    program: Program
    first: Clocks
    warm: Clocks
    traced: Clocks | None = None
    calls: int = 0

    @cached_property
    def facts(self) -> Facts:
        """All that is known of the Program: it does not change."""
        return collect(self.graph.name, self.graph.lowered, self.program)


class Profile:
    """Times of all Functions that this thread calls inside ``with symgraph.profile() as p:``.

    ``print(p)`` shows where the time went. One profile may be entered several times, and adds up then. Of
    profiles inside of each other the inner one gets the times.

    Parameters
    ----------
    trace : (int, int), optional
        Note every tile of some calls of each Program, for a trace: how many calls to let pass, and how many
        to note.
    most_events : int
        How many tiles are noted at most, for each Program.

    """

    def __init__(self, trace: tuple[int, int] | None = None, most_events: int = _MOST_EVENTS) -> None:
        if trace is not None and not _is_window(trace):
            raise ValueError(f"profile: expected trace=(calls to let pass, calls to note), got {trace!r}")
        self.trace = trace
        self._seconds = 0.0
        self._most_events = most_events
        self._records: dict[int, _Record] = {}
        self._token: Token[Recorder | None] | None = None
        self._entered = 0.0
        # Read when the profile is first entered: what times in traces count from.
        self._zero: tuple[int, float] | None = None
        self._scale: Scale | None = None
        self._cycle: float | None = None  # seconds of one, once somebody has asked

    def __enter__(self) -> Profile:
        if self._token is not None:
            raise RuntimeError("profile: it is running already")
        self._begin()
        self._entered = time.perf_counter()
        self._token = RECORDER.set(self)
        return self

    def __exit__(self, *error: object) -> None:
        assert self._token is not None
        RECORDER.reset(self._token)
        self._token = None
        self._seconds += time.perf_counter() - self._entered

    @property
    def seconds(self) -> float:
        """How long the profile has run."""
        return self._seconds + (time.perf_counter() - self._entered if self._token is not None else 0.0)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """As ``with`` on the profile itself, but several threads may do so at once."""
        self._begin()
        start = time.perf_counter()
        token = RECORDER.set(self)
        try:
            yield
        finally:
            RECORDER.reset(token)
            self._seconds += time.perf_counter() - start

    def _begin(self) -> None:
        """Read the clocks, the first time."""
        if self._scale is None:
            self._zero = read_cycles(), time.perf_counter()
            self._scale = Scale()
        self._cycle = None

    def clocks(self, program: Program, graph: NamedGraph) -> Clocks:
        """Where the times of the next run go: see `recorder.Recorder`."""
        rows = len(program.machine_rows)
        record = self._records.get(id(program))
        if record is None:
            from_first = self._most_events if self.trace is not None and not self.trace[0] else 0
            record = _Record(graph, program, Clocks(rows, from_first), Clocks(rows))
            self._records[id(program)] = record
        record.calls += 1
        if record.calls == 1:
            return record.first
        if self.trace is not None and self.trace[0] < record.calls <= sum(self.trace):
            if record.traced is None:
                record.traced = Clocks(rows, self._most_events)
            return record.traced
        return record.warm

    @property
    def functions(self) -> list[FunctionTimes]:
        """One entry for each Program that ran, the longest first."""
        if self._cycle is None:
            self._cycle = self._scale.seconds() if self._scale is not None else 0.0
        found = [self._times(record, self._cycle) for record in self._records.values()]
        return sorted(found, key=lambda times: -(times.seconds + times.first_seconds))

    def facts(self) -> ProfileFacts:
        """All that is known, as plain data. The first one of a process measures the peaks."""
        functions = tuple(self.functions)
        threads = sorted({times.facts.threads for times in functions})
        ceilings = {number: measure_ceilings(number) for number in threads}
        hardware = hardware_facts().with_ceilings(ceilings.get(get_num_threads()))
        return ProfileFacts(functions, self.seconds, hardware, ceilings)

    def __str__(self) -> str:
        return profile_text(self.facts())

    def __repr__(self) -> str:
        return f"<Profile of {len(self._records)} Programs, {self.seconds:.3f} s>"

    def table(self, by: str = "layer", most: int | None = None) -> str:
        """The `most` longest times by ``kernel``, ``op``, ``layer``, ``phase`` or ``node``, as text."""
        return profile_table(self.facts(), by, most)

    def to_json(self) -> dict[str, Any]:
        """As dictionaries, lists, numbers and text, with a schema version."""
        return self.facts().to_json()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `to_json` to a file; one that ends in ``.gz`` is compressed."""
        write_json(path, self.to_json())

    def chrome_trace(self, path: str | os.PathLike[str], max_bytes: int = MOST_BYTES) -> None:
        """Write the calls and tiles that `trace` noted, for Perfetto or chrome://tracing.

        Parameters
        ----------
        path : path
            One that ends in ``.gz`` is compressed.
        max_bytes : int
            How large the text may become before it is compressed. What comes later is left out, and the file
            says so.

        Raises
        ------
        ValueError
            Nothing was noted.
        """
        write_trace(path, self.facts(), max_bytes)

    def tensorboard(self, log_dir: str | os.PathLike[str], step: int = 0) -> None:
        """Write the times by layer, in ms a call, and each Function's graph, for TensorBoard."""
        write_profile(log_dir, self.facts(), step)

    def _times(self, record: _Record, cycle: float) -> FunctionTimes:
        program, traced = record.program, record.traced
        parts = [record.warm, *([traced] if traced else [])]
        warm = any(part.calls for part in parts)
        if not warm:
            # Nothing but a first call: better than no times.
            parts = [record.first]
        heads = _heads(program)
        real = [number for number, row in enumerate(program.machine_rows) if row is not None]
        cycles = np.sum([part.row_cycles(heads) for part in parts], axis=0)[real]
        runs = np.sum([part.cycles[:, 2] for part in parts], axis=0)[heads][real]
        tiles = sum(
            int(count) * -(-row.tiles // program.threads)
            for count, row in zip(runs, program.rows, strict=True)
        )
        noted = [part for part in (record.first, traced) if part is not None and part.events is not None]
        return FunctionTimes(
            record.facts,
            sum(part.calls for part in parts),
            sum(part.seconds for part in parts),
            record.first.seconds,
            tuple(float(c) * cycle for c in cycles),
            tuple(int(r) for r in runs),
            tuple(event for part in noted for event in self._events(part, real, cycle)),
            tuple(call for part in noted for call in self._calls(part)),
            sum(_lost(part) for part in noted),
            tiles * clock_cost(),
            warm,
        )

    def _events(self, clocks: Clocks, real: list[int], cycle: float) -> list[Event]:
        events = clocks.events
        assert self._zero is not None and events is not None
        count, zero = min(int(events[0, 0]), int(events[0, 1])), self._zero[0]
        number = {machine_row: row for row, machine_row in enumerate(real)}
        return [
            Event(number[row], lane, (start - zero) * cycle, (end - zero) * cycle)
            for row, lane, start, end in events[1 : 1 + count].tolist()
        ]

    def _calls(self, clocks: Clocks) -> list[Call]:
        assert self._zero is not None
        return [Call(start - self._zero[1], end - self._zero[1]) for start, end in clocks.calls_at]


def _lost(clocks: Clocks) -> int:
    """Tiles that there was no room to note."""
    return 0 if clocks.events is None else max(0, int(clocks.events[0, 0] - clocks.events[0, 1]))


def _is_window(trace: Any) -> bool:
    return (
        isinstance(trace, tuple | list)
        and len(trace) == 2
        and all(isinstance(count, int) for count in trace)
        and trace[0] >= 0
        and trace[1] >= 1
    )


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
