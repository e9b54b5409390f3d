"""Tensors: dtypes and their meeting, operators, indexing, names, and where nodes come from."""

from __future__ import annotations

import gc
import operator
import re
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.compiler.function import Function
from symgraph.graph.evaluate import evaluate
from symgraph.graph.gradient import gradients
from symgraph.graph.leaves import Variable, constant, placeholder
from symgraph.graph.ops import elementwise, math, matmul, nn, reduce
from symgraph.graph.origin import layer_scope
from symgraph.graph.tensor import topological
from symgraph.graph.types import dtype_name


@pytest.mark.parametrize("name", ["complex64", "float128", "object", "str"])
def test_other_dtypes_are_refused(name: str) -> None:
    with pytest.raises(TypeError, match="is not supported: expected one of bool, int8, uint8"):
        dtype_name(name)


@pytest.mark.parametrize(
    ("dtype", "number", "expected"),
    [
        ("float32", 2, "float32"),
        ("float32", 2.5, "float32"),
        ("float32", np.float64(2.5), "float32"),
        ("float32", np.sqrt(2.0), "float32"),
        ("float32", np.ones(2), "float32"),
        ("float32", [0.5, 1.5], "float32"),
        ("float32", np.array(2.5), "float32"),
        ("float32", np.ones(2, "float16"), "float32"),
        ("float32", np.ones(2, "int64"), "float32"),
        ("float16", np.ones(2), "float32"),
        ("float64", np.ones(2, "float32"), "float64"),
        ("float64", np.float32(2.5), "float64"),
        ("int32", np.ones(2), "float64"),
        ("int32", np.ones(2, "float32"), "float32"),
        ("bool", np.ones(2), "float64"),
        ("int32", np.ones(2, "int64"), "int64"),
        ("float64", 2.5, "float64"),
        ("int64", 2, "int64"),
        ("int32", 2.5, "float32"),
        ("uint8", 255, "uint8"),
        ("bool", 2, "int32"),
        ("bool", True, "int32"),
    ],
)
def test_numbers_take_the_dtype_of_what_they_meet(dtype: str, number: Any, expected: str) -> None:
    x = placeholder((2,), dtype=dtype)
    assert (x + number).dtype == expected
    assert (number + x).dtype == expected


@pytest.mark.parametrize(("dtype", "number"), [("uint8", 256), ("uint8", -1), ("int32", 2**31)])
def test_a_number_that_does_not_fit_is_refused(dtype: str, number: int) -> None:
    with pytest.raises(ValueError, match=f"the number {number} does not fit into {dtype}"):
        placeholder((2,), dtype=dtype) * number


BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "**": lambda a, b: a**b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
LOGICAL: dict[str, Callable[[Any, Any], Any]] = {
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
}


@pytest.mark.parametrize("name", BINARY)
def test_operators(name: str) -> None:
    value = np.array([0.5, 2.0, 3.5])
    x = placeholder((3,), dtype="float64", name="x")
    for build in (
        lambda t: BINARY[name](t, 2.0),
        lambda t: BINARY[name](3.0, t),
        lambda t: BINARY[name](np.array([2.0, 1.0, 4.0]), t),
    ):
        np.testing.assert_allclose(build(x).eval({x: value}), build(value))


@pytest.mark.parametrize("name", LOGICAL)
def test_logical_operators(name: str) -> None:
    value = np.array([True, False])
    x = placeholder((2,), dtype="bool", name="x")
    for other in (True, False, np.array([False, True])):
        for build in (lambda t, o=other: LOGICAL[name](t, o), lambda t, o=other: LOGICAL[name](o, t)):
            np.testing.assert_array_equal(build(x).eval({x: value}), build(value))
    np.testing.assert_array_equal((~x).eval({x: value}), ~value)


def test_signs() -> None:
    x = placeholder((2,), name="x")
    value = np.float32([-1, 2])
    for build in (lambda t: -t, lambda t: +t, abs):
        np.testing.assert_array_equal(build(x).eval({x: value}), build(value))


@pytest.mark.parametrize(
    "key",
    [
        0, -1, slice(None), slice(1, None), slice(None, -1), slice(None, None, -2), (slice(None), 1),
        (..., 0), (None, 1, ..., None), (slice(1, 3), slice(None, None, 2)), ([2, 0, 2],),
        (slice(None), [1, -1]),
    ],
)  # fmt: skip
def test_indexing(key: Any) -> None:
    value = np.arange(24.0).reshape(4, 3, 2)
    for sizes in ((4, 3, 2), (None, 3, None)):
        x = placeholder(sizes, dtype="float64", name="x")
        np.testing.assert_array_equal(x[key].eval({x: value}), value[key])


def test_a_tensor_has_no_truth_and_no_length() -> None:
    x = placeholder((3,), name="x")
    with pytest.raises(TypeError, match="symbolic and has no truth value"):
        bool(x > 0)
    for sizes in ((3,), (None,), ()):
        x = placeholder(sizes)
        assert not hasattr(x, "__len__")
        for use in (iter, list, lambda t: 1.0 in t, lambda t: [*t]):
            with pytest.raises(TypeError, match=r"not iterable|cannot be iterated"):
                use(x)
    assert x in [placeholder((2,)), x]


NUMPYS: list[tuple[str, Callable[[Any], Any]]] = [
    ("cannot be given to np.copyto; use functions of symgraph.numpy or K", lambda x: np.copyto(x, x)),
    ("cannot be given to np.add.reduce; use functions of", np.add.reduce),
    ("cannot be given to np.apply_along_axis; use functions", lambda x: np.apply_along_axis(np.sum, 0, x)),
    ("np.add cannot store it in an array", lambda x: np.add(x, 1, out=np.ones((2, 2)))),
    ("cannot be called as np.sum was", lambda x: np.sum(x, where=np.ones(2) > 0)),
    ("cannot be called as np.round was", lambda x: np.round(x, 2)),
    ("an array of numpy; use functions of", np.array),
    ("an array of numpy; use functions of", lambda x: np.array([x, x])),
    ("an array of numpy; use functions of", lambda x: np.array([x, 1.0], dtype=object)),
    ("an array of numpy; use functions of", lambda x: K.maximum(x, [x, x])),
]


@pytest.mark.parametrize(("text", "function"), NUMPYS)
def test_what_numpy_cannot_do_with_tensors_is_refused(text: str, function: Callable[[Any], Any]) -> None:
    for tensor in (placeholder((2, 2), name="x"), Variable(np.ones((2, 2)), name="x")):
        with pytest.raises(TypeError, match=rf"<Tensor 'x' .*is symbolic.*{re.escape(text)}"):
            function(tensor)


@pytest.mark.parametrize("convert", [float, int, complex, range, lambda t: [1, 2][t], operator.index])
def test_a_tensor_is_no_number_of_python(convert: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match=r"<Tensor 'x' .*is symbolic and is no number of Python; use K.cast"):
        convert(placeholder((), dtype="int32", name="x"))


def test_static_shapes() -> None:
    """As TensorFlow 1 has them."""
    shape = placeholder((None, 3, 2)).get_shape()
    assert shape.as_list() == [None, 3, 2]
    assert (shape.ndims, len(shape), shape.num_elements(), shape.is_fully_defined()) == (3, 3, None, False)
    assert shape[0].value is None
    assert shape[1].value == 3
    assert int(shape[-1]) == 2
    with pytest.raises(TypeError, match="size N is not known"):
        int(shape[0])
    assert shape[1:].as_list() == [3, 2]
    assert shape[1:] == (3, 2)
    assert shape[1:] == [3, 2]
    assert shape[1:] != (3, 3)
    assert shape[1:].num_elements() == 6
    assert [size.value for size in shape] == shape.as_list() == [size.value for size in shape.dims]
    assert repr(shape) == "(N, 3, 2)"
    assert hash(shape[1:]) == hash((3, 2))
    assert np.zeros(shape[1:]).shape == (3, 2)
    assert placeholder(shape).get_shape() == shape


def test_set_shape_tells_unknown_sizes_and_is_checked() -> None:
    x = placeholder((None, None))
    y = x * 2
    y.set_shape((4, None))
    assert y.get_shape().as_list() == [4, None]
    y.set_shape([None, 3])
    assert y.shape == (4, 3)
    right, wrong = np.ones((4, 3)), [np.ones((1, 3)), np.ones((5, 3)), np.ones((4, 1))]
    for result, expected in ((y, 2.0), (y + 1, 3.0), (reduce.sum(y), 24.0), (gradients(y * y, [x])[0], 8.0)):
        f = Function([x], result)
        np.testing.assert_array_equal(f(right), expected)
        for value in wrong:
            with pytest.raises(ValueError, match=r"have to be equal"):
                f(value)
    for sizes in ((5, 3), (4,), (4, 3, 1)):
        with pytest.raises(ValueError, match="set_shape"):
            y.set_shape(sizes)
    with pytest.raises(ValueError, match="at least 0"):
        placeholder((None,)).set_shape((-1,))
    assert y.shape == (4, 3)


def test_set_shape_of_a_placeholder() -> None:
    x = placeholder((None, 2), name="x")
    x.set_shape((3, 2))
    f = Function([x], x + 1)
    np.testing.assert_array_equal(f(np.ones((3, 2))), np.full((3, 2), 2.0))
    with pytest.raises(ValueError, match="expected size 3 on axis 0"):
        f(np.ones((4, 2)))


def test_every_node_knows_its_line_and_layer_also_after_rewriting() -> None:
    x, w = placeholder((None, 4), name="x"), Variable(np.ones((4, 3), np.float32), name="w")
    with layer_scope("dense_1"):
        hidden = math.relu(matmul.matmul(x, w) + np.ones(3, np.float32))
    loss = -reduce.mean(math.log(nn.softmax(hidden)))
    (grad,) = gradients(loss, [w])
    for node in topological([loss, grad]):
        assert all(o.file == __file__ and o.line > 0 for o in node.origins), node
    lowered = Function([x], loss, updates=[(w, w - 0.1 * grad)]).lowered()
    for node in lowered.nodes:
        assert node.origins, node
        assert all(o.file == __file__ for o in node.origins), node
    products = [n for n in lowered.nodes if str(n.op).startswith("matmul")]
    assert products
    assert {n.layer for n in products} == {"dense_1"}


def test_gradients_of_what_cannot_have_them() -> None:
    x, n = placeholder((3,), name="x"), placeholder((3,), dtype="int32", name="n")
    with pytest.raises(TypeError, match="expected a float loss, got int32"):
        gradients(n, [x])
    with pytest.raises(TypeError, match=r"'n'.* is not a float tensor"):
        gradients(x * 1.0, [n])
    with pytest.raises(ValueError, match="disconnected has to be one of"):
        gradients(x * 1.0, [x], disconnected="nothing")
    with pytest.raises(TypeError, match="expected a tensor as variable number 1, got 3"):
        gradients(x * 1.0, [x, 3])
    with pytest.raises(TypeError, match="expected a tensor as loss, got 3"):
        gradients(3, [x])
    for grad in (np.ones(5, np.float32), np.ones(3), np.float32(1)):
        with pytest.raises(ValueError, match=r"expected a grad of type float32\(3,\), got"):
            gradients(x * 1.0, [x], grad=constant(grad))
    assert gradients(reduce.sum(elementwise.cast(x > 0, "float32")), [x]) == [None]


def test_gradient_of_intermediate_nodes_and_of_the_loss_itself() -> None:
    x = placeholder((), dtype="float64", name="x")
    hidden = x * 3.0
    loss = hidden * hidden
    found = gradients(loss, [loss, hidden, x])
    values = evaluate([g for g in found if g is not None], {x: 2.0})
    np.testing.assert_allclose(values, [1, 12, 36])


def test_nothing_is_left_of_a_thousand_graphs() -> None:
    def build(width: int) -> weakref.ref[Any]:
        x, w = placeholder((None, width)), Variable(np.ones((width, 2), np.float32))
        loss = reduce.mean(math.tanh(matmul.matmul(x, w)))
        (grad,) = gradients(loss, [w])
        step = Function([x], loss, updates=[(w, w - grad)])
        if width % 100 == 1:
            step(np.ones((3, width)))
        return weakref.ref(w)

    gc.collect()
    before = len(gc.get_objects())
    left = [build(width) for width in range(1, 1001)]
    gc.collect()
    assert not any(reference() is not None for reference in left)
    assert len(gc.get_objects()) < before + 5000


def test_a_variable_refuses_what_it_cannot_hold() -> None:
    v = Variable(np.zeros(2, np.uint8), name="v")
    for value in ([1.5, 2], [300, 0], [-1, 0], [np.nan, 0]):
        with pytest.raises(ValueError, match=r"variable v: values of dtype .* do not fit into uint8"):
            v.set_value(value)
    with pytest.raises(ValueError, match=r"expected a value of shape \(2,\), got \(3,\)"):
        v.set_value([1, 2, 3])
    with pytest.raises(TypeError, match="expected numbers"):
        v.set_value(["a", "b"])
    assert not v.get_value().any()
    v.set_value([2.0, 255.0])
    np.testing.assert_array_equal(v.get_value(), [2, 255])


@pytest.mark.parametrize("arguments", [("x",), ((None, 5), "x")])
def test_a_name_in_the_place_of_sizes_is_refused(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(
        TypeError, match=r"placeholder: (shape|ndim): expected .*, got 'x'; a name is given as"
    ):
        placeholder(*arguments)
