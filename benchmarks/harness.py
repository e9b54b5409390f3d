"""Engines side by side: each in a process of its own, taking turns in one run, medians of many calls.

The process of an engine waits on its standard input, so an engine that is not on turn does not use the
processor. Before the first turn it warms up; what it needed for that is told apart.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Engine:
    """A contender.

    `module` has ``make(*arguments, threads)``, which returns a callable that runs one measured call; it is
    loaded by `python`, with `environment` added to the process's own.
    """

    name: str
    module: str
    python: str = sys.executable
    environment: dict[str, str] = field(default_factory=dict)
    milliseconds: list[float] = field(default_factory=list)
    start_seconds: float = 0.0
    peak_mib: float = 0.0
    failure: str = ""

    @property
    def median(self) -> float:
        """Median of all calls, in milliseconds; infinite where the engine failed."""
        return statistics.median(self.milliseconds) if self.milliseconds else float("inf")


def run(
    engines: Sequence[Engine],
    arguments: Sequence[str],
    rounds: int,
    calls: int,
    threads: int,
    hopeless: float = float("inf"),
) -> None:
    """Let the engines take turns: `rounds` times `calls` calls each, on `threads` threads.

    Peers (all but the first engine) that take more than `hopeless` times as long as the fastest one have no
    second turn.
    """
    processes = {}
    try:
        for engine in engines:
            process = _start(engine, arguments, threads)
            ready = _read(engine, process)
            if ready is None:
                process.communicate()
                continue
            engine.start_seconds = ready["start_seconds"]
            processes[engine.name] = process
        for _ in range(rounds):
            for engine in promising(engines, hopeless):
                if engine.name in processes:
                    _turn(engine, processes[engine.name], calls)
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()


def promising(engines: Sequence[Engine], hopeless: float) -> list[Engine]:
    """The first engine, and its peers but those that were `hopeless` times slower than another."""
    ours, *peers = engines
    fastest = min((e.median for e in peers), default=0.0)
    return [ours, *(e for e in peers if not e.milliseconds or e.median <= hopeless * fastest)]


# Threads of the engine before may look for work for some 200 ms before they sleep.
_BETWEEN_TURNS = 0.5


def _turn(engine: Engine, process: subprocess.Popen[str], calls: int) -> None:
    assert process.stdin
    time.sleep(_BETWEEN_TURNS)
    process.stdin.write(f"{calls}\n")
    process.stdin.flush()
    answer = _read(engine, process)
    if answer is not None:
        engine.milliseconds += answer["milliseconds"]
        engine.peak_mib = answer["peak_mib"]


def _read(engine: Engine, process: subprocess.Popen[str]) -> dict | None:
    """The next answer of an engine; None, with the reason in `failure`, where it ended."""
    assert process.stdout
    for line in process.stdout:
        if line.startswith("{"):
            answer = dict(json.loads(line))
            if "failure" not in answer:
                return answer
            engine.failure = answer["failure"]
    code = process.wait()
    engine.failure = engine.failure or f"ended with exit code {code}"
    return None


def _start(engine: Engine, arguments: Sequence[str], threads: int) -> subprocess.Popen[str]:
    count = str(threads)
    environment = dict(os.environ, OMP_NUM_THREADS=count, NUMBA_NUM_THREADS=count, SYMGRAPH_NUM_THREADS=count)
    environment.update(engine.environment, PYTHONPATH=os.getcwd())
    command = [engine.python, "-m", "benchmarks.harness", engine.module, *arguments, count]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if os.environ.get("BENCH_VERBOSE") else subprocess.DEVNULL,
        text=True,
        env=environment,
    )


# Seconds after which a call has warmed up whatever there is.
_LONG_CALL = 2.0


def _serve(module: str, arguments: Sequence[str], threads: int) -> None:
    """The other side: make the call, then run it as often as each line of standard input asks for."""
    begin = time.perf_counter()
    make: Callable[..., Callable[[], object]] = importlib.import_module(module).make
    call = make(*arguments, threads)
    first = time.perf_counter()
    call()
    end = time.perf_counter()
    print(json.dumps({"start_seconds": end - begin}), flush=True)
    if end - first < _LONG_CALL:
        call()
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            start = time.perf_counter()
            call()
            times.append((time.perf_counter() - start) * 1e3)
        print(json.dumps({"milliseconds": times, "peak_mib": _peak_mib()}), flush=True)


def _peak_mib() -> float:
    """The most memory this process has had resident (Linux; getrusage would tell the parent's peak too)."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024


def main() -> None:
    """Serve, and say why where that ends, such as that there is no compiler for torch.compile."""
    try:
        _serve(sys.argv[1], sys.argv[2:-1], int(sys.argv[-1]))
    except Exception as error:
        text = f"{type(error).__name__}: {error}".splitlines()[0].replace("|", "/")
        print(json.dumps({"failure": text}), flush=True)
        raise


if __name__ == "__main__":
    main()
