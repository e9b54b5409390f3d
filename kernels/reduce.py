"""Reductions of fused element-wise programs: sum, product, extremes, any, all and mean over any axes.

Two patterns, by what the innermost axis in memory is. A reduced one is swept by vector accumulators that
are folded at its end; a kept one lies across the lanes, and blocks of columns stay in registers while all
reduced axes pass. Float32 is summed and multiplied in float64. Where too little is kept to keep all threads
busy, tiles reduce parts into a scratch buffer, which a second row reduces: the parts depend on the shapes
and the number of threads only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from symgraph.kernels.buffer import Buffer, Scratch, launch
from symgraph.kernels.elementwise import Program, elementwise_rows, program_cost
from symgraph.kernels.machine import Address, Row
from symgraph.kernels.memory import float_bits
from symgraph.kernels.nest import (
    MAX_RANK,
    Axis,
    axes_of,
    axis_words,
    collapse,
    natural_lanes,
    outer_axes,
    total,
)
from symgraph.kernels.operand import (
    NUMBER,
    WORTH_A_THREAD,
    Number,
    access_of,
    dtype_of,
    shift,
)
from symgraph.kernels.reduce_kernel import Pattern, accumulator_dtype, identity, reduction_kernel
from symgraph.kernels.vector import FLOATS, ITEMSIZE


def reduce_rows(
    kind: str,
    program: Program,
    result: int,
    inputs: Sequence[Buffer | Number],
    out: Buffer,
    axes: tuple[int, ...],
    *,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """Rows that reduce a fused element-wise program over some axes.

    Parameters
    ----------
    kind : {'sum', 'prod', 'max', 'min', 'any', 'all', 'mean'}
    program, result : tuple of Instruction, int
        As in `elementwise_rows`; `result` numbers the value that is reduced. Its dtype is `out`'s (for any
        and all `out` is bool). Integer values wrap around in their own dtype: cast in the program for a
        wider sum.
    inputs : sequence of Buffer or Number
        Broadcast to the full shape; any byte strides.
    out : Buffer
        The kept axes in their order; any byte strides.
    axes : tuple of int
        The reduced axes, counted from 0. Nothing to reduce gives the identity (mean: NaN).

    Notes
    -----
    NaN wins in max and min. Max and min of nothing have to be refused by the caller.
    """
    shape = next(b.shape for b in inputs if isinstance(b, Buffer))
    if 0 in out.shape:
        return []
    if 0 in shape:
        value = float("nan") if kind == "mean" else identity(kind, out.dtype.name)
        number = Number(value, out.dtype.name)
        return elementwise_rows((), (0,), [number], [out], threads=threads, scratch=scratch)
    kept_strides = iter(out.strides)
    out_strides = tuple(0 if i in axes else next(kept_strides) for i in range(len(shape)))
    nothing = (0,) * len(shape)
    strides = [b.strides if isinstance(b, Buffer) else nothing for b in inputs]
    strides.append(out_strides)
    every = axes_of(shape, [*strides, tuple(i in axes for i in range(len(shape)))])
    every = _by_largest_input(every, len(inputs))
    inner_reduced = bool(every and every[-1].strides[-1])
    kept, reduced = (
        [Axis(a.size, a.strides[:-1]) for a in every if bool(a.strides[-1]) == r] for r in (False, True)
    )
    job = _Job(
        kind,
        program,
        result,
        (*inputs, out),
        collapse(kept),
        collapse(reduced),
        inner_reduced,
        total(reduced),
    )
    return _job_rows(job, threads, scratch)


# Vectors of results that stay in registers at once.
_BLOCK = 4


@dataclass(frozen=True)
class _Job:
    """A reduction in terms of its axes: operands are the inputs and, last, the output."""

    kind: str
    program: Program
    result: int
    operands: tuple[Buffer | Number, ...]
    kept: list[Axis]
    reduced: list[Axis]
    inner_reduced: bool
    divisor: int

    @property
    def value_dtype(self) -> str:
        """The dtype of what is reduced."""
        dtypes = [dtype_of(o) for o in self.operands[:-1]] + [i.dtype for i in self.program]
        return dtypes[self.result]


def _by_largest_input(axes: list[Axis], inputs: int) -> list[Axis]:
    """Axes in the memory order of the input that has most elements (reads are most of the traffic)."""

    def elements(k: int) -> int:
        return total([a for a in axes if a.strides[k]])

    leader = max(range(inputs), key=elements)
    return sorted(axes, key=lambda a: (-abs(a.strides[leader]), *[-abs(s) for s in a.strides[:-1]]))


def _job_rows(job: _Job, threads: int, scratch: Scratch) -> list[Row]:
    kept, reduced = list(job.kept), list(job.reduced)
    if job.inner_reduced:
        inner = reduced.pop()
    else:
        inner = kept.pop() if kept else Axis(1, tuple(ITEMSIZE[dtype_of(o)] for o in job.operands))
    if len(kept) > MAX_RANK:
        return _split_first_axis(job, threads, scratch)
    if len(reduced) > MAX_RANK:
        raise ValueError(f"reduce: at most {MAX_RANK + 1} separate axes can be reduced, got {len(reduced)}")
    count = len(job.operands)
    kept, reduced = outer_axes(kept, count), outer_axes(reduced, count)
    pattern = _pattern_of(job, inner)
    cost = program_cost(job.program, pattern.lanes) + 0.05 * sum(ITEMSIZE[d] for d, _ in pattern.inputs)
    cuts = _cut(job, inner, total(kept), total(reduced), cost, threads)
    columns = -(-inner.size // cuts.chunk)
    pieces = -(-total(reduced) // cuts.per_piece)
    tiles = -(-total(kept) // cuts.rows_per_tile) * columns * pieces
    parts = pieces * (columns if job.inner_reduced else 1)
    if parts == 1:
        return [_row(job, pattern, inner, kept, reduced, cuts, tiles, (0, 0))]
    return _two_rows(job, pattern, inner, kept, reduced, cuts, tiles, parts, threads, scratch)


def _two_rows(
    job: _Job,
    pattern: Pattern,
    inner: Axis,
    kept: list[Axis],
    reduced: list[Axis],
    cuts: _Cuts,
    tiles: int,
    parts: int,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """Partial results by tiles into scratch, then their reduction."""
    dtype = accumulator_dtype(job.kind, job.value_dtype)
    along = kept if job.inner_reduced else [*kept, inner]
    sizes = [a.size for a in along]
    partial = scratch((parts, *sizes), np.dtype(dtype))
    strides = partial.strides[1:]
    moved = [Axis(a.size, (*a.strides[:-1], s)) for a, s in zip(along, strides, strict=True)]
    first_kind = "sum" if job.kind == "mean" else job.kind
    first = replace(job, kind=first_kind, operands=(*job.operands[:-1], partial))
    if not job.inner_reduced:
        inner = moved.pop()
    pieces = parts // -(-inner.size // cuts.chunk) if job.inner_reduced else parts
    step = partial.strides[0]
    out = (dtype, access_of(dtype, inner.strides[-1], output=True))
    row = _row(
        first,
        pattern._replace(kind=first_kind, out=out),
        inner,
        moved,
        reduced,
        cuts,
        tiles,
        (pieces * step, step),
    )
    # Summing float64 parts into float32 goes through the same accumulators: only the store rounds.
    last_axes = [Axis(a.size, (s, a.strides[-1])) for a, s in zip(along, strides, strict=True) if a.size > 1]
    last = _Job(
        job.kind,
        (),
        0,
        (partial, job.operands[-1]),
        collapse(last_axes),
        [Axis(parts, (step, 0))],
        not last_axes,
        job.divisor,
    )
    return [row, *_job_rows(last, threads, scratch)]


def _split_first_axis(job: _Job, threads: int, scratch: Scratch) -> list[Row]:
    """More kept axes than a kernel walks: one reduction for every index of the first."""
    axis = job.kept[0]
    rows = []
    for i in range(axis.size):
        moved = tuple(shift(o, i * s) for o, s in zip(job.operands, axis.strides, strict=True))
        rows += _job_rows(replace(job, operands=moved, kept=job.kept[1:]), threads, scratch)
    return rows


def _pattern_of(job: _Job, inner: Axis) -> Pattern:
    inputs = tuple(
        (dtype_of(o), NUMBER if isinstance(o, Number) else access_of(dtype_of(o), s))
        for o, s in zip(job.operands[:-1], inner.strides, strict=False)
    )
    name = dtype_of(job.operands[-1])
    out = (name, access_of(name, inner.strides[-1], output=True))
    strided = any(access == "strided" for _, access in inputs)
    lanes = natural_lanes(
        [d for d, a in inputs if a != NUMBER] + [i.dtype for i in job.program if i.args], strided
    )
    light = program_cost(job.program, 1) < 8 and not strided
    if job.inner_reduced and light and inner.size >= 8 * lanes:
        lanes *= 2
    block = _BLOCK if light and not job.inner_reduced and inner.size >= 2 * lanes else 1
    return Pattern(job.kind, inputs, out, lanes, job.inner_reduced, block)


class _Cuts(NamedTuple):
    """Sizes of a tile: inner elements, kept rows, and reduced points."""

    chunk: int
    rows_per_tile: int
    per_piece: int


def _cut(job: _Job, inner: Axis, rows: int, count: int, cost: float, threads: int) -> _Cuts:
    """Tiles along kept axes where that gives enough of them, else along reduced ones as well."""
    work = inner.size * rows * count * cost
    if threads == 1 or work < 2 * WORTH_A_THREAD:
        return _Cuts(inner.size, rows, count)
    tiles = min(int(work / WORTH_A_THREAD), threads if work < 20 * WORTH_A_THREAD * threads else 4 * threads)
    if rows >= tiles:
        return _Cuts(inner.size, -(-rows // tiles), count)
    wanted = -(-tiles // rows)
    if not job.inner_reduced and inner.size >= 256 * wanted:
        return _Cuts(-(-inner.size // wanted // 64) * 64, 1, count)
    if count >= wanted:
        return _Cuts(inner.size, 1, -(-count // wanted))
    if not job.inner_reduced:
        return _Cuts(inner.size, 1, 1)
    pieces = -(-wanted // count)
    chunk = -(-inner.size // pieces)
    return _Cuts(min(inner.size, -(-chunk // 64) * 64), 1, 1)


def _row(
    job: _Job,
    pattern: Pattern,
    inner: Axis,
    kept: list[Axis],
    reduced: list[Axis],
    cuts: _Cuts,
    tiles: int,
    part_strides: tuple[int, int],
) -> Row:
    words: list[int | Address] = [
        inner.size,
        cuts.chunk,
        -(-inner.size // cuts.chunk),
        -(-total(reduced) // cuts.per_piece),
        total(kept),
        cuts.rows_per_tile,
        total(reduced),
        cuts.per_piece,
        *part_strides,
        float_bits(float(job.divisor)),
        len(kept),
        len(reduced),
        *axis_words(kept, None),
        *axis_words(reduced, None),
    ]
    for k, operand in enumerate(job.operands):
        if isinstance(operand, Number):
            floating = operand.dtype in FLOATS
            first: int | Address = float_bits(float(operand.value)) if floating else int(operand.value)
        else:
            first = operand.address
        words += [first, inner.strides[k], *axis_words(kept, k), *axis_words(reduced, k)]
    return Row(reduction_kernel(job.program, job.result, pattern), tuple(words), tiles)


def reduce(
    kind: str, array: np.ndarray, axis: int | tuple[int, ...] | None = None, threads: int | None = None
) -> np.ndarray:
    """Reduce a numpy array over `axis` (all axes where it is None); the result has the remaining axes.

    Parameters
    ----------
    kind : {'sum', 'prod', 'max', 'min', 'any', 'all', 'mean'}
    array : ndarray
    axis : int or tuple of int, optional
    """
    array = np.asarray(array)
    named = range(array.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    axes = tuple(sorted(a % array.ndim for a in named))
    shape = tuple(n for i, n in enumerate(array.shape) if i not in axes)
    out = np.empty(shape, "bool" if kind in ("any", "all") else array.dtype)

    def plan(x: Buffer, out: Buffer, *, threads: int, scratch: Scratch) -> list[Row]:
        return reduce_rows(kind, (), 0, [x], out, axes, threads=threads, scratch=scratch)

    launch(plan, array, out, threads=threads)
    return out
