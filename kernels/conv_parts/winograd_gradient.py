"""Gradient of 3 x 3 convolutions with stride 1 with respect to their weights, in tiles.

To a tile of 4 x 4 pixels of the output's gradient belongs a window of 6 x 6 input pixels; the nine weights
take their correlation. Both are transformed to 36 points, where it is a product for each point, so

    dw[ky, kx, c, f] = back(sum over tiles of V[point][tile][c] * G[point][tile][f])

and the way back is taken once, from the sums: 36 multiplications in place of 144. Tiles come in bands that
lie in the cache. Parts that share the tiles have sums of their own, which the way back adds up in a fixed
order. The point 1 of both axes holds the sum of a tile's gradient: the gradient of a bias comes for little.
"""

from __future__ import annotations

from functools import cache, partial
from types import SimpleNamespace

from llvmlite import ir

from symgraph.kernels.contraction.contract import Operands, slots
from symgraph.kernels.contraction.partials import partial_sum_row
from symgraph.kernels.conv_parts.algorithm import TAPS, weight_gradient_plan
from symgraph.kernels.conv_parts.geometry import Padding
from symgraph.kernels.conv_parts.transforms import apply_both_ways, correlation
from symgraph.kernels.conv_parts.winograd_tiles import (
    ITEMSIZE,
    Load,
    Picture,
    emit_place,
    emit_points,
    emit_window,
    odd_lines,
)
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.jit import Kernel, ir_kernel
from symgraph.kernels.run.machine import Row
from symgraph.kernels.tile.block import Block
from symgraph.kernels.tile.emit import Code, Int, vector_type
from symgraph.kernels.tile.simd import Tile, emit_block

PIXELS = 4
"""Height and width of the tiles of the output's gradient."""
SIDE = PIXELS + TAPS - 1
POINTS = SIDE * SIDE
_TRANSFORMS = correlation(TAPS, PIXELS, "back")
# The number 1 is the second point of each axis: there a tile's transform is its sum.
_ONE = SIDE + 1

_NAMES = (
    # Pictures and the output's gradient; sums of products, and of the gradient where they are wanted.
    "a", "b", "c", "c_part", "sums", "sums_part", "samples", "tiles_y", "tiles_x", "top", "left", "height",
    "width", "channels", "out_height", "out_width", "columns", "parts_columns", "parts_rows", "band",
    # Where points go; the scratch is cut into slots, one per part.
    "v", "v_slot", "v_row", "v_point", "g", "g_slot", "g_point", "c_point",
)  # fmt: skip
_BACK_NAMES = ("source", "parts", "part", "point", "panel", "channels", "columns", "target", "tiles")


@cache
def winograd_weight_gradient(block: Block, masked: bool, summed: bool) -> Kernel:
    """Kernel: ``C[panel][point] = sum over tiles of V[point][tile] x G[point][panel][tile]``.

    `masked` tells that the columns are not whole vectors, `summed` that the gradient is added up too.
    """

    def emit(builder: ir.IRBuilder, function: ir.Function) -> None:
        code = Code(builder, function)
        w = code.words(_NAMES)
        w.v += code.tile * w.v_slot
        w.g += code.tile * w.g_slot
        part, part_columns = code.tile % w.parts_rows, code.tile // w.parts_rows
        w.c += part * w.c_part
        w.sums += part * w.sums_part
        w.g_panel = w.band * (block.width * block.size)
        panels = (w.columns + (block.width - 1)) // block.width
        first_panel, end_panel = code.share(part_columns, w.parts_columns, panels)
        first, end = code.share(part, w.parts_rows, w.samples * w.tiles_y * w.tiles_x)
        with code.loop(end, first, w.band) as at:
            count = code.minimum(w.band, end - at)
            with code.loop(count) as i:
                place = emit_place(code, w, at + i)
                _emit_window(code, w, block, place, w.v + i * w.v_row)
                target = w.g + i * (block.width * block.size)
                _emit_gradient(code, w, block, masked, place, first_panel, end_panel, target)
            _emit_products(code, w, block, first_panel, end_panel, count, at.differs(first))
            if summed:
                _emit_sums(code, w, block, first_panel, end_panel, count, at.differs(first))
        code.finish()

    name = f"winograd_weight_gradient_{PIXELS}x{PIXELS}[{block.dtype}, {block.rows}x{block.vectors}"
    name += f"{', masked' if masked else ''}{', summed' if summed else ''}]"
    return ir_kernel(name, emit, (block, masked, summed))


def _emit_window(
    code: Code, w: SimpleNamespace, block: Block, place: tuple[Int, Int, Int], target: Int
) -> None:
    """Transform one window to V."""
    picture = Picture(w.a, w.height, w.width, w.channels * block.size)

    def window(load: Load) -> None:
        with code.loop(w.channels, step=block.lanes) as c:
            # The last vector overlaps the one before, so none needs a mask.
            start = code.minimum(c, w.channels - block.lanes) * block.size
            emit_points(
                code,
                _TRANSFORMS.forth,
                vector_type(block.dtype),
                partial(load, start),
                target + start,
                w.v_point,
            )

    sample, y, x = place
    corner = sample, y * PIXELS - w.top, x * PIXELS - w.left
    emit_window(code, picture, corner, SIDE, vector_type(block.dtype), window)


def _emit_gradient(
    code: Code,
    w: SimpleNamespace,
    block: Block,
    masked: bool,
    place: tuple[Int, Int, Int],
    first: Int,
    end: Int,
    target: Int,
) -> None:
    """Transform one tile of the gradient to G; columns past the last are zeros."""
    picture = Picture(w.b, w.out_height, w.out_width, w.columns * block.size)

    def window(load: Load) -> None:
        with code.loop(end, first) as panel, code.loop(block.vectors) as v:
            column = panel * block.width + v * block.lanes
            mask = code.first_lanes(w.columns - column, block.lanes) if masked else None
            here = target + (panel - first) * w.g_panel + v * (block.lanes * block.size)
            pixels = partial(load, column * block.size, mask=mask)
            emit_points(code, _TRANSFORMS.weights, vector_type(block.dtype), pixels, here, w.g_point)

    sample, y, x = place
    emit_window(code, picture, (sample, y * PIXELS, x * PIXELS), PIXELS, vector_type(block.dtype), window)


def _emit_products(
    code: Code, w: SimpleNamespace, block: Block, first: Int, end: Int, count: Int, load: ir.Value
) -> None:
    """Add one band's products to the sums."""
    blocks = (w.channels + (block.rows - 1)) // block.rows
    line = code.number(block.width * block.size)
    with code.loop(POINTS) as point, code.loop(end, first) as panel, code.loop(blocks) as i:
        start = code.minimum(i * block.rows, w.channels - block.rows)
        emit_block(code, block, Tile(
            a=w.v + point * w.v_point + start * block.size, row_step=code.number(block.size),
            depth_step=w.v_row, runs=code.number(1), depth=count, run_offset=lambda run: code.number(0),
            b=w.g + point * w.g_point + (panel - first) * w.g_panel,
            c=w.c + (panel * POINTS + point) * w.c_point + start * line, c_step=line,
            columns=code.number(block.width), skip=i * block.rows - start, load=load,
        ))  # fmt: skip


def _emit_sums(
    code: Code, w: SimpleNamespace, block: Block, first: Int, end: Int, count: Int, load: ir.Value
) -> None:
    """Add one band's gradients to their sums."""
    builder = code.builder
    total = code.variable(vector_type(block.dtype))
    with code.loop(end, first) as panel, code.loop(block.vectors) as v:
        column = panel * block.width + v * block.lanes
        mask = code.first_lanes(w.columns - column, block.lanes)
        place = w.sums + column * block.size
        none = code.first_lanes(code.number(0), block.lanes)
        builder.store(code.load(place, vector_type(block.dtype), builder.select(load, mask, none)), total)
        source = w.g + w.g_point * _ONE + (panel - first) * w.g_panel + v * (block.lanes * block.size)
        with code.loop(count) as i:
            value = code.load(source + i * (block.width * block.size), vector_type(block.dtype))
            builder.store(builder.fadd(builder.load(total), value), total)
        code.store(builder.load(total), place, mask)


@cache
def winograd_weights(block: Block) -> Kernel:
    """Kernel: add up the parts' sums, and transform them back to the weights' gradient."""

    def emit(builder: ir.IRBuilder, function: ir.Function) -> None:
        code = Code(builder, function)
        w = code.words(_BACK_NAMES)
        kind, vector = vector_type(block.dtype), block.lanes * block.size
        total = code.variable(kind)
        panels = (w.columns + (block.width - 1)) // block.width
        first, end = code.share(code.tile, w.tiles, panels * w.channels)
        with code.loop(end, first) as unit, code.loop(block.vectors) as v:
            panel, channel = unit // w.channels, unit % w.channels
            column = panel * block.width + v * block.lanes
            mask = code.first_lanes(w.columns - column, block.lanes)
            source = w.source + panel * w.panel + channel * (block.width * block.size) + v * vector

            def load(i: Int, j: int, source: Int = source) -> ir.Value:
                place = source + (i * SIDE + j) * w.point
                builder.store(code.load(place, kind), total)
                with code.loop(w.parts, 1) as part:
                    value = code.load(place + part * w.part, kind)
                    builder.store(builder.fadd(builder.load(total), value), total)
                return builder.load(total)

            def store(
                j: Int, i: int, value: ir.Value, place: Int = channel * w.columns + column,
                mask: ir.Value = mask,
            ) -> None:  # fmt: skip
                # The first pass went along lines: j is the column of the kernel, i its line.
                cell = (j + i * TAPS) * (w.channels * w.columns)
                code.store(value, w.target + (cell + place) * block.size, mask)

            apply_both_ways(code, _TRANSFORMS.back, kind, load, store)
        code.finish()

    return ir_kernel(f"winograd_weights[{block.dtype}, {block.vectors}]", emit, block)


def winograd_weight_gradient_rows(
    x: Buffer,
    grad: Buffer,
    out: Buffer,
    sums: Buffer | None = None,
    *,
    padding: Padding,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """Rows for the gradient with respect to w, float32, and with `sums` for that with respect to the bias.

    As `conv_gradient.conv2d_weight_gradient_rows` with strides, dilation and groups of 1; out is
    [3, 3, C, F], C at least a vector.
    """
    samples, height, width, channels = x.shape
    _, out_height, out_width, columns = grad.shape
    tiles_y, tiles_x = -(-out_height // PIXELS), -(-out_width // PIXELS)
    tiles, size = samples * tiles_y * tiles_x, ITEMSIZE
    plan = weight_gradient_plan(tiles, channels, columns, threads)
    block, parts = plan.block, plan.parts_columns * plan.parts_rows
    panels = -(-columns // block.width)
    v_row = -(-channels // block.lanes) * block.lanes * size
    here = -(-panels // plan.parts_columns)
    band = min(-(-tiles // plan.parts_rows), plan.band)
    v_point, g_point = odd_lines(band * v_row), odd_lines(band * here * block.width * size)
    c_point = odd_lines(channels * block.width * size)
    products, c_part = slots(scratch, plan.parts_rows, panels * POINTS * c_point)
    values: Operands = {
        "a": x.address, "b": grad.address, "c": products, "c_part": c_part, "samples": samples,
        "tiles_y": tiles_y, "tiles_x": tiles_x, "top": padding[0][0], "left": padding[1][0],
        "height": height, "width": width, "channels": channels, "out_height": out_height,
        "out_width": out_width, "columns": columns, "parts_columns": plan.parts_columns,
        "parts_rows": plan.parts_rows, "band": band, "v_row": v_row, "v_point": v_point, "g_point": g_point,
        "c_point": c_point,
    }  # fmt: skip
    for name, room in (("v", v_point), ("g", g_point)):
        values[name], values[f"{name}_slot"] = slots(scratch, parts, POINTS * room)
    rest: list[Row] = []
    if sums:
        apart = plan.parts_rows > 1
        partial_sums = scratch((plan.parts_rows, columns), out.dtype) if apart else sums
        values |= {"sums": partial_sums.address, "sums_part": columns * size}
        if apart:
            rest = [partial_sum_row(out.dtype.name, partial_sums.address, plan.parts_rows, 1, columns,
                                    sums.address, 0)]  # fmt: skip
    back: Operands = {
        "source": products, "parts": plan.parts_rows, "part": c_part, "point": c_point,
        "panel": POINTS * c_point, "channels": channels, "columns": columns, "target": out.address,
        "tiles": min(threads, channels),
    }  # fmt: skip
    kernel = winograd_weight_gradient(block, columns % block.lanes != 0, sums is not None)
    return [
        Row(kernel, tuple(values.get(name, 0) for name in _NAMES), parts),
        Row(winograd_weights(block), tuple(back[name] for name in _BACK_NAMES), back["tiles"]),
        *rest,
    ]
