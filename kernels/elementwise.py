"""Fused element-wise kernels: a program of scalar instructions, run in one pass over strided arrays.

`elementwise_rows` normalises the shapes (axes of size 1 dropped, axes in the order of the output's memory,
neighbours collapsed), picks how each operand is met along the inner axis (contiguous, repeated, strided or
a number) and takes or makes the kernel for that program and pattern.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np

from symgraph.kernels.maths.functions import FUNCTIONS, emit_function
from symgraph.kernels.run.buffer import Buffer, Scratch, contiguous_strides, launch
from symgraph.kernels.run.jit import Kernel
from symgraph.kernels.run.machine import Address, Row
from symgraph.kernels.tile.builder import Value
from symgraph.kernels.tile.nest import (
    MAX_RANK,
    Axis,
    Odometer,
    Writer,
    axes_of,
    axis_words,
    collapse,
    in_memory_order,
    natural_lanes,
    outer_axes,
    total,
    vector_kernel,
)
from symgraph.kernels.tile.operand import (
    CONTIGUOUS,
    NUMBER,
    OPERAND_WORDS,
    STRIDED,
    WORTH_A_THREAD,
    Number,
    Operand,
    access_of,
    dtype_of,
    lesser,
    operand_words,
    read_all,
    shift,
)
from symgraph.kernels.tile.vector import ITEMSIZE, Vec
from symgraph.kernels.transpose import transpose_rows, transposition


@dataclass(frozen=True)
class Instruction:
    """One step of a program.

    Attributes
    ----------
    name : str
        A key of `functions.FUNCTIONS`, or ``constant`` (params: the value), or ``index`` (the position
        along the inner axis, int64: only for nests that this package lays out itself).
    args : tuple of int
        The inputs are 0 to n-1, then earlier instructions follow from n on.
    dtype : str
        The result's dtype.
    params : tuple
    """

    name: str
    args: tuple[int, ...]
    dtype: str
    params: tuple[float | int | bool, ...] = ()


Program = tuple[Instruction, ...]


class Pattern(NamedTuple):
    """What a kernel's code depends on besides the program: for every operand its dtype and inner access."""

    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]
    lanes: int


_INNER, _CHUNK, _COLUMNS, _ROWS, _ROWS_PER_TILE, _RANK, _SIZES = range(7)
_OPERANDS = _SIZES + MAX_RANK
# Elements from which a transposed input is worth a copy.
_LARGE = 16384


def emit_program(program: Program, inputs: Sequence[Vec], index: Vec | None = None) -> list[Vec]:
    """Emit all instructions; the values of inputs and instructions in their common numbering."""
    values = list(inputs)
    for instruction in program:
        if instruction.name == "constant":
            model = values[0] if values else index
            assert model is not None
            values.append(model.constant(instruction.params[0], instruction.dtype))
        elif instruction.name == "index":
            assert index is not None
            values.append(index.cast(instruction.dtype))
        else:
            arguments = [values[a] for a in instruction.args]
            values.append(emit_function(instruction.name, instruction.dtype, arguments))
    return values


def program_cost(program: Program, lanes: int) -> float:
    """Rough ns per element of a program's arithmetic."""
    return sum(FUNCTIONS[i.name].cost for i in program if i.name in FUNCTIONS) * 0.35 / lanes


@cache
def _kernel(program: Program, results: tuple[int, ...], pattern: Pattern) -> Kernel:
    """The kernel of a program over one access pattern."""

    def write(writer: Writer) -> None:
        _emit_nest(writer, program, results, pattern)

    names = ", ".join(i.name for i in program) or "copy"
    return vector_kernel(f"elementwise[{names}]", write, (program, results, pattern))


def _emit_nest(writer: Writer, program: Program, results: tuple[int, ...], pattern: Pattern) -> None:
    lanes = pattern.lanes
    operands = [
        Operand(writer, dtype, access, lanes, _OPERANDS + k * OPERAND_WORDS)
        for k, (dtype, access) in enumerate(pattern.inputs + pattern.outputs)
    ]
    sources, targets = operands[: len(pattern.inputs)], operands[len(pattern.inputs) :]
    chunk, columns, rows_per_tile = writer.word(_CHUNK), writer.word(_COLUMNS), writer.word(_ROWS_PER_TILE)
    row_tile = writer.tile / columns
    first = (writer.tile - row_tile * columns) * chunk
    count = lesser(writer.word(_INNER) - first, chunk)
    row = row_tile * rows_per_tile
    last = lesser(row + rows_per_tile, writer.word(_ROWS))
    walking = [o for o in operands if o.access != NUMBER]
    odometer = Odometer(writer, writer.word(_RANK), _SIZES, [o.strides_at for o in walking])
    odometer.seek([o.start + o.skip(first) for o in walking], row)
    numbers = writer.lane_numbers(lanes, "int64") + writer.splat(first, lanes)
    with writer.loop(row, last):
        for operand, address in zip(walking, odometer.addresses(), strict=True):
            operand.begin(address)
        with writer.loop(0, count, lanes) as at:
            full = (at + lanes <= count).value
            mask = writer.tail_mask(count - at, lanes)
            inputs = read_all(writer, sources, at, full, mask)
            values = emit_program(program, inputs, numbers + writer.splat(at, lanes))
            _write_all(writer, targets, [values[r] for r in results], at, full, mask)
        odometer.step()


def _write_all(
    writer: Writer, targets: Sequence[Operand], values: Sequence[Vec], at: Vec, full: Value, mask: Vec
) -> None:
    with writer.builder.if_else(full) as (then, otherwise):
        with then:
            for target, value in zip(targets, values, strict=True):
                target.write(value, at)
        with otherwise:
            for target, value in zip(targets, values, strict=True):
                target.write(value, at, mask)


def elementwise_rows(
    program: Program,
    results: tuple[int, ...],
    inputs: Sequence[Buffer | Number],
    outputs: Sequence[Buffer],
    *,
    threads: int,
    scratch: Scratch,
) -> list[Row]:
    """Rows that run a fused element-wise program.

    Parameters
    ----------
    program : tuple of Instruction
    results : tuple of int
        ``results[i]`` numbers the value that is stored to ``outputs[i]`` (inputs first, then instructions).
    inputs : sequence of Buffer or Number
        Broadcast to the outputs' shape already (stride 0 on stretched axes); any byte strides.
    outputs : sequence of Buffer
        All of one shape; any byte strides. An output may be the very memory of an input.
    """
    shape = outputs[0].shape
    if 0 in shape:
        return []
    copies, inputs = _straightened(inputs, outputs[0], threads, scratch)
    nothing = (0,) * len(shape)
    strides = [b.strides if isinstance(b, Buffer) else nothing for b in (*inputs, *outputs)]
    first_output = len(inputs)
    axes = in_memory_order(axes_of(shape, strides), [first_output, *range(first_output)])
    # Without axes the one element is met as a contiguous axis of length 1.
    sizes = tuple(ITEMSIZE[dtype_of(b)] for b in (*inputs, *outputs))
    axes = collapse(axes) or [Axis(1, sizes)]
    return copies + nest_rows(program, results, (*inputs, *outputs), first_output, axes, threads)


def _straightened(
    inputs: Sequence[Buffer | Number], out: Buffer, threads: int, scratch: Scratch
) -> tuple[list[Row], list[Buffer | Number]]:
    """Large transposed inputs copied to the output's order: reading across the grain is far slower."""
    rows: list[Row] = []
    straight: list[Buffer | Number] = []
    for buffer in inputs:
        if not isinstance(buffer, Buffer) or out.size < _LARGE or not out.contiguous or _is_stretched(buffer):
            straight.append(buffer)
            continue
        strides = contiguous_strides(out.shape, buffer.dtype.itemsize)
        plan = transposition(buffer, replace(out, dtype=buffer.dtype, strides=strides))
        if plan is None:
            straight.append(buffer)
        else:
            copied = scratch(out.shape, buffer.dtype)
            rows += transpose_rows(buffer, copied, plan, threads)
            straight.append(copied)
    return rows, straight


def _is_stretched(buffer: Buffer) -> bool:
    """Whether elements are met more than once: a copy would be larger than the buffer."""
    return any(size > 1 and stride == 0 for size, stride in zip(buffer.shape, buffer.strides, strict=True))


def nest_rows(
    program: Program,
    results: tuple[int, ...],
    operands: Sequence[Buffer | Number],
    first_output: int,
    axes: list[Axis],
    threads: int,
) -> list[Row]:
    """Rows for a program over axes in their final order: operands from `first_output` on are the outputs."""
    if len(axes) > MAX_RANK + 1:
        parts = []
        for i in range(axes[0].size):
            moved = [shift(o, i * s) for o, s in zip(operands, axes[0].strides, strict=True)]
            parts += nest_rows(program, results, moved, first_output, axes[1:], threads)
        return parts
    rows, inner = outer_axes(axes[:-1], len(operands)), axes[-1]
    patterns = [
        (
            dtype_of(o),
            NUMBER if isinstance(o, Number) else access_of(dtype_of(o), s, output=k >= first_output),
        )
        for k, (o, s) in enumerate(zip(operands, inner.strides, strict=True))
    ]
    dtypes = [d for d, access in patterns if access != NUMBER] + [i.dtype for i in program if i.args]
    lanes = natural_lanes(dtypes, any(access == STRIDED for _, access in patterns))
    pattern = Pattern(tuple(patterns[:first_output]), tuple(patterns[first_output:]), lanes)
    row_count = total(rows)
    touched = sum(ITEMSIZE[d] * (4 if a == STRIDED else 1) for d, a in patterns if a in (CONTIGUOUS, STRIDED))
    cost = program_cost(program, lanes) + 0.05 * touched
    chunk, rows_per_tile = cut(inner.size, row_count, cost, threads)
    columns = -(-inner.size // chunk)
    words: list[int | Address] = [inner.size, chunk, columns, row_count, rows_per_tile, len(rows)]
    words += axis_words(rows, None)
    for k, operand in enumerate(operands):
        words += operand_words(operand, rows, inner, k)
    kernel = _kernel(program, results, pattern)
    return [Row(kernel, tuple(words), columns * -(-row_count // rows_per_tile))]


def cut(inner: int, rows: int, cost: float, threads: int) -> tuple[int, int]:
    """``(chunk, rows_per_tile)``: how a nest of rows x inner elements of `cost` ns each is cut into tiles."""
    work = inner * rows * cost
    if threads == 1 or work < 2 * WORTH_A_THREAD:
        return inner, rows
    tiles = min(int(work / WORTH_A_THREAD), threads if work < 20 * WORTH_A_THREAD * threads else 4 * threads)
    if rows >= tiles:
        return inner, -(-rows // tiles)
    pieces = -(-tiles // rows)
    chunk = -(-inner // pieces)
    return min(inner, -(-chunk // 64) * 64), 1


def elementwise(
    name: str, *arrays: np.ndarray, dtype: str | None = None, threads: int | None = None
) -> np.ndarray:
    """Run one element-wise function on numpy arrays (broadcast together).

    Parameters
    ----------
    name : str
        A key of `functions.FUNCTIONS`, such as ``"tanh"`` or ``"maximum"``.
    arrays : ndarray
        Its arguments, of one dtype (for ``where`` the condition is bool).
    dtype : str, optional
        The result's dtype; the last argument's where it is not given, bool for comparisons and predicates.
    """
    tests = (
        "equal",
        "not_equal",
        "less",
        "less_equal",
        "greater",
        "greater_equal",
        "isnan",
        "isinf",
        "signbit",
        "logical_and",
        "logical_or",
        "logical_not",
        "logical_xor",
    )
    arrays = tuple(np.asarray(a) for a in arrays)
    kind = dtype or ("bool" if name in tests else arrays[-1].dtype.name)
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    out = np.empty(shape, kind)
    program = (Instruction(name, tuple(range(len(arrays))), kind),)

    def plan(*buffers: Buffer, threads: int, scratch: Scratch) -> list[Row]:
        inputs = [b.broadcast(shape) for b in buffers[:-1]]
        return elementwise_rows(
            program, (len(inputs),), inputs, buffers[-1:], threads=threads, scratch=scratch
        )

    launch(plan, *arrays, out, threads=threads)
    return out
