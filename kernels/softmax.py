"""Softmax, its logarithm and its cross-entropy: maximum, exponentials and sums of a row in one kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import numpy as np

from symgraph.kernels.elementwise import elementwise_rows
from symgraph.kernels.maths import exponential
from symgraph.kernels.run.buffer import Buffer, Scratch, launch
from symgraph.kernels.run.jit import Kernel
from symgraph.kernels.run.machine import Row
from symgraph.kernels.tile.builder import Value
from symgraph.kernels.tile.nest import Variable, Writer, load, natural_lanes, store, vector_kernel
from symgraph.kernels.tile.operand import (
    CONTIGUOUS,
    STRIDED,
    Number,
    Operand,
    each_row,
    read_all,
    row_access,
    row_nest,
)
from symgraph.kernels.tile.reduction import fold
from symgraph.kernels.tile.vector import Vec, maximum, where


@cache
def _kernel(dtype: str, x_access: str, out_access: str, log: bool, lanes: int) -> Kernel:
    operands = [(dtype, x_access), (dtype, out_access)]

    def write(writer: Writer) -> None:
        with each_row(writer, operands, lanes) as ((x, out), count):
            emit_row(writer, x, out, count)

    name, emit_row = ("log_softmax", _emit_log_softmax) if log else ("softmax", _emit_softmax)
    return vector_kernel(f"{name}[{dtype}]", write, (dtype, x_access, out_access, log, lanes))


def _constant(writer: Writer, x: Operand, value: float) -> Vec:
    scalar = writer.integer(0).constant(value, x.dtype)
    return writer.splat(scalar, x.lanes)


def _sweep(writer: Writer, operand: Operand, count: Vec) -> Iterator[tuple[Vec, Vec, Value, Vec]]:
    """Emit a loop over the row's vectors: yields (position, mask, whether whole, values) once."""
    with writer.loop(0, count, operand.lanes) as at:
        mask = writer.tail_mask(count - at, operand.lanes)
        full = (at + operand.lanes <= count).value
        (value,) = writer.choose(full, lambda: [operand.read(at)], lambda: [operand.read(at, mask)])
        yield at, mask, full, value


def _put(writer: Writer, out: Operand, value: Vec, at: Vec, mask: Vec, full: Value) -> None:
    with writer.builder.if_else(full) as (then, otherwise):
        with then:
            out.write(value, at)
        with otherwise:
            out.write(value, at, mask)


def _folded(writer: Writer, kind: str, variable: Variable, lanes: int) -> Vec:
    return writer.splat(fold(kind, variable.get()), lanes)


class _Total:
    """The sum of a row's exponentials without one of its largest, which is 1: nothing vanishes beside it."""

    def __init__(self, writer: Writer, x: Operand) -> None:
        self._rest, self._largest = (writer.variable(_constant(writer, x, 0.0)) for _ in range(2))

    def add(self, distance: Vec, power: Vec, mask: Vec) -> None:
        """Take in ``power = exp(distance)``; the distance of a largest element is 0."""
        top = distance.equals(0.0)
        self._rest.set(self._rest.get() + where(mask, where(top, 0.0, power), 0.0))
        self._largest.set(self._largest.get() + where(mask & top, distance.constant(1.0), 0.0))

    def excess(self) -> Vec:
        """The sum minus 1, a scalar."""
        return fold("sum", self._rest.get()) + (fold("sum", self._largest.get()) - 1.0)


def _emit_softmax(writer: Writer, x: Operand, out: Operand, count: Vec) -> None:
    top = _top(writer, x, count)
    total = writer.variable(_constant(writer, x, 0.0))
    for at, mask, full, value in _sweep(writer, x, count):
        power = exponential.exp(value - top)
        total.set(total.get() + where(mask, power, 0.0))
        _put(writer, out, power, at, mask, full)
    scale = 1.0 / _folded(writer, "sum", total, x.lanes)
    for at, mask, full, value in _sweep(writer, out, count):
        _put(writer, out, value * scale, at, mask, full)


def _emit_log_softmax(writer: Writer, x: Operand, out: Operand, count: Vec) -> None:
    top = _top(writer, x, count)
    total = _Total(writer, x)
    for _, mask, _, value in _sweep(writer, x, count):
        distance = value - top
        total.add(distance, exponential.exp(distance), mask)
    shift = writer.splat(exponential.log1p(total.excess()), x.lanes)
    for at, mask, full, value in _sweep(writer, x, count):
        _put(writer, out, (value - top) - shift, at, mask, full)


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


@cache
def _loss_kernel(dtype: str, accesses: tuple[str, str, str], lanes: int) -> Kernel:
    """Cross-entropy of each row of x and t: ``sum(t) log(sum(exp(x - max x))) - sum(t (x - max x))``."""

    def write(writer: Writer) -> None:
        operands = [(dtype, access) for access in accesses]
        with each_row(writer, operands, lanes) as ((x, targets, out), count):
            top = _top(writer, x, count)
            total = _Total(writer, x)
            weight, mass = (writer.variable(_constant(writer, x, 0.0)) for _ in range(2))
            for _, mask, _, (value, target) in _sweep_pair(writer, (x, targets), count):
                distance = value - top
                total.add(distance, exponential.exp(distance), mask)
                weight.set(weight.get() + target)
                mass.set(mass.get() + where(mask, target * distance, 0.0))
            weights, masses = (fold("sum", variable.get()) for variable in (weight, mass))
            store(weights * exponential.log1p(total.excess()) - masses, out.place(writer.integer(0)))

    return vector_kernel(f"softmax_cross_entropy[{dtype}]", write, (dtype, accesses, lanes))


@cache
def _loss_gradient_kernel(dtype: str, accesses: tuple[str, str, str, str], lanes: int) -> Kernel:
    """Each row of ``(softmax(x) sum(t) - t) g``, g one number a row."""

    def write(writer: Writer) -> None:
        operands = [(dtype, access) for access in accesses]
        with each_row(writer, operands, lanes) as ((x, targets, grad, out), count):
            top = _top(writer, x, count)
            total, weight = _Total(writer, x), writer.variable(_constant(writer, x, 0.0))
            for at, mask, full, (value, target) in _sweep_pair(writer, (x, targets), count):
                distance = value - top
                power = exponential.exp(distance)
                total.add(distance, power, mask)
                weight.set(weight.get() + target)
                _put(writer, out, power, at, mask, full)
            flow = writer.splat(load(grad.place(writer.integer(0)), dtype), lanes)
            # With a total of 1 + r this is ((w p - t) - t r) / (1 + r): where p is 1 and w is t, r remains.
            weights, excess = _folded(writer, "sum", weight, lanes), writer.splat(total.excess(), lanes)
            share = 1.0 / (1.0 + excess)
            lack = excess * share
            for at, mask, full, (power, target) in _sweep_pair(writer, (out, targets), count):
                slope = (power * weights - target) * share - target * lack
                _put(writer, out, slope * flow, at, mask, full)

    return vector_kernel(f"softmax_cross_entropy_gradient[{dtype}]", write, (dtype, accesses, lanes))


def _top(writer: Writer, x: Operand, count: Vec) -> Vec:
    """The row's greatest element, in every lane."""
    greatest = writer.variable(_constant(writer, x, float("-inf")))
    for _, mask, _, value in _sweep(writer, x, count):
        greatest.set(where(mask, maximum(greatest.get(), value), greatest.get()))
    return _folded(writer, "max", greatest, x.lanes)


def _sweep_pair(
    writer: Writer, operands: tuple[Operand, Operand], count: Vec
) -> Iterator[tuple[Vec, Vec, Value, list[Vec]]]:
    """As `_sweep`, over two operands; 0 outside the mask."""
    lanes = operands[0].lanes
    with writer.loop(0, count, lanes) as at:
        mask = writer.tail_mask(count - at, lanes)
        full = (at + lanes <= count).value
        yield at, mask, full, read_all(writer, operands, at, full, mask)


def softmax_cross_entropy_rows(
    x: Buffer, targets: Buffer, out: Buffer, *, threads: int, scratch: Scratch
) -> list[Row]:
    """Rows for ``-sum(t log(softmax(x)))`` over the last axis.

    Parameters
    ----------
    x, targets : Buffer
        Logits and targets of one shape and float dtype, any strides; targets need not sum to 1.
    out : Buffer
        The shape without the last axis.
    """
    return _loss_rows([x, targets, _with_last_axis(out)], None, threads, scratch)


def softmax_cross_entropy_gradient_rows(
    x: Buffer, targets: Buffer, grad: Buffer, out: Buffer, *, threads: int, scratch: Scratch
) -> list[Row]:
    """Rows for the gradient of `softmax_cross_entropy_rows` with respect to x.

    Parameters
    ----------
    x, targets, out : Buffer
        Of one shape; `out` must be other memory than the inputs.
    grad : Buffer
        Gradient of the losses, the shape without the last axis.
    """
    return _loss_rows([x, targets, _with_last_axis(grad)], out, threads, scratch)


def _loss_rows(buffers: list[Buffer], out: Buffer | None, threads: int, scratch: Scratch) -> list[Row]:
    axis = len(buffers[0].shape) - 1
    operands = buffers if out is None else [*buffers, out]
    if 0 in buffers[0].shape[:-1] or (out is not None and out.size == 0):
        return []
    if not buffers[0].shape[axis]:
        # Nothing is summed; a gradient would have been empty.
        nothing = Number(0.0, buffers[0].dtype.name)
        return elementwise_rows((), (0,), [nothing], buffers[2:], threads=threads, scratch=scratch)
    dtype = buffers[0].dtype.name
    accesses = tuple(row_access(b, axis)[1] for b in operands)
    strided = STRIDED in accesses
    lanes = natural_lanes([dtype], strided)
    make: Callable[..., Kernel] = _loss_kernel if out is None else _loss_gradient_kernel
    cost = 40.0 + buffers[0].shape[axis] * buffers[0].dtype.itemsize * (0.5 if strided else 0.15)
    return row_nest(make(dtype, accesses, lanes), operands, axis, cost, threads)


def _with_last_axis(buffer: Buffer) -> Buffer:
    return replace(buffer, shape=(*buffer.shape, 1), strides=(*buffer.strides, buffer.dtype.itemsize))


def softmax(x: np.ndarray, *, log: bool = False, axis: int = -1, threads: int | None = None) -> np.ndarray:
    """Softmax of a numpy array along an axis (`log`: its logarithm)."""
    out = np.empty_like(x)
    launch(softmax_rows, x, out, threads=threads, log=log, axis=axis)
    return out
