"""Passes that spare walks over memory: shared sums, one walk for several, cheap values computed again."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.compiler.lower import lower
from symgraph.graph.evaluate import evaluate
from symgraph.graph.gradient import gradients
from symgraph.graph.leaves import Variable, constant, placeholder
from symgraph.graph.ops import elementwise, math, matmul, reduce
from symgraph.graph.ops.moments import Moments
from symgraph.graph.ops.siblings import SiblingReductions
from symgraph.graph.tensor import Tensor, topological
from symgraph.passes.flows import drop_dead_flows
from symgraph.passes.fuse import fuse
from symgraph.passes.pipeline import run_passes
from symgraph.passes.siblings import join_siblings
from tests.checkers import check_pass

RNG = np.random.default_rng(0)
FULL = (5, 4, 3)


def ops(roots: list[Tensor]) -> list[str]:
    return [str(n.op) for n in topological(roots) if not n.op.leaf]


def test_sums_of_a_common_tensor_are_one_walk() -> None:
    g, x = (placeholder(FULL, dtype="float64") for _ in range(2))
    m = placeholder((3,), dtype="float64")
    sums = [reduce.sum(g, (0, 1)), reduce.sum(g * (x - m), (0, 1)), reduce.max(x, (0, 1), True)]
    data = {g: RNG.standard_normal(FULL), x: RNG.standard_normal(FULL), m: RNG.standard_normal(3)}
    out = check_pass([s * 2.0 for s in sums], data, (fuse, join_siblings))
    found = [n for n in topological(out) if isinstance(n.op, SiblingReductions)]
    # The last one shares x with the second only, which the family has by then.
    assert len(found) == 1
    assert len(found[0].inputs) == 3
    assert not any(isinstance(n.op, reduce.Reduction) for n in topological(out))


def test_sums_that_depend_on_each_other_stay_apart() -> None:
    x = placeholder((None, 3), dtype="float64")
    mean = reduce.mean(x, 0)
    spread = reduce.mean(math.square(x - mean), 0)
    out = check_pass([mean + spread], {x: RNG.standard_normal((6, 3))}, (fuse, join_siblings))
    assert not any(isinstance(n.op, SiblingReductions) for n in topological(out))


def test_no_cycle_by_way_of_joined_nodes() -> None:
    """a1 -> b2 and b1 -> a2: either pair may be joined, not both."""
    a, b = (placeholder((None, 3), dtype="float64") for _ in range(2))
    a1, b1 = reduce.sum(a, 0), reduce.sum(b, 0)
    a2, b2 = reduce.max(a * b1, 0), reduce.max(b * a1, 0)
    data = {a: RNG.standard_normal((6, 3)), b: RNG.standard_normal((6, 3))}
    out = check_pass([a2 + b2], data, (fuse, join_siblings))
    assert sum(isinstance(n.op, SiblingReductions) for n in topological(out)) == 1


def test_sums_over_other_axes_or_tensors_stay_apart() -> None:
    x, y = (placeholder((4, 4), dtype="float64") for _ in range(2))
    out, _ = run_passes([reduce.sum(x, 0) + reduce.sum(x, 1) + reduce.sum(y, 0)], checked=True)
    assert not any(isinstance(n.op, SiblingReductions) for n in topological(out))


def test_a_cheap_value_is_computed_again_where_that_moves_less() -> None:
    x, g = (placeholder(FULL, dtype="float64") for _ in range(2))
    m = placeholder((3,), dtype="float64")
    distance = x - m
    total = reduce.sum(distance * g, (0, 1))
    out = check_pass(
        [distance * total + g],
        {x: RNG.standard_normal(FULL), g: RNG.standard_normal(FULL), m: RNG.standard_normal(3)},
        (fuse,),
    )
    assert ops(out) == ["fused[sub+mul>sum[0,1]]", "fused[sub+mul+add]"]


def test_a_dear_value_is_stored() -> None:
    x = placeholder((None, 4, 3), dtype="float64")
    power = math.exp(x)
    out = check_pass([power / reduce.sum(power * 2.0, (0, 1))], {x: RNG.standard_normal(FULL)}, (fuse,))
    assert ops(out) == ["exp", "fused[mul>sum[0,1]]", "divide"]


def test_a_result_of_the_graph_is_stored_once() -> None:
    x, m = placeholder((None, 3), dtype="float64"), placeholder((3,), dtype="float64")
    distance = x - m
    roots = [distance, reduce.sum(distance * 3.0, 0), distance * reduce.sum(distance * 2.0, 0)]
    out = check_pass(roots, {x: RNG.standard_normal((5, 3)), m: RNG.standard_normal(3)}, (fuse,))
    assert sum("sub" in str(n.op) for n in topological(out)) == 1


def test_a_branch_that_is_not_taken_sends_nothing_back() -> None:
    x = placeholder((None, 3), dtype="float64")
    w, v = (Variable(np.ones((3, 3)), dtype="float64") for _ in range(2))
    flag = placeholder((), dtype="bool")
    y = elementwise.where(flag, matmul.matmul(x, w), math.exp(matmul.matmul(x, v) * 1e4))
    found = gradients(reduce.sum(y), [x, w, v])
    for taken in (True, False):
        fixed = lower([x], [g for g in found if g is not None], [], {flag: constant(np.bool_(taken))})
        values = evaluate(fixed.outputs, {fixed.inputs[0]: np.zeros((2, 3)) + 1e-4})
        dead = values[2] if taken else values[1]
        assert not dead.any()
        expected = np.full((2, 3), 3.0) if taken else np.full((2, 3), 3e4 * np.exp(3.0))
        np.testing.assert_allclose(values[0], expected, rtol=1e-12)
    # Infinite derivatives of the branch that is not taken do not matter.
    fixed = lower([x], [g for g in found if g is not None], [], {flag: constant(np.bool_(True))})
    values = evaluate(fixed.outputs, {fixed.inputs[0]: np.full((2, 3), 1e6)})
    np.testing.assert_array_equal(values[0], np.full((2, 3), 3.0))


def test_flows_by_data_stay() -> None:
    x = placeholder((None, 3), dtype="float64")
    y = elementwise.where(x > 0, x, 0.0) * x + x
    hits: Counter[str] = Counter()
    drop_dead_flows([y], hits)
    assert not hits


@pytest.mark.parametrize("axis", [-1, 1])
def test_batch_normalization_in_training_walks_over_memory_three_and_four_times(axis: int) -> None:
    """Forward: moments, then one sweep. Backward: all sums in one walk, then one sweep."""
    x = placeholder((3, 6, 5, 4), dtype="float64")
    width = x.shape[axis]
    assert isinstance(width, int)
    gamma, beta = (Variable(RNG.standard_normal(width), dtype="float64") for _ in range(2))
    axes = [a for a in range(4) if a != axis % 4]
    y, mean, variance = K.normalize_batch_in_training(x, gamma, beta, axes)
    weight = constant(RNG.standard_normal((3, 6, 5, 4)))
    loss = reduce.sum(K.relu(y) * weight)
    roots = [y, mean, variance, *[g for g in gradients(loss, [x, gamma, beta]) if g is not None]]
    data = RNG.standard_normal((3, 6, 5, 4))
    before = evaluate(roots, {x: data})
    rewritten, _ = run_passes(roots, checked=True)
    for value, wanted in zip(evaluate(rewritten, {x: data}), before, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-11, atol=1e-12)
    nodes = topological(rewritten)
    assert sum(isinstance(n.op, Moments) for n in nodes) == 1
    walks = [n for n in nodes if any(i is x for i in n.inputs)]
    kinds = sorted(type(n.op).__name__ for n in walks)
    assert kinds == ["Fused", "Fused", "Moments", "SiblingReductions"], kinds
    assert not any(isinstance(n.op, reduce.Sum) and n.inputs[0].ndim == 4 for n in nodes)


def test_gradients_of_batch_normalization_are_finite_differences() -> None:
    x = placeholder((4, 3, 2), dtype="float64")
    gamma, beta = (placeholder((2,), dtype="float64") for _ in range(2))
    y, _, variance = K.normalize_batch_in_training(x, gamma, beta, [0, 1])
    weight = RNG.standard_normal((4, 3, 2))
    loss = reduce.sum(math.tanh(y) * constant(weight)) + reduce.sum(variance)
    point = {x: RNG.standard_normal((4, 3, 2)), gamma: RNG.standard_normal(2), beta: RNG.standard_normal(2)}
    found = [g for g in gradients(loss, [x, gamma, beta]) if g is not None]
    rewritten, _ = run_passes([loss, *found], checked=True)
    _, *slopes = evaluate(rewritten, point)
    for tensor, slope in zip(point, slopes, strict=True):
        direction = RNG.standard_normal(slope.shape)

        def at(step: float, tensor: Tensor = tensor, direction: np.ndarray = direction) -> float:
            return float(evaluate([rewritten[0]], point | {tensor: point[tensor] + step * direction})[0])

        h = 1e-4
        measured = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
        assert abs(float(np.sum(slope * direction)) - measured) < 1e-8
