"""Gradients through loops against differences: K.rnn, folds, and recurrent layers in all ways; float64."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph import layers as L
from symgraph.graph.tensor import Tensor
from tests.layers.test_every_gradient import check_gradients, float64, randomised

__all__ = ["float64"]  # a fixture of this file too

RNG = np.random.default_rng(9)
X = RNG.standard_normal((3, 4, 2))
#: A sample that pauses, one that begins late, one that ends early.
MASK = np.array([[1, 0, 1, 0], [0, 0, 1, 1], [1, 1, 0, 0]])

GRID = list(itertools.product([False, True], repeat=3))


def _variables(*shapes: tuple[int, ...]) -> list[Any]:
    return [K.variable(RNG.normal(0, 0.5, s), "float64") for s in shapes]


@pytest.mark.parametrize(("masked", "unroll", "backwards"), GRID)
def test_rnn_with_constants(masked: bool, unroll: bool, backwards: bool) -> None:
    """To the sequence, the first states, the constants and the weights; all results count."""
    w, u = _variables((2, 4), (4, 4))
    x, start, other, bias = (K.placeholder(s, dtype="float64") for s in (X.shape, (3, 4), (3, 4), (3, 4)))
    mask = K.constant(MASK, "bool") if masked else None

    def step(now: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        h, c, extra = states
        new = K.tanh(K.dot(now, w) + K.dot(h, u) * extra)
        return new * c, [new, K.sigmoid(c + new)]

    last, outputs, states = K.rnn(step, x, [start, other], backwards, mask, [bias], unroll)
    arrays = [X, *(RNG.standard_normal((3, 4)) for _ in range(3))]
    check_gradients([x, start, other, bias], [last, outputs, *states], arrays, [w, u])


def test_folds_maps_and_loops_in_loops() -> None:
    x, (w,) = K.placeholder(X.shape, dtype="float64"), _variables((2,))
    left = K.foldl(lambda acc, row: K.tanh(acc * w + row), x)
    right = K.foldr(lambda acc, row: acc * row + w, x, initializer=K.zeros((4, 2), "float64"))
    mapped = K.map_fn(lambda row: K.exp(row * w) * K.sum(row), x)
    nested = K.map_fn(lambda row: K.foldl(lambda acc, v: K.sin(acc * v + w), row), x)
    check_gradients([x], [left, right, mapped, nested], [X], [w])


LAYERS: dict[str, Any] = {
    "simple": lambda **kwargs: L.SimpleRNN(3, **kwargs),
    "gru": lambda **kwargs: L.GRU(3, recurrent_activation="sigmoid", **kwargs),
    "gru_after": lambda **kwargs: L.GRU(3, recurrent_activation="sigmoid", reset_after=True, **kwargs),
    "lstm": lambda **kwargs: L.LSTM(3, recurrent_activation="sigmoid", **kwargs),
    "stacked": lambda **kwargs: L.RNN([L.LSTMCell(3), L.GRUCell(2)], **kwargs),
}


#: Unrolled steps make large programs: those of `K.rnn` above and of one way of each layer will do.
WAYS = [(True, False, False), (False, False, True), (True, True, True)]


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(("masked", "unroll", "backwards"), WAYS)
def test_layers(kind: str, masked: bool, unroll: bool, backwards: bool) -> None:
    """To the input and all weights, from the outputs of all steps and the last states."""
    layer = LAYERS[kind](return_sequences=True, return_state=True, unroll=unroll, go_backwards=backwards)
    x = K.placeholder(X.shape, dtype="float64")
    outputs = layer(x, mask=K.constant(MASK, "bool")) if masked else layer(x)
    check_gradients([x], outputs, [X], randomised(layer))


def test_first_states() -> None:
    x, h, c = (K.placeholder(s, dtype="float64") for s in (X.shape, (3, 3), (3, 3)))
    layer = LAYERS["lstm"](return_state=True)
    outputs = layer(x, initial_state=[h, c])
    arrays = [X, RNG.standard_normal((3, 3)), RNG.standard_normal((3, 3))]
    check_gradients([x, h, c], outputs, arrays, randomised(layer))


def test_states_kept_from_the_batch_before() -> None:
    """They are variables: the gradient reaches them, and ends there."""
    layer = LAYERS["lstm"](stateful=True)
    x = K.placeholder(X.shape, dtype="float64")
    y = layer(x)
    weights = randomised(layer)
    layer.reset_states([RNG.standard_normal((3, 3)), RNG.standard_normal((3, 3))])
    check_gradients([x], [y], [X], [*weights, *layer.states])


@pytest.mark.parametrize("mode", ["concat", "mul", None])
def test_both_directions_with_a_mask(mode: str | None) -> None:
    layer = L.Bidirectional(LAYERS["gru"](return_sequences=True), merge_mode=mode)
    x = K.placeholder(X.shape, dtype="float64")
    y = layer(x, mask=K.constant(MASK, "bool"))
    check_gradients([x], y if isinstance(y, list) else [y], [X], randomised(layer))


def test_a_recurrent_layer_of_every_step() -> None:
    """A loop in a loop, as TimeDistributed writes it for a known batch."""
    data = RNG.standard_normal((2, 3, 4, 2))
    x = K.placeholder(data.shape, dtype="float64")
    layer = L.TimeDistributed(LAYERS["lstm"]())
    y = layer(x)
    check_gradients([x], [y], [data], randomised(layer))


@pytest.mark.parametrize(("masked", "backwards"), [(True, False), (False, True)])
def test_pictures(masked: bool, backwards: bool) -> None:
    data = RNG.standard_normal((3, 4, 4, 3, 2))
    layer = L.ConvLSTM2D(
        2, 2, padding="same", recurrent_activation="sigmoid", return_sequences=True, go_backwards=backwards,
    )  # fmt: skip
    x = K.placeholder(data.shape, dtype="float64")
    y = layer(x, mask=K.constant(MASK, "bool")) if masked else layer(x)
    check_gradients([x], [y], [data], randomised(layer))


def test_batch_statistics_while_training() -> None:
    """Mean and variance of the batch depend on every sample."""
    layer, x = L.BatchNormalization(axis=1), K.placeholder((4, 3, 5), dtype="float64")
    check_gradients([x], [layer(x)], [RNG.standard_normal((4, 3, 5)) + 3], randomised(layer), phase=1)
