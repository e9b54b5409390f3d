"""Two or more engines side by side: each in a process of its own, taking turns, medians of many steps.

An engine is a function in a module: ``module:function`` returns a callable that runs one step. The process
waits on its standard input, so an engine that is not on turn does not use the processor.
"""

from __future__ import annotations

import importlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass
class Engine:
    """A contender: its name, ``module:function``, and the milliseconds of its steps so far."""

    name: str
    target: str
    milliseconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Median of all steps, in milliseconds."""
        return statistics.median(self.milliseconds)


def run(engines: Sequence[Engine], rounds: int, steps: int, threads: int) -> None:
    """Let the engines take turns: `rounds` times `steps` steps each, on `threads` threads."""
    processes = [_start(engine, threads) for engine in engines]
    try:
        for _ in range(rounds):
            for engine, process in zip(engines, processes, strict=True):
                assert process.stdin and process.stdout
                process.stdin.write(f"{steps}\n")
                process.stdin.flush()
                line = process.stdout.readline()
                if not line:
                    raise RuntimeError(f"{engine.name} ended with exit code {process.wait()}")
                engine.milliseconds += [float(word) for word in line.split()]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _start(engine: Engine, threads: int) -> subprocess.Popen[str]:
    count = str(threads)
    environment = dict(os.environ, OMP_NUM_THREADS=count, NUMBA_NUM_THREADS=count, SYMGRAPH_NUM_THREADS=count)
    command = [sys.executable, "-m", "benchmarks.harness", engine.target, count]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )


def _serve(target: str, threads: int) -> None:
    """The other side.

    Run as many steps as each line of standard input asks for, and print their milliseconds.
    """
    module, name = target.split(":")
    make: Callable[[int], Callable[[], object]] = getattr(importlib.import_module(module), name)
    step = make(threads)
    for _ in range(3):
        step()
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            start = time.perf_counter()
            step()
            times.append((time.perf_counter() - start) * 1e3)
        print(*times, flush=True)


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
