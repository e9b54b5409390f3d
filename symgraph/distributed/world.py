"""Who this process is among those that train together, and how they talk.

A process is one of several where a launcher of MPI started it; `SYMGRAPH_DISTRIBUTED=0` says that it is alone
all the same. mpi4py is imported only where there are several. Everything goes through buffers: numpy arrays
are sent as they lie in memory, nothing is pickled.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from types import TracebackType
from typing import Any

import numpy as np

from symgraph.globals import process_group, set_process_group

SWITCH = "SYMGRAPH_DISTRIBUTED"
_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")
"""Where launchers tell how many processes they started: Open MPI; MPICH and Intel MPI; MVAPICH."""

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

    def agree(self) -> None:
        """Called after the last exchange of a step, before it changes anything.

        What it raises ends the step, with all variables as they were.
        """

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


def is_distributed() -> bool:
    """Whether a launcher started this process as one of several, and `SYMGRAPH_DISTRIBUTED` is not 0.

    Processes of `multiprocessing`, such as those that make batches, inherit what a launcher has told their
    parent: none of them is a rank.
    """
    return os.environ.get(SWITCH) != "0" and _started() > 1 and not _is_helper()


def _is_helper() -> bool:
    """Whether `multiprocessing` started this process; it is imported then."""
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


def _started() -> int:
    """How many processes the launcher started; 1 without one."""
    counts = [os.environ.get(name, "") for name in _SIZES]
    return next((int(count) for count in counts if count.isdigit()), 1)


def world() -> World:
    """The processes that train together, as this one sees them.

    Raises
    ------
    ImportError
        If there are several, and mpi4py is not installed.
    """
    current: World | None = process_group()
    if current is None:
        current = MPIWorld(_communicator()) if is_distributed() else World()
        set_process_group(current)
        if current.size > 1:
            _abort_after_errors()
    return current


def set_world(group: World | None) -> None:
    """Let `group` be what `world` gives; None: what the environment tells, at the next call."""
    set_process_group(group)


def _communicator() -> Any:
    """All processes of the job. ImportError where mpi4py, or the MPI that it needs, is missing."""
    try:
        return importlib.import_module("mpi4py.MPI").COMM_WORLD
    except (ImportError, RuntimeError) as error:
        raise ImportError(
            f"this process is one of {_started()} that train together, and mpi4py is missing or finds no MPI "
            f"({error}): pip install symgraph[mpi]. With {SWITCH}=0 each process trains by itself."
        ) from error


def _abort_after_errors() -> None:
    """Let an error that ends this process end the others too, which would wait for it for ever."""
    shown = sys.excepthook

    def show_and_abort(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        shown(kind, error, traceback)
        sys.stdout.flush()
        sys.stderr.flush()
        world().abort()

    sys.excepthook = show_and_abort
