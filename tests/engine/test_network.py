"""Functional networks: joints, shared and nested layers, losses, configurations, and what is refused."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pytest
import yaml

from symgraph import backend as K
from symgraph import globals as state
from symgraph.engine import Layer, get_source_inputs
from symgraph.engine.network import Network
from symgraph.graph.evaluate import evaluate
from symgraph.layers import (
    BatchNormalization,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    Lambda,
    Masking,
    add,
    concatenate,
    multiply,
)
from symgraph.models import Model, Sequential, model_from_json, model_from_yaml
from tests.layer_checkers import run


@pytest.fixture(autouse=True)
def fresh_names() -> None:
    K.clear_session()


def two_ended() -> Any:
    """Two inputs, a shared layer, two outputs."""
    a, b = Input((4,), name="a"), Input((4,), name="b")
    shared = Dense(3, name="shared")
    first = add([shared(a), shared(b)], name="sum")
    second = Dense(2, name="head")(concatenate([first, a], name="both"))
    return Model([a, b], [first, second], name="two")


def test_attributes() -> None:
    model = two_ended()
    assert [layer.name for layer in model.layers] == ["a", "b", "shared", "sum", "both", "head"]
    assert model.input_names == ["a", "b"]
    assert model.output_names == ["sum", "head"]
    assert model._feed_input_names == ["a", "b"]
    assert model._feed_inputs == model.inputs
    assert model._feed_input_shapes == model.internal_input_shapes == [(None, 4), (None, 4)]
    assert model.internal_output_shapes == [(None, 3), (None, 2)]
    assert model.output_shape == [(None, 3), (None, 2)]
    assert model.input_shape == [(None, 4), (None, 4)]
    assert model.compute_output_shape([(5, 4), (5, 4)]) == [(5, 3), (5, 2)]
    assert model.count_params() == 4 * 3 + 3 + 7 * 2 + 2
    assert model.get_layer("head") is model.get_layer(index=-1)
    assert get_source_inputs(model.outputs[1]) == model.inputs


def test_values_of_shared_layers() -> None:
    model = two_ended()
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    kernel, bias, head, head_bias = model.get_weights()
    a, b = rng.normal(size=(2, 5, 4)).astype("float32")
    first = (a + b) @ kernel + 2 * bias
    second = np.concatenate([first, a], 1) @ head + head_bias
    got = evaluate(model.outputs, dict(zip(model.inputs, [a, b], strict=True)))
    np.testing.assert_allclose(got[0], first, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got[1], second, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("way", ["config", "json", "yaml"])
def test_round_trip(way: str) -> None:
    model = two_ended()
    again = {
        "config": lambda: Model.from_config(model.get_config()),
        "json": lambda: model_from_json(model.to_json()),
        "yaml": lambda: model_from_yaml(model.to_yaml()),
    }[way]()
    assert json.loads(again.to_json()) == json.loads(model.to_json())
    again.set_weights(model.get_weights())
    data = [np.ones((2, 4)), np.zeros((2, 4))]
    for old, new in zip(model.outputs, again.outputs, strict=True):
        np.testing.assert_array_equal(run(old, model.inputs, data), run(new, again.inputs, data))


def test_text_says_which_keras() -> None:
    model = two_ended()
    described = json.loads(model.to_json())
    assert (described["class_name"], described["keras_version"], described["backend"]) == (
        "Model",
        "2.2.4",
        "tensorflow",
    )
    assert yaml.safe_load(model.to_yaml()) == described
    assert described["config"]["layers"][2]["inbound_nodes"] == [[["a", 0, 0, {}]], [["b", 0, 0, {}]]]
    assert described["config"]["input_layers"] == [["a", 0, 0], ["b", 0, 0]]


def test_a_layer_called_at_several_depths() -> None:
    x = Input((3,))
    shared, other = Dense(3), Dense(3)
    model = Model(x, shared(other(shared(shared(x)))))
    again = Model.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    again.set_weights(model.get_weights())
    data = [np.random.default_rng(0).normal(size=(2, 3))]
    np.testing.assert_array_equal(
        run(model.outputs[0], model.inputs, data), run(again.outputs[0], again.inputs, data)
    )


def test_calls_outside_the_network_are_left_out() -> None:
    x, elsewhere = Input((3,)), Input((3,))
    shared = Dense(3)
    shared(elsewhere)
    model = Model(x, Dense(2)(shared(x)))
    config = model.get_config()
    assert config["layers"][1]["inbound_nodes"] == [[["input_1", 0, 0, {}]]]
    assert config["layers"][2]["inbound_nodes"] == [[["dense_1", 0, 0, {}]]]
    assert Model.from_config(config).get_config() == config


def test_nested_networks() -> None:
    x = Input((4,))
    inner = Model(x, Dense(3, activation="tanh", kernel_regularizer="l2")(x), name="inner")
    a, b = Input((4,)), Input((4,))
    outer = Model([a, b], multiply([inner(a), inner(b)]))
    assert [layer.name for layer in outer.layers] == ["input_2", "input_3", "inner", "multiply_1"]
    assert len(outer.trainable_weights) == 2
    assert len(outer.losses) == 1
    data = [np.ones((2, 4)), np.full((2, 4), 2.0)]
    kernel, bias = inner.get_weights()
    expected = np.tanh(data[0] @ kernel + bias) * np.tanh(data[1] @ kernel + bias)
    np.testing.assert_allclose(run(outer.outputs[0], outer.inputs, data), expected, rtol=1e-5, atol=1e-6)
    again = Model.from_config(outer.get_config())
    assert again.get_config() == outer.get_config()
    again.set_weights(outer.get_weights())
    np.testing.assert_allclose(run(again.outputs[0], again.inputs, data), expected, rtol=1e-5, atol=1e-6)
    inner.trainable = False
    assert outer.trainable_weights == []
    assert len(outer.non_trainable_weights) == 2


def test_nested_network_with_a_sequential_built_late() -> None:
    inner = Sequential([Dense(3), Dense(2)])
    a, b = Input((4,)), Input((4,))
    model = Model([a, b], add([inner(a), inner(b)]))
    again = Model.from_config(json.loads(json.dumps(model.get_config())))
    assert json.dumps(again.get_config()) == json.dumps(model.get_config())


def test_called_twice_on_the_same_tensors() -> None:
    x = Input((4,))
    inner = Model(x, Dense(3)(x))
    a = Input((4,))
    first, second = inner(a), inner(a)
    assert first is not second
    assert (first._keras_history[1], second._keras_history[1]) == (1, 2)
    model = Model(a, add([first, second]))
    assert len(model.layers) == 3


def test_updates_and_losses_of_nested_networks() -> None:
    x = Input((4,))
    normed = BatchNormalization()
    inner = Model(x, Dense(2, activity_regularizer="l2")(normed(x)))
    assert len(inner.updates) == 2
    a = Input((4,))
    outer = Model(a, inner(a))
    assert len(outer.updates) == 2
    assert {id(u) for u in outer.updates}.isdisjoint(id(u) for u in inner.updates)
    assert len(outer.losses) == 1
    data = np.random.default_rng(0).normal(3.0, 2.0, size=(50, 4)).astype("float32")
    variable, value = outer.updates[0]
    assert variable is normed.moving_mean
    np.testing.assert_allclose(run(value, [a], [data]), 0.01 * data.mean(0), rtol=1e-4)
    normed.trainable = False
    assert inner.updates == []
    outer.trainable = False
    assert outer.updates == []


def test_losses_that_the_user_adds() -> None:
    x = Input((4,))
    y = Dense(3)(x)
    model = Model(x, y)
    model.add_loss(K.mean(y))
    assert len(model.losses) == 1
    assert len(model.losses) == len({id(loss) for loss in model.losses})


def test_frozen_networks() -> None:
    model = two_ended()
    assert len(model.trainable_weights) == 4
    order = model.weights
    model.get_layer("shared").trainable = False
    assert [w.name for w in model.trainable_weights] == ["head/kernel:0", "head/bias:0"]
    model.trainable = False
    assert model.trainable_weights == []
    assert sorted(w.name for w in model.weights) == sorted(w.name for w in order)


def test_set_weights_is_all_or_nothing() -> None:
    model = two_ended()
    before = model.get_weights()
    wrong = [w + 1 for w in before]
    wrong[-1] = np.ones(9)
    with pytest.raises(ValueError, match=r"Layer weight shape \(2,\) not compatible.*\(9,\)"):
        model.set_weights(wrong)
    with pytest.raises(ValueError, match=r'model "two".*list of length 3.*expecting 4'):
        model.set_weights(before[1:])
    for got, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_learning_phase_is_noted() -> None:
    x = Input((4,))
    assert not Model(x, Dense(2)(x)).uses_learning_phase
    assert Model(x, Dense(2)(Dropout(0.5)(x))).uses_learning_phase


def test_masks_go_through_networks() -> None:
    x = Input((3, 2))
    inner = Model(x, Masking()(x))
    a = Input((3, 2))
    inner(a)
    data = np.ones((1, 3, 2))
    data[0, 1] = 0.0
    mask = inner.get_output_mask_at(1)
    assert run(mask, [a], [data]).tolist() == [[True, False, True]]


def test_deep_networks_need_no_recursion() -> None:
    x = y = Input((2,))
    add_one = Lambda(lambda t: t + 1)
    for _ in range(1500):
        y = add_one(y)
    model = Model(x, y)
    assert len(model.layers) == 2
    assert len(model._nodes_by_depth) == 1501
    assert get_source_inputs(y) == [x]


def test_subclassed_models() -> None:
    class Pair(Model):
        def __init__(self) -> None:
            super().__init__(name="pair")
            self.first = Dense(3)
            self.second = Dense(2)

        def call(self, inputs: Any) -> Any:
            return self.second(self.first(inputs))

    model = Pair()
    assert [layer.name for layer in model.layers] == ["dense_1", "dense_2"]
    x = Input((4,))
    y = model(x)
    assert K.int_shape(y) == (None, 2)
    assert len(model.weights) == 4
    with pytest.raises(NotImplementedError):
        model.get_config()

    class Forgetful(Model):
        def __init__(self) -> None:
            self.first = Dense(3)

    with pytest.raises(RuntimeError, match="forgot to call"):
        Forgetful()


class _Listed(Model):
    """Layers in a list, which Keras does not look into."""

    def __init__(self, known: bool) -> None:
        super().__init__(name="listed")
        self.parts = [Dense(3, name="hidden"), Dropout(0.5), Dense(1, name="last")]
        if known:
            self.hidden, self.last = self.parts[::2]

    def call(self, inputs: Any) -> Any:
        for part in self.parts:
            inputs = part(inputs)
        return inputs


def test_layers_that_a_subclass_does_not_know_are_told_of() -> None:
    x, y = np.ones((4, 2)), np.zeros((4, 1))
    model = _Listed(False)
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="listed uses weights .*: hidden, last; they are not trained"):
        model.fit(x, y, verbose=0)
    assert model.weights == []
    quiet = _Listed(True)
    quiet.compile("sgd", "mse")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quiet.fit(x, y, verbose=0)
    assert len(quiet.weights) == 4


def test_disconnected() -> None:
    a, b = Input((4,), name="a"), Input((4,), name="b")
    y = add([Dense(3)(a), Dense(3)(b)])
    with pytest.raises(
        ValueError, match=r'Graph disconnected: cannot obtain value for tensor .* at layer "b"'
    ):
        Model(a, y)


def test_tensors_that_no_layer_made() -> None:
    x = Input((4,))
    with pytest.raises(ValueError, match=r"which no layer made.*Lambda"):
        Model(x, Dense(2)(x * 2))
    with pytest.raises(ValueError, match="Output tensors to a Model must be the output of a Keras `Layer`"):
        Model(x, x * 2)
    with pytest.raises(ValueError, match="Input tensors to a Model must come from"):
        Model(K.placeholder((None, 4)), Dense(2)(x))
    y = Dense(3, name="before")(x)
    with (
        pytest.warns(UserWarning, match="it was generated by layer before"),
        pytest.raises(ValueError, match="Graph disconnected"),
    ):
        Model(y, Dense(2)(y))
    with pytest.raises(ValueError, match="redundant"):
        Model([x, x], Dense(2)(x))
    with pytest.raises(TypeError, match="both `inputs` and `outputs`"):
        Model(inputs=x)


def test_names_have_to_differ() -> None:
    x = Input((4,))
    with pytest.raises(ValueError, match='The name "twin" is used 2 times in the model'):
        Model(x, Dense(2, name="twin")(Dense(3, name="twin")(x)))


def test_wrong_number_of_inputs() -> None:
    with pytest.raises(ValueError, match="Layer two expects 2 inputs, but it received 1 input tensors"):
        two_ended()(Input((4,)))
    with pytest.raises(ValueError, match="model has 2 tensor inputs"):
        two_ended().compute_output_shape((None, 4))


def test_get_layer_errors() -> None:
    model = two_ended()
    with pytest.raises(ValueError, match="No such layer: nope"):
        model.get_layer("nope")
    with pytest.raises(ValueError, match="only has 6 layers"):
        model.get_layer(index=6)
    with pytest.raises(ValueError, match="either a layer name or layer index"):
        model.get_layer()


def _changed(change: Any) -> Any:
    config = two_ended().get_config()
    change(config)
    return config


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "expected a dict"),
        ([], "expected a dict"),
        ({"layers": []}, "input_layers"),
        (_changed(lambda c: c["layers"].pop(2)), "not made by any layer"),
        (_changed(lambda c: c["layers"].append(3)), "a layer is described by"),
        (_changed(lambda c: c["layers"][2].update(inbound_nodes=[["a"]])), "for each input of a call"),
        (_changed(lambda c: c["layers"][2].update(inbound_nodes=[[["sum", 0, 0, {}]]])), "not made by any"),
        (_changed(lambda c: c["layers"][2].update(class_name="Nope")), "Unknown layer: Nope"),
        (_changed(lambda c: c.update(output_layers=[["head", 0, 5]])), "there is no output"),
        (_changed(lambda c: c["layers"].append(c["layers"][0])), "used twice"),
    ],
)
def test_damaged_configurations(config: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Model.from_config(config)


def test_code_in_configurations_is_refused_at_any_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    x = Input((3,))
    inner = Model(x, Lambda(lambda t: t + 1, name="code")(x))
    a = Input((3,))
    outer = Model(a, Sequential([inner, Dense(2)])(a))
    config = json.loads(json.dumps(outer.get_config()))
    monkeypatch.setattr(state, "_written_functions", {})  # as if another process had written it
    for unsafe in ({}, {"safe_mode": True}, {"safe_mode": None}, {"safe_mode": 0}):
        with pytest.raises(ValueError, match=r"code.*bytecode.*safe_mode=False"):
            Model.from_config(config, **unsafe)
    assert isinstance(Model.from_config(config, safe_mode=False), Network)
    replaced = Model.from_config(config, custom_objects={"code": lambda t: t - 1})
    assert isinstance(replaced, Network)


def test_configurations_name_known_classes_only() -> None:
    class Mine(Layer):
        pass

    x = Input((3,))
    config = Model(x, Mine()(x)).get_config()
    with pytest.raises(ValueError, match="Unknown layer: Mine"):
        Model.from_config(config)
    assert isinstance(Model.from_config(config, {"Mine": Mine}).layers[1], Mine)


def test_free_sizes_stay_exact_through_layers() -> None:
    picture = Input((None, None, 3))
    y = Conv2D(4, 3, padding="same")(picture)
    both = Concatenate()([y, picture])
    assert K.int_shape(both) == (None, None, None, 7)
    with pytest.raises(ValueError, match="not fully defined"):
        Flatten()(both)


def test_arguments_of_another_name_are_refused() -> None:
    x = Input((3,))
    with pytest.raises(TypeError, match=r"Model expects `inputs`, `outputs` and `name`.*'end', 'start'"):
        Model(start=x, end=Dense(2)(x))
