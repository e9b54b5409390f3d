"""Data in HDF5 files give what the same data in memory give, and are never read whole."""

import subprocess
import sys

import h5py
import numpy as np
import pytest

from symgraph.layers import Dense, Input, concatenate
from symgraph.models import Model, Sequential
from symgraph.utils import HDF5Matrix

RANDOM = np.random.default_rng(6)
X = RANDOM.normal(size=(40, 6)).astype("float32")
Y = RANDOM.normal(size=(40, 2)).astype("float32")
WEIGHTS = RANDOM.uniform(0.5, 2, 40)
LABELS = RANDOM.integers(0, 3, 40)


@pytest.fixture(params=["dataset", "matrix"])
def stored(request, tmp_path):
    """Gives the arrays of a file, as h5py's datasets or as `HDF5Matrix`."""
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"], file["y"], file["weights"], file["labels"] = X, Y, WEIGHTS, LABELS
        file["one_hot"] = np.eye(3)[LABELS]
    if request.param == "matrix":
        yield lambda name: HDF5Matrix(tmp_path / "data.h5", name)
    else:
        with h5py.File(tmp_path / "data.h5", "r") as file:
            yield lambda name: file[name]


def pair(units=2, loss="mse", activation=None):
    """Two models with the same weights."""
    models = [Sequential([Dense(units, activation=activation, input_shape=(6,))]) for _ in range(2)]
    for model in models:
        model.compile("sgd", loss)
        model.set_weights(models[0].get_weights())
    return models


def same(model, twin):
    for ours, theirs in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "options",
    [
        {"shuffle": False},
        {"shuffle": "batch"},
        {"shuffle": False, "validation_split": 0.3},
        {"shuffle": "batch", "validation_split": 0.5},
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_fit(stored, options, weighted):
    model, twin = pair()
    ours, theirs = ({"sample_weight": w} if weighted else {} for w in (stored("weights"), WEIGHTS))
    options = {"batch_size": 7, "epochs": 2, "verbose": 0, **options}
    np.random.seed(1)
    history = model.fit(stored("x"), stored("y"), **ours, **options)
    np.random.seed(1)
    expected = twin.fit(X, Y, **theirs, **options)
    same(model, twin)
    assert history.history == expected.history


def test_rows_in_any_order_are_refused_before_training(stored):
    model, twin = pair()
    with pytest.raises(TypeError, match='pass shuffle="batch"'):
        model.fit(stored("x"), Y, verbose=0)
    same(model, twin)


def test_validation_data_evaluate_and_predict(stored):
    model, twin = pair()
    x, y = stored("x"), stored("y")
    history = model.fit(X, Y, shuffle=False, verbose=0, validation_data=(x, y, stored("weights")))
    expected = twin.fit(X, Y, shuffle=False, verbose=0, validation_data=(X, Y, WEIGHTS))
    assert history.history == expected.history
    assert model.evaluate(x, y, batch_size=9, verbose=0) == twin.evaluate(X, Y, batch_size=9, verbose=0)
    np.testing.assert_array_equal(model.predict(x, batch_size=9), twin.predict(X, batch_size=9))


def test_single_batches(stored):
    model, twin = pair()
    assert model.train_on_batch(stored("x"), stored("y")) == twin.train_on_batch(X, Y)
    same(model, twin)
    assert model.test_on_batch(stored("x"), stored("y")) == twin.test_on_batch(X, Y)
    np.testing.assert_array_equal(model.predict_on_batch(stored("x")), twin.predict_on_batch(X))


@pytest.mark.parametrize(
    ("loss", "target"),
    [("sparse_categorical_crossentropy", "labels"), ("categorical_crossentropy", "one_hot")],
)
def test_classes_and_their_weights(stored, loss, target):
    model, twin = pair(3, loss, "softmax")
    values = LABELS if target == "labels" else np.eye(3)[LABELS]
    options = {"shuffle": False, "verbose": 0, "class_weight": {0: 1.0, 1: 0.2, 2: 3.0}}
    history = model.fit(stored("x"), stored(target), **options)
    assert history.history == twin.fit(X, values, **options).history
    same(model, twin)
    with pytest.raises(ValueError, match=r"The classes \{2\} exist in the data"):
        model.fit(stored("x"), stored(target), **{**options, "class_weight": {0: 1.0, 1: 0.2}})


def test_several_inputs_and_outputs(stored):
    a, b = Input((6,), name="a"), Input((2,), name="b")
    models = []
    for _ in range(2):
        joined = concatenate([a, b])
        models.append(Model([a, b], [Dense(2, name="p")(joined), Dense(2, name="q")(joined)]))
        models[-1].compile("sgd", "mse")
        models[-1].set_weights(models[0].get_weights())
        # The next model's layers have the same names.
    model, twin = models
    x, y = stored("x"), stored("y")
    model.fit({"a": x, "b": y}, {"p": y, "q": Y}, shuffle="batch", batch_size=40, verbose=0)
    twin.fit([X, Y], [Y, Y], shuffle=False, batch_size=40, verbose=0)
    same(model, twin)


def test_a_normalizer_and_a_model_that_learns_its_shape_from_it(tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file.create_dataset("x", data=np.arange(48, dtype=np.uint8).reshape(12, 4), compression="gzip")
    x = HDF5Matrix(tmp_path / "data.h5", "x", 2, 10, lambda rows: rows[:, 1:] / 255)
    model = Sequential([Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, np.zeros(8), shuffle="batch", verbose=0)
    assert model.input_shape == (None, 3)
    expected = np.arange(48).reshape(12, 4)[2:10, 1:] / 255
    np.testing.assert_allclose(model.predict(x), model.predict(expected), rtol=1e-6)


_LARGE = """
import resource, sys
import h5py, numpy as np
from symgraph.layers import Dense
from symgraph.models import Sequential
from symgraph.utils import HDF5Matrix
rows, columns = 80_000, 1000
with h5py.File(sys.argv[1], "w") as file:
    packed = dict(chunks=(500, columns), compression="gzip", compression_opts=1)
    x = file.create_dataset("x", (rows, columns), "f4", **packed)
    block = np.ones((500, columns), "f4")
    for start in range(0, rows, 500):
        x[start : start + 500] = block
    labels = file.create_dataset("y", (rows, 3), "f4", chunks=(5000, 3))
    labels[...] = np.eye(3, dtype="f4")[np.arange(rows) % 3]
model = Sequential([Dense(3, activation="softmax", input_shape=(columns,))])
model.compile("sgd", "categorical_crossentropy")
x = HDF5Matrix(sys.argv[1], "x", normalizer=lambda rows: rows / 2)
y = HDF5Matrix(sys.argv[1], "y")
model.train_on_batch(x[:1000], y[:1000])
model.predict_on_batch(x[:1000])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
options = dict(batch_size=1000, verbose=0)
model.fit(x, y, shuffle="batch", validation_split=0.1, class_weight={0: 1, 1: 2, 2: 3}, **options)
model.evaluate(x, y, **options)
assert model.predict(x, **options).shape == (rows, 3)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


def test_a_file_that_does_not_fit_is_read_in_batches(tmp_path):
    """320 MB of inputs take less than a fifth of that."""
    ran = subprocess.run(
        [sys.executable, "-c", _LARGE, str(tmp_path / "large.h5")], capture_output=True, text=True, check=True
    )
    assert int(ran.stdout) < 64
