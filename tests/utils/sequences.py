"""Sequences for tests, in a module that processes can import quickly."""

from __future__ import annotations

import os
import signal
import time

import numpy as np

from symgraph.distributed import share
from symgraph.utils import Sequence


class Rows(Sequence):
    """Batches of numbers that follow from (seed, pass, index) alone."""

    def __init__(self, batches: int = 7, size: int = 4, features: int = 3, seed: int = 0) -> None:
        self.batches, self.size, self.features, self.seed = batches, size, features, seed
        self.epoch = 0

    def __len__(self) -> int:
        return self.batches

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng([self.seed, self.epoch, index])
        x = random.normal(size=(self.size, self.features)).astype("float32")
        return x, x.sum(axis=1, keepdims=True) + np.float32(index)

    def on_epoch_end(self) -> None:
        self.epoch += 1


class Sharded(Rows):
    """The same batches, of which a process can make its rows alone."""

    def shard(self, index: int, rank: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        x, y = super().__getitem__(index)
        mine = share(len(x), rank, size)
        return x[mine], y[mine]


class Failing(Rows):
    """The error of batch 3 names what it was about."""

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if index == 3:
            raise LookupError("picture-3.png is broken")
        return super().__getitem__(index)


class OddError(Exception):
    """Cannot be made again from its pickle."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")


class OddlyFailing(Rows):
    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        raise OddError(1, 2)


class Dying(Rows):
    """The process of batch 2 dies in the midst of it."""

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if index == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(index)


class Pids(Rows):
    """Batches that say which process made them; slow ones, if asked for."""

    def __init__(self, batches: int = 1000, seconds: float = 0.0) -> None:
        super().__init__(batches)
        self.seconds = seconds

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        time.sleep(self.seconds)
        return np.array([[os.getpid()]]), np.array([[index]])


class Closed(Rows):
    """Cannot be pickled."""

    def __getstate__(self) -> dict[str, object]:
        raise TypeError("a closed thing")
