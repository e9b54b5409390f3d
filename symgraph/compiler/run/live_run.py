"""Observing the values of a call while it runs.

An observed call runs a *pinned* Program (see `planner.Mode`) row by row: the same kernels on the same tiles,
so its results are bit-identical, but every value stays where it was written, and new values of variables are
stored last. An error before that leaves the variables as they were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from symgraph.compiler.program.program import Program, Slab
from symgraph.compiler.program.works import Work
from symgraph.compiler.run.named_graph import NamedGraph
from symgraph.graph.dims import Unknown
from symgraph.graph.leaves import Constant, DimValue, Placeholder, VariableRead
from symgraph.graph.tensor import Tensor
from symgraph.kernels.run.buffer import Buffer, array_at
from symgraph.kernels.run.machine import Branch, Lease, Loop


class Observer(Protocol):
    """An observer of values while a call runs.

    One with a true attribute `sees_stages` also observes what runs before to find sizes (see `lower.Stage`).
    """

    def begin(self, run: LiveRun) -> None:
        """Before the first row."""

    def done(self, run: LiveRun, work: Work) -> None:
        """After the last row of a work; inside a loop, in every turn."""

    def end(self, run: LiveRun) -> None:
        """When all rows have run, and new values of variables are stored."""


OBSERVERS: ContextVar[tuple[Observer, ...]] = ContextVar("symgraph_observers", default=())
"""The observers of all calls of this thread (or task)."""


@dataclass(frozen=True)
class Turn:
    """A turn, counted from 0, of a loop of `turns`; `loop` is the id of its node.

    `turns` is 0 for a loop that its body ends.
    """

    number: int
    turns: int
    loop: str

    def __str__(self) -> str:
        of = f" of {self.turns}" if self.turns else ""
        return f"turn {self.number + 1}{of} of the loop {self.loop}"


class LiveRun:
    """One call of a pinned Program while it runs.

    Attributes
    ----------
    graph, program
        What runs.
    feeds : list of array
        What it was fed with.
    sizes : dict of Unknown to int
        The sizes of this call.
    notes : dict of int to anything
        For observers, by their identity: several calls may run at once.
    """

    def __init__(
        self,
        graph: NamedGraph,
        program: Program,
        feeds: Sequence[np.ndarray],
        sizes: Mapping[Unknown, int] | None = None,
    ) -> None:
        self.graph = graph
        self.program = program
        self.feeds = list(feeds)
        self.sizes = program.sizes if sizes is None else {**program.sizes, **sizes}
        self._observers: tuple[Observer, ...] = ()
        self._lease: Lease | None = None
        self.notes: dict[int, Any] = {}

    def observed_by(self, observers: Sequence[Observer], slabs: list[Slab]) -> list[np.ndarray]:
        """Run, and show `observers` what is done. What they raise ends the call, and nothing is stored."""
        for observer in observers:
            observer.begin(self)
        self._observers = tuple(observers)
        last = self._last_rows
        works = self.program.inventory.works

        def after(lease: Lease, row: int) -> None:
            self._lease = lease
            for number in last.get(row, ()):
                if works[number].kind != "block" or self._is_over(works[number], row):
                    for observer in self._observers:
                        observer.done(self, works[number])

        results = self.program.stepped(self.feeds, slabs, after, self.sizes)
        for observer in observers:
            observer.end(self)
        return results

    @cached_property
    def _last_rows(self) -> dict[int, list[int]]:
        """The numbers of the works that end with each row."""
        found: dict[int, list[int]] = {}
        for number, work in enumerate(self.program.inventory.works):
            own = work.rows
            ends = self._ends(*work.span) if work.kind == "block" else {max(own)} if own else ()
            for end in ends:
                found.setdefault(end, []).append(number)
        return found

    def _ends(self, first: int, end: int) -> set[int]:
        """The rows of a block that may be the last one to run: each side of a choice has its own."""
        ends = {end - 1} if end > first else set()
        for block in self.program.blocks:
            if isinstance(block, Branch) and first <= block.first and block.otherwise < block.end == end:
                ends |= self._ends(first, block.otherwise)
        return ends

    def _is_over(self, block: Work, row: int) -> bool:
        """Whether all loops of a block are in their last turn."""
        assert self._lease is not None
        first, end = block.span
        return all(
            number == loop.turns - 1 or self._is_ended(loop)
            for loop, number in self.program.turns(self._lease, row)
            if first <= loop.first and loop.end <= end
        )

    def _is_ended(self, loop: Loop) -> bool:
        """Whether the body of a loop has said that its turn is the last one."""
        if loop.until is None:
            return False
        assert self._lease is not None
        base, offset, _ = loop.until
        flag = Buffer(base, offset, (), (), np.dtype(bool))
        return bool(array_at(int(self._lease.bases[base]) + offset, flag))

    @cached_property
    def _works(self) -> dict[int, list[Work]]:
        found: dict[int, list[Work]] = {}
        for work in self.program.inventory.works:
            found.setdefault(id(work.node), []).append(work)
        return found

    def works_of(self, node: Tensor) -> list[Work]:
        """What is done for a node, in order."""
        return self._works.get(id(node), [])

    @property
    def own_feeds(self) -> list[np.ndarray]:
        """What the caller has fed, without what a stage before has made."""
        return self.feeds[: len(self.graph.lowered.wanted.inputs)]

    # Values

    def inputs(self, work: Work) -> list[np.ndarray]:
        """The arrays that a work that is just done has read: views, good until the next row runs."""
        return self._arrays(work, work.inputs, work.strides[: len(work.inputs)])

    def outputs(self, work: Work, after: Work | None = None) -> list[np.ndarray]:
        """The arrays that it has written: views, good until the next row runs.

        Of a view, which has no rows, after another work that has.
        """
        return self._arrays(after or work, work.outputs, work.strides[len(work.inputs) :])

    def _arrays(
        self, work: Work, buffers: Sequence[Buffer], strides: Sequence[tuple[int, ...]]
    ) -> list[np.ndarray]:
        assert self._lease is not None
        numbers = [number for _, number in self._turn_numbers(work)]
        found = []
        for buffer, moves in zip(buffers, strides, strict=True):
            moved = sum(n * s for n, s in zip(numbers, moves, strict=False))
            found.append(array_at(int(self._lease.bases[buffer.base]) + buffer.offset + moved, buffer))
        return found

    def turns(self, work: Work) -> tuple[Turn, ...]:
        """Where in the loops around it a work is, the outermost first."""
        loops = self.graph.ids.loops(work.node)
        return tuple(
            Turn(number, loop.turns if loop.until is None else 0, name)
            for (loop, number), name in zip(self._turn_numbers(work), loops, strict=False)
        )

    def _turn_numbers(self, work: Work) -> list[tuple[Loop, int]]:
        """The loops around a work, the outermost first, with the numbers of their turns."""
        if not self.program.blocks:
            return []
        assert self._lease is not None
        if work.kind != "block":
            return self.program.turns(self._lease, work.rows[-1]) if work.rows else []
        first, end = work.span
        around = self.program.turns(self._lease, max(end - 1, 0))
        return [(loop, n) for loop, n in around if loop.first < first or loop.end > end]

    def leaf(self, node: Tensor) -> np.ndarray | None:
        """The value of an input, variable, constant or size of the graph; None for other nodes."""
        op = node.op
        if isinstance(op, Placeholder):
            known = [i for i, t in enumerate(self.graph.lowered.inputs) if t is node]
            return self.feeds[known[0]] if known else None
        if isinstance(op, VariableRead):
            return op.storage.array
        if isinstance(op, Constant):
            return op.array
        return op.value(self.sizes) if isinstance(op, DimValue) else None
