"""The bias gradient joins the weight gradient of its convolution, and only there."""

from __future__ import annotations

from collections import Counter

import numpy as np

from symgraph.compiler.function import Function
from symgraph.graph.gradient import gradients
from symgraph.graph.leaves import placeholder
from symgraph.graph.ops import conv, math, reduce
from symgraph.graph.tensor import Tensor, topological
from symgraph.passes.biases import bias_gradients
from symgraph.passes.merge import merge
from tests.checkers import check_pass

RNG = np.random.default_rng(0)


def ops(roots: list[Tensor]) -> list[str]:
    return [str(node.op) for node in topological(roots)]


def network(groups: int = 1) -> tuple[list[Tensor], dict[Tensor, np.ndarray]]:
    """Gradients of two convolutions' kernels and biases, in both orders."""
    shapes = [(2, 8, 7, 4), (3, 3, 4 // groups, 4), (4,), (3, 3, 4 // groups, 8), (8,)]
    x, v, a, w, b = (placeholder(shape, dtype="float64") for shape in shapes)
    hidden = math.relu(conv.conv2d(x, v, groups=groups) + a)
    y = math.tanh(conv.conv2d(hidden, w, groups=groups) + b)
    flows = gradients(reduce.sum(math.square(y)), [b, w, v, a])
    values = [RNG.standard_normal(shape) for shape in shapes]
    return [flow for flow in flows if flow is not None], dict(zip([x, v, a, w, b], values, strict=True))


def test_sums_join_weight_gradients() -> None:
    roots, feeds = network()
    after = check_pass(roots, feeds, (merge, bias_gradients))
    assert ops(after).count("conv2d_weight_bias_gradient") == 2
    assert not [op for op in ops(after) if op in ("sum[0,1,2]", "conv2d_weight_gradient")]
    whole = ops(check_pass(roots, feeds))
    assert whole.count("conv2d_weight_bias_gradient") == 2
    assert not [op for op in whole if "sum[0,1,2]" in op]


def test_hits_are_counted() -> None:
    hits: Counter[str] = Counter()
    bias_gradients(network()[0], hits)
    assert hits["bias_gradients"] == 2


def test_groups_and_other_sums_stay() -> None:
    roots, feeds = network(groups=2)
    assert "conv2d_weight_bias_gradient" not in ops(check_pass(roots, feeds, (merge, bias_gradients)))
    x, g = placeholder((2, 5, 5, 3), dtype="float64"), placeholder((2, 3, 3, 4), dtype="float64")
    feeds = {x: RNG.standard_normal((2, 5, 5, 3)), g: RNG.standard_normal((2, 3, 3, 4))}
    weights = conv.Conv2DWeightGradient(height=3, width=3)(x, g)
    for other in (
        reduce.sum(g, (0, 1)),
        reduce.sum(g, (0, 1, 2), keepdims=True),
        reduce.sum(g * 2.0, (0, 1, 2)),
    ):
        after = check_pass([weights, other], feeds, (bias_gradients,))
        assert "conv2d_weight_gradient" in ops(after)


def test_pictures_made_from_the_sum_do_not_wait_for_themselves() -> None:
    x, g = placeholder((2, 5, 5, 4), dtype="float64"), placeholder((2, 3, 3, 4), dtype="float64")
    total = reduce.sum(g, (0, 1, 2))
    weights = conv.Conv2DWeightGradient(height=3, width=3)(x * total, g)
    feeds = {x: RNG.standard_normal((2, 5, 5, 4)), g: RNG.standard_normal((2, 3, 3, 4))}
    after = check_pass([total, weights], feeds, (bias_gradients,))
    assert "conv2d_weight_bias_gradient" not in ops(after)


def test_compiled_gradients_of_large_batches() -> None:
    """Large enough to be done slice by slice, whose sums are added up."""
    shapes = [(64, 30, 30, 8), (3, 3, 8, 16), (16,), (3, 3, 16, 24), (24,)]
    values = [RNG.standard_normal(shape).astype(np.float32) for shape in shapes]
    x, v, a, w, b = (placeholder(shape) for shape in shapes)
    y = conv.conv2d(math.relu(conv.conv2d(x, v) + a), w) + b
    flows = [flow for flow in gradients(reduce.sum(math.square(y)) * 1e-3, [v, a, w, b]) if flow is not None]
    function = Function([x, v, a, w, b], flows)
    assert ops(list(function.lowered().outputs)).count("conv2d_weight_bias_gradient") == 2
    wide = [placeholder(shape, dtype="float64") for shape in shapes]
    y = conv.conv2d(math.relu(conv.conv2d(wide[0], wide[1]) + wide[2]), wide[3]) + wide[4]
    flows = [flow for flow in gradients(reduce.sum(math.square(y)) * 1e-3, wide[1:]) if flow is not None]
    expected = Function(wide, flows)(*(value.astype(np.float64) for value in values))
    for got, truth in zip(function(*values), expected, strict=True):
        assert np.linalg.norm(got - truth) <= 1e-5 * np.linalg.norm(truth)
