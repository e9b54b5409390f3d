"""The register tile of products: its size, the choice of it, and what may follow a product."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from symgraph.kernels.run.choices import choices
from symgraph.kernels.run.target import TARGET

# Addresses so far apart share a set of the L1 cache, on the processors that are known.
_SET_PERIOD = 4096
_MANY_ROWS = 64


@dataclass(frozen=True, slots=True)
class Block:
    """Size of the register tile: `rows` of A times `vectors` vectors of columns of B.

    `along` tells what is contiguous in A: its "depth" (each row is a run) or its "rows" (A is transposed).
    """

    dtype: str
    rows: int
    vectors: int
    along: str = "depth"

    @property
    def size(self) -> int:
        """Bytes of an element."""
        return np.dtype(self.dtype).itemsize

    @property
    def lanes(self) -> int:
        """Elements in a vector."""
        return TARGET.lanes(self.size)

    @property
    def vector_bytes(self) -> int:
        """Bytes of a vector."""
        return self.lanes * self.size

    @property
    def width(self) -> int:
        """Columns of the block."""
        return self.vectors * self.lanes

    @property
    def line(self) -> int:
        """Bytes of a line of packed B."""
        return self.width * self.size


def row_limit(vectors: int) -> int:
    """Most rows whose accumulators fit in the registers next to one depth of B and a broadcast value."""
    return min((TARGET.registers - 1) // vectors - 1, 14)


def rows_side_by_side(rows: int, step: int) -> int:
    """Most rows of a block of A's `rows`, `step` bytes apart, whose lines of cache stay in L1 together.

    A line of a row serves many steps of the depth. Lines 4 KiB apart compete for the 8 places (or more) of
    one set, which B passes through as well. Where there are few rows, reading B costs more than that.
    """
    return 7 * (_SET_PERIOD // math.gcd(step, _SET_PERIOD)) if rows >= _MANY_ROWS else 14


def step_cycles(rows: int, vectors: int) -> float:
    """Cycles of one step of the depth: multiply-adds against loads, and the latency of one multiply-add.

    With 32 registers a broadcast is a part of the multiply-add. With 16 it is an instruction of its own, and
    what is left over between the steps is not hidden; B comes from L2 where its panel is longer than L1. The
    numbers fit measurements of all blocks on Zen 3.
    """
    if TARGET.registers == 32:
        return max(rows * vectors / 2, (rows + vectors) / 2, 4.0)
    return max(0.535 * rows * vectors, 0.6 * (rows + vectors), TARGET.vector_bytes * vectors / 26, 4.35)


def choose_block(
    rows: int, columns: int, dtype: np.dtype, along: str = "depth", most_rows: int = 14
) -> Block:
    """The block that wastes least on a product of `rows` x `columns` (both >= 1), of `most_rows` at most.

    Rows are cut evenly: the last block of a line overlaps its neighbour, so an even cut wastes almost
    nothing. A block that is asked for (`choices.choosing`) is taken as far as the product reaches.
    """
    lanes = TARGET.lanes(dtype.itemsize)
    needed = -(-columns // lanes)
    wanted = choices().block
    if wanted:
        return Block(dtype.name, min(wanted[0], rows), min(wanted[1], needed), along)
    best: tuple[float, Block] | None = None
    for vectors in range(1, min(4, needed) + 1):
        limit = min(row_limit(vectors), most_rows)
        high = -(-rows // -(-rows // limit))
        panels = -(-needed // vectors)
        cost = step_cycles(high, vectors) * panels * -(-rows // high)
        if best is None or cost < best[0] * 0.999:
            best = cost, Block(dtype.name, high, vectors, along)
    assert best is not None
    return best[1]


def choose_direct_block(rows: int, columns: int, dtype: np.dtype, along: str = "depth") -> Block:
    """The block for so few rows that B passes by only once or twice: as wide as the registers allow."""
    high = -(-rows // -(-rows // row_limit(2)))
    needed = -(-columns // TARGET.lanes(dtype.itemsize))
    return Block(dtype.name, high, min(8, needed, (TARGET.registers - 1) // (high + 1)), along)


def split_epilogue(epilogue: str) -> tuple[str, str]:
    """Steps and activation of what follows a product.

    ``"relu"`` alone may follow a bias; ``"-*+ relu"`` follows one vector subtracted from each row of the
    result, one multiplied with it and one added to it, in that order.
    """
    steps, _, activation = epilogue.rpartition(" ")
    return steps, activation
