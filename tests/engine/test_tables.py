"""Data as users have them: tables, arrays of objects, other libraries' tensors, loaders."""

import numpy as np
import pytest

from symgraph.engine.data.tables import is_dataset, numbers
from symgraph.layers import Dense, Input
from symgraph.models import Model, Sequential

ROWS = [[1, 0.5, True], [2, 1.5, False], [3, 2.5, True]]
X = np.array(ROWS, "f8")
Y = np.array([1.0, 0.0, 1.0])
W = np.array([1.0, 2.0, 3.0])


def _model():
    model = Sequential([Dense(1, input_shape=(3,), kernel_initializer="ones")])
    model.compile("sgd", "mse")
    return model


def _losses(x, y, weights):
    """What every way into the model makes of the data."""
    model = _model()
    fitted = model.fit(x, y, sample_weight=weights, validation_data=(x, y, weights), verbose=0, shuffle=False)
    return [
        *fitted.history["loss"],
        *fitted.history["val_loss"],
        model.evaluate(x, y, sample_weight=weights, verbose=0),
        model.train_on_batch(x, y, weights),
        model.test_on_batch(x, y, weights),
        model.evaluate_generator(iter([(x, y, weights)]), 1),
        *model.predict(x).ravel(),
        *model.predict_on_batch(x).ravel(),
    ]


def _objects(array):
    found = np.empty(np.shape(array), object)
    found[...] = array
    return found


def test_objects_that_are_numbers():
    expected = _losses(X, Y, W)
    cells = np.array(ROWS, object)
    np.testing.assert_array_equal(_losses(cells, _objects(Y), _objects(W)), expected)
    rows = np.empty(3, object)
    rows[:] = [np.array(row, "f4") for row in ROWS]
    np.testing.assert_array_equal(_losses(rows, [True, False, True], [1, 2.0, np.float32(3)]), expected)


@pytest.mark.parametrize("wrong", ["two", None, 1j, [1, 2]])
@pytest.mark.parametrize("place", ["x", "y", "weights"])
def test_objects_that_are_none_are_refused(place, wrong):
    data = {"x": np.array(ROWS, object), "y": _objects(Y), "weights": _objects(W)}
    data[place][(1, 0)[: data[place].ndim]] = wrong
    name = {"x": "dense_.*_input", "y": "dense_", "weights": "sample_weight"}[place]
    model = _model()
    with pytest.raises((TypeError, ValueError), match=rf"Data should be .* for {name}"):
        model.fit(data["x"], data["y"], sample_weight=data["weights"], verbose=0)


def test_tables_of_pandas():
    pandas = pytest.importorskip("pandas", reason="needs pandas: pip install pandas")
    frame = pandas.DataFrame({"a": [1, 2, 3], "b": [0.5, 1.5, 2.5], "c": [True, False, True]})
    expected = _losses(X, Y, W)
    kinds = {"a": "Int64", "b": "Float64", "c": "boolean"}
    for table in (frame, frame.astype(object), frame.astype(kinds), frame.astype({"a": "uint8"})):
        np.testing.assert_array_equal(_losses(table, table["c"], table["a"]), expected)
    assert numbers(frame, "").dtype == np.float64
    assert numbers(frame[["a", "c"]], "").dtype == np.int64
    np.testing.assert_array_equal(numbers(pandas.Series([1, None], dtype="Int64"), ""), [1, np.nan])
    for wrong in (["x", "y", "z"], pandas.Categorical([1, 2, 1]), pandas.to_datetime(["2020-01-01"] * 3)):
        for table, what in ((frame.assign(b=wrong), r"\(column 'b'\) "), (pandas.Series(wrong), "")):
            with pytest.raises(TypeError, match=rf"Data should be an array of numbers {what}for dense"):
                _model().predict(table)
    deferred = Sequential([Dense(1)])
    assert deferred.predict(frame).shape == (3, 1)
    a, b = Input((1,), name="left"), Input((2,), name="right")
    two = Model([a, b], Dense(1)(b))
    assert two.predict({"left": frame["a"], "right": frame[["b", "c"]]}).shape == (3, 1)


class Tensor:
    """What numpy can read of another library's tensor."""

    def __init__(self, array):
        self._array, self.shape, self.dtype = np.asarray(array), np.shape(array), object()

    def __array__(self, dtype=None, copy=None):
        return self._array

    def __len__(self):
        return len(self._array)

    def __getitem__(self, key):
        return Tensor(self._array[key])


def test_tensors_of_others():
    assert not is_dataset(Tensor(X))
    np.testing.assert_array_equal(_losses(Tensor(X), Tensor(Y), Tensor(W)), _losses(X, Y, W))
    assert Sequential([Dense(2)]).predict(Tensor(X)).shape == (3, 2)


class Loader:
    """Passes of batches, as PyTorch's DataLoader makes them: no places, lists of tensors."""

    def __init__(self, batches, said=None):
        self.batches, self.said, self.passes = batches, said, 0

    def __len__(self):
        return len(self.batches) if self.said is None else self.said

    def __iter__(self):
        self.passes += 1
        return iter([[Tensor(part) for part in batch] for batch in self.batches])


def test_loaders_feed_pass_by_pass():
    batches = [(X[:2], Y[:2]), (X[2:], Y[2:])]
    loader, model, same = Loader(batches), _model(), _model()
    history = model.fit(loader, epochs=3, verbose=0, validation_data=Loader(batches)).history
    expected = same.fit(
        X, Y, batch_size=2, epochs=3, shuffle=False, verbose=0, validation_data=(X, Y)
    ).history
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-6)
    assert loader.passes == 3
    np.testing.assert_allclose(model.evaluate(loader, verbose=0), same.evaluate(X, Y, verbose=0), rtol=1e-6)
    np.testing.assert_allclose(model.predict(loader), same.predict(X), rtol=1e-6)
    np.testing.assert_allclose(model.predict(Loader([(X,)])), same.predict(X), rtol=1e-6)
    assert len(model.fit(Loader(batches), steps_per_epoch=1, epochs=2, verbose=0).epoch) == 2
    with pytest.raises(ValueError, match="`batch_size` cannot be given"):
        model.fit(loader, batch_size=2)


def test_loaders_with_less_than_they_say():
    with pytest.warns(UserWarning, match="ran out of data"):
        history = _model().fit(Loader([(X, Y)], said=2), epochs=3, verbose=0)
    assert len(history.epoch) == 1
    with pytest.raises(ValueError, match="at least 1"):
        _model().fit(Loader([]), verbose=0)
    for wrong in ({1, 2}, {1: 2}.keys()):
        with pytest.raises((TypeError, ValueError)):
            _model().fit(wrong, Y, verbose=0)
