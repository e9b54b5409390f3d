"""Embedding: lookups, gradients, masks, lengths."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.layers import LSTM, Embedding, Flatten, Input, Reshape, TimeDistributed
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


# -- numbers that are no rows of the table -------------------------------------------------------------------


def _around(embedding: Embedding, kind: str) -> Model:
    layers = {
        "alone": [embedding],
        "below a loop": [embedding, LSTM(2)],
        "in TimeDistributed": [Reshape((2, 1)), TimeDistributed(embedding)],
        "nested": [Sequential([embedding]), Flatten()],
        "nested in TimeDistributed": [
            Reshape((2, 1)),
            TimeDistributed(Sequential([embedding, Flatten()])),
        ],
    }[kind]
    x = Input((2,))
    return Model(x, reduce(lambda y, layer: layer(y), layers, x))


KINDS = ["alone", "below a loop", "in TimeDistributed", "nested", "nested in TimeDistributed"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [-1.0, 10.0, 3e9, np.nan, np.inf, -np.inf])
def test_numbers_without_a_row_are_refused(kind: str, number: float) -> None:
    """Keras on a processor raises, too, but for NaN. The layer, the number and the last row are named."""
    model = _around(Embedding(10, 3, input_length=2 if "Time" not in kind else 1, name="words"), kind)
    model.compile("sgd", "mse")
    data = np.array([[0, 9], [number, 1]])
    # Numbers that int32 does not hold end at its limits.
    shown = str(int(number)) if abs(number) < 100 else str(2**31 - 1) if number > 0 else "-"
    for use in (
        model.predict,
        lambda x: model.fit(x, np.zeros(model.predict(np.zeros_like(x)).shape), verbose=0),
    ):
        with pytest.raises(ValueError, match=rf"layer words .*index {shown}.* rows 0 to 9"):
            use(data)
    assert np.isfinite(model.predict(np.array([[0, 9]]))).all()


def test_masked_zeros_are_rows_and_masked_numbers_are_checked() -> None:
    model = Sequential([Embedding(10, 3, mask_zero=True, input_length=2), LSTM(2)])
    model.predict(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="index -1"):
        model.predict(np.array([[0, -1]]))


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (np.nan, r"index -1 \(or NaN\)"),
        (1e30, r"index 2147483647 \(or more\)"),
        (np.inf, r"index 2147483647 \(or more\)"),
        (7.0, "index 7"),
    ],
)
def test_the_error_tells_what_floats_became(number: float, text: str) -> None:
    model = Sequential([Embedding(5, 3, input_length=2, name="words")])
    with pytest.raises(
        ValueError, match=f"layer words .*: index out of range: {text} is out of range for rows 0 to 4 "
    ):
        model.predict(np.array([[0.0, number]]))


def test_fractions_are_cut_off() -> None:
    """As `K.cast` does in Keras."""
    model = Sequential([Embedding(10, 3, input_length=2)])
    found = model.predict(np.array([[1.9, -0.9]]))
    np.testing.assert_array_equal(found, model.predict(np.array([[1, 0]])))


@pytest.mark.parametrize("number", [-1, 5])
def test_gather_knows_no_negative_rows(number: int) -> None:
    table, numbers = K.variable(np.eye(5)), K.placeholder((None,), dtype="int32")
    picked = K.gather(table, numbers)
    data = np.array([0, number], "int32")
    with pytest.raises(ValueError, match=rf"index {number}( \(or NaN\))? is out of range for rows 0 to 4"):
        K.function([numbers], [picked])([data])
    # The gradient asks for no row, but for the places to add to.
    with pytest.raises(ValueError, match=f"index {number}"):
        K.function([numbers], K.gradients(K.sum(picked), [table]))([data])
    with pytest.raises(ValueError, match=r"index out of range.*turn 2 of the loop"):
        K.function([numbers], [K.map_fn(lambda n: K.gather(table, n), numbers)])([data])
    with pytest.raises(IndexError, match=f"index {number}"):
        K.gather(table, data)


@pytest.mark.parametrize("label", [-1.0, 5.0, np.nan])
def test_labels_out_of_range(label: float) -> None:
    target, scores = K.placeholder((2,)), K.variable(np.full((2, 5), 0.2))
    loss = K.function([target], [K.sparse_categorical_crossentropy(target, scores)])
    np.testing.assert_allclose(loss([np.array([0.0, 4.0])])[0], np.log(5), rtol=1e-6)
    with pytest.raises(ValueError, match="out of range for an axis of size 5"):
        loss([np.array([0.0, label])])
