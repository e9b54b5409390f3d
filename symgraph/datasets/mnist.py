"""MNIST: 70,000 handwritten digits of 28 x 28 pixels (LeCun, Cortes and Burges)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from symgraph.datasets.cached import dataset_path
from symgraph.utils.npz import read_npz

_ORIGIN = "https://s3.amazonaws.com/img-datasets/mnist.npz"
_MD5 = "8a61469f7ea1b51cbae51d4f78837e45"
_NAMES = ("x_train", "y_train", "x_test", "y_test")
_LARGEST = 256 << 20  # MNIST has 55 MB; pictures in float32 would have 220 MB
_SIDE = 28

Split = tuple[NDArray, NDArray]


def load_data(path: str = "mnist.npz") -> tuple[Split, Split]:
    """Load MNIST, from the cache where it is there.

    Parameters
    ----------
    path : str
        Name of the file in the cache of `get_file`, which downloads it if need be. An existing file given
        with its folder ('./mnist.npz', '/data/mnist.npz') is read as it is, whatever its hash.

    Returns
    -------
    ((x_train, y_train), (x_test, y_test))
        Pictures, uint8 of shape (60000, 28, 28) and (10000, 28, 28), 0 (paper) to 255 (ink); labels 0 to 9,
        uint8 of shape (60000,) and (10000,).

    Raises
    ------
    OSError
        If the file cannot be downloaded or opened.
    ValueError
        If the file is damaged, lacks an array or has arrays of other shapes.
    """
    named = dataset_path(path, _ORIGIN, _MD5)
    arrays = read_npz(named, _NAMES, max_bytes=_LARGEST)
    train = _checked(arrays["x_train"], arrays["y_train"], "train", named)
    test = _checked(arrays["x_test"], arrays["y_test"], "test", named)
    return train, test


def _checked(x: NDArray, y: NDArray, part: str, path: str) -> Split:
    if x.ndim != 3 or x.shape[1:] != (_SIDE, _SIDE) or y.shape != x.shape[:1]:
        raise ValueError(
            f"{path} is no MNIST file: expected x_{part} (n, {_SIDE}, {_SIDE}) and y_{part} (n,), "
            f"got {x.shape} and {y.shape}"
        )
    if not (np.issubdtype(x.dtype, np.number) and np.issubdtype(y.dtype, np.integer)):
        raise ValueError(
            f"{path} is no MNIST file: expected numbers in x_{part} and integers in y_{part}, "
            f"got {x.dtype} and {y.dtype}"
        )
    return x, y
