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

from symgraph.kernels.elementwise import Instruction, Program, elementwise_rows, program_cost
from symgraph.kernels.run.buffer import Buffer, Scratch, launch
from symgraph.kernels.run.machine import Address, Row
from symgraph.kernels.run.memory import float_bits
from symgraph.kernels.tile.nest import (
    MAX_RANK,
    Axis,
    axes_of,
    axis_words,
    collapse,
    natural_lanes,
    outer_axes,
    total,
)
from symgraph.kernels.tile.operand import (
    NUMBER,
    WORTH_A_THREAD,
    Number,
    access_of,
    dtype_of,
    shift,
)
from symgraph.kernels.tile.reduction import Pattern, accumulator_dtype, identity, reduction_kernel
from symgraph.kernels.tile.vector import FLOATS, ITEMSIZE


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
    """Rows that reduce one value of a fused element-wise program: `reductions_rows` with a single result."""
    return reductions_rows(
        (kind,), program, (result,), inputs, (out,), axes, threads=threads, scratch=scratch
    )


def reductions_rows(
    kinds: tuple[str, ...],
    program: Program,
    results: tuple[int, ...],
    inputs: Sequence[Buffer | Number],
    outs: Sequence[Buffer],
    axes: tuple[int, ...],
    *,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """Rows that reduce values of a fused element-wise program over some axes, all in one pass.

    Parameters
    ----------
    kinds : tuple of {'sum', 'prod', 'max', 'min', 'any', 'all', 'mean'}
        How each value is reduced.
    program, results : tuple of Instruction, tuple of int
        As in `elementwise_rows`; ``results[i]`` numbers the value that is reduced by ``kinds[i]`` into
        ``outs[i]``. Its dtype is the output's (for any and all that is bool). Integer values wrap around in
        their own dtype: cast in the program for a wider sum.
    inputs : sequence of Buffer or Number
        Broadcast to the full shape; any byte strides.
    outs : sequence of Buffer
        The kept axes in their order; any byte strides.
    axes : tuple of int
        The reduced axes, counted from 0. Nothing to reduce gives the identity (mean: NaN).

    Notes
    -----
    NaN wins in max and min. Max and min of nothing have to be refused by the caller.
    """
    shape = next(b.shape for b in inputs if isinstance(b, Buffer))
    if 0 in outs[0].shape:
        return []
    if 0 in shape:
        rows = []
        for kind, out in zip(kinds, outs, strict=True):
            value = float("nan") if kind == "mean" else identity(kind, out.dtype.name)
            number = Number(value, out.dtype.name)
            rows += elementwise_rows((), (0,), [number], [out], threads=threads, scratch=scratch)
        return rows
    nothing = (0,) * len(shape)
    strides = [b.strides if isinstance(b, Buffer) else nothing for b in inputs]
    for out in outs:
        kept_strides = iter(out.strides)
        strides.append(tuple(0 if i in axes else next(kept_strides) for i in range(len(shape))))
    every = axes_of(shape, [*strides, tuple(i in axes for i in range(len(shape)))])
    every = _by_largest_input(every, len(inputs))
    inner_reduced = bool(every and every[-1].strides[-1])
    kept, reduced = (
        [Axis(a.size, a.strides[:-1]) for a in every if bool(a.strides[-1]) == r] for r in (False, True)
    )
    job = _Job(
        kinds,
        program,
        results,
        (*inputs, *outs),
        collapse(kept),
        collapse(reduced),
        inner_reduced,
        total(reduced),
    )
    return _job_rows(job, threads, scratch)


def whole_product_rows(a: Buffer, b: Buffer, out: Buffer, *, threads: int, scratch: Scratch) -> list[Row]:
    """Rows for the matrix product of integers: every sum in their own dtype, which wraps around.

    Parameters
    ----------
    a, b, out : Buffer
        [..., M, K], [..., K, N], [..., M, N] of one integer dtype; batch axes are equal (stretched ones have
        stride 0), any strides.
    """
    batch, (rows, depth), columns = a.shape[:-2], a.shape[-2:], b.shape[-1]
    full = (*batch, rows, columns, depth)
    factors = [
        replace(a, shape=full, strides=(*a.strides[:-1], 0, a.strides[-1])),
        replace(b, shape=full, strides=(*b.strides[:-2], 0, b.strides[-1], b.strides[-2])),
    ]
    product = (Instruction("mul", (0, 1), out.dtype.name),)
    return reduce_rows("sum", product, 2, factors, out, (len(full) - 1,), threads=threads, scratch=scratch)


# Vectors of results that stay in registers at once.
_BLOCK = 4
# Where results take more registers than that, they are kept in memory while reduced points stream by: from
# so many points on, and so many columns at a time that they stay in the first cache.
_STREAM_FROM, _STREAM_COLUMNS = 32, 512


@dataclass(frozen=True)
class _Job:
    """Reductions in terms of their axes: operands are the inputs and, last, the outputs."""

    kinds: tuple[str, ...]
    program: Program
    results: tuple[int, ...]
    operands: tuple[Buffer | Number, ...]
    kept: list[Axis]
    reduced: list[Axis]
    inner_reduced: bool
    divisor: int

    @property
    def inputs(self) -> tuple[Buffer | Number, ...]:
        """The operands that are read."""
        return self.operands[: -len(self.kinds)]

    @property
    def accumulators(self) -> list[str]:
        """The dtypes that the values are accumulated in."""
        dtypes = [dtype_of(o) for o in self.inputs] + [i.dtype for i in self.program]
        pairs = zip(self.kinds, self.results, strict=True)
        return [accumulator_dtype(kind, dtypes[result]) for kind, result in pairs]


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
    pattern = _pattern_of(job, inner, reduced)
    cost = program_cost(job.program, pattern.lanes) + 0.05 * sum(ITEMSIZE[d] for d, _ in pattern.inputs)
    cuts = _cut(job, inner, total(kept), total(reduced), cost, threads)
    if pattern.streams:
        cuts = cuts._replace(chunk=min(cuts.chunk, _STREAM_COLUMNS))
    columns = -(-inner.size // cuts.chunk)
    pieces = -(-total(reduced) // cuts.per_piece)
    tiles = -(-total(kept) // cuts.rows_per_tile) * columns * pieces
    parts = pieces * (columns if job.inner_reduced else 1)
    if parts == 1 and not pattern.streams:
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
    along = kept if job.inner_reduced else [*kept, inner]
    sizes = [a.size for a in along]
    count = len(job.inputs)
    partials = [scratch((parts, *sizes), np.dtype(dtype)) for dtype in job.accumulators]
    moved = [
        Axis(a.size, (*a.strides[:count], *(p.strides[1 + i] for p in partials))) for i, a in enumerate(along)
    ]
    first_kinds = tuple("sum" if kind == "mean" else kind for kind in job.kinds)
    first = replace(job, kinds=first_kinds, operands=(*job.inputs, *partials))
    if not job.inner_reduced:
        inner = moved.pop()
    pieces = parts // -(-inner.size // cuts.chunk) if job.inner_reduced else parts
    step = total(along)
    outs = tuple(
        (dtype, access_of(dtype, inner.strides[count + i], output=True))
        for i, dtype in enumerate(job.accumulators)
    )
    rows = [
        _row(
            first,
            pattern._replace(kinds=first_kinds, outs=outs),
            inner,
            moved,
            reduced,
            cuts,
            tiles,
            (pieces * step if job.inner_reduced else 0, step),
        )
    ]
    # Summing float64 parts into float32 goes through the same accumulators: only the store rounds.
    for i, (kind, partial) in enumerate(zip(job.kinds, partials, strict=True)):
        last_axes = [
            Axis(a.size, (p, a.strides[count + i]))
            for p, a in zip(partial.strides[1:], along, strict=True)
            if a.size > 1
        ]
        last = _Job(
            (kind,),
            (),
            (0,),
            (partial, job.operands[count + i]),
            collapse(last_axes),
            [Axis(parts, (partial.strides[0], 0))],
            not last_axes,
            job.divisor,
        )
        rows += _job_rows(last, threads, scratch)
    return rows


def _split_first_axis(job: _Job, threads: int, scratch: Scratch) -> list[Row]:
    """More kept axes than a kernel walks: one reduction for every index of the first."""
    axis = job.kept[0]
    rows = []
    for i in range(axis.size):
        moved = tuple(shift(o, i * s) for o, s in zip(job.operands, axis.strides, strict=True))
        rows += _job_rows(replace(job, operands=moved, kept=job.kept[1:]), threads, scratch)
    return rows


def _pattern_of(job: _Job, inner: Axis, reduced: list[Axis]) -> Pattern:
    count = len(job.inputs)
    inputs = tuple(
        (dtype_of(o), NUMBER if isinstance(o, Number) else access_of(dtype_of(o), s))
        for o, s in zip(job.inputs, inner.strides[:count], strict=True)
    )
    outs = tuple(
        (dtype_of(o), access_of(dtype_of(o), s, output=True))
        for o, s in zip(job.operands[count:], inner.strides[count:], strict=True)
    )
    strided = any(access == "strided" for _, access in inputs)
    lanes = natural_lanes(
        [d for d, a in inputs if a != NUMBER] + [i.dtype for i in job.program if i.args], strided
    )
    light = program_cost(job.program, 1) < 8 and not strided
    if job.inner_reduced and light and len(job.kinds) == 1 and inner.size >= 8 * lanes:
        lanes *= 2
    if job.inner_reduced:
        return Pattern(job.kinds, inputs, outs, lanes, True, 1, ())
    block = max(1, _BLOCK // len(job.kinds)) if light else 1
    stream = inner.size > block * lanes and total(reduced) >= _STREAM_FROM and not strided
    if stream:
        block = 0
    elif inner.size < 2 * lanes:
        block = 1
    fixed = tuple(not any(a.strides[k] for a in reduced) for k in range(count))
    return Pattern(job.kinds, inputs, outs, lanes, False, block, fixed)


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
    return Row(reduction_kernel(job.program, job.results, pattern), tuple(words), tiles)


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
