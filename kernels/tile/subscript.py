"""Indices read inside kernels: range checks and the places that tuples of indices name."""

from __future__ import annotations

from symgraph.kernels.tile.builder import INT
from symgraph.kernels.tile.nest import Writer, load
from symgraph.kernels.tile.vector import ITEMSIZE, Vec, where

OUT_OF_RANGE = {1: "index out of range"}
# Words of kernels that look up rows: where the indices lie, and where (size, byte stride) of each part begin.
ROW_INDICES, ROW_PARTS = 1, 8


def checked(writer: Writer, index: Vec, size: Vec, mode: str) -> Vec:
    """An index made to lie in 0 to size - 1, by `mode`; the kernel ends with a status where it cannot.

    As numpy has them; 'front' is 'raise' without negative indices.
    """
    if mode not in ("raise", "front"):
        with writer.when(size <= 0):
            writer.builder.ret(INT(1))
    if mode == "wrap":
        rest = index.remainder(size)
        return where(rest < 0, rest + size, rest)
    if mode != "front":
        index = where(index < 0, index + size, index)
    if mode == "clip":
        index = where(index < size, index, size - 1)
        return where(index < 0, 0, index)
    with writer.when((index < 0) | (index >= size)):
        writer.builder.ret(INT(1))
    return index


def row_place(writer: Writer, index_dtype: str, parts: int, mode: str, position: Vec) -> Vec:
    """Byte offset of the row that index tuple number `position` names."""
    at = writer.word(ROW_INDICES) + position * (parts * ITEMSIZE[index_dtype])
    place = writer.integer(0)
    for i in range(parts):
        index = load(at + i * ITEMSIZE[index_dtype], index_dtype).cast("int64")
        index = checked(writer, index, writer.word(ROW_PARTS + 2 * i), mode)
        place = place + index * writer.word(ROW_PARTS + 2 * i + 1)
    return place
