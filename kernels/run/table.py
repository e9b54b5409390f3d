"""What the Program machine walks: rows, the loops and branches around them, and the table they become."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from symgraph.kernels.run.jit import Kernel

# The words of a row in the table: kernel, number of its first operand, tiles; then, for the first row of a
# gang, how many rows it has and how many tiles in all.
ENTRY, OPERAND, ROW_TILES, GANG_ROWS, GANG_TILES, ROW_WORDS = range(6)
# In the place of a control row's turns: Python has to be called.
HOST = -1


class Address(NamedTuple):
    """A place in memory: `offset` bytes into base number `base` of the call.

    Inside loops it moves: `strides` are bytes a turn of each loop around it, the outermost first.
    """

    base: int
    offset: int
    strides: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One kernel call: entry, operands (int, or Address), and how many tiles it is cut into.

    `node` is whatever the maker of the row wants to find again (for errors, listings and profiles), `slice`
    the number of the slice of samples where one node's work is done in several. What a `lasting` row makes
    stays good as long as the variables that it reads.
    """

    kernel: Kernel | Host
    operands: tuple[int | Address, ...]
    tiles: int = 1
    node: Any = None
    slice: int = 0
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Loop:
    """Rows from number `first` up to `end` run `turns` times (at least once). Loops nest, or lie apart.

    With `until` they run no more once the byte there is not 0 at the end of a turn.
    """

    first: int
    end: int
    turns: int
    until: Address | None = None

    @property
    def edges(self) -> tuple[int, ...]:
        """The numbers of rows before which something begins or ends."""
        return self.first, self.end


@dataclass(frozen=True, slots=True)
class Branch:
    """Rows from number `first` up to `otherwise` run if the byte at `condition` is not 0, else those after.

    These go up to `end`; one of the two lists may be empty. Branches and loops nest, or lie apart.
    """

    first: int
    otherwise: int
    end: int
    condition: Address

    @property
    def edges(self) -> tuple[int, ...]:
        """The numbers of rows before which something begins or ends."""
        return self.first, self.otherwise, self.end


@dataclass(frozen=True, eq=False, slots=True)
class Host:
    """A Python function in the place of a kernel: it gets the row's operands, with absolute addresses.

    A ValueError of a function that is `named` tells what is wrong with its operands: the caller gets it with
    the name and place of the row. All others reach the caller as they are.
    """

    name: str
    call: Callable[[Sequence[int]], None]
    named: bool = False
    errors: Mapping[int, str] = field(default_factory=dict)
    address: int = 0
    compile_seconds: float = 0.0
    loaded_at: float = 0.0


class Table:
    """Rows made flat: what the machine walks. Immutable; every call runs on a `Lease` of it.

    Parameters
    ----------
    rows : sequence of Row
    threads : int
        Threads that share the tiles of a row.
    guarded : int, optional
        From this row on the machine does not stop at a deadline (the update rows).
    gangs : sequence of int, optional
        How many rows, one after the other, each gang has. Without it every row is one. No gang reaches over
        the edge of a loop.
    blocks : sequence of Loop or Branch, optional
        Inner ones before those around them.

    Attributes
    ----------
    rows : tuple of Row or None
        In the machine's order: None for the rows that control loops and branches.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        threads: int,
        guarded: int | None = None,
        gangs: Sequence[int] | None = None,
        blocks: Sequence[Loop | Branch] = (),
    ) -> None:
        self.threads = threads
        gangs = [1] * len(rows) if gangs is None else gangs
        assert sum(gangs) == len(rows), "every row is in one gang"
        heads = {first: size for first, size in zip(accumulate(gangs, initial=0), gangs, strict=False)}
        maker = _TableMaker()
        edges = {number for block in blocks for number in block.edges}
        self.guarded = 0
        for number in range(len(rows) + 1):
            if number in edges:
                maker.pass_edge(number, blocks)
            if number == (len(rows) if guarded is None else guarded):
                self.guarded = len(maker.rows)
            if number < len(rows):
                size = heads.get(number, 0)
                maker.add(rows[number], size, sum(r.tiles for r in rows[number : number + size]))
        self.rows = tuple(maker.rows)
        self.table = np.array(maker.table, np.int64).reshape(-1, ROW_WORDS)
        self.words = np.array(maker.words, np.int64)
        self.patches = np.array(maker.patches, np.int64).reshape(-1, 3)


class _TableMaker:
    """A table while rows and edges of blocks are added to it."""

    def __init__(self) -> None:
        self.rows: list[Row | None] = []
        self.table: list[tuple[int, int, int, int, int]] = []
        self.words: list[int] = []
        self.patches: list[tuple[int, int, int]] = []
        # (machine row, word, strides) of each address that moves.
        self._moving: list[tuple[int, int, tuple[int, ...]]] = []
        # Where loops that are open start, and the word of each open branch that has to be told a row.
        self._starts: dict[int, int] = {}
        self._open: dict[int, int] = {}

    def add(self, row: Row, gang_rows: int, gang_tiles: int) -> None:
        self.table.append((row.kernel.address, len(self.words), row.tiles, gang_rows, gang_tiles))
        self._append([0, HOST, *row.operands] if isinstance(row.kernel, Host) else row.operands)
        self.rows.append(row)

    def pass_edge(self, number: int, blocks: Sequence[Loop | Branch]) -> None:
        """Before row `number`: close the blocks that end there, inner ones first; open those that start."""
        for key, block in enumerate(blocks):
            if isinstance(block, Branch) and block.first < number == block.otherwise < block.end:
                self._jump(key)
            if block.end == number:
                if isinstance(block, Loop):
                    self._end_loop(block, self._starts.pop(key))
                else:
                    self.words[self._open.pop(key)] = len(self.rows)
        for key, block in reversed([*enumerate(blocks)]):
            if block.first != number:
                continue
            if isinstance(block, Loop):
                self._starts[key] = len(self.rows)
            else:
                self._control([0, 0, block.condition])
                self._open[key] = len(self.words) - 3
                if block.otherwise == number:
                    self._jump(key)

    def _jump(self, key: int) -> None:
        """Between the two lists of a branch: from the end of the first one to that of the second."""
        start = self._open[key]
        self._control([0, 0, 0])
        self._open[key] = len(self.words) - 3
        self.words[start] = len(self.rows)

    def _end_loop(self, loop: Loop, start: int) -> None:
        """A control row. The strides' last entry belongs to the innermost loop: this takes it away."""
        pairs: list[int] = []
        left: list[tuple[int, int, tuple[int, ...]]] = []
        for row, word, strides in self._moving:
            if row < start:
                left.append((row, word, strides))
                continue
            if strides[-1]:
                pairs += [word, strides[-1]]
            if strides[:-1]:
                left.append((row, word, strides[:-1]))
        self._moving = left
        # The number of turns done is a word that every call starts from 0.
        self.patches.append((len(self.words) + 2, -1, 0))
        self._control([start, loop.turns, 0, loop.until or 0, len(pairs) // 2, *pairs])

    def _control(self, operands: Sequence[int | Address]) -> None:
        self.table.append((0, len(self.words), 1, 1, 1))
        self._append(operands)
        self.rows.append(None)

    def _append(self, operands: Sequence[int | Address]) -> None:
        for operand in operands:
            if isinstance(operand, Address):
                self.patches.append((len(self.words), operand.base, operand.offset))
                if operand.strides:
                    self._moving.append((len(self.rows), len(self.words), operand.strides))
                self.words.append(0)
            else:
                self.words.append(operand)
