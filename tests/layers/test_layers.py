"""Layers one by one: what the generic check cannot see."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symgraph import backend as K
from symgraph import globals as state
from symgraph import layers
from symgraph.engine.files.layer_config import json_value
from symgraph.layers import (
    Concatenate,
    Conv2DTranspose,
    Cropping1D,
    Cropping2D,
    Cropping3D,
    Dot,
    Flatten,
    GlobalAveragePooling1D,
    Input,
    Lambda,
    Masking,
    Permute,
    PReLU,
    ReLU,
    Reshape,
    Subtract,
    UpSampling2D,
    ZeroPadding2D,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from symgraph.models import Model, Sequential
from tests.layer_checkers import run


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Reshape((-1, -1)), "one unknown dimension"),
        (lambda: Permute((1, 3)), "Invalid permutation"),
        (lambda: Conv2DTranspose(2, 3, strides=2, output_padding=2), "must be greater than output padding"),
        (lambda: Dot((1, 2, 3)), "should contain two elements"),
        (lambda: Dot((1, 2.0)), 'elements should be "int"'),
        (lambda: ZeroPadding2D((1, 2, 3)), "should have two elements"),
        (lambda: ZeroPadding2D("1"), "should be either an int"),
        (lambda: UpSampling2D(interpolation="cubic"), "nearest"),
        (lambda: ReLU(max_value=-1.0), "max_value of ReLU layer cannot be negative"),
        (lambda: ReLU(negative_slope=-1.0), "negative_slope of ReLU layer cannot be negative"),
        (lambda: layers.MaxPooling2D(0), "at least 1"),
        (lambda: layers.MaxPooling2D(padding="causal"), "valid"),
        (lambda: layers.Conv2D(1, 1, data_format="channels_middle"), "channels_middle"),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shapes", "message"),
    [
        (lambda: Reshape((5,)), [(4,)], "total size of new array must be unchanged|reshape"),
        (Subtract, [(4,), (4,), (4,)], "exactly 2 inputs"),
        (layers.Add, [(4,)], "list of inputs"),
        (Concatenate, [(4,)], "list of at least 2 inputs"),
        (lambda: Concatenate(axis=1), [(4, 2), (4, 3)], "matching shapes except for the concat axis"),
        (lambda: Concatenate(axis=5), [(4, 2), (4, 2)], "axis 5 lies outside"),
        (lambda: Dot(1), [(4,), (5,)], "Dimension incompatibility 4 != 5"),
        (lambda: Dot(3), [(4,), (4,)], "lie outside inputs"),
        (lambda: PReLU(shared_axes=[4]), [(4,)], "shared_axes"),
        (PReLU, [(None, 4)], "known sizes"),
        (Flatten, [(None, 4)], "not fully defined"),
    ],
)
def test_wrong_inputs(layer: Any, shapes: Any, message: str) -> None:
    made = layer()
    inputs = [Input(shape) for shape in shapes]
    with pytest.raises(ValueError, match=message):
        made(inputs if len(inputs) > 1 else inputs[0])
    assert made._inbound_nodes == []


def test_batches_that_differ() -> None:
    with pytest.raises(ValueError, match="different batch sizes"):
        add([Input(batch_shape=(2, 3)), Input(batch_shape=(4, 3))])


def test_functional_forms() -> None:
    a, b = Input((3,)), Input((3,))
    x, y = np.array([[1.0, 2.0, 3.0]]), np.array([[3.0, 2.0, 5.0]])
    for build, expected in (
        (add, x + y),
        (subtract, x - y),
        (multiply, x * y),
        (average, (x + y) / 2),
        (maximum, np.maximum(x, y)),
        (minimum, np.minimum(x, y)),
        (concatenate, np.concatenate([x, y], 1)),
        (lambda inputs: dot(inputs, 1), (x * y).sum(1, keepdims=True)),
        (lambda inputs: dot(inputs, 1, normalize=True), [[22 / np.sqrt(14 * 38)]]),
    ):
        np.testing.assert_allclose(run(build([a, b]), [a, b], [x, y]), expected, rtol=1e-6)
    assert add([a, b], name="total")._keras_history[0].name == "total"


def test_second_names() -> None:
    assert layers.MaxPool2D is layers.MaxPooling2D
    assert layers.Convolution2D is layers.Conv2D
    for name in layers.__all__:
        assert hasattr(layers, name)


def test_masked_mean_of_steps() -> None:
    x = Input((3, 2))
    data = np.array([[[1.0, 2.0], [0.0, 0.0], [3.0, 6.0]]])
    y = GlobalAveragePooling1D()(Masking()(x))
    np.testing.assert_allclose(run(y, [x], [data]), [[2.0, 4.0]])


def test_lambda_with_mask_and_arguments() -> None:
    x = Input((3, 2))
    arguments = {"k": np.array([1.0, 2.0], "float32")}
    layer = Lambda(
        lambda inputs, mask, k: inputs * k * K.cast(K.expand_dims(mask), "float32"),
        mask=lambda inputs, mask: mask,
        arguments=arguments,
    )
    y = layer(Masking(mask_value=1.0)(x))
    data = np.full((1, 3, 2), 2.0)
    data[0, 1] = 1.0
    np.testing.assert_allclose(run(y, [x], [data])[0], [[2, 4], [0, 0], [2, 4]])
    assert layer.output_mask is not None
    assert list(layer.arguments) == ["k"]
    config = json.loads(json.dumps(layer.get_config(), default=json_value))
    again = Lambda.from_config(config, safe_mode=False)
    np.testing.assert_array_equal(again.arguments["k"], arguments["k"])


def test_lambda_output_shapes() -> None:
    x = Input((4,))
    assert K.int_shape(Lambda(lambda t: t[:, :2])(x)) == (None, 2)
    stated = Lambda(lambda t: t, output_shape=lambda shape: [shape[0], 4])
    assert stated.compute_output_shape((None, 4)) == (None, 4)
    several = Lambda(lambda t: [t, t * 2])
    assert len(several(x)) == 2
    assert several.compute_output_shape((None, 4)) == [(None, 4), (None, 4)]
    with pytest.raises(TypeError, match="`output_shape`"):
        Lambda(lambda t: t, output_shape=3)
    with pytest.raises(TypeError, match="`function`"):
        Lambda("t")  # type: ignore[arg-type]


def _plus(x: Any) -> Any:
    return x + 1


def test_lambda_of_a_named_object() -> None:
    class Plus:
        __name__ = "plus"

        def __call__(self, x: Any) -> Any:
            return x + 1

    config = Lambda(Plus()).get_config()
    assert (config["function"], config["function_type"]) == ("plus", "function")
    assert Lambda.from_config(config, {"plus": _plus}).function is _plus
    with pytest.raises(ValueError, match="plus"):
        Lambda.from_config(config)


def test_lambda_of_what_has_no_name_is_not_stored() -> None:
    layer = Lambda(partial(_scaled, by=3.0), name="triple")
    x = K.constant([1.0, 2.0])
    np.testing.assert_array_equal(K.eval(layer(x)), [3, 6])
    with pytest.raises(TypeError, match=r"layer triple: a Lambda is stored by .*functools\.partial"):
        layer.get_config()


def _scaled(x: Any, by: float) -> Any:
    return x * by


@pytest.mark.parametrize("safe_mode", [{}, {"safe_mode": True}, {"safe_mode": None}, {"safe_mode": 0}])
def test_lambda_code_is_refused_unless_asked_for(
    safe_mode: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Lambda(_plus, name="code", output_shape=lambda s: s).get_config()
    monkeypatch.setattr(state, "_written_functions", {})  # as if another process had written them
    with pytest.raises(ValueError, match="layer code: its function is stored as Python bytecode"):
        Lambda.from_config(config, **safe_mode)
    half = {**config, "function": "plus", "function_type": "function"}
    with pytest.raises(ValueError, match="layer code: its output_shape is stored as Python bytecode"):
        Lambda.from_config(half, {"plus": _plus}, **safe_mode)
    assert Lambda.from_config(config, {"code": _plus}, **safe_mode).function is _plus
    assert Lambda.from_config(config, safe_mode=False).function(1) == 2


def test_copies_of_lambda_layers_keep_the_function() -> None:
    layer = Lambda(_plus)
    assert layer._copy().function is _plus
    assert layer._copy().name == layer.name


def test_unknown_sizes_through_strided_and_transposed_convolutions() -> None:
    x = Input((None, None, 2))
    y = layers.Conv2D(3, 3, strides=2, padding="same")(x)
    z = Conv2DTranspose(4, 3, strides=2, padding="same")(y)
    model = Model(x, z)
    for size in (4, 7):
        data = np.random.default_rng(0).normal(size=(2, size, size + 1, 2))
        rows, columns = (2 * ((n + 1) // 2) for n in (size, size + 1))
        assert run(model.outputs[0], [x], [data]).shape == (2, rows, columns, 4)


def test_default_layout_is_read_when_a_layer_is_made() -> None:
    K.set_image_data_format("channels_first")
    try:
        layer = layers.Conv2D(4, 3)
    finally:
        K.set_image_data_format("channels_last")
    assert layer.data_format == "channels_first"
    assert K.int_shape(layer(Input((2, 7, 8)))) == (None, 4, 5, 6)


@given(st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=3), min_size=2, max_size=4))
def test_merged_shapes_are_those_of_numpy(shapes: list[list[int]]) -> None:
    batches = [(None, *shape) for shape in shapes]
    try:
        expected = np.broadcast_shapes(*(tuple(shape) for shape in shapes))
    except ValueError:
        with pytest.raises(ValueError, match="could not be broadcast"):
            layers.Add().build(batches)
    else:
        assert layers.Add().compute_output_shape(batches) == (None, *expected)


@pytest.mark.parametrize("cropping", [(3, 3), (5, 0), (0, 9), (9, 9)])
def test_cropping_to_nothing(cropping: tuple[int, int]) -> None:
    for layer, sample in (
        (Cropping1D(cropping), (5, 2)),
        (Cropping2D((cropping, (1, 0))), (5, 3, 2)),
        (Cropping3D(((0, 0), cropping, (1, 0))), (2, 5, 3, 2)),
    ):
        axis = sample.index(5)
        cut = [n - 1 if n == 3 else n for n in sample]
        cut[axis] = 0
        for sizes in (sample, (None,) * (len(sample) - 1) + (2,)):
            inputs = Input(sizes)
            model = Model(inputs, layer(inputs))
            assert model.predict(np.ones((4, *sample))).shape == (4, *cut)
        assert layer.compute_output_shape((None, *sample)) == (None, *cut)


@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
def test_vectors_and_numbers_are_flat_already(data_format: str) -> None:
    """As in tf.keras, where scripts flatten what may be flat."""
    vectors = np.random.default_rng(0).random((4, 5), "float32")
    model = Sequential([Flatten(data_format=data_format, input_shape=(5,))])
    np.testing.assert_array_equal(model.predict(vectors), vectors)
    x = Input(batch_shape=(None,))
    of_numbers = Model(x, Flatten(data_format=data_format)(x))
    assert of_numbers.output_shape == (None, 1)
    np.testing.assert_array_equal(K.function([x], [of_numbers.output])([vectors[:, 0]])[0], vectors[:, :1])
