"""Sizes that data tell: learnt from inputs and givens, checked against each other and against variables."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgraph.compiler.function import Function
from symgraph.graph.dims import unknown
from symgraph.graph.evaluate import evaluate
from symgraph.graph.leaves import Variable, constant, placeholder
from symgraph.graph.ops import reduce, shape
from symgraph.graph.tensor import Tensor


def _product_first() -> tuple[Tensor, Tensor, Tensor]:
    n, t = unknown("N"), unknown("T")
    x, y = placeholder((n * t,), name="x"), placeholder((n, t), name="y")
    return x, y, shape.reshape(x, (n, t)) + y


def test_expressions_of_sizes() -> None:
    x, y, total = _product_first()
    double = shape.concatenate([y, y], 0)
    f = Function([x, y], [total, double])
    for n, t in ((2, 3), (5, 1), (0, 4)):
        values = np.arange(n * t, dtype=np.float32), np.ones((n, t), np.float32)
        first, second = f(*values)
        np.testing.assert_array_equal(first, values[0].reshape(n, t) + 1)
        assert second.shape == (2 * n, t)


def test_a_product_of_sizes_is_checked_whatever_the_order_of_inputs() -> None:
    x, y, total = _product_first()
    message = r"input x: expected size N\*T \(= 6 by the other inputs\) on axis 0, got shape \(7,\)"
    with pytest.raises(ValueError, match=message):
        Function([x, y], total)(np.zeros(7), np.zeros((2, 3)))
    with pytest.raises(ValueError, match=message):
        evaluate([total], {x: np.zeros(7), y: np.zeros((2, 3))})


def test_a_size_that_no_input_tells_is_named() -> None:
    x = placeholder((None,), name="x")
    with pytest.raises(ValueError, match=r"missing input: .*test_sizes\.py:\d+: .*size N_x, which no input"):
        Function([], shape.broadcast_to(constant(1.0), x.shape))
    with pytest.raises(ValueError, match="no input determines"):
        Function([], shape.shape(x))


def test_a_product_alone_tells_none_of_its_factors() -> None:
    x, _, total = _product_first()
    with pytest.raises(ValueError, match="no input determines the size"):
        Function([x], shape.reshape(x, total.shape))(np.zeros(6))


@pytest.mark.parametrize("size", [1, 2, 4])
def test_a_new_value_of_another_shape_is_refused(size: int) -> None:
    x = placeholder((None,), name="x")
    for value in (x, x * 2):
        v, w = Variable(np.zeros(3, np.float32), name="vee"), Variable(np.zeros(3, np.float32))
        f = Function([x], [], updates=[(w, value), (v, value)])
        with pytest.raises(ValueError, match=r"test_sizes\.py:\d+: updates: variable .* has shape \(3,\)"):
            f(np.ones(size))
        assert not v.get_value().any() and not w.get_value().any()
        f(np.ones(3))
        assert v.get_value().all() and w.get_value().all()


def test_givens_tell_sizes() -> None:
    x = placeholder((None, 2), name="x")
    f = Function([], [x * 2, reduce.mean(x, 0)], givens={x: np.ones((4, 2), np.float32)})
    doubled, mean = f()
    np.testing.assert_array_equal(doubled, np.full((4, 2), 2))
    np.testing.assert_array_equal(mean, [1, 1])


def test_givens_of_another_shape_are_refused() -> None:
    x, y = placeholder((3,), name="x"), placeholder((None,), name="y")
    with pytest.raises(ValueError, match=r"givens: .*'x'.*shapes differ"):
        Function([], reduce.sum(x), givens={x: np.ones(5, np.float32)})
    with pytest.raises(ValueError, match="shapes differ"):
        Function([], reduce.sum(x), givens={x: 1.0})
    f = Function([y], reduce.sum(x), givens={x: y * 2})
    assert f(np.ones(3)) == 6
    with pytest.raises(ValueError, match=r"input x: expected size 3 on axis 0, got shape \(5,\)"):
        f(np.ones(5))


def test_slices_of_slices_stay_short() -> None:
    x = placeholder((None,), name="x")
    cuts = {
        "start": lambda t: t[1:],
        "end": lambda t: t[:-1],
        "both": lambda t: t[1:-1],
        "backwards": lambda t: t[::-1][2:],
        "steps": lambda t: t[1::2],
    }
    for name, cut in cuts.items():
        y = x
        for _ in range(40):
            y = cut(y)
        assert len(str(y.shape)) < 5000, name
        f = Function([x], y)
        for size in (200, 85, 41, 40, 3, 0):
            value = np.arange(float(size))
            expected = value
            for _ in range(40):
                expected = cut(expected)
            np.testing.assert_array_equal(f(value), expected, err_msg=f"{name} {size}")


_BOUND = st.none() | st.integers(-9, 9)
_SLICES = st.lists(st.builds(slice, _BOUND, _BOUND, st.sampled_from([None, 1, 2, 3, -1, -2])), max_size=6)


@settings(max_examples=100, deadline=None)
@given(_SLICES)
def test_any_slices_of_slices(keys: list[slice]) -> None:
    x = placeholder((None,), name="x")
    y = x
    for key in keys:
        y = y[key]
    for size in (0, 1, 2, 3, 5, 9, 10, 17, 40):
        value = np.arange(size, dtype=np.float32)
        expected = value
        for key in keys:
            expected = expected[key]
        np.testing.assert_array_equal(evaluate([y], {x: value})[0], expected)


def test_shapes_are_printed_as_written() -> None:
    x = placeholder((None, 3), name="x")
    assert str(x.shape) == "(N_x, 3)"
    assert str(shape.flatten(x).shape) == "(3*N_x,)"


def test_sizes_met_along_many_paths() -> None:
    n = shape.shape(placeholder((None,), name="x"))[0]
    for _ in range(30):
        n = n + n
    assert str(shape.reshape(placeholder((None,)), (n,)).shape) == f"({2**30}*N_x,)"


@pytest.mark.parametrize("reduction", [reduce.max, reduce.min, reduce.argmin, reduce.argmax])
def test_an_axis_that_turns_out_empty_is_refused(reduction: object) -> None:
    x = placeholder((None, 3), name="x")
    f = Function([x], reduction(x * 2, 0))  # type: ignore[operator]
    assert f(np.ones((2, 3))).shape == (3,)
    with pytest.raises(ValueError, match=r"test_sizes\.py:\d+: .* of an empty axis, got float32\(0, 3\)"):
        f(np.ones((0, 3)))
