"""Files that a training goes on from after a crash: where they lie, when they are written, which one counts.

`symgraph launch` names the folder in an environment variable, so that a script need not know of it. Each call
of `fit` in a script has files of its own, by its number: two that are written in turns, so that one whole
state always remains, and one of its end. Rank 0 writes and reads them.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from symgraph.distributed.world import world
from symgraph.globals import next_training
from symgraph.utils.io_utils import atomic_path
from symgraph.utils.plain_state import pack, unpack
from symgraph.utils.warn_user import warn_user

FOLDER, EVERY = "SYMGRAPH_CHECKPOINT", "SYMGRAPH_CHECKPOINT_EVERY"

_SECONDS = 10.0  # between two checkpoints at least, where no number of steps is given
_SHARE = 100.0  # so many times as long as writing one takes

State = dict[str, Any]


class Checkpoints:
    """The files of one training.

    Parameters
    ----------
    folder : path
        Made where it is missing.
    number : int
        Of this call of `fit` in the script, from 1. An attribute too.
    every : int, optional
        Steps between two checkpoints. Without it, time decides: 10 seconds at least, and so long that
        writing takes one part in a hundred of the time at most.
    """

    def __init__(self, folder: str | os.PathLike[str], number: int, every: int | None = None) -> None:
        self._folder, self.number, self._every = Path(folder), number, every
        self._written = 0  # that of the two files which is the older one is written next
        self._due = time.monotonic()
        if self._writes:
            self._folder.mkdir(parents=True, exist_ok=True)

    @property
    def _writes(self) -> bool:
        return world().rank == 0

    def load(self) -> State | None:
        """The newest state that is whole; None where there is none. The same one on all ranks.

        Raises
        ------
        ValueError
            If there are files, and all are damaged.
        """
        content = self._newest() if self._writes else b""
        size = np.array([len(content)], np.int64)
        world().broadcast(size)
        if not size[0]:
            return None
        buffer = np.frombuffer(content, np.uint8).copy() if content else np.empty(int(size[0]), np.uint8)
        world().broadcast(buffer)
        return unpack(buffer.tobytes(), "the checkpoint")

    def _newest(self) -> bytes:
        """The content of the file with the newest state; nothing where there is none."""
        if self._end.exists():
            with contextlib.suppress(ValueError):
                unpack(self._end)
                return self._end.read_bytes()
        found: dict[int, tuple[int, Path]] = {}
        damaged = []
        for number, path in enumerate(self._turns):
            try:
                found[number] = (int(unpack(path)["step"]), path)
            except FileNotFoundError:
                continue
            except ValueError as error:
                damaged.append(str(error))
        if not found:
            if damaged:
                raise ValueError(f"There is no whole checkpoint to go on from: {'; '.join(damaged)}")
            return b""
        newest = max(found, key=lambda number: found[number][0])
        self._written = newest + 1
        return found[newest][1].read_bytes()

    def due(self, step: int) -> bool:
        """Whether it is time to save after this many steps."""
        if not self._writes:
            return False
        return time.monotonic() >= self._due if self._every is None else step % self._every == 0

    def save(self, step: int, state: Callable[[], Mapping[str, Any]]) -> None:
        """Write a state of the middle of a training. A warning where the disk does not take it."""
        if not self._writes:
            return
        begun = time.monotonic()
        if self._write(self._turns[self._written % 2], step, state):
            self._written += 1
        now = time.monotonic()
        self._due = now + max(_SECONDS, _SHARE * (now - begun))

    def finish(self, step: int, state: Mapping[str, Any]) -> None:
        """Write the state of the end of a training, in the place of those before."""
        if self._writes and self._write(self._end, step, lambda: state):
            for path in self._turns:
                path.unlink(missing_ok=True)

    def _write(self, path: Path, step: int, state: Callable[[], Mapping[str, Any]]) -> bool:
        try:
            with atomic_path(path) as temporary:
                temporary.write_bytes(pack({"step": step, **state()}))
        except OSError as error:
            warn_user(f"No checkpoint after step {step}, the one before it stays: {error}")
            return False
        return True

    @property
    def _turns(self) -> tuple[Path, Path]:
        return self._path("a"), self._path("b")

    @property
    def _end(self) -> Path:
        return self._path("end")

    def _path(self, part: str) -> Path:
        return self._folder / f"fit_{self.number}_{part}.npz"


def checkpoints_of_next_training() -> Checkpoints | None:
    """The files for the call of `fit` that begins now; None where there are to be none.

    Raises
    ------
    ValueError
        If the number of steps in the environment is none.
    """
    folder, every = os.environ.get(FOLDER), os.environ.get(EVERY)
    number = next_training()
    if not folder:
        return None
    if every and not (every.isdigit() and int(every)):
        raise ValueError(f"{EVERY}: expected a number of steps, at least 1, got {every!r}")
    return Checkpoints(folder, number, int(every) if every else None)


def remove_checkpoints(folder: str | os.PathLike[str]) -> None:
    """Remove what trainings wrote into a folder, and nothing else."""
    for path in (*Path(folder).glob("fit_*_*.npz"), *Path(folder).glob(".fit_*.part")):
        path.unlink(missing_ok=True)
