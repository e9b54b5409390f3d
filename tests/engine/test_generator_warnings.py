"""What fit_generator and its kind tell of: warnings at the user's line, errors in few words, histories."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from symgraph.callbacks import LambdaCallback
from symgraph.layers import Dense
from symgraph.models import Sequential
from symgraph.utils import Sequence

X = np.random.default_rng(1).normal(size=(8, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


class Given(Sequence):
    """The same batch, so many times."""

    def __init__(self, batch=(X, Y), batches=1):
        self.batch, self.batches = batch, batches

    def __len__(self):
        return self.batches

    def __getitem__(self, index):
        return self.batch


class Closed(Given):
    def __getstate__(self):
        raise TypeError("a closed thing")


@pytest.fixture
def model():
    model = Sequential([Dense(1, input_shape=(3,))])
    model.compile("sgd", "mse")
    return model


def test_warnings_name_the_line_of_the_call(model):
    calls = [
        lambda: model.fit_generator(iter([(X, Y)]), 2, verbose=0),
        lambda: model.evaluate_generator(iter([(X, Y)]), 2),
        lambda: model.fit_generator(iter([(X, Y)]), 1, verbose=0, use_multiprocessing=True),
        lambda: model.predict(Closed(), use_multiprocessing=True),
    ]
    for call in calls:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            call()
        (only,) = caught
        assert (only.filename, only.lineno) == (__file__, call.__code__.co_firstlineno)


def test_a_training_inside_another_one_leaves_it_its_history(model):
    inner = []

    def train(epoch, logs):
        inner.append(model.fit(Given(), verbose=0))

    history = model.fit_generator(
        Given(), epochs=3, verbose=0, callbacks=[LambdaCallback(on_epoch_end=train)]
    )
    assert history.epoch == [0, 1, 2]
    assert [one.epoch for one in inner] == [[0], [0], [0]]
    # The two take turns, and each step makes the loss smaller.
    pairs = zip(history.history["loss"], [one.history["loss"][0] for one in inner], strict=True)
    losses = [loss for pair in pairs for loss in pair]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ({"a": X}, r"{'a': array of shape \(8, 3\)}$"),
        ((X,), r"\(array of shape \(8, 3\),\)$"),
        ([X], r"\[array of shape \(8, 3\)\]$"),
        (None, r"gave no batches for `steps_per_epoch`. \(Those that are None do not count"),
    ],
)
def test_a_batch_that_is_none_is_told_in_few_words(model, batch, words):
    with pytest.raises(ValueError, match=words):
        model.fit(Given(batch), verbose=0)


def test_a_model_without_shapes_needs_a_batch():
    model = Sequential([Dense(1)], name="shapeless")
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="no batches to build shapeless with"):
        model.fit_generator(iter([]), 1)


def test_a_validation_that_has_ended_is_named(model):
    with pytest.raises(ValueError, match="gave no batches for `validation_steps`"):
        model.fit_generator(Given(), epochs=2, verbose=0, validation_data=iter([(X, Y)]), validation_steps=1)
    with pytest.warns(UserWarning, match=r"at least `validation_steps` batches \(in this case, 2 batches\)"):
        model.fit_generator(Given(), verbose=0, validation_data=iter([(X, Y)]), validation_steps=2)


def test_a_validation_without_targets_is_refused_before_the_training(model):
    before = model.get_weights()
    for call in (
        lambda **data: model.fit(X, Y, verbose=0, **data),
        lambda **data: model.fit(Given(), **data),
    ):
        with pytest.raises(ValueError, match=r"expected target data for dense_.*, got y=None"):
            call(validation_data=(X, None))
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_a_class_or_a_length_that_is_no_number_of_batches_is_named(model):
    with pytest.raises(TypeError, match="got the class Given; make an object of it"):
        model.fit_generator(Given)
    with pytest.raises(
        TypeError, match=r"Given\.__len__: 'float' object cannot be interpreted as an integer"
    ):
        model.fit(Given(batches=1.0), verbose=0)
    with pytest.raises(ValueError, match=r"Given\.__len__: __len__\(\) should return >= 0"):
        model.fit(Given(batches=-1), verbose=0)


def test_a_sequence_without_batches_is_named(model):
    for call in (model.fit_generator, model.evaluate_generator, model.predict_generator):
        with pytest.raises(ValueError, match="Given has no batches: its length is 0"):
            call(Given(batches=0))
    with pytest.raises(ValueError, match="Given has no batches: its length is 0"):
        model.fit(Given(), verbose=0, validation_data=Given(batches=0))
