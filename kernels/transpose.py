"""Copies between strided arrays of one dtype; transpositions go through square blocks in registers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from symgraph.kernels.run.buffer import Buffer
from symgraph.kernels.run.jit import Kernel
from symgraph.kernels.run.machine import Address, Row
from symgraph.kernels.run.target import TARGET
from symgraph.kernels.tile.builder import INT
from symgraph.kernels.tile.nest import (
    MAX_RANK,
    Axis,
    Odometer,
    Writer,
    axes_of,
    axis_words,
    collapse,
    in_memory_order,
    load,
    outer_axes,
    store,
    total,
    vector_kernel,
)
from symgraph.kernels.tile.operand import WORTH_A_THREAD, lesser
from symgraph.kernels.tile.vector import Vec, transposed

_UNIT = {1: "uint8", 2: "int16", 4: "int32", 8: "int64"}
(
    _SOURCE, _TARGET, _HEIGHT, _WIDTH, _SOURCE_STEP, _TARGET_STEP, _BANDS, _UNITS, _PER_TILE, _RANK, _SIZES,
) = range(11)  # fmt: skip
_STRIDES = _SIZES + MAX_RANK


def as_units(buffer: Buffer) -> Buffer:
    """The buffer with its elements read as integers of their size: copies keep every bit."""
    return replace(buffer, dtype=np.dtype(_UNIT[buffer.dtype.itemsize]))


def _side(itemsize: int) -> int:
    """Rows and columns of a block: a register each, 16 at most."""
    return min(16, TARGET.lanes(itemsize))


@cache
def _kernel(itemsize: int) -> Kernel:
    def write(writer: Writer) -> None:
        _emit(writer, itemsize)

    return vector_kernel(f"transpose[{itemsize} bytes]", write, itemsize)


def _emit(writer: Writer, itemsize: int) -> None:
    """A unit of work is a band: `side` rows of the target, all along their length."""
    side = _side(itemsize)
    bands = writer.word(_BANDS)
    unit = writer.tile * writer.word(_PER_TILE)
    last = lesser(unit + writer.word(_PER_TILE), writer.word(_UNITS))
    odometer = Odometer(writer, writer.word(_RANK), _SIZES, [_STRIDES, _STRIDES + MAX_RANK])
    with writer.loop(unit, last) as at:
        matrix = at / bands
        band = (at - matrix * bands) * side
        odometer.seek([writer.word(_SOURCE), writer.word(_TARGET)], matrix)
        source, target = odometer.addresses()
        _emit_band(
            writer,
            itemsize,
            source + band * itemsize,
            target + band * writer.word(_TARGET_STEP),
            lesser(writer.word(_HEIGHT) - band, writer.integer(side)),
        )


def _emit_band(writer: Writer, itemsize: int, source: Vec, target: Vec, height: Vec) -> None:
    """``target[r, c] = source[c, r]`` for `height` rows of the target, `side` of them at most."""
    side, unit = _side(itemsize), _UNIT[itemsize]
    width, source_step, target_step = (
        writer.word(_WIDTH),
        writer.word(_SOURCE_STEP),
        writer.word(_TARGET_STEP),
    )
    whole = width - width.remainder(side)
    start = Vec(writer.builder, writer.builder.select((height >= side).value, whole.value, INT(0)), "int64")
    with writer.loop(0, start, side) as column:
        first = source + column * source_step
        block = [load(first + i * source_step, unit, side) for i in range(side)]
        for i, line in enumerate(transposed(block)):
            store(line, target + i * target_step + column * itemsize)
    with writer.loop(start, width) as column, writer.loop(0, height) as row:
        value = load(source + column * source_step + row * itemsize, unit)
        store(value, target + row * target_step + column * itemsize)


def transposition(source: Buffer, target: Buffer) -> tuple[list[Axis], Axis, Axis] | None:
    """``(outer, height, width)`` where a copy is best done as transpositions of matrices, else None.

    `width` is the axis along which the target is contiguous, `height` the one along which the source is.
    """
    itemsize = source.dtype.itemsize
    if itemsize not in _UNIT:
        return None
    axes = collapse(in_memory_order(axes_of(target.shape, [source.strides, target.strides]), [1, 0]))
    side = _side(itemsize)
    if len(axes) < 2 or axes[-1].strides[1] != itemsize or axes[-1].strides[0] in (0, itemsize):
        return None
    for i, axis in enumerate(axes[:-1]):
        if axis.strides[0] == itemsize and axis.size >= side // 2 and axes[-1].size >= side // 2:
            others = axes[:i] + axes[i + 1 : -1]
            return (others, axis, axes[-1]) if len(others) <= MAX_RANK else None
    return None


def transpose_rows(
    source: Buffer, target: Buffer, plan: tuple[Sequence[Axis], Axis, Axis], threads: int
) -> list[Row]:
    """Rows for a copy that `transposition` found to be transpositions."""
    outer, height, width = outer_axes(plan[0], 2), plan[1], plan[2]
    itemsize = source.dtype.itemsize
    bands = -(-height.size // _side(itemsize))
    units = bands * total(outer)
    work = source.size * itemsize * 0.15
    tiles = 1 if threads == 1 else max(1, min(units, 4 * threads, int(work / WORTH_A_THREAD)))
    per_tile = -(-units // tiles)
    words: list[int | Address] = [
        source.address,
        target.address,
        height.size,
        width.size,
        width.strides[0],
        height.strides[1],
        bands,
        units,
        per_tile,
        len(outer),
        *axis_words(outer, None),
        *axis_words(outer, 0),
        *axis_words(outer, 1),
    ]
    return [Row(_kernel(itemsize), tuple(words), -(-units // per_tile))]
