"""Configurations and weights that Keras 0.3 and 1 wrote.

The configurations were written by Keras 1.2.2 and 0.3.3 themselves, and are cut to what the tests need. What
the weights mean is worked out in numpy.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from symgraph import backend as K
from symgraph import globals as state
from symgraph.engine.files.keras1 import modern_model
from symgraph.layers import Conv2D
from symgraph.models import Model, Sequential, load_model, model_from_config, model_from_json

RNG = np.random.default_rng(7)
L2_OF_KERAS_1 = {"name": "L1L2Regularizer", "l1": 0.0, "l2": 0.5}
L2 = {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.5}}


def _dense(name: str, units: int, inputs: int | None = None, **options: Any) -> dict[str, Any]:
    """A Dense layer as Keras 1.2.2 describes it."""
    config = {
        "name": name, "trainable": True, "output_dim": units, "init": "uniform", "activation": "linear",
        "W_regularizer": None, "b_regularizer": None, "activity_regularizer": None, "W_constraint": None,
        "b_constraint": None, "bias": True, "input_dim": inputs, **options,
    }  # fmt: skip
    if inputs:
        config |= {"batch_input_shape": [None, inputs], "input_dtype": "float32"}
    return {"class_name": "Dense", "config": config}


def _layer(class_name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": class_name, "config": {"name": "one", "trainable": True, **config}}


def _arrays(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    return [RNG.normal(size=shape).astype("float32") for shape in shapes]


def _write(path: Path, layers: dict[str, list[np.ndarray]], model: Any = None) -> None:
    """A file of Keras 1: it tells neither version nor backend beside the weights."""
    with h5py.File(path, "w") as file:
        group = file
        if model is not None:
            file.attrs["model_config"] = json.dumps(model).encode()
            file.attrs["keras_version"] = b"1.2.2"
            group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in layers]
        for name, arrays in layers.items():
            names = [f"{name}_{part}" for part in ("W", "b")[: len(arrays)]]
            inside = group.create_group(name)
            inside.attrs["weight_names"] = [n.encode() for n in names]
            for n, array in zip(names, arrays, strict=True):
                inside[n] = array


# -- single layers -----------------------------------------------------------------------------------------

TRANSLATED = [
    (
        _layer("Convolution2D", nb_filter=4, nb_row=3, nb_col=2, init="he_normal", border_mode="same",
               subsample=[2, 1], dim_ordering="th", W_regularizer=L2_OF_KERAS_1, bias=False,
               W_constraint={"name": "MaxNorm", "m": 2, "axis": [1, 2, 3]}),
        _layer("Conv2D", filters=4, kernel_size=[3, 2], kernel_initializer="he_normal", padding="same",
               strides=[2, 1], data_format="channels_first", kernel_regularizer=L2, use_bias=False,
               # The kernel was (filters, channels, rows, columns), and is (rows, columns, channels, filters).
               kernel_constraint={"class_name": "MaxNorm", "config": {"max_value": 2, "axis": [0, 1, 2]}}),
    ),
    (
        _layer("AtrousConvolution1D", nb_filter=4, filter_length=3, subsample_length=1, border_mode="valid",
               atrous_rate=2, input_dim=None, input_length=None,
               W_constraint={"name": "UnitNorm", "axis": 2}),
        _layer("Conv1D", filters=4, kernel_size=[3], strides=1, padding="valid", dilation_rate=2,
               kernel_constraint={"class_name": "UnitNorm", "config": {"axis": 1}}),
    ),
    (
        _layer("Convolution3D", nb_filter=2, kernel_dim1=1, kernel_dim2=2, kernel_dim3=3, dim_ordering="tf",
               W_constraint={"name": "NonNeg"}),
        _layer("Conv3D", filters=2, kernel_size=[1, 2, 3], data_format="channels_last",
               kernel_constraint={"class_name": "NonNeg", "config": {}}),
    ),
    (
        _layer("LSTM", output_dim=4, init="glorot_uniform", inner_init="orthogonal", forget_bias_init="zero",
               inner_activation="sigmoid", U_regularizer=L2_OF_KERAS_1, dropout_W=0.1, dropout_U=0.2,
               consume_less="gpu", input_dim=3, input_length=None, go_backwards=True),
        _layer("LSTM", units=4, kernel_initializer="glorot_uniform", recurrent_activation="sigmoid",
               recurrent_initializer={"class_name": "Orthogonal", "config": {"gain": 1.1}},
               unit_forget_bias=False, recurrent_regularizer=L2, dropout=0.1, recurrent_dropout=0.2,
               implementation=2, go_backwards=True),
    ),
    (_layer("GRU", output_dim=4, consume_less="cpu"),
     _layer("GRU", units=4, implementation=1, reset_after=False)),
    (_layer("GRU", units=4, implementation=1), _layer("GRU", units=4, implementation=1, reset_after=False)),
    (_layer("GRU", units=4, reset_after=True), _layer("GRU", units=4, reset_after=True)),
    (_layer("ZeroPadding2D", padding=[1, 0, 2, 3]), _layer("ZeroPadding2D", padding=[[1, 0], [2, 3]])),
    (_layer("ZeroPadding2D", padding={"top_pad": 1, "right_pad": 2}),
     _layer("ZeroPadding2D", padding=[[1, 0], [0, 2]])),
    (_layer("MaxPooling1D", pool_length=3, stride=2, border_mode="same"),
     _layer("MaxPooling1D", pool_size=3, strides=2, padding="same")),
    (_layer("SpatialDropout2D", p=0.5, dim_ordering="th"),
     _layer("SpatialDropout2D", rate=0.5, data_format="channels_first")),
    (_layer("BatchNormalization", mode=0, axis=1, beta_init="zero", gamma_regularizer=L2_OF_KERAS_1),
     _layer("BatchNormalization", axis=1, beta_initializer="zero", gamma_regularizer=L2)),
    (_layer("Embedding", input_dim=9, output_dim=3, init="uniform", input_length=4, dropout=0.0,
            input_dtype="int32"),
     _layer("Embedding", input_dim=9, output_dim=3, embeddings_initializer="uniform", input_length=4)),
    (
        _layer("TimeDistributedDense", output_dim=3, init="uniform", input_dim=2, bias=True),
        _layer("TimeDistributed", layer={"class_name": "Dense", "config": {
            "units": 3, "kernel_initializer": "uniform", "use_bias": True, "name": "one_inner"}}),
    ),
    (
        _layer("Bidirectional", merge_mode="sum", layer=_layer("SimpleRNN", output_dim=3, unroll=True,
                                                               consume_less="mem")),
        _layer("Bidirectional", merge_mode="sum", layer=_layer("SimpleRNN", units=3, unroll=True,
                                                               implementation=1)),
    ),
    # What Keras 2 writes, and what it would accept, stays.
    (_layer("Dense", units=3, input_dim=4), _layer("Dense", units=3, input_dim=4)),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), TRANSLATED)
def test_a_configuration_in_the_words_of_keras_2(old: Any, new: Any) -> None:
    given = json.dumps(old)
    assert modern_model(old).config == new
    assert json.dumps(old) == given
    assert modern_model(new).config == new


def test_classes_of_the_users_own_stay() -> None:
    own = _layer("Dense", output_dim=3, init="mine")
    assert modern_model(own, {"Dense": object}).config is own
    other = _layer("Mine", output_dim=3, dim_ordering="th")
    assert modern_model(other).config == other


@pytest.mark.parametrize(
    ("layer", "match"),
    [
        (_layer("BatchNormalization", mode=2), "layer one: mode=2"),
        (_layer("Dense", output_dim=2, W_regularizer={"name": "EigenvalueRegularizer", "k": 1}),
         "layer one: the EigenvalueRegularizer"),
        (_layer("Convolution2D", nb_filter=1, nb_row=1, nb_col=1, dim_ordering="th",
                W_constraint={"name": "MaxNorm", "axis": 9}), "layer one: the constraint has the axis 9"),
        (_layer("ZeroPadding1D", padding={"up": 1}), "layer one: padding"),
        (_layer("Siamese"), "Unknown layer: Siamese"),
    ],
)  # fmt: skip
def test_what_is_no_more_is_refused(layer: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        model_from_config({"class_name": "Sequential", "config": [layer]})


def test_dropped_words_are_told() -> None:
    with pytest.warns(UserWarning, match="layer one of the file drops whole words"):
        modern_model(_layer("Embedding", input_dim=3, output_dim=2, dropout=0.5))


def test_the_order_of_axes_that_keras_1_did_not_store() -> None:
    pad = _layer("ZeroPadding2D", padding=[1, 1])
    pool = {"pool_size": [2, 2], "border_mode": "valid", "strides": [2, 2]}

    def translated(*orderings: str) -> Any:
        pools = [_layer("MaxPooling2D", dim_ordering=o, **pool) for o in orderings]
        return modern_model({"class_name": "Sequential", "config": [*pools, pad]}).config["config"][-1]

    assert translated("th")["config"]["data_format"] == "channels_first"
    assert translated("tf", "tf")["config"]["data_format"] == "channels_last"
    assert "data_format" not in translated()["config"]
    with pytest.raises(ValueError, match=r"layer one: .*do not agree: dim_ordering=tf, th"):
        translated("tf", "th")


def test_an_output_shape_that_the_layer_does_not_have() -> None:
    def deconvolution(rows: int) -> Any:
        layer = _layer(
            "Deconvolution2D", nb_filter=2, nb_row=3, nb_col=3, subsample=[2, 2], border_mode="valid",
            dim_ordering="tf", output_shape=[None, rows, 11, 2], batch_input_shape=[None, 5, 5, 3],
        )  # fmt: skip
        return model_from_config({"class_name": "Sequential", "config": [layer]})

    assert deconvolution(11).output_shape == (None, 11, 11, 2)
    with pytest.raises(ValueError, match=r"layer one: expected an output of shape \(None, 12, 11, 2\)"):
        deconvolution(12)


# -- whole models ------------------------------------------------------------------------------------------


def _merged(mode: str = "concat", **options: Any) -> dict[str, Any]:
    """Two layers beside one, merged, and two above: all kernels have the same shape but the last."""
    merge = {
        "name": "merge_1", "mode": mode, "mode_type": "raw", "concat_axis": -1, "dot_axes": -1,
        "output_shape": None, "output_shape_type": "raw", "output_mask": None, "output_mask_type": "raw",
        "arguments": {}, **options,
        "layers": [
            {"class_name": "Sequential", "config": [_dense("dense_9", 3, 3), _dense("dense_1", 3)]},
            {"class_name": "Sequential", "config": [_dense("dense_2", 3, 3)]},
        ],
    }  # fmt: skip
    layers = [{"class_name": "Merge", "config": merge}, _dense("dense_5", 3), _dense("dense_6", 3)]
    return {"class_name": "Sequential", "config": layers, "keras_version": "1.2.2"}


MODES = {
    "sum": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "ave": lambda a, b: (a + b) / 2,
    "max": np.maximum,
    "concat": lambda a, b: np.concatenate([a, b], -1),
    "dot": lambda a, b: np.sum(a * b, -1, keepdims=True),
    # Keras 1.2.2 gives cosines an axis more.
    "cos": lambda a, b: (np.sum(a * b, -1) / np.sqrt(np.sum(a * a, -1) * np.sum(b * b, -1)))[:, None, None],
}


@pytest.mark.parametrize("mode", MODES)
def test_a_merge_below_a_sequential(mode: str, tmp_path: Path) -> None:
    width = {"concat": 6, "dot": 1, "cos": 1}.get(mode, 3)
    kernels = _arrays((3, 3), (3, 3), (3, 3), (width, 3), (3, 3))
    # Keras 1 lists the layers branch by branch; a functional model lists them by their depth.
    names = ["dense_9", "dense_1", "dense_2", "dense_5", "dense_6"]
    weights = {name: [kernel, *_arrays((3,))] for name, kernel in zip(names, kernels, strict=True)}
    config = _merged(mode)
    x = _arrays((4, 3), (4, 3))

    def dense(values: np.ndarray, name: str) -> np.ndarray:
        return values @ weights[name][0] + weights[name][1]

    joined = MODES[mode](dense(dense(x[0], "dense_9"), "dense_1"), dense(x[1], "dense_2"))
    expected = dense(dense(joined, "dense_5"), "dense_6")
    _write(tmp_path / "whole.h5", weights, config)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = load_model(tmp_path / "whole.h5", compile=False)
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-5, atol=1e-5)
    # Layers that the model does not call so come in the same order.
    other = {f"layer_{i}": arrays for i, arrays in enumerate(weights.values())}
    _write(tmp_path / "weights.h5", other)
    model = model_from_json(json.dumps(config))
    model.load_weights(tmp_path / "weights.h5")
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-5, atol=1e-5)
    model.save(tmp_path / "again.h5")
    again = load_model(tmp_path / "again.h5", compile=False)
    for name, arrays in weights.items():
        for got, wanted in zip(again.get_layer(name).get_weights(), arrays, strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_a_merge_inside_of_a_functional_model() -> None:
    merge = {"name": "joined", "mode": "sum", "mode_type": "raw", "concat_axis": -1, "dot_axes": -1}
    source = {"batch_input_shape": [None, 3], "input_dtype": "float32", "sparse": False}
    config = {
        "name": "model_1",
        "layers": [
            {"name": n, "class_name": "InputLayer", "config": {**source, "name": n}, "inbound_nodes": []}
            for n in ("a", "b")
        ]
        + [
            {"name": "joined", "class_name": "Merge", "config": merge,
             "inbound_nodes": [[["a", 0, 0], ["b", 0, 0]]]},
            {"name": "seq", "class_name": "Sequential", "config": [_dense("inner", 2, 3)],
             "inbound_nodes": [[["joined", 0, 0]]]},
        ],
        "input_layers": [["a", 0, 0], ["b", 0, 0]],
        "output_layers": [["seq", 1, 0]],
    }  # fmt: skip
    model = model_from_config({"class_name": "Model", "config": config})
    assert [type(layer).__name__ for layer in model.layers] == [
        "InputLayer",
        "InputLayer",
        "Add",
        "Sequential",
    ]
    kernel, bias = model.get_layer("seq").get_weights()
    x = _arrays((4, 3), (4, 3))
    np.testing.assert_allclose(model.predict(x), (x[0] + x[1]) @ kernel + bias, rtol=1e-5, atol=1e-6)


def test_code_in_a_merge_is_not_run() -> None:
    config = _merged(["4wEAAAAA", None, None], mode_type="lambda")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"merge_1.*bytecode"):
        model_from_config(config)
    model = model_from_config(config, custom_objects={"merge_1": lambda pair: pair[0] - pair[1]})
    assert model.output_shape == (None, 3)


def test_configurations_that_were_encoded_twice(tmp_path: Path) -> None:
    config = {"class_name": "Sequential", "config": [_dense("one", 2, 3)]}
    kernel, bias = _arrays((3, 2), (2,))
    _write(tmp_path / "twice.h5", {"one": [kernel, bias]}, json.dumps(config))
    model = load_model(tmp_path / "twice.h5", compile=False)
    np.testing.assert_array_equal(model.get_weights()[0], kernel)
    assert model_from_json(json.dumps(json.dumps(config))).output_shape == (None, 2)
    with pytest.raises(ValueError):
        model_from_json(json.dumps(json.dumps(json.dumps(config))))


# -- optimizers --------------------------------------------------------------------------------------------


def test_optimizer_state_is_in_the_order_of_names(tmp_path: Path) -> None:
    config = {"class_name": "Sequential", "config": [_dense("zeta", 3, 3), _dense("alpha", 3)]}
    weights = {name: _arrays((3, 3), (3,)) for name in ("zeta", "alpha")}
    _write(tmp_path / "model.h5", weights, config)
    # Keras 1 sorts: alpha_W, alpha_b, zeta_W, zeta_b.
    state = _arrays((3, 3), (3,), (3, 3), (3,))
    training = {
        "loss": "mse", "metrics": [], "loss_weights": None, "sample_weight_mode": None,
        "optimizer_config": {
            "class_name": "SGD", "config": {"lr": 0.25, "momentum": 0.5, "decay": 0.0, "nesterov": False},
        },
    }  # fmt: skip
    with h5py.File(tmp_path / "model.h5", "a") as file:
        file.attrs["training_config"] = json.dumps(training).encode()
        group = file.create_group("optimizer_weights")
        names = ["iterations", *(f"moment_{i}" for i in range(4))]
        group.attrs["weight_names"] = [name.encode() for name in names]
        for name, value in zip(names, [np.float32(7), *state], strict=True):
            group[name] = value
    model = load_model(tmp_path / "model.h5")
    x, y = _arrays((4, 3), (4, 3))
    steps, *moments = K.batch_get_value(model.optimizer.weights)
    assert steps == 7
    for got, expected in zip(moments, [state[2], state[3], state[0], state[1]], strict=True):
        np.testing.assert_array_equal(got, expected)
    assert np.isfinite(model.train_on_batch(x, y))


# -- Keras 0.3 ---------------------------------------------------------------------------------------------


def _oldest(class_name: str, **config: Any) -> dict[str, Any]:
    name = class_name.lower()
    return {"name": class_name, "custom_name": name, "cache_enabled": True, "trainable": True, **config}


def _oldest_dense(units: int, **config: Any) -> dict[str, Any]:
    return _oldest("Dense", output_dim=units, init="glorot_uniform", activation="linear", **config)


def _write_oldest(path: Path, layers: list[list[np.ndarray]], names: list[str] | None = None) -> None:
    with h5py.File(path, "w") as file:
        if names is None:
            file.attrs["nb_layers"] = len(layers)
        for i, arrays in enumerate(layers):
            group = file.create_group(names[i] if names else f"layer_{i}")
            group.attrs["nb_params"] = len(arrays)
            for n, array in enumerate(arrays):
                group[f"param_{n}"] = array


def _sequential_of_keras_0() -> tuple[Any, list[list[np.ndarray]]]:
    config = {
        "name": "Sequential", "loss": "mse",
        "layers": [
            _oldest_dense(4, input_shape=[3]),
            _oldest("BatchNormalization", epsilon=0.25, mode=0, axis=-1, momentum=0.9),
            _oldest("Activation", activation="tanh"),
            _oldest_dense(2),
        ],
    }  # fmt: skip
    kernel, bias, gamma, beta, mean = _arrays((3, 4), (4,), (4,), (4,), (4,))
    deviation = RNG.uniform(0.5, 2, 4).astype("float32")
    return config, [[kernel, bias], [gamma, beta, mean, deviation], [], _arrays((4, 2), (2,))]


def test_weights_without_names(tmp_path: Path) -> None:
    config, layers = _sequential_of_keras_0()
    _write_oldest(tmp_path / "old.h5", layers)
    model = model_from_json(json.dumps(config))
    model.load_weights(tmp_path / "old.h5")
    assert [layer.name for layer in model.layers] == ["dense", "batchnormalization", "activation", "dense_1"]
    (x,) = _arrays((5, 3))
    (w, b), (gamma, beta, mean, deviation), _, (w2, b2) = layers
    # Keras 0.3 divides by the deviation and epsilon.
    normal = (x @ w + b - mean) / (deviation + 0.25) * gamma + beta
    np.testing.assert_allclose(model.predict(x), np.tanh(normal) @ w2 + b2, rtol=1e-4, atol=1e-5)
    before = model.get_weights()
    with pytest.raises(ValueError, match="no names"):
        model.load_weights(tmp_path / "old.h5", by_name=True)
    _write_oldest(tmp_path / "short.h5", layers[:2])
    with pytest.raises(ValueError, match=r"short.h5.*2 layers into a model with 3 layers"):
        model.load_weights(tmp_path / "short.h5")
    with h5py.File(tmp_path / "old.h5", "a") as file:
        del file["layer_3/param_1"]
    with pytest.raises(ValueError, match=r"old.h5, group layer_3.*param_1"):
        model.load_weights(tmp_path / "old.h5")
    for got, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_a_merge_that_holds_all_weights_of_its_branches(tmp_path: Path) -> None:
    branches = [{"name": "Sequential", "layers": [_oldest_dense(3, input_shape=[3])]} for _ in range(2)]
    merge = {"name": "Merge", "mode": "sum", "concat_axis": -1, "dot_axes": -1, "layers": branches}
    config = {"name": "Sequential", "layers": [merge, _oldest_dense(3)]}
    a, c, b, d, w, v = _arrays((3, 3), (3,), (3, 3), (3,), (3, 3), (3,))
    _write_oldest(tmp_path / "old.h5", [[a, c, b, d], [w, v]])
    model = model_from_json(json.dumps(config))
    model.load_weights(tmp_path / "old.h5")
    x = _arrays((4, 3), (4, 3))
    expected = (x[0] @ a + c + x[1] @ b + d) @ w + v
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match=r"old.h5.*expected|old.h5.*layers into a model with 5 layers"):
        model_from_json(json.dumps(_merged("concat"))).load_weights(tmp_path / "old.h5")


def test_a_graph(tmp_path: Path) -> None:
    def node(name: str, source: Any, inputs: Any = (), mode: str = "concat") -> dict[str, Any]:
        return {
            "name": name, "input": source, "inputs": list(inputs), "merge_mode": mode, "concat_axis": -1,
            "dot_axes": -1, "create_output": False,
        }  # fmt: skip

    def output(name: str, source: Any, inputs: Any = ()) -> dict[str, Any]:
        return {key: value for key, value in node(name, source, inputs).items() if key != "create_output"}

    config = {
        "name": "Graph", "input_order": ["left", "right"], "output_order": ["sum", "both"],
        "input_config": [
            {"name": "left", "input_shape": [3], "dtype": "float"},
            {"name": "right", "input_shape": [2], "dtype": "float"},
        ],
        "node_config": [
            node("a", "left"), node("b", "right"), node("c", None, ["a", "b"], "sum"),
        ],
        "output_config": [output("sum", "c"), output("both", None, ["c", "a"])],
        "nodes": {name: _oldest_dense(3) for name in ("a", "b", "c")},
    }  # fmt: skip
    a, ab, b, bb, c, cb = _arrays((3, 3), (3,), (2, 3), (3,), (3, 3), (3,))
    _write_oldest(tmp_path / "graph.h5", [[a, ab, b, bb, c, cb]], ["graph"])
    model = model_from_json(json.dumps(config))
    assert isinstance(model, Model)
    model.load_weights(tmp_path / "graph.h5")
    left, right = _arrays((4, 3), (4, 2))
    first = left @ a + ab
    both = (first + right @ b + bb) @ c + cb
    assert (model.input_names, model.output_names) == (["left", "right"], ["sum", "both"])
    found = model.predict({"left": left, "right": right})
    np.testing.assert_allclose(found[0], both, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[1], np.concatenate([both, first], -1), rtol=1e-4, atol=1e-5)
    config["nodes"]["c"]["name"] = "Siamese"  # type: ignore[index]
    with pytest.raises(ValueError, match="node c: shared nodes"):
        model_from_json(json.dumps(config))


@pytest.mark.parametrize(
    ("version", "stated", "backend", "flips"),
    [
        (None, None, "theano", True),
        (None, None, "tensorflow", False),
        ("1.2.2", None, "theano", True),
        ("2.0.8", "tensorflow", "theano", False),
        ("2.0.8", "theano", "tensorflow", True),
    ],
)
def test_kernels_of_keras_1_are_those_of_the_backend_of_the_script(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: str | None,
    stated: str | None,
    backend: str,
    flips: bool,
) -> None:
    kernel, bias = _arrays((3, 2, 2, 4), (4,))
    path = tmp_path / "weights.h5"
    _write(path, {"conv": [kernel, bias]})
    with h5py.File(path, "a") as file:
        for name, text in (("keras_version", version), ("backend", stated)):
            if text is not None:
                file.attrs[name] = text.encode()
    monkeypatch.setattr(state._settings, "backend", backend)
    model = Sequential([Conv2D(4, (3, 2), input_shape=(5, 5, 2))])
    model.load_weights(path)
    expected = kernel[::-1, ::-1] if flips else kernel
    np.testing.assert_array_equal(model.get_weights()[0], expected)
    # What is written holds no turned kernels any more.
    model.save_weights(tmp_path / "again.h5")
    model.load_weights(tmp_path / "again.h5")
    np.testing.assert_array_equal(model.get_weights()[0], expected)
