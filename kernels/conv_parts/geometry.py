"""Geometry of convolution and pooling: output sizes, kernel cells as taps, windows that leave the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from symgraph.kernels.run.buffer import Buffer, check_float
from symgraph.kernels.run.machine import Address

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]


@dataclass(frozen=True, slots=True)
class Tap:
    """One kernel cell: sees the pixel (y, x) behind the output pixel times the step; weights at `offset`."""

    y: int
    x: int
    offset: int


@dataclass(frozen=True, slots=True)
class Lattice:
    """Pixels of a picture: `samples` x `height` x `width`, with byte strides and the place of the first."""

    address: Address
    samples: int
    height: int
    width: int
    sample: int
    row: int
    step: int


def lattice(buffer: Buffer, start: Pair = (0, 0), steps: Pair = (1, 1)) -> Lattice:
    """Every `steps`-th pixel of an NHWC buffer from `start` on."""
    samples, height, width, channels = buffer.shape
    step = channels * buffer.dtype.itemsize
    (y, x), (sy, sx) = start, steps
    address = Address(buffer.base, buffer.offset + (y * width + x) * step)
    counts = max(0, -(-(height - y) // sy)), max(0, -(-(width - x) // sx))
    return Lattice(address, samples, *counts, height * width * step, sy * width * step, sx * step)


@dataclass(frozen=True, slots=True)
class View:
    """The window of A that a list of taps looks at: its corner, size, and whether it leaves A."""

    top: int
    left: int
    extra: int
    width: int
    padded: bool

    @staticmethod
    def of(taps: Sequence[Tap], out: Lattice, steps: Pair, height: int, width: int) -> View:
        if not taps:
            return View(0, 0, 0, 0, False)
        top, bottom = min(t.y for t in taps), max(t.y for t in taps)
        left, right = min(t.x for t in taps), max(t.x for t in taps)
        rows = (out.height - 1) * steps[0] + bottom
        columns = (out.width - 1) * steps[1] + right
        padded = top < 0 or left < 0 or rows >= height or columns >= width
        return View(top, left, bottom - top, columns - left + 1, padded)

    def offsets(self, taps: Sequence[Tap], a: Buffer) -> list[int]:
        """Bytes from an output pixel's place in A, or in its padded copy, to each tap."""
        _, _, width, channels = a.shape
        pixel = channels * a.dtype.itemsize
        if self.padded:
            return [((t.y - self.top) * self.width + t.x - self.left) * pixel for t in taps]
        return [(t.y * width + t.x) * pixel for t in taps]

    def staging(self, a: Buffer, steps: Pair) -> dict[str, int]:
        """Operands of the padded copy of lines."""
        _, height, width, channels = a.shape
        pixel = channels * a.dtype.itemsize
        first, end = max(0, self.left), min(width, self.left + self.width)
        copied = max(0, end - first)
        before = min(self.width, max(0, -self.left)) if copied else self.width
        return {
            "stage_line": width * pixel, "stage_row": self.width * pixel, "stage_step": steps[0],
            "stage_extra": self.extra, "stage_top": -self.top, "stage_height": height,
            "stage_skip": first * pixel, "stage_left": before * pixel, "stage_middle": copied * pixel,
            "stage_right": (self.width - before - copied) * pixel,
        }  # fmt: skip


def run_length(offsets: Sequence[int], step: int) -> int:
    """How many taps at a time follow each other `step` bytes apart, the same number in each run."""
    count = len(offsets)
    breaks = [i for i in range(1, count) if offsets[i] - offsets[i - 1] != step]
    best = int(np.gcd.reduce([count, *breaks])) if count else 1
    return best


def tap_lines(taps: Sequence[Tap], run_taps: int) -> int:
    """How many lines of equally many taps lie one below the other, in whole runs; 0 where they do not."""
    lines = sorted({t.y for t in taps})
    counts = {sum(t.y == y for t in taps) for y in lines}
    neighbours = all(b - a == 1 for a, b in pairwise(lines))
    ordered = [t.y for t in taps] == sorted(t.y for t in taps)
    whole = len(counts) == 1 and not counts.pop() % run_taps
    return len(lines) if neighbours and ordered and whole else 0


def phase_taps(cells: int, place: int, stride: int, dilation: int) -> list[Pair]:
    """Kernel cells that reach an input pixel at `place`, each with its output pixel, in rising order."""
    found = [
        (k, (place - k * dilation) // stride) for k in range(cells) if (place - k * dilation) % stride == 0
    ]
    return sorted(found, key=lambda pair: pair[1])


def check_geometry(
    x: Buffer, w: Buffer, out: Buffer, strides: Pair, padding: Padding, dilation: Pair, groups: int
) -> None:
    """Refuse shapes that do not belong together."""
    check_float(x.dtype)
    if not (x.contiguous and w.contiguous and out.contiguous):
        raise ValueError("conv2d: expected contiguous operands")
    if len({x.dtype, w.dtype, out.dtype}) != 1:
        raise TypeError(f"conv2d: expected one dtype, got {x.dtype}, {w.dtype}, {out.dtype}")
    samples, height, width, channels = x.shape
    kh, kw, depth, features = w.shape
    if depth * groups != channels or features % groups:
        raise ValueError(
            f"conv2d: {channels} input channels and {features} features do not fit a kernel of shape "
            f"{w.shape} in {groups} groups"
        )
    expected = output_shape((height, width), (kh, kw), strides, padding, dilation)
    if out.shape != (samples, *expected, features):
        raise ValueError(
            f"conv2d: expected an output of shape {(samples, *expected, features)}, got {out.shape}"
        )


def output_shape(size: Pair, window: Pair, strides: Pair, padding: Padding, dilation: Pair = (1, 1)) -> Pair:
    """Height and width of a convolution's or pooling's output. ValueError for sizes below 1."""
    if len(size) != 2 or min(*window, *strides, *dilation) < 1:
        raise ValueError(
            f"expected two sizes of at least 1 for window, strides and dilation, got {window}, {strides} and "
            f"{dilation} on {size}"
        )
    out = tuple(max(0, (n + sum(p) - (k - 1) * d - 1) // s + 1)
                for n, k, s, p, d in zip(size, window, strides, padding, dilation, strict=True))  # fmt: skip
    return out[0], out[1]
