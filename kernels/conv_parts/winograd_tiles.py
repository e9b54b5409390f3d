"""What Winograd's kernels share: pictures cut into overlapping windows, and their transforms to points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

from llvmlite import ir

from symgraph.kernels.conv_parts.transforms import Matrix, apply_both_ways
from symgraph.kernels.tile.emit import Code, Int

ITEMSIZE = 4
"""Bytes of a number: these kernels are for float32."""
Load = Callable[..., ir.Value]
LINE = 64
"""Bytes of a cache line."""


def odd_lines(size: int) -> int:
    """`size` bytes rounded up to an odd number of cache lines.

    The points of a tile lie this far apart: an odd distance spreads them over all sets of the cache.
    """
    return LINE * (-(-size // LINE) | 1)


@dataclass(frozen=True, slots=True)
class Picture:
    """Pictures in a kernel that is being written: where they lie, their size, and the bytes of a pixel."""

    address: Int
    height: Int
    width: Int
    pixel: Int


def emit_place(code: Code, w: SimpleNamespace, number: Int) -> tuple[Int, Int, Int]:
    """Sample, line and column of tile `number` on the grid of ``samples x tiles_y x tiles_x``."""
    line = number // w.tiles_x
    return line // w.tiles_y, line % w.tiles_y, number % w.tiles_x


def emit_window(
    code: Code,
    picture: Picture,
    place: tuple[Int, Int, Int],
    size: int,
    kind: ir.VectorType,
    body: Callable[[Load], None],
) -> None:
    """Write `body` for the `size` x `size` window at a place (sample, line, column) of the pictures.

    The window may leave its picture. Body gets a function that loads the vector at (bytes into the pixel,
    line, column), with zeros outside.
    """
    sample, y, x = place
    builder, pixel = code.builder, picture.pixel
    line = picture.width * pixel
    top = picture.address + sample * picture.height * line
    start = top + y * line + x * pixel

    def load(offset: Int, i: Int, j: int, mask: ir.Value | None = None) -> ir.Value:
        return code.load(start + i * line + pixel * j + offset, kind, mask)

    # A window that leaves the picture reads the nearest pixels inside, and blanks what is not its own.
    integers = ir.VectorType(ir.IntType(8 * ITEMSIZE), kind.count)
    columns = [_nearest(code, x + j, picture.width) for j in range(size)]
    blanks = [_spread(code, x + j, picture.width, integers) for j in range(size)]

    def load_inside(offset: Int, i: Int, j: int, mask: ir.Value | None = None) -> ir.Value:
        at = top + _nearest(code, y + i, picture.height) * line + columns[j] * pixel + offset
        bits = builder.bitcast(code.load(at, kind, mask), integers)
        seen = builder.and_(blanks[j], _spread(code, y + i, picture.height, integers))
        return builder.bitcast(builder.and_(bits, seen), kind)

    lines = builder.and_(y >= 0, y + size <= picture.height)
    inside = builder.and_(lines, builder.and_(x >= 0, x + size <= picture.width))
    code.either(inside, lambda: body(load), lambda: body(load_inside))


def _nearest(code: Code, place: Int, count: Int) -> Int:
    return code.maximum(0, code.minimum(place, count - 1))


def _spread(code: Code, place: Int, count: Int, kind: ir.VectorType) -> ir.Value:
    """All bits in all lanes if 0 <= `place` < `count`, else none."""
    builder = code.builder
    inside = builder.and_(place >= 0, place < count)
    return code.splat(builder.sext(inside, kind.element), kind.count)


def emit_points(
    code: Code,
    matrix: Matrix,
    kind: ir.VectorType,
    load: Callable[[Int, int], ir.Value],
    target: Int,
    point: Int,
) -> None:
    """Transform a tile of vectors, which `load` (line, column) gives; its points lie `point` bytes apart."""
    points = len(matrix)

    def store(j: Int, i: int, value: ir.Value) -> None:
        code.store(value, target + point * (i * points) + j * point)

    apply_both_ways(code, matrix, kind, load, store)
