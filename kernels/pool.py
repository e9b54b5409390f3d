"""Two-dimensional max and average pooling of NHWC pictures and their gradients, vectors along the channels.

Padding cells never count. The gradients go row by row of the input: a row takes from all windows that cover
it, in a fixed order, so windows may overlap and results do not depend on the number of tiles.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from symgraph.kernels.conv_parts.geometry import Padding, Pair, output_shape
from symgraph.kernels.run.buffer import Buffer, Scratch, check_float, launch
from symgraph.kernels.run.integers import greatest, least, over, parted, share
from symgraph.kernels.run.jit import Kernel, inlined, numba_kernel
from symgraph.kernels.run.machine import Row
from symgraph.kernels.run.memory import clear_bytes
from symgraph.kernels.tile.windows import Largest, Mean, Share, Spread, Windows
from symgraph.kernels.tile.words import Word, filling, named, slot


class Pooling(NamedTuple):
    """The words of all four kernels."""

    # The input and the output, or their gradients; the places of chosen cells lie like the output.
    full: Word
    pooled: Word
    places: Word
    samples: Word
    height: Word
    width: Word
    channels: Word
    out_height: Word
    out_width: Word
    # Windows: their size, the steps between them, the padding before the first.
    kh: Word
    kw: Word
    sy: Word
    sx: Word
    top: Word
    left: Word
    tiles: Word
    # Bytes of an element and of a place.
    size: Word
    place_size: Word
    # Whether no cell lies in two windows.
    apart: Word


words, pool_windows, spread_row = named(Pooling), slot(Windows), slot(Spread)


@inlined
def inside(start, cells, size):
    """First and end of a window's cells, from `start` on, that lie in 0 to `size`."""
    return greatest(-start, 0), least(cells, size - start)


@inlined
def covering(place, stride, before, cells, count):
    """First and end number of the windows that cover input cell `place`."""
    shifted = place + before
    return over(greatest(shifted - cells + stride, 0), stride), least(count, over(shifted, stride) + 1)


@inlined
def alike(w, ox, x):
    """How many windows from number `ox` on, which starts at column `x`, may be treated as one row.

    All that lie inside; one that does not is alone.
    """
    if (x < 0) | (x + w.kw > w.width):
        return 1
    return least(over(w.width - w.kw - x, w.sx) + 1, w.out_width - ox)


def pooling(operands, tile):
    """Values of windows, row by row of the output."""
    w = words(operands)
    step = w.channels * w.size
    first, end = share(tile, w.tiles, w.samples * w.out_height)
    for line in range(first, end):
        sample, oy = parted(line, w.out_height)
        y = oy * w.sy - w.top
        ky, end_ky = inside(y, w.kh, w.height)
        row = (sample * w.height + y + ky) * w.width
        ox = 0
        while ox < w.out_width:
            x = ox * w.sx - w.left
            kx, end_kx = inside(x, w.kw, w.width)
            count, at = alike(w, ox, x), (line * w.out_width + ox) * w.channels
            pool_windows(
                Windows(
                    count=count,
                    step=w.sx * step,
                    cells=w.full + (row + x + kx) * step,
                    row_step=w.width * step,
                    rows=end_ky - ky,
                    columns=end_kx - kx,
                    number=ky * w.kw + kx,
                    gap=w.kw - (end_kx - kx),
                    channels=w.channels,
                    value=w.pooled + at * w.size,
                    place=w.places + at * w.place_size,
                )
            )
            ox += count
    return 0


def pooling_gradient(operands, tile):
    """Gradients of windows, row by row of the input; cells that no window covers get zeros."""
    w = words(operands)
    step = w.channels * w.size
    # Apart and without gaps, windows leave only the cells behind the last one.
    # No window at all, and it is the padding that is behind them.
    behind = least(w.width, greatest(w.out_width * w.sx - w.left, 0)) if w.apart & (w.kw == w.sx) else 0
    first, end = share(tile, w.tiles, w.samples * w.height)
    for line in range(first, end):
        sample, y = parted(line, w.height)
        target = w.full + line * w.width * step
        first_oy, end_oy = covering(y, w.sy, w.top, w.kh, w.out_height)
        begin = behind if first_oy < end_oy else 0
        clear_bytes(target + begin * step, (w.width - begin) * step)
        for oy in range(first_oy, end_oy):
            spread_line(w, target, y, oy, sample * w.out_height + oy)
    return 0


@inlined
def spread_line(w, target, y, oy, line):
    """A line of windows' gradients, which is number `line` of all samples, to row `y` of a sample's cells."""
    step = w.channels * w.size
    top = oy * w.sy - w.top
    ky, end_ky = inside(top, w.kh, w.height)
    ox = 0
    while ox < w.out_width:
        x = ox * w.sx - w.left
        kx, end_kx = inside(x, w.kw, w.width)
        count, at = alike(w, ox, x), (line * w.out_width + ox) * w.channels
        spread_row(
            Spread(
                count=count,
                step=w.sx * step,
                cells=target + (x + kx) * step,
                columns=end_kx - kx,
                number=(y - top) * w.kw + kx,
                share=(end_ky - ky) * (end_kx - kx),
                channels=w.channels,
                value=w.pooled + at * w.size,
                place=w.places + at * w.place_size,
                apart=w.apart,
            )
        )
        ox += count


@cache
def _forward(kind: str, dtype: str, places: str) -> Kernel:
    """Kernel: pool windows; `kind` is max or average, `places` the dtype of stored places or empty."""
    filled = Largest(dtype, places) if kind == "max" else Mean(dtype)
    name = f"{kind}_pool2d[{dtype}{', ' if places else ''}{places}]"
    slots = dict([filling(Windows, filled)])
    return numba_kernel(name, pooling, filled, slots=slots, words=Pooling)


@cache
def _gradient(kind: str, dtype: str, places: str) -> Kernel:
    """Kernel: the gradient with respect to what was pooled."""
    filled = Share(dtype, places)
    name, slots = f"{kind}_pool2d_gradient[{dtype}]", dict([filling(Spread, filled)])
    return numba_kernel(name, pooling_gradient, filled, slots=slots, words=Pooling)


def _plan(
    kernel: Kernel,
    full: Buffer,
    pooled: Buffer,
    places: Buffer | None,
    result: Buffer,
    pool: Pair,
    strides: Pair,
    padding: Padding,
    threads: int,
) -> list[Row]:
    """One row of the table; its tiles are made of rows of the result, which is one of the buffers."""
    samples, height, width, channels = full.shape
    expected = (samples, *output_shape((height, width), pool, strides, padding), channels)
    if pooled.shape != expected:
        raise ValueError(f"pool2d: expected a pooled shape of {expected}, got {pooled.shape}")
    for axis, (size, before) in enumerate(((height, padding[0][0]), (width, padding[1][0]))):
        last = (pooled.shape[1 + axis] - 1) * strides[axis] - before
        if pooled.size and (before >= pool[axis] or last >= size or size == 0):
            raise ValueError(f"pool2d: padding {padding} leaves windows of size {pool} without any cell")
    for buffer in (full, pooled, places):
        if buffer is not None and not buffer.contiguous:
            raise ValueError("pool2d: expected contiguous operands")
    if result.size == 0:
        return []
    sizes = [full.shape[1:3], pooled.shape[1:3], pool, strides, (padding[0][0], padding[1][0])]
    if width == pool[1] == 1 and (threads == 1 or samples >= 4 * threads):
        # A sequence is transposed: its windows then form one row, instead of one window a row.
        sizes = [size[::-1] for size in sizes]
    (height, width), (out_height, out_width), (kh, kw), (sy, sx), (top, left) = sizes
    lines = samples * (height if result is full else out_height)
    tiles = 1 if threads == 1 or full.size < 1 << 16 else min(lines, 4 * threads)
    operands = Pooling(
        full=full.address,
        pooled=pooled.address,
        places=places.address if places else 0,
        samples=samples,
        height=height,
        width=width,
        channels=channels,
        out_height=out_height,
        out_width=out_width,
        kh=kh,
        kw=kw,
        sy=sy,
        sx=sx,
        top=top,
        left=left,
        tiles=tiles,
        size=full.dtype.itemsize,
        place_size=places.dtype.itemsize if places else 0,
        apart=int(pool[0] <= strides[0] and pool[1] <= strides[1]),
    )
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
    check_float(x.dtype)
    kernel = _forward("max", x.dtype.name, index.dtype.name if index else "")
    return _plan(kernel, x, out, index, out, pool, strides, padding, threads)


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
    check_float(grad.dtype)
    kernel = _gradient("max", grad.dtype.name, index.dtype.name)
    return _plan(kernel, out, grad, index, out, pool, strides, padding, threads)


def average_pool2d_rows(
    x: Buffer, out: Buffer, *, pool: Pair, strides: Pair, padding: Padding, threads: int, scratch: Scratch
) -> list[Row]:
    """Rows for average pooling: the mean of a window's cells inside the picture (TensorFlow's rule)."""
    check_float(x.dtype)
    kernel = _forward("average", x.dtype.name, "")
    return _plan(kernel, x, out, None, out, pool, strides, padding, threads)


def average_pool2d_gradient_rows(
    grad: Buffer, out: Buffer, *, pool: Pair, strides: Pair, padding: Padding, threads: int, scratch: Scratch
) -> list[Row]:
    """Rows for the gradient of `average_pool2d_rows`."""
    check_float(grad.dtype)
    kernel = _gradient("average", grad.dtype.name, "")
    return _plan(kernel, out, grad, None, out, pool, strides, padding, threads)


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
