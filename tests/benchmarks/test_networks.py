"""The comparison of ready networks: all engines get one network, and what they compute is compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import network_zoo, networks
from benchmarks.engines import onnxruntime_network, symgraph_network
from benchmarks.harness import Engine, promising, run
from benchmarks.network_files import WEIGHTS, forget, read, results
from symgraph import backend as K
from symgraph import layers
from symgraph.models import Model


def _small() -> Model:
    """A layer of each kind that has weights, a shortcut, and padding on one side."""
    channels = 1 if K.image_data_format() == "channels_first" else -1
    x = image = layers.Input((3, 12, 12) if channels == 1 else (12, 12, 3))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="first")(x)
    x = layers.BatchNormalization(axis=channels, scale=False, name="norm")(x)
    x = before = layers.Activation("relu", name="before")(x)
    x = layers.Conv2D(8, 1, name="inside")(x)
    x = layers.BatchNormalization(axis=channels, name="added")(x)
    x = layers.add([before, x], name="sum")
    x = layers.ZeroPadding2D(((0, 1), (0, 1)), name="pad")(x)
    x = layers.DepthwiseConv2D(3, strides=2, name="depthwise")(x)
    x = layers.Flatten(name="flat")(x)
    return Model(image, layers.Dense(5, activation="softmax", name="classes")(x))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With the description, weights and ONNX file of the small network."""
    monkeypatch.setitem(network_zoo.NETWORKS, "small", _small)
    network_zoo.write("small", tmp_path, onnx=True)
    return tmp_path


def test_engines_compute_the_same(folder: Path) -> None:
    symgraph_network.make(str(folder), "predict", "2", 1)
    onnxruntime_network.make(str(folder), "predict", "2", 1)
    found = results(folder)
    assert found["onnxruntime"][1] == found["symgraph"][1] == _small().count_params()
    assert np.ptp(found["symgraph"][0]) > 0.1
    parameters, difference = networks.comparison(folder)
    assert parameters == f"{_small().count_params():,}"
    assert difference.endswith(" onnxruntime") and float(difference.split()[0]) < 1e-5


def test_other_weights_are_seen(folder: Path) -> None:
    onnxruntime_network.make(str(folder), "predict", "2", 1)
    with np.load(folder / WEIGHTS) as arrays:
        changed = dict(arrays)
    changed["norm/0"] = changed["norm/0"] + 0.1
    np.savez(folder / WEIGHTS, **changed)
    symgraph_network.make(str(folder), "predict", "2", 1)
    assert float(networks.comparison(folder)[1].split()[0]) > 1e-3


def test_weights_are_those_that_were_written(folder: Path) -> None:
    network = read(folder)
    model = _small()
    network_zoo.set_weights(model)
    walked = [array for _, weights in network.walk() for array in weights]
    for array, expected in zip(walked, model.get_weights(), strict=True):
        np.testing.assert_array_equal(array, expected)
    assert network.input_shape == (12, 12, 3) and network.output_shape == (5,)
    assert next(layer for layer in network.layers if layer.kind == "Add").inputs == ("before", "added")


def test_training_leaves_its_first_losses(folder: Path) -> None:
    step = symgraph_network.make(str(folder), "train", "4", 1)
    for _ in range(3):
        step()
    first, second = results(folder)["symgraph"][0]
    assert second < first
    forget(folder)
    assert not results(folder)


def test_values_stay_of_one_size() -> None:
    model = network_zoo.NETWORKS["MobileNetV2"]()
    network_zoo.set_weights(model)
    drawn = {v.name.rpartition("/")[2]: K.get_value(v) for v in model.get_layer("block_2_project_BN").weights}
    assert all(np.std(value) > 0.01 for value in drawn.values())
    kernel = model.get_layer("block_2_depthwise").get_weights()[0]
    # Each output reads nine values.
    assert np.std(kernel) == pytest.approx((2 / 9) ** 0.5, rel=0.1)


def _engine(name: str, *times: float) -> Engine:
    return Engine(name, "", milliseconds=list(times))


def test_hopeless_peers_have_one_turn() -> None:
    ours, slow, fast, new = _engine("symgraph", 90.0), _engine("a", 21.0), _engine("b", 10.0), _engine("c")
    assert promising([ours, slow, fast, new], 2.0) == [ours, fast, new]
    assert promising([ours, slow, fast, new], 3.0) == [ours, slow, fast, new]
    assert promising([ours], 2.0) == [ours]


def test_rows_tell_the_best_peer_of_its_own_group() -> None:
    first, second = _engine("symgraph", 10.0), _engine("symgraph", 12.0)
    pairs = [
        networks.Pair(_engine("a", 11.0), first),
        networks.Pair(_engine("b", 12.5), second),
        networks.Pair(Engine("c", "", failure="ended with exit code 1"), second),
    ]
    cells = networks.cells(pairs, ["5", "-"])
    assert cells[:6] == ["12.0", "12.5 b", "**0.96**", "0.91", "0.96", "ended with exit code 1"]


def test_failures_are_told() -> None:
    engine = Engine("onnxruntime", "benchmarks.engines.onnxruntime_network")
    run([engine], ["nowhere", "train", "8"], 1, 1, 1)
    assert engine.failure == "ValueError: onnxruntime predicts only" and engine.median == float("inf")


def test_unknown_networks_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["networks", "--networks", "VGG"])
    with pytest.raises(SystemExit):
        networks.main()
    assert "there is no network 'VGG'; there are VGG16, ResNet50" in capsys.readouterr().err
