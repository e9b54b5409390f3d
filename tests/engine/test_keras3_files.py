"""Files of Keras 3 and late tf.keras 2: `.keras`, `.weights.h5`, and their configurations in `.h5`.

The layouts and configurations are those that Keras 3.15 and tf_keras 2.21 wrote, cut to what the tests need.
What models with these weights predict is worked out in numpy.
"""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from symgraph import backend as K
from symgraph.engine.files.keras3 import in_words_of_keras_2
from symgraph.layers import (
    GRU,
    LSTM,
    RNN,
    BatchNormalization,
    Bidirectional,
    Dense,
    Embedding,
    Flatten,
    GRUCell,
    Input,
    InputLayer,
    LSTMCell,
    TimeDistributed,
    concatenate,
)
from symgraph.models import Model, Sequential, load_model, model_from_config

RNG = np.random.default_rng(11)
FLOAT32 = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}}


def _arrays(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    return [RNG.normal(size=shape).astype("float32") for shape in shapes]


def _input(name: str, *shape: int) -> dict[str, Any]:
    config = {"batch_shape": [None, *shape], "dtype": "float32", "sparse": False, "ragged": False,
              "name": name, "optional": False}  # fmt: skip
    return {"module": "keras.layers", "class_name": "InputLayer", "config": config, "registered_name": None}


def _dense(name: str, units: int, **options: Any) -> dict[str, Any]:
    made = {
        "module": "keras.initializers", "class_name": "HeNormal", "registered_name": None,
        "config": {"seed": None, "input_axes": None, "output_axes": None},
    }  # fmt: skip
    config = {"name": name, "trainable": True, "dtype": FLOAT32, "units": units, "activation": "linear",
              "use_bias": True, "kernel_initializer": made, "quantization_config": None,
              **options}  # fmt: skip
    return {"module": "keras.layers", "class_name": "Dense", "config": config, "build_config": {}}


def _sequential(*layers: Any) -> dict[str, Any]:
    config = {"name": "sequential", "trainable": True, "dtype": FLOAT32, "layers": list(layers)}
    return {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}


Tree = dict[str, Any]
"""Groups of groups; a list is the arrays of a layer, with its name before them where the file tells it."""


def _weights(tree: Tree, names: bool = True) -> bytes:
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        _write(file, tree, names)
    return memory.getvalue()


def _write(group: h5py.Group, tree: Tree, names: bool) -> None:
    for key, value in tree.items():
        inside = group.require_group(key)
        if isinstance(value, dict):
            _write(inside, value, names)
            continue
        variables = inside.create_group("vars")
        for number, entry in enumerate(v for v in value if not isinstance(v, str)):
            variables[str(number)] = entry
        for name in (v for v in value if isinstance(v, str) and names):
            variables.attrs["name"] = name


def _archive(path: Path, config: Any, weights: bytes, **more: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("metadata.json", '{"keras_version": "3.15.1"}')
        file.writestr("config.json", json.dumps(config))
        file.writestr("model.weights.h5", weights)
        for name, content in more.items():
            file.writestr(name, content)
    return path


ADAM = {
    "module": "keras.optimizers", "class_name": "Adam", "registered_name": None,
    "config": {
        "name": "adam", "learning_rate": 0.25, "weight_decay": None, "clipnorm": None,
        "global_clipnorm": None, "clipvalue": None, "use_ema": False,
        "ema_momentum": 0.99, "ema_overwrite_frequency": None,
        "loss_scale_factor": None, "gradient_accumulation_steps": None, "beta_1": 0.9, "beta_2": 0.999,
        "epsilon": 1e-07, "amsgrad": False,
    },
}  # fmt: skip


# -- .keras ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [True, False])
def test_a_keras_file(tmp_path: Path, names: bool) -> None:
    a, b, c, d = _arrays((3, 3), (3,), (3, 3), (3,))
    # In the order of the names of groups 'dense' would be the second.
    tree = {"layers": {"dense": ["zeta", a, b], "dense_1": ["alpha", c, d]}}
    moments = _arrays((3, 3), (3, 3), (3,), (3,), (3, 3), (3, 3), (3,), (3,))
    tree["optimizer"] = ["adam", np.int64(7), np.float32(0.25), *moments]  # type: ignore[assignment]
    config = _sequential(_input("in", 3), _dense("zeta", 3), _dense("alpha", 3))
    config["compile_config"] = {"optimizer": ADAM, "loss": "mse", "metrics": None, "loss_weights": None}
    path = _archive(tmp_path / "model.keras", config, _weights(tree, names))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load_model(path)
    (x,) = _arrays((4, 3))
    np.testing.assert_allclose(model.predict(x), (x @ a + b) @ c + d, rtol=1e-4, atol=1e-5)
    assert K.get_value(model.optimizer.lr) == 0.25
    state = K.batch_get_value(model.optimizer.weights)
    # Keras 3 has both moments of a weight together, Keras 2 all first moments and then all second ones.
    for got, expected in zip(state, [7, *moments[::2], *moments[1::2]], strict=False):
        np.testing.assert_array_equal(got, expected)
    with path.open("rb") as stream:
        np.testing.assert_array_equal(load_model(stream, compile=False).get_weights()[0], a)
    model.set_weights([0 * w for w in model.get_weights()])
    model.load_weights(path)
    np.testing.assert_array_equal(model.get_weights()[2], c)
    model.save(tmp_path / "model.h5")
    np.testing.assert_array_equal(load_model(tmp_path / "model.h5").get_weights()[2], c)


def test_a_file_without_training(tmp_path: Path) -> None:
    config, tree = (
        _sequential(_input("in", 3), _dense("a", 2)),
        {"layers": {"dense": ["a", *_arrays((3, 2), (2,))]}},
    )
    path = _archive(tmp_path / "model.keras", config, _weights(tree))
    with pytest.warns(UserWarning, match="No training configuration"):
        load_model(path)


def _deep() -> tuple[Model, Tree]:
    """A model with layers inside of layers, and where Keras 3 keeps their weights."""
    x = Input((5, 4))
    inner = Sequential([Dense(4, input_shape=(4,), name="p"), BatchNormalization(name="q")], name="inner")
    y = TimeDistributed(inner, name="steps")(x)
    y = Bidirectional(LSTM(2, return_sequences=True), name="both")(y)
    y = RNN([LSTMCell(2), GRUCell(3)], return_sequences=True, name="cells")(y)
    y = GRU(2, reset_after=True, name="last")(y)
    p, q, cell = (*_arrays((4, 4), (4,)),), (*_arrays((4,), (4,), (4,), (4,)),), ((4, 8), (2, 8), (8,))
    tree = {
        "layers": {
            "time_distributed": {
                "layer": {"layers": {"dense": ["p", *p], "batch_normalization": ["q", *q]}}
            },
            "bidirectional": {
                "forward_layer": {"cell": [*_arrays(*cell)]}, "backward_layer": {"cell": [*_arrays(*cell)]},
            },
            "rnn": {"cell": {"cells": {
                "lstm_cell": [*_arrays((4, 8), (2, 8), (8,))], "gru_cell": [*_arrays((2, 9), (3, 9), (9,))],
            }}},
            "gru": {"cell": [*_arrays((3, 6), (2, 6), (2, 6))]},
        }
    }  # fmt: skip
    return Model(x, y), tree


def test_layers_inside_of_layers(tmp_path: Path) -> None:
    model, tree = _deep()
    (tmp_path / "deep.weights.h5").write_bytes(_weights(tree, names=False))
    model.load_weights(tmp_path / "deep.weights.h5")
    layers = tree["layers"]
    steps = layers["time_distributed"]["layer"]["layers"]
    expected = {
        "steps": [*steps["dense"][1:], *steps["batch_normalization"][1:]],
        "both": [
            *layers["bidirectional"]["forward_layer"]["cell"],
            *layers["bidirectional"]["backward_layer"]["cell"],
        ],
        "cells": [*layers["rnn"]["cell"]["cells"]["lstm_cell"], *layers["rnn"]["cell"]["cells"]["gru_cell"]],
        "last": layers["gru"]["cell"],
    }
    for name, arrays in expected.items():
        found = model.get_layer(name).get_weights()
        for got, wanted in zip(found, arrays, strict=True):
            np.testing.assert_array_equal(got, wanted)


def _two(*units: int) -> Sequential:
    shapes = [Dense(n, name=f"d{i}", **({} if i else {"input_shape": (3,)})) for i, n in enumerate(units)]
    return Sequential(shapes)


@pytest.mark.parametrize(
    ("tree", "match"),
    [
        ({"dense": [(3, 3), (3,)]}, r"layer d1: expected its weights in the group 'dense_1', got dense"),
        ({"dense": [(3, 3), (3,)], "dense_1": [(3, 3)]}, r"layer d1 expects 2 weight\(s\).* 1 element"),
        ({"dense": [(3, 3), (3,)], "dense_1": [(3, 2), (3,)]},
         r"layer d1, weight d1/kernel:0: expected shape \(3, 3\), got \(3, 2\)"),
        ({"dense": [(3, 3), (3,)], "dense_1": [(3, 3), (3,)], "dense_2": [(3, 3), (3,)]},
         r"group dense_2: these weights belong to no layer"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_change_nothing(tmp_path: Path, tree: Any, match: str) -> None:
    arrays = {name: _arrays(*shapes) for name, shapes in tree.items()}
    path = tmp_path / "other.weights.h5"
    path.write_bytes(_weights({"layers": arrays}))
    model = _two(3, 3)
    before = model.get_weights()
    with pytest.raises(ValueError, match=rf"other\.weights\.h5.*{match}"):
        model.load_weights(path)
    for got, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_weights_by_name(tmp_path: Path) -> None:
    a, b = _arrays((3, 3), (3,))
    tree = {"layers": {"dense": ["d1", a, b], "dense_1": ["d0", *_arrays((3, 2), (2,))]}}
    path = tmp_path / "named.weights.h5"
    path.write_bytes(_weights(tree))
    model = _two(3, 3)
    with pytest.raises(
        ValueError, match=r"layer d0, weight d0/kernel:0: expected shape \(3, 3\), got \(3, 2\)"
    ):
        model.load_weights(path, by_name=True)
    with pytest.warns(UserWarning, match="layer d0"):
        model.load_weights(path, by_name=True, skip_mismatch=True)
    np.testing.assert_array_equal(model.get_layer("d1").get_weights()[0], a)


# -- files that are refused --------------------------------------------------------------------------------


def _sound() -> tuple[Any, bytes]:
    config = _sequential(_input("in", 3), _dense("a", 2))
    return config, _weights({"layers": {"dense": ["a", *_arrays((3, 2), (2,))]}})


def test_archives_that_are_no_models(tmp_path: Path) -> None:
    config, weights = _sound()
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("../config.json", json.dumps(config))
    with pytest.raises(ValueError, match=r"model\.keras: expected a .keras file .* got \.\./config\.json"):
        load_model(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _archive(path, config, weights, **{"config.json": b"{}"})
    with pytest.raises(ValueError, match=r"one config\.json"):
        load_model(path)
    _archive(path, config, weights[: len(weights) // 2])
    with pytest.raises((ValueError, OSError), match=r"model\.keras, model\.weights\.h5"):
        load_model(path)
    content = _archive(path, config, weights).read_bytes()
    for cut in (len(content) // 3, len(content) - 30):
        path.write_bytes(content[:cut])
        with pytest.raises((ValueError, OSError), match=r"model\.keras"):
            load_model(path)
    path.write_bytes(content.replace(weights[:8], weights[:7] + b"?"))
    with pytest.raises(ValueError, match=r"model\.keras: damaged"):
        load_model(path)
    with pytest.raises(FileNotFoundError, match="none"):
        load_model(tmp_path / "none.keras")


def test_a_small_archive_does_not_grow(tmp_path: Path) -> None:
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        file.writestr("model.weights.h5", b"")
        with file.open("config.json", "w", force_zip64=True) as stream:
            for _ in range(65):
                stream.write(bytes(1 << 20))
    with pytest.raises(ValueError, match=r"bomb\.keras: config\.json is refused"):
        load_model(path)
    config = _sequential(_input("in", 1 << 20), _dense("a", 1 << 12))
    _archive(path, config, _weights({"layers": {"dense": ["a", *_arrays((3, 2), (2,))]}}))
    with pytest.raises(ValueError, match=r"layer a: the weight kernel .* larger than what the file"):
        load_model(path)


def test_code_is_not_run(tmp_path: Path) -> None:
    code = {"class_name": "__lambda__", "config": {"code": "4wEAAAAA", "defaults": None, "closure": None}}
    layer = {"class_name": "Lambda", "config": {"name": "l", "function": code, "arguments": {}}}
    path = _archive(tmp_path / "model.keras", _sequential(_input("in", 3), layer), _weights({"layers": {}}))
    with pytest.raises(ValueError, match=r"model\.keras.*layer l: its function .*bytecode"):
        load_model(path)
    model = load_model(path, {"l": lambda x: x + 1}, compile=False)
    np.testing.assert_array_equal(model.predict(np.zeros((1, 3))), np.ones((1, 3)))


# -- configurations ----------------------------------------------------------------------------------------


def _tensor(name: str, node: int = 0, number: int = 0) -> dict[str, Any]:
    history = [name, node, number]
    config = {"shape": [None, 3], "dtype": "float32", "keras_history": history}
    return {"class_name": "__keras_tensor__", "config": config}


def _called(entry: dict[str, Any], *calls: Any, **options: Any) -> dict[str, Any]:
    name = entry["config"]["name"]
    nodes = [{"args": list(call), "kwargs": options} for call in calls]
    return {**entry, "name": name, "inbound_nodes": nodes}


def test_calls_with_tensors_as_arguments() -> None:
    inner = _sequential(_input("i", 3), _dense("d", 2))
    inner["config"]["name"] = "inner"
    cat = {"class_name": "Concatenate", "config": {"name": "cat", "axis": -1, "dtype": FLOAT32}}
    layers = [
        _called(_input("a", 3)),
        _called(_input("b", 3)),
        # Calls of a model count from 0 here, and from 1 in Keras 2.
        _called(inner, [_tensor("a")], [_tensor("b")], mask=None),
        _called(cat, [[_tensor("inner", 1), _tensor("inner", 0), _tensor("a")]]),
    ]
    config = {"name": "f", "layers": layers, "input_layers": [["a", 0, 0], ["b", 0, 0]],
              "output_layers": ["cat", 0, 0]}  # fmt: skip
    model = model_from_config({"class_name": "Functional", "config": config})
    kernel, bias = model.get_layer("inner").get_weights()
    a, b = _arrays((4, 3), (4, 3))
    expected = np.concatenate([b @ kernel + bias, a @ kernel + bias, a], -1)
    np.testing.assert_allclose(model.predict([a, b]), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("late", [True, False])
def test_initial_states(late: bool) -> None:
    states = [_tensor("h"), _tensor("c")] if late else [["h", 0, 0], ["c", 0, 0]]
    lstm = {"class_name": "LSTM", "config": {"name": "lstm", "units": 2, "zero_output_for_mask": False}}
    if late:
        called = _called(lstm, [_tensor("x")], initial_state=states, mask=None)
    else:
        nodes = [[["x", 0, 0, {"initial_state": states}]]]
        called = {**lstm, "name": "lstm", "inbound_nodes": nodes}
    inputs = [_called(_input(*of)) for of in (("x", 5, 3), ("h", 2), ("c", 2))]
    if not late:
        inputs = [{**entry, "inbound_nodes": []} for entry in inputs]
    ends = [[name, 0, 0] for name in ("x", "h", "c")]
    config = {
        "name": "f",
        "layers": [*inputs, called],
        "input_layers": ends,
        "output_layers": [["lstm", 0, 0]],
    }
    model = model_from_config({"class_name": "Functional", "config": config})
    x, h, c = Input((5, 3)), Input((2,)), Input((2,))
    same = Model([x, h, c], LSTM(2)(x, initial_state=[h, c]))
    same.set_weights(model.get_weights())
    data = _arrays((4, 5, 3), (4, 2), (4, 2))
    np.testing.assert_allclose(model.predict(data), same.predict(data), rtol=1e-6, atol=1e-7)
    assert np.abs(model.predict(data) - model.predict([data[0], 0 * data[1], data[2]])).max() > 1e-3


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (FLOAT32, "float32"),
        ({"class_name": "DTypePolicy", "config": {"name": "mixed_float16"}}, "float32"),
        ({"class_name": "Policy", "config": {"name": "float64"}}, "float64"),
        ("float16", "float16"),
    ],
)
def test_types_of_numbers(policy: Any, expected: str) -> None:
    made = in_words_of_keras_2(_dense("one", 2, dtype=policy))
    assert made["config"]["dtype"] == expected


def test_what_cannot_be_said_in_keras_2() -> None:
    quantized = {"class_name": "QuantizedDTypePolicy", "config": {"mode": "int8"}}
    with pytest.raises(ValueError, match="dtype: expected one of the policies DTypePolicy"):
        model_from_config(_sequential(_input("in", 3), _dense("one", 2, dtype=quantized)))
    forward, backward = (
        {"class_name": "LSTM", "config": {"units": 2, "go_backwards": g}} for g in (False, True)
    )
    both = {
        "class_name": "Bidirectional",
        "config": {"name": "b", "layer": forward, "backward_layer": backward},
    }
    assert "backward_layer" not in in_words_of_keras_2(both)["config"]
    backward["config"]["units"] = 3
    with pytest.raises(ValueError, match="Bidirectional b: a backward_layer that is no mirror image"):
        in_words_of_keras_2(both)
    call = _called(_dense("one", 2), [_tensor("a")], mask=_tensor("b"))
    with pytest.raises(ValueError, match="layer one: tensors as the arguments mask"):
        in_words_of_keras_2({"class_name": "Functional", "config": {"layers": [call]}})


def test_masks_that_meant_something_else_are_told() -> None:
    inner = {"units": 2, "return_sequences": True, "zero_output_for_mask": True}
    both = {"class_name": "Bidirectional", "config": {"layer": {"class_name": "LSTM", "config": inner}}}

    def layers(mask_zero: bool) -> Any:
        embedding = {"input_dim": 5, "output_dim": 2, "mask_zero": mask_zero, "dtype": FLOAT32}
        return _sequential(_input("in", 4), {"class_name": "Embedding", "config": embedding}, both)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model_from_config(layers(False)).output_shape == (None, 4, 4)
    with pytest.warns(UserWarning, match="Where steps of a sequence are masked"):
        model_from_config(layers(True))


@pytest.mark.parametrize("first", ["iteration:0", "adam/iteration"])
def test_state_by_weight_in_hdf5(tmp_path: Path, first: str) -> None:
    model = Sequential([Dense(2, input_shape=(2,), use_bias=False), Dense(2, use_bias=False)])
    model.compile("adam", "mse")
    model.save(tmp_path / "model.h5")
    moments = _arrays(*[(2, 2)] * 4)
    with h5py.File(tmp_path / "model.h5", "a") as file:
        is_3 = first != "iteration:0"
        file["model_weights"].attrs["keras_version"] = "3.15.1" if is_3 else "2.15.0"
        del file["optimizer_weights"]
        group = file.create_group("optimizer_weights")
        values = [np.int64(3), *([np.float32(0.1)] if is_3 else []), *moments]
        names = [first, *(f"adam/{i}" for i in range(len(values) - 1))]
        group.attrs["weight_names"] = names
        for name, value in zip(names, values, strict=True):
            group[name] = value
    state = K.batch_get_value(load_model(tmp_path / "model.h5").optimizer.weights)
    for got, expected in zip(state, [3, moments[0], moments[2], moments[1], moments[3]], strict=False):
        np.testing.assert_array_equal(got, expected)


def test_optimizers_of_late_tf_keras(tmp_path: Path) -> None:
    model = Sequential([Dense(2, input_shape=(2,))])
    model.compile("adam", "mse")
    model.save(tmp_path / "model.h5")
    described = {**ADAM, "class_name": "Custom>Nadam"}
    described["config"] = {k: v for k, v in ADAM["config"].items() if k != "amsgrad"}  # type: ignore[attr-defined]
    with h5py.File(tmp_path / "model.h5", "a") as file:
        file.attrs["training_config"] = json.dumps({"loss": "mse", "optimizer_config": described})
        del file["optimizer_weights"]
    optimizer = load_model(tmp_path / "model.h5").optimizer
    assert type(optimizer).__name__ == "Nadam"
    # Keras 3 warms the momentum up faster.
    assert optimizer.schedule_decay == 1.0
    assert K.get_value(optimizer.lr) == 0.25


def test_an_input_of_another_shape_than_the_first_layer_says(tmp_path: Path) -> None:
    model = Sequential([InputLayer((7,)), Embedding(9, 2), Flatten()])
    assert model.output_shape == (None, 14)
    model.save(tmp_path / "model.h5")
    assert load_model(tmp_path / "model.h5", compile=False).output_shape == (None, 14)


def test_layers_of_equal_classes_are_told_apart_by_names(tmp_path: Path) -> None:
    x = Input((3,))
    left, right = Dense(3, name="left"), Dense(3, name="right")
    model = Model(x, concatenate([left(x), right(x)]))
    a, b = _arrays((3, 3), (3, 3))
    tree = {"layers": {"dense": ["right", a, a[0]], "dense_1": ["left", b, b[0]]}}
    (tmp_path / "a.weights.h5").write_bytes(_weights(tree))
    model.load_weights(tmp_path / "a.weights.h5")
    np.testing.assert_array_equal(left.get_weights()[0], b)
    np.testing.assert_array_equal(right.get_weights()[0], a)
