"""Sum of partial results: the second half of every product whose depth was shared among tiles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from symgraph.kernels.run.integers import share
from symgraph.kernels.run.jit import Kernel, numba_kernel
from symgraph.kernels.run.machine import Address, Row
from symgraph.kernels.run.target import TARGET
from symgraph.kernels.tile.block import split_epilogue
from symgraph.kernels.tile.multiply import ACTIVATIONS, apply_steps
from symgraph.kernels.tile.nest import Writer, each_vector, load, store
from symgraph.kernels.tile.vector import ITEMSIZE, Vec
from symgraph.kernels.tile.words import Word, filling, named, slot


class Partials(NamedTuple):
    """The words of a sum of partial results: `parts` arrays of `lines` x `columns`."""

    source: Word
    parts: Word
    part_step: Word
    source_row: Word
    target: Word
    target_row: Word
    lines: Word
    columns: Word
    bias: Word
    bias_step: Word
    # Laid out like the target: it is added before the activation. 0 where there is none.
    addend: Word
    accumulate: Word
    tiles: Word


class Line(NamedTuple):
    """One line of the sum. Where `load` is not 0, the target is added to."""

    source: Word
    parts: Word
    part_step: Word
    target: Word
    columns: Word
    # Vectors of the epilogue's steps (see `split_epilogue`), `bias_step` apart; a single bias may be 0.
    bias: Word
    bias_step: Word
    addend: Word
    load: Word


words, sum_line = named(Partials), slot(Line)


def partial_sum(operands, tile):
    """``target[i, j] (+)= sum over p of source[p, i, j]``, then bias per column and activation."""
    w = words(operands)
    first, end = share(tile, w.tiles, w.lines)
    for line in range(first, end):
        source, target = w.source + line * w.source_row, w.target + line * w.target_row
        addend = w.addend + line * w.target_row
        sum_line(
            Line(source, w.parts, w.part_step, target, w.columns, w.bias, w.bias_step, addend, w.accumulate)
        )
    return 0


@dataclass(frozen=True, slots=True)
class SumLine:
    """Adds up the parts of a line, from the first to the last: fills a slot of `Line`."""

    dtype: str
    epilogue: str
    added: bool = False

    def __call__(self, writer: Writer, line: Line) -> None:
        """Write the code."""
        lanes = TARGET.lanes(ITEMSIZE[self.dtype])
        each_vector(writer, line.columns, lanes, lambda at, mask: self._vector(writer, line, lanes, at, mask))

    def _vector(self, writer: Writer, line: Line, lanes: int, at: Vec, mask: Vec | None) -> None:
        dtype, offset = self.dtype, at * ITEMSIZE[self.dtype]
        steps, activation = split_epilogue(self.epilogue)
        total = writer.variable(writer.zero(dtype, lanes))
        target = line.target + offset
        with writer.when(line.load.differs(0)):
            total.set(load(target, dtype, lanes, mask))
        with writer.loop(0, line.parts) as part:
            total.set(total.get() + load(line.source + offset + part * line.part_step, dtype, lanes, mask))
        bias = line.bias + offset
        if not steps:
            with writer.when(line.bias.differs(0)):
                total.set(total.get() + load(bias, dtype, lanes, mask))
        vectors = [load(bias + line.bias_step * k, dtype, lanes, mask) for k in range(len(steps))]
        value = apply_steps(total.get(), steps, vectors)
        if self.added:
            value = value + load(line.addend + offset, dtype, lanes, mask)
        store(ACTIVATIONS[activation](value), target, mask)


@cache
def partial_sum_kernel(dtype: str, epilogue: str, added: bool = False) -> Kernel:
    """The kernel for one dtype and what follows the sum."""
    filled = SumLine(dtype, epilogue, added)
    name = f"partial_sum[{dtype}, {epilogue}{', added' if added else ''}]"
    slots = dict([filling(Line, filled)])
    return numba_kernel(name, partial_sum, filled, slots=slots, words=Partials)


def partial_sum_row(
    dtype: str,
    source: Address,
    parts: int,
    lines: int,
    columns: int,
    target: Address,
    target_row: int,
    *,
    bias: Address | int = 0,
    activation: str = "linear",
    addend: Address | int = 0,
    accumulate: bool = False,
    threads: int = 1,
) -> Row:
    """A row that sums `parts` contiguous [lines, columns] arrays at `source`; none give zeros.

    What lies at `addend`, like the target, is added behind the bias and before the activation.
    """
    size = ITEMSIZE[dtype]
    tiles = min(threads, lines) if parts * lines * columns > 2048 * TARGET.lanes(size) else 1
    operands = Partials(
        source=source,
        parts=parts,
        part_step=lines * columns * size,
        source_row=columns * size,
        target=target,
        target_row=target_row,
        lines=lines,
        columns=columns,
        bias=bias,
        bias_step=columns * size,
        addend=addend,
        accumulate=int(accumulate),
        tiles=max(1, tiles),
    )
    return Row(partial_sum_kernel(dtype, activation, addend != 0), operands, max(1, tiles))
