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


def test_the_file_has_one_writer_after_another():
    (_, y_train), (_, y_test) = digits.load_data()
    labels = np.concatenate([y_train, y_test])
    # The form that the writers filled in, at the places that digits.md gives.
    starts = [i for i in range(len(labels) - 40) if np.mean(labels[i : i + 40] == labels[:40]) > 0.9]
    assert starts == [0, 130, 256, 386, 516, 646, 776, 905, 1029, 1157, 1287, 1415, 1667]


def test_a_shuffled_split_has_all_pictures_once_and_is_always_the_same():
    before = np.random.get_state()[1].copy()
    (x_train, y_train), (x_test, y_test) = digits.load_data("shuffled")
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    assert (x_train.shape, x_test.shape) == ((1437, 8, 8), (360, 8, 8))
    shuffled = np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test])
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    ordered = np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test])
    order = np.random.RandomState(0).permutation(1797)
    for one, other in zip(shuffled, ordered, strict=True):
        np.testing.assert_array_equal(one, other[order])


def test_another_split_is_refused():
    with pytest.raises(ValueError, match=r"`split` should be 'writers' or 'shuffled', got 'random'"):
        digits.load_data("random")
