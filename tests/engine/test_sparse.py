"""Models with sparse inputs against twins that get the same data as dense arrays."""

import numpy as np
import pytest
import scipy.sparse

from symgraph import backend as K
from symgraph import models
from symgraph.engine.training_parts.loops import Batches
from symgraph.layers import Activation, Concatenate, Dense, Dropout, Input, InputLayer, Lambda
from symgraph.models import Model, Sequential, clone_model, load_model, model_from_json


def _data(samples=11, features=6):
    x = scipy.sparse.random(samples, features, 0.4, "csr", np.float32, random_state=0)
    return x, np.random.default_rng(1).standard_normal((samples, 2)).astype("float32")


def _model(sparse=True, features=6):
    x = Input((features,), sparse=sparse, name="x")
    model = Model(x, Dense(2)(Dense(5, activation="tanh")(x)))
    model.compile("adam", "mse", metrics=["mae"])
    return model


def _twins():
    model, twin = _model(), _model(sparse=False)
    twin.set_weights(model.get_weights())
    return model, twin


def _same_weights(model, twin):
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_sparse_placeholder_fit():
    # Sparse data for a dense and for a sparse input, and sparse targets.
    rng = np.random.default_rng(0)
    inputs = [scipy.sparse.random(6, 3, 0.25, "csr", random_state=i) for i in range(2)]
    targets = [scipy.sparse.random(6, i, 0.25, "csr", random_state=i) for i in range(3, 5)]
    first, second = Input(shape=(3,)), Input(shape=(3,), sparse=True)
    outputs = [Dropout(0.5, name="dropout")(first), Dense(4, name="dense")(second)]
    model = Model([first, second], outputs)
    kernel = rng.standard_normal((3, 4))
    model.set_weights([kernel, np.arange(4.0)])
    found = model.predict(inputs, batch_size=2)
    np.testing.assert_allclose(found[0], inputs[0].toarray(), rtol=1e-6)
    np.testing.assert_allclose(found[1], inputs[1] @ kernel + np.arange(4.0), rtol=1e-5, atol=1e-6)
    model.compile("rmsprop", "mse")
    truth = [np.mean((a - t.toarray()) ** 2) for a, t in zip(found, targets, strict=True)]
    losses = model.evaluate(inputs, targets, batch_size=2, verbose=0)
    np.testing.assert_allclose(losses, [sum(truth), *truth], rtol=1e-5)
    history = model.fit(inputs, targets, epochs=1, batch_size=2, validation_split=0.5, verbose=0).history
    assert all(np.isfinite(history[name][0]) for name in ("loss", "val_loss"))


@pytest.mark.parametrize("shuffle", [False, True, "batch"])
def test_training_as_with_dense_arrays(shuffle):
    (x, y), (model, twin) = _data(), _twins()
    logs = []
    for trained, data in ((model, x), (twin, x.toarray())):
        np.random.seed(5)
        options = {"batch_size": 4, "epochs": 3, "shuffle": shuffle, "verbose": 0}
        weights = np.arange(1.0, 12.0)
        history = trained.fit(data, y, validation_split=0.3, sample_weight=weights, **options)
        logs.append(history.history)
    assert logs[0].keys() == logs[1].keys()
    for name, values in logs[0].items():
        np.testing.assert_allclose(values, logs[1][name], rtol=1e-4)
    _same_weights(model, twin)


@pytest.mark.parametrize("layout", ["bsr", "coo", "csc", "csr", "dia", "dok", "lil"])
def test_batches_evaluation_and_prediction_as_with_dense_arrays(layout):
    (x, y), (model, twin) = _data(), _twins()
    given, dense = x.asformat(layout), x.toarray()
    for call in (
        lambda m, data: m.train_on_batch(data, y),
        lambda m, data: m.test_on_batch({"x": data}, y),
        lambda m, data: m.predict_on_batch(data),
        lambda m, data: m.evaluate(data, y, batch_size=4, verbose=0),
        lambda m, data: m.predict([data], batch_size=4),
        lambda m, data: m.fit(data, y, validation_data=(data, y), verbose=0, shuffle=False).history[
            "val_loss"
        ],
    ):
        np.testing.assert_allclose(call(model, given), call(twin, dense), rtol=1e-4, atol=1e-6)
    _same_weights(model, twin)


def test_dense_inputs_get_dense_batches_one_at_a_time():
    x = scipy.sparse.random(10, 4, 0.5, "coo", random_state=0)
    dense, sparse = Input((4,)), Input((4,), sparse=True)
    batches = Batches([x, x, x.toarray()], [dense, sparse])
    for parts, rows in ((batches.rows(2, 5), slice(2, 5)), (batches.take(np.array([7, 1])), [7, 1])):
        assert isinstance(parts[0], np.ndarray) and isinstance(parts[2], np.ndarray)
        assert scipy.sparse.issparse(parts[1])
        for part in (parts[0], parts[1].toarray(), parts[2]):
            np.testing.assert_array_equal(part, x.toarray()[rows])


def test_layers_that_join_hand_on_or_open_sparse_inputs():
    (x, _), (other, _) = _data(), _data(11, 3)
    a, b = Input((6,), sparse=True), Input((3,), sparse=True)
    joined = Activation("linear")(Concatenate()([a, b]))
    assert K.is_sparse(joined) and K.int_shape(joined) == (None, 9)
    outputs = [Dense(4, use_bias=False)(joined), joined, Lambda(K.to_dense)(a)]
    model = Model([a, b], outputs)
    found = model.predict([x, other], batch_size=4)
    truth = np.concatenate([x.toarray(), other.toarray()], 1)
    np.testing.assert_allclose(found[0], truth @ model.get_weights()[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found[1], truth)
    np.testing.assert_array_equal(found[2], x.toarray())
    inner = Model(a, Dense(2)(a))
    again = Input((6,), sparse=True)
    outer = Model(again, inner(again))
    np.testing.assert_array_equal(outer.predict(x), inner.predict(x))


def test_a_fixed_sparse_matrix_as_input():
    x, y = _data()
    fixed = Input(tensor=K.variable(x))
    assert K.is_sparse(fixed)
    model = Model(fixed, Dense(2)(fixed))
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(model.predict(None, steps=1), x @ kernel + bias, rtol=1e-5, atol=1e-6)
    model.compile("sgd", "mse")
    assert model.train_on_batch(None, y) == pytest.approx(np.mean((x @ kernel + bias - y) ** 2), rel=1e-5)


def test_saved_loaded_and_cloned(tmp_path):
    x, y = _data()
    model = _model()
    model.train_on_batch(x, y)
    expected = model.predict(x)
    path = str(tmp_path / "model.h5")
    model.save(path)
    loaded = load_model(path)
    cloned = clone_model(model)
    cloned.set_weights(model.get_weights())
    for copy in (loaded, cloned):
        assert K.is_sparse(copy.inputs[0]) and copy.get_config()["layers"][0]["config"]["sparse"] is True
        np.testing.assert_array_equal(copy.predict(x), expected)
    assert loaded.train_on_batch(x, y) == pytest.approx(model.train_on_batch(x, y), rel=1e-6)
    assert not K.is_sparse(models.Model.from_config(_model(sparse=False).get_config()).inputs[0])


@pytest.mark.parametrize("sparse", [False, True])
def test_a_sequential_keeps_the_input_that_was_added(sparse, tmp_path):
    x, _ = _data()
    x = x if sparse else x.toarray()
    model = Sequential([InputLayer((6,), sparse=sparse), Dense(2)])
    path = str(tmp_path / "model.h5")
    model.save(path)
    copies = [clone_model(model), model_from_json(model.to_json())]
    for copy in copies:
        copy.set_weights(model.get_weights())
    for copy in (load_model(path, compile=False), *copies):
        assert K.is_sparse(copy.inputs[0]) == sparse and len(copy.layers) == 1
        np.testing.assert_array_equal(copy.predict(x), model.predict(x))


def test_summary(capsys):
    _model().summary()
    assert "x (InputLayer)               (None, 6)                 0" in capsys.readouterr().out


def test_wrong_data_are_refused_by_name():
    (x, y), model = _data(), _model()
    before = model.get_weights()
    calls = [
        lambda data: model.fit(data, y, verbose=0),
        lambda data: model.train_on_batch(data, y),
        model.predict,
    ]
    for call in calls:
        with pytest.raises(
            TypeError, match=r"expected x to be a sparse matrix of scipy, but got a dense array"
        ):
            call(x.toarray())
        with pytest.raises(
            ValueError, match=r"expected x to have shape \(6,\) but got array with shape \(5,\)"
        ):
            call(x[:, :5])
        broken = x.copy()
        broken.indices[3] = 6
        with pytest.raises(ValueError, match=r"input 'x': the sparse matrix of shape \(11, 6\) is broken"):
            call(broken)
    with pytest.raises(ValueError, match="same number of samples"):
        model.fit(x, y[:5], verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_layers_that_need_dense_inputs_say_so():
    x = Input((3,), sparse=True, name="x")
    with pytest.raises(
        TypeError, match=r"in layer mine: .* expected dense tensors, got .*'x'.* use K.to_dense"
    ):
        Dropout(0.5, name="mine")(x)
    with pytest.raises(ValueError, match="a sparse tensor is a matrix: expected 2 dimensions"):
        Input((3, 4), sparse=True)
