"""Digits: 1,797 handwritten digits of 8 x 8 pixels, bundled, so that examples run without a network.

From "Optical Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak (1998), UCI Machine Learning
Repository, https://doi.org/10.24432/C50P49, CC BY 4.0; see digits.md beside this file.
"""

from __future__ import annotations

from importlib.resources import as_file, files

from numpy.typing import NDArray

from symgraph.utils.npz import read_npz

_TRAINING = 1437  # the first four fifths
_SIZE = 1 << 20

Split = tuple[NDArray, NDArray]


def load_data() -> tuple[Split, Split]:
    """Load the bundled digits.

    The split is fixed: the first 1,437 of the file's 1,797 pictures are for training, the last 360 for
    testing. The order is the file's own, not shuffled. Pixels are counts from 0 (paper) to 16 (ink): divide
    by 16, not by 255.

    Returns
    -------
    ((x_train, y_train), (x_test, y_test))
        Pictures, uint8 of shape (1437, 8, 8) and (360, 8, 8), 0 to 16; labels 0 to 9, uint8 of shape (1437,)
        and (360,).
    """
    with as_file(files("symgraph.datasets") / "digits.npz") as path:
        arrays = read_npz(path, ("images", "labels"), max_bytes=_SIZE)
    x, y = arrays["images"], arrays["labels"]
    return (x[:_TRAINING], y[:_TRAINING]), (x[_TRAINING:], y[_TRAINING:])
