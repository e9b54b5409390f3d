"""The bundled digits, against scikit-learn's copy and the class sizes that UCI publishes."""

import numpy as np
import pytest

from symgraph.datasets import digits


def test_shapes_and_values():
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    assert (x_train.shape, y_train.shape) == ((1437, 8, 8), (1437,))
    assert (x_test.shape, y_test.shape) == ((360, 8, 8), (360,))
    assert {a.dtype for a in (x_train, y_train, x_test, y_test)} == {np.dtype(np.uint8)}
    assert (x_train.min(), x_train.max()) == (0, 16)
    # optdigits.names, "Class Distribution", testing set.
    sizes = np.bincount(np.concatenate([y_train, y_test]))
    assert sizes.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_unchanged():
    published = pytest.importorskip("sklearn.datasets").load_digits()
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    np.testing.assert_array_equal(np.concatenate([x_train, x_test]), published.images)
    np.testing.assert_array_equal(np.concatenate([y_train, y_test]), published.target)


def test_callers_cannot_change_each_others_arrays():
    digits.load_data()[0][0][:] = 99
    assert digits.load_data()[0][0].max() == 16
