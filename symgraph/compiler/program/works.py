"""What a Program's rows are for and where its values lie: what inspection reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from symgraph.graph.tensor import Tensor
from symgraph.kernels.run.buffer import Buffer
from symgraph.kernels.run.machine import Address


@dataclass(frozen=True, eq=False)
class Work:
    """What one node, or slice number `slice` of it, has done by rows of a Program.

    `inputs` and `outputs` are its operands: their addresses count from the Program's bases, and move with the
    loops around. `rows` are the numbers of its rows, in the order in which they run; `flops` their
    floating-point operations in one turn. `kind` says what they do:

    - ``op``: what the node's op computes.
    - ``copy``: a value is brought to another place.
    - ``add``: the second input, a slice's part of a sum, is added to the first.
    - ``view``: nothing, there are none: the result lies in the input.
    - ``block``: all of a loop or choice. Its rows, from the first up to the second number of `span`, belong
      to the nodes inside.
    """

    node: Tensor
    slice: int
    inputs: tuple[Buffer, ...]
    outputs: tuple[Buffer, ...]
    flops: int
    kind: str
    rows: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]
    """For each input, then each output, bytes that it moves in a turn of each loop around the rows."""
    span: tuple[int, int] = (0, 0)


@dataclass(frozen=True, eq=False)
class Piece:
    """A piece of the arena, `offset` bytes into it, taken from row `first` to row `last`, both included.

    `node` is the first node that wrote to it.
    """

    offset: int
    nbytes: int
    first: int
    last: int
    node: Tensor


@dataclass(frozen=True, eq=False)
class Draft:
    """A `Work` while its operands may lie in temporaries: see there."""

    node: Tensor
    slice: int
    inputs: tuple[Buffer, ...]
    outputs: tuple[Buffer, ...]
    flops: int
    kind: str = "op"
    depth: int = 0
    """How many loops were open when it was planned."""
    span: tuple[int, int] = (0, 0)
    """Numbers of rows, where it is a block."""


class Inventory:
    """Works and arena of a Program. Built on first use: most Programs are never inspected.

    Attributes
    ----------
    works : tuple of Work
        In the order in which nodes were planned.
    arena : tuple of Piece
        By first row.
    """

    def __init__(
        self,
        drafts: Sequence[Draft],
        of_row: Sequence[int],
        depths: Callable[[int], int],
        resolve: Callable[[Address, int], Address],
        arena: Callable[[], tuple[Piece, ...]],
        ahead: int,
    ) -> None:
        self._ahead = ahead
        self._drafts = drafts
        self._of_row = of_row
        self._depths = depths
        self._resolve = resolve
        self._arena = arena

    @cached_property
    def works(self) -> tuple[Work, ...]:
        """See the class."""
        rows: list[list[int]] = [[] for _ in self._drafts]
        for number, draft in enumerate(self._of_row):
            rows[draft].append(number)
        return tuple(self._work(draft, tuple(own)) for draft, own in zip(self._drafts, rows, strict=True))

    def _work(self, draft: Draft, rows: tuple[int, ...]) -> Work:
        depth = self._depths(rows[0]) if rows else draft.depth
        buffers = [*draft.inputs, *draft.outputs]
        places = [self._resolve(b.address, depth) for b in buffers]
        found = [
            Buffer(place.base, place.offset, b.shape, b.strides, b.dtype)
            for b, place in zip(buffers, places, strict=True)
        ]
        count = len(draft.inputs)
        return Work(
            draft.node,
            draft.slice,
            tuple(found[:count]),
            tuple(found[count:]),
            draft.flops,
            draft.kind,
            rows,
            tuple(place.strides for place in places),
            (draft.span[0] + self._ahead, draft.span[1] + self._ahead),
        )

    @cached_property
    def arena(self) -> tuple[Piece, ...]:
        """See the class."""
        return self._arena()

    def work_of_row(self, row: int) -> int:
        """The number of the work that a row is part of."""
        return self._of_row[row]


def span(buffer: Buffer) -> int:
    """Bytes from a buffer's first element to the end of its last one."""
    if not buffer.size:
        return 0
    steps = [(size - 1) * abs(stride) for size, stride in zip(buffer.shape, buffer.strides, strict=True)]
    return int(np.sum(steps)) + buffer.dtype.itemsize
