"""Weights find their place: by layer and name, whatever was frozen when."""

import copy
import json
import pickle

import h5py
import numpy as np
import pytest

from symgraph import backend as K
from symgraph.engine.weights.order import as_reloaded, ordered
from symgraph.layers import (
    LSTM,
    RNN,
    BatchNormalization,
    Bidirectional,
    Conv2D,
    Dense,
    Flatten,
    GRUCell,
    Input,
    LSTMCell,
    Subtract,
    TimeDistributed,
)
from symgraph.models import Model, Sequential, clone_model, load_model, model_from_json, model_from_yaml


def _inner(a="a", n="n", b="b", c="c"):
    """Layers whose weights have equal shapes: only names or order tell them apart."""
    layers = [
        Dense(4, name=a, input_shape=(4,)),
        BatchNormalization(name=n),
        Dense(4, name=b),
        Dense(4, name=c),
    ]
    return Sequential(layers, name="inner")


def _nested(*names):
    return Sequential([_inner(*names), Dense(4, name="top")])


def _twice():
    return Sequential([Sequential([_inner(), Dense(4, name="d")], name="branch"), Dense(4, name="top")])


def _siamese():
    first, second = Input((4,)), Input((4,))
    branch = Sequential([_inner(), Dense(4, name="d")], name="branch")
    return Model([first, second], Subtract()([branch(first), branch(second)]))


def _each_step():
    return Sequential([TimeDistributed(_inner(), input_shape=(3, 4)), Dense(4, name="top")])


def _both_ways():
    way = Bidirectional(LSTM(2, return_sequences=True), input_shape=(3, 4), name="w")
    again = Bidirectional(LSTM(2), name="v")
    inner = Sequential([way, again, Dense(4, name="a"), Dense(4, name="b")], name="inner")
    return Sequential([inner, Dense(4, name="top")])


def _stacked():
    cells = RNN([LSTMCell(4), GRUCell(4)], input_shape=(3, 4), name="r")
    return Sequential([Sequential([cells, Dense(4, name="a"), Dense(4, name="b")]), Dense(4, name="top")])


def _pictures():
    inner = Sequential([Conv2D(3, 3, name="p", input_shape=(9, 9, 3)), Conv2D(3, 3, name="q"), Flatten()])
    return Sequential([inner, Dense(2, name="top")])


MODELS = [_nested, _twice, _siamese, _each_step, _both_ways, _stacked, _pictures]


def _singles(layer, path=""):
    """Every layer that holds weights itself, by the way to it."""
    inside = {
        "layers": getattr(layer, "layers", ()),
        "layer": [layer.forward_layer, layer.backward_layer]
        if isinstance(layer, Bidirectional)
        else [getattr(layer, "layer", None)],
    }
    parts = [part for held in inside.values() for part in held if part is not None]
    if not parts:
        yield path, layer
    for number, part in enumerate(parts):
        yield from _singles(part, f"{path}/{number}")


def _values(model):
    return {
        (path, number): K.get_value(weight)
        for path, layer in _singles(model)
        for number, weight in enumerate([*layer._trainable_weights, *layer._non_trainable_weights])
        if not isinstance(layer, RNN)
    } | {
        (path, number): value
        for path, layer in _singles(model)
        if isinstance(layer, RNN)
        for number, value in enumerate(layer.get_weights())
    }


def _filled(model):
    rng = np.random.default_rng(3)
    model.set_weights([rng.normal(size=w.shape).astype("float32") for w in model.get_weights()])
    return model


def _assert_same(model, expected):
    found = _values(model)
    assert found.keys() == expected.keys() and len(found) > 2
    for place, value in expected.items():
        np.testing.assert_array_equal(found[place], value, err_msg=str(place))


def _all_models_in(layer):
    parts = [*getattr(layer, "layers", ()), *([layer.layer] if hasattr(layer, "layer") else [])]
    return [
        model
        for part in parts
        for model in ([part] if hasattr(part, "layers") else []) + _all_models_in(part)
    ]


def _freeze_nothing(model):
    pass


def _freeze_some_layers(model):
    # A wrapper sets all that it holds, so it is left alone.
    for inner in _all_models_in(model):
        for layer in inner.layers[::2]:
            if not hasattr(layer, "layers"):
                layer.trainable = False


def _freeze_models(model):
    innermost = _all_models_in(model)[-1]
    innermost.trainable = False


FREEZES = [_freeze_nothing, _freeze_some_layers, _freeze_models]


@pytest.mark.parametrize("make", MODELS)
def test_files_come_back_whatever_is_frozen(make, tmp_path):
    for number, before in enumerate(FREEZES):
        source = _filled(make())
        before(source)
        expected = _values(source)
        source.save_weights(tmp_path / "weights.h5")
        source.save(tmp_path / "model.h5")
        again = load_model(tmp_path / "model.h5", compile=False)
        _assert_same(again, expected)
        _assert_same(pickle.loads(pickle.dumps(source)), expected)
        assert len(again.trainable_weights) == len(source.trainable_weights)
        after = FREEZES[(number + 1) % 3]
        for name in ("weights.h5", "model.h5"):
            for by_name in (False, True):
                target = make()
                after(target)
                target.load_weights(tmp_path / name, by_name=by_name)
                _assert_same_by_name(target, expected, by_name)


def _assert_same_by_name(model, expected, by_name):
    # Layers without a name of their own have another one in each model.
    named = {layer.name for layer in model.layers} <= {"inner", "branch", "top"}
    if named or not by_name:
        _assert_same(model, expected)


@pytest.mark.parametrize("make", MODELS)
def test_lists_of_weights_do_not_depend_on_what_is_frozen(make):
    model = _filled(make())
    before, values = model.get_weights(), _values(model)
    for freeze in FREEZES[1:]:
        freeze(model)
        for one, other in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(one, other)
        model.set_weights([np.zeros_like(w) for w in before])
        model.set_weights(before)
        _assert_same(model, values)
        for layer in model.layers:
            layer.set_weights(layer.get_weights())
        _assert_same(model, values)


def test_arrays_go_layer_by_layer_and_weights_trained_ones_first():
    """As in Keras 2.2.4, where nothing is frozen."""
    model = Sequential([Dense(2, input_shape=(3,)), BatchNormalization(), Dense(1)])
    for frozen in (False, True):
        model.layers[1].trainable = not frozen
        shapes = [(3, 2), (2,), (2,), (2,), (2,), (2,), (2, 1), (1,)]
        assert [w.shape for w in model.get_weights()] == shapes
        assert [K.int_shape(w) for w in model.weights] == [*shapes[:4], *shapes[6:], *shapes[4:6]]


# -- files of Keras ------------------------------------------------------------------------------------------

# Printed by Keras 2.2.4 on TensorFlow 1.14 for the model `inner` inside of another; the names are shortened.
UNFROZEN = "a/kernel a/bias n/gamma n/beta b/kernel b/bias c/kernel c/bias n/moving_mean n/moving_variance"
A_N_FROZEN = "b/kernel b/bias c/kernel c/bias a/kernel a/bias n/gamma n/beta n/moving_mean n/moving_variance"
B_FROZEN = "a/kernel a/bias n/gamma n/beta c/kernel c/bias n/moving_mean n/moving_variance b/kernel b/bias"


def _freeze(model, names):
    for layer in model.layers[0].layers:
        layer.trainable = layer.name not in names


def _keras_file(path, order, rename=lambda name: name):
    """A file of weights as Keras 2.2.4 lays it out; every array holds the number of its name in UNFROZEN."""
    with h5py.File(path, "w") as file:
        file.attrs.update(layer_names=[b"inner", b"top"], backend=b"tensorflow", keras_version=b"2.2.4")
        for layer, names in {"inner": order.split(), "top": ["top/kernel", "top/bias"]}.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = [f"{rename(name)}:0".encode() for name in names]
            for name in names:
                shape = (4, 4) if name.endswith("kernel") else (4,)
                group[f"{rename(name)}:0"] = np.full(shape, _number(name), "float32")


def _number(name):
    return [*UNFROZEN.split(), "top/kernel", "top/bias"].index(name)


def _assert_numbered(model, places=("a", "n", "b", "c")):
    for letter, layer in zip(places, model.layers[0].layers, strict=True):
        variables = [*layer._trainable_weights, *layer._non_trainable_weights]
        kinds = ["gamma", "beta", "moving_mean", "moving_variance"] if letter == "n" else ["kernel", "bias"]
        for kind, variable in zip(kinds, variables, strict=True):
            assert np.unique(K.get_value(variable)).tolist() == [_number(f"{letter}/{kind}")], (letter, kind)


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("order", [UNFROZEN, A_N_FROZEN, B_FROZEN])
@pytest.mark.parametrize(
    "rename",
    [
        lambda name: name,
        # A model that TensorFlow made a second time.
        lambda name: name.replace("/", "_1/"),
        lambda name: f"inner_3/{name}",
    ],
)
def test_names_tell_where_keras_stored_what(tmp_path, order, rename, by_name):
    _keras_file(tmp_path / "keras.h5", order, rename)
    for frozen in ("", "an", "b", "abc"):
        model = _nested()
        _freeze(model, frozen)
        model.load_weights(tmp_path / "keras.h5", by_name=by_name)
        _assert_numbered(model)


@pytest.mark.parametrize("order", [UNFROZEN, A_N_FROZEN, B_FROZEN])
def test_numbers_of_names_tell_where_keras_stored_what(tmp_path, order):
    numbers = {"a": "dense_9", "n": "batch_normalization_2", "b": "dense_10", "c": "dense_11"}
    _keras_file(
        tmp_path / "keras.h5", order, lambda name: name.replace(name[0], numbers.get(name[0], name[0]), 1)
    )
    for frozen in ("", "an", "b"):
        model = _nested("dense_2", "batch_normalization_7", "dense_3", "dense_4")
        _freeze(model, [{"a": "dense_2", "n": "batch_normalization_7", "b": "dense_3"}[x] for x in frozen])
        model.load_weights(tmp_path / "keras.h5")
        _assert_numbered(model)


def test_an_order_that_cannot_be_known_is_refused(tmp_path):
    _keras_file(tmp_path / "keras.h5", "a/kernel a/bias b/kernel b/bias c/kernel c/bias")
    inner = Sequential([Dense(4, name=name, input_shape=(4,)) for name in ("one", "two", "three")])
    model = Sequential([inner, Dense(4, name="top")])
    model.load_weights(tmp_path / "keras.h5")
    _assert_numbered(model, "abc")
    _filled(model)
    _freeze(model, ["one"])
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"keras\.h5.*layer .*: .*several orders"):
        model.load_weights(tmp_path / "keras.h5")
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_kinds_of_weights_tell_the_order(tmp_path):
    # In the order of the frozen model a scale would become a kernel.
    _keras_file(tmp_path / "keras.h5", UNFROZEN)
    model = _nested("one", "norm", "two", "three")
    for frozen in ("", "one", "norm", "two"):
        _filled(model)
        _freeze(model, [frozen])
        model.load_weights(tmp_path / "keras.h5")
        _assert_numbered(model)


def test_the_order_in_a_file_is_that_of_keras(tmp_path):
    for frozen, order in (("", UNFROZEN), ("an", A_N_FROZEN), ("b", B_FROZEN)):
        model = _nested()
        _freeze(model, frozen)
        model.save(tmp_path / "model.h5")
        model.save_weights(tmp_path / "weights.h5")
        with h5py.File(tmp_path / "model.h5") as whole, h5py.File(tmp_path / "weights.h5") as bare:
            for group in (whole["model_weights"], bare):
                names = [name.decode() for name in group["inner"].attrs["weight_names"]]
                assert names == [f"{name}:0" for name in order.split()]


def test_the_order_is_that_of_keras_after_it_forgot_that_a_model_was_frozen():
    # Keras 2.2.4 writes no `trainable` of models but of those in wrappers.
    model = _twice()
    branch = model.layers[0]
    branch.layers[0].trainable = False
    now = [w.name.split("/")[0] for w in [*branch.trainable_weights, *branch.non_trainable_weights]]
    reloaded = [w.name.split("/")[0] for w in ordered(branch, as_reloaded)]
    assert now == list("ddaannbbccnn") and reloaded == list("aannbbccddnn")
    steps = _each_step()
    steps.layers[0].layer.trainable = False
    outer = Sequential([steps, Dense(4)])
    names = [w.name.split("/")[0] for w in ordered(outer.layers[0], as_reloaded)]
    assert names == ["top", "top", *"aannbbccnn"]


def test_nothing_is_transposed_to_fit(tmp_path):
    model = Sequential([Conv2D(2, (3, 4), input_shape=(6, 6, 5), name="c")])
    model.save_weights(tmp_path / "weights.h5")
    with h5py.File(tmp_path / "weights.h5", "a") as file:
        kernel = file["c/c/kernel:0"][()]
        del file["c/c/kernel:0"]
        file["c/c/kernel:0"] = kernel.transpose(3, 2, 0, 1)
    with pytest.raises(
        ValueError, match=r"weights\.h5.*layer c.*expected shape \(3, 4, 5, 2\), got \(2, 5, 3, 4\)"
    ):
        model.load_weights(tmp_path / "weights.h5")


# -- what is frozen stays so ---------------------------------------------------------------------------------


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("freeze", FREEZES[1:])
def test_what_is_frozen_stays_so(make, freeze):
    model = make()
    freeze(model)
    flags = _flags(model)
    config = json.loads(model.to_json())["config"]
    copies = [
        model_from_json(model.to_json()),
        model_from_yaml(model.to_yaml()),
        clone_model(model),
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
        type(model).from_config(config),
    ]
    for found in copies:
        assert _flags(found) == flags
    model.trainable = False
    for found in (clone_model(model), model_from_json(model.to_json())):
        assert not found.trainable and not found.trainable_weights


def _flags(layer):
    parts = [*getattr(layer, "layers", ()), *([layer.layer] if hasattr(layer, "layer") else [])]
    return [layer.trainable, *(_flags(part) for part in parts)]
