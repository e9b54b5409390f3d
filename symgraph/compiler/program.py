"""The compiled form.

A table of kernel calls, the bases that its addresses count from, and leases to run it on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from symgraph.compiler.clocks import Clocks
from symgraph.compiler.layout import Layout
from symgraph.graph.dims import Unknown
from symgraph.graph.leaves import Storage, aligned_empty
from symgraph.kernels.machine import Branch, Lease, Loop, Row, Table

_Idle = TypeVar("_Idle")


@dataclass(frozen=True, eq=False)
class Base:
    """What addresses count from: a ``feed`` or ``output`` by index, a fixed ``array``, or the ``arena``."""

    kind: str
    index: int = 0
    array: np.ndarray | None = None


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
    layout : Layout
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
        layout: Layout,
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
        self.layout = layout
        self.bases = tuple(bases)
        self._table = Table(rows, threads, guarded, gangs, blocks)
        self._feeds = [(i, b.index) for i, b in enumerate(bases) if b.kind == "feed"]
        self._results = [(i, b.index) for i, b in enumerate(bases) if b.kind == "output"]
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

    def run(self, feeds: Sequence[np.ndarray], slabs: list[np.ndarray]) -> list[np.ndarray]:
        """Run on C-contiguous `feeds` of the planned shapes and dtypes; a slab is borrowed from `slabs`."""
        lease = _popped(self._idle) or self._new_lease()
        results = self._run(lease, feeds, slabs)
        self._idle.append(lease)
        return results

    def timed(self, feeds: Sequence[np.ndarray], slabs: list[np.ndarray], clocks: Clocks) -> list[np.ndarray]:
        """As `run`, on the same rows, with their times added to `clocks`."""
        start = time.perf_counter()
        with clocks.lock:
            if clocks.lease is None:
                clocks.lease = self._new_lease(clocks)
            results = self._run(clocks.lease, feeds, slabs)
            clocks.note(start, time.perf_counter())
        return results

    def _run(self, lease: Lease, feeds: Sequence[np.ndarray], slabs: list[np.ndarray]) -> list[np.ndarray]:
        slab = _borrow(slabs, self.arena_bytes)
        results = [np.empty(shape, dtype) for shape, dtype in self.outputs]
        bases = lease.bases
        for position, index in self._feeds:
            bases[position] = feeds[index].__array_interface__["data"][0]
        for position, index in self._results:
            bases[position] = results[index].__array_interface__["data"][0]
        bases[self._arena] = slab.__array_interface__["data"][0]
        versions = tuple(storage.version for storage in self._read)
        try:
            lease.run(self.lasting if versions == self._seen else 0)
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


def _borrow(slabs: list[np.ndarray], nbytes: int) -> np.ndarray:
    """An idle slab of at least `nbytes`, or a new one; smaller idle ones are let go."""
    while (slab := _popped(slabs)) is not None:
        if slab.nbytes >= nbytes:
            return slab
    try:
        return aligned_empty((max(nbytes, 64),), np.uint8)
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
