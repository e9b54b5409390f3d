"""One lowered graph of a Function, and its Programs."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from symgraph.compiler.clocks import RECORDER
from symgraph.compiler.compile import Lowered
from symgraph.compiler.plan import plan
from symgraph.compiler.program import Program
from symgraph.kernels.machine import KernelError
from symgraph.kernels.threads import get_num_threads

_MOST_PROGRAMS = 16
_MOST_COMPILATIONS = 1000

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")

Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Compilation:
    """A graph that was lowered, or a Program that was planned for it, and why.

    `compiled` and `loaded` are the kernels that were made meanwhile, and those that came from the disk;
    `kernel_seconds` is what making them took of the `seconds` in all.
    """

    what: str
    reason: str
    seconds: float
    compiled: int = 0
    loaded: int = 0
    kernel_seconds: float = 0.0

    def __str__(self) -> str:
        kernels = f", {self.compiled} kernels compiled, {self.loaded} loaded" if self.what == "plan" else ""
        return f"{self.what} in {1000 * self.seconds:.1f} ms{kernels}: {self.reason}"


class Variant:
    """A lowered graph with its Programs, one for each set of input shapes.

    `name` is the Function's, `reason` says why the graph was lowered; this and every planning is noted in
    `compilations`.
    """

    def __init__(
        self,
        name: str,
        reason: str,
        lowered: Lowered,
        lock: threading.RLock | None,
        compilations: list[Compilation],
    ) -> None:
        self.name = name
        self.lowered = lowered
        self.newest: Program | None = None
        self.compilations = compilations
        compilations.append(Compilation("lower", reason, lowered.seconds))
        self._lock = lock
        self._programs: OrderedDict[tuple[int, Shapes], Program] = OrderedDict()
        self._planning = threading.Lock()
        self._slabs: list[np.ndarray] = []

    def run(self, feeds: list[np.ndarray]) -> list[np.ndarray]:
        """Run the Program for the shapes of `feeds`."""
        program = self.program(tuple([f.shape for f in feeds]))
        try:
            if self._lock is None:
                return self._run(program, feeds)
            with self._lock:
                return self._run(program, feeds)
        except KernelError as error:
            node = error.row.node
            meaning = error.row.kernel.errors.get(error.status, f"status {error.status}")
            raise ValueError(f"{node.origins[0]}: {node.op}: {meaning}") from error

    def _run(self, program: Program, feeds: list[np.ndarray]) -> list[np.ndarray]:
        recorder = RECORDER.get()
        clocks = None if recorder is None else recorder.clocks(program, self)
        if clocks is None:
            return program.run(feeds, self._slabs)
        return program.timed(feeds, self._slabs, clocks)

    def program(self, shapes: Shapes) -> Program:
        """The Program for these input shapes: planned once for a number of threads."""
        key = (get_num_threads(), shapes)
        program = recent(self._programs, key)
        if program is None:
            with self._planning:
                program = self._programs.get(key) or self._planned(*key)
                self._programs[key] = program
                while len(self._programs) > _MOST_PROGRAMS:
                    self._programs.popitem(last=False)
        self.newest = program
        return program

    def _planned(self, threads: int, shapes: Shapes) -> Program:
        start = time.perf_counter()
        program = plan(self.lowered, shapes, threads)
        new = {row.kernel for row in program.rows if row.kernel.loaded_at >= start}
        times = [kernel.compile_seconds or 0.0 for kernel in new]
        made = sum(seconds > 0 for seconds in times)
        self.compilations.append(
            Compilation(
                "plan",
                self._reason(threads, shapes),
                time.perf_counter() - start,
                made,
                len(new) - made,
                sum(times),
            )
        )
        del self.compilations[:-_MOST_COMPILATIONS]
        return program

    def _reason(self, threads: int, shapes: Shapes) -> str:
        """Why no Program at hand fits."""
        text = ", ".join(map(str, shapes)) or "no inputs"
        if self.newest is None:
            return f"first call, with shapes {text}"
        if any(known == shapes for _, known in self._programs):
            return f"{threads} threads, with shapes {text}"
        return f"new shapes {text}"

    def latest(self) -> Program:
        """The Program that was planned or used last."""
        if self.newest is None:
            raise ValueError("no Program was planned yet: call the function first, or give shapes")
        return self.newest


def recent(kept: OrderedDict[_Key, _Value], key: _Key) -> _Value | None:
    """What is kept under `key`, now the one used last; None where there is nothing."""
    value = kept.get(key)
    if value is not None:
        # Another thread may just have dropped it.
        with suppress(KeyError):
            kept.move_to_end(key)
    return value
