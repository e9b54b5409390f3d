"""Metrics against counting in numpy."""

import numpy as np
import pytest

from symgraph import backend as K
from symgraph import losses, metrics

RNG = np.random.default_rng(0)
SCORES = RNG.uniform(size=(12, 6))
LABELS = RNG.integers(0, 6, 12)
BEST = SCORES.argmax(-1)


def test_binary_accuracy():
    target = RNG.integers(0, 2, (12, 6))
    actual = K.eval(metrics.binary_accuracy(K.variable(target), K.variable(SCORES)))
    np.testing.assert_allclose(actual, ((SCORES > 0.5) == target).mean(-1), rtol=1e-6)


def test_categorical_accuracy():
    actual = metrics.categorical_accuracy(K.variable(np.eye(6)[LABELS]), K.variable(SCORES))
    assert K.dtype(actual) == "float32"
    np.testing.assert_array_equal(K.eval(actual), LABELS == BEST)


def test_sparse_categorical_accuracy():
    for shape in ((12,), (12, 1)):
        actual = metrics.sparse_categorical_accuracy(K.variable(LABELS.reshape(shape)), K.variable(SCORES))
        np.testing.assert_array_equal(K.eval(actual), LABELS == BEST)
    for shape in ((3, 4), (3, 4, 1)):
        scores = K.variable(SCORES.reshape(3, 4, 6))
        actual = metrics.sparse_categorical_accuracy(K.variable(LABELS.reshape(shape)), scores)
        np.testing.assert_array_equal(K.eval(actual), (LABELS == BEST).reshape(3, 4))
    y_true, y_pred = K.placeholder((None, 1)), K.placeholder((None, 6))
    actual = metrics.sparse_categorical_accuracy(y_true, y_pred)
    (value,) = K.function([y_true, y_pred], [actual])([LABELS[:, None], SCORES])
    np.testing.assert_array_equal(value, LABELS == BEST)


@pytest.mark.parametrize("k", [1, 3, 6])
def test_top_k(k):
    hits = [label in np.argsort(row)[-k:] for label, row in zip(LABELS, SCORES, strict=True)]
    one_hot, scores = K.variable(np.eye(6)[LABELS]), K.variable(SCORES)
    np.testing.assert_allclose(K.eval(metrics.top_k_categorical_accuracy(one_hot, scores, k)), np.mean(hits))
    for shape in ((12,), (12, 1)):
        labels = K.variable(LABELS.reshape(shape))
        actual = metrics.sparse_top_k_categorical_accuracy(labels, scores, k)
        np.testing.assert_allclose(K.eval(actual), np.mean(hits))


def test_names():
    assert metrics.get("mse") is metrics.MSE is losses.mean_squared_error
    for name in (
        "binary_accuracy",
        "top_k_categorical_accuracy",
        "hinge",
        "poisson",
        "kullback_leibler_divergence",
    ):
        assert metrics.serialize(metrics.get(name)) == name

    def own(y_true, y_pred):
        return K.mean(y_pred)

    assert metrics.get(own) is own and metrics.deserialize("own", {"own": own}) is own
    with pytest.raises(ValueError, match="Unknown metric function: nothing"):
        metrics.get("nothing")
    with pytest.raises(ValueError, match="Could not interpret metric function identifier: None"):
        metrics.get(None)
