"""The one reader of idx files, the format of MNIST: a header with the sizes, then bytes; packed by gzip."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_UNSIGNED_BYTES = 8


def read_idx(path: str | os.PathLike[str], ndim: int, max_bytes: int) -> NDArray[np.uint8]:
    """The array of an idx file of unsigned bytes.

    Parameters
    ----------
    path : str
    ndim : int
        Axes that it should have.
    max_bytes : int
        How many bytes the array may have.

    Raises
    ------
    ValueError
        If the file is none of these, is damaged, or its sizes are not those of what it holds.
    OSError
        If it cannot be opened.
    """
    try:
        with gzip.open(path) as stream:
            header = stream.read(4 + 4 * ndim)
            if len(header) != 4 + 4 * ndim or header[:4] != bytes([0, 0, _UNSIGNED_BYTES, ndim]):
                raise ValueError(f"{path} is no idx file of unsigned bytes with {ndim} axes")
            shape = struct.unpack(f">{ndim}I", header[4:])
            size = math.prod(shape)
            if size > max_bytes:
                raise ValueError(f"{path} is refused: it declares shape {shape}, more than {max_bytes} bytes")
            values = stream.read(size)
            if len(values) != size or stream.read(1):
                raise ValueError(f"{path} is damaged: it declares shape {shape}, which does not fit its size")
    except (gzip.BadGzipFile, zlib.error, EOFError, struct.error) as error:
        raise ValueError(f"{path} is no gzip file, or a damaged one: {error}") from error
    return np.frombuffer(bytearray(values), np.uint8).reshape(shape)
