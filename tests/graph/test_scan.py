"""Loops in the graph against numpy loops, and their gradients against finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.compiler.function import Function
from symgraph.graph.gradient import gradients
from symgraph.graph.leaves import Variable, placeholder
from symgraph.graph.ops.math import sigmoid, tanh
from symgraph.graph.ops.matmul import matmul
from symgraph.graph.ops.reduce import sum as sum_
from symgraph.graph.ops.scan import Scan, scan
from symgraph.graph.tensor import Tensor, topological


def _run(inputs: list[Tensor], outputs: list[Tensor], *feeds: Any) -> list[np.ndarray]:
    return Function(inputs, outputs)(*feeds)


def test_a_step_may_use_any_tensor_around_it() -> None:
    rng = np.random.default_rng(0)
    x, scale = placeholder((None, 2, 3), dtype="float64"), placeholder((3,), dtype="float64")
    w = Variable(rng.standard_normal((3, 3)))
    bent = tanh(scale) * 2

    def step(values: list[Tensor], states: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        new = matmul(states[0], w) * bent + values[0]
        return [new + 1, bent], [new]

    (plus, same), (history,) = scan(step, [x], [x[0] * 0])
    feeds = rng.standard_normal((5, 2, 3)), rng.standard_normal(3)
    for count in (5, 1, 0):
        given = feeds[0][:count]
        if not count:
            continue
        found = _run([x, scale], [plus, same, history], given, feeds[1])
        h = np.zeros((2, 3))
        states = [h]
        for step_x in given:
            h = h @ w.get_value() * (np.tanh(feeds[1]) * 2) + step_x
            states.append(h)
        np.testing.assert_allclose(found[2], states, rtol=1e-12)
        np.testing.assert_allclose(found[0], np.array(states[1:]) + 1, rtol=1e-12)
        np.testing.assert_allclose(found[1], [np.tanh(feeds[1]) * 2] * count, rtol=1e-12)


def test_states_may_change_places() -> None:
    start = placeholder((2,), dtype="float64")
    _, (a, b) = scan(lambda _, s: ([], [s[1], s[0] + s[1]]), [], [start, start * 2], length=7)
    found = _run([start], [a, b], [1.0, 10.0])
    one, two = np.array([1.0, 10.0]), np.array([2.0, 20.0])
    wanted = [(one, two)]
    for _ in range(7):
        one, two = two, one + two
        wanted.append((one, two))
    np.testing.assert_array_equal(found[0], [w[0] for w in wanted])
    np.testing.assert_array_equal(found[1], [w[1] for w in wanted])


def test_a_loop_in_a_loop() -> None:
    x = placeholder((None, None, 2), dtype="float64")

    def outer(values: list[Tensor], states: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        row = values[0]
        _, (inner,) = scan(lambda v, s: ([], [s[0] * 0.5 + v[0] * states[0]]), [row], [states[0]])
        return [inner], [inner[inner.shape[0] - 1]]

    (steps,), (history,) = scan(outer, [x], [x[0, 0] * 0 + 1.0])
    value = np.random.default_rng(3).standard_normal((3, 4, 2))
    found = _run([x], [steps, history], value)
    state = np.ones(2)
    for i in range(3):
        inner = state
        assert np.allclose(found[0][i, 0], inner)
        for j in range(4):
            inner = inner * 0.5 + value[i, j] * state
            np.testing.assert_allclose(found[0][i, j + 1], inner, rtol=1e-12)
        state = inner
    np.testing.assert_allclose(found[1][-1], state, rtol=1e-12)
    loss = sum_(history * history)
    (grad,) = gradients(loss, [x])
    _check_gradient(Function([x], [loss, grad]), value)


def _check_gradient(function: Function, value: np.ndarray, *rest: np.ndarray) -> None:
    """The gradient with respect to the first input against central differences."""
    _, grad = function(value, *rest)
    rng = np.random.default_rng(7)
    for _ in range(4):
        way = rng.standard_normal(value.shape)
        high, low = (function(value + s * 1e-6 * way, *rest)[0] for s in (1, -1))
        assert np.isclose(np.sum(grad * way), (high - low) / 2e-6, rtol=1e-5, atol=1e-7)


def _cell(
    x: Tensor, w: Tensor, u: Tensor, b: Tensor, backward: bool, last: bool = False
) -> tuple[Tensor, Tensor]:
    """Loss and last state of a gated recurrent cell with weights inside the step."""

    def step(values: list[Tensor], states: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        h, c = states
        z = matmul(values[0], w) + matmul(h, u) + b
        gate = sigmoid(z)
        c = gate * c + (1.0 - gate) * tanh(z)
        h = tanh(c)
        return [h], [h, c]

    start = x[0, :, :1] * 0.0 + b * 0.0
    (outputs,), (hidden, _) = scan(step, [x], [start, start], backward=backward)
    end = hidden[0 if backward else hidden.shape[0] - 1]
    return sum_(end * end) if last else sum_(outputs * outputs * 0.5) + sum_(end), end


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("which", range(4))
def test_back_propagation_through_time(backward: bool, last: bool, which: int) -> None:
    rng = np.random.default_rng(which)
    shapes: list[tuple[Any, ...]] = [(None, 3, 4), (4, 5), (5, 5), (5,)]
    inputs = [placeholder(s, dtype="float64") for s in shapes]
    loss, _ = _cell(*inputs, backward, last)  # type: ignore[arg-type, misc]
    (grad,) = gradients(loss, [inputs[which]])
    order = [which, *(i for i in range(4) if i != which)]
    function = Function([inputs[i] for i in order], [loss, grad])
    values = [rng.standard_normal([6 if n is None else n for n in s]) * 0.5 for s in shapes]
    _check_gradient(function, *(values[i] for i in order))


def test_weight_gradients_are_one_product_after_the_loop() -> None:
    inputs = [placeholder(s, dtype="float64") for s in ((None, 3, 4), (4, 5), (5, 5), (5,))]
    loss, _ = _cell(*inputs, backward=False)
    for grad in gradients(loss, inputs[1:]):
        assert grad is not None
        loops = [n.op for n in topological([grad]) if isinstance(n.op, Scan)]
        # Backward states are the gradients of h and c: no running sum of a weight's size.
        assert all(op.states == 2 for op in loops)


def test_a_gradient_of_a_gradient() -> None:
    x = placeholder((4, 2), dtype="float64")
    (y,), _ = scan(lambda v, s: ([s[0] * v[0]], [tanh(s[0] * v[0] + v[0])]), [x], [x[0]])
    (first,) = gradients(sum_(y * y), [x])
    assert first is not None
    total = sum_(first * first)
    (second,) = gradients(total, [x])
    _check_gradient(Function([x], [total, second]), np.random.default_rng(5).standard_normal((4, 2)))


def test_sums_of_constants_that_are_no_product() -> None:
    x, k = placeholder((5, 3), dtype="float64"), placeholder((3,), dtype="float64")
    (y,), _ = scan(lambda v, s: ([tanh(v[0] * k) * k], []), [x], [])
    loss = sum_(y)
    (grad,) = gradients(loss, [k])
    rng = np.random.default_rng(2)
    _check_gradient(Function([k, x], [loss, grad]), rng.standard_normal(3), rng.standard_normal((5, 3)))


def test_wrong_use_is_refused_where_it_is_written() -> None:
    x = placeholder((4, 2))
    with pytest.raises(ValueError, match="sequence 1 has 5 steps, expected 4"):
        scan(lambda v, s: (v, []), [x, placeholder((5, 2))])
    with pytest.raises(ValueError, match=r"state 0 starts as float32\(2,?\), but a step makes .*4, 2"):
        scan(lambda v, s: ([], [x]), [x], [x[0]])
    with pytest.raises(ValueError, match="expected 1 new states, got 0"):
        scan(lambda v, s: ([], []), [x], [x[0]])
    with pytest.raises(ValueError, match="expected a sequence or a length"):
        scan(lambda v, s: ([], s), [], [x])
    free = placeholder((None, 2))
    (y,), _ = scan(lambda v, s: ([v[0] + v[1]], []), [free, placeholder((None, 2), name="other")][:1] * 2, [])
    assert y.ndim == 2
    other = placeholder((None, 2))
    (y,), _ = scan(lambda v, s: ([v[0] + v[1]], []), [free, other])
    with pytest.raises(ValueError, match="have to be equal"):
        Function([free, other], [y])(np.zeros((3, 2)), np.zeros((4, 2)))


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("length", [1, 3, 7])
def test_truncated_back_propagation(length: int, known: bool, backward: bool) -> None:
    """Gradients of the last three steps are those of a loop over them alone, whose start is a constant."""
    rng = np.random.default_rng(length)
    xs, h0 = rng.standard_normal((length, 2, 4)), rng.standard_normal((2, 4))
    w, cut = rng.standard_normal((4, 4)), max(length - 3, 0)

    def loop(x: Tensor, h: Tensor, w: Tensor, steps: int) -> tuple[list[Tensor], Tensor]:
        def step(v: list[Tensor], s: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            new = K.tanh(v[0] + K.dot(s[0], w))
            return [new * new], [new]

        outputs, histories = scan(step, [x], [h], backward=backward, truncate_gradient=steps)
        return outputs, histories[0][0 if backward else -1]

    x = K.placeholder((length if known else None, 2, 4), dtype="float64")
    h, weights = K.placeholder((2, 4), dtype="float64"), K.placeholder((4, 4), dtype="float64")
    (outputs,), last = loop(x, h, weights, 3)
    arriving = rng.standard_normal((length, 2, 4))
    loss = K.sum(outputs * K.constant(arriving, dtype="float64")) + K.sum(last)
    found = K.function([x, h, weights], K.gradients(loss, [x, h, weights]))([xs, h0, w])

    ordered = xs[::-1] if backward else xs
    state = h0
    for value in ordered[:cut]:
        state = np.tanh(value + state @ w)
    tail = ordered[cut:]
    dx, dw, dh = np.zeros_like(ordered), np.zeros_like(w), np.ones((2, 4))
    states = [state]
    for value in tail:
        states.append(np.tanh(value + states[-1] @ w))
    upstream = arriving[::-1] if backward else arriving
    for number in reversed(range(len(tail))):
        new = states[number + 1]
        slope = (dh + upstream[cut + number] * 2 * new) * (1 - new**2)
        dx[cut + number], dh = slope, slope @ w.T
        dw += states[number].T @ slope
    np.testing.assert_allclose(found[0], dx[::-1] if backward else dx, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found[1], dh if length <= 3 else 0 * dh, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found[2], dw, rtol=1e-9, atol=1e-12)


def test_truncated_back_propagation_needs_a_step() -> None:
    for wrong in (0, -2):
        with pytest.raises(ValueError, match=f"truncate_gradient.*got {wrong}"):
            scan(lambda v, s: (s, s), [], [K.zeros((2,))], length=3, truncate_gradient=wrong)
