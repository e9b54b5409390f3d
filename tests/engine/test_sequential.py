"""Sequential models: adding, building early or late, popping, nesting, and failures that leave no trace."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.engine import Layer
from symgraph.layers import (
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    InputLayer,
    MaxPooling2D,
)
from symgraph.models import Model, Sequential
from tests.layer_checkers import run


@pytest.fixture(autouse=True)
def fresh_names() -> None:
    K.clear_session()


@pytest.mark.parametrize(
    "first",
    [
        lambda: [Dense(3, input_shape=(4,))],
        lambda: [Dense(3, input_dim=4)],
        lambda: [Dense(3, batch_input_shape=(None, 4))],
        lambda: [InputLayer((4,)), Dense(3)],
        lambda: [Sequential([Dense(3, input_dim=4)])],
    ],
)
def test_ways_to_tell_the_input_shape(first: Any) -> None:
    model = Sequential(first())
    model.add(Dense(2))
    assert model.built
    assert model.input_shape == (None, 4)
    assert model.output_shape == (None, 2)
    assert len(model.weights) == 4


def test_fixed_batch_and_dtype() -> None:
    model = Sequential([Dense(3, input_shape=(4,), batch_size=5, dtype="float32")])
    assert model.output_shape == (5, 3)
    assert model.inputs[0].name == "dense_1_input"


def test_layers_leave_out_the_input_layer() -> None:
    model = Sequential([Dense(3, input_dim=4), Dense(2)])
    assert [layer.name for layer in model.layers] == ["dense_1", "dense_2"]
    assert len(model._layers) == 3
    assert model.get_layer(index=0).name == "dense_1"


def test_built_late() -> None:
    model = Sequential([Dense(3), Dropout(0.5), Dense(2)])
    assert not model.built
    assert model.weights == []
    with pytest.raises(ValueError, match="has not yet been built"):
        model.summary()
    model.build((None, 4))
    assert model.built
    assert [tuple(w.shape) for w in model.weights] == [(4, 3), (3,), (3, 2), (2,)]
    config = model.get_config()
    assert config["build_input_shape"] == (None, 4)
    again = Sequential.from_config(json.loads(json.dumps(config)))
    assert again.output_shape == (None, 2)


def test_a_failed_build_can_be_repeated() -> None:
    model = Sequential([Conv2D(2, 3), MaxPooling2D(), Flatten(), Dense(1)])
    with pytest.raises(ValueError, match="max_pooling2d_1"):
        model.build((None, 3, 3, 5))
    assert not model.built
    assert not any(layer.built and layer.weights for layer in model.layers)
    model.build((None, 8, 8, 1))
    assert model.output_shape == (None, 1)


def test_built_by_a_call() -> None:
    inner = Sequential([Dense(3), Dense(2)])
    x = Input((4,))
    y = inner(x)
    assert K.int_shape(y) == (None, 2)
    assert inner.built
    model = Model(x, y)
    assert len(model.weights) == 4


def test_a_failed_add_leaves_the_model_as_it_was() -> None:
    model = Sequential([Conv2D(3, 3, input_shape=(5, 5, 1))])
    before = model.get_config()
    bad = Conv2D(3, 4)
    with pytest.raises(ValueError, match="conv2d_2"):
        model.add(bad)
    assert model.get_config() == before
    assert not bad.built
    assert model.built
    with pytest.raises(ValueError, match='"conv2d_1" is used 2 times'):
        model.add(Dense(2, name="conv2d_1"))
    with pytest.raises(TypeError, match="must be an instance of class Layer"):
        model.add("dense")  # type: ignore[arg-type]
    assert model.get_config() == before
    model.add(Flatten())
    assert model.output_shape == (None, 27)


def test_layers_with_several_outputs() -> None:
    class Twin(Layer):
        def call(self, inputs: Any) -> Any:
            return [inputs, inputs + 1]

        def compute_output_shape(self, input_shape: Any) -> Any:
            return [input_shape, input_shape]

    with pytest.raises(TypeError, match="single output tensor"):
        Sequential([Dense(3, input_dim=4), Twin()])
    with pytest.raises(TypeError, match="single output tensor"):
        Sequential([Twin(input_shape=(3,))])


def test_pop() -> None:
    model = Sequential([Dense(3, input_dim=4), Dense(2), Dense(1)])
    model.pop()
    assert model.output_shape == (None, 2)
    assert len(model.layers) == 2
    assert model.layers[-1]._outbound_nodes == []
    model.add(Dense(5))
    assert model.output_shape == (None, 5)
    for _ in range(3):
        model.pop()
    assert model.layers == []
    assert model.outputs is None
    with pytest.raises(TypeError, match="no layers"):
        model.pop()
    model.add(Dense(2, input_dim=3))
    assert model.output_shape == (None, 2)


def test_pop_before_build() -> None:
    model = Sequential([Dense(3), Dense(2)])
    model.pop()
    assert [layer.name for layer in model.layers] == ["dense_1"]
    model.build((None, 4))
    assert model.output_shape == (None, 3)


def test_nested_models_first_or_later() -> None:
    inner = Sequential([Dense(3, input_dim=4), BatchNormalization()])
    x = Input((3,))
    functional = Model(x, Dense(2)(x))
    model = Sequential([inner, functional])
    assert model.input_shape == (None, 4)
    assert model.output_shape == (None, 2)
    assert len(model.updates) == 2
    data = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    once = run(inner.outputs[0], inner.inputs, [data])
    np.testing.assert_allclose(
        run(model.outputs[0], model.inputs, [data]),
        run(functional.outputs[0], functional.inputs, [once]),
        rtol=1e-5,
        atol=1e-6,
    )
    again = Sequential.from_config(json.loads(json.dumps(model.get_config())))
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(
        run(again.outputs[0], again.inputs, [data]), run(model.outputs[0], model.inputs, [data])
    )
    with pytest.raises(ValueError, match="Cannot add an empty model"):
        Sequential([Sequential(), Dense(2)])


def test_the_same_layer_twice_is_shared() -> None:
    layer = Dense(4)
    model = Sequential([Dense(4, input_dim=4), layer, layer])
    assert len(model.weights) == 4
    kernel, bias, shared, shared_bias = model.get_weights()
    x = np.ones((2, 4))
    expected = ((x @ kernel + bias) @ shared + shared_bias) @ shared + shared_bias
    np.testing.assert_allclose(run(model.outputs[0], model.inputs, [x]), expected, rtol=1e-4, atol=1e-5)


def test_old_configurations_are_bare_lists() -> None:
    model = Sequential([Dense(3, input_dim=4)])
    again = Sequential.from_config(model.get_config()["layers"])
    assert again.output_shape == (None, 3)
    with pytest.raises(ValueError, match="expected a list of layers"):
        Sequential.from_config({"name": "x"})


def test_predict_classes_and_proba() -> None:
    model = Sequential([Dense(3, input_dim=4, activation="softmax")])
    data = np.random.default_rng(0).normal(size=(7, 4)).astype("float32")
    proba = model.predict_proba(data)
    np.testing.assert_array_equal(model.predict_classes(data), proba.argmax(-1))
    single = Sequential([Dense(1, input_dim=4)])
    classes = single.predict_classes(data)
    assert classes.dtype == np.int32
    np.testing.assert_array_equal(classes, single.predict(data) > 0.5)
    with pytest.warns(UserWarning, match="invalid probability values"):
        single.predict_proba(data * 100)


def test_build_without_layers() -> None:
    with pytest.raises(ValueError, match="has no layers"):
        Sequential().build((None, 3))
