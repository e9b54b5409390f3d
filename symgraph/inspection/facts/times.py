"""Measured times of a compiled Function, as plain data beside its facts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from symgraph.inspection.facts.function import Facts, NodeFacts


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

    start: float
    end: float


@dataclass(frozen=True)
class Group:
    """Rows taken together: a kernel, an op, a layer, a phase, a node.

    `seconds` of all calls, `share` of the calls' time; `flops` and `bytes` of all calls, None where they are
    not known. `runs` counts how often rows ran.
    """

    name: str
    seconds: float
    share: float
    runs: int
    flops: int | None
    bytes: int | None

    @property
    def gflops(self) -> float | None:
        """10^9 floating-point operations a second; None where they are not known."""
        return _rate(self.flops, self.seconds)

    @property
    def gbytes(self) -> float | None:
        """10^9 bytes a second, of the traffic that cannot be avoided; None where it is not known."""
        return _rate(self.bytes, self.seconds)


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
    events : tuple of Event
        Tiles in the window of the trace.
    calls_at : tuple of Call
        The calls in that window.
    lost : int
        Tiles in the window that there was no room to note.
    clock_seconds : float
        An estimate of what reading the clocks took of `seconds`.
    warm : bool
        False where there was one call only: all times are those of the first call then.
    """

    facts: Facts
    calls: int
    seconds: float
    first_seconds: float
    row_seconds: tuple[float, ...]
    row_runs: tuple[int, ...]
    events: tuple[Event, ...] = ()
    calls_at: tuple[Call, ...] = ()
    lost: int = 0
    clock_seconds: float = 0.0
    warm: bool = True

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
        """Times by ``kernel``, ``op``, ``layer``, ``phase`` or ``node``, the longest first.

        Work is counted by nodes. One that took several kernels is counted at the slowest of them; for the
        others it is not known.
        """
        key = _key(by)
        nodes = {node.id: node for node in self.facts.nodes}
        sums: dict[str, _Sum] = {}
        of_node: dict[str, dict[str, float]] = {}
        turns: dict[str, int] = {}
        for row, time, count in zip(self.facts.rows, self.row_seconds, self.row_runs, strict=True):
            name = key(nodes[row.node], row.kernel)
            one = sums.setdefault(name, _Sum())
            one.seconds += time
            one.runs += count
            shares = of_node.setdefault(row.node, {})
            shares[name] = shares.get(name, 0.0) + time
            turns[row.node] = max(turns.get(row.node, 0), count)
        for identity, shares in of_node.items():
            # How often it really ran: a side of a choice may not have, and packed weights are kept.
            node = nodes[identity]
            sums[max(shares, key=lambda name: shares[name])].add(node, turns[identity] / node.turns)
        total = self.seconds or 1.0
        groups = [
            Group(n, s.seconds, s.seconds / total, s.runs, *((s.flops, s.bytes) if s.known else (None, None)))
            for n, s in sums.items()
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
            "clock_seconds": self.clock_seconds,
            "warm": self.warm,
            "row_seconds": list(self.row_seconds),
            "row_runs": list(self.row_runs),
        }


@dataclass
class _Sum:
    """A `Group` while rows and nodes are added; `known` tells whether all its work is, and any."""

    seconds: float = 0.0
    runs: int = 0
    flops: int = 0
    bytes: int = 0
    counted: bool = False
    unknown: bool = False

    @property
    def known(self) -> bool:
        return self.counted and not self.unknown

    def add(self, node: NodeFacts, calls: float) -> None:
        self.counted = True
        if node.flops is None or node.bytes is None:
            self.unknown = True
            return
        self.flops += round(node.flops * calls)
        self.bytes += round(node.bytes * calls)


def _rate(amount: int | None, seconds: float) -> float | None:
    if amount is None:
        return None
    return amount / seconds / 1e9 if seconds > 0 else 0.0


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
