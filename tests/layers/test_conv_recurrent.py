"""Convolutional recurrent layers, and those with cuDNN's weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.layers import (
    GRU,
    LSTM,
    ConvLSTM2D,
    ConvLSTM2DCell,
    ConvRNN2D,
    CuDNNGRU,
    CuDNNLSTM,
    Flatten,
    Input,
    Masking,
)
from symgraph.models import Model, Sequential, load_model
from tests.layers import recurrent_truth as truth

RNG = np.random.default_rng(17)
MOVIES = RNG.standard_normal((3, 4, 6, 5, 2)).astype("f4")
X = RNG.standard_normal((6, 5, 3)).astype("f4")
ARGUMENTS: list[dict[str, Any]] = [
    {"padding": "same"},
    {"padding": "valid", "strides": (2, 1)},
    {"dilation_rate": (1, 2), "padding": "valid"},
]


@pytest.fixture
def float64() -> Iterator[None]:
    K.set_floatx("float64")
    yield
    K.set_floatx("float32")


def _weights(layer: Any) -> list[np.ndarray]:
    layer.set_weights([RNG.standard_normal(w.shape) * 0.3 for w in layer.get_weights()])
    return [w.astype("f8") for w in layer.get_weights()]


def _step(layer: Any, w: Any) -> truth.Step:
    return truth.conv_lstm_step(w, layer.strides, layer.padding, layer.dilation_rate)


@pytest.mark.parametrize("kwargs", ARGUMENTS)
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_outputs_and_states(kwargs: dict[str, Any], backwards: bool, masked: bool) -> None:
    layer = ConvLSTM2D(3, 2, return_sequences=True, return_state=True, go_backwards=backwards, **kwargs)
    x, mask = Input((4, 6, 5, 2)), Input((4,))
    y = layer(x, mask=mask) if masked else layer(x)
    w = _weights(layer)
    flags = np.array([[1, 1, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]], "f4")
    first = truth.convolved(MOVIES[:, 0], w[0], layer.strides, layer.padding, layer.dilation_rate)
    start = [np.zeros((*first.shape[:3], 3))] * 2
    whole, _, states = truth.run(_step(layer, w), MOVIES, start, flags if masked else None, backwards)
    found = Model([x, mask] if masked else x, y).predict([MOVIES, flags] if masked else MOVIES)
    assert [K.int_shape(t)[1:] for t in y] == [v.shape[1:] for v in (whole, *states)]
    assert [s[1:] for s in layer.compute_output_shape((None, 4, 6, 5, 2))] == [v.shape[1:] for v in found]
    for value, wanted in zip(found, [whole, *states], strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-5)


def test_gradients_agree_with_differences(float64: None) -> None:
    layer = ConvLSTM2D(2, (2, 3), padding="same", recurrent_activation="sigmoid")
    x = Input((4, 6, 5, 2), dtype="float64")
    loss = K.sum(K.square(layer(x)))
    _weights(layer)
    f = K.function([x], [loss, *K.gradients(loss, layer.weights)])
    gradients = f([MOVIES.astype("f8")])[1:]
    for weight, gradient in zip(layer.weights, gradients, strict=True):
        value, ends = K.get_value(weight), []
        way = RNG.standard_normal(value.shape)
        for sign in (1, -1):
            K.set_value(weight, value + sign * 1e-6 * way)
            ends.append(f([MOVIES.astype("f8")])[0])
        K.set_value(weight, value)
        np.testing.assert_allclose(np.sum(gradient * way), (ends[0] - ends[1]) / 2e-6, rtol=1e-6)


def test_stateful_movies_and_first_states(tmp_path: Path) -> None:
    layer = ConvLSTM2D(2, 3, padding="same", stateful=True)
    model = Sequential([layer, Flatten()])
    model.build((3, 4, 6, 5, 2))
    w = _weights(layer)
    zeros = [np.zeros((3, 6, 5, 2))] * 2
    model.predict(MOVIES, 3)
    wanted = truth.run(_step(layer, w), np.concatenate([MOVIES, MOVIES], 1), zeros)[1]
    np.testing.assert_allclose(model.predict(MOVIES, 3).reshape(wanted.shape), wanted, rtol=1e-4, atol=1e-5)
    values = [RNG.standard_normal((3, 6, 5, 2)).astype("f4") for _ in range(2)]
    layer.reset_states(values)
    wanted = truth.run(_step(layer, w), MOVIES, values)[1]
    np.testing.assert_allclose(model.predict(MOVIES, 3).reshape(wanted.shape), wanted, rtol=1e-4, atol=1e-5)
    model.save(tmp_path / "movies.h5")
    with pytest.warns(UserWarning, match="No training configuration"):
        again = load_model(tmp_path / "movies.h5")
    again.layers[0].reset_states(values)
    layer.reset_states(values)
    np.testing.assert_array_equal(again.predict(MOVIES, 3), model.predict(MOVIES, 3))
    x, start = Input((4, 6, 5, 2)), [Input((6, 5, 2)) for _ in range(2)]
    free = ConvLSTM2D(2, 3, padding="same", weights=layer.get_weights())
    found = Model([x, *start], free(x, initial_state=start)).predict([MOVIES, *values])
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_dropout_of_pictures() -> None:
    x = Input((4, 6, 5, 2))
    layer = ConvLSTM2D(2, 2, dropout=0.5, recurrent_dropout=0.5, return_sequences=True)
    y = layer(x)
    plain = ConvLSTM2D(2, 2, return_sequences=True, weights=layer.get_weights())
    f = K.function([x, K.learning_phase()], [y, plain(x), *layer.cell._dropout_mask])
    tested = f([MOVIES, 0])
    np.testing.assert_allclose(tested[0], tested[1], rtol=1e-5, atol=1e-6)
    trained = f([MOVIES, 1])
    assert not np.allclose(trained[0], trained[1])
    masks = trained[2:]
    assert {float(v) for mask in masks for v in np.unique(mask)} == {0.0, 2.0}
    assert len({mask.tobytes() for mask in masks}) == 4


def test_what_is_refused() -> None:
    x = Input((4, 6, 5, 2))
    with pytest.raises(TypeError, match="Unrolling isn't possible"):
        ConvRNN2D(ConvLSTM2DCell(2, 3), unroll=True)
    with pytest.raises(TypeError, match="stack convolutional cells"):
        ConvRNN2D([ConvLSTM2DCell(2, 3)])
    with pytest.raises(ValueError, match="The same thing goes for the number of rows"):
        ConvLSTM2D(2, 3, stateful=True)(Input(batch_shape=(3, 4, None, 5, 2)))
    with pytest.raises(ValueError, match="The channel dimension of the inputs should be defined"):
        ConvLSTM2D(2, 3)(Input((4, 6, 5, None)))
    with pytest.raises(ValueError, match="expected ndim=5, found ndim=4"):
        ConvLSTM2D(2, 3)(Input((6, 5, 2)))
    with pytest.raises(ValueError, match=r"not compatible with `cell\.state_size`"):
        ConvLSTM2D(2, 3, padding="same")(x, initial_state=[Input((6, 5, 2)), Input((6, 5, 3))])


@pytest.mark.parametrize(("cls", "plain"), [(CuDNNGRU, GRU), (CuDNNLSTM, LSTM)])
def test_cudnn_layers_are_the_plain_ones_with_other_biases(cls: Any, plain: Any) -> None:
    further = {"reset_after": True} if plain is GRU else {}
    layer, same = (
        cls(4, return_state=True),
        plain(4, return_state=True, recurrent_activation="sigmoid", **further),
    )
    x = Input((5, 3))
    model = Model(x, [*layer(x), *same(x)])
    kernel, recurrent, bias = _weights(layer)
    kernel, recurrent = (truth.as_cudnn_reads(w, 4) for w in (kernel, recurrent))
    halves = bias.reshape(2, -1)
    same.set_weights([kernel, recurrent, halves if plain is GRU else halves.sum(0)])
    found = model.predict(X)
    half = len(found) // 2
    for a, b in zip(found[:half], found[half:], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert "unroll" not in layer.get_config()
    assert layer.kernel is layer.weights[0]
    with pytest.raises(ValueError, match="Masking is not supported for CuDNN RNNs"):
        cls(4)(Masking()(x))


def test_cudnn_states_and_biases() -> None:
    np.testing.assert_array_equal(
        Sequential([CuDNNLSTM(1, input_shape=(5, 3))]).get_weights()[2], [0] * 5 + [1, 0, 0]
    )
    layer = CuDNNLSTM(4, stateful=True, return_sequences=True)
    model = Sequential([layer])
    model.build((6, 5, 3))
    kernel, recurrent, bias = _weights(layer)
    kernel, recurrent = truth.as_cudnn_reads(kernel, 4), truth.as_cudnn_reads(recurrent, 4)
    step = truth.lstm_step((kernel, recurrent, bias.reshape(2, -1).sum(0)), gate="sigmoid")
    wanted = truth.run(step, np.concatenate([X, X], 1), truth.zeros(X, 4, 4))[0]
    found = np.concatenate([model.predict(X, 6), model.predict(X, 6)], 1)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
