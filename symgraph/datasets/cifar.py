"""What `cifar10` and `cifar100` share: pickles of Python 2 with pictures of 32 x 32 pixels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgraph.globals import image_data_format
from symgraph.utils.data_utils import get_file
from symgraph.utils.plain_pickle import read_plain

_SIDE = 32
_PIXELS = 3 * _SIDE * _SIDE
_MOST_BYTES = 512 << 20
_MOST_CONTAINERS = 100  # a batch has a dict, an array and a few lists


def load_batch(
    fpath: str | os.PathLike[str], label_key: str = "labels"
) -> tuple[NDArray[np.uint8], list[int]]:
    """Read one file of pictures.

    The file is a pickle, of which plain data are read and nothing else; see `symgraph.utils.plain_pickle`.

    Parameters
    ----------
    fpath : str
    label_key : {'labels', 'fine_labels', 'coarse_labels'}
        Which labels to take; 'labels' for CIFAR-10.

    Returns
    -------
    (data, labels)
        uint8 of shape (n, 3, 32, 32), which cannot be written; list of n ints.

    Raises
    ------
    ValueError
        If the file is no such pickle, is damaged, or has other shapes.
    OSError
        If it cannot be opened.
    """
    if os.path.getsize(fpath) > _MOST_BYTES:
        raise ValueError(f"{fpath} is refused: it has more than {_MOST_BYTES} bytes")
    batch = read_plain(Path(fpath).read_bytes(), str(fpath), _MOST_CONTAINERS)
    data, labels = _entry(batch, "data", fpath), _entry(batch, label_key, fpath)
    is_data = isinstance(data, np.ndarray) and data.dtype == np.uint8 and data.shape[1:] == (_PIXELS,)
    if not is_data or not isinstance(labels, list) or len(labels) != len(data):
        raise ValueError(f"{fpath}: expected data, uint8 (n, {_PIXELS}), and {label_key}, a list of n labels")
    if not all(type(label) is int for label in labels):
        raise ValueError(f"{fpath}: expected whole numbers in {label_key}")
    return data.reshape(len(data), 3, _SIDE, _SIDE), labels


def _entry(batch: Any, key: str, path: str | os.PathLike[str]) -> Any:
    """The entry `key` of a dict whose keys Python 2 or 3 wrote."""
    found = batch.get(key.encode(), batch.get(key)) if isinstance(batch, dict) else None
    if found is None:
        raise ValueError(f"{path} has no {key}")
    return found


def load_batches(
    paths: Sequence[str], label_key: str, classes: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The pictures of several files, in the layout of `K.image_data_format()`, and their labels (n, 1).

    Raises
    ------
    ValueError, OSError
        As `load_batch`; and if a label is not in [0, classes).
    """
    pictures, labels = [], []
    for path in paths:
        data, numbers = load_batch(path, label_key)
        if not all(0 <= label < classes for label in numbers):
            raise ValueError(f"{path}: expected {label_key} in [0, {classes})")
        pictures.append(data.transpose(0, 2, 3, 1) if image_data_format() == "channels_last" else data)
        labels += numbers
    whole = np.empty((len(labels), *pictures[0].shape[1:]), np.uint8)
    np.concatenate(pictures, out=whole)
    return whole, np.array(labels, np.int64).reshape(-1, 1)


def folder_of(path: str | None, name: str, origin: str, file_hash: str) -> str:
    """The folder with the files: `path`, or what is unpacked from the archive in the cache."""
    if path is not None:
        return os.path.expanduser(path)
    return get_file(name, origin=origin, untar=True, file_hash=file_hash)
