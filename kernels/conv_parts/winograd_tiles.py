"""What Winograd's kernels share: pictures cut into overlapping windows, and their transforms to points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from symgraph.kernels.conv_parts.algorithm import TAPS
from symgraph.kernels.conv_parts.transforms import Matrix, apply_both_ways, correlation
from symgraph.kernels.run.integers import parted
from symgraph.kernels.run.jit import inlined
from symgraph.kernels.run.target import TARGET
from symgraph.kernels.tile.block import Block
from symgraph.kernels.tile.multiply import Tile
from symgraph.kernels.tile.nest import Writer, load, store
from symgraph.kernels.tile.vector import Vec, minimum, where
from symgraph.kernels.tile.words import Word

DTYPE = "float32"
"""What these kernels are for."""
ITEMSIZE = 4
"""Bytes of a number."""
LANES = TARGET.lanes(ITEMSIZE)
VECTOR = LANES * ITEMSIZE
"""Bytes of a vector."""
LINE = 64
"""Bytes of a cache line."""


def odd_lines(size: int) -> int:
    """`size` bytes rounded up to an odd number of cache lines.

    The points of a tile lie this far apart: an odd distance spreads them over all sets of the cache.
    """
    return LINE * (-(-size // LINE) | 1)


@inlined
def tile_place(w, number):
    """Sample, line and column of tile `number` on the grid of ``samples x tiles_y x tiles_x``."""
    line, tx = parted(number, w.tiles_x)
    sample, ty = parted(line, w.tiles_y)
    return sample, ty, tx


class Sight(NamedTuple):
    """A place in or beside a picture: its address, size and bytes of a pixel, and the line and column."""

    picture: Word
    height: Word
    width: Word
    pixel: Word
    y: Word
    x: Word


class Window(NamedTuple):
    """A window with its corner at (y, x) of a picture, and where its points go, `point` bytes apart."""

    picture: Word
    height: Word
    width: Word
    pixel: Word
    y: Word
    x: Word
    channels: Word
    target: Word
    point: Word


@dataclass(frozen=True, slots=True)
class ToPoints:
    """Transform all channels of the window of a tile of `outputs` pixels a side: fills a slot of `Window`."""

    outputs: int

    def __call__(self, writer: Writer, window: Window) -> None:
        """Write the code."""
        matrix = correlation(self.outputs, TAPS).forth

        def channels(pixels: Pixels) -> None:
            with writer.loop(0, window.channels, LANES) as channel:
                # The last vector overlaps the one before, so none needs a mask.
                start = minimum(channel, window.channels - LANES) * ITEMSIZE
                store_points(
                    writer,
                    matrix,
                    lambda i, j: pixels(start, i, j, None),
                    window.target + start,
                    window.point,
                )

        sight = Sight(window.picture, window.height, window.width, window.pixel, window.y, window.x)
        see(writer, sight, len(matrix[0]), channels)


Pixels = Callable[[Vec, Vec, int, Vec | None], Vec]
"""Loads the vector at (bytes into the pixel, line, column, mask), with zeros outside the picture."""


def see(writer: Writer, sight: Sight, size: int, body: Callable[[Pixels], None]) -> None:
    """Write `body` twice: for windows of `size` x `size` inside their pictures, and for others."""
    line = sight.width * sight.pixel
    start = sight.picture + sight.y * line + sight.x * sight.pixel

    def inside(offset: Vec, i: Vec, j: int, mask: Vec | None) -> Vec:
        return load(start + i * line + sight.pixel * j + offset, DTYPE, LANES, mask)

    # A window that leaves the picture reads the nearest pixels inside, and blanks what is not its own.
    columns = [_nearest(writer, sight.x + j, sight.width) * sight.pixel for j in range(size)]
    blanks = [_spread(writer, sight.x + j, sight.width) for j in range(size)]

    def across(offset: Vec, i: Vec, j: int, mask: Vec | None) -> Vec:
        place = sight.picture + _nearest(writer, sight.y + i, sight.height) * line + columns[j] + offset
        seen = blanks[j] & _spread(writer, sight.y + i, sight.height)
        return (load(place, DTYPE, LANES, mask).bits() & seen).as_float(DTYPE)

    lines = (sight.y >= 0) & (sight.y + size <= sight.height)
    whole = lines & (sight.x >= 0) & (sight.x + size <= sight.width)
    writer.either(whole, lambda: body(inside), lambda: body(across))


def _nearest(writer: Writer, place: Vec, count: Vec) -> Vec:
    below = minimum(place, count - 1)
    return where(below < 0, writer.integer(0), below)


def _spread(writer: Writer, place: Vec, count: Vec) -> Vec:
    """All bits in all lanes if 0 <= `place` < `count`, else none."""
    inside = (place >= 0) & (place < count)
    return writer.splat(-inside.cast("int32"), LANES)


def store_points(
    writer: Writer, matrix: Matrix, pixels: Callable[[Vec, int], Vec], target: Vec, point: Vec
) -> None:
    """Transform a tile of vectors, which `pixels` (line, column) gives, to points `point` bytes apart."""
    points = len(matrix)

    def put(j: Vec, i: int, value: Vec) -> None:
        store(value, target + point * (i * points) + j * point)

    apply_both_ways(writer, matrix, pixels, put, LANES)


def whole_tile(writer: Writer, block: Block, **given: Vec) -> Tile:
    """A register tile of one run, all of whose columns exist; what is not given is 0."""
    fields = dict.fromkeys(Tile._fields, writer.integer(0))
    fields |= {"runs": writer.integer(1), "columns": writer.integer(block.width)}
    return Tile(**fields | given)
