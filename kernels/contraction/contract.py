"""One kernel behind matrix products and convolutions: lines of A times packed columns of B.

C's rows come in *lines* (all rows of a matrix; a row of output pixels): line y of sample s starts at ``a + s
* a_sample + y * a_row`` and its rows lie `a_step` bytes apart. The depth is a list of *taps*, each `depth`
long (a matrix product has one tap, a convolution one per kernel cell); taps whose parts of A touch are read
as one *run*. B is packed inside the tile, a chunk of columns and depth at a time, so that it is streamed from
memory once and lies in L2 from then on. Where A has borders to be filled with zeros, or is transposed with
far-apart lines, a part of it is staged next to the packed B.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from symgraph.kernels.run.buffer import Scratch
from symgraph.kernels.run.integers import greatest, least, over, parted, parts_of, share
from symgraph.kernels.run.jit import Kernel, inlined, numba_kernel
from symgraph.kernels.run.machine import Address, Row
from symgraph.kernels.run.memory import address_of, clear_bytes, copy_bytes, load_int
from symgraph.kernels.run.target import TARGET
from symgraph.kernels.tile.block import Block, split_epilogue
from symgraph.kernels.tile.multiply import Multiply, Pack, PackTransposed, Panel, Tile, activation_number
from symgraph.kernels.tile.words import Word, filling, named, slot

PACK_BYTES = min(512 << 10, TARGET.l2_bytes // 2)
"""Packed B that a tile keeps at hand: half of L2. More than this was measured to gain nothing."""
BAND_BYTES = min(128 << 10, TARGET.l2_bytes // 4)
"""The part of A that one unit works on."""
LINE = 64
"""Bytes of a line of cache, on the processors that are known."""
SMALL = 1 << 20
"""Multiply-adds below which a second thread does not pay."""

Operands = dict[str, Any]
"""Operands of a kernel by name: sizes and byte steps are int, places are Address."""


class Contraction(NamedTuple):
    """The words of a contraction: addresses, byte steps, numbers of elements.

    After them come `runs` offsets into A and `taps` offsets into B.
    """

    a: Word
    b: Word
    c: Word
    bias: Word = 0
    # The number of the activation (`multiply.activation_number`).
    activation: Word = 0
    # Laid out like C, for the activation "gated": results where it is positive, zeros elsewhere.
    gate: Word = 0
    # Laid out like C: it is added before the activation. 0 where there is none.
    addend: Word = 0
    # Packed B and staged A are cut into slots, one per tile.
    pack: Word = 0
    pack_slot: Word = 0
    stage: Word = 0
    stage_slot: Word = 0
    # The grid of tiles: batches x parts of the depth x parts of the columns x parts of the rows.
    parts_batch: Word = 1
    parts_depth: Word = 1
    parts_columns: Word = 1
    parts_rows: Word = 1
    c_part: Word = 0
    batches: Word = 1
    inner_batches: Word = 1
    a_batch: Word = 0
    a_inner: Word = 0
    b_batch: Word = 0
    b_inner: Word = 0
    c_batch: Word = 0
    c_inner: Word = 0
    # Rows: units of (sample, band of lines, band of blocks in a line).
    samples: Word = 1
    lines: Word = 1
    lines_per_band: Word = 1
    length: Word = 0
    blocks_per_band: Word = 0
    a_sample: Word = 0
    a_row: Word = 0
    a_step: Word = 0
    a_depth: Word = 0
    c_sample: Word = 0
    c_row: Word = 0
    c_step: Word = 0
    # Depth and columns; `run_taps` taps form a run, `chunk` is the part of `depth` that is packed at once.
    runs: Word = 1
    run_taps: Word = 1
    taps: Word = 1
    depth: Word = 0
    chunk: Word = 0
    groups: Word = 1
    columns: Word = 0
    panel_chunk: Word = 0
    b_depth: Word = 0
    b_column: Word = 0
    b_group: Word = 0
    a_group: Word = 0
    accumulate: Word = 0
    # The block: its rows and columns, and the bytes of an element.
    block_rows: Word = 1
    block_width: Word = 1
    size: Word = 4
    # How A and B are met: a number of `STAGES` and of `LAYOUTS`; whether a band's lines count as one.
    staged: Word = 0
    layout: Word = 0
    joined: Word = 0
    # Staging of padded lines, `stage_line` apart in A: `stage_step` lines of A per line of C, `stage_extra`
    # more.
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
    # Where it is not 0: the runs are this many lines of taps, one below the other. Lines of taps that see
    # nothing but zeros above or below A are left out.
    tap_lines: Word = 0


STAGES = ("none", "pad", "copy")
"""A is read where it lies; its lines get zero borders; it is transposed, and a chunk is brought together."""
LAYOUTS = ("rows", "columns", "packed", "direct")
"""B has contiguous rows, or columns, and is packed; was packed before (by `packed.py`); is read in place."""
_PAD, _COPY = STAGES.index("pad"), STAGES.index("copy")
_COLUMNS, _PACKED, _DIRECT = (LAYOUTS.index(name) for name in ("columns", "packed", "direct"))
_WORDS = 8 * len(Contraction._fields)


class Chunk(NamedTuple):
    """A part of B, panels of columns times a piece of the depth, and the matrices of its batch."""

    a: Word
    b: Word
    c: Word
    stage: Word
    packed: Word
    panels: Word
    panel: Word
    panel_end: Word
    at: Word
    count: Word
    load: Word
    last: Word
    # Bands of the lines of a sample, and of the blocks of a line; bytes of a packed panel.
    line_bands: Word
    block_bands: Word
    panel_bytes: Word


words, multiply, pack = named(Contraction), slot(Tile), slot(Panel)


def contraction(operands, tile):
    """C = A times B, for one tile of the grid."""
    w = words(operands)
    lists = address_of(operands) + _WORDS
    rest, part_rows = parted(tile, w.parts_rows)
    rest, part_columns = parted(rest, w.parts_columns)
    part_batch, part_depth = parted(rest, w.parts_depth)
    # Columns past a group's last are zero in the packed panels.
    panels = parts_of(w.columns, w.block_width)
    line_bands = parts_of(w.lines, w.lines_per_band)
    block_bands = parts_of(parts_of(w.length, w.block_rows), w.blocks_per_band)
    units = w.samples * line_bands * block_bands
    first_unit, end_unit = share(part_rows, w.parts_rows, units)
    first_panel, end_panel = share(part_columns, w.parts_columns, panels * w.groups)
    first_depth, end_depth = share(part_depth, w.parts_depth, w.depth)
    first_batch, end_batch = share(part_batch, w.parts_batch, w.batches)
    for batch in range(first_batch, end_batch):
        outer, inner = parted(batch, w.inner_batches)
        a = w.a + outer * w.a_batch + inner * w.a_inner
        b = w.b + outer * w.b_batch + inner * w.b_inner
        c = w.c + outer * w.c_batch + inner * w.c_inner + part_depth * w.c_part
        for part in range(parts_of(end_panel - first_panel, w.panel_chunk)):
            panel = first_panel + part * w.panel_chunk
            panel_end = least(panel + w.panel_chunk, end_panel)
            # An empty depth still runs once: it stores zeros, or the bias.
            for piece in range(parts_of(greatest(end_depth - first_depth, 1), w.chunk)):
                at = first_depth + piece * w.chunk
                count = least(w.chunk, end_depth - at)
                load, last = (at != first_depth) | w.accumulate, at + count >= end_depth
                stage, packed = w.stage + tile * w.stage_slot, w.pack + tile * w.pack_slot
                panel_bytes = w.taps * count * w.block_width * w.size
                chunk = Chunk(
                    a, b, c, stage, packed, panels, panel, panel_end, at, count, load, last,
                    line_bands, block_bands, panel_bytes,
                )  # fmt: skip
                if w.layout < _PACKED:
                    pack_chunk(w, chunk, lists)
                for unit in range(first_unit, end_unit):
                    multiply_unit(w, chunk, lists, unit)
    return 0


@inlined
def pack_chunk(w, chunk, lists):
    """Bring the chunk of B into panels: [panel][tap][depth][column]."""
    for panel in range(chunk.panel, chunk.panel_end):
        group, place = parted(panel, chunk.panels)
        column = place * w.block_width
        source = chunk.b + group * w.b_group + column * w.b_column + chunk.at * w.b_depth
        target = chunk.packed + (panel - chunk.panel) * chunk.panel_bytes
        step = w.b_column if w.layout == _COLUMNS else w.b_depth
        for tap in range(w.taps):
            offset = load_int(lists + 8 * (w.runs + tap))
            pack(Panel(source + offset, step, chunk.count, w.columns - column, target))
            target += chunk.count * w.block_width * w.size


@inlined
def multiply_unit(w, chunk, lists, unit):
    """All blocks of one unit: a band of lines, or a band of a line, of one sample."""
    sample, rest = parted(unit, chunk.line_bands * chunk.block_bands)
    line_band, block_band = parted(rest, chunk.block_bands)
    line, first_block = line_band * w.lines_per_band, block_band * w.blocks_per_band
    lines = least(w.lines_per_band, w.lines - line)
    source, target = chunk.a + sample * w.a_sample, chunk.c + sample * w.c_sample
    # The lines of a band may count as one long line.
    length = lines * w.length if w.joined else w.length
    blocks = parts_of(length, w.block_rows)
    end_block = blocks if w.joined else least(first_block + w.blocks_per_band, blocks)
    lowest = least(first_block * w.block_rows, length - w.block_rows)
    if w.staged == _PAD:
        stage_lines(w, chunk.stage, source, line, lines)
    elif w.staged == _COPY:
        highest = least(end_block * w.block_rows, length)
        for k in range(chunk.count):
            place = source + (chunk.at + k) * w.a_depth + lowest * w.size
            copy_bytes(chunk.stage + k * w.stage_row, place, (highest - lowest) * w.size)
    end_row = least(end_block * w.block_rows, length)
    # A unit that looks ahead has one line. Each block asks for as many lines of cache as its depth has steps.
    ahead, ahead_end = source + end_row * w.a_step, source + (2 * end_row - lowest) * w.a_step
    for panel in range(chunk.panel, chunk.panel_end):
        for y in range(line, line + 1 if w.joined else line + lines):
            for i in range(first_block, end_block):
                start = least(i * w.block_rows, length - w.block_rows)
                skip = i * w.block_rows - start
                place = Place(source, target, line, y, start, skip, lowest, ahead if ahead < ahead_end else 0)
                multiply_block(w, chunk, lists, place, panel)
                ahead += chunk.count * LINE


class Place(NamedTuple):
    """A block's first row, `start` of line `y` of a unit from `line` on, and the rows that it skips.

    `ahead` is where lines of cache begin that a block which looks ahead asks for; 0 for none.
    """

    source: Word
    target: Word
    line: Word
    y: Word
    start: Word
    skip: Word
    lowest: Word
    ahead: Word


@inlined
def multiply_block(w, chunk, lists, place, panel):
    """One block of one panel."""
    group, column = parted(panel, chunk.panels)
    column *= w.block_width
    if w.layout == _DIRECT:
        b = chunk.b + group * w.b_group + column * w.b_column + chunk.at * w.b_depth
    elif w.layout == _PACKED:
        b = chunk.b + (chunk.at * chunk.panels + panel * chunk.count) * w.block_width * w.size
    else:
        b = chunk.packed + (panel - chunk.panel) * chunk.panel_bytes
    # A block of joined lines touches two of them at most.
    below = over(place.start, w.length) if w.joined else 0
    x = place.start - below * w.length
    y, end_y = place.y + below, place.y + below + (w.joined & (x + w.block_rows > w.length))
    line_step = w.stage_step * w.stage_row if w.staged == _PAD else w.a_row
    first_run, runs = 0, w.runs
    if w.staged == _PAD:
        first_run, runs = seen_runs(w, y, end_y)
        a = chunk.stage + (y - place.line) * line_step + x * w.a_step
    elif w.staged == _COPY:
        a = chunk.stage + (x - place.lowest) * w.size
    else:
        a = place.source + y * line_step + x * w.a_step
    if w.staged != _COPY:
        a += group * w.a_group + chunk.at * w.a_depth
    across = (group * w.columns + column) * w.size
    c = place.target + place.y * w.c_row + place.start * w.c_step + across
    depth_step = w.stage_row if w.staged == _COPY else w.a_depth
    bias = w.bias + across if w.bias != 0 else 0
    # Its own result instead of nothing: an address without memory takes time.
    ahead, ahead_step = (place.ahead, LINE) if place.ahead != 0 else (c, 0)
    multiply(
        Tile(
            a=a,
            row_step=w.a_step,
            depth_step=depth_step,
            first_run=first_run,
            runs=runs,
            run_step=0,
            run_offsets=lists,
            depth=chunk.count * w.run_taps,
            b=b,
            b_step=w.b_depth,
            c=c,
            c_step=w.c_step,
            columns=w.columns - column,
            skip=place.skip,
            load=chunk.load,
            last=chunk.last,
            bias=bias,
            bias_step=w.groups * w.columns * w.size,
            activation=w.activation,
            gate=c + w.gate - w.c,
            addend=c + w.addend - w.c,
            turn=w.length - x,
            jump=line_step - w.length * w.a_step,
            ahead=ahead,
            ahead_step=ahead_step,
        )
    )


@inlined
def seen_runs(w, y, end_y):
    """The runs that lines y to end_y of the output need: from the first to past the last.

    Those that see nothing but the border of A are left out. The lower a line, the sooner its runs begin and
    end.
    """
    first, end = 0, w.runs
    if w.tap_lines != 0:
        per_line = over(w.runs, w.tap_lines)
        low, high = w.stage_top - end_y * w.stage_step, w.stage_height + w.stage_top - y * w.stage_step
        first = least(greatest(low, 0), w.tap_lines) * per_line
        end = least(greatest(high, 0), w.tap_lines) * per_line
    return first, greatest(first, end)


@inlined
def stage_lines(w, stage, source, first_line, lines):
    """Copy the lines of A that `lines` output lines see to `stage`, with zeros where they leave A."""
    top = first_line * w.stage_step - w.stage_top
    for i in range((lines - 1) * w.stage_step + w.stage_extra + 1):
        target, y = stage + i * w.stage_row, top + i
        if 0 <= y < w.stage_height:
            clear_bytes(target, w.stage_left)
            copy_bytes(target + w.stage_left, source + y * w.stage_line + w.stage_skip, w.stage_middle)
            clear_bytes(target + w.stage_left + w.stage_middle, w.stage_right)
        else:
            clear_bytes(target, w.stage_row)


@cache
def contraction_kernel(
    block: Block,
    layout: str,
    steps: str = "",
    gated: bool = False,
    joined: bool = False,
    looking: bool = False,
    added: bool = False,
) -> Kernel:
    """The kernel for one block size; see `LAYOUTS`. Packed before or now, rows are read alike.

    Under `joined`, the lines of a band count as one line, so that blocks may begin in one and end in the
    next; C's lines follow each other without gaps then, and have at least a block's rows. Under `looking`,
    blocks of a unit ask for the rows of A of the next one: there is one run as long as A's rows, which follow
    each other without gaps, and all of them are one line.
    """
    packing = PackTransposed(block) if layout == "columns" else Pack(block)
    tile = Multiply(
        block, steps, gated, direct=layout == "direct", turning=joined, looking=looking, added=added
    )
    name = f"contraction[{block.dtype}, {block.rows}x{block.vectors}, {block.along}, {layout}"
    flags = {"gated": gated, "added": added, "joined": joined, "ahead": looking}
    name += f"{', ' * bool(steps)}{steps}{''.join(f', {flag}' for flag, is_set in flags.items() if is_set)}]"
    slots = dict([filling(Tile, tile), filling(Panel, packing)])
    return numba_kernel(name, contraction, (tile, packing), slots=slots, words=Contraction)


def contraction_row(
    block: Block,
    stage: str,
    layout: str,
    activation: str,
    values: Operands,
    run_offsets: Sequence[int],
    tap_offsets: Sequence[int],
    joined: bool = False,
    looking: bool = False,
) -> Row:
    """A row from named operands; names that are left out have their defaults. Offsets are bytes."""
    gated = activation == "gated"
    steps, activation = ("", "linear") if gated else split_epilogue(activation)
    operands = Contraction(
        **values,
        activation=activation_number(activation),
        runs=len(run_offsets),
        taps=len(tap_offsets),
        block_rows=block.rows,
        block_width=block.width,
        size=block.size,
        staged=STAGES.index(stage),
        layout=LAYOUTS.index(layout),
        joined=int(joined),
    )
    tiles = operands.parts_batch * operands.parts_depth * operands.parts_columns * operands.parts_rows
    read = "rows" if layout == "packed" else layout
    kernel = contraction_kernel(block, read, steps, gated, joined, looking, operands.addend != 0)
    return Row(kernel, (*operands, *run_offsets, *tap_offsets), tiles)


def slots(scratch: Scratch, tiles: int, size: int) -> tuple[Address, int]:
    """Scratch of `size` bytes for each tile, on cache lines of its own: the address and the distance."""
    slot = -(-size // 64) * 64
    return scratch((tiles * slot,), np.uint8).address, slot


def cut_depth(depth: int, taps: int, panels: int, block: Block) -> tuple[int, int]:
    """The chunk of depth and the number of panels whose packed form stays in L2."""
    line = max(1, taps) * block.width * block.size
    chunk = max(1, depth)
    if depth * panels * line > PACK_BYTES:
        target = max(16, 2048 // block.size // max(1, taps))
        chunk = -(-depth // -(-depth // target))
    return chunk, min(panels, max(1, PACK_BYTES // (chunk * line)))
