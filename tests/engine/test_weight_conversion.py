"""Weights that other versions of Keras store in another order; what they mean is worked out in numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from symgraph.engine.saving import preprocess_weights_for_loading
from symgraph.layers import (
    GRU,
    LSTM,
    Bidirectional,
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    ConvLSTM2D,
    CuDNNGRU,
    CuDNNLSTM,
    Dense,
    SeparableConv2D,
    TimeDistributed,
)
from symgraph.models import Sequential

RNG = np.random.default_rng(4)
FIRST = {"data_format": "channels_first"}


def _old_gates(order: str, names: str, weights: list[np.ndarray]) -> list[np.ndarray]:
    """Kernel, recurrent kernel and bias of each gate by itself, in Keras 1's order of gates."""
    return [np.split(w, len(names), axis=-1)[names.index(gate)] for gate in order for w in weights]


def _old(layer: Any, weights: list[np.ndarray]) -> list[np.ndarray]:
    """Weights as Keras 1 stored them."""
    kernel, *rest = weights
    name, first = type(layer).__name__, getattr(layer, "data_format", None) == "channels_first"
    if name == "Conv1D":
        return [kernel[:, None], *rest]
    if name in ("Conv2D", "Conv3D"):
        return [np.moveaxis(kernel, (-1, -2), (0, 1)) if first else kernel, *rest]
    if name == "SeparableConv2D":
        return [np.moveaxis(w, (-1, -2), (0, 1)) if first and w.ndim == 4 else w for w in weights]
    if name == "Conv2DTranspose":
        return [np.moveaxis(kernel, (2, 3), (0, 1)) if first else np.swapaxes(kernel, 2, 3), *rest]
    if name == "GRU":
        return _old_gates("zrh", "zrh", weights)
    if name == "ConvLSTM2D" and first:
        weights = [np.moveaxis(w, (-1, -2), (0, 1)) if w.ndim == 4 else w for w in weights]
        parts = [np.split(w, 4, axis=0) for w in weights]
        return [part["ifco".index(gate)] for gate in "icfo" for part in parts]
    return _old_gates("icfo", "ifco", weights) if name in ("LSTM", "ConvLSTM2D") else weights


LAYERS = [
    (lambda: Conv1D(2, 3, name="one"), (7, 4)),
    (lambda: Conv2D(2, (3, 2), name="one"), (7, 6, 4)),
    (lambda: Conv2D(2, (3, 2), name="one", **FIRST), (4, 7, 6)),
    (lambda: Conv2DTranspose(2, (3, 2), name="one"), (7, 6, 4)),
    (lambda: Conv2DTranspose(2, (3, 2), name="one", **FIRST), (4, 7, 6)),
    (lambda: Conv3D(2, (3, 2, 1), name="one", **FIRST), (4, 5, 4, 3)),
    (lambda: GRU(2, name="one"), (5, 3)),
    (lambda: LSTM(2, name="one"), (5, 3)),
    (lambda: ConvLSTM2D(2, (3, 2), name="one"), (4, 6, 5, 3)),
    (lambda: ConvLSTM2D(2, (3, 2), name="one", **FIRST), (4, 3, 6, 5)),
    (lambda: SeparableConv2D(2, (3, 2), depth_multiplier=2, name="one"), (7, 6, 4)),
    (lambda: SeparableConv2D(2, (3, 2), depth_multiplier=2, name="one", **FIRST), (4, 7, 6)),
]


@pytest.mark.parametrize(("make", "shape"), LAYERS)
def test_layouts_of_keras_1(make: Any, shape: tuple[int, ...], tmp_path: Path) -> None:
    layer = make()
    model = Sequential([layer])
    model.build((None, *shape))
    weights = [RNG.normal(size=w.shape).astype("float32") for w in model.get_weights()]
    old = _old(layer, weights)
    # Files of Keras 1 do not say which version wrote them.
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.attrs["layer_names"] = [b"one"]
        group = file.create_group("one")
        group.attrs["weight_names"] = [f"one_{i}".encode() for i in range(len(old))]
        for i, value in enumerate(old):
            group[f"one_{i}"] = value
    model.load_weights(tmp_path / "old.h5")
    for got, expected in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_even_older_kernels_of_sequences() -> None:
    layer = Conv1D(2, 3)
    layer.build((None, 7, 4))
    kernel, bias = RNG.normal(size=(3, 4, 2)), np.ones(2)
    (got, _) = preprocess_weights_for_loading(layer, [kernel.transpose(2, 1, 0)[..., None], bias], "1")
    np.testing.assert_array_equal(got, kernel)


def test_layouts_of_keras_1_inside_of_others() -> None:
    inner = Conv2D(2, (3, 2), **FIRST)
    model = Sequential([Conv2D(4, (1, 1), input_shape=(4, 7, 6), **FIRST), Sequential([inner])])
    several = TimeDistributed(inner)
    both = Bidirectional(LSTM(2))
    both.build((None, 5, 3))
    a, b = (RNG.normal(size=w.shape) for w in model.get_weights()[::2])
    old = [_old(inner, [a])[0], np.zeros(4), _old(inner, [b])[0], np.zeros(2)]
    found = preprocess_weights_for_loading(model, old, "1.2.2")
    np.testing.assert_array_equal(found[0], a)
    np.testing.assert_array_equal(found[2], b)
    np.testing.assert_array_equal(preprocess_weights_for_loading(several, old[2:], "1")[0], b)
    weights = [RNG.normal(size=w.shape) for w in both.weights]
    halves = [old for part in (weights[:3], weights[3:]) for old in _old(both.forward_layer, part)]
    for got, expected in zip(preprocess_weights_for_loading(both, halves, "1"), weights, strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(
    ("cudnn", "plain"),
    [
        (lambda: CuDNNLSTM(4, name="one"), lambda: LSTM(4, recurrent_activation="sigmoid", name="one")),
        (
            lambda: CuDNNGRU(4, name="one"),
            lambda: GRU(4, recurrent_activation="sigmoid", reset_after=True, name="one"),
        ),
    ],
)
def test_recurrent_layers_exchange_weights_with_those_of_cudnn(
    cudnn: Any, plain: Any, wrapped: bool, tmp_path: Path
) -> None:
    def model_of(make: Any) -> Sequential:
        layer = Bidirectional(make(), name="both") if wrapped else make()
        model = Sequential([layer, Dense(2)])
        model.build((None, 5, 3))
        return model

    x = RNG.normal(size=(6, 5, 3))
    for source, target in ((model_of(cudnn), model_of(plain)), (model_of(plain), model_of(cudnn))):
        source.set_weights([RNG.normal(size=w.shape) for w in source.get_weights()])
        source.save_weights(tmp_path / "weights.h5")
        target.load_weights(tmp_path / "weights.h5")
        np.testing.assert_allclose(target.predict(x), source.predict(x), rtol=1e-4, atol=1e-5)


def test_weights_that_cannot_become_others() -> None:
    plain, after, cudnn = GRU(2), GRU(2, reset_after=True), CuDNNGRU(2)
    for layer in (plain, after, cudnn):
        layer.build((None, 5, 3))
    weights = {layer: [np.zeros(w.shape) for w in layer.weights] for layer in (plain, after, cudnn)}
    for source, target, message in (
        (cudnn, plain, r"CuDNNGRU is not compatible with GRU\(reset_after=False\)"),
        (plain, cudnn, r"GRU\(reset_after=False\) is not compatible with CuDNNGRU"),
        (plain, after, r"GRU\(reset_after=False\) is not compatible with GRU\(reset_after=True\)"),
    ):
        with pytest.raises(ValueError, match=message):
            preprocess_weights_for_loading(target, weights[source])
    with pytest.raises(ValueError, match=r"Invalid bias shape: \(5,\)"):
        preprocess_weights_for_loading(plain, [*weights[plain][:2], np.zeros(5)])
    for layer, own in weights.items():
        assert all(a is b for a, b in zip(preprocess_weights_for_loading(layer, own), own, strict=True))


def test_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    source, target = Sequential([CuDNNGRU(2, name="one")]), Sequential([GRU(2, name="one")])
    for model in (source, target):
        model.build((None, 5, 3))
    source.save_weights(tmp_path / "weights.h5")
    before = target.get_weights()
    with pytest.raises(ValueError, match=r"weights.h5.*layer one: CuDNNGRU is not compatible"):
        target.load_weights(tmp_path / "weights.h5")
    with pytest.warns(UserWarning, match="Skipping loading of weights for layer one"):
        target.load_weights(tmp_path / "weights.h5", by_name=True, skip_mismatch=True)
    for a, b in zip(before, target.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
