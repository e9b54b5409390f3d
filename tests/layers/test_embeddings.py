"""Embedding: lookups, gradients, masks, lengths."""

from __future__ import annotations

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.layers import LSTM, Embedding, Flatten, Input
from symgraph.models import Model, Sequential
from tests.layers import recurrent_truth as truth

RNG = np.random.default_rng(7)
NUMBERS = RNG.integers(1, 9, (6, 5))


def test_training_moves_the_rows_that_were_looked_up() -> None:
    model = Sequential([Embedding(10, 3, input_length=5), Flatten()])
    model.compile("sgd", "mse")
    (before,) = model.get_weights()
    numbers = np.array([[1, 2, 2, 5, 9]])
    target = RNG.standard_normal((1, 15)).astype("f4")
    model.train_on_batch(numbers, target)
    (after,) = model.get_weights()
    # The rate of SGD is 0.01, the mean goes over 15 values, and row 2 was looked up twice.
    gradient = np.zeros((10, 3))
    np.add.at(gradient, numbers[0], 2 / 15 * (before[numbers[0]] - target.reshape(5, 3)))
    np.testing.assert_allclose(after, before - 0.01 * gradient, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64"])
def test_numbers_of_any_dtype(dtype: str) -> None:
    x = Input((5,), dtype=dtype)
    layer = Embedding(10, 3)
    y = layer(x)
    assert y.dtype == "float32"
    np.testing.assert_array_equal(Model(x, y).predict(NUMBERS), layer.get_weights()[0][NUMBERS])
    told = Sequential([Embedding(10, 3, dtype=dtype)])
    assert told.inputs[0].dtype == dtype
    np.testing.assert_array_equal(told.predict(NUMBERS), told.get_weights()[0][NUMBERS])


def test_zero_is_masked() -> None:
    model = Sequential([Embedding(10, 3, mask_zero=True), LSTM(4)])
    padded = np.concatenate([NUMBERS, np.zeros((6, 3), int)], 1)
    np.testing.assert_allclose(model.predict(padded), model.predict(NUMBERS), rtol=1e-6, atol=1e-6)
    table, *weights = (w.astype("f8") for w in model.get_weights())
    padded[2, 1] = 0
    wanted = truth.run(truth.lstm_step(weights), table[padded], truth.zeros(padded, 4, 4), padded != 0)[1]
    np.testing.assert_allclose(model.predict(padded), wanted, rtol=1e-5, atol=1e-6)
    # Layers that cannot skip steps refuse the mask.
    with pytest.raises(TypeError, match="does not support masking"):
        Sequential([Embedding(10, 3, mask_zero=True, input_length=5), Flatten()])


def test_lengths() -> None:
    assert Sequential([Embedding(10, 3)]).output_shape == (None, None, 3)
    assert Sequential([Embedding(10, 3, input_length=5)]).output_shape == (None, 5, 3)
    layer = Embedding(10, 3, input_length=(None, 4))
    assert layer.compute_output_shape((2, 5, None)) == (2, 5, 4, 3)
    for wrong in ((2, 5), (2, 5, 3)):
        with pytest.raises(ValueError, match='"input_length" is'):
            layer.compute_output_shape(wrong)


def test_regularizers_and_constraints() -> None:
    model = Sequential(
        [
            Embedding(
                10,
                3,
                input_length=5,
                embeddings_regularizer="l2",
                activity_regularizer="l1",
                embeddings_constraint="nonneg",
            ),
            Flatten(),
        ]
    )
    model.compile("sgd", "mse")
    table = model.get_weights()[0].astype("f8")
    picked = table[NUMBERS]
    wanted = 0.01 * (np.sum(table**2) + np.abs(picked).sum()) + np.mean(picked**2)
    found = model.test_on_batch(NUMBERS, np.zeros((6, 15)))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    model.train_on_batch(NUMBERS, np.zeros((6, 15)))
    assert model.get_weights()[0].min() >= 0


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        Embedding(0, 3)
    with pytest.raises(TypeError, match="must be an integer"):
        Embedding(10, "3")
    model = Sequential([Embedding(10, 3)])
    with pytest.raises((ValueError, IndexError), match="index out of range"):
        model.predict(np.array([[3, 10]]))
    assert K.int_shape(model.layers[0].embeddings) == (10, 3)
