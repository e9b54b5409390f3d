"""B of a matrix product, packed once for many products: weights that do not change between calls."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from symgraph.kernels.run.integers import least, parts_of, share
from symgraph.kernels.run.jit import Kernel, numba_kernel
from symgraph.kernels.run.machine import Address, Row
from symgraph.kernels.tile.block import Block
from symgraph.kernels.tile.multiply import Pack, Panel
from symgraph.kernels.tile.words import Word, filling, named, slot


class Packing(NamedTuple):
    """The words of a packing: B, its sizes, how the product cuts its depth, and where packed panels go."""

    b: Word
    b_depth: Word
    columns: Word
    depth: Word
    parts_depth: Word
    chunk: Word
    panels: Word
    target: Word
    tiles: Word
    # The block: its columns, and the bytes of a line of them.
    block_width: Word
    line: Word


words, pack = named(Packing), slot(Panel)


def packing(operands, tile):
    """Bring B, of contiguous rows, into [chunk of the depth][panel of columns][depth][column]."""
    w = words(operands)
    first_panel, end_panel = share(tile, w.tiles, w.panels)
    for part in range(w.parts_depth):
        first, end = share(part, w.parts_depth, w.depth)
        for piece in range(parts_of(end - first, w.chunk)):
            at = first + piece * w.chunk
            count = least(w.chunk, end - at)
            for panel in range(first_panel, end_panel):
                source = w.b + at * w.b_depth + panel * w.line
                target = w.target + (at * w.panels + panel * count) * w.line
                pack(Panel(source, w.b_depth, count, w.columns - panel * w.block_width, target))
    return 0


@cache
def packing_kernel(block: Block) -> Kernel:
    """The kernel for blocks of one dtype and width."""
    name = f"pack[{block.dtype}, {block.vectors}]"
    slots = dict([filling(Panel, Pack(block))])
    key = block.dtype, block.vectors
    return numba_kernel(name, packing, key, slots=slots, words=Packing)


def pack_row(
    block: Block,
    b: Address,
    b_depth: int,
    sizes: tuple[int, int],
    parts_depth: int,
    chunk: int,
    target: Address,
    threads: int,
) -> Row:
    """A lasting row that packs B of ``sizes = (depth, columns)``, whose rows lie `b_depth` bytes apart."""
    depth, columns = sizes
    panels = -(-columns // block.width)
    tiles = min(panels, threads)
    operands = Packing(
        b=b,
        b_depth=b_depth,
        columns=columns,
        depth=depth,
        parts_depth=parts_depth,
        chunk=chunk,
        panels=panels,
        target=target,
        tiles=tiles,
        block_width=block.width,
        line=block.line,
    )
    return Row(packing_kernel(block), operands, tiles, lasting=True)
