"""Vector code of Winograd's convolutions: weights to points, products with windows, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from symgraph.kernels.conv_parts.algorithm import TAPS
from symgraph.kernels.conv_parts.transforms import apply_both_ways, correlation
from symgraph.kernels.conv_parts.winograd_tiles import (
    DTYPE,
    ITEMSIZE,
    LANES,
    VECTOR,
    store_points,
    whole_tile,
)
from symgraph.kernels.tile.block import Block
from symgraph.kernels.tile.multiply import Multiply, activation_number, apply_steps, transposed
from symgraph.kernels.tile.nest import Variable, Writer, load, store
from symgraph.kernels.tile.vector import Vec, minimum, where
from symgraph.kernels.tile.words import Word


class Weights(NamedTuple):
    """Kernels of `depth` x `vectors` vectors of columns that lie side by side, and where their points go."""

    source: Word
    # Byte steps from line to line and cell to cell of a kernel, and along the depth.
    line: Word
    cell: Word
    step: Word
    depth: Word
    vectors: Word
    # Columns that exist.
    columns: Word
    target: Word
    target_step: Word
    point: Word


@dataclass(frozen=True, slots=True)
class TransformWeights:
    """Transform kernels to points, with zeros for columns that do not exist: fills a slot of `Weights`."""

    outputs: int

    def __call__(self, writer: Writer, weights: Weights) -> None:
        """Write the code."""
        matrix = correlation(self.outputs, TAPS).weights
        with writer.loop(0, weights.depth) as k, writer.loop(0, weights.vectors) as v:
            mask = writer.tail_mask(weights.columns - v * LANES, LANES)
            source = weights.source + k * weights.step + v * VECTOR

            def cell(i: Vec, j: int, source: Vec = source, mask: Vec = mask) -> Vec:
                return load(source + i * weights.line + weights.cell * j, DTYPE, LANES, mask)

            target = weights.target + k * weights.target_step + v * VECTOR
            store_points(writer, matrix, cell, target, weights.point)


class Turn(NamedTuple):
    """A square of a vector of columns, `step` bytes apart, times `depth` weights that lie side by side."""

    source: Word
    line: Word
    cell: Word
    step: Word
    depth: Word
    columns: Word
    target: Word


TURNED_CELL = LANES * VECTOR
"""Bytes of what `TurnWeights` makes of one cell of a kernel."""


@dataclass(frozen=True, slots=True)
class TurnWeights:
    """Transpose a square of weights for each cell of the kernel to [cell][depth][column]: for `Turn`."""

    def __call__(self, writer: Writer, turn: Turn) -> None:
        """Write the code."""
        inside = writer.tail_mask(turn.depth, LANES)
        none = writer.tail_mask(writer.integer(0), LANES)
        with writer.loop(0, writer.integer(TAPS)) as line, writer.loop(0, writer.integer(TAPS)) as cell:
            here = turn.source + line * turn.line + cell * turn.cell
            rows = [
                load(here + turn.step * i, DTYPE, LANES, writer.choice(turn.columns > i, inside, none))
                for i in range(LANES)
            ]
            place = turn.target + (line * TAPS + cell) * TURNED_CELL
            for i, value in enumerate(transposed(rows)):
                store(value, place + i * VECTOR)


class Products(NamedTuple):
    """One point of some blocks of tiles, times that point of one panel of weights."""

    a: Word
    a_block: Word
    row: Word
    blocks: Word
    depth: Word
    b: Word
    c: Word
    c_block: Word


@dataclass(frozen=True, slots=True)
class MultiplyBlocks:
    """Multiply one block of tiles after the other: fills a slot of `Products`."""

    block: Block

    def __call__(self, writer: Writer, products: Products) -> None:
        """Write the code."""
        block = self.block
        multiply = Multiply(block, biased=False, listed=False)
        with writer.loop(0, products.blocks) as i:
            tile = whole_tile(
                writer,
                block,
                a=products.a + i * products.a_block,
                row_step=products.row,
                depth=products.depth,
                b=products.b,
                c=products.c + i * products.c_block,
                c_step=writer.integer(block.line),
            )
            multiply(writer, tile)


class Results(NamedTuple):
    """One tile of results of some panels: where its points are, and where its pixels go."""

    source: Word
    point: Word
    panels: Word
    panel: Word
    # Bytes of a panel's line, and columns that exist from the first panel on.
    width: Word
    columns: Word
    target: Word
    # Lines and pixels of the tile that exist, and the byte steps between them.
    lines: Word
    pixels: Word
    line: Word
    pixel: Word
    # Vectors of the epilogue's steps, `bias_step` apart, or 0; the number of the activation.
    bias: Word
    bias_step: Word
    activation: Word
    # Laid out like the results, or 0: where it is not positive, they become zero.
    gate: Word
    # Laid out like the results, for kernels that add it before the activation.
    addend: Word


@dataclass(frozen=True, slots=True)
class TransformBack:
    """Transform points to the pixels that exist, with the epilogue's steps: fills a slot of `Results`."""

    outputs: int
    steps: str = "+"
    added: bool = False

    def __call__(self, writer: Writer, results: Results) -> None:
        """Write the code."""
        exist = (results.lines >= self.outputs) & (results.pixels >= self.outputs)
        whole = exist & (results.columns * ITEMSIZE >= results.panels * results.width)
        writer.either(
            whole,
            lambda: self._panels(writer, results, whole=True),
            lambda: self._panels(writer, results, whole=False),
        )

    def _panels(self, writer: Writer, results: Results, whole: bool) -> None:
        """All vectors of columns; `whole` tells that all of the tile exists, and all of the vectors."""
        with (
            writer.loop(0, results.panels) as panel,
            writer.loop(0, results.width, VECTOR) as across,
        ):
            source = results.source + panel * results.panel + across
            at = panel * results.width + across
            if whole:
                self._pixels(writer, results, source, at)
            else:
                left = results.columns - at / ITEMSIZE
                with writer.when(left > 0):
                    self._pixels(writer, results, source, at, left)

    def _pixels(
        self, writer: Writer, results: Results, source: Vec, at: Vec, left: Vec | None = None
    ) -> None:
        """One vector of columns, `at` bytes from the first; `left` columns exist from there on."""
        transforms = correlation(self.outputs, TAPS)
        side = len(transforms.forth)
        mask = None if left is None else writer.tail_mask(left, LANES)
        vectors = [vector.get() for vector in self._vectors(writer, results, at, mask)]
        zero = writer.zero(DTYPE, LANES)
        none, six = zero.constant(float("inf")), zero.constant(6.0)
        floor = writer.choice(results.activation.differs(0), zero, -none)
        ceiling = writer.choice(results.activation.equals(activation_number("relu6")), six, none)

        def fetch(i: Vec, j: int) -> Vec:
            return load(source + results.point * (j * side) + i * results.point, DTYPE, LANES)

        def finish(j: Vec, i: int, value: Vec) -> None:
            offset = j * results.line + results.pixel * i + at
            value = apply_steps(value, self.steps, vectors)
            if self.added:
                value = value + load(results.addend + offset, DTYPE, LANES, mask)
            value = where(value < floor, floor, value)
            value = where(value > ceiling, ceiling, value)
            value = _gated(writer, value, results.gate, offset, mask)
            place = results.target + offset
            if left is None:
                store(value, place)
            else:
                writer.either(left >= LANES, lambda: store(value, place), lambda: store(value, place, mask))

        def finish_if_any(j: Vec, i: int, value: Vec) -> None:
            with writer.when(results.pixels > i):
                finish(j, i, value)

        if left is None:
            apply_both_ways(writer, transforms.back, fetch, finish, LANES)
        else:
            lines = minimum(results.lines, self.outputs)
            apply_both_ways(writer, transforms.back, fetch, finish_if_any, LANES, lines)

    def _vectors(self, writer: Writer, results: Results, at: Vec, mask: Vec | None) -> list[Variable]:
        """The steps' vectors; zeros where there are none."""
        vectors = [writer.variable(writer.zero(DTYPE, LANES)) for _ in self.steps]
        with writer.when(results.bias.differs(0)):
            for number, vector in enumerate(vectors):
                place = results.bias + results.bias_step * number + at
                vector.set(load(place, DTYPE, LANES, mask))
        return vectors


def _gated(writer: Writer, value: Vec, gate: Vec, offset: Vec, mask: Vec | None) -> Vec:
    """`value` where there is no gate, or a positive number in it (a NaN is not), else 0."""

    def closed() -> list[Vec]:
        return [where(load(gate + offset, DTYPE, LANES, mask) > 0.0, value, 0.0)]

    return writer.choose(gate.differs(0).value, closed, lambda: [value])[0]
