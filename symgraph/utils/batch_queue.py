"""Calls that threads make ahead of time, with results in the order of the calls."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any

from symgraph.utils.workers import WorkerDiedError

Job = tuple[Callable[[], Any], Callable[[], None] | None]
"""What makes a batch, and, for the last batch of a pass, what comes between this pass and the next one."""

_PATIENCE = 2.0  # seconds for threads to end


class DataEndedError(Exception):
    """There are no further batches."""


class BatchQueue:
    """Runs jobs in threads.

    One more thread feeds them. Where a job ends a pass, the feeder waits until all batches of the pass are
    made, and calls what comes between passes. Only then is the last batch handed out, so that a pass that was
    read has ended too, and the next pass begins.

    Parameters
    ----------
    jobs : iterator of Job
        Asked for the next job as soon as there is room for its batch.
    threads : int
        That make batches.
    ahead : int
        Batches that may be ready, or in progress, before they are requested.
    """

    def __init__(self, jobs: Iterator[Job], threads: int, ahead: int) -> None:
        self._jobs, self._ahead = jobs, ahead
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._made: deque[Future[Any]] = deque()
        self._open = 0  # batches that are waiting or under way
        self._failed = self._fed = self._stopped = False
        # Words, as an error would hold the lines that it came by, and so this queue.
        self._death = ""
        targets = [self._feed] + [self._work] * min(threads, ahead + 1)
        # A thread that a batch holds up for ever does not keep the program from ending.
        self._threads = [threading.Thread(target=t, name="symgraph-data", daemon=True) for t in targets]

    def start(self) -> None:
        """Begin, once. What breaks in upon it is followed by `halt` and `join`."""
        for thread in self._threads:
            thread.start()

    def next(self) -> Any:
        """The next batch.

        Raises
        ------
        DataEndedError
            After the last batch, or after `halt`.
        Exception
            What was raised where this batch was made; at once, if a worker process died.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._made or self._fed or self._stopped)
            if not self._made or self._stopped:
                raise self._end()
            future = self._made.popleft()
            self._changed.notify_all()
        try:
            return future.result()
        except (CancelledError, WorkerDiedError):
            pass
        finally:
            # The lines of an error hold this call: with the future it would hold itself, and all its data.
            del future
        raise self._end()

    def _end(self) -> Exception:
        """Why there are no further batches."""
        return WorkerDiedError(self._death) if self._death else DataEndedError()

    def halt(self, death: str = "") -> None:
        """Begin no further batches; `next` tells the `death` of a process, or that the data have ended."""
        with self._changed:
            # Processes that are ended on purpose seem to die too.
            if not self._stopped:
                self._stopped, self._death = True, death
            for future, _ in self._waiting:
                future.cancel()
            self._waiting.clear()
            self._changed.notify_all()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the threads, after `halt`; `timeout` seconds (default 2) for each at most."""
        for thread in self._threads:
            # Not all of them run where `start` was broken off.
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join(_PATIENCE if timeout is None else timeout)
        # Errors among them hold the lines of those threads, and so this queue.
        self._made.clear()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopped)
                if self._stopped:
                    return
                future, call = self._waiting.popleft()
            try:
                future.set_result(call())
            except BaseException as error:
                if isinstance(error, WorkerDiedError):
                    self.halt(str(error))
                self._failed = True
                future.set_exception(error)
            # Not to be held until the next batch.
            del future, call
            with self._changed:
                self._open -= 1
                self._changed.notify_all()

    def _feed(self) -> None:
        try:
            for call, between in self._jobs:
                future = self._submit(call)
                if between is not None and self._all_made():
                    between()
                if not self._hand_out(future):
                    break
        except BaseException as error:
            failure: Future[Any] = Future()
            failure.set_exception(error)
            self._hand_out(failure)
        finally:
            with self._changed:
                self._fed = True
                self._changed.notify_all()

    def _submit(self, call: Callable[[], Any]) -> Future[Any]:
        future: Future[Any] = Future()
        with self._changed:
            self._open += 1
            self._waiting.append((future, call))
            self._changed.notify_all()
        return future

    def _all_made(self) -> bool:
        """Wait until no batch is under way; whether all is well."""
        with self._changed:
            self._changed.wait_for(lambda: not self._open or self._stopped)
        return not (self._failed or self._stopped)

    def _hand_out(self, future: Future[Any]) -> bool:
        """Put a batch into the queue, and wait for room for another one; whether there is need for one."""
        with self._changed:
            self._made.append(future)
            self._changed.notify_all()
            self._changed.wait_for(lambda: len(self._made) < self._ahead or self._stopped)
        return not (self._failed or self._stopped)
