"""Replacing ranks that were lost, without a restart: Open MPI's user-level failure mitigation (ULFM).

Every exchange ends with an agreement of the ranks that are left: all of them have its result, or none. In the
second case they take the communicator back (Revoke), make one of those that are left (Shrink), start a
process in the place of each one that was lost (Spawn), join it (Merge), and go on with the step of that
exchange, which has changed nothing yet. What a new process needs to know of the training is sent to it as one
buffer. See docs/fault_tolerance.md.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.distributed.group import MPIWorld, World
from symgraph.distributed.signs import ELASTIC, ENDED, STUCK, give_sign
from symgraph.distributed.watchdog import TRY_AGAIN, Watchdog, alarmed, leave_stuck, own_watchdog

JOINS = "SYMGRAPH_JOINS"
"""Tells processes that take the places of others how many ranks there are, and which they are."""

_INHERITED = ("SYMGRAPH_", "PYTHON", "NUMBA_", "KERAS_")
_ENV = "/usr/bin/env"
_LAST = 0.5  # seconds that rank 0 leaves MPI before the others


class RankLostError(RuntimeError):
    """A rank has died, and the exchange that it was missing in has had no effect."""

    exit_code = TRY_AGAIN


@contextlib.contextmanager
def at_most_once(what: str) -> Iterator[None]:
    """A block that cannot be done again: if a rank is lost in it, the job is started again as a whole."""
    try:
        yield
    except RankLostError:
        leave_stuck(f"a rank was lost during {what}, which cannot be done again")
        raise


class WaitingWorld(World):
    """A process that takes the place of another one, while its script repeats what came before.

    It has that rank already, and models such as the others have, but exchanges nothing: in a training what
    the exchanges would bring comes from the others, and all else it computes alone.
    """

    def __init__(self) -> None:
        size, _, lost = os.environ[JOINS].partition(":")
        self.size = int(size)
        self.rank = int(lost.split(",")[int(os.environ.get("OMPI_COMM_WORLD_RANK", "0"))])

    @property
    def exchanges(self) -> bool:
        """See `World.exchanges`."""
        return False


class ElasticWorld(MPIWorld):
    """The ranks of a job that goes on when one is lost.

    Parameters
    ----------
    communicator : mpi4py.MPI.Intracomm
    watchdog : Watchdog
    grown : bool
        Whether lost ranks were replaced. MPI cannot end such a job in order.
    """

    def __init__(self, communicator: Any, watchdog: Watchdog, grown: bool = False) -> None:
        super().__init__(communicator)
        self._mpi = importlib.import_module("mpi4py.MPI")
        self._watchdog = watchdog
        self.grown = grown
        communicator.Set_errhandler(self._mpi.ERRORS_RETURN)

    def allreduce(self, buffer: np.ndarray) -> None:
        """See `World.allreduce`. RankLostError, on all ranks that are left, if one has died."""
        self._agreed(super().allreduce, buffer)

    def broadcast(self, buffer: np.ndarray, root: int = 0) -> None:
        """See `World.broadcast`, and `allreduce`."""
        self._agreed(super().broadcast, buffer, root)

    def gather(self, buffer: np.ndarray, bounds: Sequence[int]) -> None:
        """See `World.gather`, and `allreduce`."""
        self._agreed(super().gather, buffer, bounds)

    def barrier(self) -> None:
        """See `World.barrier`, and `allreduce`."""
        self._agreed(super().barrier)

    def await_signal(self) -> None:
        """See `World.await_signal`. RankLostError if the first rank has died."""
        with self._watchdog:
            try:
                super().await_signal()
            except self._mpi.Exception as error:
                self._revoke()
                raise RankLostError(str(error)) from error

    def signal(self) -> None:
        """See `World.signal`; a rank that has died is missed at the next exchange."""
        try:
            super().signal()
        except self._mpi.Exception:
            self._sent.clear()

    def abort(self, status: int = 1) -> None:
        """See `World.abort`; the launcher ends the other ranks."""
        give_sign(STUCK, status)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

    def _agreed(self, exchange: Callable[..., None], *arguments: Any) -> None:
        with self._watchdog:
            failure = ""
            try:
                exchange(*arguments)
            except self._mpi.Exception as error:
                failure = str(error)
                # The others may wait in this exchange for a rank that has left it.
                self._revoke()
            try:
                whole = bool(self.communicator.Agree(int(not failure)))
            except self._mpi.Exception as error:
                failure, whole = failure or str(error), False
        if not whole:
            self._revoke()
            raise RankLostError(failure or "another rank has missed one that has died")

    def _revoke(self) -> None:
        with contextlib.suppress(self._mpi.Exception):
            self.communicator.Revoke()

    def replaced(self, why: RankLostError, message: Callable[[], bytes]) -> ElasticWorld:
        """The same ranks, with new processes in the places of those that were lost.

        Parameters
        ----------
        why : RankLostError
        message : callable
            Gives what the new processes need to know; called on one rank.
        """
        with self._watchdog:
            try:
                return self._replaced(why, message)
            except (self._mpi.Exception, OSError) as error:
                leave_stuck(f"lost ranks cannot be replaced: {error}")
                raise

    def close(self) -> None:
        """End MPI when all ranks have come to their end, if they are those that it has started."""
        # The first rank that leaves MPI without a word makes it end the others.
        try:
            self.communicator.Barrier()
            whole = bool(self.communicator.Agree(1))
        except self._mpi.Exception:
            whole = False
        if whole and not self.grown:
            self._mpi.Finalize()
        elif self.rank:
            time.sleep(_LAST)

    def _replaced(self, why: RankLostError, message: Callable[[], bytes]) -> ElasticWorld:
        mpi = self._mpi
        left = self.communicator.Shrink()
        left.Set_errhandler(mpi.ERRORS_RETURN)
        present = np.zeros(self.size, np.int64)
        present[self.rank] = 1
        left.Allreduce(mpi.IN_PLACE, present)
        lost = np.flatnonzero(present == 0)
        if not len(lost):
            leave_stuck(f"an exchange has failed, and all ranks are there: {why}")
        if left.Get_rank() == 0:
            names = ", ".join(map(str, lost))
            print(f"symgraph: rank {names} was lost and is replaced", file=sys.stderr, flush=True)
        between = left.Spawn(_ENV, _command(self.size, lost), len(lost), root=0)
        joined = between.Merge(False)
        joined.Set_errhandler(mpi.ERRORS_RETURN)
        content = np.frombuffer(message(), np.uint8).copy() if left.Get_rank() == 0 else np.empty(0, np.uint8)
        count = np.array([len(content)], np.int64)
        joined.Bcast(count, 0)
        content = content if len(content) else np.empty(int(count[0]), np.uint8)
        joined.Bcast(content, 0)
        return ElasticWorld(joined.Split(0, self.rank), self._watchdog, grown=True)


def _command(size: int, lost: np.ndarray) -> list[str]:
    """What starts this script again, for a new process, as the words behind ``env``."""
    kept = [f"{name}={value}" for name, value in os.environ.items() if name.startswith(_INHERITED)]
    return [*kept, f"{JOINS}={size}:{','.join(map(str, lost))}", sys.executable, *sys.orig_argv[1:]]


def is_joining() -> bool:
    """Whether this process was started in the place of one that was lost, and has not joined the others."""
    return bool(os.environ.get(JOINS))


def join(rank: int) -> tuple[ElasticWorld, bytes]:
    """Join the ranks that have started this process, as this rank; with what they tell."""
    del os.environ[JOINS]
    _keep_mpi_open()
    watchdog = own_watchdog()
    with alarmed(watchdog.seconds):
        mpi = importlib.import_module("mpi4py.MPI")
    with watchdog:
        try:
            between = mpi.Comm.Get_parent()
            joined = between.Merge(True)
            joined.Set_errhandler(mpi.ERRORS_RETURN)
            count = np.zeros(1, np.int64)
            joined.Bcast(count, 0)
            content = np.empty(int(count[0]), np.uint8)
            joined.Bcast(content, 0)
            communicator = joined.Split(0, rank)
        except mpi.Exception as error:
            leave_stuck(f"no ranks to join: {error}")
            raise
    return ElasticWorld(communicator, watchdog, grown=True), content.tobytes()


def elastic_world(all_ranks: Callable[[], Any], watchdog: Watchdog) -> ElasticWorld:
    """All ranks of a job that `symgraph launch --elastic` has started. ImportError where MPI cannot do it."""
    _keep_mpi_open()
    communicator = all_ranks()
    if not hasattr(communicator, "Shrink"):
        raise ImportError("--elastic needs mpi4py 4.1 and Open MPI 5: pip install symgraph[mpi]")
    return ElasticWorld(communicator.Dup(), watchdog)


def wants_elastic(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the launcher wants lost ranks to be replaced."""
    return environment.get(ELASTIC) == "1"


def _keep_mpi_open() -> None:
    """Let mpi4py not end MPI by itself: with ranks that were lost that would take for ever."""
    importlib.import_module("mpi4py").rc.finalize = False


def end_in_order(group: Callable[[], World]) -> None:
    """When the script ends, tell the launcher, and end MPI unless ranks were lost: it would wait for them."""
    codes = [0]
    leave = sys.exit

    def noted_exit(status: Any = None) -> None:
        codes[0] = status if isinstance(status, int) else int(status is not None)
        leave(status)

    def end() -> None:
        current = group()
        if current.rank == 0:
            give_sign(ENDED, codes[0])
        if isinstance(current, ElasticWorld):
            current.close()

    sys.exit = noted_exit  # type: ignore[assignment]
    atexit.register(end)
