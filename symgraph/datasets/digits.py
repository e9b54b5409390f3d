"""Digits: 1,797 handwritten digits of 8 x 8 pixels, bundled, so that examples run without a network.

From "Optical Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak (1998), UCI Machine Learning
Repository, https://doi.org/10.24432/C50P49, CC BY 4.0; see digits.md beside this file.
"""

from __future__ import annotations

from importlib.resources import as_file, files

import numpy as np
from numpy.typing import NDArray

from symgraph.utils.npz import read_npz

_TRAINING = 1437  # the first four fifths
_SIZE = 1 << 20
_SHUFFLE = 0  # seed of the shuffled order

Split = tuple[NDArray, NDArray]


def load_data(split: str = "writers") -> tuple[Split, Split]:
    """Load the bundled digits.

    Both splits are fixed: 1,437 pictures are for training, 360 for testing. Pixels are counts from 0 (paper)
    to 16 (ink): divide by 16, not by 255.

    Parameters
    ----------
    split : {'writers', 'shuffled'}
        `'writers'`: the first 1,437 of the file and the last 360, in the file's order. The file has one
        writer's digits after another's: the test is on hands that are (but for 22 pictures) new.
        `'shuffled'`: all 1,797 in an order that is random but always the same. Every hand is on both sides:
        an easier test.

    Returns
    -------
    ((x_train, y_train), (x_test, y_test))
        Pictures, uint8 of shape (1437, 8, 8) and (360, 8, 8), 0 to 16; labels 0 to 9, uint8 of shape (1437,)
        and (360,).

    Raises
    ------
    ValueError
        If `split` is none of these.
    """
    if split not in {"writers", "shuffled"}:
        raise ValueError(f"`split` should be 'writers' or 'shuffled', got {split!r}")
    with as_file(files("symgraph.datasets") / "digits.npz") as path:
        arrays = read_npz(path, ("images", "labels"), max_bytes=_SIZE)
    x, y = arrays["images"], arrays["labels"]
    if split == "shuffled":
        # numpy promises that this generator's numbers never change.
        order = np.random.RandomState(_SHUFFLE).permutation(len(x))
        x, y = x[order], y[order]
    return (x[:_TRAINING], y[:_TRAINING]), (x[_TRAINING:], y[_TRAINING:])
