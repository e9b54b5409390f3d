"""Single kernels of symgraph: the rows that one op asks for, run by the machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.cases import Case, every_case
from symgraph.compiler.function import Function
from symgraph.graph.leaves import Variable, constant, placeholder
from symgraph.graph.op import Op
from symgraph.graph.ops import conv, elementwise, fused, math, matmul, nn, pool
from symgraph.kernels.run.buffer import Buffer, contiguous_strides
from symgraph.kernels.run.machine import Lease, Table


def make(number: str, threads: int) -> Callable[[], object]:
    """Case `number` as a call: the kernel alone, from inputs to a result that is written over each time."""
    case = every_case()[int(number)]
    if case.kind == "update":
        return _update(case)
    if case.kind == "product":
        return _product(case)
    op, shapes = _op(case)
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape, dtype=np.float32) for shape in shapes]
    return _runner(op, arrays, threads)


def _update(case: Case) -> Callable[[], object]:
    rng = np.random.default_rng(0)
    x, moment, grad = (Variable(rng.standard_normal(case.shape, dtype=np.float32)) for _ in range(3))
    new = moment * 0.9 + grad * 0.1
    return Function([], [], updates=[(moment, new), (x, x - 0.01 * new)])


def _product(case: Case) -> Callable[[], object]:
    """Through a Function: arrays are fed, and the result is a new one."""
    m, k, n = case.shape
    a, b = placeholder((m, k)), placeholder((k, n))
    call = Function([a, b], a @ b)
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape, dtype=np.float32) for shape in ((m, k), (k, n))]
    return lambda: call(*arrays)


def _op(case: Case) -> tuple[Op, list[tuple[int, ...]]]:
    """The op of a case, and the shapes of its inputs."""
    if case.kind == "matmul":
        m, k, n = case.shape
        return matmul.MatMul(), [(m, k), (k, n)]
    if case.kind == "elementwise":
        # tanh(2 x + 1) x, with 1 as an input.
        steps: tuple[fused.FusedStep, ...] = (
            (elementwise.Add(), (0, 0)), (elementwise.Add(), (2, 1)), (math.Tanh(), (3,)),
            (elementwise.Multiply(), (4, 0)),
        )  # fmt: skip
        return fused.Fused(steps, (5,)), [case.shape, (1,)]
    if case.kind == "softmax":
        return nn.Softmax(), [case.shape]
    if case.kind == "max_pool":
        return pool.MaxPool2D((case.size, case.size), (case.stride, case.stride)), [case.shape]
    return _convolution(case)


def _convolution(case: Case) -> tuple[Op, list[tuple[int, ...]]]:
    channels = case.shape[3]
    groups = channels if case.kind == "depthwise" else 1
    weights = (case.size, case.size, channels // groups, case.filters or channels)
    options: Any = ((case.stride, case.stride), ((case.padding,) * 2,) * 2, (1, 1), groups)
    forward = conv.Conv2D(*options)
    if case.kind in ("conv", "depthwise"):
        return forward, [case.shape, weights]
    kinds = (constant(np.zeros(shape, np.float32)).tensor_type for shape in (case.shape, weights))
    grad = tuple(int(d) for d in forward.infer(*kinds).shape)  # type: ignore[call-overload]
    if case.kind == "conv_input":
        return conv.Conv2DInputGradient(*options, case.shape[1], case.shape[2]), [grad, weights]
    return conv.Conv2DWeightGradient(*options, case.size, case.size), [case.shape, grad]


def _runner(op: Op, arrays: Sequence[np.ndarray], threads: int) -> Callable[[], object]:
    """The op's rows on `arrays`, a result and scratch of their own."""
    kinds = (constant(array).tensor_type for array in arrays)
    sizes = tuple(int(d) for d in op.infer(*kinds).shape)  # type: ignore[call-overload, union-attr]
    held = [*arrays, np.zeros(sizes, np.float32)]

    def buffer(number: int) -> Buffer:
        array = held[number]
        strides = contiguous_strides(array.shape, array.itemsize)
        return Buffer(number, 0, array.shape, strides, array.dtype)

    def scratch(shape: Sequence[int], dtype: np.dtype | type | str) -> Buffer:
        held.append(np.zeros(shape, dtype))
        return buffer(len(held) - 1)

    inputs = [buffer(i) for i in range(len(arrays))]
    rows = op.rows(inputs, [buffer(len(arrays))], threads=threads, scratch=scratch)
    lease = Lease(Table(rows, threads), len(held))
    lease.bases[:] = [array.ctypes.data for array in held]
    return lambda: (lease.run(), held)
