"""Convolution with 3 x 3 kernels and stride 1 by Winograd's minimal filtering, forward and to the input.

A tile of 4 x 4 (or 2 x 2) output pixels sees a window of 6 x 6 (4 x 4) input pixels. Windows and kernels are
transformed to as many points, where the convolution is a product for each point: 36 multiplications in place
of 144 (16 in place of 36). For each band of tiles, while it lies in the cache, the windows are transformed to
``V[tile block][point][tile][channel]``, multiplied with ``U[panel][point][channel][column]`` to
``M[tile block][panel][point][tile][column]``, and that is transformed back to pixels.

Winograd, Arithmetic Complexity of Computations, 1980; Lavin & Gray, Fast Algorithms for Convolutional Neural
Networks, 2015. The result of 4 x 4 tiles has an error of 1e-6 to 4e-6 of its norm, three to four times that
of direct sums; a NaN or an infinity spreads over the tiles whose windows hold it.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from symgraph.kernels.contraction.contract import Operands, slots
from symgraph.kernels.conv_parts.algorithm import TAPS, winograd_plan
from symgraph.kernels.conv_parts.geometry import Padding
from symgraph.kernels.conv_parts.winograd_slots import (
    TURNED_CELL,
    MultiplyBlocks,
    Products,
    Results,
    TransformBack,
    TransformWeights,
    Turn,
    TurnWeights,
    Weights,
)
from symgraph.kernels.conv_parts.winograd_tiles import (
    ITEMSIZE,
    LANES,
    LINE,
    VECTOR,
    ToPoints,
    Window,
    odd_lines,
    tile_place,
)
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.integers import least, over, parted, parts_of, share
from symgraph.kernels.run.jit import Kernel, inlined, numba_kernel
from symgraph.kernels.run.machine import Row
from symgraph.kernels.run.target import TARGET
from symgraph.kernels.tile.block import Block, rows_side_by_side, split_epilogue
from symgraph.kernels.tile.multiply import activation_number
from symgraph.kernels.tile.words import Word, filling, named, slot

BAND_BYTES = TARGET.l2_bytes // 8
"""Points of windows that a band aims at, and of results that it makes at once: what is near stays near."""
BAND_TILES = 18
"""Fewest tiles of a band, however large: the weights' points are read once a band."""
CHUNK_BYTES = 4 << 20
"""Points of weights that a part of the work makes at once."""


class Winograd(NamedTuple):
    """The words of a convolution in tiles: addresses, byte steps, numbers of pixels and elements."""

    # Pictures, weights, results; `gate` is laid out like the results, or 0.
    a: Word
    b: Word
    c: Word
    bias: Word = 0
    gate: Word = 0
    # Laid out like the results: it is added before the activation. 0 where there is none.
    addend: Word = 0
    # The number of the activation (`multiply.activation_number`).
    activation: Word = 0
    samples: Word = 1
    tiles_y: Word = 1
    tiles_x: Word = 1
    # Lines and columns of the first window that lie outside its picture.
    top: Word = 0
    left: Word = 0
    height: Word = 0
    width: Word = 0
    channels: Word = 0
    out_height: Word = 0
    out_width: Word = 0
    columns: Word = 0
    # Byte steps of the weights, from line to line and cell to cell of a kernel, along depth and columns.
    b_line: Word = 0
    b_cell: Word = 0
    b_depth: Word = 0
    b_column: Word = 0
    # The side of a tile, and the block's rows and columns.
    outputs: Word = 4
    block_rows: Word = 1
    block_width: Word = 1
    # The cut: parts of the columns x parts of the tiles; panels in a chunk, and in a group; blocks in a band.
    parts_columns: Word = 1
    parts_rows: Word = 1
    chunk: Word = 1
    group: Word = 1
    band: Word = 1
    # Where points go; the scratch is cut into slots, one per part.
    v: Word = 0
    v_slot: Word = 0
    v_row: Word = 0
    v_point: Word = 0
    u: Word = 0
    u_slot: Word = 0
    u_point: Word = 0
    m: Word = 0
    m_slot: Word = 0
    m_point: Word = 0
    # Room to transpose weights of contiguous depth in; 0 where their columns are contiguous.
    turned: Word = 0
    turned_slot: Word = 0


class Points(NamedTuple):
    """Where a part's points are, and the bytes of a tile block's windows, a panel's weights, its results."""

    v: Word
    u: Word
    m: Word
    count: Word
    v_block: Word
    u_panel: Word
    m_panel: Word


words = named(Winograd)
turn, transform_weights, transform_window = slot(Turn), slot(Weights), slot(Window)
multiply, transform_back = slot(Products), slot(Results)


def winograd(operands, tile):
    """Convolve one part: its share of the columns, and of the tiles of all pictures."""
    w = words(operands)
    part_columns, part_rows = parted(tile, w.parts_rows)
    first_panel, end_panel = share(part_columns, w.parts_columns, parts_of(w.columns, w.block_width))
    first, end = share(part_rows, w.parts_rows, parts_of(tiles_of(w), w.block_rows))
    side = w.outputs + TAPS - 1
    count = side * side
    v, u, m = w.v + tile * w.v_slot, w.u + tile * w.u_slot, w.m + tile * w.m_slot
    points = Points(v, u, m, count, count * w.v_point, count * w.u_point, count * w.m_point)
    turned = w.turned + tile * w.turned_slot
    for chunk_number in range(parts_of(end_panel - first_panel, w.chunk)):
        chunk = first_panel + chunk_number * w.chunk
        chunk_end = least(chunk + w.chunk, end_panel)
        for panel in range(chunk, chunk_end):
            weights_to_points(w, points.u + (panel - chunk) * points.u_panel, panel, turned)
        for band in range(parts_of(end - first, w.band)):
            at = first + band * w.band
            blocks = least(w.band, end - at)
            # Where all tiles are one band, its points serve all chunks.
            if (chunk == first_panel) | (end - first > w.band):
                windows_to_points(w, points, at, blocks)
            for group_number in range(parts_of(chunk_end - chunk, w.group)):
                group = chunk + group_number * w.group
                panels = least(w.group, chunk_end - group)
                multiply_points(w, points, group - chunk, panels, blocks)
                points_to_results(w, points, group, panels, at, blocks)
    return 0


@inlined
def tiles_of(w):
    """Tiles of all pictures."""
    return w.samples * w.tiles_y * w.tiles_x


@inlined
def weights_to_points(w, target, panel, turned):
    """Transform a panel of weights to U: at once, or square by square where they have to be transposed."""
    vectors, line_bytes = over(w.block_width, LANES), w.block_width * ITEMSIZE
    depth_step = LANES if w.turned != 0 else w.channels
    vector_step = 1 if w.turned != 0 else vectors
    for depths in range(parts_of(w.channels, depth_step)):
        k = depths * depth_step
        depth = least(depth_step, w.channels - k)
        for v in range(vectors if w.turned != 0 else 1):
            column = panel * w.block_width + v * LANES
            columns = w.columns - column
            source = w.b + k * w.b_depth + column * w.b_column
            line, cell, step = w.b_line, w.b_cell, w.b_depth
            if w.turned != 0:
                turn(Turn(source, line, cell, w.b_column, depth, columns, turned))
                source, line, cell, step = turned, TAPS * TURNED_CELL, TURNED_CELL, VECTOR
            place = target + k * line_bytes + v * VECTOR
            transform_weights(
                Weights(source, line, cell, step, depth, vector_step, columns, place, line_bytes, w.u_point)
            )


@inlined
def windows_to_points(w, points, at, blocks):
    """Transform the windows of some blocks of tiles to V."""
    pixel = w.channels * ITEMSIZE
    for i in range(blocks):
        for row in range(w.block_rows):
            # Rows past the last tile are computed (on the last one's numbers), and not stored.
            sample, ty, tx = tile_place(w, least((at + i) * w.block_rows + row, tiles_of(w) - 1))
            picture = w.a + sample * w.height * w.width * pixel
            y, x = ty * w.outputs - w.top, tx * w.outputs - w.left
            target = points.v + i * points.v_block + row * w.v_row
            transform_window(Window(picture, w.height, w.width, pixel, y, x, w.channels, target, w.v_point))


@inlined
def multiply_points(w, points, first, panels, blocks):
    """M = V @ U for each point of some panels, of which `first` is the number within the chunk."""
    for point in range(points.count):
        a = points.v + point * w.v_point
        for panel in range(panels):
            b = points.u + (first + panel) * points.u_panel + point * w.u_point
            c = points.m + panel * points.m_panel + point * w.m_point
            multiply(Products(a, points.v_block, w.v_row, blocks, w.channels, b, c, points.m_panel * w.group))


@inlined
def points_to_results(w, points, group, panels, at, blocks):
    """Transform M back to the pixels that exist; bias and activation follow."""
    pixel, line_bytes = w.columns * ITEMSIZE, w.block_width * ITEMSIZE
    column = group * w.block_width
    bias = w.bias + column * ITEMSIZE if w.bias != 0 else 0
    for i in range(blocks):
        first = (at + i) * w.block_rows
        for row in range(least(w.block_rows, tiles_of(w) - first)):
            sample, ty, tx = tile_place(w, first + row)
            y, x = ty * w.outputs, tx * w.outputs
            target = w.c + ((sample * w.out_height + y) * w.out_width + x) * pixel + column * ITEMSIZE
            gate = target + w.gate - w.c if w.gate != 0 else 0
            addend = target + w.addend - w.c
            transform_back(
                Results(
                    source=points.m + i * points.m_panel * w.group + row * line_bytes,
                    point=w.m_point,
                    panels=panels,
                    panel=points.m_panel,
                    width=line_bytes,
                    columns=w.columns - column,
                    target=target,
                    lines=w.out_height - y,
                    pixels=w.out_width - x,
                    line=w.out_width * pixel,
                    pixel=pixel,
                    bias=bias,
                    bias_step=pixel,
                    activation=w.activation,
                    gate=gate,
                    addend=addend,
                )
            )


@cache
def winograd_kernel(block: Block, outputs: int, steps: str = "+", added: bool = False) -> Kernel:
    """The kernel for tiles of `outputs` x `outputs` pixels, one block size of the products, and an epilogue.

    `steps` are those of `split_epilogue`; `added` tells whether `Winograd.addend` is.
    """
    fillings = (
        filling(Turn, TurnWeights()),
        filling(Weights, TransformWeights(outputs)),
        filling(Window, ToPoints(outputs)),
        filling(Products, MultiplyBlocks(block)),
        filling(Results, TransformBack(outputs, steps, added)),
    )
    extra = ("" if steps == "+" else f", {steps}") + (", added" if added else "")
    name = f"winograd_{outputs}x{outputs}[{block.dtype}, {block.rows}x{block.vectors}{extra}]"
    key = block, outputs, steps, added
    return numba_kernel(name, winograd, key, slots=dict(fillings), words=Winograd)


def winograd_rows(
    x: Buffer,
    w: Buffer,
    out: Buffer,
    *,
    padding: Padding,
    outputs: int,
    bias: Buffer | None = None,
    activation: str = "linear",
    addend: Buffer | None = None,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """Rows for ``out = activation(cross_correlation(x, w) + bias + addend)``, float32, in tiles of `outputs`.

    As `conv.conv2d_rows` with strides, dilation and groups of 1; w is [3, 3, C, F], C at least
    a vector.
    """
    _, _, depth, features = w.shape
    steps, activation = split_epilogue(activation)
    size = x.dtype.itemsize
    cell = depth * features * size
    values = dict(
        b=w.address,
        b_line=TAPS * cell,
        b_cell=cell,
        b_depth=features * size,
        b_column=size,
        top=padding[0][0],
        left=padding[1][0],
        bias=bias.address if bias else 0,
        activation=activation_number(activation),
        addend=addend.address if addend else 0,
    )
    return _rows(x, out, values, "rows", steps, outputs, threads, scratch)


def winograd_input_gradient_rows(
    grad: Buffer,
    w: Buffer,
    out: Buffer,
    *,
    padding: Padding,
    outputs: int,
    gate: Buffer | None = None,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """Rows for the gradient with respect to x: a convolution of `grad` with the kernels turned around.

    As `conv.conv2d_input_gradient_rows` with strides, dilation and groups of 1; w is
    [3, 3, C, F], F at least a vector.
    """
    _, _, depth, features = w.shape
    size = grad.dtype.itemsize
    cell = depth * features * size
    last = w.offset + (TAPS * TAPS - 1) * cell
    values = dict(
        b=w.address._replace(offset=last),
        b_line=-TAPS * cell,
        b_cell=-cell,
        b_depth=size,
        b_column=features * size,
        top=TAPS - 1 - padding[0][0],
        left=TAPS - 1 - padding[1][0],
        gate=gate.address if gate else 0,
    )
    return _rows(grad, out, values, "columns", "", outputs, threads, scratch)


def _rows(
    a: Buffer,
    out: Buffer,
    values: Operands,
    layout: str,
    steps: str,
    outputs: int,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    samples, height, width, channels = a.shape
    _, out_height, out_width, columns = out.shape
    tiles_y, tiles_x = -(-out_height // outputs), -(-out_width // outputs)
    tiles = samples * tiles_y * tiles_x
    plan = winograd_plan(tiles, channels, columns, outputs, layout, threads)
    block, points = plan.block, (outputs + TAPS - 1) ** 2
    parts = plan.parts_columns * plan.parts_rows
    v_row = -(-channels // LANES) * VECTOR
    if rows_side_by_side(tiles, v_row) < block.rows:
        v_row += LINE
    v_point, u_point = odd_lines(block.rows * v_row), odd_lines(channels * block.line)
    m_point = odd_lines(block.rows * block.line)
    panels = -(-columns // block.width // plan.parts_columns)
    blocks = -(-tiles // block.rows // plan.parts_rows)
    chunk, group, band = _cut(
        panels, blocks, points * v_point, points * u_point, points * m_point, block.rows
    )
    rooms = {
        "v": points * band * v_point,
        "u": points * chunk * u_point,
        "m": points * band * group * m_point,
    }
    if layout == "columns":
        rooms["turned"] = TAPS * TAPS * TURNED_CELL
    for name, room in rooms.items():
        values[name], values[f"{name}_slot"] = slots(scratch, parts, room)
    operands = Winograd(
        **values,
        a=a.address,
        c=out.address,
        samples=samples,
        tiles_y=tiles_y,
        tiles_x=tiles_x,
        height=height,
        width=width,
        channels=channels,
        out_height=out_height,
        out_width=out_width,
        columns=columns,
        outputs=outputs,
        block_rows=block.rows,
        block_width=block.width,
        parts_columns=plan.parts_columns,
        parts_rows=plan.parts_rows,
        chunk=chunk,
        group=group,
        band=band,
        v_row=v_row,
        v_point=v_point,
        u_point=u_point,
        m_point=m_point,
    )
    return [Row(winograd_kernel(block, outputs, steps or "+", operands.addend != 0), tuple(operands), parts)]


def _cut(panels: int, blocks: int, v: int, u: int, m: int, rows: int) -> tuple[int, int, int]:
    """Panels in a chunk, and in a group, and blocks of `rows` tiles in a band.

    `v` bytes are the points of a block's windows, `u` those of a panel's weights, `m` those of the results.
    """
    if blocks * v <= CHUNK_BYTES and panels * u > TARGET.l2_bytes:
        # All tiles are one band: the weights' points are used up before the next are made, and stay near.
        chunk = _even(panels, TARGET.l2_bytes // 2 // u)
        return chunk, chunk, blocks
    chunk = _even(panels, CHUNK_BYTES // u)
    band = _even(blocks, max(BAND_BYTES // v, -(-BAND_TILES // rows)))
    return chunk, _even(chunk, BAND_BYTES // (m * band)), band


def _even(count: int, most: int) -> int:
    """The size of the parts that `count` things are cut into evenly, each of `most` at most (at least 1)."""
    return -(-count // -(-count // max(1, most)))
