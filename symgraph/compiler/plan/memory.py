"""All memory that a Program touches, while it is being planned.

Buffers count from *bases*: numbers from 0 are memory that exists (feeds, outputs, variables), negative ones
temporaries that will lie in the arena, and those from `_LOOP_VIEWS` on views that move with the turns of a
loop.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import numpy as np

from symgraph.compiler.plan.arena import Lifetime, pack
from symgraph.compiler.plan.gangs import PlannedRow, gather
from symgraph.compiler.program.program import Base, Program
from symgraph.compiler.program.starts import Start
from symgraph.compiler.program.works import Draft, Inventory, Piece
from symgraph.graph.dims import Unknown
from symgraph.graph.leaves import Storage, aligned_empty
from symgraph.graph.tensor import Tensor
from symgraph.kernels.run.buffer import Buffer, contiguous_strides
from symgraph.kernels.run.machine import Address, Branch, Loop, Row
from symgraph.kernels.run.turns import Moving, sequence_row

_LOOP_VIEWS = 1 << 40


@dataclass
class Temporary:
    """A buffer of the arena before it has a place: `uses` counts readers that are still to come."""

    nbytes: int
    uses: int = 0


@dataclass(frozen=True)
class _LoopView:
    """A view that starts `offset` bytes into `base` and moves by `stride` a turn of loop number `depth`."""

    base: int
    offset: int
    stride: int
    depth: int
    starts: tuple[Start, ...] = ()
    """Where a slice of `base` starts is known when a call is made; such a view does not move with turns."""


class Memory:
    """Bases, temporaries, and the rows and loops that use them.

    Attributes
    ----------
    bases : list of Base
    temporaries : dict of int to Temporary
    planned : list of PlannedRow
        The rows so far.
    lasting : list of PlannedRow
        Rows that come before all others, and run again only after variables have changed.

    Parameters
    ----------
    pinned : bool
        Whether every temporary has memory of its own, and rows run one by one, in the order of the nodes.
    """

    def __init__(self, pinned: bool = False) -> None:
        self.pinned = pinned
        self.bases: list[Base] = []
        self.temporaries: dict[int, Temporary] = {}
        self.planned: list[PlannedRow] = []
        self.lasting: list[PlannedRow] = []
        self._drafts: list[Draft] = []
        self._loop_views: list[_LoopView] = []
        self._blocks: list[Loop | Branch] = []
        self._depth = 0
        self._moved: dict[tuple[int, tuple[Start, ...]], Base] = {}

    def external(self, base: Base, shape: tuple[int, ...], dtype: str) -> Buffer:
        """A buffer of memory that exists when the Program runs."""
        self.bases.append(base)
        kind = np.dtype(dtype)
        return Buffer(len(self.bases) - 1, 0, shape, contiguous_strides(shape, kind.itemsize), kind)

    def temporary(self, shape: Sequence[int], dtype: np.dtype | type | str) -> Buffer:
        """A buffer in the arena."""
        kind = np.dtype(dtype)
        number = -1 - len(self.temporaries)
        buffer = Buffer(number, 0, tuple(shape), contiguous_strides(tuple(shape), kind.itemsize), kind)
        self.temporaries[number] = Temporary(buffer.nbytes)
        return buffer

    def kept(self, shape: Sequence[int], dtype: np.dtype | type | str) -> Buffer:
        """A buffer that keeps its contents between calls."""
        array = aligned_empty(shape, dtype)
        return self.external(Base("array", array=array), array.shape, array.dtype.name)

    def moving(self, buffer: Buffer, stride: int = 0) -> Buffer:
        """`buffer` in the first turn of the loop that is open, `stride` bytes further on in each next one."""
        self._loop_views.append(_LoopView(buffer.base, buffer.offset, stride, self._depth - 1))
        return replace(buffer, base=_LOOP_VIEWS + len(self._loop_views) - 1, offset=0, room=None)

    def starting(self, buffer: Buffer, starts: Sequence[Start]) -> Buffer:
        """`buffer`, moved to the starts that each call finds out."""
        self._loop_views.append(_LoopView(buffer.base, buffer.offset, 0, -1, tuple(starts)))
        real = self._real(buffer.base)[0]
        if real in self.temporaries:
            # Views are not seen among its readers: nothing takes its place.
            self.temporaries[real].uses += 1_000_000
        return replace(buffer, base=_LOOP_VIEWS + len(self._loop_views) - 1, offset=0, room=None)

    @contextmanager
    def loop(self, turns: int, until: Buffer | None = None) -> Iterator[None]:
        """The rows that are appended inside run `turns` times, or until the bool at `until` is true."""
        first = len(self.planned)
        self._depth += 1
        yield
        self._depth -= 1
        if len(self.planned) > first:
            stop = None if until is None else until.address
            self._blocks.append(Loop(first, len(self.planned), turns, stop))

    @contextmanager
    def branch(self, condition: Buffer) -> Iterator[Callable[[], None]]:
        """The rows that are appended inside run if the bool at `condition` is true.

        Those after a call of what this gives run if it is false.
        """
        first = middle = len(self.planned)

        def turn_over() -> None:
            nonlocal middle
            middle = len(self.planned)

        yield turn_over
        if len(self.planned) > first:
            self._blocks.append(Branch(first, middle, len(self.planned), condition.address))

    @contextmanager
    def turning(self) -> Iterator[None]:
        """Views that are made inside move with the turns of a loop within one row."""
        self._depth += 1
        yield
        self._depth -= 1

    def loop_row(
        self,
        name: str,
        tiles: Sequence[Sequence[Row]],
        turns: int,
        chunks: int,
        node: Tensor,
        inputs: Sequence[Buffer],
        outputs: Sequence[Buffer],
        flops: float,
    ) -> None:
        """A loop whose tiles are rows of their own, as one row, or as `chunks` of them for its turns.

        Call it inside `turning`.
        """
        moving = [[(row, list(map(self._turned, row.operands))) for row in tile] for tile in tiles]
        found = [o for tile in moving for _, given in tile for o in given if isinstance(o, Moving)]
        bases = {self._behind(o.address.base) for o in found}
        written = {b.base for b in outputs}
        read = {b.base for b in inputs} - written
        work = flops + sum(b.nbytes for b in (*inputs, *outputs))
        self._drafts.append(Draft(node, 0, tuple(inputs), tuple(outputs), int(flops), depth=self._depth - 1))
        for first, end in pairwise(i * turns // chunks for i in range(chunks + 1)):
            self.planned.append(
                PlannedRow(
                    replace(sequence_row(name, moving, first, end - first), node=node),
                    frozenset(map(self._name, bases & read)),
                    frozenset(map(self._name, bases - read)),
                    work / chunks,
                    sum(b.nbytes for b in outputs),
                    len(self._drafts) - 1,
                )
            )

    def _turned(self, operand: int | Address) -> Moving | int:
        """An operand of a row within such a loop."""
        if not isinstance(operand, Address):
            return operand
        _, _, moves = self._real(operand.base)
        return Moving(operand, sum(stride for loop, stride in moves if loop == self._depth - 1))

    def _behind(self, base: int) -> int:
        """What a view that moves in the open loop is a view of."""
        base = self._unmoved(base)
        view = self._loop_views[base - _LOOP_VIEWS] if base >= _LOOP_VIEWS else None
        return view.base if view is not None and view.depth == self._depth - 1 else base

    def append(
        self,
        rows: Sequence[Row],
        node: Tensor,
        inputs: Sequence[Buffer],
        outputs: Sequence[Buffer],
        flops: float = 0,
        number: int = 0,
        kind: str = "op",
    ) -> None:
        """Rows of one node, or of slice `number` of it, as planned; `kind` is that of `works.Work`.

        What is no input is written: results, and scratch between its rows.
        """
        written = {b.base for b in outputs}
        read = {b.base for b in inputs} - written
        work = flops + sum(b.nbytes for b in (*inputs, *outputs))
        self._drafts.append(Draft(node, number, tuple(inputs), tuple(outputs), int(flops), kind, self._depth))
        for row in rows:
            bases = {operand.base for operand in row.operands if isinstance(operand, Address)}
            (self.lasting if row.lasting else self.planned).append(
                PlannedRow(
                    replace(row, node=node, slice=number),
                    frozenset(map(self._name, bases & read)),
                    frozenset(map(self._name, bases - read)),
                    work / len(rows),
                    sum(b.nbytes for b in outputs),
                    len(self._drafts) - 1,
                )
            )

    def note_block(
        self, node: Tensor, inputs: Sequence[Buffer], outputs: Sequence[Buffer], first: int
    ) -> None:
        """The rows from number `first` on are those of a loop or choice."""
        span = first, len(self.planned)
        self._drafts.append(Draft(node, 0, tuple(inputs), tuple(outputs), 0, "block", self._depth, span))

    def array(self, buffer: Buffer) -> np.ndarray | None:
        """The array (of a variable or constant) that a buffer lies in."""
        base = self._unmoved(buffer.base)
        return self.bases[base].array if 0 <= base < _LOOP_VIEWS else None

    def _unmoved(self, base: int) -> int:
        """The base that slices, whose starts calls find out, are parts of."""
        while base >= _LOOP_VIEWS and self._loop_views[base - _LOOP_VIEWS].starts:
            base = self._loop_views[base - _LOOP_VIEWS].base
        return base

    def _name(self, base: int) -> Hashable:
        """What tells whether two bases are the same memory: a variable may have several.

        Views that move are apart from each other within a turn.
        """
        base = self._unmoved(base)
        array = self.bases[base].array if 0 <= base < _LOOP_VIEWS else None
        return base if array is None else ("array", id(array))

    # Packing

    def program(
        self,
        outputs: Sequence[tuple[tuple[int, ...], str]],
        guarded: int,
        threads: int,
        read: Sequence[Storage],
        changed: Sequence[Storage],
        sizes: Mapping[Unknown, int],
    ) -> Program:
        """Everything in its place.

        Rows from number `guarded` on are the update tail. `read` are the variables that lasting rows read,
        `changed` those that are updated.
        """
        cuts = sorted({0, guarded, len(self.planned), *(n for block in self._blocks for n in block.edges)})
        gangs: list[list[PlannedRow]] = []
        for start, end in pairwise(cuts):
            gangs += self._gathered(self.planned[start:end])
        lifetimes, owners = self._lifetimes(gangs)
        offsets, size = pack(lifetimes)
        self._moved = self._moved_bases()
        depths = self._depths()
        first = self._gathered(self.lasting)
        every = [*first, *gangs]
        rows = [
            replace(planned.row, operands=tuple(self._resolved(o, offsets, 0) for o in planned.row.operands))
            for gang in first
            for planned in gang
        ]
        ahead = len(rows)
        starts = list(accumulate(map(len, gangs), initial=ahead))
        for gang in gangs:
            for planned in gang:
                depth = depths[len(rows) - ahead] if depths else 0
                operands = tuple(self._resolved(o, offsets, depth) for o in planned.row.operands)
                rows.append(replace(planned.row, operands=operands))
        return Program(
            rows,
            [*self.bases, Base("arena"), *self._moved.values()],
            outputs,
            arena_bytes=size,
            buffer_bytes=sum(life.nbytes for life in lifetimes.values()),
            guarded=guarded + ahead,
            threads=threads,
            gangs=[len(gang) for gang in every],
            blocks=self._placed_blocks(offsets, ahead),
            lasting=ahead,
            read=read,
            changed=changed,
            sizes=sizes,
            inventory=Inventory(
                self._drafts,
                [planned.work_number for gang in every for planned in gang],
                lambda row: depths[row - ahead] if depths and row >= ahead else 0,
                lambda address, depth: self._placed(address, offsets, depth),
                lambda: _pieces(lifetimes, owners, offsets, starts),
                ahead,
            ),
        )

    def _gathered(self, rows: Sequence[PlannedRow]) -> list[list[PlannedRow]]:
        return [[row] for row in rows] if self.pinned else gather(rows)

    def _loops(self) -> list[Loop]:
        return [block for block in self._blocks if isinstance(block, Loop)]

    def _depths(self) -> list[int]:
        """How many loops are around each row; nothing where there are no loops."""
        loops = self._loops()
        if not loops:
            return []
        depths = np.zeros(len(self.planned), int)
        for loop in loops:
            depths[loop.first : loop.end] += 1
        return [int(d) for d in depths]

    def _placed_blocks(self, offsets: Mapping[int, int], ahead: int) -> list[Loop | Branch]:
        """Loops and branches with all rows `ahead` further on, and conditions as they will be."""
        placed: list[Loop | Branch] = []
        for number, block in enumerate(self._blocks):
            moved = replace(block, first=block.first + ahead, end=block.end + ahead)
            # Blocks that end later, and come later in the list, may be around it.
            around = [b for b in self._blocks[number + 1 :] if b.first <= block.first < b.end]
            depth = sum(isinstance(b, Loop) for b in around)
            if isinstance(moved, Branch):
                condition = self._placed(moved.condition, offsets, depth)
                moved = replace(moved, otherwise=moved.otherwise + ahead, condition=condition)
            elif moved.until is not None:
                moved = replace(moved, until=self._placed(moved.until, offsets, depth))
            placed.append(moved)
        return placed

    def _real(self, base: int) -> tuple[int, int, list[tuple[int, int]]]:
        """The base that a moving one is a view of, the offset there, and (loop number, stride) pairs."""
        offset, strides = 0, []
        while base >= _LOOP_VIEWS:
            view = self._loop_views[base - _LOOP_VIEWS]
            offset += view.offset
            strides.append((view.depth, view.stride))
            base = view.base
        return base, offset, strides

    def _placed(self, address: Address, offsets: Mapping[int, int], depth: int) -> Address:
        place = self._resolved(address, offsets, depth)
        assert isinstance(place, Address)
        return place

    def _resolved(self, operand: int | Address, offsets: Mapping[int, int], depth: int) -> int | Address:
        """An address as it will be: counted from memory that exists, or from the arena."""
        if not isinstance(operand, Address):
            return operand
        base, offset, moves = self._real(operand.base)
        strides = [0] * depth if any(stride for _, stride in moves) else []
        for loop, stride in moves:
            # Further in there is only a loop within one row, which moves what it reads itself.
            if stride and loop < depth:
                strides[loop] += stride
        offset += operand.offset
        if base < 0:
            base, offset = len(self.bases), offset + offsets[base]
        starts = self._starts(operand.base)
        if starts:
            base = len(self.bases) + 1 + list(self._moved).index((base, starts))
        return Address(base, offset, tuple(strides))

    def _starts(self, base: int) -> tuple[Start, ...]:
        """The starts of all slices that a base is a part of."""
        starts: tuple[Start, ...] = ()
        while base >= _LOOP_VIEWS:
            view = self._loop_views[base - _LOOP_VIEWS]
            starts += view.starts
            base = view.base
        return starts

    def _moved_bases(self) -> dict[tuple[int, tuple[Start, ...]], Base]:
        """The bases of slices whose starts calls find out."""
        moved = {}
        for number in range(len(self._loop_views)):
            starts = self._starts(_LOOP_VIEWS + number)
            if starts:
                base = self._real(_LOOP_VIEWS + number)[0]
                index = len(self.bases) if base < 0 else base
                moved[index, starts] = Base("moved", index, starts=starts)
        return moved

    def _lifetimes(
        self, gangs: Sequence[Sequence[PlannedRow]]
    ) -> tuple[dict[int, Lifetime], dict[int, Tensor]]:
        """Lifetimes of temporaries, in gangs, and the node that is the first to use each.

        What a loop shares with the world around it, or with its other turns, lives all through the loop.
        """
        first: dict[int, int] = {}
        last: dict[int, int] = {}
        owners: dict[int, Tensor] = {}
        shared: dict[int, set[int]] = {}
        starts: list[int] = []
        count = 0
        for index, gang in enumerate(gangs):
            starts.append(count)
            count += len(gang)
            for node, operand in ((planned.row.node, o) for planned in gang for o in planned.row.operands):
                if isinstance(operand, Address):
                    base = self._real(operand.base)[0]
                    if base < 0:
                        first.setdefault(base, index)
                        owners.setdefault(base, node)
                        last[base] = index
                        if operand.base != base:
                            shared.setdefault(base, set()).add(index)
        for block in self._blocks:
            # A condition is read where its branch starts, or its loop ends.
            read = block.condition if isinstance(block, Branch) else block.until
            if read is not None and (base := self._real(read.base)[0]) < 0:
                at = block.first if isinstance(block, Branch) else block.end - 1
                index = int(np.searchsorted(starts, at, "right")) - 1
                first.setdefault(base, index)
                last[base] = max(last.get(base, index), index)
        edges = [(loop, np.searchsorted(starts, [loop.first, loop.end])) for loop in self._loops()]
        for _, (start, end) in edges:
            for base, made in first.items():
                inside = made < end and last[base] >= start
                across = made < start or last[base] >= end
                carried = any(start <= index < end for index in shared.get(base, ()))
                if inside and (across or carried):
                    first[base], last[base] = min(made, int(start)), max(last[base], int(end) - 1)
        if self.pinned:
            first, last = dict.fromkeys(first, 0), dict.fromkeys(first, max(len(gangs) - 1, 0))
        lifetimes = {
            base: Lifetime(self.temporaries[base].nbytes, index, last[base]) for base, index in first.items()
        }
        return lifetimes, owners


def _pieces(
    lifetimes: Mapping[int, Lifetime],
    owners: Mapping[int, Tensor],
    offsets: Mapping[int, int],
    starts: Sequence[int],
) -> tuple[Piece, ...]:
    """The arena's pieces; `starts` are the first rows of gangs, by which lifetimes count."""
    return tuple(
        Piece(offsets[base], life.nbytes, starts[life.first], starts[life.last + 1] - 1, owners[base])
        for base, life in lifetimes.items()
    )
