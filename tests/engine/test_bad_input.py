"""What `compile`, `fit`, `evaluate` and `predict` refuse: one clear message, and the model as it was."""

import h5py
import numpy as np
import pytest
import scipy.sparse

from symgraph import backend as K
from symgraph.callbacks import Callback, History
from symgraph.layers import Dense, Flatten, Lambda
from symgraph.models import Sequential
from symgraph.optimizers import SGD, Adam


@pytest.fixture(autouse=True)
def _seed():
    np.random.seed(3)


def _linear(units=1, features=3, **kwargs):
    model = Sequential([Dense(units, input_shape=(features,))])
    model.compile(SGD(lr=0.1), "mse", **kwargs)
    return model


def _data(rows=10, features=3, units=1):
    rng = np.random.default_rng(1)
    return rng.normal(size=(rows, features)).astype("float32"), rng.normal(size=(rows, units)).astype(
        "float32"
    )


def _sgd_step(weights, x, y, sample_weight=None, lr=0.1):
    """One step of gradient descent on the weighted squared error of a linear model, in float64."""
    kernel, bias = (w.astype("float64") for w in weights)
    x, y = x.astype("float64"), y.astype("float64")
    w = np.ones(len(x)) if sample_weight is None else np.asarray(sample_weight, "float64")
    residual = x @ kernel + bias - y
    count = np.count_nonzero(w)
    loss = (np.mean(residual**2, axis=1) * w).sum() / count
    upstream = 2 * residual * w[:, None] / (count * y.shape[1])
    return loss, [kernel - lr * x.T @ upstream, bias - lr * upstream.sum(0)]


def _unchanged(model, call, error, match):
    before = model.get_weights()
    with pytest.raises(error, match=match):
        call()
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("x", "y", "error", "match"),
    [
        (
            np.zeros((4, 2)),
            np.zeros((4, 1)),
            ValueError,
            r"to have shape \(3,\) but got array with shape \(2,\)",
        ),
        (np.zeros((4, 3, 1)), np.zeros((4, 1)), ValueError, "to have 2 dimensions"),
        (np.zeros((4, 3)), np.zeros((5, 1)), ValueError, "Found 4 input samples and 5 target samples"),
        (
            np.zeros((4, 3)),
            np.zeros((4, 2)),
            ValueError,
            r"to have shape \(1,\) but got array with shape \(2,\)",
        ),
        (np.zeros((0, 3)), np.zeros((0, 1)), ValueError, "at least one sample"),
        (np.array([["a"] * 3] * 4), np.zeros((4, 1)), TypeError, "numbers"),
        (np.full((4, 3), None), np.zeros((4, 1)), TypeError, "numbers"),
        (np.zeros((4, 3)), np.zeros((4, 1), complex), TypeError, "numbers"),
        ([np.zeros((4, 3))] * 2, np.zeros((4, 1)), ValueError, r"Expected to see 1 array\(s\)"),
        ({"wrong": np.zeros((4, 3))}, np.zeros((4, 1)), ValueError, "No data provided for"),
        (None, np.zeros((4, 1)), ValueError, "expected data for"),
        (np.zeros((4, 3)), None, ValueError, "target"),
    ],
)
def test_unsuitable_data_are_refused(x, y, error, match):
    model = _linear()
    _unchanged(model, lambda: model.fit(x, y, verbose=0), error, match)
    if y is not None:
        _unchanged(model, lambda: model.train_on_batch(x, y), error, match)


def test_unsuitable_arguments_are_refused():
    model = _linear()
    x, y = _data(4)
    for wrong, error in (  # arguments of fit
        ({"batch_size": 0}, ValueError),
        ({"batch_size": 2.5}, TypeError),
        ({"validation_split": 1.5}, ValueError),
        ({"validation_split": 0.9}, ValueError),
        ({"validation_data": (x,)}, ValueError),
        ({"shuffle": "rows"}, ValueError),
        ({"class_weight": [1, 2]}, TypeError),
        ({"sample_weight": np.ones(3)}, ValueError),
        ({"sample_weight": np.ones((4, 1))}, ValueError),
        ({"steps_per_epoch": 2, "batch_size": 2}, ValueError),
        ({"validation_steps": 2}, ValueError),
        ({"colour": 1}, TypeError),
    ):
        _unchanged(model, lambda wrong=wrong: model.fit(x, y, verbose=0, **wrong), error, None)


def test_labels_have_to_name_a_class():
    model = Sequential([Dense(3, activation="softmax", input_shape=(3,), name="scores")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    x, _ = _data(4)
    for labels, match in (
        ([0, 1, 2, 3], r"scores to have labels in \[0, 3\)"),
        ([0, -1, 2, 1], "scores"),
        ([0, 1.5, 2, 1], "whole numbers"),
        ([0, np.nan, 2, 1], "scores"),
    ):
        _unchanged(model, lambda labels=labels: model.fit(x, np.array(labels), verbose=0), ValueError, match)


def test_targets_that_only_fit_by_broadcasting_are_refused():
    model = Sequential([Dense(3, input_shape=(3,))])
    model.compile("sgd", lambda y_true, y_pred: K.mean(K.square(y_true - y_pred), axis=-1))
    x, _ = _data(4)
    _unchanged(model, lambda: model.train_on_batch(x, np.zeros((4, 1))), ValueError, None)


def test_an_error_in_the_middle_keeps_the_steps_before_it():
    model = _linear()
    x, y = _data(8)
    weights = model.get_weights()

    class Stop(Callback):
        def on_batch_begin(self, batch, logs=None):
            if batch == 1:
                raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        model.fit(x, y, batch_size=4, shuffle=False, verbose=0, callbacks=[Stop()])
    _, expected = _sgd_step(weights, x[:4], y[:4])
    np.testing.assert_allclose(model.get_weights()[0], expected[0], rtol=1e-5, atol=1e-6)
    assert int(K.get_value(model.optimizer.iterations)) == 1


def test_wrong_data_in_the_middle_keep_the_steps_before_them():
    def rows_of_identity(x):
        return K.gather(K.constant(np.eye(3)), K.cast(x, "int32"))

    def trained(numbers):
        np.random.seed(0)
        model = Sequential([Lambda(rows_of_identity, input_shape=(1,)), Flatten(), Dense(1)])
        model.compile("adam", "mse")
        if 7 in numbers:
            with pytest.raises(ValueError, match=r"lambda_\d+ \(.*test_bad_input.py:\d+\).*out of range"):
                model.fit(numbers, np.ones(len(numbers)), batch_size=2, shuffle=False, verbose=0)
        else:
            model.fit(numbers, np.ones(len(numbers)), batch_size=2, shuffle=False, verbose=0)
        return model.get_weights() + model.optimizer.get_weights()

    for a, b in zip(
        trained(np.array([0, 1, 2, 0, 1, 7, 0, 0])), trained(np.array([0, 1, 2, 0])), strict=True
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ["file", "sparse"])
def test_a_wrong_label_is_found_before_training_wherever_it_lies(tmp_path, kind):
    model = Sequential([Dense(3, activation="softmax", input_shape=(3,), name="scores")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    x, _ = _data(8)
    labels = np.array([[0], [1], [2], [0], [1], [7], [0], [0]])
    with h5py.File(tmp_path / "labels.h5", "w") as file:
        file["y"] = labels
        y = file["y"] if kind == "file" else scipy.sparse.coo_matrix(labels)
        match = r"scores to have labels in \[0, 3\).*from 0 to 7"
        call = lambda: model.fit(x, y, batch_size=4, shuffle=False, verbose=0)  # noqa: E731
        _unchanged(model, call, ValueError, match)


@pytest.mark.parametrize(
    ("argument", "value", "error"),
    [
        ("epochs", 1.5, TypeError),
        ("epochs", None, TypeError),
        ("initial_epoch", "a", TypeError),
        ("initial_epoch", -1, ValueError),
        ("steps_per_epoch", 0, ValueError),
        ("steps_per_epoch", 1.5, TypeError),
        ("validation_steps", 0, ValueError),
        ("validation_split", "a", TypeError),
        ("validation_data", np.zeros((4, 3)), ValueError),
        ("callbacks", 3, TypeError),
        ("callbacks", [3], TypeError),
        ("callbacks", History(), TypeError),
        ("callbacks", [History], TypeError),
        ("class_weight", {0.0: "a"}, TypeError),
        ("sample_weight", 3.0, TypeError),
        ("sample_weight", {"other": np.ones(4)}, ValueError),
    ],
)
def test_errors_name_the_argument(argument, value, error, capsys):
    model = _linear()
    x, _ = _data(4)
    _unchanged(model, lambda: model.fit(x, np.zeros(4), **{argument: value}), error, argument)
    # The printing, too, waits until all is well.
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("target", [None, np.zeros((4, 5)), np.zeros(3)])
def test_a_model_without_input_shape_keeps_none_from_refused_data(target):
    model = Sequential([Dense(2, name="first"), Dense(1, name="second")])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"second|number of samples"):
        model.fit(np.zeros((4, 3)), target, verbose=0)
    assert not model.built
    assert model.get_weights() == []
    with pytest.raises(ValueError, match="validation_split"):
        model.fit(np.zeros((4, 3)), np.zeros(4), validation_split=2.0, verbose=0)
    model.fit(np.zeros((4, 7)), np.zeros(4), verbose=0)
    assert model.layers[0].get_weights()[0].shape == (7, 2)


# -- compile refuses -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        {"loss": "no_such_loss"},
        {"loss": "mse", "metrics": ["no_such_metric"]},
        {"loss": "mse", "metrics": {"no_such_output": "acc"}},
        {"loss": "mse", "metrics": 3},
        {"loss": {"no_such_output": "mse"}},
        {"loss": ["mse", "mse"]},
        {"loss": "mse", "loss_weights": [1.0, 2.0]},
        {"loss": "mse", "loss_weights": {"x": 1.0}},
        {"loss": "mse", "loss_weights": "x"},
        {"loss": "mse", "sample_weight_mode": "hourly"},
        {"loss": "mse", "target_tensors": 3},
        {"loss": None},
    ],
)
def test_wrong_compile_arguments_leave_the_model_as_it_was(arguments):
    model = _linear()
    before = dict(vars(model))
    with pytest.raises((ValueError, TypeError)):
        model.compile("adam", **arguments)
    assert vars(model) == before
    x, y = _data(4)
    assert np.isfinite(model.train_on_batch(x, y))


def test_a_model_that_was_not_compiled_only_predicts():
    model = Sequential([Dense(1, input_shape=(3,))])
    x, y = _data(4)
    assert model.predict(x).shape == (4, 1)
    for call in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(RuntimeError, match="You must compile a model"):
            call(x, y)
    with pytest.raises(ValueError, match="optimizer"):
        model.compile("no_such_optimizer", "mse")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"colour": 1}, r"compile.*colour"),
        ({"loss_weights": ["a"]}, "loss_weights"),
        ({"loss": lambda y_true, y_pred: None}, r"loss.*has to return a tensor, got None"),
        ({"metrics": [lambda y_true, y_pred: None]}, r"metric.*has to return a tensor, got None"),
    ],
)
def test_errors_of_compile_name_the_argument(arguments, message):
    with pytest.raises(TypeError, match=message):
        _linear().compile("sgd", **{"loss": "mse", **arguments})


def test_a_compile_that_fails_late_keeps_the_optimizers_state(monkeypatch):
    model, optimizer = _linear(), Adam()
    x, y = _data(4)
    model.compile(optimizer, "mse")
    model.train_on_batch(x, y)
    before = optimizer.get_weights()

    def no_memory(*arguments, **keywords):
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr("symgraph.engine.training_parts.compiled_network.model_function", no_memory)
        with pytest.raises(MemoryError):
            model.compile(optimizer, "mae")
    for a, b in zip(before, optimizer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    model.train_on_batch(x, y)
    assert not np.array_equal(optimizer.get_weights()[1], before[1])
