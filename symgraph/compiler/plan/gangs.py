"""Rows that do not need each other are put together into gangs, whose tiles the machine shares out at once.

Two rows need each other where one writes what the other touches. A row joins the gang before it if it can. A
row that is too small to be cut also joins an earlier one, so that it fills a gap there instead of making
threads wait for it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

from symgraph.kernels.run.machine import Host, Row

_MOST_ROWS = 64
"""The machine finds a tile's row by walking the gang."""
_REACH = 8
"""How many gangs back a small row may move."""
_SMALL_BYTES = 1 << 16
"""What a row that moves may write: it is kept in memory for longer."""
_WORTH = 3e-6
"""Seconds of work beside the longest row from which rows of one tile each pay as a gang."""
_SPEED = 10e9
"""Bytes, or floating-point operations, a second that work is guessed with."""


@dataclass(frozen=True)
class PlannedRow:
    """A row and what it touches: memory that it reads and writes, named by anything hashable.

    `work` is its number of bytes and floating-point operations, `new_bytes` the size of what it writes,
    `work_number` the number of what it is part of (see `works.Work`).
    """

    row: Row
    reads: frozenset[Hashable]
    writes: frozenset[Hashable]
    work: float = 0.0
    new_bytes: int = 0
    work_number: int = 0

    @property
    def touches(self) -> frozenset[Hashable]:
        """All memory that the row has to do with."""
        return self.reads | self.writes

    @property
    def alone(self) -> bool:
        """Whether the row is in no gang, and no row moves past it: Python is called."""
        return isinstance(self.row.kernel, Host)


@dataclass
class _Gang:
    rows: list[PlannedRow] = field(default_factory=list)
    reads: set[Hashable] = field(default_factory=set)
    writes: set[Hashable] = field(default_factory=set)

    def add(self, planned: PlannedRow) -> None:
        self.rows.append(planned)
        self.reads |= planned.reads
        self.writes |= planned.writes

    def needs(self, planned: PlannedRow) -> bool:
        """Whether `planned` and the gang cannot run at once."""
        if planned.alone or any(other.alone for other in self.rows):
            return True
        return not (self.writes.isdisjoint(planned.touches) and self.reads.isdisjoint(planned.writes))


def gather(rows: Sequence[PlannedRow]) -> list[list[PlannedRow]]:
    """All rows, in an order as good as the given one, cut into gangs."""
    gangs: list[_Gang] = []
    for planned in rows:
        place = _place(gangs, planned)
        if place is None:
            place = _Gang()
            gangs.append(place)
        place.add(planned)
    return [part for gang in gangs for part in _parts(gang.rows)]


def _place(gangs: Sequence[_Gang], planned: PlannedRow) -> _Gang | None:
    """The gang that `planned` joins: within its reach the one with most rows; the last where equal."""
    mobile = planned.row.tiles == 1 and planned.new_bytes <= _SMALL_BYTES
    found: _Gang | None = None
    for gang in reversed(gangs[-_REACH if mobile else -1 :]):
        if gang.needs(planned):
            break
        if len(gang.rows) < _MOST_ROWS and (found is None or len(gang.rows) > len(found.rows)):
            found = gang
    return found


def _parts(rows: Sequence[PlannedRow]) -> Iterator[list[PlannedRow]]:
    """A gang, the rows with most work a tile first; one by one where a second thread would not pay."""
    if all(planned.row.tiles == 1 for planned in rows):
        work = sorted(planned.work for planned in rows)
        if sum(work[:-1]) < _WORTH * _SPEED:
            yield from ([planned] for planned in rows)
            return
    yield sorted(rows, key=lambda planned: -planned.work / planned.row.tiles)
