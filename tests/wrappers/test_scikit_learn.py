"""Models as estimators, alone and in the hands of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.model_selection import GridSearchCV

from symgraph import losses
from symgraph.layers import Dense
from symgraph.models import Sequential
from symgraph.optimizers import SGD
from symgraph.wrappers.scikit_learn import KerasClassifier, KerasRegressor

RNG = np.random.default_rng(0)
LABELS = np.array(["cat", "dog", "eel"])[RNG.integers(0, 3, 60)]
X = np.stack([LABELS == "cat", LABELS == "dog"], axis=1) * 2.0 + RNG.normal(scale=0.1, size=(60, 2))


@pytest.fixture(autouse=True)
def _same_first_weights() -> None:
    np.random.seed(0)


def _classifier(
    units: int = 3, loss: Any = "categorical_crossentropy", metrics: Any = ("accuracy",), lr: float = 1.0
) -> Any:
    model = Sequential([Dense(units, activation="softmax" if units > 1 else "sigmoid", input_shape=(2,))])
    model.compile(SGD(lr=lr), loss, list(metrics))
    return model


def _regressor(lr: float = 0.02) -> Any:
    model = Sequential([Dense(1, input_shape=(2,))])
    model.compile(SGD(lr=lr), "mse", ["mae"])
    return model


class _Called:
    def __call__(self, units: int = 3) -> Any:
        return _classifier(units)

    def method(self, units: int = 3) -> Any:
        return _classifier(units)


class _Inherited(KerasClassifier):
    def __call__(self, units: int = 3) -> Any:
        return _classifier(units)


@pytest.mark.parametrize(
    "estimator",
    [
        KerasClassifier(_classifier, epochs=20, verbose=0),
        KerasClassifier(_classifier, loss="sparse_categorical_crossentropy", epochs=20, verbose=0),
        KerasClassifier(_classifier, loss=losses.categorical_crossentropy, epochs=20, verbose=0),
        KerasClassifier(_Called(), units=3, epochs=20, verbose=0),
        KerasClassifier(_Called().method, units=3, epochs=20, verbose=0),
        _Inherited(units=3, epochs=20, verbose=0),
    ],
)
def test_classes_of_any_kind(estimator: Any) -> None:
    history = estimator.fit(X, LABELS, batch_size=10)
    assert history.epoch == list(range(20)) and history.params["batch_size"] == 10
    assert list(estimator.classes_) == ["cat", "dog", "eel"] and estimator.n_classes_ == 3
    found = estimator.predict(X)
    assert set(found) <= {"cat", "dog", "eel"} and (found == LABELS).mean() > 0.95
    np.testing.assert_allclose(estimator.score(X, LABELS), (found == LABELS).mean(), rtol=1e-6)
    probabilities = estimator.predict_proba(X)
    assert list(estimator.classes_[probabilities.argmax(1)]) == list(found)
    np.testing.assert_allclose(probabilities.sum(1), 1.0, rtol=1e-5)


def test_two_classes_with_one_output() -> None:
    estimator = KerasClassifier(_classifier, units=1, loss="binary_crossentropy", epochs=20, verbose=0)
    wanted = LABELS == "cat"
    estimator.fit(X, wanted, sample_weight=np.ones(60))
    probabilities = estimator.predict_proba(X)
    assert probabilities.shape == (60, 2)
    np.testing.assert_array_equal(estimator.predict(X)[:, 0], probabilities[:, 1] > 0.5)
    assert estimator.score(X, wanted) > 0.95


def test_columns_for_classes_and_wrong_shapes() -> None:
    estimator = KerasClassifier(_classifier, epochs=1, verbose=0)
    estimator.fit(X, (LABELS[:, None] == np.unique(LABELS)).astype(int))
    assert list(estimator.classes_) == [0, 1, 2]
    with pytest.raises(ValueError, match=r"Invalid shape for y: \(2, 3, 4\)"):
        estimator.fit(X, np.zeros((2, 3, 4)))


def test_regression() -> None:
    estimator = KerasRegressor(_regressor, epochs=30, verbose=0)
    y = X @ [2.0, -1.0] + 0.5
    estimator.fit(X, y, batch_size=10)
    found = estimator.predict(X)
    assert found.shape == (60,)
    np.testing.assert_allclose(estimator.score(X, y), -np.mean((found - y) ** 2), rtol=1e-4)
    assert estimator.score(X, y) > -0.5


def test_parameters() -> None:
    estimator = KerasClassifier(_classifier, units=3, batch_size=4)
    assert estimator.get_params(deep=True) == {"units": 3, "batch_size": 4, "build_fn": _classifier}
    assert estimator.set_params(units=5, nb_epoch=2) is estimator and estimator.sk_params["units"] == 5
    assert estimator.filter_sk_params(_classifier, {"loss": "mse"}) == {"units": 5, "loss": "mse"}
    with pytest.raises(ValueError, match="colour is not a legal parameter"):
        estimator.set_params(colour=1)
    with pytest.raises(ValueError, match="colour is not a legal parameter"):
        KerasRegressor(_regressor, colour=1)
    with pytest.raises(ValueError, match="give a `build_fn`"):
        KerasRegressor()
    plain = KerasClassifier(_classifier, metrics=(), epochs=1, verbose=0)
    plain.fit(X, LABELS)
    with pytest.raises(ValueError, match="not configured to compute accuracy"):
        plain.score(X, LABELS)


def test_scikit_learn_copies_and_searches() -> None:
    estimator = KerasClassifier(_classifier, metrics=["accuracy"], verbose=0)
    assert is_classifier(estimator) and is_regressor(KerasRegressor(_regressor))
    assert clone(estimator).get_params() == estimator.get_params()
    # With the first rate nothing is learnt, and no first weights tell three classes apart.
    grid = {"lr": [1e-9, 1.0], "epochs": [20], "batch_size": [10]}
    search = GridSearchCV(estimator, grid, cv=2, error_score="raise")
    search.fit(X, LABELS)
    assert search.best_params_ == {"lr": 1.0, "epochs": 20, "batch_size": 10}
    assert search.score(X, LABELS) > 0.95
