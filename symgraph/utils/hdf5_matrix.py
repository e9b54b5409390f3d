"""`HDF5Matrix`: rows of a dataset in an HDF5 file, read on demand."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from symgraph.utils.hdf5_reader import GuardedDataset, open_hdf5

__all__ = ["HDF5Matrix"]


class HDF5Matrix:
    """A dataset of an HDF5 file, or some of its rows, in the place of an array for `fit` and its kind.

    The file is opened for reading, and closed by `close`, at the end of a `with` block, or when the matrix is
    not used any more. The same rules hold as for models: no links, nothing that lies in other files, numbers
    only; see `symgraph.utils.hdf5_reader`. Several threads may read a matrix; one that is unpickled
    opens its file again.

    Parameters
    ----------
    datapath : str or path
    dataset : str
        The name of the dataset, with its groups: 'train/pictures'.
    start, end : int
        The first row, and the row after the last; `end` None is the end of the dataset.
    normalizer : callable, optional
        Takes rows as they are stored, and returns what is used in their place, as many.

    Raises
    ------
    OSError
        If there is no such file, or it is no HDF5 file.
    ValueError
        If there is no such dataset in it, it is refused, or it has no rows from `start` to `end`.

    Examples
    --------
    ::

        x = HDF5Matrix("data.h5", "x", end=10_000, normalizer=lambda rows: rows / 255)
        y = HDF5Matrix("data.h5", "y", end=10_000)
        model.fit(x, y, shuffle="batch")
    """

    def __init__(
        self,
        datapath: str | os.PathLike[str],
        dataset: str,
        start: int = 0,
        end: int | None = None,
        normalizer: Callable[[NDArray], NDArray] | None = None,
    ) -> None:
        if not isinstance(dataset, str):
            raise TypeError(f"dataset should be the name of a dataset, got {dataset!r:.80}")
        if normalizer is not None and not callable(normalizer):
            raise TypeError(f"normalizer should be a function, got {normalizer!r:.80}")
        self._arguments = (os.fspath(datapath), dataset, start, end, normalizer)
        self.normalizer = normalizer
        with contextlib.ExitStack() as opened:
            stored = opened.enter_context(open_hdf5(datapath)).dataset(dataset)
            packed = bool(stored.check_stored(unpacked_by_library=True))
            self.data = stored.data
            # Chunks are checked before they are first unpacked; these are the numbers of those that were,
            # along the first axis.
            self._unchecked = stored if packed else None
            self._checked: set[int] = set()
            if not self.data.shape:
                raise ValueError(f"{stored.label}: expected rows, got a single number")
            self.start = start
            self.end = self.data.shape[0] if end is None else end
            if not hasattr(self.start, "__index__") or not hasattr(self.end, "__index__"):
                raise ValueError(f"start and end should be whole numbers, got {start!r} and {end!r}")
            if not 0 <= self.start <= self.end <= self.data.shape[0]:
                raise ValueError(
                    f"{stored.label}: there are no rows from {self.start} to {self.end}, only "
                    f"{self.data.shape[0]} in all"
                )
            first = self._read(slice(0, 1))
            if not hasattr(first, "shape"):
                raise TypeError(f"normalizer should return an array, got {type(first).__name__}")
            self._base_shape: tuple[int, ...] = tuple(first.shape[1:])
            self._base_dtype: np.dtype = first.dtype
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Close the file. The matrix cannot be read any more."""
        self._opened.close()

    def __enter__(self) -> HDF5Matrix:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._arguments

    def __len__(self) -> int:
        return self.end - self.start

    def __getitem__(self, key: Any) -> Any:
        """Rows by a number, a slice with positive steps, or a list or an array of numbers in any order.

        Raises
        ------
        IndexError
            If a row is out of range, or the key is none of these. The end of a slice has to be in range too.
        """
        if isinstance(key, slice):
            return self._read(self._in_file(key))
        numbers = np.asarray(key)
        if numbers.dtype == bool and numbers.shape == (len(self),):
            numbers = np.flatnonzero(numbers)
        elif not numbers.size:
            numbers = numbers.astype(np.int64)
        if numbers.dtype.kind not in "iu" or numbers.ndim > 1:
            raise IndexError(
                f"rows of an HDF5Matrix are numbers, slices or lists of numbers, got {key!r:.80}"
            )
        numbers = np.where(numbers < 0, numbers + len(self), numbers)
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < len(self):
            raise IndexError(f"row {key!r:.80} of an HDF5Matrix of {len(self)} rows")
        if numbers.ndim == 0:
            return self._read(self.start + int(numbers))
        # HDF5 reads rows in rising order, each once.
        rows, places = np.unique(numbers, return_inverse=True)
        return self._read((self.start + rows).tolist(), places)

    def _in_file(self, key: slice) -> slice:
        first, last, step = key.indices(len(self))
        beyond = (key.stop is not None and key.stop > len(self)) or (
            key.start is not None and key.start > len(self)
        )
        if step < 1 or beyond:
            raise IndexError(f"{key} of an HDF5Matrix of {len(self)} rows")
        return slice(self.start + first, self.start + max(first, last), step)

    def _read(self, rows: Any, order: NDArray | None = None) -> Any:
        if not self.data:
            raise ValueError(f"{self._arguments[0]} is closed; no rows can be read")
        if self._unchecked is not None:
            self._check_chunks(self._unchecked, rows)
        found = self.data[rows]
        return self._normalized(found if order is None else found[order])

    def _check_chunks(self, stored: GuardedDataset, rows: Any) -> None:
        """Refuse chunks of these rows that would take more memory than they say."""
        if isinstance(rows, slice):
            rows = range(*rows.indices(len(stored.data)))
        for number in set(np.asarray(rows, np.int64).reshape(-1) // stored.data.chunks[0]) - self._checked:
            stored.check_chunks(int(number))
            self._checked.add(number)

    def _normalized(self, rows: Any) -> Any:
        return rows if self.normalizer is None else self.normalizer(rows)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray:
        # Without this, numpy would read row by row.
        return np.asarray(self[:], dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, after the normalizer."""
        return (len(self), *self._base_shape)

    @property
    def dtype(self) -> np.dtype:
        """The type, after the normalizer."""
        return self._base_dtype

    @property
    def ndim(self) -> int:
        """The number of axes, after the normalizer."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements, after the normalizer."""
        return math.prod(self.shape)
