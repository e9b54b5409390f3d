"""CIFAR-100: 60,000 colour pictures of 32 x 32 pixels, of 100 kinds in 20 groups (Krizhevsky 2009)."""

from __future__ import annotations

import os

from numpy.typing import NDArray

from symgraph.datasets.cifar import folder_of, load_batches

_NAME = "cifar-100-python"
_ORIGIN = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
_MD5 = "eb9058c3a382ffc7106e4002c42a8d85"  # as published there
_CLASSES = {"fine": 100, "coarse": 20}

Split = tuple[NDArray, NDArray]


def load_data(label_mode: str = "fine", path: str | None = None) -> tuple[Split, Split]:
    """Load CIFAR-100, from the cache where it is there.

    Parameters
    ----------
    label_mode : {'fine', 'coarse'}
        Labels of the 100 kinds, or of the 20 groups.
    path : str, optional
        The folder 'cifar-100-python' of the unpacked archive, which is read as it is.

    Returns
    -------
    ((x_train, y_train), (x_test, y_test))
        Pictures, uint8 of shape (50000, 32, 32, 3) and (10000, 32, 32, 3), or (n, 3, 32, 32) where
        `K.image_data_format()` is 'channels_first'; labels, int64 of shape (50000, 1) and (10000, 1).

    Raises
    ------
    OSError
        If the archive cannot be downloaded or a file not opened.
    ValueError
        If `label_mode` is neither, or the archive or a file is damaged.
    """
    if label_mode not in _CLASSES:
        raise ValueError('`label_mode` must be one of `"fine"`, `"coarse"`.')
    folder = folder_of(path, _NAME, _ORIGIN, _MD5)
    train, test = (
        load_batches([os.path.join(folder, part)], f"{label_mode}_labels", _CLASSES[label_mode])
        for part in ("train", "test")
    )
    return train, test
