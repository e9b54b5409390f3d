"""Ops that only move elements: their base classes, and the arithmetic on buffers that views are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from symgraph.graph.op import Op
from symgraph.kernels.index import copy_rows
from symgraph.kernels.run.buffer import Buffer, Scratch, contiguous_strides
from symgraph.kernels.run.machine import Row


class Movement(Op):
    """An op that moves elements and computes nothing: its reference works on arrays of any dtype."""


class View(Movement):
    """A movement that is a matter of strides: costs nothing, save where a copy is wanted."""

    aliases: ClassVar[bool] = True

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """A copy of the view."""
        seen = self.view(inputs[0], outputs[0].shape)
        assert seen is not None, f"{self} has no view of a buffer with strides {inputs[0].strides}"
        return copy_rows(seen, outputs[0], threads=threads, scratch=scratch)


def reshaped(source: Buffer, shape: Sequence[int]) -> Buffer | None:
    """`source` under another shape of as many elements, or None where that takes a copy."""
    itemsize = source.dtype.itemsize
    if source.contiguous:
        return replace(source, shape=tuple(shape), strides=contiguous_strides(shape, itemsize))
    runs = _runs(source)
    strides: list[int] = []
    left, stride = 1, itemsize
    for size in reversed(shape):
        if size != 1 and left == 1:
            left, stride = runs.pop()
        if left % size and size != 1:
            return None
        strides.append(stride)
        if size != 1:
            left, stride = left // size, stride * size
    return replace(source, shape=tuple(shape), strides=tuple(reversed(strides)))


def _runs(source: Buffer) -> list[tuple[int, int]]:
    """(size, stride) of the longest runs of evenly spaced elements, from the outermost; none of size 1."""
    runs: list[tuple[int, int]] = []
    for size, stride in zip(source.shape, source.strides, strict=True):
        if size == 1:
            continue
        if runs and runs[-1][1] == stride * size:
            runs[-1] = (runs[-1][0] * size, stride)
        else:
            runs.append((size, stride))
    return runs


def window(source: Buffer, starts: Sequence[int], sizes: Sequence[int], steps: Sequence[int]) -> Buffer:
    """The elements ``starts[a] + i * steps[a]``, i < ``sizes[a]``, along every axis a, as a view."""
    offset = source.offset
    if all(sizes):
        offset += sum(s * t for s, t in zip(starts, source.strides, strict=True))
    strides = tuple(s * t for s, t in zip(steps, source.strides, strict=True))
    return replace(source, offset=offset, shape=tuple(sizes), strides=strides)


def dense(source: Buffer, rows: list[Row], *, threads: int, scratch: Scratch) -> Buffer:
    """`source` where it is contiguous, else a contiguous copy, made by rows that are appended to `rows`."""
    if source.contiguous:
        return source
    copy = scratch(source.shape, source.dtype)
    rows += copy_rows(source, copy, threads=threads, scratch=scratch)
    return copy
