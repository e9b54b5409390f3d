"""One lowered graph of a Function, and its Programs."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from contextlib import nullcontext
from typing import NamedTuple, TypeVar

import numpy as np

from symgraph.compiler.lower import Lowered
from symgraph.compiler.plan.planner import Mode, plan
from symgraph.compiler.program.clocks import Clocks
from symgraph.compiler.program.program import Program, RowError, Slab
from symgraph.compiler.run.live_run import OBSERVERS, LiveRun, Observer
from symgraph.compiler.run.named_graph import Compilation, NamedGraph
from symgraph.compiler.run.recorder import RECORDER
from symgraph.graph.dims import Unknown
from symgraph.graph.evaluate import bind_shapes, evaluate
from symgraph.graph.tensor import Tensor
from symgraph.kernels.run.machine import HostError
from symgraph.kernels.run.threads import get_num_threads

_MOST_PROGRAMS = 16
_MOST_COMPILATIONS = 1000

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")

Shapes = tuple[tuple[int, ...], ...]
# Threads, shapes of the inputs, what measured sizes come to, and the mode.
_ProgramKey = tuple[int, Shapes, tuple[int, ...], Mode]


class Sized(NamedTuple):
    """The sizes of one call, and what of them its Program is planned for."""

    sizes: Mapping[Unknown, int] | None
    key: tuple[int, ...]


_BY_SHAPES = Sized(None, ())


def shapes_of(feeds: Sequence[np.ndarray]) -> Shapes:
    """The shapes of arrays."""
    return tuple([feed.shape for feed in feeds])


class Variant(NamedGraph):
    """A lowered graph with its Programs, one for each set of input shapes.

    `reason` says why the graph was lowered; this and every planning is noted in `compilations`. `observers`
    see every call (the sequence may change meanwhile).
    """

    def __init__(
        self,
        name: str,
        reason: str,
        lowered: Lowered,
        lock: threading.RLock | None,
        compilations: list[Compilation],
        observers: Sequence[Observer] = (),
        known: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__(name, lowered, compilations, known)
        self._observers = observers
        self.newest: Program | None = None
        compilations.append(Compilation("lower", reason, lowered.seconds))
        self._lock = lock
        stage = lowered.stage
        #: What finds sizes that this graph is planned for.
        self._stage = (
            None
            if stage is None
            else Variant(name, f"{reason}: sizes", stage.lowered, None, compilations, (), known)
        )
        self._programs: OrderedDict[_ProgramKey, Program] = OrderedDict()
        self._shape_sizes: OrderedDict[Shapes, dict[Unknown, int]] = OrderedDict()
        self._planning = threading.Lock()
        self._slabs: list[Slab] = []
        # Those of pinned Programs are far larger.
        self._wide_slabs: list[Slab] = []

    def run(self, feeds: list[np.ndarray]) -> list[np.ndarray]:
        """Run the Program for the shapes of `feeds`."""
        if self._observers or OBSERVERS.get():
            return self.observed(feeds, (*self._observers, *OBSERVERS.get()))
        if self.lowered.sizing is not None:
            return self._run_sized(feeds)
        program = self.program(tuple([f.shape for f in feeds]))
        clocks = self._clocks(program)
        try:
            if self._lock is None:
                return program.run(feeds, self._slabs, clocks)
            with self._lock:
                return program.run(feeds, self._slabs, clocks)
        except RowError as error:
            raise self._described(program, error, feeds, None) from error

    def _run_sized(self, feeds: list[np.ndarray]) -> list[np.ndarray]:
        """`run` where sizes are found first: no update may come in between."""
        with self._lock or nullcontext():
            feeds, sized = self.sized(feeds)
            program = self.program(shapes_of(feeds), sized=sized)
            try:
                return program.run(feeds, self._slabs, self._clocks(program), sized.sizes)
            except RowError as error:
                raise self._described(program, error, feeds, sized.sizes) from error

    def _clocks(self, program: Program) -> Clocks | None:
        """The clocks of a profile that is being taken."""
        recorder = RECORDER.get()
        return None if recorder is None else recorder.clocks(program, self)

    def observed(
        self, feeds: list[np.ndarray], observers: Sequence[Observer], mode: Mode = "pinned"
    ) -> list[np.ndarray]:
        """As `run`, with the pinned Program; `observers` see its values. Under ``dry`` nothing is stored."""
        with self._lock or nullcontext():
            feeds, sized = self.sized(feeds, observers)
            program = self.program(shapes_of(feeds), mode, sized)
            try:
                run = LiveRun(self, program, feeds, sized.sizes)
                return run.observed_by(observers, self._wide_slabs)
            except RowError as error:
                raise self._described(program, error, feeds, sized.sizes) from error

    def alone(self, feeds: list[np.ndarray]) -> list[np.ndarray]:
        """Run the Program unobserved. For a graph without updates."""
        feeds, sized = self.sized(feeds)
        return self.program(shapes_of(feeds), sized=sized).run(feeds, self._slabs, sizes=sized.sizes)

    def sized(
        self, feeds: list[np.ndarray], observers: Sequence[Observer] = ()
    ) -> tuple[list[np.ndarray], Sized]:
        """All feeds of a call, and its sizes that are values of tensors.

        ValueError where they contradict each other.
        """
        sizing, stage = self.lowered.sizing, self.lowered.stage
        if sizing is None:
            return feeds, _BY_SHAPES
        told: dict[Unknown, int] = {}
        if stage is not None:
            assert self._stage is not None
            seeing = [observer for observer in observers if getattr(observer, "sees_stages", False)]
            found = self._stage.observed(feeds, seeing) if seeing else self._stage._run_sized(feeds)
            count = len(stage.sizes)
            told = {size: int(value) for size, value in zip(stage.sizes, found[:count], strict=True)}
            feeds = [*feeds, *found[count:]]
        shapes = shapes_of(feeds)
        known = recent(self._shape_sizes, shapes) if stage is None else None
        if known is None:
            known = dict(told)
            bind_shapes(list(zip(self.lowered.inputs, shapes, strict=True)), known)
        if stage is None:
            self._shape_sizes[shapes] = known
            while len(self._shape_sizes) > _MOST_PROGRAMS:
                self._shape_sizes.popitem(last=False)
        sizes = sizing.sizes(feeds, known)
        return feeds, Sized(sizes, sizing.key(sizes))

    def _described(
        self,
        program: Program,
        error: RowError,
        feeds: Sequence[np.ndarray],
        sizes: Mapping[Unknown, int] | None,
    ) -> ValueError:
        """The error of a row, told by layer, line, op, shapes of its inputs, and its place in a loop."""
        row, meaning = program.rows[error.row], error.error.meaning
        of_host = error.error.error if isinstance(error.error, HostError) else None
        # Kernels do not name values, what Python computes does.
        detail = None if of_host else self._complaint(row.node, feeds, sizes)
        if detail:
            meaning = f"{meaning}: {detail.removeprefix(f'{row.node.op}: ')}"
        work = program.inventory.works[program.inventory.work_of_row(error.row)]
        shapes = " and ".join(str(buffer.shape) for buffer in work.inputs)
        loops = self.ids.loops(row.node)
        where = [f"turn {n + 1} of the loop {name}" for n, name in zip(error.turns, loops, strict=False)]
        if any(other.slice for other in program.rows if other.node is row.node):
            where.append(f"slice {row.slice + 1} of the samples")
        origins = ", ".join(map(str, row.node.origins))
        text = f"{origins}: {row.node.op}: {meaning} (inputs of shapes {shapes}"
        text = f"{text}; {', '.join(where)})" if where else f"{text})"
        return np.linalg.LinAlgError(text) if isinstance(of_host, np.linalg.LinAlgError) else ValueError(text)

    def _complaint(
        self, node: Tensor, feeds: Sequence[np.ndarray], sizes: Mapping[Unknown, int] | None
    ) -> str | None:
        """The error of a node's numpy reference on these feeds, which names values; kernels do not.

        None for a node in a loop, or if the reference raises no error.
        """
        if node not in self.lowered.nodes:
            return None
        try:
            with np.errstate(all="ignore"):
                evaluate([node], dict(zip(self.lowered.inputs, feeds, strict=True)), known=sizes)
        except ValueError as complaint:
            return str(complaint)
        except Exception:
            return None
        return None

    def program(self, shapes: Shapes, mode: Mode = "fast", sized: Sized = _BY_SHAPES) -> Program:
        """The Program for these input shapes, and measured sizes: planned once for a number of threads.

        ValueError where such sizes are needed and not given.
        """
        if sized.sizes is None and self.lowered.sizing is not None:
            names = ", ".join({str(dim) for dim, _ in self.lowered.sizing.keys}) or "starts of slices"
            raise ValueError(
                f"{self.name}: its Programs depend on fed values, not on shapes alone ({names}): call it, "
                "then take the Program that was used last"
            )
        key = (get_num_threads(), shapes, sized.key, mode)
        program = recent(self._programs, key)
        if program is None:
            with self._planning:
                program = self._programs.get(key) or self._planned(*key, sized.sizes)
                self._programs[key] = program
                while len(self._programs) > _MOST_PROGRAMS:
                    self._programs.popitem(last=False)
        if mode == "fast" or self.newest is None:
            self.newest = program
        return program

    def _planned(
        self,
        threads: int,
        shapes: Shapes,
        key: tuple[int, ...],
        mode: Mode,
        sizes: Mapping[Unknown, int] | None,
    ) -> Program:
        start = time.perf_counter()
        program = plan(self.lowered, shapes, threads, mode, sizes)
        new = {row.kernel for row in program.rows if row.kernel.loaded_at >= start}
        times = [kernel.compile_seconds or 0.0 for kernel in new]
        made = sum(seconds > 0 for seconds in times)
        self.compilations.append(
            Compilation(
                "plan",
                self._reason(threads, shapes, key, mode),
                time.perf_counter() - start,
                made,
                len(new) - made,
                sum(times),
            )
        )
        del self.compilations[:-_MOST_COMPILATIONS]
        return program

    def _reason(self, threads: int, shapes: Shapes, key: tuple[int, ...], mode: Mode) -> str:
        """Why no Program at hand fits."""
        text = ", ".join(map(str, shapes)) or "no inputs"
        if key and self.lowered.sizing is not None:
            named = {str(dim): value for (dim, _), value in zip(self.lowered.sizing.keys, key, strict=True)}
            text += " and sizes " + ", ".join(f"{name} = {value}" for name, value in named.items())
        if mode != "fast":
            return f"values are observed, with shapes {text}"
        if self.newest is None:
            return f"first call, with shapes {text}"
        alike = (shapes, key, mode)
        if any(known[1:] == alike for known in self._programs):
            return f"{threads} threads, with shapes {text}"
        return f"new shapes {text}"

    @property
    def programs(self) -> list[Program]:
        """The Programs that are kept, the one used last at the end."""
        return list(self._programs.values())

    def latest(self) -> Program:
        """The Program that was planned or used last."""
        if self.newest is None:
            raise ValueError("no Program was planned yet: call the function first, or give shapes")
        return self.newest


def recent(kept: OrderedDict[_Key, _Value], key: _Key) -> _Value | None:
    """What is kept under `key`, now the one used last; None where there is nothing."""
    value = kept.get(key)
    if value is not None and len(kept) > 1:
        # Every call of a Function comes by here twice: `suppress` would take a twelfth of the shortest one.
        try:  # noqa: SIM105
            kept.move_to_end(key)
        except KeyError:  # another thread has just dropped it
            pass
    return value
