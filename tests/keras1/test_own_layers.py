"""Layers, recurrent layers and optimizers that users wrote for Keras 1."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph import initializations, initializers, regularizers
from symgraph.constraints import nonneg
from symgraph.engine import topology
from symgraph.layers import LSTM, Convolution2D, Dense, Input, Layer, Recurrent
from symgraph.models import Model, Sequential
from symgraph.optimizers import SGD, Optimizer
from symgraph.utils.warn_user import OldCallWarning

RNG = np.random.default_rng(6)
X, Y = RNG.normal(size=(6, 4)).astype("float32"), RNG.normal(size=(6, 3)).astype("float32")


@pytest.fixture(autouse=True)
def _old_calls() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OldCallWarning)
        yield


def own_layer() -> type[Layer]:
    class Affine(Layer):
        def __init__(self, output_dim, init="uniform", W_regularizer=None, **kwargs):
            self.init = initializations.get(init)
            self.output_dim = output_dim
            self.W_regularizer = regularizers.get(W_regularizer)
            self.input_spec = [topology.InputSpec(ndim=2)]
            self.supports_masking = True
            super().__init__(**kwargs)

        def build(self, input_shape):
            self.W = self.init((input_shape[1], self.output_dim), name=f"{self.name}_W")
            self.b = K.zeros((self.output_dim,), name=f"{self.name}_b")
            self.trainable_weights = [self.W, self.b]
            self.regularizers, self.constraints = [], {self.b: nonneg()}
            if self.W_regularizer:
                self.W_regularizer.set_param(self.W)
                self.regularizers.append(self.W_regularizer)

        def call(self, x, mask=None):
            return K.dot(x, self.W) + self.b

        def get_output_shape_for(self, input_shape):
            return (input_shape[0], self.output_dim)

    return Affine


def test_a_layer_of_keras_1() -> None:
    with pytest.warns(OldCallWarning, match="Affine: `get_output_shape_for` is called") as caught:
        affine = own_layer()
    assert len(caught) == 1 and caught[0].filename == __file__
    layer = affine(3, W_regularizer=regularizers.l2(0.5), input_shape=(4,), name="own")
    # Set before the base's __init__, and kept by it.
    assert layer.supports_masking and layer.input_spec[0].ndim == 2
    model = Sequential([layer])
    assert model.output_shape == (None, 3) and [w.name for w in layer.weights] == ["own_W:0", "own_b:0"]
    assert layer.compute_output_shape((None, 4)) == layer.get_output_shape_for((None, 4)) == (None, 3)
    w = RNG.normal(size=(4, 3))
    layer.set_weights([w, np.zeros(3)])
    model.compile(SGD(lr=0.1), "mse")
    error = X @ w - Y
    assert model.train_on_batch(X, Y) == pytest.approx(np.mean(error**2) + 0.5 * np.sum(w**2), rel=1e-5)
    step = 0.1 * (2 / Y.size * X.T @ error + w)
    new_w, new_b = layer.get_weights()
    np.testing.assert_allclose(new_w, w - step, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        new_b, np.maximum(-0.1 * 2 / Y.size * error.sum(axis=0), 0), rtol=1e-4, atol=1e-6
    )


def test_a_shape_that_adds_to_that_of_the_base() -> None:
    class Wide(Dense):
        def get_output_shape_for(self, input_shape):
            return (*super().get_output_shape_for(input_shape)[:-1], 2 * self.units)

        def call(self, x, mask=None):
            y = super().call(x)
            return K.concatenate([y, y])

    layer = Wide(3)
    assert K.int_shape(layer(Input((4,)))) == (None, 6) == layer.compute_output_shape((None, 4))


def test_initial_values_that_users_make() -> None:
    def twos(shape, name=None):
        return K.variable(2 * np.ones(shape), name=name)

    model = Sequential([Dense(2, init=twos, input_dim=3), Dense(2, init=initializations.get("identity"))])
    first, _, second, _ = model.get_weights()
    assert first.tolist() == [[2, 2]] * 3 and second.tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("name", "low", "high", "deviation"),
    [("uniform", -0.05, 0.05, 0.1 / 12**0.5), ("normal", None, None, 0.05),
     ("lecun_uniform", -0.1, 0.1, 0.2 / 12**0.5), ("glorot_uniform", -0.1, 0.1, 0.2 / 12**0.5),
     ("he_uniform", -(0.02**0.5), 0.02**0.5, 2 * 0.02**0.5 / 12**0.5),
     ("glorot_normal", None, None, (2 / 600) ** 0.5), ("he_normal", None, None, (2 / 300) ** 0.5)],
)  # fmt: skip
def test_distributions_are_those_of_keras_1(name: str, low: Any, high: Any, deviation: float) -> None:
    np.random.seed(3)
    values = K.get_value(getattr(initializations, name)((300, 300), name="w"))
    assert values.std() == pytest.approx(deviation, rel=0.02)
    if low is None:
        # Not cut at two deviations.
        assert np.mean(np.abs(values) > 2 * values.std()) == pytest.approx(0.0455, abs=0.005)
    else:
        assert low <= values.min() < 0.99 * low and 0.99 * high < values.max() <= high


def test_orthogonal_has_a_gain_and_fans_follow_the_layout() -> None:
    q = K.get_value(initializations.orthogonal((5, 5)))
    np.testing.assert_allclose(q @ q.T, 1.1**2 * np.eye(5), atol=1e-5)
    assert initializations.get_fans((8, 3, 5, 5)) == (75, 200)
    assert initializations.get_fans((5, 5, 3, 8), "tf") == (75, 200)
    with pytest.raises(ValueError, match="Invalid dim_ordering: 'xy'"):
        initializations.get_fans((5, 5, 3, 8), "xy")
    with pytest.raises(ValueError, match="Invalid initialization: 'unifrom'; expected a function or one of"):
        initializations.get("unifrom")
    assert initializers.serialize(initializations.get("he_normal")) == "he_normal"


def test_states_of_a_recurrent_layer() -> None:
    """Against the states step by step, as Keras 2.0's `Recurrent` carries them."""

    class Sums(Recurrent):
        units = 3

        def build(self, input_shape):
            self.input_spec = [topology.InputSpec(shape=input_shape)]
            self.states = [None]
            if self.stateful:
                self.reset_states()
            self.built = True

        def get_constants(self, inputs, training=None):
            return [2.0, inputs[:, 0]]

        def step(self, x, states):
            total, two, first = states
            return total + x, [two * total + x - first]

        def _width(self):
            return 3

    x = RNG.normal(size=(2, 4, 3)).astype("float32")

    def steps(start: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        outputs = []
        for t in range(4):
            outputs.append(start + x[:, t])
            start = 2 * start + x[:, t] - x[:, 0]
        return outputs, start

    symbol, start = Input((4, 3)), Input((3,))
    given = RNG.normal(size=(2, 3)).astype("float32")
    model = Model(
        [symbol, start], Sums(return_sequences=True, return_state=True)(symbol, initial_state=start)
    )
    outputs, state = model.predict([x, given])
    wanted, last = steps(given)
    np.testing.assert_allclose(outputs, np.stack(wanted, axis=1), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(state, last, rtol=1e-5, atol=1e-5)
    stateful = Sequential([Sums(stateful=True, batch_input_shape=(2, 4, 3))])
    first, second = stateful.predict(x), stateful.predict(x)
    (wanted_first, carried), zero = steps(np.zeros((2, 3))), np.zeros((2, 3))
    np.testing.assert_allclose(first, wanted_first[-1], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(second, steps(carried)[0][-1], rtol=1e-5, atol=1e-5)
    stateful.layers[0].reset_states([carried])
    np.testing.assert_allclose(stateful.predict(x), second, rtol=1e-5, atol=1e-5)
    stateful.reset_states()
    np.testing.assert_array_equal(stateful.predict(x), first)
    with pytest.raises(
        ValueError, match=r"State 0 is incompatible .* expected shape=\(2, 3\), found shape=\(3, 2\)"
    ):
        stateful.layers[0].reset_states([zero.T])


def test_what_recurrent_layers_refuse() -> None:
    class Attention(LSTM):
        def step(self, x, states):
            return x, states

    with pytest.raises(TypeError, match=r"Attention defines `step`.* subclass `Recurrent`"):
        Attention(3)

    class Empty(Recurrent):
        output_dim = 2

    with pytest.raises(AttributeError, match="`build` of Empty has to set `states`"):
        Empty()(Input((4, 3)))


def test_an_optimizer_of_keras_1() -> None:
    class Plain(Optimizer):
        def get_updates(self, params, constraints, loss):
            self.updates = []
            for p, g in zip(params, self.get_gradients(loss, params), strict=True):
                new = p - 0.1 * g
                self.updates.append(K.update(p, constraints[p](new) if p in constraints else new))
            return self.updates

    models = []
    for optimizer in (Plain(), SGD(lr=0.1)):
        np.random.seed(1)
        models.append(Sequential([Dense(3, W_constraint="nonneg", input_dim=4)]))
        models[-1].compile(optimizer, "mse")
        models[-1].fit(X, Y, nb_epoch=3, shuffle=False, verbose=0)
    for found, wanted in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-7)


def test_old_attributes_of_layers() -> None:
    layer = Dense(3, input_dim=4)
    model = Sequential([layer])
    assert layer.W is layer.kernel and layer.b is layer.bias and layer.output_dim == 3
    assert layer.inbound_nodes is layer._inbound_nodes and model.flattened_layers == [layer]
    pictures = Convolution2D(2, 3, 3, border_mode="same", dim_ordering="th", input_shape=(1, 4, 4))
    Sequential([pictures])
    assert (pictures.border_mode, pictures.dim_ordering, pictures.subsample) == ("same", "th", (1, 1))
    with pytest.raises(
        AttributeError, match=r"`W` of Keras 1 was \(filters, channels, \.\.\.\); use `kernel`"
    ):
        _ = pictures.W
    for name in ("W_regularizer", "U"):
        with pytest.raises(AttributeError, match=f"'Dense' object has no attribute '{name}'"):
            getattr(layer, name)
