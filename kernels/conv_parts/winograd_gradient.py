"""Gradient of 3 x 3 convolutions with stride 1 with respect to their weights, in tiles.

To a tile of 4 x 4 pixels of the output's gradient belongs a window of 6 x 6 input pixels; the nine weights
take their correlation. Both are transformed to 36 points, where it is a product for each point, so

    dw[ky, kx, c, f] = back(sum over tiles of V[point][tile][c] * G[point][tile][f])

and the way back is taken once, from the sums: 36 multiplications in place of 144. Tiles come in bands that
lie in the cache. Parts that share the tiles have sums of their own, which the way back adds up in a fixed
order. The point 1 of both axes holds the sum of a tile's gradient: the gradient of a bias comes for little.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from symgraph.kernels.contraction.contract import slots
from symgraph.kernels.contraction.partials import partial_sum_row
from symgraph.kernels.conv_parts.algorithm import TAPS, weight_gradient_plan
from symgraph.kernels.conv_parts.geometry import Padding
from symgraph.kernels.conv_parts.transforms import apply_both_ways, correlation
from symgraph.kernels.conv_parts.winograd_tiles import (
    DTYPE,
    ITEMSIZE,
    LANES,
    VECTOR,
    Pixels,
    Sight,
    ToPoints,
    Window,
    odd_lines,
    see,
    store_points,
    tile_place,
    whole_tile,
)
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.integers import least, parted, parts_of, share
from symgraph.kernels.run.jit import Kernel, inlined, numba_kernel
from symgraph.kernels.run.machine import Address, Row
from symgraph.kernels.tile.block import Block
from symgraph.kernels.tile.multiply import Multiply
from symgraph.kernels.tile.nest import Writer, load, store
from symgraph.kernels.tile.vector import Vec, minimum
from symgraph.kernels.tile.words import Word, filling, named, slot

PIXELS = 4
"""Height and width of the tiles of the output's gradient."""
SIDE = PIXELS + TAPS - 1
POINTS = SIDE * SIDE
_TRANSFORMS = correlation(TAPS, PIXELS, "back")
# The number 1 is the second point of each axis: there a tile's transform is its sum.
_ONE = SIDE + 1


class WeightGradient(NamedTuple):
    """The words of a weight gradient in tiles: addresses, byte steps, numbers of pixels and elements."""

    # Pictures and the output's gradient; sums of products, a part's from those of the one before `c_part`.
    a: Word
    b: Word
    c: Word
    c_part: Word = 0
    # Sums of the gradient, or 0.
    sums: Word = 0
    sums_part: Word = 0
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
    block_width: Word = 1
    # The cut: parts of the columns x parts of the tiles; tiles in a band.
    parts_columns: Word = 1
    parts_rows: Word = 1
    band: Word = 1
    # Where points go; the scratch is cut into slots, one per part.
    v: Word = 0
    v_slot: Word = 0
    v_row: Word = 0
    v_point: Word = 0
    g: Word = 0
    g_slot: Word = 0
    g_point: Word = 0
    c_point: Word = 0


class Gradient(NamedTuple):
    """A tile of the output's gradient at (y, x), and where the points of some panels go."""

    picture: Word
    height: Word
    width: Word
    pixel: Word
    y: Word
    x: Word
    # The first column, and how many exist from there on.
    column: Word
    columns: Word
    panels: Word
    # Bytes of a panel's line.
    line: Word
    target: Word
    target_panel: Word
    point: Word


@dataclass(frozen=True, slots=True)
class TransformGradient:
    """Transform a tile to points, with zeros for columns that do not exist: fills a slot of `Gradient`."""

    def __call__(self, writer: Writer, gradient: Gradient) -> None:
        """Write the code."""
        matrix = _TRANSFORMS.weights

        def panels(pixels: Pixels) -> None:
            with (
                writer.loop(0, gradient.panels) as panel,
                writer.loop(0, gradient.line, VECTOR) as across,
            ):
                at = panel * gradient.line + across
                mask = writer.tail_mask(gradient.columns - at / ITEMSIZE, LANES)
                start = gradient.column * ITEMSIZE + at
                target = gradient.target + panel * gradient.target_panel + across
                store_points(writer, matrix, lambda i, j: pixels(start, i, j, mask), target, gradient.point)

        place = gradient.picture, gradient.height, gradient.width, gradient.pixel, gradient.y, gradient.x
        see(writer, Sight(*place), PIXELS, panels)


class Products(NamedTuple):
    """A band's products at one point: all channels times one panel."""

    a: Word
    a_depth: Word
    channels: Word
    depth: Word
    b: Word
    c: Word
    load: Word


@dataclass(frozen=True, slots=True)
class AddProducts:
    """Add a band's products to their sums, or begin these: fills a slot of `Products`."""

    block: Block

    def __call__(self, writer: Writer, products: Products) -> None:
        """Write the code."""
        block = self.block
        multiply = Multiply(block, biased=False, listed=False)
        with writer.loop(0, products.channels, block.rows) as row:
            start = minimum(row, products.channels - block.rows)
            tile = whole_tile(
                writer,
                block,
                a=products.a + start * ITEMSIZE,
                row_step=writer.integer(ITEMSIZE),
                depth_step=products.a_depth,
                depth=products.depth,
                b=products.b,
                c=products.c + start * block.line,
                c_step=writer.integer(block.line),
                skip=row - start,
                load=products.load,
            )
            multiply(writer, tile)


class Sums(NamedTuple):
    """`count` lines of vectors, `line` bytes apart, whose sums go to `columns` columns of the target."""

    source: Word
    line: Word
    count: Word
    columns: Word
    target: Word
    load: Word


@dataclass(frozen=True, slots=True)
class AddUp:
    """Add lines to their sums, or begin these: fills a slot of `Sums`."""

    def __call__(self, writer: Writer, sums: Sums) -> None:
        """Write the code."""
        with writer.loop(0, sums.line, VECTOR) as across:
            mask = writer.tail_mask(sums.columns - across / ITEMSIZE, LANES)
            none = writer.tail_mask(writer.integer(0), LANES)
            before = writer.choice(sums.load.differs(0), mask, none)
            total = writer.variable(load(sums.target + across, DTYPE, LANES, before))
            with writer.loop(0, sums.count) as i:
                total.set(total.get() + load(sums.source + i * sums.line + across, DTYPE, LANES))
            store(total.get(), sums.target + across, mask)


words, transform_window, transform_gradient = named(WeightGradient), slot(Window), slot(Gradient)
multiply, add_up = slot(Products), slot(Sums)


def winograd_weight_gradient(operands, tile):
    """``C[panel][point] = sum over tiles of V[point][tile] x G[point][panel][tile]``, for one part."""
    w = words(operands)
    part_columns, part = parted(tile, w.parts_rows)
    v, g, c = w.v + tile * w.v_slot, w.g + tile * w.g_slot, w.c + part * w.c_part
    panels = parts_of(w.columns, w.block_width)
    first_panel, end_panel = share(part_columns, w.parts_columns, panels)
    first, end = share(part, w.parts_rows, w.samples * w.tiles_y * w.tiles_x)
    line = w.block_width * ITEMSIZE
    for band in range(parts_of(end - first, w.band)):
        at = first + band * w.band
        count, more = least(w.band, end - at), band != 0
        for i in range(count):
            tile_to_points(w, at + i, v + i * w.v_row, g + i * line, first_panel, end_panel)
        for point in range(POINTS):
            for panel in range(first_panel, end_panel):
                a = v + point * w.v_point
                b = g + point * w.g_point + (panel - first_panel) * w.band * line
                target = c + (panel * POINTS + point) * w.c_point
                multiply(Products(a, w.v_row, w.channels, count, b, target, more))
        if w.sums != 0:
            for panel in range(first_panel, end_panel):
                column = panel * w.block_width
                source = g + _ONE * w.g_point + (panel - first_panel) * w.band * line
                target = w.sums + part * w.sums_part + column * ITEMSIZE
                add_up(Sums(source, line, count, w.columns - column, target, more))
    return 0


@inlined
def tile_to_points(w, number, v, g, first_panel, end_panel):
    """Transform a tile's window of the pictures to V, and its gradient to G."""
    sample, ty, tx = tile_place(w, number)
    pixel = w.channels * ITEMSIZE
    picture = w.a + sample * w.height * w.width * pixel
    y, x = ty * PIXELS, tx * PIXELS
    transform_window(
        Window(picture, w.height, w.width, pixel, y - w.top, x - w.left, w.channels, v, w.v_point)
    )
    pixel = w.columns * ITEMSIZE
    column, line = first_panel * w.block_width, w.block_width * ITEMSIZE
    transform_gradient(
        Gradient(
            picture=w.b + sample * w.out_height * w.out_width * pixel,
            height=w.out_height,
            width=w.out_width,
            pixel=pixel,
            y=y,
            x=x,
            column=column,
            columns=w.columns - column,
            panels=end_panel - first_panel,
            line=line,
            target=g,
            target_panel=w.band * line,
            point=w.g_point,
        )
    )


@cache
def winograd_weight_gradient_kernel(block: Block) -> Kernel:
    """The kernel for one block size of the products."""
    fillings = (
        filling(Window, ToPoints(PIXELS)),
        filling(Gradient, TransformGradient()),
        filling(Products, AddProducts(block)),
        filling(Sums, AddUp()),
    )
    name = f"winograd_weight_gradient_{PIXELS}x{PIXELS}[{block.dtype}, {block.rows}x{block.vectors}]"
    words = WeightGradient
    return numba_kernel(name, winograd_weight_gradient, block, slots=dict(fillings), words=words)


class WayBack(NamedTuple):
    """The words of the way back from the sums of products to the weights' gradient."""

    # Sums of `parts` parts, `part` bytes apart: [panel][point][channel][column].
    source: Word
    parts: Word
    part: Word
    point: Word
    panel: Word
    channels: Word
    columns: Word
    block_width: Word
    target: Word
    tiles: Word


class Cells(NamedTuple):
    """One channel of one panel: the sums at its points, and the nine cells of a kernel that they become."""

    source: Word
    parts: Word
    part: Word
    point: Word
    # Bytes of the panel's line, and columns that exist.
    line: Word
    columns: Word
    target: Word
    cell: Word


@dataclass(frozen=True, slots=True)
class TransformBack:
    """Add up the parts' sums and transform them to the weights' gradient: fills a slot of `Cells`."""

    def __call__(self, writer: Writer, cells: Cells) -> None:
        """Write the code."""
        with writer.loop(0, cells.line, VECTOR) as across:
            mask = writer.tail_mask(cells.columns - across / ITEMSIZE, LANES)

            def total(i: Vec, j: int, across: Vec = across) -> Vec:
                place = cells.source + (i * SIDE + j) * cells.point + across
                total = writer.variable(load(place, DTYPE, LANES))
                with writer.loop(1, cells.parts) as part:
                    total.set(total.get() + load(place + part * cells.part, DTYPE, LANES))
                return total.get()

            def put(j: Vec, i: int, value: Vec, across: Vec = across, mask: Vec = mask) -> None:
                # The first pass went along lines: j is the column of the kernel, i its line.
                store(value, cells.target + (j + i * TAPS) * cells.cell + across, mask)

            apply_both_ways(writer, _TRANSFORMS.back, total, put, LANES)


way_words, transform_back = named(WayBack), slot(Cells)


def winograd_weights(operands, tile):
    """Add up the parts' sums, and transform them to the weights' gradient: a share of the channels."""
    w = way_words(operands)
    line = w.block_width * ITEMSIZE
    first, end = share(tile, w.tiles, parts_of(w.columns, w.block_width) * w.channels)
    for unit in range(first, end):
        panel, channel = parted(unit, w.channels)
        column = panel * w.block_width
        source = w.source + panel * w.panel + channel * line
        target = w.target + (channel * w.columns + column) * ITEMSIZE
        cell = w.channels * w.columns * ITEMSIZE
        transform_back(Cells(source, w.parts, w.part, w.point, line, w.columns - column, target, cell))
    return 0


@cache
def winograd_weights_kernel() -> Kernel:
    """The kernel of the way back."""
    slots = dict([filling(Cells, TransformBack())])
    name = f"winograd_weights[{DTYPE}]"
    return numba_kernel(name, winograd_weights, slots=slots, words=WayBack)


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

    As `gradient.conv2d_weight_gradient_rows` with strides, dilation and groups of 1; out is
    [3, 3, C, F], C at least a vector.
    """
    samples, height, width, channels = x.shape
    _, out_height, out_width, columns = grad.shape
    tiles_y, tiles_x = -(-out_height // PIXELS), -(-out_width // PIXELS)
    tiles = samples * tiles_y * tiles_x
    plan = weight_gradient_plan(tiles, channels, columns, threads)
    block, parts = plan.block, plan.parts_columns * plan.parts_rows
    panels = -(-columns // block.width)
    v_row = -(-channels // LANES) * VECTOR
    here = -(-panels // plan.parts_columns)
    band = min(-(-tiles // plan.parts_rows), plan.band)
    v_point, g_point = odd_lines(band * v_row), odd_lines(band * here * block.line)
    c_point = odd_lines(channels * block.line)
    c, c_part = slots(scratch, plan.parts_rows, panels * POINTS * c_point)
    v, v_slot = slots(scratch, parts, POINTS * v_point)
    g, g_slot = slots(scratch, parts, POINTS * g_point)
    rest: list[Row] = []
    place: Address | int = 0
    if sums:
        place = sums.address
        if plan.parts_rows > 1:
            place = scratch((plan.parts_rows, columns), out.dtype).address
            rest = [partial_sum_row(DTYPE, place, plan.parts_rows, 1, columns, sums.address, 0)]
    products = WeightGradient(
        a=x.address,
        b=grad.address,
        c=c,
        c_part=c_part,
        sums=place,
        sums_part=columns * ITEMSIZE,
        samples=samples,
        tiles_y=tiles_y,
        tiles_x=tiles_x,
        top=padding[0][0],
        left=padding[1][0],
        height=height,
        width=width,
        channels=channels,
        out_height=out_height,
        out_width=out_width,
        columns=columns,
        block_width=block.width,
        parts_columns=plan.parts_columns,
        parts_rows=plan.parts_rows,
        band=band,
        v=v,
        v_slot=v_slot,
        v_row=v_row,
        v_point=v_point,
        g=g,
        g_slot=g_slot,
        g_point=g_point,
        c_point=c_point,
    )
    kernel = winograd_weight_gradient_kernel(block)
    return [Row(kernel, tuple(products), parts), _way_back_row(products, out, threads), *rest]


def _way_back_row(products: WeightGradient, out: Buffer, threads: int) -> Row:
    """The row that makes the weights' gradient of all parts' sums of products."""
    operands = WayBack(
        source=products.c,
        parts=products.parts_rows,
        part=products.c_part,
        point=products.c_point,
        panel=POINTS * products.c_point,
        channels=products.channels,
        columns=products.columns,
        block_width=products.block_width,
        target=out.address,
        tiles=min(threads, products.channels),
    )
    return Row(winograd_weights_kernel(), tuple(operands), operands.tiles)
