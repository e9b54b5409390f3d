"""A limit to the time that a rank waits for the others: for a machine that does not answer, say."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

import numpy as np

from symgraph.distributed.group import MPIWorld
from symgraph.distributed.signs import STUCK, TIMEOUT, give_sign

TRY_AGAIN = 75
"""The exit code of a rank that waits in vain: the job may be tried again (EX_TEMPFAIL of BSD's sysexits)."""

_TICK = 0.25


class Watchdog:
    """A `with` block that may not take longer than a limit: else the process ends, whatever it waits for.

    A thread counts the time. A process that is stopped by a signal, or a machine that sleeps, does not count.

    Parameters
    ----------
    seconds : float
        The limit; an attribute too.
    what : str
        What a block waits for, for the message.
    """

    def __init__(self, seconds: float, what: str) -> None:
        self.seconds, self._what = seconds, what
        self._blocks = 0
        self._inside = False
        if np.isfinite(seconds):
            threading.Thread(target=self._watch, name="symgraph-watchdog", daemon=True).start()

    def __enter__(self) -> None:
        self._blocks += 1
        self._inside = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inside = False

    def _watch(self) -> None:
        seen, waited = 0, 0.0
        while True:
            time.sleep(_TICK)
            same = self._inside and self._blocks == seen
            waited = waited + _TICK if same else 0.0
            seen = self._blocks
            if waited > self.seconds:
                leave_stuck(f"waited {self.seconds:g} s for {self._what}")


@contextlib.contextmanager
def alarmed(seconds: float) -> Iterator[None]:
    """A block in which the process dies of an alarm after so many seconds.

    For the beginning of MPI, which does not let other threads of Python run, so that no `Watchdog` sees it.
    """
    usable = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not usable or not np.isfinite(seconds):
        yield
        return
    before = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class WatchedWorld(MPIWorld):
    """The processes of a communicator, which do not wait for each other for ever."""

    def __init__(self, communicator: Any, watchdog: Watchdog) -> None:
        super().__init__(communicator)
        self._watchdog = watchdog

    def allreduce(self, buffer: np.ndarray) -> None:
        """See `World.allreduce`."""
        with self._watchdog:
            super().allreduce(buffer)

    def broadcast(self, buffer: np.ndarray, root: int = 0) -> None:
        """See `World.broadcast`."""
        with self._watchdog:
            super().broadcast(buffer, root)

    def gather(self, buffer: np.ndarray, bounds: Sequence[int]) -> None:
        """See `World.gather`."""
        with self._watchdog:
            super().gather(buffer, bounds)

    def barrier(self) -> None:
        """See `World.barrier`."""
        with self._watchdog:
            super().barrier()

    def await_signal(self) -> None:
        """See `World.await_signal`."""
        with self._watchdog:
            super().await_signal()


def leave_stuck(why: str) -> None:
    """End this process, and let the launcher end the others."""
    print(f"symgraph: process {os.getpid()} ends: {why}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    give_sign(STUCK, TRY_AGAIN)
    os._exit(TRY_AGAIN)


def own_watchdog() -> Watchdog:
    """The watchdog that the launcher wants, which has no limit without one.

    Raises
    ------
    ValueError
        If the environment names no number of seconds.
    """
    text = os.environ.get(TIMEOUT) or "inf"
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise ValueError(f"{TIMEOUT}: expected a number of seconds, got {text!r}")
    return Watchdog(seconds, "other ranks")
