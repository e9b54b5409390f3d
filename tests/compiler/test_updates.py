"""Updates under aliasing: new values that are variables, views, constants, inputs, outputs, or shared."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.compiler.function import Function
from symgraph.compiler.lower import variables_of
from symgraph.graph.evaluate import evaluate
from symgraph.graph.leaves import Variable, constant, placeholder
from symgraph.graph.ops import elementwise, matmul, reduce, shape, slicing
from symgraph.graph.tensor import Tensor

Build = Callable[[Tensor, Tensor, Tensor], list[Tensor]]

# New values of two 3x3 variables a and b, from a, b and an input x.
CASES: dict[str, Build] = {
    "swap": lambda a, b, x: [b, a],
    "one for both": lambda a, b, x: [b, b],
    "the input for both": lambda a, b, x: [x, x],
    "a constant": lambda a, b, x: [constant(np.full((3, 3), 7, np.float32)), a],
    "a sweep for both": lambda a, b, x: [a + b, a + b],
    "a sweep and what is made of it": lambda a, b, x: [a + b, (a + b) * a],
    "swapped sweeps": lambda a, b, x: [b + 1, a + 1],
    "transposed": lambda a, b, x: [shape.transpose(b), shape.transpose(a)],
    "a view of itself": lambda a, b, x: [shape.transpose(a), slicing.reverse(b, 0)],
    "read through a view of itself": lambda a, b, x: [a + shape.transpose(a), b * a],
    "read through a view of the other": lambda a, b, x: [a + shape.transpose(b), b + shape.transpose(a)],
    "a row of itself": lambda a, b, x: [a - a[0], b - b[:, :1]],
    "a row of the other": lambda a, b, x: [a - b[0], b - a[0]],
    "a reduction of itself": lambda a, b, x: [a - reduce.sum(a), b / (1 + reduce.max(a, 0))],
    "a product": lambda a, b, x: [matmul.matmul(a, b), matmul.matmul(b, a)],
    "broadcast": lambda a, b, x: [shape.broadcast_to(a[0], (3, 3)), a],
    "moments": lambda a, b, x: [a * 0.5 + x, b - (a * 0.5 + x) / 2],
    "chosen": lambda a, b, x: [elementwise.where(a > b, a, b), elementwise.where(a > b, b, a)],
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("as_outputs", [False, True])
def test_new_values_come_from_the_old_ones(name: str, as_outputs: bool) -> None:
    rng = np.random.default_rng(0)
    a, b = (Variable(rng.standard_normal((3, 3)).astype(np.float32)) for _ in range(2))
    x = placeholder((3, 3), name="x")
    values = CASES[name](a, b, x)
    outputs = [*values, a, shape.transpose(values[0])] if as_outputs else []
    f = Function([x], outputs, updates=[(a, values[0]), (b, values[1])])
    for _ in range(3):
        feed = rng.standard_normal((3, 3)).astype(np.float32)
        wanted = [np.array(v) for v in evaluate([*values, *outputs], {x: feed})]
        results = f(feed)
        for value, truth in zip((a.get_value(), b.get_value(), *results), wanted, strict=True):
            np.testing.assert_allclose(value, truth, rtol=1e-5, atol=1e-6)


def test_variables_without_elements_and_without_axes() -> None:
    empty, scalar = Variable(np.zeros((0, 4), np.float32)), Variable(np.float64(1.5))
    f = Function([], [empty, scalar], updates=[(empty, empty + 1), (scalar, -scalar)])
    assert f()[0].shape == (0, 4)
    assert scalar.get_value() == -1.5


def test_a_variable_is_updated_once_and_by_what_fits() -> None:
    v, other = Variable(np.float32([1, 2]), name="v"), Variable(np.float32([1, 2, 3]), name="other")
    with pytest.raises(ValueError, match="variable v is updated twice"):
        Function([], [], updates=[(v, v), (v, v + 1)])
    with pytest.raises(ValueError, match=r"variable v is float32\(2,\), its new value float32\(3,\)"):
        Function([], [], updates=[(v, other)])
    with pytest.raises(TypeError, match="variable v is float32, its new value float64"):
        Function([], [], updates=[(v, elementwise.cast(v, "float64"))])
    with pytest.raises(TypeError, match="expected pairs of a variable"):
        Function([], [], updates=[(v + 1, v)])


def test_an_error_leaves_every_variable_as_it_was() -> None:
    i = placeholder((None,), dtype="int32", name="i")
    v, w = Variable(np.zeros(3, np.float32)), Variable(np.zeros((), np.float32))
    f = Function([i], [], updates=[(v, v + 1), (w, reduce.sum(v[i]) + 1)])
    with pytest.raises(ValueError, match="out of range"):
        f(np.int32([0, 3]))
    assert not v.get_value().any() and not w.get_value().any()


def test_random_numbers_that_are_not_drawn_do_not_advance() -> None:
    """Testing in between changes nothing in training: dropout is not drawn there."""
    x = K.placeholder((50,))
    y = K.in_train_phase(K.dropout(x, 0.5, seed=1), x)
    train = K.function([x, K.learning_phase()], y)
    ones = np.ones(50, "float32")
    first = [train([ones, 1]) for _ in range(3)]

    again = K.in_train_phase(K.dropout(x, 0.5, seed=1), x)
    both = K.function([x, K.learning_phase()], again)
    found = []
    for _ in range(3):
        found.append(both([ones, 1]))
        np.testing.assert_array_equal(both([ones, 0]), ones)
    np.testing.assert_array_equal(found, first)


def test_a_default_update_that_is_asked_for_is_done() -> None:
    y = K.random_uniform((3,), seed=1)
    (state,) = [v for v in variables_of([y]) if v.default_update is not None]
    before = state.get_value()
    K.function([], [], updates=[(state, state.default_update)])([])
    assert (state.get_value() != before).any()
