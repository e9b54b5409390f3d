"""MNIST from files given by name: right ones, wrong ones, and the cache; nothing is downloaded here."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from symgraph.datasets import mnist

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data" / "mnist.npz"


def arrays(**changes):
    made = {
        "x_train": np.arange(5 * 784, dtype=np.uint32).astype(np.uint8).reshape(5, 28, 28),
        "y_train": np.arange(5, dtype=np.uint8),
        "x_test": np.ones((2, 28, 28), np.uint8),
        "y_test": np.zeros(2, np.uint8),
    }
    return {name: array for name, array in {**made, **changes}.items() if array is not None}


def test_a_file_given_with_its_folder_is_read_as_it_is(tmp_path, monkeypatch):
    expected = arrays()
    np.savez(tmp_path / "mine.npz", **expected)
    monkeypatch.chdir(tmp_path)
    for path in (str(tmp_path / "mine.npz"), "./mine.npz"):
        (x_train, y_train), (x_test, y_test) = mnist.load_data(path)
        read = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
        for name, array in expected.items():
            np.testing.assert_array_equal(read[name], array)
            assert read[name].dtype == array.dtype


def test_a_bare_name_is_looked_up_in_the_cache(tmp_path, monkeypatch):
    cached = tmp_path / "datasets" / "mnist.npz"
    cached.parent.mkdir()
    np.savez(cached, **arrays())
    monkeypatch.setenv("SYMGRAPH_HOME", str(tmp_path))
    monkeypatch.setattr(mnist, "_MD5", hashlib.md5(cached.read_bytes()).hexdigest())
    assert mnist.load_data()[0][0].shape == (5, 28, 28)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_test": None}, "no array y_test"),
        ({"x_train": np.zeros((5, 784), np.uint8)}, r"expected x_train \(n, 28, 28\)"),
        ({"y_train": np.zeros(4, np.uint8)}, r"got \(5, 28, 28\) and \(4,\)"),
        ({"y_test": np.zeros((2, 10), np.uint8)}, "y_test"),
        ({"y_test": np.array([0.5, 1.0])}, "integers in y_test"),
        ({"x_test": np.array([["a" * 28] * 28] * 2)}, "y_test|x_test"),
        ({"y_train": np.array([None] * 5)}, "pickled objects"),
    ],
)
def test_files_that_are_not_mnist(tmp_path, changes, message):
    np.savez(tmp_path / "bad.npz", **arrays(**changes))
    with pytest.raises(ValueError, match=message):
        mnist.load_data(str(tmp_path / "bad.npz"))


@pytest.mark.skipif(not SHARED.exists(), reason="needs the real MNIST in ../shared/data")
def test_the_real_one():
    (x_train, y_train), (x_test, y_test) = mnist.load_data(str(SHARED))
    assert (x_train.shape, y_train.shape) == ((60000, 28, 28), (60000,))
    assert (x_test.shape, y_test.shape) == ((10000, 28, 28), (10000,))
    # Class sizes of the training set as published by LeCun et al.
    assert np.bincount(y_train).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
