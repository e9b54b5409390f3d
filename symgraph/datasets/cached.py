"""What several data sets need: where their file lies, and how it is split."""

from __future__ import annotations

import os
from numbers import Real

from symgraph.utils.data_utils import get_file


def dataset_path(path: str, origin: str, file_hash: str) -> str:
    """An existing file given with its folder as it is; else the file of that name in the cache of `get_file`.

    Parameters
    ----------
    path : str
        A bare name ('mnist.npz'), or a file ('./mnist.npz', '~/data/mnist.npz'), whose hash is not checked.
    origin, file_hash : str
        As `get_file` takes them.

    Raises
    ------
    OSError, ValueError
        If the file cannot be downloaded, or not as it should be.
    """
    named = os.path.expanduser(path)
    if os.path.dirname(named) and os.path.isfile(named):
        return named
    return get_file(path, origin=origin, file_hash=file_hash)


def training_size(samples: int, test_split: float) -> int:
    """How many of the samples are for training. ValueError unless 0 <= `test_split` < 1."""
    if not isinstance(test_split, Real) or not 0 <= test_split < 1:
        raise ValueError(f"`test_split` should be in [0, 1), got {test_split!r}")
    return int(samples * (1 - test_split))
