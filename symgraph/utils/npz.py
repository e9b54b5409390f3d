"""The one reader of numpy's .npz files: nothing is executed, or allocated that the file cannot fill."""

from __future__ import annotations

import lzma
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Sequence
from typing import IO

import numpy as np
from numpy.typing import NDArray

from symgraph.utils.plain_pickle import read_plain


class _Refused(ValueError):
    """The message names the file."""


_AROUND_LISTS = 16  # tuples and the like that say what the array is


def read_npz(
    path: str | os.PathLike[str] | IO[bytes], names: Sequence[str], max_bytes: int, most_lists: int = 0
) -> dict[str, NDArray]:
    """Read the named arrays of an .npz file.

    Shapes and types are taken from the headers and compared with the sizes in the file before any array is
    made.

    Parameters
    ----------
    path : str, or open file
    names : sequence of str
        The arrays wanted; others in the file are not read.
    max_bytes : int
        How many bytes the named arrays may have together.
    most_lists : int
        How many lists an array may hold; by default arrays of objects are refused. Lists are read by
        `read_plain`, which executes nothing.

    Returns
    -------
    dict of str to ndarray

    Raises
    ------
    ValueError
        If the file is no .npz file or damaged, lacks an array, has objects in one, or is larger than
        `max_bytes`.
    OSError
        If the file cannot be opened.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            present = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
            missing = [name for name in names if name not in present]
            if missing:
                held = ", ".join(sorted(present)) or "none"
                raise _Refused(f"{path} has no array {', '.join(missing)}; its arrays: {held}")
            size = sum(present[name].file_size for name in names)
            if size > max_bytes:
                raise _Refused(
                    f"{path} is refused: its arrays have {size} bytes, at most {max_bytes} are expected"
                )
            return {name: _read_array(archive, present[name], path, most_lists) for name in names}
    except _Refused:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        struct.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        MemoryError,  # what is claimed, before it is taken
        TypeError,
        LookupError,
        OverflowError,
        ValueError,
    ) as error:
        raise ValueError(f"{path} is no .npz file, or a damaged one: {error}") from error


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: object, most_lists: int) -> NDArray:
    with archive.open(member) as stream:
        label = f"{path}, array {member.filename},"
        shape, dtype = _read_header(stream, label)
        if dtype.kind == "O" and most_lists:
            return _read_lists(stream.read(), shape, label, most_lists)
        expected = stream.tell() + math.prod(shape) * dtype.itemsize
    if dtype.hasobject:
        raise _Refused(f"{path} is refused: array {member.filename} holds pickled objects")
    if expected != member.file_size or any(length < 0 for length in shape):
        raise _Refused(
            f"{path} is damaged: array {member.filename} declares shape {shape}, which does not fit its size"
        )
    with archive.open(member) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _read_lists(pickled: bytes, shape: tuple[int, ...], label: str, most_lists: int) -> NDArray:
    array = read_plain(pickled, label, most_lists + _AROUND_LISTS)
    if not isinstance(array, np.ndarray) or array.dtype.kind != "O" or array.shape != shape:
        raise _Refused(f"{label} is damaged: it does not hold the objects that its header declares")
    return array


def _read_header(stream: IO[bytes], label: str) -> tuple[tuple[int, ...], np.dtype]:
    try:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        else:
            shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    except ValueError as error:
        raise _Refused(f"{label} is no array, or a damaged one: {error}") from error
    return shape, dtype
