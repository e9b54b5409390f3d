"""Boston housing: 506 districts with 13 numbers each, and the median price of a house (in 1,000 dollars)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from symgraph.datasets.cached import dataset_path, training_size
from symgraph.utils.npz import read_npz

_ORIGIN = "https://s3.amazonaws.com/keras-datasets/boston_housing.npz"
_SHA256 = "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5"
_MOST_BYTES = 16 << 20

Split = tuple[NDArray, NDArray]


def load_data(
    path: str = "boston_housing.npz", test_split: float = 0.2, seed: int = 113
) -> tuple[Split, Split]:
    """Load the districts, from the cache where the file is there.

    Parameters
    ----------
    path : str
        As `mnist.load_data` takes it.
    test_split : float
        The share of the districts that are for testing, in [0, 1).
    seed : int
        Of the order; the numbers of `numpy.random` are left alone.

    Returns
    -------
    ((x_train, y_train), (x_test, y_test))
        float64 of shape (404, 13), (404,), (102, 13) and (102,).

    Raises
    ------
    OSError
        If the file cannot be downloaded or opened.
    ValueError
        If the file is damaged, or `test_split` is out of range.
    """
    training_size(0, test_split)
    named = dataset_path(path, _ORIGIN, _SHA256)
    arrays = read_npz(named, ("x", "y"), max_bytes=_MOST_BYTES)
    x, y = arrays["x"], arrays["y"]
    if x.ndim != 2 or y.shape != x.shape[:1] or x.dtype.kind not in "iuf" or y.dtype.kind not in "iuf":
        raise ValueError(
            f"{named}: expected numbers in x (n, features) and y (n,), got {x.dtype} of shape {x.shape} and "
            f"{y.dtype} of shape {y.shape}"
        )
    order = np.arange(len(x))
    np.random.RandomState(seed).shuffle(order)
    x, y = x[order], y[order]
    training = training_size(len(x), test_split)
    return (x[:training], y[:training]), (x[training:], y[training:])
