"""Configurations with missing, changed and mangled parts: one clear error, of three kinds, or a model."""

import copy
import itertools
import json
import random
import warnings

import h5py
import pytest

from symgraph import constraints, initializers, layers, losses, metrics, optimizers, regularizers
from symgraph.engine.files.layer_config import layer_classes
from symgraph.models import Model, Sequential, load_model, model_from_config, model_from_json, model_from_yaml

VALUES = [
    None, True, 0, -1, 2.5, 10**12, -(10**30), 1e308, float("nan"), "", "relu", "x" * 300, "\0", [], [[]], {},
    [0], [None, 3], [1, 2, 3, 4, 5, 6, 7], {"a": 1}, {"class_name": "Dense"},
    {"class_name": "Adam", "config": {}},
    {"class_name": "l2", "config": {"l": "a"}}, [None] * 50, {"class_name": "Model", "config": []},
]  # fmt: skip


def convolutional():
    x = layers.Input((8, 8, 3), name="picture")
    y = layers.Conv2D(4, 3, padding="same", kernel_regularizer="l2", kernel_constraint="max_norm")(x)
    y = layers.BatchNormalization()(y)
    y = layers.Activation("relu")(y)
    z = layers.SeparableConv2D(4, (1, 3), padding="same", bias_initializer=initializers.Constant(2))(y)
    y = layers.add([y, z])
    y = layers.MaxPooling2D()(y)
    y = layers.Conv2DTranspose(3, 2)(layers.UpSampling2D()(layers.ZeroPadding2D()(layers.Cropping2D()(y))))
    y = layers.concatenate([layers.GlobalAveragePooling2D()(y), layers.Flatten()(y)])
    y = layers.PReLU()(layers.Permute((2, 1))(layers.Reshape((-1, 1))(y)))
    return Model(x, [layers.Dense(2)(y), layers.RepeatVector(2)(layers.Flatten()(y))])


def recurrent():
    x = layers.Input((5,), name="words")
    y = layers.Embedding(9, 4, mask_zero=True)(x)
    y = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(y)
    y = layers.TimeDistributed(layers.Dense(3, activation="tanh"))(y)
    y = layers.RNN([layers.GRUCell(2), layers.SimpleRNNCell(2)], return_sequences=True)(y)
    y = layers.Masking()(layers.Dropout(0.5)(y))
    return Model(x, layers.SimpleRNN(2)(layers.GRU(2, return_sequences=True)(y)))


def nested():
    inner = Sequential([layers.Dense(3, input_shape=(4,)), layers.LeakyReLU(), layers.GaussianNoise(1.0)])
    x, z = layers.Input((4,)), layers.Input((4,))
    shared = Model(x, layers.Dot(-1)([inner(x), layers.Dense(3)(x)]))
    return Model([x, z], layers.Multiply()([shared(x), shared(z), layers.ELU()(shared(x))]))


def parts(value, path=()):
    """The path of each value inside."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        yield (*path, key)
        yield from parts(part, (*path, key))


def mutated(config, chance):
    """A copy with one to three changes: a part removed, doubled, put elsewhere, or another value."""
    config = copy.deepcopy(config)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        paths = list(parts(config))
        *way, key = chance.choice(paths)
        place, other = config, config
        for step in way:
            place = place[step]
        what = chance.randrange(5)
        if what == 0:
            del place[key]
        elif what == 1 and isinstance(place, list):
            place.insert(0, copy.deepcopy(place[key]))
        elif what == 2:
            for step in chance.choice(paths):
                other = other[step]
            place[key] = copy.deepcopy(other)
        else:
            place[key] = copy.deepcopy(chance.choice(VALUES))
    return config


def outcome(make, *arguments, **options):
    """None, or the error, which is of one of the three kinds."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            make(*arguments, **options)
    except (ValueError, TypeError, OSError) as error:
        assert str(error)
        return error
    return None


@pytest.mark.parametrize("build", [convolutional, recurrent, nested])
def test_changed_models(build, number=90):
    model = build()
    described = json.loads(model.to_json())
    chance = random.Random(build.__name__)
    failed = sum(outcome(model_from_config, mutated(described, chance)) is not None for _ in range(number))
    assert failed > number // 3


def test_changed_files(tmp_path, number=60):
    model = nested()
    model.compile(optimizers.Adam(decay=0.1), "mse", metrics=["mae"])
    model.save(tmp_path / "model.h5")
    chance = random.Random(3)
    failed = 0
    for attribute, _ in itertools.product(("model_config", "training_config"), range(number // 2)):
        with h5py.File(tmp_path / "model.h5", "r+") as file:
            good = file.attrs[attribute]
            file.attrs[attribute] = json.dumps(mutated(json.loads(good), chance)).encode()
        error = outcome(load_model, tmp_path / "model.h5")
        assert error is None or "model.h5" in str(error), error
        failed += error is not None
        with h5py.File(tmp_path / "model.h5", "r+") as file:
            file.attrs[attribute] = good
    assert failed > number // 3
    assert outcome(load_model, tmp_path / "model.h5") is None


def test_every_class_of_layers():
    configs = ({}, None, [], 3, "a", {"name": 3}, {"units": None}, {"name": "n", "x": 1}, {"layers": {}})
    for (name, cls), config in itertools.product(sorted(layer_classes().items()), configs):
        outcome(cls.from_config, config)
        outcome(layers.deserialize, {"class_name": name, "config": config})


@pytest.mark.parametrize("module", [initializers, regularizers, constraints, optimizers, losses, metrics])
def test_parts_that_are_no_layers(module):
    names = [name for name in vars(module) if name[0].isalpha()]
    for name in [*names, "absent", "", "\0", None, 3]:
        for config in ({}, None, [], {"x": 1}, {"value": []}, {"lr": "a"}, {"stddev": None}):
            outcome(module.deserialize, {"class_name": name, "config": config})


@pytest.mark.parametrize(
    ("name", "key"),
    [("RNN", "cell"), ("Bidirectional", "layer"), ("TimeDistributed", "layer"), ("StackedRNNCells", "cells")],
)
def test_what_is_missing_is_named(name, key):
    for config in ({"name": "mine"}, {"name": "mine", "trainable": True}):
        with pytest.raises(ValueError, match=f"{name} mine: the configuration has no '{key}'"):
            getattr(layers, name).from_config(config)
    with pytest.raises(TypeError, match=r"Dense mine: .*'units'"):
        layers.Dense.from_config({"name": "mine"})
    with pytest.raises((TypeError, ValueError), match=f"{name}"):
        layers.deserialize({"class_name": name, "config": {key: 3}})


def deep(name, key, depth):
    config = {"class_name": "Dense", "config": {"units": 2}}
    for _ in range(depth):
        config = {"class_name": name, "config": {key: config}}
    return config


@pytest.mark.parametrize("depth", [150, 3000])
@pytest.mark.parametrize(
    ("name", "key"), [("TimeDistributed", "layer"), ("Bidirectional", "layer"), ("RNN", "cell")]
)
def test_deep_nesting(name, key, depth):
    config = deep(name, key, depth)
    assert depth < 1000 or isinstance(outcome(model_from_config, config), ValueError)
    outcome(layers.deserialize, config)
    outcome(getattr(layers, name).from_config, config["config"])


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000, "-" * 100_000]
)
def test_brackets(text):
    assert isinstance(outcome(model_from_json, text), ValueError)
    assert isinstance(outcome(model_from_yaml, text), ValueError)


def test_cycles_and_dangling_calls():
    model = Sequential([layers.Dense(2, input_shape=(3,), name="a"), layers.Dense(2, name="b")])
    config = json.loads(Model(model.inputs, model.outputs).to_json())
    entry = next(layer for layer in config["config"]["layers"] if layer["name"] == "a")
    for name, number in (("b", 0), ("a", 0), ("absent", 0), ("b", 10**30)):
        entry["inbound_nodes"] = [[[name, number, 0, {}]]]
        with pytest.raises(ValueError, match="Improperly formatted model config"):
            model_from_config(config)


def test_what_is_claimed_is_not_taken():
    for entry in (
        {"class_name": "Dense", "config": {"units": 10**12}},
        {"class_name": "Embedding", "config": {"input_dim": 10**12, "output_dim": 10**9}},
        {"class_name": "LSTM", "config": {"units": 10**9}},
    ):
        start = [] if entry["class_name"] == "Embedding" else [4]
        entry["config"]["batch_input_shape"] = [None, 3, *start]
        error = outcome(model_from_config, {"class_name": "Sequential", "config": [entry]})
        assert isinstance(error, ValueError) and "memory" in str(error), error


@pytest.mark.parametrize("calls", [[[]], [[["a"]]], [3], [[["a", "0", 0, {}]]], [[["a", 0, 0, 3]]]])
def test_the_layer_of_a_mangled_call_is_named(calls):
    x = layers.Input((3,), name="a")
    config = json.loads(Model(x, layers.Dense(2, name="mine")(x)).to_json())
    config["config"]["layers"][1]["inbound_nodes"] = calls
    with pytest.raises(ValueError, match=r"layer mine: Improperly formatted"):
        model_from_config(config)
