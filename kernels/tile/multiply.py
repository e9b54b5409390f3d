"""Register-tiled multiply-add: the inner block of every matrix product and convolution, as vector code.

A block holds `rows` x `vectors` accumulators in registers. In each step of the depth it loads `vectors`
vectors of B and multiplies them with one broadcast value of A per row. B is packed: depth after depth,
`width` columns side by side, columns past the matrix filled with zeros, so the hot loop has no masks. A is
read where it lies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from symgraph.kernels.tile.block import Block
from symgraph.kernels.tile.nest import Variable, Writer, load, prefetch, store
from symgraph.kernels.tile.vector import Vec, transposed, where
from symgraph.kernels.tile.words import Word

ACTIVATIONS: dict[str, Callable[[Vec], Vec]] = {
    "linear": lambda x: x,
    # A NaN is not below zero and comes through.
    "relu": lambda x: where(x < 0.0, 0.0, x),
    "relu6": lambda x: where(x > 6.0, 6.0, where(x < 0.0, 0.0, x)),
}
"""Kernels that learn the activation from a word know it by its number in this order."""
LINE = 64
"""Bytes that come from memory at once."""

Masks = Sequence[Vec | None]


class Tile(NamedTuple):
    """Where one block works. Steps and offsets are bytes.

    The depth is `runs` runs of `depth` steps, of which those before `first_run` are left out; run r of A
    starts `run_step` * r behind `a`, or as far as number r of the list at `run_offsets` tells. Rows below
    `skip` are computed but not stored (they belong to the block before). `columns` of the block's width exist
    in C. Where `load` is not 0, C is added to; where `last` is not 0, bias and activation are due.
    """

    a: Word
    row_step: Word
    depth_step: Word
    first_run: Word
    runs: Word
    run_step: Word
    run_offsets: Word
    depth: Word
    b: Word
    b_step: Word
    c: Word
    c_step: Word
    columns: Word
    skip: Word
    load: Word
    last: Word
    # Vectors of the epilogue's steps (see `split_epilogue`), `bias_step` apart; a single bias may be 0.
    bias: Word
    bias_step: Word
    # The number of the activation, see `activation_number`.
    activation: Word
    # Laid out like C: results are stored where the number there is positive, and zeros elsewhere.
    gate: Word
    # Laid out like C: it is added behind the steps or the bias, before the activation.
    addend: Word
    # A's rows from number `turn` on lie `jump` bytes further.
    turn: Word
    jump: Word
    # Of a block that looks ahead: a line of cache that is wanted next; each step of the depth asks for one,
    # `ahead_step` bytes further.
    ahead: Word
    ahead_step: Word


class Panel(NamedTuple):
    """What is packed: `depth` lines of B, `step` bytes apart, of `columns` columns, to `target`."""

    source: Word
    step: Word
    depth: Word
    columns: Word
    target: Word


@dataclass(frozen=True, slots=True)
class Multiply:
    """``C[block] (+)= A[rows, depth] @ B[depth, width]``, then bias and activation: fills a slot of `Tile`.

    `steps` (see `split_epilogue`) take the place of a bias; `gated` results look at `Tile.gate`, `added` ones
    at `Tile.addend`.
    `direct` tells that B is not packed: its lines lie `b_step` apart. They are `whole` where all of the
    block's columns may be read. `listed` runs have their offsets in a list. With `turning` rows the last ones
    lie elsewhere (see `Tile.turn`). Blocks that are `looking` ahead have memory work while they multiply (see
    `Tile.ahead`).
    """

    block: Block
    steps: str = ""
    gated: bool = False
    biased: bool = True
    direct: bool = False
    whole: bool = False
    listed: bool = True
    turning: bool = False
    looking: bool = False
    added: bool = False

    def __call__(self, writer: Writer, tile: Tile) -> None:
        """Write the code."""
        block = self.block
        zero = writer.zero(block.dtype, block.lanes)
        cells = [[writer.variable(zero) for _ in range(block.vectors)] for _ in range(block.rows)]
        with writer.when(tile.load.differs(0)):
            self._by_width(writer, tile.columns, lambda masks: self._fetch(tile, cells, masks))
        if self.added:
            with writer.when(tile.last.differs(0)):
                self._ask_for_addend(tile)
        if self.direct and not self.whole:
            self._by_width(writer, tile.columns, lambda masks: self._multiply(writer, tile, cells, masks))
        else:
            self._multiply(writer, tile, cells, [None] * block.vectors)
        self._by_width(writer, tile.columns, lambda masks: self._finish(writer, tile, cells, masks))

    def _by_width(self, writer: Writer, columns: Vec, write: Callable[[Masks], None]) -> None:
        """Code without masks where all of the block's columns exist, else with them."""
        whole: Masks = [None] * self.block.vectors
        writer.either(
            columns >= self.block.width,
            lambda: write(whole),
            lambda: write(column_masks(writer, self.block, columns)),
        )

    def _fetch(self, tile: Tile, cells: list[list[Variable]], masks: Masks) -> None:
        block = self.block
        for m, row in enumerate(cells):
            for v, cell in enumerate(row):
                place = tile.c + tile.c_step * m + v * block.vector_bytes
                cell.set(load(place, block.dtype, block.lanes, masks[v]))

    def _multiply(self, writer: Writer, tile: Tile, cells: list[list[Variable]], masks: Masks) -> None:
        block = self.block
        step = tile.b_step if self.direct else writer.integer(block.line)
        position = writer.variable(tile.b + tile.depth * tile.first_run * step)
        ahead = writer.variable(tile.ahead)
        with writer.loop(tile.first_run, tile.runs) as run:
            start = tile.a + (
                load(tile.run_offsets + run * 8, "int64") if self.listed else tile.run_step * run
            )
            rows = [start + self._row_offset(writer, tile, m) for m in range(block.rows)]
            with writer.loop(0, tile.depth) as k:
                b = position.get()
                if self.looking:
                    prefetch(ahead.get())
                    ahead.set(ahead.get() + tile.ahead_step)
                lines = [
                    load(b + v * block.vector_bytes, block.dtype, block.lanes, mask)
                    for v, mask in enumerate(masks)
                ]
                for m, row in enumerate(cells):
                    if block.along == "depth":
                        place = rows[m] + k * block.size
                    else:
                        place = start + k * tile.depth_step + m * block.size
                    value = writer.splat(load(place, block.dtype), block.lanes)
                    for line, cell in zip(lines, row, strict=True):
                        cell.set(value.multiply_add(line, cell.get()))
                position.set(b + step)

    def _row_offset(self, writer: Writer, tile: Tile, m: int) -> Vec:
        offset: Vec = tile.row_step * m
        if self.turning:
            offset = offset + where(tile.turn <= m, tile.jump, writer.integer(0))
        return offset

    def _finish(self, writer: Writer, tile: Tile, cells: list[list[Variable]], masks: Masks) -> None:
        block = self.block
        last = tile.last.differs(0)
        if self.steps:
            with writer.when(last):
                self._take_steps(tile, cells, masks, self.steps)
        elif self.biased:
            with writer.when(last & tile.bias.differs(0)):
                self._take_steps(tile, cells, masks, "+")
        if self.added:
            with writer.when(last):
                self._add(tile, cells, masks)
        if self.gated:
            with writer.when(last):
                self._close(tile, cells, masks)
        elif self.biased:
            with writer.when(last & tile.activation.differs(0)):
                activate(writer, tile.activation, [cell for row in cells for cell in row])
        for m, row in enumerate(cells):
            with writer.when(tile.skip <= m):
                for v, cell in enumerate(row):
                    store(cell.get(), tile.c + tile.c_step * m + v * block.vector_bytes, masks[v])

    def _take_steps(self, tile: Tile, cells: list[list[Variable]], masks: Masks, steps: str) -> None:
        """The steps of the epilogue, one vector of columns after the other."""
        block = self.block
        for v, mask in enumerate(masks):
            place = tile.bias + v * block.vector_bytes
            vectors = [
                load(place + tile.bias_step * k, block.dtype, block.lanes, mask) for k in range(len(steps))
            ]
            for row in cells:
                row[v].set(apply_steps(row[v].get(), steps, vectors))

    def _ask_for_addend(self, tile: Tile) -> None:
        """While products are added up, the addend comes from memory."""
        block = self.block
        for m in range(block.rows):
            for at in range(0, block.line, LINE):
                prefetch(tile.addend + tile.c_step * m + at, near=True)

    def _add(self, tile: Tile, cells: list[list[Variable]], masks: Masks) -> None:
        block = self.block
        for m, row in enumerate(cells):
            for v, cell in enumerate(row):
                place = tile.addend + tile.c_step * m + v * block.vector_bytes
                cell.set(cell.get() + load(place, block.dtype, block.lanes, masks[v]))

    def _close(self, tile: Tile, cells: list[list[Variable]], masks: Masks) -> None:
        """Zero the cells whose gate is not positive (a NaN is not)."""
        block = self.block
        for m, row in enumerate(cells):
            for v, cell in enumerate(row):
                place = tile.gate + tile.c_step * m + v * block.vector_bytes
                gate = load(place, block.dtype, block.lanes, masks[v])
                cell.set(where(gate > 0.0, cell.get(), 0.0))


def apply_steps(value: Vec, steps: str, vectors: Sequence[Vec]) -> Vec:
    """`value` after each of the steps with its vector."""
    operations: dict[str, Callable[[Vec, Vec], Vec]] = {
        "+": lambda a, b: a + b,
        "-": lambda a, b: a - b,
        "*": lambda a, b: a * b,
    }
    for step, vector in zip(steps, vectors, strict=True):
        value = operations[step](value, vector)
    return value


def activation_number(name: str) -> int:
    """The word that tells kernels the activation; 0 for none."""
    return list(ACTIVATIONS).index(name)


def activate(writer: Writer, number: Vec, cells: Sequence[Variable]) -> None:
    """The activation of that number, for each of the cells; `number` is not 0."""
    for cell in cells:
        cell.set(ACTIVATIONS["relu"](cell.get()))
    with writer.when(number.differs(activation_number("relu"))):
        for cell in cells:
            cell.set(ACTIVATIONS["relu6"](cell.get()))


def column_masks(writer: Writer, block: Block, columns: Vec) -> list[Vec]:
    """One mask per vector: which of its lanes are among the first `columns`."""
    return [writer.tail_mask(columns - v * block.lanes, block.lanes) for v in range(block.vectors)]


@dataclass(frozen=True, slots=True)
class Pack:
    """Bring lines of contiguous columns side by side, with zeros behind them: fills a slot of `Panel`."""

    block: Block

    def __call__(self, writer: Writer, panel: Panel) -> None:
        """Write the code."""
        block = self.block

        def lines(masks: Masks) -> None:
            with writer.loop(0, panel.depth) as k:
                for v in range(block.vectors):
                    at = v * block.vector_bytes
                    value = load(panel.source + k * panel.step + at, block.dtype, block.lanes, masks[v])
                    store(value, panel.target + k * block.line + at)

        writer.either(
            panel.columns >= block.width,
            lambda: lines([None] * block.vectors),
            lambda: lines(column_masks(writer, block, panel.columns)),
        )


class Cut(NamedTuple):
    """The `length` rows of A at one step of the depth: blocks `first` to `end` go to places `step` apart."""

    source: Word
    length: Word
    first: Word
    end: Word
    target: Word
    step: Word


@dataclass(frozen=True, slots=True)
class CutRows:
    """Copy each block's rows, which are contiguous, to a place of their own: fills a slot of `Cut`.

    The last block overlaps the one before. Writes whole vectors, up to one past the rows: what comes to lie
    behind them is written later, and the last place has that slack.
    """

    block: Block

    def __call__(self, writer: Writer, cut: Cut) -> None:
        """Write the code."""
        block = self.block
        starts = range(0, block.rows, block.lanes)
        masks = [writer.tail_mask(writer.integer(block.rows - start), block.lanes) for start in starts]
        last = cut.length - block.rows
        with writer.loop(cut.first, cut.end) as i:
            row = i * block.rows
            source = cut.source + where(row > last, last, row) * block.size
            target = cut.target + (i - cut.first) * cut.step
            for v, mask in enumerate(masks):
                at = v * block.vector_bytes
                store(load(source + at, block.dtype, block.lanes, mask), target + at)


@dataclass(frozen=True, slots=True)
class PackTransposed:
    """As `Pack`, where a column is contiguous and columns lie `step` bytes apart.

    Writes up to a vector of lines past the last depth: the target needs that slack.
    """

    block: Block

    def __call__(self, writer: Writer, panel: Panel) -> None:
        """Write the code."""
        block = self.block
        with (
            writer.loop(0, panel.depth, block.lanes) as k,
            writer.loop(0, writer.integer(block.vectors)) as v,
        ):
            place = panel.source + v * block.lanes * panel.step + k * block.size
            left = panel.columns - v * block.lanes
            whole = (left >= block.lanes) & (panel.depth - k >= block.lanes)
            target = panel.target + k * block.line + v * block.vector_bytes
            writer.either(
                whole,
                lambda place=place, target=target: self._turn(
                    place, panel.step, target, [None] * block.lanes
                ),  # type: ignore[misc]
                lambda place=place, target=target, k=k, left=left: self._turn(  # type: ignore[misc]
                    place, panel.step, target, self._inside(writer, panel.depth - k, left)
                ),
            )

    def _inside(self, writer: Writer, depth: Vec, columns: Vec) -> Masks:
        """The mask of each column: none of those past the last one."""
        lanes = self.block.lanes
        inside, none = writer.tail_mask(depth, lanes), writer.tail_mask(writer.integer(0), lanes)
        return [writer.choice(columns > i, inside, none) for i in range(lanes)]

    def _turn(self, place: Vec, step: Vec, target: Vec, masks: Masks) -> None:
        block = self.block
        rows = [load(place + step * i, block.dtype, block.lanes, mask) for i, mask in enumerate(masks)]
        for i, value in enumerate(transposed(rows)):
            store(value, target + i * block.line)
