"""Boston housing from small files in the true format."""

import numpy as np
import pytest

from symgraph.datasets import boston_housing

X = np.arange(40.0).reshape(10, 4)


def written(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


@pytest.mark.parametrize(("test_split", "training"), [(0.2, 8), (0.0, 10), (0.75, 2)])
def test_rows_are_shuffled_and_split(tmp_path, test_split, training):
    path = written(tmp_path / "mine.npz", x=X, y=X[:, 0] * 2)
    state = np.random.get_state()[1].tolist()
    (x_train, y_train), (x_test, y_test) = boston_housing.load_data(path, test_split=test_split)
    assert np.random.get_state()[1].tolist() == state
    order = np.arange(10)
    np.random.RandomState(113).shuffle(order)
    np.testing.assert_array_equal(np.concatenate([x_train, x_test]), X[order])
    np.testing.assert_array_equal(np.concatenate([y_train, y_test]), X[order, 0] * 2)
    assert len(x_train) == len(y_train) == training
    other = boston_housing.load_data(path, test_split=test_split, seed=1)
    assert not np.array_equal(other[0][0], x_train)


def test_files_and_arguments_that_cannot_be(tmp_path):
    for arrays in ({"x": X, "y": X}, {"x": X[0], "y": X[0]}, {"x": X.astype(str), "y": X[:, 0]}):
        with pytest.raises(ValueError, match="expected numbers in x"):
            boston_housing.load_data(written(tmp_path / "bad.npz", **arrays))
    with pytest.raises(ValueError, match="pickled objects"):
        boston_housing.load_data(written(tmp_path / "bad.npz", x=np.array([[1], [1, 2]], object), y=X[:2, 0]))
    for split in (1.0, -0.1):
        with pytest.raises(ValueError, match="`test_split` should be in"):
            boston_housing.load_data("x.npz", test_split=split)
