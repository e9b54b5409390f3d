"""Choices of which one side is computed: values, gradients, and what is not run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.compiler.function import Function
from symgraph.graph.ops.cond import cond
from symgraph.graph.ops.host import watch
from symgraph.graph.ops.scan import scan
from symgraph.graph.tensor import Tensor
from symgraph.passes.pipeline import run_passes

X = np.random.default_rng(0).standard_normal((3, 4))
W = np.random.default_rng(1).standard_normal((4, 4))


def counted(log: list[str], name: str) -> Callable[[Tensor], Tensor]:
    """A function that marks a tensor, so that `log` tells when it is computed."""
    return lambda x: watch(x, lambda value: log.append(name))


def test_only_the_chosen_side_is_computed() -> None:
    log: list[str] = []
    x, c = K.placeholder((None, 4), dtype="float64"), K.placeholder((), dtype="bool")
    y = K.switch(c, lambda: counted(log, "then")(x * 2.0), lambda: counted(log, "else")(K.exp(x)))
    f = K.function([x, c], y)
    np.testing.assert_allclose(f([X, True]), X * 2)
    assert log == ["then"]
    np.testing.assert_allclose(f([X, False]), np.exp(X), rtol=1e-12)
    assert log == ["then", "else"]


def test_nor_is_the_gradient_of_the_other_side_and_nothing_is_computed_twice() -> None:
    log: list[str] = []
    x, w = K.placeholder((3, 4), dtype="float64"), K.placeholder((4, 4), dtype="float64")
    c = K.placeholder((), dtype="int32")
    y = K.switch(
        c,
        lambda: K.tanh(counted(log, "then")(K.dot(x, w))) ** 2,
        lambda: K.sum(counted(log, "else")(K.exp(x)) * x, axis=1, keepdims=True) * K.ones_like(x),
    )
    f = K.function([x, w, c], [y, *K.gradients(K.sum(y), [x, w])])
    value, dx, dw = f([X, W, 5])
    t = np.tanh(X @ W)
    slope = 2 * t * (1 - t**2)
    for found, expected in ((value, t**2), (dx, slope @ W.T), (dw, X.T @ slope)):
        np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert log == ["then"]
    value, dx, dw = f([X, W, 0])
    np.testing.assert_allclose(value, np.broadcast_to((np.exp(X) * X).sum(1, keepdims=True), X.shape))
    np.testing.assert_allclose(dx, 4 * np.exp(X) * (1 + X), rtol=1e-10)
    np.testing.assert_array_equal(dw, 0)
    assert log == ["then", "else"]


def test_second_derivatives() -> None:
    x, c = K.placeholder((5,), dtype="float64"), K.placeholder((), dtype="bool")
    y = K.switch(c, lambda: K.sin(x) * x, lambda: x**3)
    (first,) = K.gradients(K.sum(y), [x])
    (second,) = K.gradients(K.sum(first), [x])
    f = K.function([x, c], second)
    v = np.linspace(0.3, 2, 5)
    np.testing.assert_allclose(f([v, True]), 2 * np.cos(v) - v * np.sin(v), rtol=1e-10)
    np.testing.assert_allclose(f([v, False]), 6 * v, rtol=1e-10)


def test_what_was_made_before_is_computed_once_for_both() -> None:
    log: list[str] = []
    x, c = K.placeholder((3, 4), dtype="float64"), K.placeholder((), dtype="bool")
    shared = counted(log, "shared")(K.sqrt(x))
    y = K.switch(c, lambda: shared + 1.0, lambda: shared * 3.0)
    f = K.function([x, c], [y, shared])
    for chosen, expected in ((True, 3.0), (False, 6.0)):
        value, same = f([np.full((3, 4), 4.0), chosen])
        np.testing.assert_array_equal(value, expected)
        np.testing.assert_array_equal(same, 2.0)
    assert log == ["shared", "shared"]
    # What was made before may also be fed.
    g = K.function([shared, c], y)
    np.testing.assert_array_equal(g([np.full((3, 4), 7.0), True]), 8.0)


def test_choices_nest() -> None:
    log: list[str] = []
    x = K.placeholder((4,), dtype="float64")
    a, b = K.placeholder((), dtype="bool"), K.placeholder((), dtype="bool")

    def inner() -> Tensor:
        return K.switch(b, lambda: counted(log, "1")(x + 1.0), lambda: counted(log, "2")(x + 2.0))

    y = K.switch(a, inner, lambda: K.switch(b, lambda: counted(log, "3")(x + 3.0), lambda: x)) * 10.0
    f = K.function([x, a, b], [y, *K.gradients(K.sum(y), [x])])
    for first, second, plus, marks in (
        (True, True, 1.0, ["1"]),
        (True, False, 2.0, ["2"]),
        (False, True, 3.0, ["3"]),
        (False, False, 0.0, []),
    ):
        log.clear()
        value, grad = f([np.arange(4.0), first, second])
        np.testing.assert_array_equal(value, 10 * (np.arange(4.0) + plus))
        np.testing.assert_array_equal(grad, 10.0)
        assert log == marks


@pytest.mark.parametrize("threads", [1, 2])
def test_a_choice_in_each_step_of_a_loop(threads: int) -> None:
    """h <- x @ w where the step's mark is set, else h stays; back-propagated through time."""
    K_x, marks = K.placeholder((None, 2, 4), dtype="float64"), K.placeholder((None,), dtype="bool")
    start, w = K.placeholder((2, 4), dtype="float64"), K.placeholder((4, 4), dtype="float64")
    log: list[str] = []

    def step(values: list[Tensor], states: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        new = cond(
            values[1],
            lambda: K.tanh(K.dot(counted(log, "step")(values[0] + states[0]), w)),
            lambda: states[0] * 0.5,
        )
        return [new], [new]

    (outputs,), _ = scan(step, [K_x, marks], [start])
    loss = K.sum(K.square(outputs))
    f = K.function([K_x, marks, start, w], [outputs, *K.gradients(loss, [K_x, start, w])])
    rng = np.random.default_rng(4)
    xs, h0 = rng.standard_normal((6, 2, 4)), rng.standard_normal((2, 4))
    chosen = np.array([True, False, False, True, True, False])

    def run(xs: np.ndarray, h: np.ndarray, w: np.ndarray) -> np.ndarray:
        steps = []
        for x, mark in zip(xs, chosen, strict=True):
            h = np.tanh((x + h) @ w) if mark else h * 0.5
            steps.append(h)
        return np.stack(steps)

    from_numpy = run(xs, h0, W)
    value, *grads = f([xs, chosen, h0, W])
    np.testing.assert_allclose(value, from_numpy, rtol=1e-12)
    assert log == ["step"] * 3
    for number, (given, grad) in enumerate(zip((xs, h0, W), grads, strict=True)):
        direction = rng.standard_normal(given.shape)
        losses = []
        for sign in (1, -1):
            arguments = [xs, h0, W]
            arguments[number] = given + sign * 1e-6 * direction
            losses.append((run(*arguments) ** 2).sum())
        assert abs((losses[0] - losses[1]) / 2e-6 - (grad * direction).sum()) < 1e-6


def test_a_loop_on_one_side_only() -> None:
    x, c = K.placeholder((5, 3), dtype="float64"), K.placeholder((), dtype="bool")

    def total() -> Tensor:
        return scan(lambda v, s: ([s[0] + v[0]], [s[0] + v[0]]), [x], [K.zeros((3,), "float64")])[0][0]

    f = K.function([x, c], K.switch(c, total, lambda: x))
    data = np.arange(15.0).reshape(5, 3)
    np.testing.assert_array_equal(f([data, True]), np.cumsum(data, 0))
    np.testing.assert_array_equal(f([data, False]), data)


def test_a_known_condition_leaves_no_choice() -> None:
    x, c = K.placeholder((3,), dtype="float64"), K.placeholder((), dtype="bool")
    y = K.switch(c, lambda: x * 2.0, lambda: K.exp(x))
    f = Function([x], [y], givens={c: True})
    np.testing.assert_array_equal(f(np.arange(3.0))[0], 2 * np.arange(3.0))
    (optimised,), _ = run_passes(f.lowered().outputs)
    assert all("cond" not in str(n.op) for n in [optimised, *optimised.inputs])
    assert "cond" not in f.listing() and len(f.program().rows) == 1


def test_results_are_one_shape_and_the_error_says_so() -> None:
    x, c = K.placeholder((2, 3), dtype="float64"), K.placeholder((), dtype="bool")
    f = K.function([x, c], K.switch(c, lambda: x, lambda: K.constant(0.5)))
    np.testing.assert_array_equal(f([np.ones((2, 3)), False]), np.full((2, 3), 0.5))
    with pytest.raises(ValueError, match=r"switch: expected both expressions.*\(2, 3\).*\(2, 4\)"):
        K.switch(c, lambda: x, lambda: K.zeros((2, 4)))
    a, b = K.placeholder((None,), dtype="float64"), K.placeholder((None,), dtype="float64")
    g = K.function([a, b, c], K.switch(c, lambda: a, lambda: b))
    np.testing.assert_array_equal(g([[1.0, 2.0], [3.0, 4.0], False]), [3, 4])
    with pytest.raises(ValueError, match="have to be equal"):
        g([[1.0, 2.0], [3.0], False])


def test_random_numbers_and_weights_inside() -> None:
    c = K.placeholder((), dtype="bool")
    y = K.switch(c, lambda: K.random_uniform((100,), 2.0, 3.0), lambda: K.zeros((100,)))
    f = K.function([c], y)
    first, none, second = f([True]), f([False]), f([True])
    assert first.min() >= 2 and first.max() < 3 and (none == 0).all() and (first != second).all()
