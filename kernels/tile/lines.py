"""Sums of lines of numbers, as vector code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from symgraph.kernels.tile.block import Block
from symgraph.kernels.tile.multiply import column_masks
from symgraph.kernels.tile.nest import Writer, load, store
from symgraph.kernels.tile.vector import Vec
from symgraph.kernels.tile.words import Word

SUM_STEPS = 4
"""Lines that are added up side by side."""


class Lines(NamedTuple):
    """What is added up: `count` lines of a block's width, `step` bytes apart, of which `columns` are stored.

    Where `load` is not 0, the sums are added to what is at `target`.
    """

    source: Word
    step: Word
    count: Word
    columns: Word
    target: Word
    load: Word


@dataclass(frozen=True, slots=True)
class SumLines:
    """Add up lines, of which all of the block's columns may be read: fills a slot of `Lines`."""

    block: Block

    def __call__(self, writer: Writer, lines: Lines) -> None:
        """Write the code."""
        block = self.block
        zero = writer.zero(block.dtype, block.lanes)
        cells = [[writer.variable(zero) for _ in range(block.vectors)] for _ in range(SUM_STEPS)]

        def add(number: Vec, row: int) -> None:
            for v, cell in enumerate(cells[row]):
                place = lines.source + lines.step * number + v * block.vector_bytes
                cell.set(cell.get() + load(place, block.dtype, block.lanes))

        whole = lines.count - lines.count.remainder(SUM_STEPS)
        with writer.loop(0, whole, SUM_STEPS) as i:
            for row in range(SUM_STEPS):
                add(i + row, row)
        with writer.loop(whole, lines.count) as i:
            add(i, 0)
        for v, mask in enumerate(column_masks(writer, block, lines.columns)):
            place = lines.target + v * block.vector_bytes
            first, *others = (row[v] for row in cells)
            for other in others:
                first.set(first.get() + other.get())
            with writer.when(lines.load.differs(0)):
                first.set(first.get() + load(place, block.dtype, block.lanes, mask))
            store(first.get(), place, mask)
