"""CIFAR-10: 60,000 colour pictures of 32 x 32 pixels, of 10 kinds (Krizhevsky 2009)."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from symgraph.datasets.cifar import folder_of, load_batches

_NAME = "cifar-10-batches-py"
_ORIGIN = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
_MD5 = "c58f30108f718f92721af3b95e74349a"  # as published there
_CLASSES = 10

Split = tuple[NDArray, NDArray]


def load_data(path: str | None = None) -> tuple[Split, Split]:
    """Load CIFAR-10, from the cache where it is there.

    Parameters
    ----------
    path : str, optional
        The folder 'cifar-10-batches-py' of the unpacked archive, which is read as it is.

    Returns
    -------
    ((x_train, y_train), (x_test, y_test))
        Pictures, uint8 of shape (50000, 32, 32, 3) and (10000, 32, 32, 3), or (n, 3, 32, 32) where
        `K.image_data_format()` is 'channels_first'; labels 0 to 9, uint8 of shape (50000, 1) and int64 of
        shape (10000, 1): airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck.

    Raises
    ------
    OSError
        If the archive cannot be downloaded or a file not opened.
    ValueError
        If the archive or a file is damaged.
    """
    folder = folder_of(path, _NAME, _ORIGIN, _MD5)
    batches = [os.path.join(folder, f"data_batch_{number}") for number in range(1, 6)]
    x_train, y_train = load_batches(batches, "labels", _CLASSES)
    test = load_batches([os.path.join(folder, "test_batch")], "labels", _CLASSES)
    return (x_train, y_train.astype(np.uint8)), test
