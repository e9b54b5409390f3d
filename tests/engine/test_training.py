"""compile, fit, evaluate, predict: against own numpy formulas in float64, and for what they refuse."""

import h5py
import numpy as np
import pytest
import scipy.sparse

from symgraph import backend as K
from symgraph import losses
from symgraph.callbacks import BaseLogger, LambdaCallback
from symgraph.layers import BatchNormalization, Dense, Dropout, Flatten, Input, Lambda, Layer
from symgraph.models import Model, Sequential
from symgraph.optimizers import SGD


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


def _two_headed(**kwargs):
    left, right = Input((3,), name="left"), Input((2,), name="right")
    a = Dense(1, name="a")(left)
    b = Dense(2, name="b")(right)
    model = Model([left, right], [a, b])
    model.compile(SGD(lr=0.1), **{"loss": "mse", **kwargs})
    return model


# -- values --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample_weight", [None, [1, 0, 2, 0.5]])
def test_train_on_batch_is_a_step_of_gradient_descent(sample_weight):
    model = _linear()
    x, y = _data(4)
    loss, after = _sgd_step(model.get_weights(), x, y, sample_weight)
    found = model.train_on_batch(
        x, y, sample_weight=None if sample_weight is None else np.array(sample_weight)
    )
    assert isinstance(found, np.float32)
    assert found == pytest.approx(loss, rel=1e-5)
    for weight, expected in zip(model.get_weights(), after, strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-4, atol=1e-6)


def test_fit_goes_through_the_samples_in_order():
    model = _linear()
    x, y = _data(10)
    weights = model.get_weights()
    total = 0.0
    for start in range(0, 10, 4):
        loss, weights = _sgd_step(weights, x[start : start + 4], y[start : start + 4])
        total += loss * len(x[start : start + 4])
    history = model.fit(x, y, batch_size=4, shuffle=False, verbose=0)
    # The average over an epoch weighs each batch by its size.
    assert history.history["loss"] == pytest.approx([total / 10], rel=1e-5)
    np.testing.assert_allclose(model.get_weights()[0], weights[0], rtol=1e-4, atol=1e-6)


def test_shuffled_fit_follows_numpys_seed():
    x, y = _data(11)
    model = _linear()
    start = model.get_weights()
    np.random.seed(5)
    model.fit(x, y, batch_size=4, epochs=2, verbose=0)
    order, weights = np.arange(11), start
    np.random.seed(5)
    for _ in range(2):
        np.random.shuffle(order)
        for first in range(0, 11, 4):
            rows = order[first : first + 4]
            _, weights = _sgd_step(weights, x[rows], y[rows])
    np.testing.assert_allclose(model.get_weights()[0], weights[0], rtol=1e-4, atol=1e-6)


def test_evaluate_and_predict_over_uneven_batches():
    model = _linear(units=2, metrics=["mae"])
    x, y = _data(10, units=2)
    kernel, bias = (w.astype("float64") for w in model.get_weights())
    outputs = x @ kernel + bias
    found = model.evaluate(x, y, batch_size=4, verbose=0)
    assert model.metrics_names == ["loss", "mean_absolute_error"]
    assert found == pytest.approx([np.mean((outputs - y) ** 2), np.mean(abs(outputs - y))], rel=1e-5)
    for size in (3, 10, 64):
        np.testing.assert_allclose(model.predict(x, batch_size=size), outputs, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.predict_on_batch(x), outputs, rtol=1e-5, atol=1e-6)
    assert model.test_on_batch(x, y) == pytest.approx(found, rel=1e-5)


def test_class_weight_counts_in_the_loss():
    model = Sequential([Dense(2, activation="softmax", input_shape=(3,))])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["acc"], weighted_metrics=["acc"])
    x, _ = _data(6)
    labels = np.array([0, 1, 1, 0, 1, 0])
    probabilities = model.predict(x).astype("float64")
    each = -np.log(probabilities[np.arange(6), labels])
    right = probabilities.argmax(1) == labels
    weights = np.where(labels == 0, 1.0, 3.0)
    loss, acc, weighted = model.train_on_batch(x, labels, class_weight={0: 1.0, 1: 3.0})
    assert model.metrics_names == ["loss", "acc", "weighted_acc"]
    assert (loss, acc, weighted) == pytest.approx(
        ((each * weights).mean(), right.mean(), (right * weights).mean()), rel=1e-5
    )


def test_temporal_sample_weights():
    x = Input((4, 3))
    model = Model(x, Dense(2)(x))
    model.compile("sgd", "mse", sample_weight_mode="temporal")
    rng = np.random.default_rng(0)
    data, y = rng.normal(size=(5, 4, 3)), rng.normal(size=(5, 4, 2))
    weights = rng.integers(0, 3, size=(5, 4)).astype("float64")
    error = ((model.predict(data).astype("float64") - y) ** 2).mean(-1) * weights
    assert model.test_on_batch(data, y, sample_weight=weights) == pytest.approx(
        error.sum() / np.count_nonzero(weights), rel=1e-5
    )
    with pytest.raises(ValueError, match="2D sample_weight"):
        model.test_on_batch(data, y, sample_weight=weights[:, 0])
    with pytest.raises(ValueError, match="time axis"):
        _linear(sample_weight_mode="temporal")


def test_several_outputs_add_up_with_their_weights():
    model = _two_headed(loss_weights={"a": 2.0, "b": 0.5}, metrics={"b": ["mae"]})
    left, right = _data(6, 3)[0], _data(6, 2)[0]
    ya, yb = _data(6, units=1)[1], _data(6, units=2)[1]
    a, b = (p.astype("float64") for p in model.predict({"right": right, "left": left}))
    found = model.evaluate([left, right], {"b": yb, "a": ya}, verbose=0)
    loss_a, loss_b = np.mean((a - ya) ** 2), np.mean((b - yb) ** 2)
    assert model.metrics_names == ["loss", "a_loss", "b_loss", "b_mean_absolute_error"]
    assert found == pytest.approx([2 * loss_a + 0.5 * loss_b, loss_a, loss_b, np.mean(abs(b - yb))], rel=1e-5)
    history = model.fit([left, right], [ya, yb], verbose=0, epochs=2, sample_weight={"a": np.ones(6)})
    assert set(history.history) == set(model.metrics_names)


def test_an_output_without_loss_gets_no_target():
    x = Input((3,))
    scores = Dense(1, name="a")(x)
    model = Model(x, [scores, Dropout(0.5, name="b")(scores)])
    with pytest.warns(UserWarning, match='Output "b" missing from loss dictionary'):
        model.compile("sgd", {"a": "mse"})
    data, y = _data(4)
    assert np.isfinite(model.train_on_batch(data, y)).all()
    # Targets for all outputs in a dict are fine too: those without a loss are not read.
    assert np.isfinite(model.train_on_batch(data, {"a": y, "b": y})).all()


def test_regularisation_is_part_of_the_loss():
    model = Sequential([Dense(2, input_shape=(3,), kernel_regularizer="l2")])
    model.compile("sgd", "mse")
    x, y = _data(4, units=2)
    kernel = model.get_weights()[0].astype("float64")
    error = np.mean((model.predict(x) - y) ** 2)
    assert model.test_on_batch(x, y) == pytest.approx(error + 0.01 * (kernel**2).sum(), rel=1e-5)


def test_learning_phase_differs_between_training_and_testing():
    model = Sequential([Dropout(0.5, input_shape=(999,))])
    model.add(Lambda(lambda t: K.mean(t, axis=-1, keepdims=True)))
    model.compile("sgd", "mse")
    x = np.ones((1, 999), "float32")
    assert model.test_on_batch(x, np.ones(1)) == pytest.approx(0.0, abs=1e-10)
    assert model.train_on_batch(x, np.ones(1)) > 1e-6
    K.set_learning_phase(1)
    try:
        model.predict_function = None
        assert model.predict(x)[0, 0] != 1.0
    finally:
        K.clear_session()


def test_batch_normalization_updates_only_in_training():
    model = Sequential([BatchNormalization(input_shape=(2,), momentum=0.5)])
    model.compile("sgd", "mse")
    x = np.array([[1.0, 2.0], [3.0, 6.0]], "float32")
    model.test_on_batch(x, x)
    np.testing.assert_array_equal(model.get_weights()[2], [0, 0])
    model.train_on_batch(x, x)
    np.testing.assert_allclose(model.get_weights()[2], [1.0, 2.0], rtol=1e-6)


def test_a_layer_called_twice_adds_both_updates():
    shared = BatchNormalization(momentum=0.5)
    a, b = Input((1,)), Input((1,))
    model = Model([a, b], [shared(a), shared(b)])
    model.compile("sgd", "mse")
    ones = np.ones((2, 1), "float32")
    model.train_on_batch([2 * ones, 6 * ones], [ones, ones])
    # 0 + (2 - 0)/2 + (6 - 0)/2
    np.testing.assert_allclose(shared.get_weights()[2], [4.0], rtol=1e-6)


# -- metrics -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("units", "activation", "loss", "target"),
    [
        (1, "sigmoid", "binary_crossentropy", "binary"),
        (3, "softmax", "categorical_crossentropy", "one_hot"),
        (3, "softmax", "sparse_categorical_crossentropy", "labels"),
        (3, "sigmoid", "binary_crossentropy", "one_hot"),
    ],
)
@pytest.mark.parametrize("name", ["acc", "accuracy"])
def test_accuracy_suits_loss_and_output(units, activation, loss, target, name):
    model = Sequential([Dense(units, activation=activation, input_shape=(3,))])
    model.compile("sgd", loss, metrics=[name])
    x, _ = _data(40)
    labels = np.random.default_rng(2).integers(0, max(units, 2), 40)
    outputs = model.predict(x)
    y = np.eye(3)[labels] if target == "one_hot" else labels
    if loss == "binary_crossentropy":
        expected = ((outputs > 0.5) == y.reshape(outputs.shape)).mean()
    else:
        expected = (outputs.argmax(1) == labels).mean()
    assert model.metrics_names == ["loss", "acc"]
    assert model.evaluate(x, y, verbose=0)[1] == pytest.approx(expected)


def test_metric_names_are_made_unique():
    model = _linear(metrics=["mse", "mse", losses.mean_squared_error])
    assert model.metrics_names == [
        "loss",
        "mean_squared_error",
        "mean_squared_error_1",
        "mean_squared_error_2",
    ]


def test_metric_tensors_added_after_compile_are_reported():
    model = _linear()
    x, y = _data(4)
    model.train_on_batch(x, y)
    moved = int(K.get_value(model.optimizer.iterations))
    model.metrics_names.append("largest")
    model.metrics_tensors.append(K.max(model.outputs[0]))
    expected = model.predict(x).max()
    assert model.train_on_batch(x, y)[1] == pytest.approx(expected)
    assert int(K.get_value(model.optimizer.iterations)) == moved + 1


class _Positives(Layer):
    """Counts positive outputs since the last `reset_states`."""

    def __init__(self):
        super().__init__(name="positives")
        self.stateful = True
        self.count = K.variable(0.0, name="count")

    def reset_states(self):
        K.set_value(self.count, 0.0)

    def __call__(self, y_true, y_pred):
        now = K.sum(K.cast(K.greater(y_pred, 0.0), "float32"))
        before = self.count * 1
        self.add_update(K.update_add(self.count, now), inputs=[y_true, y_pred])
        return before + now


def test_stateful_metrics_add_up_over_batches():
    model = _linear(metrics=[_Positives()])
    x, y = _data(10)
    expected = (model.predict(x) > 0).sum()
    for _ in range(2):
        assert model.evaluate(x, y, batch_size=3, verbose=0)[1] == expected
    history = model.fit(x, y, batch_size=3, epochs=1, verbose=0, validation_data=(x, y))
    assert history.history["val_positives"] == [(model.predict(x) > 0).sum()]


# -- functions -----------------------------------------------------------------------------------------------


def test_compile_makes_the_functions_and_none_makes_them_again():
    model = _linear()
    first = model.train_function
    assert None not in (first, model.test_function, model.predict_function)
    x, y = _data(4)
    model.train_on_batch(x, y)
    assert model.train_function is first
    model.train_function = None
    model.train_on_batch(x, y)
    assert model.train_function not in (None, first)


def test_frozen_weights_count_after_the_next_compile():
    model = Sequential([Dense(2, input_shape=(3,)), Dense(1)])
    model.compile("sgd", "mse")
    x, y = _data(4)
    model.layers[0].trainable = False
    with pytest.warns(UserWarning, match="Discrepancy between trainable weights"):
        model.train_on_batch(x, y)
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.train_on_batch(x, y)
    changed = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert changed == [False, False, True, True]


def test_model_without_input_shape_waits_for_data():
    model = Sequential([Dense(4), Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    assert not model.built
    with pytest.raises(ValueError, match="has no input shape yet"):
        model.fit([[1, 2]], [1], verbose=0)
    x, y = _data(6, 5)
    assert len(model.fit(x, y, epochs=2, verbose=0).history["mean_absolute_error"]) == 2
    assert model.predict(x).shape == (6, 1)


def test_subclassed_model_learns_its_shapes_from_data():
    class Twice(Model):
        def __init__(self):
            super().__init__(name="twice")
            self.dense = Dense(1)

        def call(self, inputs):
            return self.dense(inputs) * 2.0

    model = Twice()
    model.compile(SGD(0.05), "mse")
    x, y = _data(8)
    history = model.fit(x, y, epochs=20, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(model.predict(x), 2 * (x @ kernel + bias), rtol=1e-5, atol=1e-6)


def test_target_tensors_and_input_tensors_train_in_steps():
    x, y = _data(4)
    inputs = Input(tensor=K.variable(x))
    model = Model(inputs, Dense(1)(inputs))
    model.compile(SGD(0.1), "mse", target_tensors=[K.variable(y)])
    loss, _ = _sgd_step(model.get_weights(), x, y)
    assert model.evaluate(steps=2, verbose=0) == pytest.approx(loss, rel=1e-5)
    history = model.fit(epochs=2, steps_per_epoch=5, verbose=0)
    assert len(history.history["loss"]) == 2
    assert model.predict(None, steps=3).shape == (12, 1)
    with pytest.raises(ValueError, match="steps_per_epoch"):
        model.fit(epochs=1)


# -- data ----------------------------------------------------------------------------------------------------


def test_hdf5_data_are_read_in_batches(tmp_path):
    x, y = _data(10)
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"], file["y"] = x, y
        model, twin = _linear(), _linear()
        twin.set_weights(model.get_weights())
        with pytest.raises(TypeError, match='shuffle="batch"'):
            model.fit(file["x"], file["y"], verbose=0)
        model.fit(file["x"], file["y"], batch_size=3, shuffle=False, verbose=0, validation_split=0.2)
        twin.fit(x, y, batch_size=3, shuffle=False, verbose=0, validation_split=0.2)
        np.testing.assert_array_equal(model.get_weights()[0], twin.get_weights()[0])
        model.fit(file["x"], file["y"], batch_size=3, shuffle="batch", verbose=0)
        np.testing.assert_allclose(model.predict(file["x"], batch_size=3), model.predict(x), rtol=1e-6)


@pytest.mark.parametrize("layout", ["bsr", "coo", "csc", "csr", "dia", "dok", "lil"])
def test_sparse_data_of_any_layout_are_split_for_validation(layout):
    model, (x, y) = _linear(), _data(10)
    given = scipy.sparse.coo_matrix(x).asformat(layout)
    history = model.fit(given, y, validation_split=0.3, epochs=1, verbose=0).history
    assert history["val_loss"][0] == pytest.approx(np.mean((model.predict(x[7:]) - y[7:]) ** 2), rel=1e-5)


def test_sparse_inputs_are_made_dense():
    x = np.where(np.random.default_rng(0).random((10, 3)) < 0.4, 1.5, 0).astype("float32")
    _, y = _data(10)
    model, twin = _linear(), _linear()
    twin.set_weights(model.get_weights())
    model.fit(scipy.sparse.csr_matrix(x), y, batch_size=4, shuffle=False, verbose=0)
    twin.fit(x, y, batch_size=4, shuffle=False, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], twin.get_weights()[0])
    np.testing.assert_array_equal(model.predict(scipy.sparse.coo_matrix(x)), twin.predict(x))


@pytest.mark.parametrize("order", ["F", "strided"])
def test_arrays_of_any_layout(order):
    x, y = _data(10)
    laid_out = np.asfortranarray(x) if order == "F" else np.repeat(x, 2, axis=0)[::2]
    model, twin = _linear(), _linear()
    twin.set_weights(model.get_weights())
    for one, data in ((model, laid_out), (twin, x)):
        np.random.seed(0)
        one.fit(data, y, batch_size=4, epochs=2, verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], twin.get_weights()[0], rtol=1e-6)


def test_a_users_loss_may_take_targets_of_another_shape():
    model = Sequential([Dense(3, input_shape=(3,))])
    model.compile("sgd", lambda y_true, y_pred: K.sum(y_pred, axis=-1) * y_true[:, 0])
    x, _ = _data(4)
    y = np.arange(4.0)
    assert model.test_on_batch(x, y) == pytest.approx((model.predict(x).sum(1) * y).mean(), rel=1e-5)


def test_single_numbers_per_sample():
    x = Input((2, 3))
    model = Model(x, Lambda(lambda t: K.sum(t, axis=-1))(Flatten()(x)))
    model.compile("sgd", "mse")
    data = np.ones((4, 2, 3))
    assert model.evaluate(data, np.full(4, 6.0), verbose=0) == pytest.approx(0.0)


# -- what fit prints -----------------------------------------------------------------------------------------


def test_fit_prints_as_keras_does(capsys):
    model = _linear(metrics=["mae"])
    x, y = _data(10)
    model.fit(x, y, verbose=2, epochs=3, initial_epoch=1, validation_split=0.2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Train on 8 samples, validate on 2 samples"
    assert lines[1::2] == ["Epoch 2/3", "Epoch 3/3"]
    for line in lines[2::2]:
        parts = [part.split(":")[0] for part in line.split(" - ")]
        assert parts == ["", "0s", "loss", "mean_absolute_error", "val_loss", "val_mean_absolute_error"]
    model.fit(x, y, verbose=0)
    assert capsys.readouterr().out == ""
    model.fit(x, y, verbose=1)
    assert "10/10 [==============================]" in capsys.readouterr().out


def test_missing_targets_are_named() -> None:
    model = Sequential([Dense(2, input_shape=(3,), name="scores")])
    model.compile("sgd", "mse")
    x = np.ones((4, 3))
    before = model.get_weights()
    for call in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(ValueError, match="expected target data for scores, got y=None"):
            call(x, None)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


# -- what comes back -----------------------------------------------------------------------------------------


def test_results_are_numbers_of_numpy():
    """The types of Keras 2.2.4: single batches in the model's dtype, averages in float64."""
    model = _linear(metrics=["mae"])
    x, y = _data(10)
    logs = {}
    keep = LambdaCallback(
        on_batch_end=lambda _, given: logs.update(batch=dict(given)),
        on_epoch_end=lambda _, given: logs.update(epoch=dict(given)),
    )
    for made in (model.train_on_batch(x, y), model.test_on_batch(x, y)):
        assert [type(v) for v in made] == [np.float32, np.float32]
    for fitted in (
        model.fit(x, y, 4, 2, 0, [keep], validation_data=(x, y)),
        model.fit_generator(iter([(x, y)] * 4), 2, 2, verbose=0, callbacks=[keep], validation_data=(x, y)),
    ):
        assert {type(v) for values in fitted.history.values() for v in values} == {np.float64}
        assert {type(v) for v in logs["epoch"].values()} == {np.float64}
        assert type(logs["batch"]["loss"]) is type(logs["batch"]["mean_absolute_error"]) is np.float32
    for found in (model.evaluate(x, y, 4, 0), model.evaluate_generator(iter([(x, y)] * 2), 2)):
        assert [type(v) for v in found] == [np.float64, np.float64]
    single = _linear().evaluate(x, y, verbose=0)
    assert type(single) is np.float64
    assert single.shape == ()


def test_averages_keep_their_digits():
    """4,000 batches, each with the loss 0.01 in float32, whose sum in float32 is off by 1e-5."""
    model = Sequential([Lambda(lambda v: v, input_shape=(1,))])
    model.compile("sgd", lambda true, found: K.mean(found - true, axis=-1))
    x = np.full((4000, 1), 0.01, "f4")
    expected = float(np.float32(0.01))
    assert model.evaluate(x, x * 0, 1, 0) == pytest.approx(expected, rel=1e-9)
    logger = BaseLogger()
    logger.set_params({"metrics": ["loss"]})
    logger.on_epoch_begin(0)
    for _ in range(4000):
        logger.on_batch_end(0, {"size": 1, "loss": np.float32(0.01)})
    logs = {}
    logger.on_epoch_end(0, logs)
    assert logs["loss"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "weights", [np.ones(8), np.ones((2, 8)), np.ones(0), (np.ones(8), np.ones(8)), "ab", {1, 2}, 3, 3.0]
)
def test_weights_of_several_outputs_are_a_list_or_a_dict(weights):
    model = _two_headed()
    x, y = [np.ones((8, 3)), np.ones((8, 2))], [np.ones((8, 1)), np.ones((8, 2))]
    for use in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(TypeError, match="sample_weight"):
            use(x, y, sample_weight=weights)
    with pytest.raises(TypeError, match="class_weight"):
        model.fit(x, y, class_weight=weights)
