"""`Iterator`: batches of samples in an order that a seed settles, by number or one after the other.

What a batch holds depends on the seed, the epoch and the number of the batch alone. So it does not matter who
makes it, when, or how many work at it: asking for a batch changes nothing. The epoch is part of the state;
`on_epoch_end` and, for those who draw batches with `next`, the end of the data begin the next one.
"""

from __future__ import annotations

import hashlib
import operator
import os
import threading
from collections.abc import Iterator as PythonIterator
from collections.abc import Sequence as PythonSequence
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from symgraph.distributed.world import World
from symgraph.globals import floatx, image_data_format
from symgraph.preprocessing.image.pictures import COLOR_MODES, check_interpolation, check_size, save_img
from symgraph.utils.sequence import Sequence
from symgraph.utils.warn_user import warn_old

Indices = NDArray[np.intp]

_SEEDS = 2**32

_PLACE = ("_base_seed", "epoch", "batch_index", "total_batches_seen", "_epoch_begun")

# Attributes by their names in Keras 1.
_OLD_NAMES = {"N": "n", "nb_sample": "samples", "nb_class": "num_classes", "X": "x"}


def sample_seeds(seed: int, epoch: int, indices: Indices) -> list[int]:
    """A seed in [0, 2**32) for each sample of an epoch.

    Splitmix64's mixing function, over the three numbers one after the other (Steele, Lea, Flood: Fast
    splittable pseudorandom number generators, OOPSLA 2014). `numpy.random.SeedSequence` would take 10 µs a
    sample, this takes as much for a batch.
    """
    mixed = _mix(np.array([seed % 2**64], np.uint64))
    mixed = _mix(mixed + np.uint64(epoch))
    mixed = _mix(mixed + indices.astype(np.uint64))
    return [int(value) for value in mixed >> np.uint64(32)]


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


class _Local(threading.local):
    """The epoch of the batch that this thread makes; None outside of it."""

    epoch: int | None = None


class Iterator(Sequence):
    """Base class of iterators over pictures.

    A subclass defines `_get_batches_of_transformed_samples`. With `next` and in loops an iterator goes on
    for ever, as Keras' do; ``iterator[i]`` is batch `i` of the present epoch, may be asked for by many
    threads at once, and changes nothing.

    Parameters
    ----------
    n : int
        Samples in the data set.
    batch_size : int
        Samples in a batch; the last batch of an epoch may have fewer.
    shuffle : bool
        Another order in each epoch, Keras' one: that of epoch `e` is
        ``numpy.random.RandomState((seed + e * len(iterator)) % 2**32).permutation(n)``.
    seed : int, optional
        Settles the order and all random transformations. None draws one from `numpy.random`, so that
        `numpy.random.seed` settles it.
    """

    batch_index: int
    """The number of the batch that `next` gives next."""
    total_batches_seen: int
    """How many batches `next` gave."""
    index_array: Indices | None
    """The order of the samples in this epoch; None before it is first needed."""

    def __init__(self, n: int, batch_size: int, shuffle: bool, seed: int | None) -> None:
        self.n = operator.index(n)
        if not hasattr(batch_size, "__index__") or batch_size < 1:
            raise ValueError(f"batch_size must be a whole number of 1 or more, got {batch_size!r}")
        self.batch_size = operator.index(batch_size)
        if seed is not None and (isinstance(seed, bool) or not hasattr(seed, "__index__")):
            raise TypeError(f"seed must be a whole number or None, got {seed!r}")
        self.seed = seed
        self.shuffle = shuffle
        self.epoch = 0
        self.batch_index = 0
        self.total_batches_seen = 0
        self.index_array = None
        self.lock = threading.RLock()
        self._base_seed = int(np.random.randint(_SEEDS, dtype=np.uint32)) if seed is None else int(seed)
        self._epoch_begun = False
        self._local = _Local()

    def __getattr__(self, name: str) -> Any:
        new = _OLD_NAMES.get(name)
        if new is None or new not in vars(self):
            return object.__getattribute__(self, name)
        warn_old(f"`{name}` of iterators is called `{new}` since Keras 2.")
        return vars(self)[new]

    def common_init(
        self,
        image_data_generator: Any,
        target_size: PythonSequence[int],
        color_mode: str,
        data_format: str | None,
        save_to_dir: Any,
        save_prefix: str,
        save_format: str,
        subset: str | None,
        interpolation: str,
    ) -> None:
        """Keep the arguments that all iterators over picture files have.

        Raises
        ------
        ValueError
            If one of them is not possible; the message names it.
        """
        self.image_data_generator = image_data_generator
        height, width = self.target_size = check_size(target_size)
        if not isinstance(color_mode, str) or color_mode not in COLOR_MODES:
            raise ValueError(f'Invalid color mode: {color_mode!r}; expected "rgb", "rgba", or "grayscale".')
        self.color_mode = color_mode
        self.data_format = check_layout(data_format, image_data_generator)
        channels = COLOR_MODES[color_mode][1]
        last = self.data_format == "channels_last"
        self.image_shape = (height, width, channels) if last else (channels, height, width)
        self.save_to_dir = check_save_to_dir(save_to_dir)
        self.save_prefix = save_prefix
        self.save_format = save_format
        check_interpolation(interpolation)
        self.interpolation = interpolation
        self.subset = subset
        self.split = split_of(subset, image_data_generator)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return (self.n + self.batch_size - 1) // self.batch_size

    def __getitem__(self, idx: int) -> Any:
        """Batch number `idx` of the present epoch; the iterator stays as it is."""
        return self._make(*self._batch_of(idx))

    def _batch_of(self, idx: int) -> tuple[Indices, int]:
        """The samples of batch number `idx` of the present epoch, and the number of the epoch."""
        idx = operator.index(idx)
        if not 0 <= idx < len(self):
            self._refuse_empty()
            raise ValueError(f"Asked to retrieve element {idx}, but the Sequence has length {len(self)}")
        with self.lock:
            return self._order()[self.batch_size * idx : self.batch_size * (idx + 1)], self.epoch

    def agree(self, world: World) -> None:
        """Take the seed and the place in the data from rank 0, so that all ranks see the same batches.

        Raises
        ------
        ValueError
            On all ranks, if some have other samples than rank 0.
        """
        with self.lock:
            samples = np.frombuffer(self._digest(), np.uint64).copy()
            ours = samples.copy()
            state = [self._base_seed % 2**64, self.epoch, self.batch_index, self.total_batches_seen]
            place = np.array([*state, self._epoch_begun], np.uint64)
            world.broadcast(samples)
            world.broadcast(place)
            differ = np.zeros(world.size, np.int64)
            differ[world.rank] = not np.array_equal(ours, samples)
            world.allreduce(differ)
            if differ.any():
                raise ValueError(
                    f"{type(self).__name__}: expected the same samples on all ranks, got others than those "
                    f"of rank 0 on {', '.join(map(str, np.flatnonzero(differ)))}; here {self.n} in batches "
                    f"of {self.batch_size}"
                )
            if state[:2] != place[:2].tolist():
                self.index_array = None
            self._base_seed, self.epoch, self.batch_index, self.total_batches_seen, begun = map(int, place)
            self._epoch_begun = bool(begun)

    def _digest(self) -> bytes:
        """16 bytes that tell samples from others, without reading them."""
        digest = hashlib.blake2b(f"{self.n} {self.batch_size} {self.shuffle}".encode(), digest_size=16)
        for part in self._marks():
            digest.update(part)
        return digest.digest()

    def _marks(self) -> PythonIterator[bytes]:
        """What tells the samples from others."""
        yield from ()

    def __iter__(self) -> Self:
        """The iterator itself: it goes on with the next epoch when the data end."""
        return self

    def __next__(self) -> Any:
        """The next batch."""
        return self.next()

    def next(self) -> Any:
        """The next batch; after the last one the first of the next epoch.

        Threads may share an iterator: the batches that they get together are those that one would get.
        """
        with self.lock:
            indices = self._draw()
            epoch = self.epoch
        return self._make(indices, epoch)

    def on_epoch_end(self) -> None:
        """Begin the next epoch: another order, if shuffled, and other random transformations."""
        with self.lock:
            self._begin_epoch()

    def _begin_epoch(self) -> None:
        """Begin the next epoch; the lock is held."""
        self.epoch += 1
        self.batch_index = 0
        self._epoch_begun = False
        self._set_index_array()

    def reset(self) -> None:
        """Let `next` begin at the first batch: of a new epoch, if it gave any of this one."""
        self.batch_index = 0

    @property
    def index_generator(self) -> PythonIterator[Indices]:
        """The samples of one batch after the other, as `next` takes them."""
        return self._flow_index()

    def _flow_index(self) -> PythonIterator[Indices]:
        while True:
            with self.lock:
                indices = self._draw()
            yield indices

    def _draw(self) -> Indices:
        """Samples of the next batch; the lock is held."""
        self._refuse_empty()
        if self.batch_index == 0 and self._epoch_begun:
            self._begin_epoch()
        self._epoch_begun = True
        begin = self.batch_index * self.batch_size
        self.batch_index = self.batch_index + 1 if begin + self.batch_size < self.n else 0
        self.total_batches_seen += 1
        return self._order()[begin : begin + self.batch_size]

    def _refuse_empty(self) -> None:
        if self.n == 0:
            raise ValueError(f"{type(self).__name__} has no samples")

    def _order(self) -> Indices:
        """The order of this epoch; the lock is held."""
        if self.index_array is None:
            self._set_index_array()
        assert self.index_array is not None
        return self.index_array

    def _set_index_array(self) -> None:
        """Set `index_array` for the present epoch."""
        if self.shuffle:
            random = np.random.RandomState((self._base_seed + self.epoch * len(self)) % _SEEDS)
            self.index_array = random.permutation(self.n)
        else:
            self.index_array = np.arange(self.n)

    def _make(self, indices: Indices, epoch: int) -> Any:
        with self._in_epoch(epoch):
            return self._get_batches_of_transformed_samples(indices)

    @contextmanager
    def _in_epoch(self, epoch: int) -> PythonIterator[None]:
        """What this thread makes is for that epoch."""
        self._local.epoch = epoch
        try:
            yield
        finally:
            self._local.epoch = None

    def _seeds(self, indices: Indices) -> list[int]:
        """Seeds of samples, for the epoch of the batch that this thread makes."""
        epoch = self.epoch if self._local.epoch is None else self._local.epoch
        return sample_seeds(self._base_seed, epoch, np.asarray(indices))

    def _transform(self, pictures: NDArray[Any], indices: Indices, dtype: DTypeLike) -> NDArray[Any]:
        """The generator's transformations of pictures, which are written to `save_to_dir` if that is set."""
        seeds = self._seeds(indices)
        batch: NDArray[Any] = self.image_data_generator._batch(pictures, seeds)
        if self.save_to_dir:
            # The number comes from the seed: a batch made again writes its files again, other epochs others.
            for picture, index, seed in zip(batch, indices, seeds, strict=True):
                name = f"{self.save_prefix}_{index}_{seed % 10**7}.{self.save_format}"
                save_img(os.path.join(self.save_to_dir, name), picture, data_format=self.data_format)
        return batch.astype(dtype, copy=False)

    def _get_batches_of_transformed_samples(self, index_array: Indices) -> Any:
        """The batch of the samples `index_array`."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """What the batches to come depend on: seed, epoch, and how far `next` has gone."""
        with self.lock:
            return {name: getattr(self, name) for name in _PLACE}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        with self.lock:
            for name in _PLACE:
                setattr(self, name, state[name])
            self.index_array = None

    def __getstate__(self) -> dict[str, Any]:
        """All but locks, so that iterators can be sent to other processes."""
        return {k: v for k, v in self.__dict__.items() if k not in ("lock", "_local")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """What `__getstate__` gave, with new locks."""
        self.__dict__.update(state)
        self.lock = threading.RLock()
        self._local = _Local()


def check_layout(data_format: str | None, image_data_generator: Any) -> str:
    """The layout of an iterator's pictures: its generator's, which one that is given must agree with."""
    own = getattr(image_data_generator, "data_format", None) or image_data_format()
    if data_format is not None and data_format != own:
        raise ValueError(f"data_format must be that of the generator, {own!r}, got {data_format!r}")
    return str(own)


def check_save_to_dir(save_to_dir: Any) -> Any:
    """`save_to_dir` as it is. OSError if it names anything but an existing folder."""
    if save_to_dir and not os.path.isdir(save_to_dir):
        raise NotADirectoryError(f"save_to_dir must be an existing folder, got {save_to_dir!r}")
    return save_to_dir


def dtype_of(dtype: DTypeLike | None, image_data_generator: Any) -> str:
    """The dtype of an iterator's batches: the given one, else its generator's, else `floatx()`."""
    wanted = dtype or getattr(image_data_generator, "dtype", None) or floatx()
    try:
        return np.dtype(wanted).name
    except TypeError as error:
        raise ValueError(f"dtype must be one of numpy, such as 'float32', got {wanted!r}") from error


def split_of(subset: str | None, image_data_generator: Any) -> tuple[float, float] | None:
    """The part of the data that a subset is, from one fraction to another; None for all."""
    if subset is None:
        return None
    fraction = image_data_generator._validation_split or 0.0
    if subset == "training":
        return fraction, 1.0
    if subset != "validation":
        raise ValueError(f'Invalid subset name: {subset!r}; expected "training" or "validation".')
    if not fraction:
        raise ValueError('subset="validation" needs an ImageDataGenerator with validation_split')
    return 0.0, fraction
