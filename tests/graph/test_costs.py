"""Every op's cost against loops that count, one operation after the other, on the op's own samples.

A counter is a generator: it yields once for every add, multiply, divide, comparison or function value.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from symgraph.graph.body import Body
from symgraph.graph.op import Op, Part, Sample, registered_ops
from symgraph.graph.operators import FAMILIES
from symgraph.graph.ops import (
    barrier,
    bits,
    collective,
    compare,
    cond,
    conv,
    conv_bias,
    create,
    csr,
    ctc,
    cumulative,
    custom_gradient,
    elementwise,
    floats,
    fused,
    gamma,
    host,
    index,
    logarithms,
    math,
    matmul,
    moments,
    nn,
    plane,
    pool,
    random,
    reduce,
    scan,
    scatter,
    shape,
    siblings,
    slicing,
    sort,
    until,
)
from symgraph.graph.ops.host_call import HostCall
from symgraph.graph.ops.linalg import diagonals
from symgraph.graph.tensor import topological
from symgraph.graph.types import TensorType
from tests.checkers import references

Shape = tuple[int, ...]
Counter = Callable[[Any, list[Shape], list[Shape]], Iterator[None]]
# Plain loops over more operations than this take too long.
_MOST = 100_000


def _elements(sizes: Shape) -> Iterator[tuple[int, ...]]:
    return itertools.product(*map(range, sizes))


def _nothing(op: Op, inputs: list[Shape], outputs: list[Shape]) -> Iterator[None]:
    return iter(())


def _each_result(op: Op, inputs: list[Shape], outputs: list[Shape]) -> Iterator[None]:
    for _ in _elements(outputs[0]):
        yield


def _each_input(op: Op, inputs: list[Shape], outputs: list[Shape]) -> Iterator[None]:
    for _ in _elements(inputs[0]):
        yield


def _scatter(op: Any, inputs: list[Shape], outputs: list[Shape]) -> Iterator[None]:
    for _ in _elements(inputs[2]):
        if op.how != "set":
            yield


def _reduction(op: Any, inputs: list[Shape], outputs: list[Shape]) -> Iterator[None]:
    """A running value for every group: the first element only starts it. A mean is divided at the end."""
    axes = op.axes if isinstance(op, reduce.Reduction) else (op.axis,)
    groups: set[tuple[int, ...]] = set()
    for place in _elements(inputs[0]):
        group = tuple(0 if axis in axes else i for axis, i in enumerate(place))
        if group in groups:
            yield
        groups.add(group)
    if isinstance(op, reduce.Mean):
        yield from _elements(outputs[0])


def _cumulative(op: Any, inputs: list[Shape], outputs: list[Shape]) -> Iterator[None]:
    for place in _elements(inputs[0]):
        if place[op.axis] > 0:
            yield


def _softmax(op: Any, inputs: list[Shape], outputs: list[Shape]) -> Iterator[None]:
    size = inputs[0][-1]
    for _ in _elements(inputs[0][:-1]):
        for _ in range(size - 1):  # the largest
            yield
        for _ in range(size):  # the difference from it, and its exponential
            yield
            yield
        for _ in range(size - 1):  # their sum
            yield
        if op.log and size:
            yield  # its logarithm
        for _ in range(size):  # taken off, or divided by
            yield


def _matmul(op: Any, inputs: list[Shape], outputs: list[Shape]) -> Iterator[None]:
    for _ in _elements(outputs[0]):
        for _ in range(inputs[0][-1]):
            yield
            yield
        yield from _epilogue(op, inputs)


def _csr_dot(op: Any, inputs: list[Shape], outputs: list[Shape]) -> Iterator[None]:
    """Every stored number times a line of the dense operand, added to a line of the result."""
    for _ in range(inputs[0][0]):
        for _ in range(inputs[3][1]):
            yield
            yield


def _epilogue(op: Any, inputs: list[Shape]) -> Iterator[None]:
    added = getattr(op, "added", False)
    for _ in op.steps or inputs[2 : len(inputs) - added]:
        yield
    if added:
        yield
    for _ in {"linear": (), "relu": ("held at 0",), "relu6": ("held at 0", "held at 6")}[op.activation]:
        yield


def _edge(op: Any, size: int, reach: int, axis: int) -> int:
    """Padding before the first pixel of an axis: TensorFlow's rule for 'same', the given one, or none."""
    if op.padding == "valid":
        return 0
    if op.padding != "same":
        return int(op.padding[axis][0])
    windows = -(-size // op.strides[axis])
    return max((windows - 1) * op.strides[axis] + reach - size, 0) // 2


def _pixels(op: Any, picture: Shape, window: Shape, counts: Shape) -> Iterator[Shape]:
    """(row of a window, column, tap row, tap column) for every tap that falls on a pixel."""
    steps = getattr(op, "dilation", (1, 1))
    edges = [_edge(op, picture[a], (window[a] - 1) * steps[a] + 1, a) for a in (0, 1)]
    for place in _elements((*counts, *window)):
        seen = [place[a] * op.strides[a] + place[2 + a] * steps[a] - edges[a] for a in (0, 1)]
        if all(0 <= s < n for s, n in zip(seen, picture, strict=True)):
            yield place


def _convolution(op: Any, x: Shape, w: Shape, y: Shape) -> Iterator[None]:
    """A multiply and an add for each picture, pixel under a tap, channel of the group, and filter."""
    for _ in _pixels(op, x[1:3], w[:2], y[1:3]):
        for _ in _elements((x[0], w[2], w[3])):
            yield
            yield


def _conv(op: Any, inputs: list[Shape], outputs: list[Shape]) -> Iterator[None]:
    yield from _convolution(op, inputs[0], inputs[1], outputs[0])
    for _ in _elements(outputs[0]):
        yield from _epilogue(op, inputs)


def _conv_input(op: Any, inputs: list[Shape], outputs: list[Shape]) -> Iterator[None]:
    yield from _convolution(op, outputs[0], inputs[1], inputs[0])
    if len(inputs) > 2:
        yield from _each_result(op, inputs, outputs)


def _conv_weight(op: Any, inputs: list[Shape], outputs: list[Shape]) -> Iterator[None]:
    return _convolution(op, inputs[0], outputs[0], inputs[1])


def _conv_weight_bias(op: Any, inputs: list[Shape], outputs: list[Shape]) -> Iterator[None]:
    yield from _conv_weight(op, inputs, outputs)
    yield from _elements(inputs[1])


def _max_pool(op: Any, inputs: list[Shape], outputs: list[Shape]) -> Iterator[None]:
    x, y = inputs[0], outputs[0]
    started: set[Shape] = set()
    for place in _pixels(op, x[1:3], op.pool, y[1:3]):
        if place[:2] in started:
            for _ in _elements((x[0], x[3])):
                yield
        started.add(place[:2])


def _average_pool(op: Any, inputs: list[Shape], outputs: list[Shape]) -> Iterator[None]:
    yield from _max_pool(op, inputs, outputs)
    yield from _each_result(op, inputs, outputs)


def _average_pool_gradient(op: Any, inputs: list[Shape], outputs: list[Shape]) -> Iterator[None]:
    yield from _each_input(op, inputs, outputs)
    for _ in _pixels(op, outputs[0][1:3], op.pool, inputs[0][1:3]):
        for _ in _elements((inputs[0][0], inputs[0][3])):
            yield


def _top_k(op: Any, inputs: list[Shape], outputs: list[Shape]) -> Iterator[None]:
    """k times the largest of those that are left."""
    for _ in _elements(inputs[0][:-1]):
        left = list(range(inputs[0][-1]))
        for _ in range(op.k):
            for _ in left[1:]:
                yield
            left.pop()


def _beam_search(op: Any, inputs: list[Shape], outputs: list[Shape]) -> Iterator[None]:
    """Every sequence of a full beam with every label but the blank after it, in every step."""
    samples, steps, classes = inputs[0]
    return _elements((samples, steps, op.width, classes - 1))  # type: ignore[return-value]


def _steps(op: Any, full: Shape) -> Iterator[None]:
    for step, arguments in op.steps:
        yield from COUNTERS[type(step)](step, [full] * len(arguments), [full])


def _fused(op: Any, inputs: list[Shape], outputs: list[Shape]) -> Iterator[None]:
    return _steps(op, outputs[0])


def _scan(op: Any, inputs: list[Shape], outputs: list[Shape]) -> Iterator[None]:
    """Each node of the body, in every step; the samples' sizes are all known."""
    for _ in range(op.length):
        yield from _body(op.body)


def _body(body: Body) -> Iterator[None]:
    for node in topological(body.results):
        if not node.op.leaf:
            shapes: list[Shape] = [value.shape for value in node.inputs]  # type: ignore[misc]
            yield from COUNTERS[type(node.op)](node.op, shapes, [node.shape])  # type: ignore[list-item]


def _until(op: Any, inputs: list[Shape], outputs: list[Shape]) -> Iterator[None]:
    """One turn."""
    return _body(op.body)


def _cond(op: Any, inputs: list[Shape], outputs: list[Shape]) -> Iterator[None]:
    """The longer side."""
    yield from max((list(_body(body)) for body in (op.then, op.otherwise)), key=len)


def _fused_reduction(op: Any, inputs: list[Shape], outputs: list[Shape]) -> Iterator[None]:
    full = np.broadcast_shapes(*inputs)
    yield from _steps(op, full)
    yield from _reduction(op.reduction, [full], outputs)


def _siblings(op: Any, inputs: list[Shape], outputs: list[Shape]) -> Iterator[None]:
    full = np.broadcast_shapes(*inputs)
    yield from _steps(op, full)
    for (reduction, _), out in zip(op.reductions, outputs, strict=True):
        yield from _reduction(reduction, [full], [out])


def _cross_entropy(op: Any, inputs: list[Shape], outputs: list[Shape]) -> Iterator[None]:
    """The largest, distances, powers and products with targets; three running sums; three steps a line."""
    for place in _elements(inputs[0]):
        yield from range(3 if place[-1] == 0 else 7)
        if place[-1] == 0:
            yield from range(3)


def _cross_entropy_gradient(op: Any, inputs: list[Shape], outputs: list[Shape]) -> Iterator[None]:
    """The largest, distances, powers; two running sums; a quotient a line; scaled, less targets, times g."""
    for place in _elements(inputs[0]):
        yield from range(5 if place[-1] == 0 else 8)
        if place[-1] == 0:
            yield


def _moments(op: Any, inputs: list[Shape], outputs: list[Shape]) -> Iterator[None]:
    """A difference, its square and two running sums; then for each group the two means and the variance."""
    for _ in _elements(inputs[0]):
        yield from range(4)
    for _ in _elements(outputs[0]):
        yield from range(5)


_E, _C, _M, _R = elementwise, compare, math, reduce
COUNTERS: dict[type[Op], Counter] = {
    **dict.fromkeys(
        [
            _E.Add, _E.Subtract, _E.Multiply, _E.Divide, _E.FloorDivide, _E.Mod, _E.Power, _E.Maximum,
            _E.Minimum, _C.Equal, _C.NotEqual, _C.Less, _C.LessEqual, _C.Greater, _C.GreaterEqual,
            _M.Negative, _M.Absolute, _M.Sign, _M.Exp, _M.Expm1, _M.Log, _M.Log1p, _M.Sqrt, _M.Rsqrt,
            _M.Square, _M.Reciprocal, _M.Sin, _M.Cos, _M.Tan, _M.Arcsin, _M.Arccos, _M.Arctan, _M.Sinh,
            _M.Cosh, _M.Tanh, _M.Sigmoid, _M.Softplus, _M.Erf, _M.Relu, _M.Floor, _M.Ceil, _M.Round,
            logarithms.Arccosh, logarithms.Arcsinh, logarithms.Arctanh, logarithms.Log2, logarithms.Log10,
            plane.Arctan2, plane.Hypot, floats.Copysign, floats.Nextafter, floats.Signbit, gamma.Digamma,
            gamma.Lgamma, _M.Trunc, _M.IsNan, _M.IsInf, random.RandomUniform, random.RandomNormal,
            random.RandomTruncatedNormal, random.RandomBernoulli,
        ],
        _each_result,
    ),
    **dict.fromkeys(
        [
            _R.Sum, _R.Mean, _R.Product, _R.Max, _R.MaxOrLowest, _R.Min, _R.ArgMax, _R.ArgMin,
            collective.OwnSum,
        ],
        _reduction,
    ),
    **dict.fromkeys([cumulative.CumSum, cumulative.CumProd], _cumulative),
    **dict.fromkeys([nn.Softmax, nn.LogSoftmax], _softmax),
    **dict.fromkeys([index.ScatterAdd, index.AddAlongAxis, pool.MaxPool2DGradient], _each_input),
    **dict.fromkeys([pool.MaxPool2D, pool.MaxPool2DWithIndex], _max_pool),
    scatter.Scatter: _scatter,
    matmul.MatMul: _matmul,
    csr.CsrDot: _csr_dot,
    csr.CsrToDense: _each_input,
    conv.Conv2D: _conv,
    conv.Conv2DInputGradient: _conv_input,
    conv.Conv2DWeightGradient: _conv_weight,
    conv_bias.Conv2DWeightBiasGradient: _conv_weight_bias,
    pool.AveragePool2D: _average_pool,
    pool.AveragePool2DGradient: _average_pool_gradient,
    sort.TopK: _top_k,
    ctc.CtcBeamSearch: _beam_search,
    fused.Fused: _fused,
    scan.Scan: _scan,
    until.Until: _until,
    cond.Cond: _cond,
    fused.FusedReduction: _fused_reduction,
    siblings.SiblingReductions: _siblings,
    moments.Moments: _moments,
    nn.SoftmaxCrossEntropy: _cross_entropy,
    nn.SoftmaxCrossEntropyGradient: _cross_entropy_gradient,
    # Logic, choices, conversions, moved and made elements are no arithmetic.
    **dict.fromkeys(
        [
            _C.LogicalAnd, _C.LogicalOr, _C.LogicalXor, _C.LogicalNot, _R.Any_, _R.All, _E.Where, _E.Cast,
            bits.BitwiseAnd, bits.BitwiseOr, bits.BitwiseXor, bits.BitwiseNot, bits.LeftShift,
            bits.RightShift, barrier.Identity, barrier.StopGradient, barrier.Bounded, barrier.Padded,
            shape.Reshape, shape.Transpose, shape.BroadcastTo, shape.Concatenate, slicing.Slice,
            slicing.Place,
            index.Gather, index.TakeAlongAxis, scatter.InRange, custom_gradient.CustomGradient,
            cond.Undefined, host.Watch, create.Arange, create.Eye, create.OneHot,
            diagonals.Diagonal, diagonals.OnDiagonal,
            # How many ranks add is not known to the graph.
            collective.SumOfRanks, collective.RowsOfRanks, collective.OwnNormal,
        ],
        _nothing,
    ),
}  # fmt: skip
OPS = [op for op in registered_ops() if not op.leaf and op is not Part]
# What numpy's libraries do is theirs: their flops are those of textbooks.
COUNTED = [op for op in OPS if not issubclass(op, HostCall)]


def _shapes(sample: Sample) -> tuple[list[Shape], list[Shape]]:
    return [a.shape for a in sample.inputs], [a.shape for a in references(sample)]


def test_families_are_complete() -> None:
    modules = {family.__name__ for family in FAMILIES}
    assert {op.__module__ for op in OPS} <= modules


@pytest.mark.parametrize("op", COUNTED, ids=lambda op: op.__name__)
def test_flops_are_what_a_loop_counts(op: type[Op]) -> None:
    counted = 0
    for sample in op.samples(np.random.default_rng(0)):
        inputs, outputs = _shapes(sample)
        flops = sample.op.flops(inputs, outputs)
        if flops > _MOST:
            continue
        counted += 1
        loop = sum(1 for _ in COUNTERS[op](sample.op, inputs, outputs))
        assert flops == loop, f"{sample.op} on {inputs}: {flops} by formula, {loop} counted"
    assert counted


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.__name__)
def test_bytes_are_those_of_operands_and_results(op: type[Op]) -> None:
    for sample in op.samples(np.random.default_rng(0)):
        arrays, results = sample.inputs, references(sample)
        expected = sum(a.nbytes for a in (*arrays, *results))
        if op.aliases:
            expected = 0
        elif op in (index.Gather, index.TakeAlongAxis):
            # Only what is picked of a large table is read.
            expected = 2 * results[0].nbytes + arrays[1].nbytes
        kinds = [[TensorType(a.dtype.name, a.shape) for a in given] for given in (arrays, results)]
        assert sample.op.bytes(*kinds) == expected, sample.op


def test_leaves_cost_nothing() -> None:
    leaves = [op for op in registered_ops() if op.leaf]
    assert leaves
    for op in leaves:
        assert op.flops is Op.flops
        assert op.bytes is Op.bytes
