"""Two-dimensional max and average pooling of NHWC pictures and their gradients, vectors along the channels.

Padding cells never count. The gradients go row by row of the input: a row takes from all windows that cover
it, in a fixed order, so windows may overlap and results do not depend on the number of tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from types import SimpleNamespace

import numpy as np
from llvmlite import ir

from symgraph.kernels.conv_parts.geometry import Padding, Pair, output_shape
from symgraph.kernels.run.buffer import Buffer, Scratch, launch
from symgraph.kernels.run.jit import Kernel, ir_kernel
from symgraph.kernels.run.machine import Address, Row
from symgraph.kernels.tile.emit import Code, Int, float_type, vector_type, zero

_NAMES = ("x", "out", "index", "samples", "height", "width", "channels", "out_height", "out_width", "kh",
          "kw", "sy", "sx", "top", "left", "tiles")  # fmt: skip


def _window(code: Code, place: Int, stride: Int, before: Int, cells: Int, size: Int) -> tuple[Int, Int, Int]:
    """Where window number `place` starts (maybe outside), and its first and end cell that lie inside."""
    start = place * stride - before
    return start, code.maximum(0, code.number(0) - start), code.minimum(cells, size - start)


def _covering(code: Code, place: Int, stride: Int, before: Int, cells: Int, count: Int) -> tuple[Int, Int]:
    """First and end number of the windows that cover input cell `place`."""
    shifted = place + before
    first = code.select(shifted < cells, 0, (shifted - cells + stride) // stride)
    return first, code.minimum(count, shifted // stride + 1)


def _channels(
    code: Code, w: SimpleNamespace, lanes: int, body: Callable[[Int, ir.Value | None], None]
) -> None:
    """Run `body` (channel, mask) for all channels by vectors; the mask is for the last, partial one."""
    whole = w.channels - w.channels % lanes
    with code.loop(whole, step=lanes) as c:
        body(c, None)
    with code.when(whole < w.channels):
        body(whole, code.first_lanes(w.channels - whole, lanes))


@cache
def _forward(kind: str, dtype: str, index: str, unrolled: Pair | None) -> Kernel:
    """Kernel: pool windows; `kind` is max or average, `index` the dtype of the stored position or empty.

    `unrolled` is the size of windows whose cells are written one after the other, where they lie inside.
    """
    size, lanes = np.dtype(dtype).itemsize, vector_type(dtype).count

    def emit(builder: ir.IRBuilder, function: ir.Function) -> None:
        code = Code(builder, function)
        w = code.words(_NAMES)
        first, end = code.share(code.tile, w.tiles, w.samples * w.out_height)
        with code.loop(end, first) as line, code.loop(w.out_width) as ox:
            rows = _window(code, line % w.out_height, w.sy, w.top, w.kh, w.height)
            columns = _window(code, ox, w.sx, w.left, w.kw, w.width)
            corner = (line // w.out_height * w.height + rows[0]) * w.width + columns[0]
            target = (line * w.out_width + ox) * w.channels

            def pool(cells: _Window, c: Int, mask: ir.Value | None) -> None:
                if kind == "max":
                    value, position = cells.maximum(c, mask, index)
                    if index:
                        at = w.index + (target + c) * np.dtype(index).itemsize
                        code.store(position, at, mask)
                else:
                    value = cells.average(c, mask)
                code.store(value, w.out + (target + c) * size, mask)

            def over(ranges: Sequence[tuple[Int, Int]], steps: Pair | None) -> Callable[[], None]:
                cells = _Window(code, w, corner, ranges[0], ranges[1], dtype, steps)
                return lambda: _channels(code, w, lanes, lambda c, mask: pool(cells, c, mask))

            clipped = over((rows[1:], columns[1:]), None)
            if unrolled is None:
                clipped()
            else:
                whole = [(code.number(0), code.number(cells)) for cells in unrolled]
                inside = builder.and_(
                    (rows[2] - rows[1]).equals(w.kh), (columns[2] - columns[1]).equals(w.kw)
                )
                code.either(inside, over(whole, unrolled), clipped)
        code.finish()

    name = f"{kind}_pool2d[{dtype}{', ' if index else ''}{index}]"
    return ir_kernel(name, emit, (kind, dtype, index, unrolled))


class _Window:
    """The inside cells of one window, while its kernel is written."""

    def __init__(
        self,
        code: Code,
        w: SimpleNamespace,
        corner: Int,
        rows: tuple[Int, Int],
        columns: tuple[Int, Int],
        dtype: str,
        unrolled: Pair | None,
    ) -> None:
        self.code, self.w, self.corner, self.rows, self.columns = code, w, corner, rows, columns
        self.size, self.vector, self.unrolled = np.dtype(dtype).itemsize, vector_type(dtype), unrolled

    def _cell(self, ky: Int, kx: Int, c: Int, mask: ir.Value | None) -> ir.Value:
        pixel = self.corner + ky * self.w.width + kx
        return self.code.load(self.w.x + (pixel * self.w.channels + c) * self.size, self.vector, mask)

    def _each(self, body: Callable[[Int, Int], None]) -> None:
        """Run `body` (row, column) for all cells."""
        if self.unrolled is None:
            (top, bottom), (left, right), loop = self.rows, self.columns, self.code.loop
            with loop(bottom, top) as ky, loop(right, left) as kx:
                body(ky, kx)
            return
        for ky, kx in np.ndindex(*self.unrolled):
            body(self.code.number(ky), self.code.number(kx))

    def maximum(self, c: Int, mask: ir.Value | None, index: str) -> tuple[ir.Value, ir.Value]:
        """The first largest cell, where a NaN is larger than everything, and its number in the window."""
        code, builder = self.code, self.code.builder
        # Numbers are as wide as values while they are chosen: a comparison's result then fits both.
        integer = ir.IntType(8 * self.size)
        best, number = code.variable(self.vector), code.variable(ir.VectorType(integer, self.vector.count))

        def numbered(ky: Int, kx: Int) -> ir.Value:
            value = (ky * self.w.kw + kx).value
            narrow = value if integer.width == 64 else builder.trunc(value, integer)
            return code.splat(narrow, self.vector.count)

        def compare(ky: Int, kx: Int) -> None:
            value, held = self._cell(ky, kx, c, mask), builder.load(best)
            # The first NaN wins and stays: nothing is ordered against it.
            better = builder.and_(
                builder.fcmp_unordered(">", value, held), builder.fcmp_ordered("ord", held, held)
            )
            builder.store(builder.select(better, value, held), best)
            if index:
                builder.store(builder.select(better, numbered(ky, kx), builder.load(number)), number)

        builder.store(self._cell(self.rows[0], self.columns[0], c, mask), best)
        builder.store(numbered(self.rows[0], self.columns[0]), number)
        self._each(compare)
        stored = ir.VectorType(ir.IntType(8 * np.dtype(index or "u1").itemsize), self.vector.count)
        found = builder.load(number)
        return builder.load(best), found if stored == found.type else builder.trunc(found, stored)

    def average(self, c: Int, mask: ir.Value | None) -> ir.Value:
        """The mean of the inside cells."""
        code, builder = self.code, self.code.builder
        total = code.variable(self.vector)

        def add(ky: Int, kx: Int) -> None:
            builder.store(builder.fadd(builder.load(total), self._cell(ky, kx, c, mask)), total)

        builder.store(zero(self.vector), total)
        self._each(add)
        return builder.fdiv(builder.load(total), _count(code, self.rows, self.columns, self.vector))


def _count(code: Code, rows: tuple[Int, Int], columns: tuple[Int, Int], vector: ir.VectorType) -> ir.Value:
    """The number of inside cells, in all lanes."""
    cells = (rows[1] - rows[0]) * (columns[1] - columns[0])
    return code.splat(code.builder.sitofp(cells.value, vector.element), vector.count)


@cache
def _gradient(kind: str, dtype: str, index: str, columns: int, apart: bool) -> Kernel:
    """Kernel: `x` holds the output's gradient (pooled size), `out` gets the input's, row by row.

    `columns` is the width of windows whose columns are written one after the other (0: a loop); where the
    windows lie `apart`, each cell is stored once, else they are added up.
    """

    def emit(builder: ir.IRBuilder, function: ir.Function) -> None:
        code = Code(builder, function)
        w = code.words(_NAMES)
        spread = _Spread(code, w, kind, dtype, index, columns, apart)
        first, end = code.share(code.tile, w.tiles, w.samples * w.height)
        with code.loop(end, first) as line:
            spread.row(line)
        code.finish()

    name = f"{kind}_pool2d_gradient[{dtype}]"
    return ir_kernel(name, emit, (kind, dtype, index, columns, apart))


class _Spread:
    """Writes how the gradients of windows go to one row of cells."""

    def __init__(
        self, code: Code, w: SimpleNamespace, kind: str, dtype: str, index: str, columns: int, apart: bool
    ) -> None:
        self.code, self.w, self.kind, self.index = code, w, kind, index
        self.columns, self.apart = columns, apart
        self.size, self.vector = np.dtype(dtype).itemsize, vector_type(dtype)
        self.row_bytes = w.width * w.channels * self.size

    def row(self, line: Int) -> None:
        """Row number `line` of all samples: what no window covers is zero."""
        code, w = self.code, self.w
        y, sample = line % w.height, line // w.height
        first, end = _covering(code, y, w.sy, w.top, w.kh, w.out_height)
        target = w.out + line * self.row_bytes
        # Apart and without gaps, windows leave only the cells behind the last one.
        begin = self.code.number(0)
        if self.apart:
            behind = code.minimum(w.width, w.out_width * w.sx - w.left)
            begin = code.select(code.builder.and_(first < end, w.kw.equals(w.sx)), behind, 0)
        code.clear(target + begin * w.channels * self.size, (w.width - begin) * w.channels * self.size)
        with code.loop(end, first) as oy:
            rows = _window(code, oy, w.sy, w.top, w.kh, w.height)
            with code.loop(w.out_width) as ox:
                pixel = ((sample * w.out_height + oy) * w.out_width + ox) * w.channels
                columns = _window(code, ox, w.sx, w.left, w.kw, w.width)
                self._window(target, pixel, y - rows[0], rows[1:], columns)

    def _window(
        self, target: Int, pixel: Int, ky: Int, rows: tuple[Int, Int], columns: tuple[Int, Int, Int]
    ) -> None:
        """The row's cells of one window."""
        code, w, builder = self.code, self.w, self.code.builder
        count = _count(code, rows, columns[1:], self.vector)

        def body(c: Int, mask: ir.Value | None, kxs: Sequence[Int] | None) -> None:
            value = code.load(w.x + (pixel + c) * self.size, self.vector, mask)
            chosen = None
            if self.kind == "max":
                chosen = self._numbers(w.index + (pixel + c) * np.dtype(self.index).itemsize, mask)
            else:
                value = builder.fdiv(value, count)
            if kxs is None:
                with code.loop(columns[2], columns[1]) as kx:
                    self._cell(target, columns[0] + kx, c, mask, value, chosen, ky * w.kw + kx)
            else:
                for kx in kxs:
                    self._cell(target, columns[0] + kx, c, mask, value, chosen, ky * w.kw + kx)

        def over(kxs: Sequence[Int] | None) -> Callable[[], None]:
            return lambda: _channels(code, w, self.vector.count, lambda c, mask: body(c, mask, kxs))

        if self.columns:
            whole = (columns[2] - columns[1]).equals(w.kw)
            code.either(whole, over([code.number(kx) for kx in range(self.columns)]), over(None))
        else:
            over(None)()

    def _numbers(self, address: Int, mask: ir.Value | None) -> ir.Value:
        """The stored positions, as wide as values."""
        bits = 8 * np.dtype(self.index).itemsize
        stored = self.code.load(address, ir.VectorType(ir.IntType(bits), self.vector.count), mask)
        wide = ir.VectorType(ir.IntType(8 * self.size), self.vector.count)
        return stored if stored.type == wide else self.code.builder.zext(stored, wide)

    def _cell(
        self,
        target: Int,
        x: Int,
        c: Int,
        mask: ir.Value | None,
        value: ir.Value,
        chosen: ir.Value | None,
        number: Int,
    ) -> None:
        """Store a window's gradient to the cell in column `x`, or add it."""
        code, builder = self.code, self.code.builder
        if chosen is not None:
            kind = chosen.type.element
            wanted = number.value if kind.width == 64 else builder.trunc(number.value, kind)
            mine = builder.icmp_signed("==", chosen, code.splat(wanted, self.vector.count))
            value = builder.select(mine, value, zero(self.vector))
        place = target + (x * self.w.channels + c) * self.size
        if not self.apart:
            value = builder.fadd(code.load(place, self.vector, mask), value)
        code.store(value, place, mask)


def _plan(
    kernel: Kernel,
    x: Buffer,
    out: Buffer,
    index: Buffer | None,
    full: Buffer,
    pooled: Buffer,
    pool: Pair,
    strides: Pair,
    padding: Padding,
    threads: int,
) -> list[Row]:
    """One row; `full` is the operand of input size, `pooled` the one of output size."""
    samples, height, width, channels = full.shape
    expected = (samples, *output_shape((height, width), pool, strides, padding), channels)
    if pooled.shape != expected:
        raise ValueError(f"pool2d: expected a pooled shape of {expected}, got {pooled.shape}")
    for axis, (size, before) in enumerate(((height, padding[0][0]), (width, padding[1][0]))):
        last = (pooled.shape[1 + axis] - 1) * strides[axis] - before
        if pooled.size and (before >= pool[axis] or last >= size):
            raise ValueError(f"pool2d: padding {padding} leaves windows of size {pool} without any cell")
    for buffer in (x, out, index):
        if buffer is not None and not buffer.contiguous:
            raise ValueError("pool2d: expected contiguous operands")
    if out.size == 0:
        return []
    lines = out.shape[0] * out.shape[1]
    tiles = 1 if threads == 1 or full.size < 1 << 16 else min(lines, 4 * threads)
    address: Address | int = index.address if index else 0
    operands = (x.address, out.address, address, samples, height, width, channels, *pooled.shape[1:3], *pool,
                *strides, padding[0][0], padding[1][0], tiles)  # fmt: skip
    return [Row(kernel, operands, tiles)]


def index_dtype(pool: Pair) -> np.dtype:
    """The dtype that holds a position in the window: uint8, or int32 for more than 255 cells."""
    return np.dtype(np.uint8 if pool[0] * pool[1] <= 255 else np.int32)


def max_pool2d_rows(
    x: Buffer,
    out: Buffer,
    index: Buffer | None,
    *,
    pool: Pair,
    strides: Pair,
    padding: Padding,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """Rows for max pooling.

    Parameters
    ----------
    x, out : Buffer
        Contiguous [N, H, W, C] and [N, OH, OW, C]; float32 or float64. A NaN in a window wins.
    index : Buffer, optional
        Contiguous, of out's shape, uint8 or int32 (see `index_dtype`): the row-major number of the first
        largest cell in its window.
    padding : ((top, bottom), (left, right))
        Cells that never win.
    """
    float_type(x.dtype)
    kernel = _forward("max", x.dtype.name, index.dtype.name if index else "", _unrolled(pool))
    return _plan(kernel, x, out, index, x, out, pool, strides, padding, threads)


def max_pool2d_gradient_rows(
    grad: Buffer,
    index: Buffer,
    out: Buffer,
    *,
    pool: Pair,
    strides: Pair,
    padding: Padding,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """Rows for the gradient of `max_pool2d_rows`: each output's gradient goes to its window's chosen cell."""
    float_type(grad.dtype)
    kernel = _gradient_kernel("max", grad.dtype.name, index.dtype.name, pool, strides)
    return _plan(kernel, grad, out, index, out, grad, pool, strides, padding, threads)


def average_pool2d_rows(
    x: Buffer, out: Buffer, *, pool: Pair, strides: Pair, padding: Padding, threads: int, scratch: Scratch
) -> list[Row]:
    """Rows for average pooling: the mean of a window's cells inside the picture (TensorFlow's rule)."""
    float_type(x.dtype)
    kernel = _forward("average", x.dtype.name, "", _unrolled(pool))
    return _plan(kernel, x, out, None, x, out, pool, strides, padding, threads)


def average_pool2d_gradient_rows(
    grad: Buffer, out: Buffer, *, pool: Pair, strides: Pair, padding: Padding, threads: int, scratch: Scratch
) -> list[Row]:
    """Rows for the gradient of `average_pool2d_rows`."""
    float_type(grad.dtype)
    kernel = _gradient_kernel("average", grad.dtype.name, "", pool, strides)
    return _plan(kernel, grad, out, None, out, grad, pool, strides, padding, threads)


def _unrolled(pool: Pair) -> Pair | None:
    """The windows whose cells are written one after the other: small ones."""
    return pool if pool[0] * pool[1] <= 9 else None


def _gradient_kernel(kind: str, dtype: str, index: str, pool: Pair, strides: Pair) -> Kernel:
    apart = pool[0] <= strides[0] and pool[1] <= strides[1]
    return _gradient(kind, dtype, index, pool[1] if pool[1] <= 4 else 0, apart)


_NONE: Padding = ((0, 0), (0, 0))


def max_pool2d(
    x: np.ndarray,
    pool: Pair,
    strides: Pair | None = None,
    padding: Padding = _NONE,
    threads: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Max pooling of x (N, H, W, C): values (N, OH, OW, C) and each one's position in its window."""
    strides = strides or pool
    x = np.ascontiguousarray(x)
    shape = (x.shape[0], *output_shape(x.shape[1:3], pool, strides, padding), x.shape[3])
    out, index = np.empty(shape, x.dtype), np.empty(shape, index_dtype(pool))
    launch(max_pool2d_rows, x, out, index, threads=threads, pool=pool, strides=strides, padding=padding)
    return out, index


def max_pool2d_gradient(
    grad: np.ndarray,
    index: np.ndarray,
    shape: tuple[int, ...],
    pool: Pair,
    strides: Pair | None = None,
    padding: Padding = _NONE,
    threads: int | None = None,
) -> np.ndarray:
    """Gradient of `max_pool2d` with respect to x, whose shape is `shape`."""
    grad, index = np.ascontiguousarray(grad), np.ascontiguousarray(index)
    out = np.empty(shape, grad.dtype)
    launch(max_pool2d_gradient_rows, grad, index, out, threads=threads, pool=pool, strides=strides or pool,
           padding=padding)  # fmt: skip
    return out


def average_pool2d(
    x: np.ndarray,
    pool: Pair,
    strides: Pair | None = None,
    padding: Padding = _NONE,
    threads: int | None = None,
) -> np.ndarray:
    """Average pooling of x (N, H, W, C) to (N, OH, OW, C); padding cells are not counted."""
    strides = strides or pool
    x = np.ascontiguousarray(x)
    out = np.empty((x.shape[0], *output_shape(x.shape[1:3], pool, strides, padding), x.shape[3]), x.dtype)
    launch(average_pool2d_rows, x, out, threads=threads, pool=pool, strides=strides, padding=padding)
    return out


def average_pool2d_gradient(
    grad: np.ndarray,
    shape: tuple[int, ...],
    pool: Pair,
    strides: Pair | None = None,
    padding: Padding = _NONE,
    threads: int | None = None,
) -> np.ndarray:
    """Gradient of `average_pool2d` with respect to x, whose shape is `shape`."""
    grad = np.ascontiguousarray(grad)
    out = np.empty(shape, grad.dtype)
    launch(average_pool2d_gradient_rows, grad, out, threads=threads, pool=pool, strides=strides or pool,
           padding=padding)  # fmt: skip
    return out
