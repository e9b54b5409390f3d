"""Recurrent layers against cells in numpy, finite differences, and onnxruntime."""

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
    RNN,
    Bidirectional,
    Dense,
    Input,
    Layer,
    LSTMCell,
    Masking,
    SimpleRNN,
    SimpleRNNCell,
    StackedRNNCells,
)
from symgraph.models import Model, Sequential, clone_model, load_model
from symgraph.optimizers import SGD
from tests.layers import recurrent_truth as truth

RNG = np.random.default_rng(5)
X = RNG.standard_normal((6, 5, 3)).astype("f4")
KINDS: dict[str, tuple[Any, dict[str, Any], Any, int]] = {
    "simple": (SimpleRNN, {}, truth.simple_step, 1),
    "gru": (GRU, {}, truth.gru_step, 1),
    "gru_after": (GRU, {"reset_after": True}, lambda w: truth.gru_step(w, after=True), 1),
    "lstm": (LSTM, {}, truth.lstm_step, 2),
}


def _weights(layer: Any) -> list[np.ndarray]:
    """The weights of a layer, after giving it random ones, biases too."""
    layer.set_weights([RNG.standard_normal(w.shape) * 0.5 for w in layer.get_weights()])
    return [w.astype("f8") for w in layer.get_weights()]


@pytest.fixture
def float64() -> Iterator[None]:
    K.set_floatx("float64")
    yield
    K.set_floatx("float32")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_outputs_and_states(kind: str, unroll: bool, backwards: bool, masked: bool) -> None:
    cls, kwargs, step, count = KINDS[kind]
    layer = cls(4, return_sequences=True, return_state=True, unroll=unroll, go_backwards=backwards, **kwargs)
    x = Input((5, 3))
    inside = Masking()(x) if masked else x
    start = [Input((4,)) for _ in range(count)]
    outputs = layer(inside, initial_state=start)
    model = Model([x, *start], outputs)
    data, first = X.copy(), [RNG.standard_normal((6, 4)).astype("f4") for _ in start]
    # Unrolled, and masked in the first step, outputs begin with zeros as in Keras: not tried here.
    data[0, 2], data[1, 3:-1], data[2, 1:3] = 0, 0, 0
    mask = data.any(2) if masked else None
    whole, _, states = truth.run(step(_weights(layer)), data, first, mask, backwards)
    found = model.predict([data, *first])
    for value, wanted in zip(found, [whole, *states], strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_agree_with_differences(kind: str, float64: None) -> None:
    cls, kwargs, _, _ = KINDS[kind]
    layer = cls(4, activation="tanh", return_sequences=True, **kwargs)
    x = Input((5, 3), dtype="float64")
    y = layer(x)
    _weights(layer)
    weights = layer.weights
    loss = K.sum(K.square(y))
    f = K.function([x], [loss, *K.gradients(loss, weights)])
    data = X.astype("f8")
    found = f([data])[1:]
    before = [K.get_value(w) for w in weights]
    for weight, value, gradient in zip(weights, before, found, strict=True):
        way = RNG.standard_normal(value.shape)
        ends = []
        for sign in (1, -1):
            K.set_value(weight, value + sign * 1e-6 * way)
            ends.append(f([data])[0])
        K.set_value(weight, value)
        np.testing.assert_allclose(np.sum(gradient * way), (ends[0] - ends[1]) / 2e-6, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_masked_steps_at_the_end_do_not_count(kind: str) -> None:
    cls, kwargs, _, _ = KINDS[kind]
    model = Sequential([Masking(input_shape=(None, 3)), cls(4, **kwargs)])
    short = X[:, :3]
    long = np.concatenate([short, np.zeros((6, 4, 3), "f4")], 1)
    np.testing.assert_allclose(model.predict(long), model.predict(short), rtol=1e-6, atol=1e-6)
    # A mask handed over in the call does the same.
    x, mask = Input((None, 3)), Input((None,))
    given = Model([x, mask], model.layers[1](x, mask=mask))
    filled = np.concatenate([short, RNG.standard_normal((6, 4, 3)).astype("f4")], 1)
    flags = np.repeat([[1] * 3 + [0] * 4], 6, 0)
    np.testing.assert_allclose(given.predict([filled, flags]), model.predict(short), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_stateful_batches_are_one_long_sequence(kind: str) -> None:
    cls, kwargs, _, count = KINDS[kind]
    model = Sequential([cls(4, stateful=True, batch_input_shape=(6, 5, 3), **kwargs)])
    whole = Sequential([cls(4, input_shape=(10, 3), **kwargs)])
    whole.set_weights(model.get_weights())
    second = RNG.standard_normal(X.shape).astype("f4")
    model.predict(X, batch_size=6)
    np.testing.assert_allclose(
        model.predict(second, batch_size=6), whole.predict(np.concatenate([X, second], 1)), atol=1e-6
    )
    fresh = Sequential([cls(4, input_shape=(5, 3), **kwargs)])
    fresh.set_weights(model.get_weights())
    model.reset_states()
    np.testing.assert_allclose(model.predict(X, batch_size=6), fresh.predict(X), atol=1e-6)
    # Training stores states as well.
    model.compile("sgd", "mse")
    model.reset_states()
    assert len(model.layers[0].states) == count
    before = K.get_value(model.layers[0].states[0])
    model.train_on_batch(X, np.zeros((6, 4)))
    assert not before.any()
    assert K.get_value(model.layers[0].states[0]).any()


def test_states_can_be_set() -> None:
    layer = LSTM(4, stateful=True)
    model = Sequential([layer])
    model.build((6, 5, 3))
    values = [RNG.standard_normal((6, 4)).astype("f4") for _ in range(2)]
    layer.reset_states(values)
    step = truth.lstm_step([w.astype("f8") for w in layer.get_weights()])
    np.testing.assert_allclose(model.predict(X, 6), truth.run(step, X, values)[1], atol=1e-5)
    with pytest.raises(ValueError, match=r"expects 2 states, but it received 1 state values"):
        layer.reset_states(values[:1])
    with pytest.raises(ValueError, match=r"State 1 is incompatible with layer .*expected shape=\(6, 4\)"):
        layer.reset_states([values[0], values[1][:, :3]])
    with pytest.raises(AttributeError, match=r"Layer must be stateful"):
        LSTM(4).reset_states()
    with pytest.raises(ValueError, match=r"If a RNN is stateful, it needs to know its batch size"):
        LSTM(4, stateful=True)(Input((5, 3)))


def test_states_of_variables_and_of_other_layers() -> None:
    x = Input((5, 3))
    values = [RNG.standard_normal((6, 4)).astype("f4") for _ in range(2)]
    layer = LSTM(4)
    y = layer(x, initial_state=[K.variable(v) for v in values])
    step = truth.lstm_step(_weights(layer))
    np.testing.assert_allclose(Model(x, y).predict(X), truth.run(step, X, values)[1], atol=1e-5)

    # An encoder's last states start a decoder, and the model comes back from its configuration.
    encoder, decoder = GRU(4, return_state=True), GRU(4, return_sequences=True)
    z = Input((2, 3))
    _, state = encoder(x)
    model = Model([x, z], decoder(z, initial_state=state))
    again = Model.from_config(model.get_config())
    again.set_weights(model.get_weights())
    data = [X, X[:, :2]]
    first = truth.run(truth.gru_step([w.astype("f8") for w in encoder.get_weights()]), X, truth.zeros(X, 4))
    wanted = truth.run(truth.gru_step([w.astype("f8") for w in decoder.get_weights()]), data[1], first[2])[0]
    for each in (model, again, clone_model(model)):
        each.set_weights(model.get_weights())
        np.testing.assert_allclose(each.predict(data), wanted, atol=1e-5)


class AddingCell(Layer):
    """state = state + x · kernel (+ constants): no Keras activation, a state of its own."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        self.units = units
        self.state_size = units
        super().__init__(**kwargs)

    def build(self, input_shape: Any) -> None:
        shape = input_shape[0] if isinstance(input_shape, list) else input_shape
        self.kernel = self.add_weight("kernel", (shape[-1], self.units), initializer="ones")
        self.built = True

    def call(self, inputs: Any, states: Any, constants: Any = None) -> Any:
        output = states[0] + K.dot(inputs, self.kernel)
        for constant in constants or ():
            output = output + constant
        return output, [output]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


class PlainCell:
    """No layer at all: two states of different sizes, and the output is a third size."""

    state_size = (2, 3)
    output_size = 5

    def call(self, inputs: Any, states: Any) -> Any:
        a, b = states[0] + inputs[:, :2], states[1] - inputs
        return K.concatenate([a, b]), [a, b]

    def get_config(self) -> dict[str, Any]:
        return {}


def test_custom_cells_and_constants() -> None:
    x, constant = Input((5, 3)), Input((2,))
    layer = RNN(AddingCell(2), return_sequences=True)
    model = Model([x, constant], layer(x, constants=constant))
    given = RNG.standard_normal((6, 2)).astype("f4")
    wanted = np.cumsum(X.sum(2, keepdims=True) + given[:, None], 1)
    again = Model.from_config(model.get_config(), custom_objects={"AddingCell": AddingCell})
    assert again.layers[2]._num_constants == 1
    for each in (model, again, clone_model(model)):
        np.testing.assert_allclose(each.predict([X, given]), wanted, rtol=1e-5, atol=1e-5)
    with_state = Model([x, constant], RNN(AddingCell(2))(x, initial_state=constant, constants=[constant]))
    np.testing.assert_allclose(with_state.predict([X, given]), wanted[:, -1] + given, rtol=1e-5, atol=1e-5)

    plain = RNN(PlainCell(), return_state=True)
    y, a, b = plain(x)
    assert [K.int_shape(t) for t in (y, a, b)] == [(None, 5), (None, 2), (None, 3)]
    assert plain.weights == []
    sums = X.sum(1)
    found = Model(x, [y, a, b]).predict(X)
    for value, truth_ in zip(found, [np.c_[sums[:, :2], -sums], sums[:, :2], -sums], strict=True):
        np.testing.assert_allclose(value, truth_, rtol=1e-5, atol=1e-5)


def test_stacked_cells() -> None:
    x = Input((5, 3))
    cells = [LSTMCell(4), AddingCell(2)]
    layer = RNN(cells, return_state=True)
    model = Model(x, layer(x))
    assert isinstance(layer.cell, StackedRNNCells)
    assert layer.cell.state_size == (4, 4, 2)
    assert [w.shape for w in layer.weights] == [(3, 16), (4, 16), (16,), (4, 2)]
    w = _weights(layer)
    lstm = truth.run(truth.lstm_step(w[:3]), X, truth.zeros(X, 4, 4))
    wanted = [(lstm[0] @ w[3]).sum(1), *lstm[2], (lstm[0] @ w[3]).sum(1)]
    for value, truth_ in zip(model.predict(X), wanted, strict=True):
        np.testing.assert_allclose(value, truth_, rtol=1e-4, atol=1e-5)
    with pytest.warns(UserWarning, match="`reverse_state_order=True`"):
        turned = StackedRNNCells(cells, reverse_state_order=True)
    assert turned.state_size == (2, 4, 4)
    reversed_ = Model(x, RNN(turned, return_state=True)(x))
    for value, truth_ in zip(reversed_.predict(X), [wanted[0], wanted[3], wanted[1], wanted[2]], strict=True):
        np.testing.assert_allclose(value, truth_, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("unroll", [False, True])
def test_dropout_is_the_same_in_every_step(unroll: bool) -> None:
    x = Input((5, 3))
    ones = {"kernel_initializer": "identity", "recurrent_initializer": "zeros", "activation": "linear"}
    layer = SimpleRNN(3, dropout=0.5, return_sequences=True, unroll=unroll, **ones)
    y = layer(x)
    f = K.function([x, K.learning_phase()], [y])
    data = np.ones((200, 5, 3), "f4")
    np.testing.assert_array_equal(f([data, 0])[0], data)
    first, second = f([data, 1])[0], f([data, 1])[0]
    assert set(np.unique(first)) == {0.0, 2.0}
    np.testing.assert_array_equal(first, np.repeat(first[:, :1], 5, 1))
    assert abs(first.mean() - 1) < 0.2
    assert not np.array_equal(first, second)
    # The state: each step adds it to 1, and drops the same parts of it.
    ones["recurrent_initializer"] = "identity"
    layer = SimpleRNN(3, recurrent_dropout=0.5, return_sequences=True, unroll=unroll, **ones)
    found = K.function([x, K.learning_phase()], [layer(x)])([data, 1])[0]
    sums = np.array([1, 3, 7, 15, 31], "f4")
    kept = found[:, -1] == 31
    np.testing.assert_array_equal(found, np.where(kept[:, None], sums[:, None], 1))
    assert 0.3 < kept.mean() < 0.7


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("wrapped", [False, True])
def test_stacked_cells_drop_the_same_in_every_step(masked: bool, wrapped: bool) -> None:
    ones = {"kernel_initializer": "identity", "recurrent_initializer": "zeros", "activation": "linear"}
    cells = [SimpleRNNCell(3, dropout=0.5, **ones) for _ in range(2)]
    layer = RNN(cells, return_sequences=True)
    x = Input((5, 3))
    y = (Bidirectional(layer) if wrapped else layer)(Masking()(x) if masked else x)
    found = K.function([x, K.learning_phase()], [y])([np.ones((100, 5, 3)), 1])[0]
    np.testing.assert_array_equal(found, np.repeat(found[:, :1], 5, 1))
    assert set(np.unique(found)) == {0.0, 4.0} and abs((found > 0).mean() - 0.25) < 0.1


class NoisyCell(Layer):
    """Adds noise in training, and drops inputs: what it chose first, as Keras' own cells do, or others."""

    state_size = 3

    def __init__(self, keeps: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.keeps, self.mask = keeps, None

    def call(self, inputs: Any, states: Any, training: Any = None) -> Any:
        if self.mask is None or not self.keeps:
            self.mask = K.dropout(K.ones_like(inputs), 0.5)
        noise = K.in_train_phase(K.random_normal(K.shape(states[0]), seed=2), 0.0, training=training)
        return K.concatenate([inputs * self.mask, noise + 0 * states[0]]), [states[0]]


@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("keeps", [False, True])
def test_a_custom_cell_draws_anew_but_what_it_keeps(keeps: bool, masked: bool, unroll: bool) -> None:
    """The truth is what Keras 2.2.4 on TensorFlow 1.14 does with this cell."""
    x = Input((6, 3))
    y = RNN(NoisyCell(keeps), return_sequences=True, unroll=unroll)(Masking()(x) if masked else x)
    f = K.function([x, K.learning_phase()], [y])
    for _ in range(2):
        kept, noise = np.split(f([np.ones((40, 6, 3)), 1])[0], 2, axis=2)
        assert set(np.unique(kept)) == {0.0, 2.0}
        assert len({kept[:, t].tobytes() for t in range(6)}) == (1 if keeps else 6)
        # Unrolled, each step has a draw of its own, with the seed that it asks for.
        assert len({noise[:, t].tobytes() for t in range(6)}) == (1 if unroll else 6)
    assert not np.split(f([np.ones((2, 6, 3)), 0])[0], 2, axis=2)[1].any()


def test_training_a_cell_with_noise_is_training_on_the_noise() -> None:
    """One step of gradient descent, against a model that is given what the cell drew as a second input."""

    class Walk(Layer):
        state_size = 3

        def __init__(self, given: bool, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.given = given

        def build(self, input_shape: Any) -> None:
            self.w = self.add_weight("w", (3, 3), initializer="identity")
            self.built = True

        def call(self, inputs: Any, states: Any) -> Any:
            noise = inputs[:, 3:] if self.given else K.random_normal(K.shape(states[0]), seed=2)
            h = K.tanh(K.dot(states[0] * noise, self.w) + inputs[:, :3] * noise)
            return K.concatenate([h, noise]), [h]

    models = [
        Sequential([RNN(Walk(given), return_sequences=True, input_shape=(5, 6 if given else 3))])
        for given in (False, False, True)
    ]
    for model in models:
        model.compile(SGD(1.0), lambda _, y: K.mean(K.square(y[:, :, :3])))
    # A model of the same seed draws the same in its first call.
    noise = models[0].predict(X)[:, :, 3:]
    target = np.zeros((6, 5, 6))
    models[1].train_on_batch(X, target)
    models[2].train_on_batch(np.concatenate([X, noise], 2), target)
    found, wanted = (model.get_weights()[0] for model in models[1:])
    assert not np.allclose(wanted, np.eye(3), atol=1e-2)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cls", [LSTM, GRU])
def test_each_gate_drops_for_itself_in_implementation_1(cls: Any) -> None:
    x = Input((2, 50))
    data = np.ones((1, 2, 50), "f4")
    for implementation in (1, 2):
        layer = cls(1, dropout=0.5, implementation=implementation)
        layer(x)
        masks = layer.cell._dropout_mask
        assert len(masks) == (layer.cell.gates if implementation == 1 else 1)
        values = K.function([x, K.learning_phase()], masks)([data, 1])
        assert len({v.tobytes() for v in values}) == len(masks)
        plain = cls(1)
        plain.build((None, 2, 50))
        plain.set_weights(layer.get_weights())
        f = K.function([x, K.learning_phase()], [layer(x), plain(x)])
        np.testing.assert_allclose(*f([data, 0]), rtol=1e-6)


def test_regularizers_constraints_and_frozen_layers() -> None:
    layer = GRU(
        2,
        kernel_regularizer="l2",
        bias_regularizer="l1",
        kernel_constraint="nonneg",
        activity_regularizer="l2",
    )
    model = Sequential([Masking(input_shape=(5, 3)), layer])
    assert len(layer.losses) == 3
    assert len(layer.get_losses_for(None)) == 2
    kernel, _, bias = _weights(layer)
    model.compile("sgd", "mse")
    wanted = np.sum(model.predict(X).astype("f8") ** 2)
    expected = 0.01 * (np.sum(kernel**2) + np.abs(bias).sum() + wanted) + wanted / 12
    np.testing.assert_allclose(model.evaluate(X, np.zeros((6, 2)), verbose=0), expected, rtol=1e-5)
    model.train_on_batch(X, np.zeros((6, 2)))
    assert layer.get_weights()[0].min() == 0
    layer.trainable = False
    model.compile("sgd", "mse")
    before = layer.get_weights()
    model.train_on_batch(X, np.ones((6, 2)))
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_weights_as_keras_has_them(tmp_path: Path) -> None:
    model = Sequential([LSTM(2, input_shape=(5, 3), name="memory"), Dense(1)])
    names = [w.name for w in model.weights]
    assert names[:3] == ["memory/kernel:0", "memory/recurrent_kernel:0", "memory/bias:0"]
    kernel, recurrent, bias = model.layers[0].get_weights()
    assert (kernel.shape, recurrent.shape) == ((3, 8), (2, 8))
    np.testing.assert_array_equal(bias, [0, 0, 1, 1, 0, 0, 0, 0])
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(2), atol=1e-6)
    np.testing.assert_array_equal(
        LSTM(2, unit_forget_bias=False, weights=None).cell.bias_initializer((2,)), 0
    )
    model.compile("adam", "mse")
    model.train_on_batch(X, np.zeros((6, 1)))
    model.save(tmp_path / "memory.h5")
    again = load_model(tmp_path / "memory.h5")
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    given = Sequential([LSTM(2, input_shape=(5, 3), weights=[kernel, recurrent, bias])])
    np.testing.assert_array_equal(given.get_weights()[0], kernel)


def test_old_arguments() -> None:
    with pytest.warns(UserWarning, match="`implementation=0` has been deprecated"):
        assert GRU(2, implementation=0).implementation == 1
    assert LSTM.from_config({"units": 2, "implementation": 0}).implementation == 1
    assert SimpleRNN.from_config({"units": 2, "implementation": 2}).units == 2


def test_what_is_refused() -> None:
    x = Input((5, 3))
    with pytest.raises(ValueError, match="`cell` should have a `call` method"):
        RNN(object())
    with pytest.raises(ValueError, match="should have an attribute `state_size`"):
        RNN(Dense(3))
    with pytest.raises(ValueError, match="All cells must have a `state_size` attribute"):
        RNN([SimpleRNNCell(3), Dense(3)])
    with pytest.raises(ValueError, match="Layer has 2 states but was passed 1 initial states"):
        LSTM(4)(x, initial_state=[Input((4,))])
    with pytest.raises(ValueError, match=r"not compatible with `cell\.state_size`"):
        LSTM(4)(x, initial_state=[Input((4,)), Input((3,))])
    with pytest.raises(ValueError, match="cannot be specified with a mix of Keras tensors"):
        LSTM(4)(x, initial_state=[Input((4,)), K.zeros((6, 4))])
    with pytest.raises(ValueError, match="RNN cell does not support constants"):
        LSTM(4)(x, constants=Input((4,)))
    with pytest.raises(ValueError, match="not both ways"):
        LSTM(4)([x, Input((4,)), Input((4,))], initial_state=[Input((4,))])
    with pytest.raises(ValueError, match="Cannot unroll a RNN if the time dimension is undefined"):
        LSTM(4, unroll=True)(Input((None, 3)))
    with pytest.raises(ValueError, match="expected ndim=3, found ndim=2"):
        LSTM(4)(Input((3,)))
    with pytest.raises(ValueError, match="the last dimension of the inputs"):
        LSTM(4)(Input((5, None)))
    with pytest.raises(ValueError, match=r"expected a mask of \(samples, time\)"):
        GRU(4)(x, mask=Input((6,)))
    with pytest.raises(ValueError, match="must be at least 1"):
        GRU(0)
    layer = LSTM(4)
    layer(x)
    with pytest.raises(ValueError, match="expected shape="):
        layer(Input((5, 2)))
    weights = layer.weights
    with pytest.raises(ValueError, match="Layer has 2 states"):
        layer(x, initial_state=[Input((4,))])
    assert layer.weights == weights
    assert layer.state_spec is not None
    assert len(layer.state_spec) == 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_onnxruntime_agrees(kind: str, direction: str) -> None:
    if kind in ("gru", "gru_after"):
        name, order, attributes = "GRU", [0, 1, 2], {"linear_before_reset": int(kind == "gru_after")}
        activations = ["Sigmoid", "Tanh"]
    elif kind == "lstm":
        name, order, attributes = "LSTM", [0, 3, 1, 2], {}
        activations = ["Sigmoid", "Tanh", "Tanh"]
    else:
        name, order, attributes, activations = "RNN", [0], {}, ["Tanh"]
    cls, kwargs, _, count = KINDS[kind]
    further = {} if kind == "simple" else {"recurrent_activation": "sigmoid"}
    layer = cls(
        4, return_sequences=True, return_state=True, go_backwards=direction == "reverse", **kwargs, **further
    )
    x = Input((None, 3))
    model = Model(x, layer(x))
    kernel, recurrent, bias = (w.astype("f4") for w in _weights(layer))
    rows = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])

    def turned(parts: np.ndarray) -> np.ndarray:
        blocks = np.split(parts, len(order), axis=-1)
        return np.concatenate([blocks[k] for k in order], -1)

    found = model.predict(X)
    outputs = _onnx(
        name,
        [turned(kernel).T, turned(recurrent).T, turned(rows).reshape(-1)],
        {**attributes, "activations": activations, "direction": direction, "hidden_size": 4},
        count,
    )
    # onnxruntime leaves the outputs in the order of the input.
    sequence = np.swapaxes(outputs[0][:, 0], 0, 1)
    sequence = sequence[:, ::-1] if direction == "reverse" else sequence
    for value, wanted in zip(found, [sequence, *(state[0] for state in outputs[1:])], strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-5)


def _onnx(name: str, weights: list[np.ndarray], attributes: dict[str, Any], states: int) -> list[np.ndarray]:
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    helper = onnx.helper
    outs = ["y", "h", "c"][: states + 1]
    node = helper.make_node(name, ["x", "w", "r", "b"], outs, **attributes)
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", 1, [None, None, 3])],
        [helper.make_tensor_value_info(out, 1, None) for out in outs],
        [onnx.numpy_helper.from_array(w[None], label) for w, label in zip(weights, "wrb", strict=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: list[np.ndarray] = session.run(None, {"x": np.swapaxes(X, 0, 1).copy()})
    return found
