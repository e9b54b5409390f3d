"""Kernels of users as ops, and graphs as functions of tensors."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest

import symgraph
from symgraph import backend as K

RNG = np.random.default_rng(0)
X = RNG.uniform(0.5, 1.0, (5, 7))


@symgraph.op(
    result=lambda x: (x.dtype, x.shape[:1]),
    gradient=lambda inputs, output, grad: [inputs[0] * K.expand_dims(grad / output)],
    flops=lambda x: 2 * x[0] * x[1],
)
def row_norm(x: Any, out: Any) -> None:
    """sqrt(x · x) of each row."""
    for i in range(x.shape[0]):
        total = 0.0
        for j in range(x.shape[1]):
            total += x[i, j] * x[i, j]
        out[i] = np.sqrt(total)


@symgraph.op(result=lambda a, b: (a.dtype, (a.shape[0] + b.shape[0],)))
def joined(a: Any, b: Any) -> Any:
    return np.concatenate((a, b))


@symgraph.op
def risen(x: Any) -> Any:
    if x.min() < 0:
        raise ValueError("there is a negative number")
    return x + 1


def both_gradient(inputs: Any, output: Any, grad: Any) -> Any:
    return [grad[0] * K.cos(inputs[0]) - grad[1] * K.sin(inputs[0])]


@symgraph.op(result=lambda x: [(x.dtype, x.shape), (x.dtype, x.shape)], gradient=both_gradient)
def sin_cos(x: Any) -> Any:
    return np.sin(x), np.cos(x)


class TestOp:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_values_gradient_and_facts(self, dtype: str) -> None:
        m = K.placeholder((None, 7), dtype=dtype, name="m")
        lengths = row_norm(m, name="lengths")
        f = symgraph.function([m], [lengths, symgraph.grad(K.sum(K.square(lengths)), m)])
        for x in (X.astype(dtype), X[:2].astype(dtype), X.T[:, :4].repeat(2, 1)[:, :7].astype(dtype)):
            values, slopes = f(x)
            assert values.dtype == dtype
            assert np.allclose(values, np.linalg.norm(x, axis=1), rtol=1e-6)
            assert np.allclose(slopes, 2 * x, rtol=1e-5)
        assert f.check(X.astype(dtype)).ok
        assert "numba[row_norm]" in str(f)
        assert f.cost.flops >= 2 * X.size
        with symgraph.profile() as profile:
            f(X)
        assert "numba[row_norm]" in str(profile)

    def test_its_gradient_twice(self) -> None:
        assert symgraph.check_gradient(row_norm, X, order=2) < 1e-8
        assert symgraph.check_gradient(sin_cos, X, order=2) < 1e-8

    def test_sizes_are_computed(self) -> None:
        a, b = K.placeholder((None,), dtype="float64"), K.placeholder((None,), dtype="float64")
        both = joined(a, b)
        assert both.shape == (a.shape[0] + b.shape[0],)
        assert np.array_equal(symgraph.function([a, b], both * 2)([1, 2], [3]), [2, 4, 6])

    def test_in_a_loop(self) -> None:
        x = K.placeholder((None, 3))
        _, (h,) = symgraph.scan(lambda now, before: ([], [risen(before[0]) + now[0]]), [x], [K.zeros((3,))])
        assert np.array_equal(h.eval({x: np.ones((2, 3))})[-1], [4, 4, 4])

    def test_what_numba_compiled_already(self) -> None:
        thrice = symgraph.op(numba.njit(lambda x: 3 * x), name="thrice")
        x = K.placeholder((None,), dtype="float64")
        assert repr(thrice) == "<op thrice>"
        assert np.array_equal(thrice(x).eval({x: [1.0, 2.0]}), [3.0, 6.0])

    def test_functions_of_one_name_are_apart(self) -> None:
        def times(factor: float) -> Any:
            return symgraph.op(lambda x: x * factor, name="times")

        x = K.placeholder((2,), dtype="float64")
        found = symgraph.function([x], [times(2.0)(x), times(3.0)(x)])([1.0, 1.0])
        assert [float(v[0]) for v in found] == [2.0, 3.0]

    def test_a_number(self) -> None:
        @symgraph.op(result=lambda x: (x.dtype, ()))
        def total(x: Any) -> Any:
            return x.sum()

        for dtype in ("float32", "float64", "int64"):
            x = K.placeholder((None,), dtype=dtype)
            assert total(x).eval({x: np.arange(4).astype(dtype)}) == 6


class TestBadOps:
    @pytest.mark.parametrize(
        ("rule", "message"),
        [
            (
                lambda x: ("float64", x.shape),
                r"its rule says float64\(2,\) for its result, .* made float32\(2,\)",
            ),
            (lambda x: (x.dtype, (3,)), r"its rule says float32\(3,\) for its result, .* made float32\(2,\)"),
            (lambda x: [(x.dtype, (2,))] * 2, "its rule says 2 results, its function returned 1"),
        ],
    )
    def test_results_that_are_not_what_the_rule_says(self, rule: Any, message: str) -> None:
        wrong = symgraph.op(lambda x: x * 2, result=rule, name="wrong")
        x = K.placeholder((None,), name="x")
        v = K.variable(0.0)
        made = wrong(x)
        made = made[0] if isinstance(made, list) else made
        f = K.function([x], [made], updates=[(v, v + 1)])
        with pytest.raises(ValueError, match=rf"test_own_ops\.py:\d+: wrong: {message}"):
            f([np.float32([1, 2])])
        assert K.get_value(v) == 0

    def test_exceptions_of_the_function(self) -> None:
        x, v = K.placeholder((None,)), K.variable(0.0)
        f = K.function([x], [risen(x)], updates=[(v, v + 1)])
        with pytest.raises(ValueError, match="risen: there is a negative number"):
            f([np.float32([-1, 2])])
        assert K.get_value(v) == 0

    def test_what_numba_cannot_compile(self) -> None:
        x = K.placeholder((None,))
        strange = symgraph.op(lambda x: x.nothing(), name="strange")
        with pytest.raises(TypeError, match=r"strange: numba cannot compile it for float32\(2,\)"):
            strange(x).eval({x: [1, 2]})

    def test_gradients(self) -> None:
        x = K.placeholder((3,), dtype="float64")
        with pytest.raises(NotImplementedError, match=r"joined has no gradient: give symgraph.op\(gradient"):
            symgraph.grad(K.sum(joined(x, x)), x)
        for gradient, message in (
            (lambda i, o, g: [g, g], "expected a gradient for each of 1 inputs"),
            (lambda i, o, g: [K.sum(g)], r"expected float64\(3,\) as gradient by input 0, got float64\(\)"),
        ):
            with pytest.raises(ValueError, match=message):
                symgraph.grad(K.sum(symgraph.op(lambda x: x + 1, gradient=gradient)(x)), x)

    def test_when_it_is_made_or_called(self) -> None:
        x = K.placeholder((3,))
        with pytest.raises(TypeError, match="joined: expected 2 inputs, got 1"):
            joined(x)
        with pytest.raises(TypeError, match="f: expected its rule to give a dtype and a shape"):
            symgraph.op(lambda x: x, result=lambda x: x.shape, name="f")(x)
        with pytest.raises(
            TypeError, match="f: its rule says 1 results, its function has 2 parameters behind"
        ):
            symgraph.op(lambda x, a, b: None, result=lambda x: (x.dtype, x.shape), name="f")(x)
        with pytest.raises(TypeError, match="op f: its rule takes 2 inputs, its function 1"):
            symgraph.op(lambda x: x, result=lambda x, y: (x.dtype, x.shape), name="f")
        with pytest.raises(TypeError, match="op f: expected a fixed number of parameters"):
            symgraph.op(lambda *x: x, name="f")
        with pytest.raises(TypeError, match="op: expected a function that numba compiles, got 3"):
            symgraph.op(3)


class TestFromGraph:
    def test_sizes_may_differ_in_each_call(self) -> None:
        x = K.placeholder((None, 3), dtype="float64", name="x")
        w = K.variable(RNG.standard_normal((3, 2)), "float64")
        net = symgraph.from_graph(x, K.tanh(K.dot(x, w)) * K.cast(K.shape(x)[0], "float64"), name="net")
        z = K.placeholder((None, 5, 3), dtype="float64")
        rows = net(K.reshape(z, (-1, 3)))
        f = symgraph.function([z], [net(z[:, 0]), rows, symgraph.grad(K.sum(rows), w)])
        values = RNG.standard_normal((4, 5, 3))
        first, found, slope = f(values)
        weights, flat = K.get_value(w), values.reshape(-1, 3)
        assert np.allclose(first, 4 * np.tanh(values[:, 0] @ weights))
        assert np.allclose(found, 20 * np.tanh(flat @ weights))
        assert np.allclose(slope, 20 * flat.T @ (1 - np.tanh(flat @ weights) ** 2))

    def test_with_a_loop_and_several_outputs(self) -> None:
        seq = K.placeholder((None, None, 3), dtype="float64")
        _, (h,) = symgraph.scan(lambda now, before: ([], [before[0] + now[0]]), [seq], [K.zeros_like(seq[0])])
        sums = symgraph.from_graph([seq], {"all": h, "last": h[-1]})
        s = K.placeholder((None, 2, 3), dtype="float64")
        values = RNG.standard_normal((4, 2, 3))
        last, slope = symgraph.function(
            [s], [sums(s[1:])["last"], symgraph.grad(K.sum(sums(s * s)["last"]), s)]
        )(values)
        assert np.allclose(last, values[1:].sum(0))
        assert np.allclose(slope, 2 * values)

    def test_its_own_gradient(self) -> None:
        x = K.placeholder((None,), dtype="float64")
        own = symgraph.from_graph(
            [x],
            [K.square(x), K.sum(x)],
            gradient=lambda inputs, outputs, arriving: [100 * arriving[0] + arriving[1]],
        )
        z = K.placeholder((None, 3), dtype="float64")
        a, b = own(z[0])
        slope = symgraph.grad(K.sum(a) + 2 * b, z)
        assert np.array_equal(slope.eval({z: np.ones((2, 3))}), [[102.0] * 3, [0.0] * 3])

    def test_bad_input(self) -> None:
        x, y = K.placeholder((None, 3), name="x"), K.placeholder((None, 3), name="y")
        with pytest.raises(ValueError, match=r"net: its outputs need <Tensor 'y' .*, which is no input"):
            symgraph.from_graph([x], x + y, name="net")
        net = symgraph.from_graph([x, y], x + y, name="net")
        with pytest.raises(TypeError, match="net: expected 2 inputs, got 1"):
            net(x)
        with pytest.raises(
            ValueError, match=r"net: expected float32\(N_y, 3\) as input 1, got float32\(2,\)"
        ):
            net(x, np.zeros(2))
        w = K.variable(np.ones(3), name="w")
        with pytest.raises(
            ValueError, match=r"net: its result depends on <Tensor 'w:0' .*, which is no argument"
        ):
            symgraph.from_graph([x], x * w, lambda inputs, output, grad: [grad], "net")
