"""`FileIterator`: what iterators over picture files share: reading with threads, labels, unreadable files."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator as PythonIterator
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgraph.distributed.shards import share
from symgraph.kernels.run.threads import get_num_threads, most_threads
from symgraph.preprocessing.image.iterator import Indices, Iterator
from symgraph.preprocessing.image.pictures import COLOR_MODES, load_img
from symgraph.utils.warn_user import warn_user

# Seconds to read a picture. Below, threads wait for the interpreter's lock longer than they help.
_WORTH_SHARING = 0.0003

Failures = dict[int, OSError | ValueError]


class FileIterator(Iterator):
    """Base class of iterators over picture files.

    A subclass sets the attributes below. Files are read by as many threads as kernels use
    (`symgraph.set_num_threads`); they end with the iterator.
    """

    directory: str
    filenames: list[str]
    """Relative to `directory`, in the order of the samples."""
    classes: NDArray[np.int32]
    """The number of the class of each sample."""
    class_mode: str | None
    class_indices: dict[Any, int]
    """The number of each class."""
    num_classes: int
    samples: int
    """How many samples there are."""
    dtype: str

    on_error: str = "raise"
    skipped: set[str]
    """Names of files that could not be read and were left out."""
    _readers: ThreadPoolExecutor | None = None

    def _set_on_error(self, on_error: str) -> None:
        if on_error not in ("raise", "skip"):
            raise ValueError(f'on_error must be "raise" or "skip", got {on_error!r}')
        self.on_error = on_error
        self.skipped = set()

    def _number_classes(self, names: Sequence[Any]) -> None:
        self.num_classes = len(names)
        self.class_indices = {name: number for number, name in enumerate(names)}
        if len(self.class_indices) < self.num_classes:
            raise ValueError(f"classes has an entry twice: {names}")
        if self.class_mode == "binary" and self.num_classes > 2:
            raise ValueError(f'class_mode "binary" is for two classes, found {self.num_classes}: {names}')

    def _refuse_empty(self) -> None:
        if self.n == 0:
            raise ValueError(self._why_empty())

    def _why_empty(self) -> str:
        return f"No pictures were found in {self.directory!r}"

    def _marks(self) -> PythonIterator[bytes]:
        """Names and targets."""
        yield "\n".join(self.filenames).encode(errors="surrogateescape")
        yield np.ascontiguousarray(self.classes).tobytes()

    def shard(self, index: int, rank: int, size: int) -> Any:
        """Of batch number `index` of the present epoch what process `rank` of `size` trains on.

        Only these files are opened, and each picture is what it is in the whole batch, for its random
        transformations depend on the seed, the epoch and the number of the sample.
        """
        indices, epoch = self._batch_of(index)
        with self._in_epoch(epoch):
            return self._finished(*self._pictures_of(indices, rank, size))

    def _get_batches_of_transformed_samples(self, index_array: Indices) -> Any:
        return self._finished(*self._pictures(np.asarray(index_array)))

    def _finished(self, indices: Indices, pictures: NDArray[np.uint8]) -> Any:
        """The batch of these samples, from their pictures."""
        x = self._transform(pictures, indices, self.dtype)
        if self.class_mode is None:
            return x
        return x, self._targets(indices, x)

    def _targets(self, indices: Indices, x: NDArray[Any]) -> NDArray[Any]:
        if self.class_mode == "input":
            return x.copy()
        labels = self.classes[indices]
        if self.class_mode == "sparse":
            return labels
        if self.class_mode == "binary":
            return labels.astype(self.dtype)
        return np.equal(labels[:, None], np.arange(self.num_classes)).astype(self.dtype)

    def _pictures(self, indices: Indices) -> tuple[Indices, NDArray[np.uint8]]:
        """The pictures of samples, in the layout of the iterator, and which samples they are."""
        pictures, failures = self._read(indices)
        if not failures:
            return indices, pictures
        if self.on_error == "raise":
            raise failures[min(failures)]
        self._tell(indices, failures)
        good = [place for place in range(len(indices)) if place not in failures]
        if good:
            return indices[good], pictures[good]
        return self._next_readable(indices)

    def _pictures_of(self, indices: Indices, rank: int, size: int) -> tuple[Indices, NDArray[np.uint8]]:
        """The share of one process in `_pictures` of a whole batch.

        A process that can read none of its own looks whether another one can: only if nobody can, the batch
        has the next readable sample, which is the first process's.
        """
        mine = indices[share(len(indices), rank, size)]
        pictures, failures = self._read(mine)
        if failures and self.on_error == "raise":
            raise failures[min(failures)]
        self._tell(mine, failures)
        good = [place for place in range(len(mine)) if place not in failures]
        if good or not failures or rank > 0 or self._one_readable(indices[len(mine) :]):
            return mine[good], pictures[good]
        return self._next_readable(indices)

    def _one_readable(self, indices: Indices) -> bool:
        return any(not self._read(one)[1] for one in indices[:, None])

    def _next_readable(self, indices: Indices) -> tuple[Indices, NDArray[np.uint8]]:
        """One sample for a batch that lost all of its own: the next readable one of the data set."""
        for step in range(1, self.n):
            one = np.array([(indices[-1] + step) % self.n])
            pictures, failures = self._read(one)
            if not failures:
                return one, pictures
            self._tell(one, failures)
        raise ValueError(f"None of the {self.n} pictures in {self.directory!r} can be read")

    def _tell(self, indices: Indices, failures: Failures) -> None:
        """Warn of files, once for each."""
        for place, error in sorted(failures.items()):
            name = self.filenames[indices[place]]
            with self.lock:
                known = name in self.skipped
                self.skipped.add(name)
            if not known:
                warn_user(f"Left out of the data: {error}")

    def _read(self, indices: Indices) -> tuple[NDArray[np.uint8], Failures]:
        """Read files with all threads: the pictures, and by place in `indices` what went wrong."""
        height, width = self.target_size
        pictures = np.empty((len(indices), height, width, COLOR_MODES[self.color_mode][1]), np.uint8)
        failures: Failures = {}
        places = itertools.count()

        def work_on(place: int) -> None:
            try:
                pictures[place] = self._read_one(int(indices[place]))
            except (OSError, ValueError) as error:
                failures[place] = error

        def work() -> None:
            while (place := next(places)) < len(indices):
                work_on(place)

        begin = time.perf_counter()
        if len(indices):
            work_on(next(places))
        slow = time.perf_counter() - begin > _WORTH_SHARING
        helpers = min(get_num_threads(), len(indices) - 1) - 1 if slow else 0
        others = [self._executor().submit(work) for _ in range(helpers)]
        try:
            work()
        finally:
            # One that has not begun would find nothing left to do.
            running = [other for other in others if not other.cancel()]
        for other in running:
            other.result()
        return pictures if self.data_format == "channels_last" else pictures.transpose(0, 3, 1, 2), failures

    def _read_one(self, index: int) -> NDArray[np.uint8]:
        """The picture of a sample: height, width, channels."""
        picture = load_img(
            os.path.join(self.directory, self.filenames[index]),
            color_mode=self.color_mode,
            target_size=self.target_size,
            interpolation=self.interpolation,
        )
        pixels: NDArray[np.uint8] = np.asarray(picture)
        return pixels if pixels.ndim == 3 else pixels[:, :, None]

    def _executor(self) -> ThreadPoolExecutor:
        """Helping threads. They know their executor weakly and end when it goes away with the iterator."""
        with self.lock:
            if self._readers is None:
                self._readers = ThreadPoolExecutor(max(1, most_threads() - 1), "symgraph-pictures")
            return self._readers

    def __getstate__(self) -> dict[str, Any]:
        """All but locks and threads."""
        return {k: v for k, v in super().__getstate__().items() if k != "_readers"}
