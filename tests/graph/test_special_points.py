"""Gradients at zeros, of powers and products, and of constants that are cut at unknown sizes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from symgraph import backend as K
from symgraph import optimizers
from symgraph.compiler.function import Function
from symgraph.graph.gradient import gradients
from symgraph.graph.leaves import Variable, placeholder
from symgraph.graph.ops.scan import scan
from symgraph.graph.tensor import Tensor


def slope(build: Callable[[Tensor], Tensor], value: np.ndarray) -> np.ndarray:
    x = placeholder((None,) * value.ndim, dtype="float64")
    result: np.ndarray = Function([x], gradients(build(x), x)[0])(value)
    return result


def differences(function: Callable[[np.ndarray], float], value: np.ndarray) -> np.ndarray:
    """Central differences: exact for a polynomial of first degree in each element, as products are."""
    found = np.zeros_like(value)
    for place in np.ndindex(value.shape):
        step = np.zeros_like(value)
        step[place] = 1
        found[place] = (function(value + step) - function(value - step)) / 2
    return found


@pytest.mark.parametrize("axis", [0, 1])
def test_running_products_with_zeros(axis: int) -> None:
    weights = np.array([[1.0, -2, 3, 5], [2, 7, -1, 4], [3, 1, 2, 2]])
    for value in (
        np.array([[2.0, 3, 0, 5], [0, 0, 1, 2], [3, 0, 4, 0]]),
        np.array([[2.0, 3, 1, 5], [1, 1, 1, 2], [3, 6, 4, 9]]),
        np.zeros((3, 4)),
    ):
        found = slope(lambda x: K.sum(K.cumprod(x, axis) * weights), value)
        np.testing.assert_allclose(
            found, differences(lambda v: float((np.cumprod(v, axis) * weights).sum()), value), atol=1e-9
        )
    assert slope(lambda x: K.sum(K.cumprod(x, axis)), np.zeros((0, 4))).shape == (0, 4)


@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 2)])
def test_products_with_zeros_and_their_second_derivatives(axis: int | tuple[int, int] | None) -> None:
    rng = np.random.default_rng(0)
    value = rng.integers(0, 3, (2, 3, 2)).astype("float64")
    found = slope(lambda x: K.sum(K.prod(x, axis)), value)
    np.testing.assert_allclose(
        found, differences(lambda v: float(np.sum(np.prod(v, axis))), value), atol=1e-9
    )
    x = placeholder((3,), dtype="float64")
    first = gradients(K.prod(x), x)[0]
    rows = [gradients(first[i], x)[0] for i in range(3)]
    np.testing.assert_allclose(Function([x], rows)([0, 2, 3]), [[0, 3, 2], [3, 0, 0], [2, 0, 0]], atol=1e-12)


def test_powers_at_zero_and_of_negative_numbers() -> None:
    a, b = placeholder((None,), dtype="float32"), placeholder((None,), dtype="float32")
    by_a, by_b = Function([a, b], gradients(K.sum(K.pow(a, b)), [a, b]))(
        [0, 0, 0, -2, -2, 2, 1e-40, 0], [0, 1, 2, 2, 3, 0, 0, 0.5]
    )
    np.testing.assert_allclose(by_a, [0, 1, 0, -4, 12, 0, 0, np.inf], rtol=1e-6)
    np.testing.assert_allclose(by_b[[0, 1, 2, 3, 4, 5]], [0, 0, 0, 0, 0, np.log(2)], rtol=1e-6)
    for power in (0, np.zeros(3), np.array([0.0, 3.0, 0.0])):
        expected = np.where(np.asarray(power) == 3, 3.0, 0.0) * np.ones(3)
        np.testing.assert_array_equal(
            slope(lambda x, p=power: K.sum(K.pow(x, p)), np.array([0.0, 1, -2])), expected
        )


def test_one_tensor_is_not_the_list_of_its_rows() -> None:
    w = Variable(np.arange(3, dtype="float32"))
    m = K.variable(np.ones((2, 3)))
    loss = K.sum(w * w)
    for found in (gradients(loss, w), K.gradients(loss, w), optimizers.SGD().get_gradients(loss, w)):
        assert len(found) == 1
        np.testing.assert_array_equal(Function([], found[0])(), [0, 2, 4])
    x = placeholder((2, 3))
    for refused in (
        lambda: K.function(x, [x]),
        lambda: Function([x], [x], updates=[m, m + 1]),
        lambda: optimizers.SGD().get_updates(K.sum(m * m), m),
        lambda: K.concatenate(x),
        lambda: K.stack(x),
        lambda: scan(lambda v, s: (v, s), x),
        lambda: K.rnn(lambda v, s: (v, s), placeholder((2, 4, 3)), x),
        lambda: sum(x),
    ):
        with pytest.raises((TypeError, ValueError)):
            refused()


def test_constants_cut_and_filled_at_sizes_that_data_tell() -> None:
    x, y = placeholder((None,)), placeholder((1,))
    n = K.shape(x)[0]
    c = K.constant([1.0, 2, 3, 4])
    results = {
        "item": (c[n - 1], 3.0),
        "slice": (c[:n], [1, 2, 3]),
        "tail": (c[n - 2 :], [2, 3, 4]),
        "reversed": (c[:n][::-1], [3, 2, 1]),
        "gather": (K.gather(c, K.arange(n)), [1, 2, 3]),
        "tile": (K.tile(K.constant([5.0]), (n,)), [5, 5, 5]),
        "reshape": (K.reshape(K.constant(np.arange(6.0)), (n, 2)), [[0, 1], [2, 3], [4, 5]]),
        "broadcast": (K.ones_like(x) * K.constant(2.0), [2, 2, 2]),
        "range": (K.arange(n), [0, 1, 2]),
        "sum of a slice": (K.sum(c[:n]), 6.0),
        "gradient": (gradients(K.sum(K.concatenate([x, y]) * c), y)[0], [4]),
    }
    found = Function([x, y], [tensor for tensor, _ in results.values()])([1, 1, 1], [1])
    for (name, (_, expected)), array in zip(results.items(), found, strict=True):
        np.testing.assert_array_equal(array, expected, err_msg=name)
