"""B of a matrix product, packed once for many products: weights that do not change between calls."""

from __future__ import annotations

from functools import cache

from llvmlite import ir

from symgraph.kernels.run.jit import Kernel, ir_kernel
from symgraph.kernels.run.machine import Address, Row
from symgraph.kernels.tile.emit import Code
from symgraph.kernels.tile.simd import Block, emit_pack

_NAMES = ("b", "b_depth", "columns", "depth", "parts_depth", "chunk", "panels", "target", "tiles")


@cache
def _pack(block: Block) -> Kernel:
    """Bring B, of contiguous rows, into [chunk of the depth][panel of columns][depth][column]."""

    def emit(builder: ir.IRBuilder, function: ir.Function) -> None:
        code = Code(builder, function)
        w = code.words(_NAMES)
        line = block.width * block.size
        first_panel, end_panel = code.share(code.tile, w.tiles, w.panels)
        with code.loop(w.parts_depth) as part:
            first, end = code.share(part, w.parts_depth, w.depth)
            with code.loop(end, first, w.chunk) as at:
                count = code.minimum(w.chunk, end - at)
                with code.loop(end_panel, first_panel) as panel:
                    source = w.b + at * w.b_depth + panel * line
                    target = w.target + (at * w.panels + panel * count) * line
                    emit_pack(code, block, source, w.b_depth, count, w.columns - panel * block.width, target)
        code.finish()

    return ir_kernel(f"pack[{block.dtype}, {block.vectors}]", emit, (block.dtype, block.vectors))


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
    operands = (b, b_depth, columns, depth, parts_depth, chunk, panels, target, tiles)
    return Row(_pack(block), operands, tiles, lasting=True)
