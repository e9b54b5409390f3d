"""Who this process is among those that train together, and how they talk.

A process is one of several where a launcher of MPI started it; `SYMGRAPH_DISTRIBUTED=0` says that it is alone
all the same. mpi4py is imported only where there are several. Everything goes through buffers: numpy arrays
are sent as they lie in memory, nothing is pickled.
"""

from __future__ import annotations

import importlib
import os
import sys
from types import TracebackType
from typing import Any

from symgraph.distributed.elastic import WaitingWorld, elastic_world, end_in_order, is_joining, wants_elastic
from symgraph.distributed.group import MPIWorld, World
from symgraph.distributed.signs import BEGUN, give_sign
from symgraph.distributed.watchdog import WatchedWorld, alarmed, own_watchdog
from symgraph.globals import process_group, set_process_group

__all__ = ["MPIWorld", "World", "is_distributed", "set_world", "watch_the_end", "world"]

SWITCH = "SYMGRAPH_DISTRIBUTED"
_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")
"""Where launchers tell how many processes they started: Open MPI; MPICH and Intel MPI; MVAPICH."""


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
        current = _ranks() if is_distributed() or is_joining() else World()
        set_process_group(current)
        if current.size > 1:
            watch_the_end()
    return current


def _ranks() -> World:
    if is_joining():
        return WaitingWorld()
    watchdog = own_watchdog()
    with alarmed(watchdog.seconds):
        if not wants_elastic():
            return WatchedWorld(_communicator(), watchdog)
        ranks = elastic_world(_communicator, watchdog)
    if ranks.rank == 0:
        give_sign(BEGUN)
    return ranks


def watch_the_end() -> None:
    """Let the end of this process, in order or by an error, not keep the others waiting."""
    _abort_after_errors()
    if wants_elastic():
        end_in_order(world)


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
        world().abort(getattr(error, "exit_code", 1))

    sys.excepthook = show_and_abort
