"""What the passes make of loops."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from symgraph.compiler.function import Function
from symgraph.graph.body import Body
from symgraph.graph.evaluate import evaluate
from symgraph.graph.gradient import gradients
from symgraph.graph.leaves import Variable, placeholder
from symgraph.graph.op import Part
from symgraph.graph.ops.create import ones, zeros
from symgraph.graph.ops.elementwise import Elementwise
from symgraph.graph.ops.math import sigmoid, tanh
from symgraph.graph.ops.matmul import MatMul, matmul
from symgraph.graph.ops.reduce import sum as sum_
from symgraph.graph.ops.scan import Scan, scan
from symgraph.graph.ops.shape import Concatenate, concatenate
from symgraph.graph.ops.slicing import Place, Slice
from symgraph.graph.tensor import Tensor, topological
from symgraph.passes.pipeline import run_passes
from symgraph.passes.slices import slice_first


def _loops(roots: list[Tensor]) -> list[Scan]:
    return [n.op for n in topological(roots) if isinstance(n.op, Scan)]


def _lstm(x: Tensor, units: int, factor: float = 1.0) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Outputs, last output and weights of an LSTM over [T, B, C]."""
    rng = np.random.default_rng(0)
    shapes = [(x.shape[2], 4 * units), (units, 4 * units), (4 * units,)]
    w, u, b = (Variable(rng.standard_normal(s) * 0.3) for s in shapes)

    def step(values: list[Tensor], states: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        h, c = states
        z = matmul(values[0] * factor, w) + matmul(h, u) + b
        i, f, g, o = (z[:, k * units : (k + 1) * units] for k in range(4))
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)
        return [h], [h, c]

    start = matmul(x[0] * 0.0, w)[:, :units]
    (outputs,), (hidden, _) = scan(step, [x], [start, start])
    return outputs, hidden[hidden.shape[0] - 1], [w, u, b]


def test_a_training_step_is_two_loops() -> None:
    x = placeholder((None, 3, 4), dtype="float64")
    outputs, last, weights = _lstm(x, 5)
    loss = sum_(outputs * outputs) + sum_(last)
    grads = [g for g in gradients(loss, [x, *weights]) if g is not None]
    roots, records = run_passes([loss, *grads], checked=True)
    loops = _loops(roots)
    assert len(loops) == 2 and {op.backward for op in loops} == {False, True}
    hits = next(r.hits for r in records if r.name == "scans")
    assert hits["loops united"] == 1 and hits["products before the loop"] == 1
    for op in loops:
        inner = topological(op.body.results)
        products = [n for n in inner if isinstance(n.op, MatMul)]
        # h @ u forward, and the one with its transpose on the way back.
        assert len(products) == 1
        assert not any(isinstance(n.op, Place) for n in inner)
    value = np.random.default_rng(1).standard_normal((6, 3, 4))
    wanted = evaluate([loss, *grads], {x: value})
    for found, truth in zip(Function([x], [loss, *grads])(value), wanted, strict=True):
        np.testing.assert_allclose(found, truth, rtol=1e-10, atol=1e-12)


def test_prediction_keeps_no_history() -> None:
    x = placeholder((None, 3, 4), dtype="float64")
    _, last, _ = _lstm(x, 5, 2.0)
    (root,), records = run_passes([last], checked=True)
    hits = next(r.hits for r in records if r.name == "scans")
    assert hits["products before the loop"] == 1
    (op,) = _loops([root])
    assert op.outputs == 0 and op.kept == (False, False)
    value = np.random.default_rng(1).standard_normal((6, 3, 4))
    (wanted,) = evaluate([last], {x: value})
    np.testing.assert_allclose(Function([x], [last])(value)[0], wanted, rtol=1e-12)


@pytest.mark.parametrize("backward", [False, True])
def test_the_last_value_may_be_cut_and_turned_round(backward: bool) -> None:
    x = placeholder((None, 4), dtype="float64")
    _, (history,) = scan(lambda v, s: ([], [v[0] + s[0]]), [x], [zeros((4,), "float64")], backward=backward)
    place = 0 if backward else history.shape[0] - 1
    roots = [history[place : place + 1, ::-1], history[place : place + 1, 1:3], history[place, ::2]]
    (op,) = _loops(run_passes(roots, checked=True)[0])
    assert op.kept == (False,)
    for value in (np.arange(12.0).reshape(3, 4), np.zeros((0, 4))):
        total = value.sum(axis=0)
        for found, truth in zip(
            Function([x], roots)(value), [total[None, ::-1], total[None, 1:3], total[::2]], strict=True
        ):
            np.testing.assert_array_equal(found, truth)


def test_constants_are_folded_inside() -> None:
    x = placeholder((None, 3), dtype="float64")
    one = ones((3,), "float64")
    (y,), _ = scan(lambda v, s: ([v[0] * one + s[0]], [s[0] + one]), [x], [x[0] * 0.0])
    (root,), _ = run_passes([y], checked=True)
    (op,) = _loops([root])
    assert len(op.body.inputs) == 2
    (found,) = Function([x], [y])(np.full((4, 3), 2.0))
    np.testing.assert_array_equal(found, np.full((4, 3), 2.0) + np.arange(4)[:, None])


def test_unread_outputs_are_not_made() -> None:
    x = placeholder((5, 3), dtype="float64")
    (_, kept), _ = scan(lambda v, s: ([tanh(v[0]), v[0] * 2], []), [x], [])
    (root,), _ = run_passes([kept], checked=True)
    (op,) = _loops([root])
    assert op.outputs == 1
    parts = [n for n in topological([root]) if isinstance(n.op, Part)]
    assert [p.op.index for p in parts] == [0]
    value = np.random.default_rng(0).standard_normal((5, 3))
    np.testing.assert_array_equal(Function([x], [kept])(value)[0], value * 2)


def test_gradients_of_slices_that_fill_a_tensor_are_one_concatenation() -> None:
    x = placeholder((None, 7), dtype="float64")
    a, b, c = x[:, :2], x[:, 2:5], x[:, 5:]
    (grad,) = gradients(sum_(tanh(a)) + sum_(b * b) + sum_(sigmoid(c)), [x])
    assert grad is not None
    (root,), _ = run_passes([grad], checked=True)
    assert sum(isinstance(n.op, Concatenate) for n in topological([root])) == 1
    assert not any(isinstance(n.op, Place) for n in topological([root]))
    value = np.random.default_rng(0).standard_normal((3, 7))
    wanted = concatenate([1 - tanh(a) * tanh(a), 2 * b, sigmoid(c) * (1 - sigmoid(c))], 1)
    np.testing.assert_allclose(Function([x], [grad])(value)[0], evaluate([wanted], {x: value})[0], rtol=1e-12)
    gap, _ = run_passes([g for g in gradients(sum_(a * a) + sum_(c * c), [x]) if g is not None])
    np.testing.assert_allclose(evaluate(gap, {x: value})[0][:, 2:5], 0)


def test_results_that_are_elsewhere_are_read_there() -> None:
    x = placeholder((None, 3, 4), dtype="float64")
    for backward in (False, True):

        def step(values: list[Tensor], states: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            new = tanh(states[0]) + values[0]
            return [new, states[0], values[0], new * 2.0, new * 2.0], [new]

        outputs, (history,) = scan(step, [x], [x[0]], backward=backward)
        roots, records = run_passes([*outputs, history], checked=True)
        (op,) = _loops(roots)
        assert op.outputs == 1 and op.kept == (True,)
        assert next(r.hits for r in records if r.name == "scans")["results shared"] == 4
        value = np.random.default_rng(1).standard_normal((6, 3, 4))
        wanted = evaluate([*outputs, history], {x: value})
        for found, truth in zip(Function([x], [*outputs, history])(value), wanted, strict=True):
            np.testing.assert_allclose(found, truth, rtol=1e-13)


def test_a_state_without_history_is_no_output() -> None:
    x = placeholder((None, 3, 4), dtype="float64")
    inner = placeholder((3, 4), dtype="float64"), placeholder((3, 4), dtype="float64")
    new = inner[0] + inner[1]
    whole = Scan(Body(inner, (new, new)), 1, (False,), x.shape[0])(x, x[0])
    roots, _ = run_passes([Part(0)(whole), Part(1)(whole)], checked=True)
    (op,) = _loops(roots)
    assert op.outputs == 1 and op.kept == (False,)


def test_slices_of_gates_come_first() -> None:
    x, y = placeholder((3, 8), dtype="float64"), placeholder((8,), dtype="float64")
    hits: Counter[str] = Counter()
    z = sigmoid(x * y)
    whole = [tanh(z[:, :4]), z[:, 4:6] * 2.0]
    rewritten = slice_first(whole, hits)
    assert hits["sliced before"] == 2
    for node in topological(rewritten):
        assert not (isinstance(node.op, Slice) and isinstance(node.inputs[0].op, Elementwise))
    feed = {x: np.random.default_rng(0).standard_normal((3, 8)), y: np.arange(8.0)}
    for found, wanted in zip(evaluate(rewritten, feed), evaluate(whole, feed), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_slices_stay_where_elements_are_needed_twice() -> None:
    x = placeholder((3, 8), dtype="float64")
    z = sigmoid(x)
    for roots in ([z[:, :5], z[:, 4:]], [z[:, :5], z], [z[:2]], [z[:, ::2]], [z[:, :5], tanh(z)]):
        hits: Counter[str] = Counter()
        assert slice_first(roots, hits) == roots and not hits
