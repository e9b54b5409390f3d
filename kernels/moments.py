"""Mean and variance in one pass over memory, over any axes.

Both come from the sums of d and of d**2, where d is the distance from the first of the numbers that are
averaged. That keeps digits where the mean is large against the deviation: the first number is one of the n
numbers, so its squared distance from their mean is at most n times their variance, and what the final
subtraction cancels stays within n times the rounding of a float64 sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from symgraph.kernels.elementwise import Instruction, Program, elementwise_rows
from symgraph.kernels.reduce import reductions_rows
from symgraph.kernels.run.buffer import Buffer, Scratch, launch
from symgraph.kernels.run.machine import Row
from symgraph.kernels.tile.operand import Number

_WIDE = "float64"
# Inputs 0 and 1 are the numbers and the first of them.
_SUMS: Program = (
    Instruction("cast", (0,), _WIDE),
    Instruction("cast", (1,), _WIDE),
    Instruction("sub", (2, 3), _WIDE),
    Instruction("square", (4,), _WIDE),
)
# Inputs are the sums of d and of d**2, the first number, and how many numbers there are.
_NUMBERS: Program = (
    Instruction("div", (0, 3), _WIDE),
    Instruction("div", (1, 3), _WIDE),
    Instruction("square", (4,), _WIDE),
    Instruction("sub", (5, 6), _WIDE),
    Instruction("constant", (), _WIDE, (0.0,)),
    Instruction("maximum", (7, 8), _WIDE),
    Instruction("cast", (2,), _WIDE),
    Instruction("add", (10, 4), _WIDE),
)


def moments_rows(
    x: Buffer,
    mean: Buffer,
    variance: Buffer,
    axes: tuple[int, ...],
    *,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """Rows for mean and variance (divided by n) of `x` over some axes.

    Parameters
    ----------
    x : Buffer
        float32 or float64, any strides.
    mean, variance : Buffer
        The kept axes of `x` in their order, its dtype; any strides.
    axes : tuple of int
        The reduced axes, counted from 0. Nothing to average gives NaN.
    """
    if mean.size == 0:
        return []
    count = int(np.prod([x.shape[a] for a in axes], dtype=object))
    if not count:
        nothing = Number(float("nan"), x.dtype.name)
        return elementwise_rows((), (0, 0), [nothing], (mean, variance), threads=threads, scratch=scratch)
    shift = replace(x, strides=tuple(0 if a in axes else s for a, s in enumerate(x.strides)))
    sums = [scratch(mean.shape, _WIDE) for _ in range(2)]
    rows = reductions_rows(
        ("sum", "sum"), _SUMS, (4, 5), (x, shift), sums, axes, threads=threads, scratch=scratch
    )
    first = _without(shift, axes)
    inputs: list[Buffer | Number] = [*sums, first, Number(float(count), _WIDE)]
    program = (*_NUMBERS, Instruction("cast", (11,), x.dtype.name), Instruction("cast", (9,), x.dtype.name))
    outputs = (mean, variance)
    return rows + elementwise_rows(program, (12, 13), inputs, outputs, threads=threads, scratch=scratch)


def _without(buffer: Buffer, axes: Sequence[int]) -> Buffer:
    """`buffer` at index 0 of some axes."""
    kept = [a for a in range(len(buffer.shape)) if a not in axes]
    return replace(
        buffer, shape=tuple(buffer.shape[a] for a in kept), strides=tuple(buffer.strides[a] for a in kept)
    )


def moments(
    array: np.ndarray, axis: int | tuple[int, ...], threads: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance (divided by n) of a numpy array over `axis`, in one pass."""
    array = np.asarray(array)
    axes = tuple(sorted(a % array.ndim for a in ((axis,) if isinstance(axis, int) else axis)))
    shape = tuple(n for i, n in enumerate(array.shape) if i not in axes)
    mean, variance = np.empty(shape, array.dtype), np.empty(shape, array.dtype)
    launch(
        lambda x, mean, variance, **options: moments_rows(x, mean, variance, axes, **options),
        array,
        mean,
        variance,
        threads=threads,
    )
    return mean, variance
