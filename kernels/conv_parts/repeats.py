"""Channels that are repeated side by side, and sums of such repeats: depthwise convolution's multiplier."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from symgraph.kernels.run.buffer import Buffer
from symgraph.kernels.run.integers import share
from symgraph.kernels.run.jit import Kernel, numba_kernel
from symgraph.kernels.run.machine import Row
from symgraph.kernels.tile.nest import Writer, load, store
from symgraph.kernels.tile.vector import ITEMSIZE
from symgraph.kernels.tile.words import Word, filling, named, slot


class Repeats(NamedTuple):
    """The words: `count` numbers on one side, each next to `times` of its own on the other."""

    source: Word
    target: Word
    count: Word
    times: Word
    tiles: Word = 1


class Numbers(NamedTuple):
    """One tile's numbers: from `first` up to `end`."""

    source: Word
    target: Word
    first: Word
    end: Word
    times: Word


words, walk_numbers = named(Repeats), slot(Numbers)


def channel_repeats(operands, tile):
    """Repeat numbers, or sum their repeats: one tile's share."""
    w = words(operands)
    first, end = share(tile, w.tiles, w.count)
    walk_numbers(Numbers(w.source, w.target, first, end, w.times))
    return 0


@dataclass(frozen=True, slots=True)
class Repeat:
    """Store each number `times` times side by side: fills a slot of `Numbers`."""

    dtype: str

    def __call__(self, writer: Writer, at: Numbers) -> None:
        """Write the code."""
        size = ITEMSIZE[self.dtype]
        with writer.loop(at.first, at.end) as i:
            value = load(at.source + i * size, self.dtype)
            with writer.loop(0, at.times) as j:
                store(value, at.target + (i * at.times + j) * size)


@dataclass(frozen=True, slots=True)
class Fold:
    """Sum `times` numbers side by side for each one: fills a slot of `Numbers`."""

    dtype: str

    def __call__(self, writer: Writer, at: Numbers) -> None:
        """Write the code."""
        size = ITEMSIZE[self.dtype]
        total = writer.variable(writer.zero(self.dtype))
        with writer.loop(at.first, at.end) as i:
            total.set(writer.zero(self.dtype))
            with writer.loop(0, at.times) as j:
                total.set(total.get() + load(at.source + (i * at.times + j) * size, self.dtype))
            store(total.get(), at.target + i * size)


@cache
def _kernel(dtype: str, fold: bool) -> Kernel:
    code = Fold(dtype) if fold else Repeat(dtype)
    name = f"{'fold' if fold else 'repeat'}_channels[{dtype}]"
    return numba_kernel(name, channel_repeats, code, slots=dict([filling(Numbers, code)]), words=Repeats)


def repeat_row(source: Buffer, target: Buffer, threads: int) -> Row:
    """Each number of `source` side by side in `target`, as often as it fits."""
    return _row(source, target, source.size, target.size, threads, fold=False)


def fold_row(source: Buffer, target: Buffer, threads: int) -> Row:
    """The sums of what lies side by side in `source` for each number of `target`."""
    return _row(source, target, target.size, source.size, threads, fold=True)


def _row(source: Buffer, target: Buffer, count: int, repeats: int, threads: int, fold: bool) -> Row:
    tiles = min(4 * threads, count) if threads > 1 and repeats > 1 << 16 else 1
    operands = Repeats(source.address, target.address, count, repeats // count, tiles)
    return Row(_kernel(source.dtype.name, fold), tuple(operands), tiles)
