"""Fashion-MNIST: 70,000 pictures of clothes, 28 x 28 pixels, of 10 kinds (Xiao, Rasul and Vollgraf 2017)."""

from __future__ import annotations

import os

from numpy.typing import NDArray

from symgraph.datasets.idx import read_idx
from symgraph.utils.data_utils import get_file

_BASE = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
# As published at github.com/zalandoresearch/fashion-mnist.
_MD5 = {
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
}
_SIDE = 28
_MOST_BYTES = 256 << 20

Split = tuple[NDArray, NDArray]


def load_data(path: str | None = None) -> tuple[Split, Split]:
    """Load Fashion-MNIST, from the cache where the four files are there.

    Parameters
    ----------
    path : str, optional
        A folder with the four files, which are read as they are, whatever their hashes.

    Returns
    -------
    ((x_train, y_train), (x_test, y_test))
        Pictures, uint8 of shape (60000, 28, 28) and (10000, 28, 28), 0 to 255; labels 0 to 9, uint8 of shape
        (60000,) and (10000,): T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, boot.

    Raises
    ------
    OSError
        If a file cannot be downloaded or opened.
    ValueError
        If a file is damaged, or has another shape.
    """
    return _split(path, "train"), _split(path, "t10k")


def _split(folder: str | None, part: str) -> Split:
    pictures, labels = (
        _path(folder, f"{part}-images-idx3-ubyte.gz"),
        _path(folder, f"{part}-labels-idx1-ubyte.gz"),
    )
    x, y = read_idx(pictures, 3, _MOST_BYTES), read_idx(labels, 1, _MOST_BYTES)
    if x.shape[1:] != (_SIDE, _SIDE) or y.shape != x.shape[:1]:
        raise ValueError(
            f"{pictures}: expected pictures (n, {_SIDE}, {_SIDE}) for the labels (n,) beside them, got shape "
            f"{x.shape} and {y.shape}"
        )
    return x, y


def _path(folder: str | None, name: str) -> str:
    if folder is not None:
        return os.path.join(os.path.expanduser(folder), name)
    subdir = os.path.join("datasets", "fashion-mnist")
    return get_file(name, origin=_BASE + name, file_hash=_MD5[name], cache_subdir=subdir)
