"""What a newcomer mistypes or mistakes is answered with what was meant."""

from __future__ import annotations

import numpy as np
import pytest

from symgraph import backend as K
from symgraph import regularizers
from symgraph.layers import Activation, Dense, Input, add
from symgraph.models import Model

X = np.ones((8, 3), "float32")


def model():
    x = Input((3,))
    return Model(x, Dense(2, name="out")(x))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("acurracy", "'accuracy'"), ("Accuracy", "'accuracy'"), ("accuracy ", "'accuracy'"), ("ACC", "'acc'"),
        ("cross_entropy", "'crossentropy'"), ("binary_acurracy", "binary_accuracy"),
        ("mean_square_error", "mean_squared_error"),
    ],
)  # fmt: skip
def test_metrics(typed, meant):
    with pytest.raises(ValueError, match=rf"Unknown metric function: {typed}; did you mean {meant}\?"):
        model().compile("sgd", "mse", metrics=[typed])


def test_metrics_without_a_like():
    with pytest.raises(ValueError, match=r"Unknown metric function: qqq; one of your own"):
        model().compile("sgd", "mse", metrics=["qqq"])
    with pytest.raises(
        ValueError, match="Could not interpret metric function identifier: 3; expected a name such as"
    ):
        model().compile("sgd", "mse", metrics=[3])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: model().compile("adma", "mse"), r"Unknown optimizer: adma; did you mean adam\?"),
        (lambda: model().compile("sdg", "mse"), r"did you mean sgd\?"),
        (
            lambda: model().compile(0.1, "mse"),
            r"optimizer identifier: 0.1; expected a name such as 'adam', .*Adam\(lr",
        ),
        (
            lambda: model().compile("sgd", 3),
            r"loss function identifier: 3; expected None, a name such as 'mse'",
        ),
        (lambda: Dense(2, kernel_regularizer="L2"), r"Unknown regularizer: L2; did you mean l2\?"),
        (
            lambda: Dense(2, kernel_regularizer="l2(0.01)"),
            r"did you mean l2\(0.01\), the call instead of a text\?",
        ),
        (
            lambda: Dense(2, kernel_regularizer="regularizers.l2(0.01)"),
            r"did you mean regularizers.l2\(0.01\), the call instead of a text\?",
        ),
        (
            lambda: Dense(2, kernel_regularizer=0.01),
            r"identifier: 0.01; expected None, .*'l2', .*`l2\(0.01\)`",
        ),
        (
            lambda: Dense(2, kernel_initializer=0.1),
            r"identifier: 0.1; expected .*'glorot_uniform'.*RandomNormal",
        ),
        (
            lambda: Dense(2, kernel_constraint=2),
            r"identifier: 2; expected None, .*'max_norm', .*`max_norm\(2\)`",
        ),
        (lambda: Activation(5), r"identifier: 5; expected None, a name such as 'relu'"),
    ],
)
def test_names_and_other_things(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_names_of_regularizers_are_their_defaults():
    for name, l1, l2 in (("l1", 0.01, 0), ("l2", 0, 0.01), ("l1_l2", 0.01, 0.01)):
        found = Dense(2, kernel_regularizer=name).kernel_regularizer
        assert isinstance(found, regularizers.L1L2)
        assert (float(found.l1), float(found.l2)) == pytest.approx((l1, l2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Dense(2, name="d")(X),
            r"Layer d was .*ndarray.*\[an array of shape \(8, 3\)\].*`predict`; `K.constant` makes",
        ),
        (lambda: add([Input((3,)), X]), r"Layer add_\d+ was called .*`K.constant` makes a tensor"),
        (lambda: model()(X), r"was called with an input that isn't a symbolic tensor.*`predict`"),
        (
            lambda: K.gradients(X, [K.variable(X)]),
            r"expected a tensor as loss, got an array of shape \(8, 3\)$",
        ),
        (
            lambda: K.gradients(K.sum(K.variable(X)), [X]),
            r"variable number 0, got an array of shape \(8, 3\)$",
        ),
        (lambda: K.function([X], []), r"expected a tensor as input 0, got an array of shape \(8, 3\)$"),
        (lambda: K.function([], [X]), r"expected a tensor as output 0, got an array of shape \(8, 3\)$"),
        (lambda: K.update(X, X), r"expected a variable, got an array of shape \(8, 3\)$"),
        (lambda: K.set_value(X, X), r"expected a variable, got an array of shape \(8, 3\)$"),
    ],
)
def test_arrays_where_tensors_are_needed(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_none_where_data_are_needed():
    compiled = model()
    compiled.compile("sgd", "mse")
    x = K.placeholder((None, 2), name="x")
    function = K.function([x], [x * 2])
    y = X[:, :2]
    for feed, message in (
        (lambda: function([None]), "missing input: .*'x'.* is needed, but not given"),
        (lambda: function([[[None, 1.0]]]), "input 'x': expected numbers of dtype float32"),
        (lambda: compiled.predict([None]), r"expected data for input_\d+, got None"),
        (
            lambda: compiled.predict(np.array([[None, 1, 2]])),
            r"for input_\d+, got dtype object with None in it",
        ),
        (lambda: compiled.fit(None, y, verbose=0), r"expected data for input_\d+, got None"),
        (lambda: compiled.fit(X, None, verbose=0), "expected target data for out, got y=None"),
        (lambda: compiled.train_on_batch(X, [None]), "expected data for out, got None"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            feed()
