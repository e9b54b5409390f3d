"""Processes that make batches: each is asked by one thread at a time, through a pipe of its own.

They are spawned, never forked: a copy of a process whose other threads compute may hang. A process leaves
when its pipe or its parent ends, so none is left over, however the parent came to its end.
"""

from __future__ import annotations

import ast
import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import connection, resource_tracker, spawn
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

_PATIENCE = 2.0  # seconds for a process to end
# Where pipes are streams of bytes, arrays are read to where they will stay; `recv_bytes` copies them twice.
_STREAMS = hasattr(os, "readv")


class WorkerDiedError(RuntimeError):
    """A process that made batches is gone."""


class _WorkerTracebackError(Exception):
    """The lines that an error came by in another process; the cause of the error here."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


class WorkerPool:
    """Processes that hold a sequence and make batches of it.

    Parameters
    ----------
    count : int
        Processes; as many threads may ask for batches at once.
    state : bytes
        The pickled sequence.
    """

    def __init__(self, count: int, state: bytes) -> None:
        self._lock = threading.Lock()
        self._death = ""
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._workers: list[_Worker] = []
        try:
            # A process is in the list, to be ended with the others, before Ctrl-C comes through.
            with _interrupts_held():
                for _ in range(count):
                    self._workers.append(_Worker())
        except BaseException:
            self.terminate()
            self.close()
            raise
        for worker in self._workers:
            self._idle.put(worker)
        self.update(state)

    def update(self, state: bytes) -> None:
        """Change the sequence. No batch may be under way."""
        self._told: set[int] = set()
        self._state: bytes | None = state

    def batch(self, index: int) -> Any:
        """Batch number `index` of the sequence.

        Raises
        ------
        WorkerDiedError
            If a process is gone; all others are ended then.
        Exception
            What making the batch raised, with the lines of the other process as its cause.
        """
        worker = self._idle.get()
        try:
            return worker.batch(index, self._news_for(worker))
        except WorkerDiedError as error:
            with self._lock:
                # Those that are ended here die too; the first one is what happened.
                self._death = self._death or str(error)
            self.terminate()
            raise WorkerDiedError(self._death) from None
        finally:
            self._idle.put(worker)

    def _news_for(self, worker: _Worker) -> bytes | None:
        """The state, if the worker does not have it yet. It is let go when all have it."""
        with self._lock:
            if id(worker) in self._told:
                return None
            state = self._state
            self._told.add(id(worker))
            if len(self._told) == len(self._workers):
                self._state = None
            return state

    def terminate(self) -> None:
        """Begin to end all processes. A thread that waits for a batch gets an error at once."""
        for worker in self._workers:
            worker.process.terminate()

    def close(self) -> None:
        """Wait until all processes are gone, after `terminate` and when no thread asks any more."""
        for worker in self._workers:
            worker.close()


class _Worker:
    """One process, and this end of its pipe."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs,), name="symgraph-data", daemon=True)
        self.process.start()
        # The last copy of that end is the process's own: when it dies, the pipe ends.
        theirs.close()
        self._reaping = threading.Lock()

    def batch(self, index: int, state: bytes | None) -> Any:
        answer = self._answer(index, state)
        if answer is None:
            raise WorkerDiedError(f"{self._end()} while it was to make batch {index}")
        kind, content = answer
        if kind == "error":
            raise _error_of(*content)
        return content

    def _answer(self, index: int, state: bytes | None) -> tuple[str, Any] | None:
        """What the process says of a batch; None if it is gone.

        The error of the pipe goes no further: its lines hold bytes that were under way.
        """
        try:
            self._pipe.send((index, state is not None))
            if state is not None:
                self._pipe.send_bytes(state)
            answer: tuple[str, Any] = _receive(self._pipe)
        except (EOFError, OSError):
            return None
        return answer

    def _end(self) -> str:
        """How the process ended."""
        self._join()
        code, named = self.process.exitcode, f"The worker process {self.process.pid}"
        if code is not None and code < 0:
            with suppress(ValueError):
                return f"{named} was killed by {signal.Signals(-code).name}"
        return f"{named} ended with exit code {code}"

    def _join(self) -> None:
        with self._reaping:
            self.process.join(_PATIENCE)

    def close(self) -> None:
        self._join()
        if self.process.exitcode is None:
            self.process.kill()
            self._join()
        self._pipe.close()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C is for the parent: what is started here never gets it, and the parent gets it afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # To start the tracker, which the first process would do, lets interrupts in again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def serve(pipe: Connection) -> None:
    """What a process does: batches of the sequence that it was told last, until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The processors are shared out among the processes already. What the user says counts more.
    os.environ.setdefault("SYMGRAPH_NUM_THREADS", "1")
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    sequence: Any = None
    with suppress(EOFError, OSError):
        while True:
            index, new = pipe.recv()
            state = pipe.recv_bytes() if new else b""
            try:
                sequence = pickle.loads(state) if new else sequence
                content = _pickled(("batch", sequence[index]))
            except Exception as error:
                content = _pickled(("error", _portable(error)))
            _send(pipe, *content)


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        # A batch may be under way for long, and nobody wants it any more.
        os._exit(1)


def _pickled(value: Any) -> tuple[bytes, list[memoryview]]:
    """The pickle of `value`, and the memory of its arrays, which is not copied into it."""
    arrays: list[pickle.PickleBuffer] = []
    content = pickle.dumps(value, protocol=5, buffer_callback=arrays.append)
    return content, [array.raw() for array in arrays]


def _send(pipe: Connection, content: bytes, arrays: list[memoryview]) -> None:
    pipe.send((content, [array.nbytes for array in arrays]))
    for array in arrays:
        if not _STREAMS:
            pipe.send_bytes(array)
            continue
        while len(array):
            array = array[os.write(pipe.fileno(), array) :]


def _receive(pipe: Connection) -> Any:
    content, sizes = pipe.recv()
    arrays = [np.empty(size, np.uint8) for size in sizes]
    for array in arrays:
        _read_into(pipe, array)
    return pickle.loads(content, buffers=arrays)


def _read_into(pipe: Connection, array: np.ndarray) -> None:
    if not _STREAMS:
        pipe.recv_bytes_into(array)
        return
    rest = array.data
    while rest:
        count = os.readv(pipe.fileno(), [rest])
        if count == 0:
            raise EOFError
        rest = rest[count:]


def _portable(error: Exception) -> tuple[Exception | None, str, str]:
    """The error if it can be pickled and made again, its words, and its traceback."""
    text = "".join(traceback.format_exception(error))
    words = f"{type(error).__name__}: {error}"
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return None, words, text
    return error, words, text


def _error_of(error: Exception | None, words: str, text: str) -> Exception:
    error = RuntimeError(words) if error is None else error
    error.__cause__ = _WorkerTracebackError(text)
    return error


def reason_for_threads(sequence: Any) -> tuple[str, bytes | None]:
    """Why no processes can make batches of `sequence`, with what to do; or '' and the pickled sequence.

    Raises
    ------
    RuntimeError
        If this process is itself a worker, still importing the script that it came from.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise RuntimeError(
            "A worker process has come to a call with `use_multiprocessing=True` while it imported the "
            'script: put what the script does under `if __name__ == "__main__":`'
        )
    if multiprocessing.current_process().daemon:
        return "this process is itself a worker, which may have none", None
    script = _imported_script()
    if script is not None and not _is_guarded(script):
        return (
            f'each process imports {script}, which has no `if __name__ == "__main__":` around what it does; '
            "put one there"
        ), None
    try:
        state = pickle.dumps(sequence, protocol=5)
    except Exception as error:
        return (
            f"{type(sequence).__name__} cannot be pickled ({type(error).__name__}: {error}); leave out what "
            "is open, locked or local among its attributes, for instance in `__getstate__`"
        ), None
    if script is None and b"__main__" in state:
        return (
            f"processes cannot see what is defined in an interactive session, and {type(sequence).__name__} "
            "needs it; put its class into a module"
        ), None
    return "", state


def _imported_script() -> str | None:
    """The file that a spawned process imports as its main module; None if it imports none."""
    prepared = spawn.get_preparation_data("")
    name = prepared.get("init_main_from_name")
    if name is None:
        return prepared.get("init_main_from_path")
    # The `__main__` of a package is not imported again.
    return None if name.endswith("__main__") else getattr(sys.modules["__main__"], "__file__", None)


def _is_guarded(script: str) -> bool:
    """Whether a file has an ``if`` about ``__name__`` and ``"__main__"`` at its outer level."""
    try:
        tree = ast.parse(Path(script).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return False
    for statement in tree.body:
        if isinstance(statement, ast.If):
            inside = list(ast.walk(statement.test))
            named = any(isinstance(part, ast.Name) and part.id == "__name__" for part in inside)
            if named and any(isinstance(part, ast.Constant) and part.value == "__main__" for part in inside):
                return True
    return False
