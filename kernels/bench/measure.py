"""Time one kernel: sides that are compared take turns, so that what else happens on the machine meets all."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symgraph.kernels.bench.figures import Figures, KernelCall
from symgraph.kernels.bench.problem import Problem
from symgraph.kernels.ceilings import measure_ceilings
from symgraph.kernels.run.buffer import Buffer
from symgraph.kernels.run.choices import ALGORITHMS, MOST_ROWS, MOST_VECTORS, choosing
from symgraph.kernels.run.jit import Kernel
from symgraph.kernels.run.machine import Lease, Row, Table
from symgraph.kernels.run.threads import get_num_threads, most_threads

_LEAST_RUNS = 5
# Short kernels are called so often in a run that it takes this many seconds: a clock has its limits.
_LEAST_SECONDS = 2e-4


def measure(
    problem: Problem,
    *,
    against: Sequence[str] = (),
    blocks: Sequence[tuple[int, int]] = (),
    threads: int | None = None,
    seconds: float = 1.0,
    runs: int | None = None,
) -> tuple[Figures, ...]:
    """Run a problem again and again, and tell how long it takes.

    Every side is planned and compiled, and has run once, before the first time is taken. The outputs hold
    what the last run left.

    Parameters
    ----------
    against : sequence of str
        Algorithms of a convolution to compare: auto, direct, winograd, winograd_2x2, winograd_4x4.
    blocks : sequence of (int, int)
        Blocks of registers to compare, as rows and vectors; convolutions then take direct sums.
    threads : int, optional
        Those that are set for all Functions if not given.
    seconds : float
        For each side.
    runs : int, optional
        How many times are taken for each side, however long that takes.

    Returns
    -------
    tuple of Figures
        For each side, in the order of the arguments; a single one if there is nothing to compare.

    Raises
    ------
    ValueError
        An argument is not what was expected, or names what there is not for these shapes.
    """
    threads = _checked_threads(threads)
    if runs is not None and (not isinstance(runs, int) or runs < 1):
        raise ValueError(f"runs: expected a number of at least 1, got {runs!r}")
    if not seconds > 0:
        raise ValueError(f"seconds: expected more than 0, got {seconds!r}")
    sides = [_Side(problem, *wish, threads) for wish in _wanted(problem, against, blocks)]
    times = _times(sides, seconds, runs)
    ceilings = measure_ceilings(threads)
    found = []
    for side, taken in zip(sides, times, strict=True):
        low, median, high = (float(q) for q in np.quantile(taken, (0.25, 0.5, 0.75)))
        found.append(
            Figures(
                kernel=problem.kernel,
                side=side.name,
                dtype=problem.dtype,
                threads=threads,
                runs=len(taken),
                seconds=median,
                fastest=min(taken),
                quartiles=(low, high),
                flops=problem.flops,
                bytes=problem.bytes,
                ceilings=ceilings,
                calls=side.calls,
            )
        )
    return tuple(found)


def _checked_threads(threads: int | None) -> int:
    if threads is None:
        return get_num_threads()
    if not isinstance(threads, int) or not 1 <= threads <= most_threads():
        raise ValueError(f"threads: expected 1 to {most_threads()}, got {threads!r}")
    return threads


_Wish = tuple[str, str, tuple[int, int] | None]


def _wanted(problem: Problem, against: Sequence[str], blocks: Sequence[tuple[int, int]]) -> list[_Wish]:
    """Name, algorithm and block of each side."""
    if against and not problem.algorithms:
        raise ValueError(f"against: {problem.kernel} has one algorithm only, got {', '.join(against)}")
    if blocks and not problem.blocks:
        raise ValueError(f"blocks: {problem.kernel} has no block of registers to choose, got {blocks!r}")
    wishes: list[_Wish] = []
    for algorithm in against:
        if algorithm not in ALGORITHMS:
            raise ValueError(f"against: expected some of {', '.join(ALGORITHMS)}, got {algorithm!r}")
        wishes.append((algorithm, algorithm, None))
    for rows, vectors in blocks:
        if not (1 <= rows <= MOST_ROWS and 1 <= vectors <= MOST_VECTORS):
            raise ValueError(
                f"blocks: expected 1 to {MOST_ROWS} rows and 1 to {MOST_VECTORS} vectors, "
                f"got {rows}x{vectors}"
            )
        wishes.append((f"{rows}x{vectors}", "direct" if problem.algorithms else "", (rows, vectors)))
    names = [name for name, _, _ in wishes]
    if len(set(names)) < len(names):
        raise ValueError(f"expected different sides, got {', '.join(names)}")
    return wishes or [("planned", "", None)]


@dataclass(frozen=True)
class _Scratch:
    """Gives memory that lies in `held` as long as that does."""

    held: list[np.ndarray]

    def __call__(self, shape: Sequence[int], dtype: np.dtype | type | str) -> Buffer:
        self.held.append(np.zeros(shape, dtype))
        return self.buffer(len(self.held) - 1)

    def buffer(self, number: int) -> Buffer:
        """The description of one of the arrays."""
        array = self.held[number]
        return Buffer(number, 0, array.shape, array.strides, array.dtype)


class _Side:
    """One way to compute a problem, planned and compiled, after a first run."""

    def __init__(
        self, problem: Problem, name: str, algorithm: str, block: tuple[int, int] | None, threads: int
    ) -> None:
        self.name = name
        self._held = [*problem.inputs.values(), *problem.outputs.values()]
        scratch = _Scratch(self._held)
        buffers = [scratch.buffer(i) for i in range(len(self._held))]
        with choosing(algorithm, block):
            rows = problem.plan(*buffers, threads=threads, scratch=scratch)
        _check_taken([row.kernel.name for row in rows], algorithm, block)
        lasting = [row for row in rows if row.lasting]
        rows = [*lasting, *(row for row in rows if not row.lasting)]
        self._first = len(lasting)
        self._lease = Lease(Table(rows, threads), len(self._held))
        self._lease.bases[:] = [array.ctypes.data for array in self._held]
        self.calls = tuple(_call(row) for row in rows)
        self._lease.run()
        self._count = max(1, int(_LEAST_SECONDS / self._time(1)))

    def time(self) -> float:
        """Seconds of a run."""
        return self._time(self._count)

    def _time(self, count: int) -> float:
        start = time.perf_counter()
        for _ in range(count):
            self._lease.run(self._first)
        return (time.perf_counter() - start) / count


def _call(row: Row) -> KernelCall:
    kernel = row.kernel
    assert isinstance(kernel, Kernel), "no planning function plans calls of Python"
    return KernelCall(kernel.name, row.tiles, kernel.compile_seconds or 0.0, row.lasting, kernel)


def _check_taken(names: Sequence[str], algorithm: str, block: tuple[int, int] | None) -> None:
    """Refuse what the shapes do not allow: the names of kernels tell what was taken."""
    family, _, tile = algorithm.partition("_")
    tiled = [name for name in names if name.startswith("winograd")]
    taken = ", ".join(names)
    if family == "winograd" and not any(tile in name.split("[")[0] for name in tiled):
        raise ValueError(f"against: these shapes and this dtype have no {algorithm}, got {taken}")
    if block is not None and not any(f"{block[0]}x{block[1]}" in re.split(r"[\[, \]]+", n) for n in names):
        raise ValueError(f"blocks: these shapes have no block of {block[0]}x{block[1]}, got {taken}")


def _times(sides: Sequence[_Side], seconds: float, runs: int | None) -> list[list[float]]:
    """Seconds of each run of each side; another side begins each round."""
    times: list[list[float]] = [[] for _ in sides]
    end = time.perf_counter() + seconds * len(sides)
    rounds = 0
    while rounds < (runs or _LEAST_RUNS) or (runs is None and time.perf_counter() < end):
        for i in range(len(sides)):
            number = (i + rounds) % len(sides)
            times[number].append(sides[number].time())
        rounds += 1
    return times
