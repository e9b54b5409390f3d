"""`Flatten` in files of Keras before 2.1.6, which left channels that come first where they were.

The truth is the same network with ``Flatten(data_format="channels_last")``, which moves nothing either.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from symgraph import backend as K
from symgraph.layers import (
    LSTM,
    BatchNormalization,
    Bidirectional,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    PReLU,
    TimeDistributed,
)
from symgraph.models import Model, Sequential, model_from_json

RNG = np.random.default_rng(3)
PICTURES = RNG.normal(size=(4, 3, 4, 5)).astype("float32")
FILMS = RNG.normal(size=(2, 3, 3, 4, 5)).astype("float32")


@pytest.fixture
def channels_first():
    before = K.image_data_format()
    K.set_image_data_format("channels_first")
    yield
    K.set_image_data_format(before)


def _plain(flatten: Flatten) -> Model:
    return Sequential([flatten, Dropout(0.5), Dense(4, activation="relu"), Dense(2)])


def _normalized(flatten: Flatten) -> Model:
    return Sequential([flatten, BatchNormalization(), PReLU(), Dense(2)])


def _films(flatten: Flatten) -> Model:
    return Sequential([TimeDistributed(flatten), Bidirectional(LSTM(3)), Dense(2)])


def _dense_films(flatten: Flatten) -> Model:
    return Sequential([TimeDistributed(flatten), TimeDistributed(Dense(3)), LSTM(2)])


def _nested(flatten: Flatten) -> Model:
    base = Sequential([Conv2D(2, 3, data_format="channels_first", input_shape=(3, 4, 5)), flatten])
    return Sequential([base, Dense(2)])


def _joined(flatten: Flatten) -> Model:
    pictures, numbers = Input((3, 4, 5)), Input((6,))
    return Model([pictures, numbers], Dense(2)(Concatenate()([numbers, flatten(pictures)])))


def _written(path: Path, model: Model, version: str | None) -> None:
    """Weights in a file that says another version."""
    model.save_weights(path)
    with h5py.File(path, "a") as file:
        del file.attrs["keras_version"]
        if version is not None:
            file.attrs["keras_version"] = version.encode()


def _filled(model: Model, x: Any) -> Any:
    """Other weights, and what comes out."""
    model.predict(x)
    model.set_weights([RNG.uniform(0.1, 1, array.shape) for array in model.get_weights()])
    return model.predict(x)


@pytest.mark.parametrize("version", [None, "2.0.8", "2.1.5"])
@pytest.mark.parametrize(
    ("network", "x"),
    [(_plain, PICTURES), (_normalized, PICTURES), (_joined, [PICTURES, PICTURES[:, 0, 0, :1].repeat(6, 1)])],
)
def test_weights_behind_flatten_follow_its_features(
    tmp_path: Path, network: Callable[[Flatten], Model], x: Any, version: str | None
) -> None:
    old, new = network(Flatten(data_format="channels_last")), network(Flatten(data_format="channels_first"))
    expected = _filled(old, x)
    new.predict(x)
    _written(tmp_path / "old.h5", old, version)
    new.load_weights(tmp_path / "old.h5")
    np.testing.assert_allclose(new.predict(x), expected, rtol=1e-5)


@pytest.mark.parametrize(("network", "x"), [(_films, FILMS), (_dense_films, FILMS), (_nested, PICTURES)])
def test_weights_in_wrappers_and_behind_models_follow_too(
    tmp_path: Path, network: Callable[[Flatten], Model], x: Any
) -> None:
    old, new = network(Flatten(data_format="channels_last")), network(Flatten(data_format="channels_first"))
    expected = _filled(old, x)
    new.predict(x)
    _written(tmp_path / "old.h5", old, "2.1.5")
    new.load_weights(tmp_path / "old.h5")
    np.testing.assert_allclose(new.predict(x), expected, rtol=1e-5)


@pytest.mark.parametrize("version", ["2.1.6", "2.2.4", "2.2.4-tf", "unknown"])
def test_weights_of_todays_flatten_stay_as_they_are(tmp_path: Path, version: str) -> None:
    old, new = _plain(Flatten(data_format="channels_first")), _plain(Flatten(data_format="channels_first"))
    expected = _filled(old, PICTURES)
    new.predict(PICTURES)
    _written(tmp_path / "new.h5", old, version)
    new.load_weights(tmp_path / "new.h5")
    np.testing.assert_array_equal(new.predict(PICTURES), expected)


def test_a_configuration_without_data_format_moves_nothing(channels_first: None) -> None:
    model = Sequential([Flatten(input_shape=(3, 4, 5))])
    assert not np.array_equal(model.predict(PICTURES), PICTURES.reshape(4, -1))
    config = model.to_json()
    assert '"data_format": "channels_first"' in config
    old = model_from_json(config.replace('"data_format": "channels_first"', '"name": "f"'))
    np.testing.assert_array_equal(old.predict(PICTURES), PICTURES.reshape(4, -1))


def test_the_sample_of_keras_1_predicts_the_same_where_channels_come_first(channels_first: None) -> None:
    path = Path(__file__).parents[3] / "shared" / "h5" / "keras1_th_cnn_betago.h5"
    if not path.exists():
        pytest.skip(f"needs {path}, which is not part of this project")
    known = np.load(path.with_suffix(".npz"))
    model = model_from_json(path.with_suffix(".json").read_text())
    model.load_weights(path)
    np.testing.assert_allclose(model.predict(known["x0"]), known["y0"], rtol=1e-3, atol=1e-4)
    script = Sequential.from_config(
        [{**layer, "config": {**layer["config"], **_moves(layer)}} for layer in model.get_config()["layers"]]
    )
    script.load_weights(path)
    np.testing.assert_allclose(script.predict(known["x0"]), known["y0"], rtol=1e-3, atol=1e-4)


def _moves(layer: dict[str, Any]) -> dict[str, Any]:
    """As a script of today makes the layer."""
    return {"data_format": "channels_first"} if layer["class_name"] == "Flatten" else {}
