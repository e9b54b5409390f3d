"""Derivatives of every shape, against formulas, finite differences and each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symgraph
from symgraph import backend as K
from symgraph.graph.tensor import Tensor

RNG = np.random.default_rng(0)
X, W = RNG.standard_normal((5, 3)), RNG.standard_normal((3, 2))


def differences(f: Callable[[np.ndarray], np.ndarray], at: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """The Jacobian of a numpy function by central differences: (*f(at).shape, *at.shape)."""
    columns = []
    for place in np.ndindex(at.shape):
        up, down = at.copy(), at.copy()
        up[place] += step
        down[place] -= step
        columns.append((f(up) - f(down)) / (2 * step))
    return np.moveaxis(np.array(columns), 0, -1).reshape(columns[0].shape + at.shape)


def truth(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    return np.tanh(x @ w) * np.exp(-x @ w)


def graph() -> tuple[Tensor, Tensor, Tensor]:
    x = K.placeholder((None, 3), dtype="float64", name="x")
    w = symgraph.Variable(W, name="w")
    return x, w, K.tanh(K.dot(x, w)) * K.exp(-K.dot(x, w))


class TestJacobian:
    @pytest.mark.parametrize("mode", ["reverse", "forward"])
    def test_of_a_matrix_of_unknown_rows(self, mode: str) -> None:
        x, w, y = graph()
        found = symgraph.jacobian(y, {"x": x, "w": w}, mode=mode)
        by_x, by_w = symgraph.function([x], [found["x"], found["w"]])(X)
        assert np.allclose(by_x, differences(lambda x: truth(x, W), X), atol=1e-8)
        assert np.allclose(by_w, differences(lambda w: truth(X, w), W), atol=1e-8)

    def test_auto_takes_the_shorter_way(self) -> None:
        x = K.placeholder((2,), dtype="float64")
        wide = K.square(K.tile(x, 50))
        found = symgraph.jacobian(wide, x)
        at = np.array([1.5, -2.0])
        expected = np.tile(2 * np.diag(at), (50, 1))
        assert np.allclose(found.eval({x: at}), expected)
        # Columns are made: a turn for each of two elements, not for each of a hundred.
        scans = [node for node in symgraph.function([x], found).lowered().nodes if "scan" in str(node.op)]
        assert [node.op.length for node in scans] == [2]

    def test_of_a_scalar_is_its_gradient(self) -> None:
        x, w, y = graph()
        loss = K.sum(y)
        a, b = symgraph.function([x], [symgraph.jacobian(loss, w), symgraph.grad(loss, w)])(X)
        assert a.shape == (3, 2) and np.array_equal(a, b)

    def test_by_a_scalar(self) -> None:
        x, s = K.placeholder((None,), dtype="float64"), K.variable(2.0, dtype="float64")
        for mode in ("forward", "reverse"):
            found = symgraph.jacobian(K.exp(s * x), s, mode=mode)
            assert np.allclose(found.eval({x: [0.0, 1.0]}), [0.0, np.exp(2.0)])

    def test_has_a_gradient(self) -> None:
        assert symgraph.check_gradient(lambda x: symgraph.jacobian(K.tanh(x) * K.sum(x), x), X[0]) < 1e-8

    def test_through_a_loop(self) -> None:
        sequence = K.placeholder((None, 2, 3), dtype="float64")
        u = K.variable(0.5 * np.eye(3) + 0.1, dtype="float64")
        _, (h,) = symgraph.scan(
            lambda now, before: ([], [K.tanh(K.dot(before[0], u) + now[0])]), [sequence], [np.zeros((2, 3))]
        )
        rows, columns = (symgraph.jacobian(h[-1], u, mode=mode) for mode in ("reverse", "forward"))
        values = RNG.standard_normal((4, 2, 3))

        def last(u: np.ndarray) -> np.ndarray:
            state = np.zeros((2, 3))
            for now in values:
                state = np.tanh(state @ u + now)
            return state

        for found in symgraph.function([sequence], [rows, columns])(values):
            assert np.allclose(found, differences(last, K.get_value(u)), atol=1e-8)

    def test_disconnected(self) -> None:
        x, w, _ = graph()
        y = K.square(x)
        with pytest.raises(ValueError, match=r"jacobian: .* does not depend on <Tensor 'w'"):
            symgraph.jacobian(y, [x, w])
        assert symgraph.jacobian(y, [w], disconnected="none") == [None]
        zeros = symgraph.jacobian(y, w, disconnected="zero")
        assert np.array_equal(zeros.eval({x: X}), np.zeros((5, 3, 3, 2)))


class TestGrad:
    def test_structures(self) -> None:
        x, w, y = graph()
        loss = K.sum(y)
        found = symgraph.grad(loss, (w, [x]))
        assert isinstance(found, tuple) and isinstance(found[1], list)
        assert found[0].shape == (3, 2)

    def test_bad_input(self) -> None:
        _, w, y = graph()
        with pytest.raises(
            ValueError, match=r"grad: expected a scalar loss, got float64\(N_x, 2\); take its"
        ):
            symgraph.grad(y, w)
        with pytest.raises(TypeError, match="grad: expected a tensor as number 1 of wrt, got 3"):
            symgraph.grad(K.sum(y), [w, 3])
        with pytest.raises(TypeError, match=r"grad: .* is not a float tensor"):
            symgraph.grad(K.sum(y), K.placeholder((2,), dtype="int32"))
        with pytest.raises(ValueError, match="grad: disconnected has to be one of"):
            symgraph.grad(K.sum(y), w, disconnected="ignore")

    def test_a_warning_names_the_line(self) -> None:
        x, w, _ = graph()
        with pytest.warns(UserWarning, match=r"does not depend on <Tensor 'w'") as record:
            zeros = symgraph.grad(K.sum(x), w, disconnected="warn")
        assert record[0].filename == __file__
        assert np.array_equal(zeros.eval(), np.zeros((3, 2)))

    def test_constants(self) -> None:
        x = K.placeholder((3,), dtype="float64")
        h = K.exp(x)
        loss = K.sum(h * x)
        at = np.array([0.1, 0.2, 0.3])
        assert np.allclose(symgraph.grad(loss, x, constants=[h]).eval({x: at}), np.exp(at))
        assert symgraph.grad(loss, h, disconnected="none", constants=h) is None

    def test_stop_gradient(self) -> None:
        x = K.placeholder((3,), dtype="float64")
        loss = K.sum(symgraph.stop_gradient(K.exp(x)) * x)
        at = np.array([0.1, 0.2, 0.3])
        assert np.allclose(symgraph.grad(loss, x).eval({x: at}), np.exp(at))


class TestProducts:
    def test_against_the_jacobian(self) -> None:
        x, w, y = graph()
        u, v, v2 = RNG.standard_normal((5, 2)), RNG.standard_normal((5, 3)), RNG.standard_normal((3, 2))
        left = symgraph.vjp(y, [x, w], K.constant(u, "float64"))
        right = symgraph.jvp([y, K.sum(x)], {"x": x, "w": w}, {"x": v, "w": v2})
        by_x, by_w = differences(lambda x: truth(x, W), X), differences(lambda w: truth(X, w), W)
        a, b, c, d = symgraph.function([x], [*left, *right])(X)
        assert np.allclose(a, np.tensordot(u, by_x, 2), atol=1e-8)
        assert np.allclose(b, np.tensordot(u, by_w, 2), atol=1e-8)
        assert np.allclose(c, np.tensordot(by_x, v) + np.tensordot(by_w, v2), atol=1e-8)
        assert np.allclose(d, v.sum())

    def test_names_of_theano(self) -> None:
        x = K.placeholder((3,), dtype="float64")
        y = K.square(x)
        found = [symgraph.Rop(y, x, [1.0, 0.0, 2.0]), symgraph.Lop(y, x, [1.0, 0.0, 2.0])]
        for values in symgraph.function([x], found)([3.0, 4.0, 5.0]):
            assert np.allclose(values, [6.0, 0.0, 20.0])

    def test_float32_at_unknown_sizes(self) -> None:
        x = K.placeholder((None, None), name="x")
        v = K.placeholder((None, None), name="v")
        y = K.softmax(x)
        found = symgraph.function([x, v], symgraph.jvp(y, x, v))(X, X[::-1])
        p = np.exp(X) / np.exp(X).sum(1, keepdims=True)
        expected = p * (X[::-1] - (p * X[::-1]).sum(1, keepdims=True))
        assert found.dtype == np.float32
        assert np.allclose(found, expected, atol=1e-6)

    def test_bad_vectors(self) -> None:
        x, w, y = graph()
        with pytest.raises(
            ValueError, match=r"vjp: expected float64\(N_x, 2\) as vector 0, got float64\(3,\)"
        ):
            symgraph.vjp(y, w, np.ones(3))
        with pytest.raises(ValueError, match="jvp: vectors for wrt: expected a list of 2, got"):
            symgraph.jvp(y, [x, w], [np.ones((5, 3))])
        with pytest.raises(ValueError, match=r"jvp: .* depends on none of <Tensor 'w'"):
            symgraph.jvp(K.square(x), w, np.ones((3, 2)))
        assert symgraph.jvp([K.square(x)], w, np.ones((3, 2)), disconnected="none") == [None]


class TestHessian:
    def test_blocks(self) -> None:
        """Of f = sum(a^2 b) + sum(b): 2 diag(b), 2 diag(a), and 0 where f is linear."""
        a, b = (K.placeholder((None,), dtype="float64", name=name) for name in "ab")
        found = symgraph.hessian(K.sum(a * a * b) + K.sum(b), {"a": a, "b": b})
        at = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])
        blocks = symgraph.function([a, b], [found[p][q] for p in "ab" for q in "ab"])(*at)
        for block, expected in zip(
            blocks,
            [2 * np.diag(at[1]), 2 * np.diag(at[0]), 2 * np.diag(at[0]), np.zeros((3, 3))],
            strict=True,
        ):
            assert np.allclose(block, expected)

    def test_of_one_matrix_and_its_product(self) -> None:
        x, w, y = graph()
        loss = K.sum(K.square(y))
        v = RNG.standard_normal((3, 2))
        whole = symgraph.hessian(loss, w)
        product = symgraph.hessian_vector_product(loss, w, v)
        h, hv = symgraph.function([x], [whole, product])(X)
        slope = symgraph.function([x], symgraph.grad(loss, w))

        def at(value: np.ndarray) -> np.ndarray:
            K.set_value(w, value)
            return slope(X)

        assert np.allclose(h, differences(at, W), rtol=1e-6, atol=1e-5)
        assert np.allclose(hv, np.tensordot(h, v), atol=1e-10)

    def test_of_a_linear_loss(self) -> None:
        x, w, _ = graph()
        loss = K.sum(K.dot(x, w))
        assert np.array_equal(symgraph.hessian(loss, w).eval(), np.zeros((3, 2, 3, 2)))
        assert np.array_equal(symgraph.hessian_vector_product(loss, w, W).eval(), np.zeros((3, 2)))
        assert symgraph.hessian(K.sum(x), [x, w], "none")[1] == [None, None]


@symgraph.custom_gradient
def log1pexp(x: Tensor) -> Any:
    e = K.exp(x)
    return K.log(1 + e), lambda g: g * (1 - 1 / (1 + e))


class TestCustomGradient:
    def test_twice(self) -> None:
        assert symgraph.check_gradient(log1pexp, X, order=2) < 1e-9

    def test_is_what_flows(self) -> None:
        flow = symgraph.custom_gradient(lambda x: (K.square(x), lambda g: 10 * g))
        x = K.placeholder((2,), dtype="float64")
        y = flow(x)
        value, slope = symgraph.function([x], [y, symgraph.grad(K.sum(3 * y), x)])([1.0, 2.0])
        assert np.array_equal(value, [1.0, 4.0]) and np.array_equal(slope, [30.0, 30.0])

    def test_two_results_two_arguments(self) -> None:
        @symgraph.custom_gradient
        def both(x: Tensor, w: Tensor) -> Any:
            def gradient(a: Tensor, b: Tensor) -> Any:
                return K.dot(a, K.transpose(w)) + b, K.dot(K.transpose(x), a)

            return {"a": K.dot(x, w), "b": K.sum(x)}, gradient

        assert symgraph.check_gradient(both, [X, W], order=2) < 1e-9

    def test_in_a_loop_costs_nothing(self) -> None:
        """A cell with its gradient written out: the same values as without, and no row is left of it."""
        w = K.variable(0.3 * np.eye(3), dtype="float64", name="w")
        x = K.placeholder((None, None, 3), dtype="float64")

        @symgraph.custom_gradient
        def cell(h: Tensor, w: Tensor) -> Any:
            y = K.tanh(K.dot(h, w))

            def gradient(g: Tensor) -> Any:
                inner = g * (1 - y * y)
                return K.dot(inner, K.transpose(w)), K.dot(K.transpose(h), inner)

            return y, gradient

        found = []
        for step in (cell, lambda h, w: K.tanh(K.dot(h, w))):
            _, (h,) = symgraph.scan(
                lambda now, before, step=step: ([], [step(before[0], w) + now[0]]), [x], [K.zeros_like(x[0])]
            )
            loss = K.sum(K.square(h[-1]))
            found += [loss, symgraph.grad(loss, w), symgraph.hessian(loss, w)]
        f = symgraph.function([x], found)
        values = f(RNG.standard_normal((4, 2, 3)))
        for own, plain in zip(values[:3], values[3:], strict=True):
            assert np.allclose(own, plain, rtol=1e-12)
        assert "custom_gradient" not in str(f)

    def test_of_integers_and_none(self) -> None:
        pick = symgraph.custom_gradient(
            lambda x, i: (K.gather(x, i), lambda g: (K.zeros_like(x) + K.sum(g), None))
        )
        x = K.placeholder((4,), dtype="float64")
        slope = symgraph.grad(K.sum(pick(x, np.array([1, 2]))), x)
        assert np.array_equal(slope.eval({x: np.ones(4)}), [2.0, 2.0, 2.0, 2.0])

    def test_bad_input(self) -> None:
        x, w, _ = graph()

        @symgraph.custom_gradient
        def lost(x: Tensor) -> Any:
            return K.dot(x, w), lambda g: K.dot(g, K.transpose(w))

        with pytest.raises(
            ValueError, match=r"lost: its result depends on <Tensor 'w' .* which is no argument"
        ):
            lost(x)
        for gradient, message in (
            (lambda g: (g, g), "a gradient for each argument: expected a list of 1"),
            (lambda g: K.sum(g), r"expected float64\(N_x, 3\) as gradient by argument 0, got float64\(\)"),
        ):
            with pytest.raises(ValueError, match=message):
                symgraph.custom_gradient(lambda x, gradient=gradient: (K.square(x), gradient))(x)
        with pytest.raises(TypeError, match="expected a result and a function that makes its gradient"):
            symgraph.custom_gradient(K.square)(x)


class TestCheckGradient:
    def test_finds_a_wrong_one(self) -> None:
        wrong = symgraph.custom_gradient(lambda x: (K.square(x), lambda g: g * x))
        with pytest.raises(
            symgraph.GradientError, match=r"order 1: the gradient by argument 0 .* at \(1,\) is"
        ):
            symgraph.check_gradient(wrong, np.array([0.0, 2.0]))

    def test_finds_a_wrong_second_one(self) -> None:
        half = symgraph.custom_gradient(lambda x: (K.square(x), lambda g: 2 * g * symgraph.stop_gradient(x)))
        assert symgraph.check_gradient(half, X) < 1e-9
        with pytest.raises(symgraph.GradientError, match="order 2"):
            symgraph.check_gradient(half, X, order=2)

    def test_finds_a_nan(self) -> None:
        nan = symgraph.custom_gradient(lambda x: (K.square(x), lambda g: g * float("nan")))
        with pytest.raises(symgraph.GradientError, match="is nan"):
            symgraph.check_gradient(nan, X)

    def test_of_a_graph(self) -> None:
        x = K.placeholder((None, 3), name="x")
        w = symgraph.Variable(W.astype("float32"), name="w")
        hidden = K.tanh(K.dot(x, w))
        assert symgraph.check_gradient(K.square(hidden), [w, x, hidden], {x: X}) < 1e-3

    def test_bad_input(self) -> None:
        with pytest.raises(ValueError, match="draw random numbers"):
            symgraph.check_gradient(lambda x: x * K.random_normal((3,)), np.ones(3))
        with pytest.raises(ValueError, match="expected an argument of a float dtype"):
            symgraph.check_gradient(lambda i: i + 1, np.arange(3))
