"""The compiled form.

A table of kernel calls, the bases that its addresses count from, and leases to run it on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from symgraph.compiler.program.clocks import Clocks
from symgraph.compiler.program.starts import Start
from symgraph.compiler.program.works import Inventory
from symgraph.graph.dims import Unknown
from symgraph.graph.leaves import Storage, aligned_empty
from symgraph.kernels.run.machine import Branch, KernelError, Lease, Loop, Row, Table
from symgraph.kernels.run.table import OPERAND

_Idle = TypeVar("_Idle")


@dataclass(frozen=True, eq=False)
class Base:
    """What addresses count from: a ``feed`` or ``output`` by index, a fixed ``array``, or the ``arena``.

    Or it is ``moved``: at the starts of slices from base number `index`.
    """

    kind: str
    index: int = 0
    array: np.ndarray | None = None
    starts: tuple[Start, ...] = ()


class Slab:
    """Memory for an arena, at an address that is looked up once."""

    __slots__ = ("address", "array", "nbytes")

    def __init__(self, nbytes: int) -> None:
        self.array = aligned_empty((nbytes,), np.uint8)
        self.address = int(self.array.ctypes.data)
        self.nbytes = nbytes


class RowError(ValueError):
    """A kernel has failed: `error` says how, `row` is its row's number, `turns` are those of its loops."""

    def __init__(self, error: KernelError, row: int, turns: tuple[int, ...]) -> None:
        super().__init__(str(error))
        self.error = error
        self.row = row
        self.turns = turns


class Program:
    """A plan for one set of shapes. Several threads may run it, each on a lease of its own.

    Attributes
    ----------
    bases : tuple of Base
        What addresses count from.
    rows : tuple of Row
        The kernel calls, in order; ``row.node`` is the graph node that each serves.
    gangs : tuple of int
        How many rows, one after the other, each gang has: rows whose tiles are shared out at once.
    blocks : tuple of Loop or Branch
        Rows that run several times, or only under a condition; inner blocks before those around them.
    lasting : int
        How many rows come first that run again only after variables have changed: packed weights.
    arena_bytes, buffer_bytes : int
        Size of the arena, and the sum of all temporaries that share it.
    guarded : int
        The first row of the update tail, which is never interrupted.
    sizes : dict of Unknown to int
        What it was planned for.
    inventory : Inventory
        What the rows are for, and what lies where in the arena.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        bases: Sequence[Base],
        outputs: Sequence[tuple[tuple[int, ...], str]],
        arena_bytes: int,
        buffer_bytes: int,
        guarded: int,
        threads: int,
        gangs: Sequence[int],
        blocks: Sequence[Loop | Branch],
        lasting: int,
        read: Sequence[Storage],
        changed: Sequence[Storage],
        sizes: Mapping[Unknown, int],
        inventory: Inventory,
    ) -> None:
        self.rows = tuple(rows)
        self.gangs = tuple(gangs)
        self.blocks = tuple(blocks)
        self.outputs = tuple((shape, np.dtype(dtype)) for shape, dtype in outputs)
        self.arena_bytes = arena_bytes
        self.buffer_bytes = buffer_bytes
        self.guarded = guarded
        self.threads = threads
        self.sizes = dict(sizes)
        self.inventory = inventory
        self.bases = tuple(bases)
        self._table = Table(rows, threads, guarded, gangs, blocks)
        self._feeds = [(i, b.index) for i, b in enumerate(bases) if b.kind == "feed"]
        self._results = [(i, b.index) for i, b in enumerate(bases) if b.kind == "output"]
        self._moved = [(i, b.index, b.starts) for i, b in enumerate(bases) if b.kind == "moved"]
        self._arena = next(i for i, b in enumerate(bases) if b.kind == "arena")
        self.lasting = lasting
        self._read = tuple(read)
        self._changed = tuple(changed)
        # The versions of the variables that the lasting rows last saw.
        self._seen: tuple[int, ...] | None = None
        self._idle: list[Lease] = []

    @property
    def machine_rows(self) -> tuple[Row | None, ...]:
        """The rows as the machine counts them: None for those that control loops and branches."""
        return self._table.rows

    def run(
        self,
        feeds: Sequence[np.ndarray],
        slabs: list[Slab],
        clocks: Clocks | None = None,
        sizes: Mapping[Unknown, int] | None = None,
    ) -> list[np.ndarray]:
        """Run on C-contiguous `feeds` of the planned shapes and dtypes; a slab is borrowed from `slabs`.

        The times of rows are added to `clocks`, if there are any. `sizes` are those of this call: starts of
        slices may differ from those that it was planned with.
        """
        if clocks is not None:
            return self._timed(feeds, slabs, clocks, sizes)
        lease = _popped(self._idle) or self._new_lease()
        results = self._run(lease, feeds, slabs, sizes=sizes)
        self._idle.append(lease)
        return results

    def _timed(
        self,
        feeds: Sequence[np.ndarray],
        slabs: list[Slab],
        clocks: Clocks,
        sizes: Mapping[Unknown, int] | None,
    ) -> list[np.ndarray]:
        start = time.perf_counter()
        with clocks.lock:
            if clocks.lease is None:
                clocks.lease = self._new_lease(clocks)
            results = self._run(clocks.lease, feeds, slabs, sizes=sizes)
            clocks.note(start, time.perf_counter())
        return results

    def stepped(
        self,
        feeds: Sequence[np.ndarray],
        slabs: list[Slab],
        after: Callable[[Lease, int], None],
        sizes: Mapping[Unknown, int] | None = None,
    ) -> list[np.ndarray]:
        """As `run`, row by row; ``after(lease, row)`` is called after each. What it raises ends the call.

        Only for a Program whose rows are in no gangs.
        """
        ends = {number + 1: row for row, number in enumerate(self._machine_numbers)}

        def drive(lease: Lease, first: int) -> None:
            for end in lease.steps(0):
                after(lease, ends[end])

        return self._run(self._new_lease(), feeds, slabs, drive, sizes)

    def turns(self, lease: Lease, row: int) -> list[tuple[Loop, int]]:
        """The loops around a row, the outermost first, and how many turns each has done."""
        return [
            (loop, lease.turns(control))
            for loop, control in self._loop_controls
            if loop.first <= row < loop.end
        ][::-1]

    @cached_property
    def _machine_numbers(self) -> list[int]:
        """For each row the machine's number of it."""
        return [number for number, row in enumerate(self.machine_rows) if row is not None]

    @cached_property
    def _loop_controls(self) -> list[tuple[Loop, int]]:
        """Each loop, inner ones first, and the machine's number of the row that controls it."""
        table = self._table
        controls = [
            number
            for number, row in enumerate(self.machine_rows)
            if row is None and table.words[table.table[number, OPERAND] + 1] > 0
        ]
        loops = [block for block in self.blocks if isinstance(block, Loop)]
        # A loop's control row comes at its end; where several end together inner ones, which come first, do.
        return list(zip(sorted(loops, key=lambda loop: loop.end), controls, strict=True))

    def _run(
        self,
        lease: Lease,
        feeds: Sequence[np.ndarray],
        slabs: list[Slab],
        drive: Callable[[Lease, int], None] = Lease.run,
        sizes: Mapping[Unknown, int] | None = None,
    ) -> list[np.ndarray]:
        moves = [
            (position, base, sum(start.offset(sizes or self.sizes) for start in starts))
            for position, base, starts in self._moved
        ]
        slab = _borrow(slabs, self.arena_bytes)
        results = [np.empty(shape, dtype) for shape, dtype in self.outputs]
        bases = lease.bases
        for position, index in self._feeds:
            bases[position] = feeds[index].__array_interface__["data"][0]
        for position, index in self._results:
            bases[position] = results[index].__array_interface__["data"][0]
        bases[self._arena] = slab.address
        for position, base, offset in moves:
            bases[position] = bases[base] + offset
        versions = tuple([storage.version for storage in self._read])
        try:
            drive(lease, self.lasting if versions == self._seen else 0)
        except KernelError as error:
            row = next(i for i, known in enumerate(self.rows) if known is error.row)
            turns = [number for _, number in self.turns(lease, row)]
            raise RowError(error, row, tuple(turns)) from error
        finally:
            slabs.append(slab)
            for storage in self._changed:
                storage.version += 1
        self._seen = versions
        return results

    def _new_lease(self, clocks: Clocks | None = None) -> Lease:
        times = (None, None) if clocks is None else (clocks.cycles, clocks.events)
        lease = Lease(self._table, len(self.bases), *times)
        for position, base in enumerate(self.bases):
            if base.array is not None:
                lease.bases[position] = base.array.ctypes.data
        return lease


def _borrow(slabs: list[Slab], nbytes: int) -> Slab:
    """An idle slab of at least `nbytes`, or a new one; smaller idle ones are let go."""
    while (slab := _popped(slabs)) is not None:
        if slab.nbytes >= nbytes:
            return slab
    try:
        return Slab(max(nbytes, 64))
    except MemoryError as error:
        raise MemoryError(
            f"this call needs {nbytes / 2**30:.1f} GiB for values on the way to its outputs: feed less"
        ) from error


def _popped(idle: list[_Idle]) -> _Idle | None:
    """One of the idle ones, or None. (Another thread may take the last one between a test and a pop.)"""
    try:
        return idle.pop()
    except IndexError:
        return None
