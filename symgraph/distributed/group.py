"""A process among those that train together, and what they exchange: buffers, as they lie in memory."""

from __future__ import annotations

import importlib
from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

_SIGNAL = 2016
"""The tag of messages that tell other ranks of something done."""


class World:
    """One process that is alone: nothing has to be exchanged.

    Attributes
    ----------
    rank : int
        The number of this process, from 0.
    size : int
        How many processes there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def exchanges(self) -> bool:
        """Whether the others compute their part of each batch; else this process computes all of it."""
        return self.size > 1

    def allreduce(self, buffer: np.ndarray) -> None:
        """Replace `buffer`, a contiguous array, by the sum of those of all ranks: the same bits on each.

        A call that raises has left the buffer in an unknown state.
        """

    def broadcast(self, buffer: np.ndarray, root: int = 0) -> None:
        """Replace `buffer`, a contiguous array, by that of the rank `root`."""

    def gather(self, buffer: np.ndarray, bounds: Sequence[int]) -> None:
        """Fill `buffer`, a contiguous array, with rows ``bounds[r]`` to ``bounds[r + 1]`` of each rank r."""

    def barrier(self) -> None:
        """Wait until all ranks are here."""

    def signal(self) -> None:
        """Tell the other ranks that this one, the first, has done something: see `await_signal`."""

    def await_signal(self) -> None:
        """Wait until the first rank has signalled as often as this one has waited."""

    def abort(self, status: int = 1) -> None:
        """End the processes of all ranks at once, this one too. Alone: nothing."""


class MPIWorld(World):
    """The processes of a communicator of MPI.

    Parameters
    ----------
    communicator : mpi4py.MPI.Intracomm
    """

    def __init__(self, communicator: Any) -> None:
        self.communicator = communicator
        self.rank = int(communicator.Get_rank())
        self.size = int(communicator.Get_size())
        mpi = importlib.import_module("mpi4py.MPI")
        self._in_place, self._byte = mpi.IN_PLACE, mpi.BYTE
        self._signals, self._sent = 0, deque[Any]()

    def allreduce(self, buffer: np.ndarray) -> None:
        """See `World.allreduce`."""
        self.communicator.Allreduce(self._in_place, _bytes_of_bools(buffer))

    def broadcast(self, buffer: np.ndarray, root: int = 0) -> None:
        """See `World.broadcast`."""
        self.communicator.Bcast(_bytes_of_bools(buffer), root)

    def gather(self, buffer: np.ndarray, bounds: Sequence[int]) -> None:
        """See `World.gather`."""
        if not len(buffer) or not buffer.size:
            return
        row = buffer.nbytes // len(buffer)
        counts = [(end - start) * row for start, end in pairwise(bounds)]
        places = [start * row for start in bounds[:-1]]
        memory = buffer.reshape(-1).view(np.uint8)
        self.communicator.Allgatherv(self._in_place, [memory, counts, places, self._byte])

    def barrier(self) -> None:
        """See `World.barrier`."""
        self.communicator.Barrier()

    def signal(self) -> None:
        """See `World.signal`."""
        self._signals += 1
        while self._sent and self._sent[0][0].Test():
            self._sent.popleft()
        for rank in range(1, self.size):
            number = np.array([self._signals], np.int64)
            self._sent.append((self.communicator.Isend(number, rank, _SIGNAL), number))

    def await_signal(self) -> None:
        """See `World.await_signal`."""
        self._signals += 1
        number = np.zeros(1, np.int64)
        while number[0] < self._signals:
            self.communicator.Recv(number, 0, _SIGNAL)

    def abort(self, status: int = 1) -> None:
        """See `World.abort`."""
        self.communicator.Abort(status)


def _bytes_of_bools(buffer: np.ndarray) -> np.ndarray:
    """The buffer as MPI can add its elements: truth values as bytes, of which each is 0 or more."""
    if not buffer.flags.c_contiguous:
        raise ValueError(f"expected a contiguous buffer, got one of shape {buffer.shape} with gaps")
    return buffer.view(np.uint8) if buffer.dtype == np.bool_ else buffer
