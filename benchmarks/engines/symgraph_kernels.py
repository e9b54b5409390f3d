"""Single kernels of symgraph, each compiled as a Function of one op."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.cases import cases
from symgraph.compiler.function import Function
from symgraph.graph.leaves import Variable
from symgraph.graph.ops import conv, math, matmul, nn, pool
from symgraph.graph.tensor import Tensor


def make(number: str, threads: int) -> Callable[[], object]:
    """Case `number` as a call.

    Inputs are variables and the result stays in the arena: no copies are timed.
    """
    case = cases()[int(number)]
    rng = np.random.default_rng(0)

    def variable(*shape: int) -> Variable:
        return Variable(rng.standard_normal(shape, dtype=np.float32))

    def keep(value: Tensor) -> Function:
        sizes = tuple(int(d) for d in value.shape)  # type: ignore[call-overload]
        return Function([], [], updates=[(Variable(np.zeros(sizes, np.float32)), value)])

    if case.kind == "matmul":
        m, k, n = case.shape
        return keep(matmul.matmul(variable(m, k), variable(k, n)))
    x = variable(*case.shape)
    if case.kind in ("softmax", "elementwise", "max_pool"):
        builders: dict[str, Any] = {
            "softmax": lambda: nn.softmax(x),
            "elementwise": lambda: math.tanh(x * 2.0 + 1.0) * x,
            "max_pool": lambda: pool.max_pool2d(x, (case.size, case.size), (case.stride, case.stride)),
        }
        return keep(builders[case.kind]())
    if case.kind == "update":
        moment, grad = variable(*case.shape), variable(*case.shape)
        new = moment * 0.9 + grad * 0.1
        return Function([], [], updates=[(moment, new), (x, x - 0.01 * new)])
    return keep(_convolution(case, x, variable))


def _convolution(case: Any, x: Variable, variable: Callable[..., Variable]) -> Tensor:
    channels = case.shape[3]
    groups = channels if case.kind == "depthwise" else 1
    w = variable(case.size, case.size, channels // groups, case.filters or channels)
    strides, padding = (case.stride, case.stride), ((case.padding,) * 2,) * 2
    if case.kind in ("conv", "depthwise"):
        return conv.Conv2D(strides, padding, (1, 1), groups)(x, w)
    sizes = conv.Conv2D(strides, padding)(x, w).shape
    grad = variable(*(int(d) for d in sizes))  # type: ignore[call-overload]
    if case.kind == "conv_input":
        return conv.Conv2DInputGradient(strides, padding, height=case.shape[1], width=case.shape[2])(grad, w)
    return conv.Conv2DWeightGradient(strides, padding, height=case.size, width=case.size)(x, grad)
