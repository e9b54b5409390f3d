"""The kernel behind weight gradients of convolutions: loops over bands of output pixels.

Rows of the result are (kernel cell, channel), contiguous in A, so A is read where it lies. Kernels of one
cell read wide A badly: a block takes a few numbers of each pixel, and pixels a power of 2 apart compete for
one set of the caches. There blocks of rows are brought together first. While a band is multiplied, lines of
the next one are asked for, which would else be waited for, some at a time.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from symgraph.kernels.contraction.contract import LINE, stage_lines
from symgraph.kernels.run.integers import greatest, least, parted, parts_of, share
from symgraph.kernels.run.jit import Kernel, inlined, numba_kernel
from symgraph.kernels.run.memory import address_of, load_int
from symgraph.kernels.tile.block import Block
from symgraph.kernels.tile.lines import Lines, SumLines
from symgraph.kernels.tile.multiply import Cut, CutRows, Multiply, Pack, Panel, Tile
from symgraph.kernels.tile.words import Word, filling, named, slot


class WeightGradient(NamedTuple):
    """The words of a weight gradient: addresses, byte steps, numbers of elements.

    A is the convolution's input, B its output's gradient, C the gradient of its weights. After the words come
    `cells` offsets into A, and the lines of A that each cell lies below an output line's.
    """

    a: Word
    b: Word
    c: Word
    # Where sums of B go; 0 where they are not wanted.
    sums: Word = 0
    sums_part: Word = 0
    # Packed B and staged lines of A are cut into slots, one per tile.
    pack: Word = 0
    pack_slot: Word = 0
    stage: Word = 0
    stage_slot: Word = 0
    # The grid of tiles: parts of the bands x parts of the columns; each part of the bands has a C of its own.
    parts_bands: Word = 1
    parts_columns: Word = 1
    c_part: Word = 0
    # The depth: bands of lines of output pixels; small pictures are taken together.
    samples: Word = 1
    samples_per_band: Word = 1
    lines: Word = 1
    lines_per_band: Word = 1
    pixels: Word = 1
    a_sample: Word = 0
    a_line: Word = 0
    a_step: Word = 0
    b_sample: Word = 0
    b_line: Word = 0
    b_step: Word = 0
    # Rows of C: `length` for each of `cells` kernel cells. Columns, in each of `groups`.
    cells: Word = 1
    length: Word = 1
    groups: Word = 1
    columns: Word = 1
    a_group: Word = 0
    c_step: Word = 0
    # The block: its rows and columns, and the bytes of an element.
    block_rows: Word = 1
    block_width: Word = 1
    size: Word = 4
    # Whether B is packed first; without, all blocks have all of their columns.
    packed: Word = 0
    # Bytes from a pixel of A to the next one where that holds for all pixels, or 0: these can be asked for.
    a_ahead: Word = 0
    # Where it is not 0: the blocks of rows that make a strip, which is brought together (at `stage`), and the
    # bytes from one block of it to the next.
    strip_blocks: Word = 0
    strip_step: Word = 0
    # Whether lines of A are staged, and how (see `Contraction`).
    staged: Word = 0
    stage_sample: Word = 0
    stage_line: Word = 0
    stage_row: Word = 0
    stage_step: Word = 0
    stage_extra: Word = 0
    stage_top: Word = 0
    stage_height: Word = 0
    stage_skip: Word = 0
    stage_left: Word = 0
    stage_middle: Word = 0
    stage_right: Word = 0


class Band(NamedTuple):
    """The lines of output pixels that are worked on: where A and B begin, and C for this tile."""

    samples: Word
    line: Word
    lines: Word
    a: Word
    a_sample: Word
    a_line: Word
    b: Word
    c: Word
    sums: Word
    pack: Word
    load: Word
    # Whether another band follows for this tile.
    more: Word


_WORDS = 8 * len(WeightGradient._fields)
words, multiply, pack, sum_lines = named(WeightGradient), slot(Tile), slot(Panel), slot(Lines)
cut_rows = slot(Cut)


def weight_gradient(operands, tile):
    """C = A transposed times B, for one tile: its share of the bands, and of the panels of columns."""
    w = words(operands)
    part, part_columns = parted(tile, w.parts_columns)
    panels, bands = parts_of(w.columns, w.block_width), parts_of(w.lines, w.lines_per_band)
    first_panel, end_panel = share(part_columns, w.parts_columns, panels * w.groups)
    first, end = share(part, w.parts_bands, parts_of(w.samples, w.samples_per_band) * bands)
    for unit in range(first, end):
        number, rest = parted(unit, bands)
        sample, line = number * w.samples_per_band, rest * w.lines_per_band
        samples = least(w.samples_per_band, w.samples - sample)
        lines = least(w.lines_per_band, w.lines - line)
        a, a_sample, a_line = w.a + sample * w.a_sample, w.a_sample, w.a_line
        if w.staged:
            stage = w.stage + tile * w.stage_slot
            for i in range(samples):
                stage_lines(w, stage + i * w.stage_sample, a + i * w.a_sample, line, lines)
            a, a_sample, a_line = stage, w.stage_sample, w.stage_step * w.stage_row
        else:
            a += line * w.a_line
        b = w.b + sample * w.b_sample + line * w.b_line
        c, sums, room = w.c + part * w.c_part, w.sums + part * w.sums_part, w.pack + tile * w.pack_slot
        band = Band(
            samples, line, lines, a, a_sample, a_line, b, c, sums, room, unit != first, unit + 1 != end
        )
        if w.strip_blocks != 0:
            add_strips(w, band, w.stage + tile * w.stage_slot, first_panel, end_panel)
        else:
            add_band(w, operands, band, first_panel, end_panel)
    return 0


@inlined
def add_band(w, operands, band, first_panel, end_panel):
    """Add one band's products to all rows of a share of the panels of columns."""
    offsets = address_of(operands) + _WORDS
    panels = parts_of(w.columns, w.block_width)
    steps = band.samples * band.lines * w.pixels
    for panel in range(first_panel, end_panel):
        group, place = parted(panel, panels)
        column = place * w.block_width
        across, columns = (group * w.columns + column) * w.size, w.columns - column
        b, b_step = band.b + across, w.b_step
        if w.packed:
            pack(Panel(b, b_step, steps, columns, band.pack))
            b, b_step = band.pack, w.block_width * w.size
        if w.sums != 0:
            sum_lines(Lines(b, b_step, steps, columns, band.sums + across, band.load))
        for cell in range(w.cells):
            a = band.a + load_int(offsets + 8 * cell) + group * w.a_group
            c = band.c + cell * w.length * w.c_step + across
            seen = seen_lines(w, band, load_int(offsets + 8 * (w.cells + cell)))
            turn = ((panel - first_panel) * w.cells + cell) * parts_of(w.length, w.block_rows)
            add_cell(w, band, seen, a, b, b_step, c, columns, turn)


@inlined
def add_strips(w, band, strip, first_panel, end_panel):
    """As `add_band` for a kernel of one cell, where A is wide: strips of its rows are brought together.

    They serve all panels of columns while they lie in L2.
    """
    steps = band.samples * band.lines * w.pixels
    width = w.block_width * w.size
    for panel in range(first_panel, end_panel):
        columns, target = w.columns - panel * w.block_width, band.pack + (panel - first_panel) * steps * width
        pack(Panel(band.b + panel * width, w.b_step, steps, columns, target))
        if w.sums != 0:
            sum_lines(Lines(target, width, steps, columns, band.sums + panel * width, band.load))
    blocks = parts_of(w.length, w.block_rows)
    for number in range(parts_of(blocks, w.strip_blocks)):
        first = number * w.strip_blocks
        end = least(first + w.strip_blocks, blocks)
        bring_together(w, band, strip, first, end)
        for i in range(first, end):
            start = least(i * w.block_rows, w.length - w.block_rows)
            for panel in range(first_panel, end_panel):
                turn = (i - first) * (end_panel - first_panel) + panel - first_panel
                ahead, ahead_step = next_strip(w, band, first, end, first_panel, end_panel, turn)
                multiply(
                    Tile(
                        a=strip + (i - first) * w.strip_step,
                        row_step=w.size,
                        depth_step=w.block_rows * w.size,
                        first_run=0,
                        runs=1,
                        run_step=0,
                        run_offsets=0,
                        depth=steps,
                        b=band.pack + (panel - first_panel) * steps * width,
                        b_step=width,
                        c=band.c + start * w.c_step + panel * width,
                        c_step=w.c_step,
                        columns=w.columns - panel * w.block_width,
                        skip=i * w.block_rows - start,
                        load=band.load,
                        last=1,
                        bias=0,
                        bias_step=0,
                        activation=0,
                        gate=0,
                        addend=0,
                        turn=0,
                        jump=0,
                        ahead=ahead,
                        ahead_step=ahead_step,
                    )
                )


@inlined
def bring_together(w, band, strip, first, end):
    """Copy the rows of blocks `first` to `end`, pixel after pixel: [block][pixel][row]."""
    target = strip
    for sample in range(band.samples):
        for line in range(band.lines):
            source = band.a + sample * band.a_sample + line * band.a_line
            for _ in range(w.pixels):
                cut_rows(Cut(source, w.length, first, end, target, w.strip_step))
                source += w.a_step
                target += w.block_rows * w.size


@inlined
def next_strip(w, band, first, end, first_panel, end_panel, turn):
    """What block number `turn` of a strip asks for: lines of the next strip's A, or of the next band."""
    steps, row = band.samples * band.lines * w.pixels, w.block_rows * w.size
    if end * w.block_rows < w.length:
        return ask(turn, band.a + end * row, w.a_step, (end - first) * row, 0, 0, 0, band.c)
    if band.more == 0:
        return band.c, 0
    length = least(w.strip_blocks * row, w.length * w.size) if w.a_ahead != 0 else 0
    b, width = band.b + steps * w.b_step, w.block_width * w.size
    across = (end_panel - first_panel) * width
    b += first_panel * width
    return ask(turn, band.a + steps * w.a_step, w.a_step, length, b, w.b_step, across, band.c)


@inlined
def ask(turn, a, a_step, a_bytes, b, b_step, b_bytes, near):
    """The first line of cache and the bytes to the next ones: those of A's pixels, then those of B's.

    After all of them it is the one at `near` again and again: an address without memory takes time.
    """
    lines_a, lines_b = parts_of(a_bytes, LINE), parts_of(b_bytes, LINE)
    if turn < lines_a:
        return a + turn * LINE, a_step
    if turn < lines_a + lines_b:
        return b + (turn - lines_a) * LINE, b_step
    return near, 0


@inlined
def seen_lines(w, band, below):
    """The lines of a band, from the first to past the last, where a cell sees more than the border of A."""
    if not w.staged:
        return 0, band.lines
    top = band.line * w.stage_step + below
    first = least(parts_of(greatest(-top, 0), w.stage_step), band.lines)
    end = least(parts_of(greatest(w.stage_height - top, 0), w.stage_step), band.lines)
    return first, greatest(first, end)


@inlined
def add_cell(w, band, seen, a, b, b_step, c, columns, turn):
    """Add one band's products to a kernel cell's rows, for one panel of columns."""
    pixels = band.lines * w.pixels
    next_a, next_b = band.a + band.samples * pixels * w.a_ahead, band.b + band.samples * pixels * w.b_step
    a_bytes, b_bytes = (w.a_ahead, w.b_step) if band.more else (0, 0)
    for i in range(parts_of(w.length, w.block_rows)):
        ahead, ahead_step = ask(turn + i, next_a, w.a_ahead, a_bytes, next_b, w.b_step, b_bytes, band.c)
        start = least(i * w.block_rows, w.length - w.block_rows)
        for sample in range(band.samples):
            multiply(
                Tile(
                    a=a + sample * band.a_sample + start * w.size,
                    row_step=w.size,
                    depth_step=w.a_step,
                    first_run=seen[0],
                    runs=seen[1],
                    run_step=band.a_line,
                    run_offsets=0,
                    depth=w.pixels,
                    b=b + sample * pixels * b_step,
                    b_step=b_step,
                    c=c + start * w.c_step,
                    c_step=w.c_step,
                    columns=columns,
                    skip=i * w.block_rows - start,
                    load=band.load | (sample != 0),
                    last=1,
                    bias=0,
                    bias_step=0,
                    activation=0,
                    gate=0,
                    addend=0,
                    turn=0,
                    jump=0,
                    ahead=ahead + sample * pixels * ahead_step,
                    ahead_step=ahead_step,
                )
            )


@cache
def weight_gradient_kernel(block: Block) -> Kernel:
    """The kernel for one block size."""
    tile = Multiply(block, biased=False, direct=True, whole=True, listed=False, looking=True)
    packing, adding, cutting = Pack(block), SumLines(block), CutRows(block)
    slots = dict(
        [filling(Tile, tile), filling(Panel, packing), filling(Lines, adding), filling(Cut, cutting)]
    )
    name = f"conv2d_weight_gradient[{block.dtype}, {block.rows}x{block.vectors}]"
    return numba_kernel(
        name, weight_gradient, (tile, packing, adding, cutting), slots=slots, words=WeightGradient
    )
