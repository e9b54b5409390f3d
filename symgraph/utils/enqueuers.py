"""Enqueuers: batches that are made ahead, by threads or by processes."""

from __future__ import annotations

import itertools
import pickle
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from functools import partial
from operator import getitem
from typing import Any

import numpy as np

from symgraph.utils.batch_queue import BatchQueue, DataEndedError, Job
from symgraph.utils.generic_utils import check_count
from symgraph.utils.plain_state import keeps_state
from symgraph.utils.sequence import Sequence, count_batches
from symgraph.utils.warn_user import warn_user
from symgraph.utils.workers import WorkerPool, reason_for_threads


class SequenceEnqueuer(ABC):
    """Makes batches ahead of their use, and hands them out in order.

    Parameters
    ----------
    sequence : Sequence, or iterator
    use_multiprocessing : bool
        Processes instead of threads.

    Examples
    --------
    ::

        enqueuer = OrderedEnqueuer(sequence)
        enqueuer.start(workers=4)
        for x, y in enqueuer.get():
            ...                     # without end: leave with `break`
        enqueuer.stop()
    """

    def __init__(self, sequence: Any, use_multiprocessing: bool = False) -> None:
        self.sequence = sequence
        self.use_multiprocessing = use_multiprocessing
        self.workers = 0
        self._queue: BatchQueue | None = None
        self._local: Iterator[Job] | None = None
        self._pool: WorkerPool | None = None
        self._handed = 0  # batches, those that are None among them
        #: numpy's generator as the workers found it.
        self.random_state: Any = None

    def is_running(self) -> bool:
        """Whether it was started, and not stopped since."""
        return self._queue is not None or self._local is not None

    def start(self, workers: int = 1, max_queue_size: int = 10, batches: int | None = None) -> None:
        """Begin to make batches.

        Parameters
        ----------
        workers : int
            Threads or processes; 0 makes each batch on demand, in the calling thread.
        max_queue_size : int
            Batches that may be ready, or in progress, before they are requested.
        batches : int, optional
            How many there are to be. Without it they never end, but for those of a finite generator.

        Raises
        ------
        ValueError, TypeError
            If one of these is no integer, or too small.
        RuntimeError
            If it is running.
        """
        if self.is_running():
            raise RuntimeError("The enqueuer was started already: call `stop()` before it is started again")
        check_count(workers, "workers", 0)
        check_count(max_queue_size, "max_queue_size", 1)
        self.workers = workers
        threads = min(workers, self._most_at_once(), max_queue_size + 1)
        try:
            self._pool = self._processes(threads) if threads else None
            jobs = itertools.islice(self._jobs(self._pool), batches)
            self.random_state = np.random.get_state()
            if workers:
                self._queue = BatchQueue(jobs, threads, max_queue_size)
                self._queue.start()
            else:
                self._local = jobs
        except BaseException:
            # Ctrl-C may come between two threads or processes: those that run already end.
            self.stop()
            raise

    def stop(self, timeout: float | None = None) -> None:
        """End all threads and processes. Batches that were not fetched are lost.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait for a thread, 2 by default. One that a batch holds up longer ends after it.
        """
        running, pool = self._queue, self._pool
        self._queue = self._local = self._pool = None
        if running is not None:
            running.halt()
        # A thread that waits for a process is woken by its end.
        if pool is not None:
            pool.terminate()
        if running is not None:
            running.join(timeout)
        if pool is not None:
            pool.close()

    def get(self) -> Iterator[Any]:
        """All batches, in order. Those that are None are left out.

        Raises
        ------
        RuntimeError
            If it was not started, or a worker process died.
        Exception
            What was raised where the next batch was made. All threads and processes have ended then.
        """
        if not self.is_running():
            raise RuntimeError("The enqueuer makes no batches: call `start()` first")
        return self._batches()

    def _batches(self) -> Iterator[Any]:
        while self.is_running():
            try:
                batch = self._next_here() if self._queue is None else self._queue.next()
            except DataEndedError:
                return
            except BaseException:
                self.stop()
                raise
            self._handed += 1
            if batch is not None:
                yield batch

    def _next_here(self) -> Any:
        try:
            call, between = next(self._local or iter(()))
        except StopIteration:
            raise DataEndedError from None
        batch = call()
        if between is not None:
            between()
        return batch

    def _processes(self, count: int) -> WorkerPool | None:
        """Processes for the threads to ask, if there are to be any."""
        return None

    @abstractmethod
    def _most_at_once(self) -> int:
        """How many batches can be under way at the same time."""

    @abstractmethod
    def _jobs(self, pool: WorkerPool | None) -> Iterator[Job]:
        """All that is to be done, without end."""


class OrderedEnqueuer(SequenceEnqueuer):
    """Makes the batches of a `Sequence` ahead, again and again.

    `sequence.on_epoch_end()` is called when all batches of a pass are made and none of the next one is.

    Parameters
    ----------
    sequence : Sequence
    use_multiprocessing : bool
        Spawned processes instead of threads. They need a sequence that can be pickled, and a script with
        ``if __name__ == "__main__":``; else there are threads after all, and a warning.
    shuffle : bool
        Another order of the batches in each pass. `start` takes a seed for it from numpy's generator.
    """

    def __init__(self, sequence: Sequence, use_multiprocessing: bool = False, shuffle: bool = False) -> None:
        super().__init__(sequence, use_multiprocessing)
        self.shuffle = shuffle
        self._passes_begun: deque[dict[str, Any]] = deque()
        self._start: dict[str, Any] | None = None

    def place(self) -> dict[str, Any]:
        """The place behind the batches that were handed out: what `go_on` of another enqueuer takes.

        The sequence needs the methods `state_dict` and `load_state_dict`; its state is that at the beginning
        of a pass, whatever has been made ahead since.
        """
        passes = [begun for begun in list(self._passes_begun) if begun["first"] <= self._handed]
        # A pass that was read to its end may have been followed by the next one, or not yet.
        begun = next((b for b in reversed(passes) if b["first"] < self._handed), passes[0])
        return {**begun, "batches": self._handed}

    def go_on(self, place: dict[str, Any]) -> None:
        """Let `start` begin at the place of another enqueuer of an equal sequence."""
        self.sequence.load_state_dict(place["sequence"])
        self._handed, self._start = place["batches"], place

    def _most_at_once(self) -> int:
        # A pass begins after the one before it.
        return count_batches(self.sequence)

    def _processes(self, count: int) -> WorkerPool | None:
        if not self.use_multiprocessing:
            return None
        reason, state = reason_for_threads(self.sequence)
        if state is None:
            warn_user(f"`use_multiprocessing=True`: {reason}. Threads make the batches instead.")
            return None
        return WorkerPool(count, state)

    def _jobs(self, pool: WorkerPool | None) -> Iterator[Job]:
        # Drawn here, in the thread that starts: the feeder would draw between others.
        seed = np.random.randint(2**31) if self.shuffle else 0
        random, first = np.random.RandomState(seed), 0
        if self._start is not None:
            random.set_state(self._start["random"])
            first = self._start["first"]
        self._note_pass(first, random)
        return self._passes(pool, random, first)

    def _passes(self, pool: WorkerPool | None, random: np.random.RandomState, first: int) -> Iterator[Job]:
        make = partial(getitem, self.sequence) if pool is None else pool.batch
        while True:
            order = np.arange(count_batches(self.sequence))
            if self.shuffle:
                random.shuffle(order)
            left = order[max(self._handed_before - first, 0) :].tolist()
            for index in left[:-1]:
                yield partial(make, index), None
            if left:
                yield partial(make, left[-1]), partial(self._end_pass, pool)
            else:
                self._end_pass(pool)
            first += len(order)
            self._note_pass(first, random)

    @property
    def _handed_before(self) -> int:
        """Batches that were handed out before this enqueuer was started."""
        return 0 if self._start is None else int(self._start["batches"])

    def _note_pass(self, first: int, random: np.random.RandomState) -> None:
        """Keep what the pass that begins with this batch depends on, if anybody can go back to it."""
        passes = self._passes_begun
        while len(passes) > 1 and passes[1]["first"] < self._handed:
            passes.popleft()
        if keeps_state(self.sequence):
            begun = {"first": first, "random": random.get_state(), "sequence": self.sequence.state_dict()}
            passes.append(begun)

    def _end_pass(self, pool: WorkerPool | None) -> None:
        self.sequence.on_epoch_end()
        if pool is not None and type(self.sequence).on_epoch_end is not Sequence.on_epoch_end:
            pool.update(pickle.dumps(self.sequence, protocol=5))


class GeneratorEnqueuer(SequenceEnqueuer):
    """Makes the batches of a generator ahead.

    For any number of workers one thread runs the generator, which preserves its order: a generator
    cannot run twice at once, and no process can have a share in it.

    Parameters
    ----------
    sequence : iterator
        A generator. It may be finite. It must not write into arrays that it has handed out.
    use_multiprocessing : bool
        Gives a warning, and a thread.
    wait_time
        Not used any more.
    random_seed
        Not used: there are no processes to seed.
    """

    def __init__(
        self,
        sequence: Iterator[Any],
        use_multiprocessing: bool = False,
        wait_time: float | None = None,
        random_seed: int | None = None,
    ) -> None:
        super().__init__(sequence, use_multiprocessing)
        self.random_seed = random_seed
        if wait_time is not None:
            warn_user("`wait_time` is not used anymore.", DeprecationWarning)

    def _most_at_once(self) -> int:
        return 1

    def _processes(self, count: int) -> WorkerPool | None:
        if self.use_multiprocessing:
            warn_user(
                "`use_multiprocessing=True`: a generator cannot be shared by processes; a thread makes the "
                "batches instead. Please consider using the `symgraph.utils.Sequence` class."
            )
        return None

    def _jobs(self, pool: WorkerPool | None) -> Iterator[Job]:
        return itertools.repeat((self._next, None))

    def _next(self) -> Any:
        try:
            return next(self.sequence)
        except StopIteration:
            raise DataEndedError from None
