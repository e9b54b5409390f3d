"""`symgraph.jit` and `symgraph.vectorize` against numpy."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

import symgraph
from symgraph import backend as K
from symgraph.graph.tensor import Tensor

RNG = np.random.default_rng(0)


@symgraph.jit
def distance(a: Any, b: Any, scale: Any = 1.0, norm: bool = True) -> Any:
    """Doc."""
    squares = K.sum(K.square(a - b), axis=-1)
    return K.sqrt(squares) * scale if norm else squares


class TestJit:
    def test_sizes_are_unknown(self) -> None:
        f = symgraph.jit(distance.__wrapped__)
        for n in (4, 2, 7, 4):
            a, b = RNG.standard_normal((n, 3)), RNG.standard_normal((n, 3))
            found = f(a, b)
            assert found.dtype == np.float64
            assert np.allclose(found, np.linalg.norm(a - b, axis=1))
        assert len(f.functions) == 1
        assert f.compiled(a, b) is f.functions[0]
        assert [t.name for t in f.functions[0].inputs] == ["a", "b"]

    def test_sizes_of_one_broadcast(self) -> None:
        a, b = RNG.standard_normal((4, 3)), RNG.standard_normal((1, 3))
        assert np.allclose(distance(a, b), np.linalg.norm(a - b, axis=1))
        assert np.allclose(distance(b, a), np.linalg.norm(a - b, axis=1))
        assert np.allclose(distance(a, b[0]), np.linalg.norm(a - b, axis=1))

    def test_sizes_that_are_asked_for(self) -> None:
        sizes: list[Any] = []

        @symgraph.jit(sizes=True)
        def f(x: Tensor) -> Tensor:
            sizes.append(tuple(x.shape))
            return x + 1

        for n in (3, 4, 3):
            f(np.zeros((n, 2)))
        assert sizes == [(3, 2), (4, 2)]

    def test_dtypes(self) -> None:
        f = symgraph.jit(lambda x: x * 2)
        for dtype in ("int32", "float32", "float64", "uint8"):
            found = f(np.arange(3).astype(dtype))
            assert found.dtype == dtype and np.array_equal(found, [0, 2, 4])
        assert len(f.functions) == 4

    def test_numbers_keep_their_digits(self) -> None:
        f = symgraph.jit(lambda x, s: x * s)
        assert np.array_equal(f(np.ones(2), 0.1), [0.1, 0.1])
        assert f(np.ones(2, np.float32), 0.1).dtype == np.float32
        assert f(np.arange(2, dtype=np.int32), 3).dtype == np.int32
        assert np.array_equal(f([1, 2], [0.5, 2]), [0.5, 4.0])
        assert f(np.int64(2), 2**40) == 2**41

    def test_flags_choose_what_is_written(self) -> None:
        a, b = np.zeros((2, 3)), np.ones((2, 3))
        assert np.allclose(distance(a, b, norm=False), [3, 3])
        assert np.allclose(distance(a, b, 2.0), 2 * np.sqrt([3, 3]))

    def test_static(self) -> None:
        @symgraph.jit(static="n")
        def power(x: Any, n: int) -> Any:
            result = x
            for _ in range(n - 1):
                result = result * x
            return result

        assert np.array_equal(power(np.arange(3.0), 3), [0, 1, 8])
        assert np.array_equal(power(np.arange(3.0), n=2), [0, 1, 4])
        assert len(power.functions) == 2
        with pytest.raises(
            ValueError, match=r"jit: static: power has no parameter 'm'; it takes \['x', 'n'\]"
        ):
            symgraph.jit(power.__wrapped__, static=["m"])

    def test_structures(self) -> None:
        class Result(NamedTuple):
            loss: Any
            rest: Any

        @symgraph.jit
        def step(params: Any, x: Any, *others: Any, **named: Any) -> Any:
            y = K.dot(x, params["w"]) + params["layers"][0][0]
            loss = K.sum(K.square(y))
            slopes = symgraph.grad(loss, params, "zero")
            new = {"w": params["w"] - 0.1 * slopes["w"], "layers": params["layers"]}
            return Result(loss, [new, None, len(others), named])

        w, b, x = RNG.standard_normal((3, 2)), RNG.standard_normal(2), RNG.standard_normal((5, 3))
        found = step({"w": w, "layers": [(b, 1.0)]}, x, 1, 2, more=np.int32(3))
        y = x @ w + b
        assert isinstance(found, Result) and np.allclose(found.loss, (y**2).sum())
        new, nothing, count, named = found.rest
        assert np.allclose(new["w"], w - 0.2 * x.T @ y)
        assert nothing is None and count == 2 and named["more"] == 3
        assert isinstance(new["layers"][0], tuple) and np.array_equal(new["layers"][0][0], b)
        assert "params.layers[0][0]" in [t.name for t in step.functions[0].inputs]

    def test_within_a_graph(self) -> None:
        x = K.placeholder((None, 3), dtype="float64")
        y = distance(x, np.ones(3))
        assert isinstance(y, Tensor)
        assert np.allclose(y.eval({x: np.zeros((2, 3))}), np.sqrt(3))

    def test_a_method(self) -> None:
        class Model:
            def __init__(self, factor: float) -> None:
                self.factor = factor

            @symgraph.jit
            def call(self, x: Any) -> Any:
                return x * self.factor

        first, second = Model(2.0), Model(3.0)
        assert [float(m.call(np.float64(1))) for m in (first, second, first)] == [2, 3, 2]

    def test_it_looks_like_the_function(self) -> None:
        assert distance.__name__ == "distance" and distance.__doc__ == "Doc."

    def test_bad_input(self) -> None:
        with pytest.raises(TypeError, match="missing a required argument: 'b'"):
            distance(1.0)
        with pytest.raises(TypeError, match="distance: argument a: dtype complex128 is not supported"):
            distance(np.zeros(2, complex), 1)
        with pytest.raises(TypeError, match=r"distance: argument b: expected arrays, numbers, .* got {1}"):
            distance(1.0, {1})
        with pytest.raises(TypeError, match=r"<lambda>: expected tensors, .* as result, got 'x'"):
            symgraph.jit(lambda x: "x")(1.0)
        with pytest.raises(TypeError, match="jit: expected a function of tensors, got 3"):
            symgraph.jit(3)


class TestVectorize:
    def test_over_axes(self) -> None:
        a, b = RNG.standard_normal((4, 2, 3)), RNG.standard_normal((3, 5, 4))
        product = symgraph.vectorize(lambda a, b: {"p": K.dot(a, b)}, axes=(0, 2), result_axis=-1)
        found = symgraph.jit(product)(a, b)["p"]
        assert np.allclose(found, np.einsum("nij,jkn->ikn", a, b))

    def test_whole_arguments_and_structures(self) -> None:
        def loss(example: Any, w: Any) -> Any:
            return K.square(K.sum(example["x"] * w) - example["y"])

        x, y, w = RNG.standard_normal((6, 3)), RNG.standard_normal(6), RNG.standard_normal(3)
        found = symgraph.jit(symgraph.vectorize(loss, axes=(0, None)))({"x": x, "y": y}, w)
        assert np.allclose(found, (x @ w - y) ** 2)

    def test_gradients_of_each_example(self) -> None:
        def slope(x: Any, w: Any) -> Any:
            return symgraph.grad(K.sum(K.tanh(K.dot(x[None], w))), w)

        x, w = RNG.standard_normal((6, 3)), RNG.standard_normal((3, 2))
        found = symgraph.jit(symgraph.vectorize(slope, axes=(0, None)))(x, w)
        assert np.allclose(found, x[:, :, None] * (1 - np.tanh(x @ w) ** 2)[:, None, :])

    def test_nested(self) -> None:
        dots = symgraph.vectorize(lambda a, b: symgraph.vectorize(lambda c: K.sum(a * c))(b), axes=(0, None))
        a, b = RNG.standard_normal((4, 3)), RNG.standard_normal((5, 3))
        assert np.allclose(symgraph.jit(dots)(a, b), a @ b.T)

    def test_its_gradient(self) -> None:
        f = symgraph.vectorize(lambda a, b: K.sum(K.exp(a) * b), axes=(1, None))
        assert (
            symgraph.check_gradient(f, [RNG.standard_normal((2, 3)), RNG.standard_normal(2)], order=2) < 1e-8
        )

    def test_bad_input(self) -> None:
        f = symgraph.vectorize(lambda a, b: a + b)
        with pytest.raises(ValueError, match=r"vectorize\(<lambda>\): sequence 1 has 3 steps, expected 2"):
            f(np.zeros(2), np.zeros(3))
        with pytest.raises(ValueError, match="argument 0: axis 0 is out of range for a tensor of 0 dim"):
            f(1.0, np.zeros(3))
        with pytest.raises(ValueError, match="axes has 1 entries for 2 arguments"):
            symgraph.vectorize(lambda a, b: a, axes=(0,))(np.zeros(2), np.zeros(2))
        with pytest.raises(ValueError, match="expected an argument that is mapped"):
            symgraph.vectorize(lambda a: a, axes=None)(np.zeros(2))
