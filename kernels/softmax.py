"""Softmax and its logarithm over one axis: the maximum, the exponentials and their sum in one kernel."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from llvmlite import ir

from symgraph.kernels import exponential
from symgraph.kernels.buffer import Buffer, Scratch, launch
from symgraph.kernels.jit import INT, Kernel, ir_kernel
from symgraph.kernels.machine import Row
from symgraph.kernels.nest import Variable, Writer, natural_lanes
from symgraph.kernels.operand import CONTIGUOUS, Operand, each_row, row_access, row_nest
from symgraph.kernels.reduce_kernel import fold
from symgraph.kernels.vector import Vec, maximum, where


@cache
def _kernel(dtype: str, x_access: str, out_access: str, log: bool, lanes: int) -> Kernel:
    operands = [(dtype, x_access), (dtype, out_access)]

    def emit(builder: ir.IRBuilder, function: ir.Function) -> None:
        writer = Writer(builder, function)
        with each_row(writer, operands, lanes) as ((x, out), count):
            _emit_row(writer, x, out, count, log)
        builder.ret(INT(0))

    name = "log_softmax" if log else "softmax"
    return ir_kernel(f"{name}[{dtype}]", emit, (dtype, x_access, out_access, log, lanes))


def _constant(writer: Writer, x: Operand, value: float) -> Vec:
    scalar = writer.integer(0).constant(value, x.dtype)
    return writer.splat(scalar, x.lanes)


def _sweep(writer: Writer, operand: Operand, count: Vec) -> Iterator[tuple[Vec, Vec, ir.Value, Vec]]:
    """Emit a loop over the row's vectors: yields (position, mask, whether whole, values) once."""
    with writer.loop(0, count, operand.lanes) as at:
        mask = writer.tail_mask(count - at, operand.lanes)
        full = (at + operand.lanes <= count).value
        (value,) = writer.choose(full, lambda: [operand.read(at)], lambda: [operand.read(at, mask)])
        yield at, mask, full, value


def _put(writer: Writer, out: Operand, value: Vec, at: Vec, mask: Vec, full: ir.Value) -> None:
    with writer.builder.if_else(full) as (then, otherwise):
        with then:
            out.write(value, at)
        with otherwise:
            out.write(value, at, mask)


def _folded(writer: Writer, kind: str, variable: Variable, lanes: int) -> Vec:
    return writer.splat(fold(kind, variable.get()), lanes)


def _emit_row(writer: Writer, x: Operand, out: Operand, count: Vec, log: bool) -> None:
    greatest = writer.variable(_constant(writer, x, float("-inf")))
    for _, mask, _, value in _sweep(writer, x, count):
        greatest.set(where(mask, maximum(greatest.get(), value), greatest.get()))
    top = _folded(writer, "max", greatest, x.lanes)
    total = writer.variable(_constant(writer, x, 0.0))
    for at, mask, full, value in _sweep(writer, x, count):
        power = exponential.exp(value - top)
        total.set(total.get() + where(mask, power, 0.0))
        if not log:
            _put(writer, out, power, at, mask, full)
    total_everywhere = _folded(writer, "sum", total, x.lanes)
    if log:
        shift = exponential.log(total_everywhere)
        for at, mask, full, value in _sweep(writer, x, count):
            _put(writer, out, (value - top) - shift, at, mask, full)
    else:
        scale = 1.0 / total_everywhere
        for at, mask, full, value in _sweep(writer, out, count):
            _put(writer, out, value * scale, at, mask, full)


def softmax_rows(
    x: Buffer, out: Buffer, *, log: bool = False, axis: int = -1, threads: int, scratch: Scratch
) -> list[Row]:
    """Rows for ``exp(x) / sum(exp(x))`` along an axis, or its logarithm.

    Parameters
    ----------
    x, out : Buffer
        One shape, float32 or float64, any strides; `out` may be `x`.
    log : bool
        Logarithm of the softmax, without the loss of taking it afterwards.
    axis : int
        The axis that is summed over.
    """
    axis %= len(x.shape)
    if x.size == 0:
        return []
    (dtype, x_access), (_, out_access) = row_access(x, axis), row_access(out, axis)
    strided = (x_access, out_access) != (CONTIGUOUS, CONTIGUOUS)
    kernel = _kernel(dtype, x_access, out_access, log, natural_lanes([dtype], strided))
    cost = 30.0 + x.shape[axis] * x.dtype.itemsize * (0.4 if strided else 0.1)
    return row_nest(kernel, [x, out], axis, cost, threads)


def softmax(x: np.ndarray, *, log: bool = False, axis: int = -1, threads: int | None = None) -> np.ndarray:
    """Softmax of a numpy array along an axis (`log`: its logarithm)."""
    out = np.empty_like(x)
    launch(softmax_rows, x, out, threads=threads, log=log, axis=axis)
    return out
