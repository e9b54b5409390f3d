"""Measured times of a compiled Function, as plain data beside its facts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from symgraph.inspection.facts import Facts, NodeFacts


@dataclass(frozen=True)
class Event:
    """A tile in a window of calls: its row, the lane (order in which threads came to the gang), seconds.

    Seconds count from the start of the profile.
    """

    row: int
    lane: int
    start: float
    end: float


@dataclass(frozen=True)
class Call:
    """A call in the window: seconds from the start of the profile."""

    function: str
    start: float
    end: float


@dataclass(frozen=True)
class Group:
    """Rows taken together: a kernel, an op, a layer, a phase, a node.

    `seconds` of all calls, `share` of the calls' time; `flops` and `bytes` of all calls.
    """

    name: str
    seconds: float
    share: float
    runs: int
    flops: int
    bytes: int

    @property
    def gflops(self) -> float:
        """10^9 floating-point operations a second."""
        return self.flops / self.seconds / 1e9 if self.seconds else 0.0

    @property
    def gbytes(self) -> float:
        """10^9 bytes a second, of the traffic that cannot be avoided."""
        return self.bytes / self.seconds / 1e9 if self.seconds else 0.0


@dataclass(frozen=True)
class FunctionTimes:
    """One Program of a Function in a profile.

    Attributes
    ----------
    calls, seconds
        Warm calls and their wall time, together.
    first_seconds : float
        Wall time of the first call in the profile, which is not among them.
    row_seconds : tuple of float
        Of each row, all warm calls together.
    row_runs : tuple of int
    """

    facts: Facts
    calls: int
    seconds: float
    first_seconds: float
    row_seconds: tuple[float, ...]
    row_runs: tuple[int, ...]
    events: tuple[Event, ...] = ()

    @property
    def coverage(self) -> float:
        """Share of the calls' wall time that rows account for."""
        return sum(self.row_seconds) / self.seconds if self.seconds else 0.0

    def node_seconds(self) -> dict[str, float]:
        """Seconds by node id."""
        found: dict[str, float] = {}
        for row, seconds in zip(self.facts.rows, self.row_seconds, strict=True):
            found[row.node] = found.get(row.node, 0.0) + seconds
        return found

    def groups(self, by: str) -> list[Group]:
        """Times by ``kernel``, ``op``, ``layer``, ``phase`` or ``node``, the longest first."""
        key = _key(by)
        nodes = {node.id: node for node in self.facts.nodes}
        seconds: dict[str, float] = {}
        runs: dict[str, int] = {}
        work: dict[str, tuple[int, int]] = {}
        counted: set[tuple[str, str]] = set()
        for row, time, count in zip(self.facts.rows, self.row_seconds, self.row_runs, strict=True):
            node = nodes[row.node]
            name = key(node, row.kernel)
            seconds[name] = seconds.get(name, 0.0) + time
            runs[name] = runs.get(name, 0) + count
            if (name, node.id) not in counted:
                # A node's work is counted once, though it may have several rows.
                counted.add((name, node.id))
                flops, moved = work.get(name, (0, 0))
                work[name] = flops + (node.flops or 0), moved + (node.bytes or 0)
        total = self.seconds or 1.0
        groups = [
            Group(n, s, s / total, runs[n], work[n][0] * self.calls, work[n][1] * self.calls)
            for n, s in seconds.items()
        ]
        return sorted(groups, key=lambda group: (-group.seconds, group.name))

    def to_json(self) -> dict[str, Any]:
        """As dictionaries, lists, numbers and text; times in seconds."""
        return {
            "facts": self.facts.to_json(),
            "calls": self.calls,
            "seconds": self.seconds,
            "first_seconds": self.first_seconds,
            "coverage": self.coverage,
            "row_seconds": list(self.row_seconds),
            "row_runs": list(self.row_runs),
        }


def _key(by: str) -> Callable[[NodeFacts, str], str]:
    keys: dict[str, Callable[[NodeFacts, str], str]] = {
        "kernel": lambda node, kernel: kernel,
        "op": lambda node, kernel: node.kind,
        "layer": lambda node, kernel: node.layer or "(no layer)",
        "phase": lambda node, kernel: node.phase,
        "node": lambda node, kernel: node.id,
    }
    if by not in keys:
        raise ValueError(f"groups: expected one of {', '.join(keys)}, got {by!r}")
    return keys[by]
