"""One kernel behind matrix products and convolutions: lines of A times packed columns of B.

C's rows come in *lines* (all rows of a matrix; a row of output pixels): line y of sample s starts at ``a + s
* a_sample + y * a_row`` and its rows lie `a_step` bytes apart. The depth is a list of *taps*, each `depth`
long (a matrix product has one tap, a convolution one per kernel cell); taps whose parts of A touch are read
as one *run*. B is packed inside the tile, a chunk of columns and depth at a time, so that it is streamed from
memory once and lies in L2 from then on. Where A has borders to be filled with zeros, or is transposed with
far-apart lines, a part of it is staged next to the packed B.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from llvmlite import ir

from symgraph.kernels.run.buffer import Scratch
from symgraph.kernels.run.jit import Kernel, ir_kernel
from symgraph.kernels.run.machine import Address, Row
from symgraph.kernels.run.target import TARGET
from symgraph.kernels.tile.emit import Code, Int
from symgraph.kernels.tile.simd import Block, Tile, emit_block, emit_pack, emit_pack_transposed

PACK_BYTES = min(512 << 10, TARGET.l2_bytes // 2)
"""Packed B that a tile keeps at hand: half of L2. More than this was measured to gain nothing."""
BAND_BYTES = min(128 << 10, TARGET.l2_bytes // 4)
"""The part of A that one unit works on."""
SMALL = 1 << 20
"""Multiply-adds below which a second thread does not pay."""

Operands = dict[str, Any]
"""Operands of a kernel by name: sizes and byte steps are int, places are Address."""

NAMES = (
    # Addresses; `pack` and `stage` are cut into slots, one per tile.
    "a", "b", "c", "bias", "pack", "pack_slot", "stage", "stage_slot",
    # The grid of tiles: batches x parts of the depth x parts of the columns x parts of the rows.
    "parts_batch", "parts_depth", "parts_columns", "parts_rows", "c_part",
    "batches", "inner_batches", "a_batch", "a_inner", "b_batch", "b_inner", "c_batch", "c_inner",
    # Rows: units of (sample, band of lines, band of blocks in a line).
    "samples", "lines", "lines_per_band", "length", "blocks_per_band",
    "a_sample", "a_row", "a_step", "a_depth", "c_sample", "c_row", "c_step",
    # Depth and columns; `run_taps` taps form a run, `chunk` is the part of `depth` that is packed at once.
    "runs", "run_taps", "taps", "depth", "chunk", "groups", "columns", "panel_chunk",
    "b_depth", "b_column", "b_group", "a_group", "accumulate",
    # Staging of padded lines: `stage_step` source lines per output line and `stage_extra` more.
    "stage_row", "stage_step", "stage_extra", "stage_top", "stage_height", "stage_skip",
    "stage_left", "stage_middle", "stage_right",
    # Where it is not 0: the runs are this many lines of taps, one below the other. Lines of taps that see
    # nothing but zeros above or below A are left out.
    "tap_lines",
    # Laid out like C, for the activation "gated": results where it is positive, zeros elsewhere.
    "gate",
)  # fmt: skip


@cache
def contraction(block: Block, stage: str, layout: str, activation: str, joined: bool = False) -> Kernel:
    """The kernel for one block size.

    `stage` is "none", "pad" (lines of A get zero borders) or "copy" (A is transposed: a chunk of it is
    brought together). `layout` tells how B is read: "rows" or "columns" are contiguous and get packed, or
    "direct" (contiguous rows that are read where they lie), or "packed" (by `packed.py`, before). Under
    `joined`, the lines of a band count as one line, so that blocks may begin in one and end in the next; C's
    lines follow each other without gaps then, and have at least a block's rows.
    """

    def emit(builder: ir.IRBuilder, function: ir.Function) -> None:
        code = Code(builder, function)
        _emit(code, code.words(NAMES), block, stage, layout, activation, joined)
        code.finish()

    name = f"contraction[{block.dtype}, {block.rows}x{block.vectors}, {block.along}, {stage}"
    name += f", {layout}, {activation}{', joined' if joined else ''}]"
    return ir_kernel(name, emit, (block, stage, layout, activation, joined))


def contraction_row(
    kernel: Kernel, values: Operands, run_offsets: Sequence[int], tap_offsets: Sequence[int]
) -> Row:
    """A row from named operands; names that are left out are 0. Offsets are bytes into A and B."""
    defaults: Operands = {
        "parts_batch": 1, "parts_depth": 1, "parts_columns": 1, "parts_rows": 1, "batches": 1,
        "inner_batches": 1, "samples": 1, "lines": 1, "lines_per_band": 1, "groups": 1,
        "runs": len(run_offsets), "run_taps": 1, "taps": len(tap_offsets),
    }  # fmt: skip
    values = defaults | values
    unknown = set(values) - set(NAMES)
    assert not unknown, f"unknown operands {unknown}"
    operands = [values.get(name, 0) for name in NAMES]
    tiles = math.prod(values[f"parts_{axis}"] for axis in ("batch", "depth", "columns", "rows"))
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


def _emit(
    code: Code, w: SimpleNamespace, block: Block, stage: str, layout: str, activation: str, joined: bool
) -> None:
    part_rows = code.tile % w.parts_rows
    rest = code.tile // w.parts_rows
    part_columns, rest = rest % w.parts_columns, rest // w.parts_columns
    part_depth, part_batch = rest % w.parts_depth, rest // w.parts_depth
    w.gate_shift = w.gate - w.c
    w.pack += code.tile * w.pack_slot
    w.stage += code.tile * w.stage_slot
    w.c += part_depth * w.c_part
    # Columns past a group's last are zero in the packed panels.
    w.panels = (w.columns + (block.width - 1)) // block.width
    w.blocks = (w.length + (block.rows - 1)) // block.rows
    w.line_bands = (w.lines + w.lines_per_band - 1) // w.lines_per_band
    w.block_bands = (w.blocks + w.blocks_per_band - 1) // w.blocks_per_band
    first_unit, end_unit = code.share(part_rows, w.parts_rows, w.samples * w.line_bands * w.block_bands)
    first_panel, end_panel = code.share(part_columns, w.parts_columns, w.panels * w.groups)
    first_depth, end_depth = code.share(part_depth, w.parts_depth, w.depth)
    first_batch, end_batch = code.share(part_batch, w.parts_batch, w.batches)
    with code.loop(end_batch, first_batch) as batch:
        outer, inner = batch // w.inner_batches, batch % w.inner_batches
        here = SimpleNamespace(**vars(w))
        here.a = w.a + outer * w.a_batch + inner * w.a_inner
        here.b = w.b + outer * w.b_batch + inner * w.b_inner
        here.c = w.c + outer * w.c_batch + inner * w.c_inner
        # An empty depth still runs once: it stores zeros, or the bias.
        stop = code.maximum(end_depth, first_depth + 1)
        with (
            code.loop(end_panel, first_panel, w.panel_chunk) as panel,
            code.loop(stop, first_depth, w.chunk) as at,
        ):
            here.panel, here.panel_end = panel, code.minimum(panel + w.panel_chunk, end_panel)
            here.at, here.count = at, code.minimum(w.chunk, end_depth - at)
            here.load = code.builder.or_(at.differs(first_depth), w.accumulate.differs(0))
            here.last = at + here.count >= end_depth
            if layout in ("rows", "columns"):
                _emit_pack(code, here, block, layout)
            with code.loop(end_unit, first_unit) as unit:
                _emit_unit(code, here, block, unit, stage, layout, activation, joined)


def _panel_bytes(w: SimpleNamespace, block: Block) -> Int:
    return w.taps * w.count * (block.width * block.size)


def _emit_pack(code: Code, w: SimpleNamespace, block: Block, layout: str) -> None:
    """Bring the chunk of B into panels: [panel][tap][depth][column]."""
    pack = emit_pack_transposed if layout == "columns" else emit_pack
    line = block.width * block.size
    with code.loop(w.panel_end, w.panel) as panel, code.loop(w.taps) as tap:
        group, column = panel // w.panels, panel % w.panels * block.width
        source = w.b + group * w.b_group + column * w.b_column + w.at * w.b_depth
        source += code.word(w.runs + tap + len(NAMES))
        target = w.pack + (panel - w.panel) * _panel_bytes(w, block) + tap * w.count * line
        pack(
            code,
            block,
            source,
            w.b_column if layout == "columns" else w.b_depth,
            w.count,
            w.columns - column,
            target,
        )


def _emit_unit(
    code: Code,
    w: SimpleNamespace,
    block: Block,
    unit: Int,
    stage: str,
    layout: str,
    activation: str,
    joined: bool,
) -> None:
    """All blocks of one unit: a band of lines, or a band of a line, of one sample."""
    sample, rest = unit // (w.line_bands * w.block_bands), unit % (w.line_bands * w.block_bands)
    u = SimpleNamespace(**vars(w))
    u.line = rest // w.block_bands * w.lines_per_band
    u.lines_end = code.minimum(u.line + w.lines_per_band, w.lines)
    u.block = rest % w.block_bands * w.blocks_per_band
    u.block_end = code.minimum(u.block + w.blocks_per_band, w.blocks)
    u.source = w.a + sample * w.a_sample
    u.target = w.c + sample * w.c_sample
    u.lowest = code.minimum(u.block * block.rows, w.length - block.rows)
    if stage == "pad":
        emit_padded_lines(code, w, u.source, u.line, u.lines_end - u.line)
    elif stage == "copy":
        highest = code.minimum((u.block_end - 1) * block.rows, w.length - block.rows) + block.rows
        with code.loop(w.count) as k:
            place = u.source + (w.at + k) * w.a_depth + u.lowest * block.size
            code.copy(w.stage + k * w.stage_row, place, (highest - u.lowest) * block.size)
    with code.loop(w.panel_end, w.panel) as panel:
        if joined:
            pixels = (u.lines_end - u.line) * w.length
            with code.loop((pixels + (block.rows - 1)) // block.rows) as i:
                place = _across_lines(code, u, block, stage, i, pixels)
                _emit_tile(code, u, block, panel, place, stage, layout, activation)
        else:
            with code.loop(u.lines_end, u.line) as y, code.loop(u.block_end, u.block) as i:
                place = _in_line(code, u, block, stage, y, i)
                _emit_tile(code, u, block, panel, place, stage, layout, activation)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a block lies: its A (without depth and group) and C (without column), what it skips and sees."""

    a: Int
    c: Int
    skip: Int
    first_run: Int
    runs: Int
    row_offsets: tuple[Int, ...] = ()


def _in_line(code: Code, u: SimpleNamespace, block: Block, stage: str, y: Int, i: Int) -> _Place:
    """Block i of line y; the last block of a line overlaps its neighbour."""
    start = code.minimum(i * block.rows, u.length - block.rows)
    if stage == "pad":
        a = u.stage + (y - u.line) * u.stage_step * u.stage_row + start * u.a_step
        first_run, runs = _seen_runs(code, u, y)
    else:
        first_run, runs = code.number(0), u.runs
        a = u.source + y * u.a_row + start * u.a_step
        if stage == "copy":
            a = u.stage + (start - u.lowest) * block.size
    return _Place(a, u.target + y * u.c_row + start * u.c_step, i * block.rows - start, first_run, runs)


def _across_lines(code: Code, u: SimpleNamespace, block: Block, stage: str, i: Int, pixels: Int) -> _Place:
    """Block i of a band whose lines count as one; a block touches two lines at most."""
    start = code.minimum(i * block.rows, pixels - block.rows)
    y, x = start // u.length, start % u.length
    line_step = u.stage_step * u.stage_row if stage == "pad" else u.a_row
    jump = line_step - u.length * u.a_step
    offsets = tuple(u.a_step * m + code.select(x + m >= u.length, jump, 0) for m in range(block.rows))
    base = u.stage if stage == "pad" else u.source + u.line * u.a_row
    first_run, runs = code.number(0), u.runs
    if stage == "pad":
        last = code.select(x + (block.rows - 1) >= u.length, y + 1, y)
        # The lower a line, the sooner its runs begin and end.
        first_run, runs = _seen_runs(code, u, u.line + last)[0], _seen_runs(code, u, u.line + y)[1]
    return _Place(
        base + y * line_step + x * u.a_step,
        u.target + u.line * u.c_row + start * u.c_step,
        i * block.rows - start,
        first_run,
        runs,
        offsets,
    )


def _emit_tile(
    code: Code,
    u: SimpleNamespace,
    block: Block,
    panel: Int,
    place: _Place,
    stage: str,
    layout: str,
    activation: str,
) -> None:
    """One block of one panel."""
    group, column = panel // u.panels, panel % u.panels * block.width
    if layout == "direct":
        b = u.b + group * u.b_group + column * u.b_column + u.at * u.b_depth
    elif layout == "packed":
        b = u.b + (u.at * u.panels + panel * u.count) * (block.width * block.size)
    else:
        b = u.pack + (panel - u.panel) * _panel_bytes(u, block)
    a = place.a if stage == "copy" else place.a + group * u.a_group + u.at * u.a_depth
    across = (group * u.columns + column) * block.size
    c = place.c + across
    gated = activation == "gated"
    emit_block(code, block, Tile(
        a=a, row_step=u.a_step, depth_step=u.stage_row if stage == "copy" else u.a_depth,
        depth=u.count * u.run_taps, runs=place.runs, first_run=place.first_run,
        run_offset=lambda run: code.word(run + len(NAMES)), b=b,
        b_step=u.b_depth if layout == "direct" else None,
        c=c, c_step=u.c_step, gate=c + u.gate_shift if gated else None,
        columns=u.columns - column, skip=place.skip, load=u.load, last=u.last,
        bias=code.select(u.bias.differs(0), u.bias + across, 0),
        bias_step=u.groups * u.columns * block.size,
        activation="linear" if gated else activation, row_offsets=place.row_offsets,
    ))  # fmt: skip


def _seen_runs(code: Code, w: SimpleNamespace, y: Int) -> tuple[Int, Int]:
    """The runs of output line y that see more than the border of A: from the first to past the last."""
    top = y * w.stage_step - w.stage_top
    first = code.minimum(code.maximum(code.number(0) - top, 0), w.tap_lines)
    end = code.minimum(code.maximum(w.stage_height - top, first), w.tap_lines)
    per_line = w.runs // code.maximum(w.tap_lines, 1)
    chosen = w.tap_lines.differs(0)
    return code.select(chosen, first * per_line, 0), code.select(chosen, end * per_line, w.runs)


def emit_padded_lines(code: Code, w: SimpleNamespace, source: Int, first_line: Int, lines: Int) -> None:
    """Copy the lines of A that `lines` output lines see to `w.stage`, with zeros where they leave A."""
    top = first_line * w.stage_step - w.stage_top
    with code.loop((lines - 1) * w.stage_step + w.stage_extra + 1) as i:
        target = w.stage + i * w.stage_row
        y = top + i
        inside = code.builder.and_(y >= 0, y < w.stage_height)

        def copy(target: Int = target, y: Int = y) -> None:
            code.clear(target, w.stage_left)
            code.copy(target + w.stage_left, source + y * w.a_row + w.stage_skip, w.stage_middle)
            code.clear(target + w.stage_left + w.stage_middle, w.stage_right)

        def clear(target: Int = target) -> None:
            code.clear(target, w.stage_row)

        code.either(inside, copy, clear)
