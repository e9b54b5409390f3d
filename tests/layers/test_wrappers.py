"""TimeDistributed and Bidirectional."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.layers import (
    GRU,
    LSTM,
    RNN,
    AlphaDropout,
    BatchNormalization,
    Bidirectional,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    GaussianNoise,
    Input,
    Lambda,
    LSTMCell,
    Masking,
    SimpleRNN,
    TimeDistributed,
    add,
    concatenate,
)
from symgraph.models import Model, Sequential, clone_model, load_model
from symgraph.optimizers import Adam
from symgraph.utils.generic_utils import object_list_uid
from tests.layers import recurrent_truth as truth

RNG = np.random.default_rng(11)
X = RNG.standard_normal((6, 5, 3)).astype("f4")


def _doubles(layer: Any) -> list[np.ndarray]:
    return [w.astype("f8") for w in layer.get_weights()]


# -- TimeDistributed


def test_a_convolution_of_every_step() -> None:
    pictures = RNG.standard_normal((2, 3, 6, 5, 2)).astype("f4")
    model = Sequential([TimeDistributed(Conv2D(4, 3), input_shape=(3, 6, 5, 2))])
    single = Sequential([Conv2D(4, 3, input_shape=(6, 5, 2))])
    single.set_weights(model.get_weights())
    assert model.output_shape == (None, 3, 4, 3, 4)
    wanted = np.stack([single.predict(pictures[:, t]) for t in range(3)], 1)
    np.testing.assert_allclose(model.predict(pictures), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("batch", [None, 6])
def test_a_model_of_every_step(batch: int | None, tmp_path: Path) -> None:
    inner = Sequential([Dense(4, activation="relu", kernel_regularizer="l2", input_shape=(3,)), Dense(2)])
    model = Sequential([TimeDistributed(inner, batch_input_shape=(batch, 5, 3))])
    a, b, c, d = _doubles(inner)
    wanted = np.maximum(X @ a + b, 0) @ c + d
    model.compile("sgd", "mse")
    assert len(model.losses) == 1
    found = model.test_on_batch(X, np.zeros((6, 5, 2)))
    np.testing.assert_allclose(found, np.mean(wanted**2) + 0.01 * np.sum(a**2), rtol=1e-5)
    model.train_on_batch(X, np.zeros((6, 5, 2)))
    assert not np.allclose(inner.get_weights()[0], a)
    model.save(tmp_path / "steps.h5")
    for again in (load_model(tmp_path / "steps.h5"), clone_model(model)):
        again.set_weights(model.get_weights())
        np.testing.assert_allclose(again.predict(X, 6), model.predict(X, 6), rtol=1e-6)


def test_batch_normalisation_sees_all_steps() -> None:
    layer = TimeDistributed(BatchNormalization(momentum=0.5))
    model = Sequential([layer])
    model.build((None, 5, 3))
    model.compile("sgd", "mse")
    assert len(model.updates) == 2
    model.train_on_batch(X, np.zeros_like(X))
    mean = layer.layer.get_weights()[2]
    np.testing.assert_allclose(mean, 0.5 * X.mean((0, 1)), rtol=1e-4, atol=1e-6)
    layer.trainable = False
    assert not layer.layer.trainable
    assert layer.updates == []
    assert layer.trainable_weights == []


def test_losses_are_counted_once() -> None:
    for kwargs, free in (({"kernel_regularizer": "l1"}, 1), ({"activity_regularizer": "l1"}, 0)):
        model = Sequential([TimeDistributed(Dense(2, **kwargs), input_shape=(5, 3))])
        assert len(model.losses) == 1
        assert len(model.layers[0].get_losses_for(None)) == free


def test_phases() -> None:
    model = Sequential([TimeDistributed(Dropout(0.9), input_shape=(5, 3))])
    assert model.uses_learning_phase
    np.testing.assert_array_equal(model.predict(X), X)
    x = Input((5, 3))
    f = K.function([x, K.learning_phase()], [TimeDistributed(Dropout(0.9))(x)])
    assert np.mean(f([X, 1])[0] == 0) > 0.6


def test_masks_of_steps() -> None:
    x = Input((4, 5, 3))
    # A mask of words inside sentences goes to the recurrent layer of each sentence.
    layer = TimeDistributed(LSTM(4))
    model = Model(x, layer(TimeDistributed(Masking())(x)))
    data = np.stack([X[:4]] * 6)
    data[:, 1, 2:] = 0
    data[1, 0, 1] = 0
    flat = data.reshape(-1, 5, 3)
    wanted = truth.run(truth.lstm_step(_doubles(layer)), flat, truth.zeros(flat, 4, 4), flat.any(2))[1]
    np.testing.assert_allclose(model.predict(data).reshape(-1, 4), wanted, rtol=1e-5, atol=1e-5)
    # A mask of steps goes on unchanged through layers that see one step.
    y = TimeDistributed(Dense(2))(Masking()(Input((5, 3))))
    mask = y._keras_history[0]._inbound_nodes[-1].output_masks[0]
    assert K.int_shape(mask) == (None, 5)


def test_time_distributed_needs_time() -> None:
    with pytest.raises(ValueError, match=r"at least 3 axes \(samples, time, \.\.\.\)"):
        TimeDistributed(Dense(2))(Input((3,)))
    layer = TimeDistributed(Dense(2))
    layer(Input((5, 3)))
    assert layer(Input((7, 3))) is not None
    with pytest.raises(ValueError, match="expected shape"):
        layer(Input((5, 4)))


@pytest.mark.parametrize("layer", [Dropout(0.5), GaussianNoise(1.0), AlphaDropout(0.5)], ids=type)
def test_noise_is_new_in_every_step(layer: Any) -> None:
    x = Input((5, 30))
    f = K.function([x, K.learning_phase()], [TimeDistributed(layer)(x)])
    found = [f([np.ones((2, 5, 30)), 1])[0] for _ in range(2)]
    assert len({step.tobytes() for step in np.concatenate(found).reshape(20, 30)}) == 20


# -- Bidirectional


@pytest.mark.parametrize("mode", ["sum", "mul", "ave", "concat", None])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_merge_modes(mode: str | None, sequences: bool, masked: bool) -> None:
    x = Input((5, 3))
    layer = Bidirectional(GRU(4, return_sequences=sequences, return_state=True), merge_mode=mode, name="both")
    y = layer(Masking()(x) if masked else x)
    data = X.copy()
    data[0, 3:], data[1, :2], data[2, 2] = 0, 0, 0
    mask = data.any(2) if masked else None
    w = _doubles(layer)
    ahead = truth.run(truth.gru_step(w[:3]), data, truth.zeros(data, 4), mask)
    behind = truth.run(truth.gru_step(w[3:]), data, truth.zeros(data, 4), mask, backwards=True)
    a, b = (ahead[0], behind[0][:, ::-1]) if sequences else (ahead[1], behind[1])
    merged: dict[str | None, list[np.ndarray]] = {
        "sum": [a + b],
        "mul": [a * b],
        "ave": [(a + b) / 2],
        "concat": [np.concatenate([a, b], -1)],
        None: [a, b],
    }
    wanted = [*merged[mode], ahead[2][0], behind[2][0]]
    assert [K.int_shape(t)[1:] for t in y] == [v.shape[1:] for v in wanted]
    assert [s[1:] for s in layer.compute_output_shape((None, 5, 3))] == [v.shape[1:] for v in wanted]
    for value, truth_ in zip(Model(x, y).predict(data), wanted, strict=True):
        np.testing.assert_allclose(value, truth_, rtol=1e-5, atol=1e-5)


def test_states_of_both_directions() -> None:
    x, start = Input((5, 3)), [Input((4,)) for _ in range(4)]
    layer = Bidirectional(LSTM(4))
    model = Model([x, *start], layer(x, initial_state=start))
    values = [RNG.standard_normal((6, 4)).astype("f4") for _ in start]
    w = _doubles(layer)
    ahead = truth.run(truth.lstm_step(w[:3]), X, values[:2])[1]
    behind = truth.run(truth.lstm_step(w[3:]), X, values[2:], backwards=True)[1]
    again = Model.from_config(model.get_config())
    for each in (model, again, clone_model(model)):
        each.set_weights(model.get_weights())
        found = each.predict([X, *values])
        np.testing.assert_allclose(found, np.concatenate([ahead, behind], 1), rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="the state should be a list containing the states"):
        Bidirectional(GRU(4))(x, initial_state=start[:1])
    with pytest.raises(ValueError, match="mix of Keras tensors"):
        Bidirectional(GRU(4))(x, initial_state=[start[0], K.zeros((6, 4))])


def test_stateful_in_both_directions() -> None:
    layer = Bidirectional(SimpleRNN(4, stateful=True))
    model = Sequential([layer])
    model.build((6, 5, 3))
    assert layer.stateful
    assert len(layer.updates) == 2
    first = model.predict(X, 6)
    second = model.predict(X, 6)
    assert not np.allclose(first, second)
    w = _doubles(layer)
    for part, weights, backwards in ((slice(0, 4), w[:3], False), (slice(4, 8), w[3:], True)):
        step = truth.simple_step(weights)
        start = truth.run(step, X, truth.zeros(X, 4), backwards=backwards)[2]
        wanted = truth.run(step, X, start, backwards=backwards)[1]
        np.testing.assert_allclose(second[:, part], wanted, rtol=1e-5, atol=1e-5)
    model.reset_states()
    np.testing.assert_array_equal(model.predict(X, 6), first)


def test_files_configurations_and_names(tmp_path: Path) -> None:
    model = Sequential(
        [
            Embedding(20, 3, mask_zero=True, input_length=5),
            Bidirectional(LSTM(4, return_sequences=True, kernel_regularizer="l2"), name="both"),
            Bidirectional(RNN([LSTMCell(3), LSTMCell(2)])),
        ]
    )
    names = [w.name for w in model.layers[1].weights]
    assert names[0].startswith("both/forward_lstm_")
    assert names[0].endswith("/kernel:0")
    assert names[3].startswith("both/backward_lstm_")
    assert len(model.layers[1].losses) == 2
    assert model.layers[1].layer.go_backwards is False
    assert model.layers[1].backward_layer.go_backwards is True
    model.compile("adam", "mse")
    numbers = RNG.integers(0, 20, (6, 5))
    model.train_on_batch(numbers, np.zeros((6, 4)))
    model.save(tmp_path / "both.h5")
    again = load_model(tmp_path / "both.h5")
    np.testing.assert_array_equal(again.predict(numbers), model.predict(numbers))
    weights = model.layers[1].get_weights()
    given = Sequential([Bidirectional(LSTM(4), weights=weights, input_shape=(5, 3))])
    for a, b in zip(given.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)
    frozen = model.layers[1]
    frozen.trainable = False
    assert frozen.trainable_weights == []
    assert len(frozen.non_trainable_weights) == 6
    with pytest.raises(ValueError, match="Invalid merge mode"):
        Bidirectional(LSTM(4), merge_mode="max")


def test_training_in_both_directions() -> None:
    np.random.seed(3)
    model = Sequential([Bidirectional(GRU(8, dropout=0.1), input_shape=(5, 3)), Dense(1)])
    model.compile(Adam(lr=0.02), "mse")
    assert model.uses_learning_phase
    target = X[:, :1, 0] + X[:, -1:, 1]
    for _ in range(150):
        model.train_on_batch(X, target)
    assert model.evaluate(X, target, verbose=0) < np.var(target) / 5


# -- steps and their parts of unknown number


def _embedded(**shape: Any) -> Any:
    return TimeDistributed(Embedding(5, 3, mask_zero=True), **shape)


def _joined_branches(shape: tuple[int | None, ...]) -> Model:
    ids = Input(shape)
    steps = _embedded()(ids)
    joined = concatenate([add([steps, steps]), TimeDistributed(Embedding(5, 2, mask_zero=True))(ids)])
    return Model(ids, TimeDistributed(GRU(3, return_sequences=True))(joined))


MASKED_PARTS: dict[str, Any] = {
    "LSTM": lambda s: Sequential([_embedded(input_shape=s), TimeDistributed(LSTM(3, return_sequences=True))]),
    "two loops": lambda s: Sequential([_embedded(input_shape=s), TimeDistributed(GRU(3)), LSTM(2)]),
    "both directions": lambda s: Sequential(
        [_embedded(input_shape=s), TimeDistributed(Bidirectional(SimpleRNN(3))), Bidirectional(LSTM(2))]
    ),
    "Masking": lambda s: Sequential(
        [
            Lambda(lambda x: K.expand_dims(K.cast(x, "float32")), input_shape=s),
            Masking(),
            TimeDistributed(LSTM(3)),
        ]
    ),
    "a model inside": lambda s: Sequential(
        [
            TimeDistributed(
                Sequential([Embedding(5, 3, mask_zero=True, input_shape=s[1:]), LSTM(3)]), input_shape=s
            ),
            LSTM(2),
        ]
    ),
    "steps of steps": lambda s: Sequential(
        [
            Embedding(5, 3, mask_zero=True, input_shape=s),
            TimeDistributed(TimeDistributed(Dense(2))),
            TimeDistributed(LSTM(2)),
        ]
    ),
    "joined branches": _joined_branches,
}


@pytest.mark.parametrize("build", MASKED_PARTS.values(), ids=MASKED_PARTS)
def test_masked_parts_of_unknown_number_are_those_of_a_known_one(build: Any) -> None:
    """As with sizes that are known: predictions, and the weights after a step of training."""
    free, known = build((None, None)), build((3, 4))
    known.set_weights(free.get_weights())
    rng = np.random.RandomState(0)
    ids = rng.randint(0, 5, (6, 3, 4))
    ids[:, :, -1] = ids[2, 1] = ids[4] = 0
    expected = known.predict(ids)
    np.testing.assert_allclose(free.predict(ids, batch_size=4), expected, rtol=1e-5, atol=1e-6)
    for model in (free, known):
        model.compile("sgd", "mse")
        model.fit(ids, np.ones_like(expected), batch_size=4, shuffle=False, verbose=0)
    for a, b in zip(free.get_weights(), known.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_what_the_layer_inside_reads_by_what_the_wrapper_reads():
    x, other = Input((3, 4)), Input((5, 4))
    wrapped = TimeDistributed(Dense(2))
    assert wrapped._input_map == {}
    wrapped(x), wrapped(other)
    assert set(wrapped._input_map) == {object_list_uid(x), object_list_uid([other])}
    assert {K.int_shape(t) for t in wrapped._input_map.values()} == {(None, 4)}
    assert K.dtype(wrapped._input_map[object_list_uid(x)]) == "float32"
