"""Random graphs against numpy: ``python -m tests.fuzz --graphs 20000 --seed 1``.

Graph number i of a run has the seed SEED + i and can be looked at alone: ``--graphs 1 --seed 12345``.
Kernels are compiled without optimisation, which takes a third of the time, unless ``--optimise`` is given.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from contextlib import nullcontext

# Kernels of random graphs are of no use to anybody else.
os.environ.setdefault("SYMGRAPH_CACHE", "")

from tests.fuzz.check import check_graph
from tests.fuzz.kernels import unoptimised

_CHUNK = 250


def _run(first: int, count: int) -> int:
    """Check graphs in this process. The number of those that differ."""
    failed, gradients, nodes = 0, 0, 0
    refused: Counter[str] = Counter()
    for seed in range(first, first + count):
        report = check_graph(seed)
        gradients += report.gradient
        nodes += report.nodes
        refused.update(text.split(":")[0] for text in report.refused)
        if report.differences:
            failed += 1
            print(f"graph {seed} differs:", *report.differences, sep="\n  ", flush=True)
    if count == 1 or refused.total() > 20 * count:
        print("refused:", dict(refused.most_common(8)))
    print(
        f"{count} graphs of {nodes} nodes from {first} on, {gradients} gradients: {failed} differ", flush=True
    )
    return failed


def main() -> int:
    """Run chunks of graphs, each in a process of its own, so that compiled kernels are let go."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--graphs", type=int, default=200, help="how many (default 200)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first one")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="how many at once")
    parser.add_argument("--optimise", action="store_true", help="compile kernels as users do")
    given = parser.parse_args()
    if given.graphs <= _CHUNK:
        with nullcontext() if given.optimise else unoptimised():
            return min(1, _run(given.seed, given.graphs))
    start, failed = time.perf_counter(), 0
    end = given.seed + given.graphs
    waiting = [(first, min(_CHUNK, end - first)) for first in range(given.seed, end, _CHUNK)]
    running: list[subprocess.Popen[bytes]] = []
    environment = {**os.environ, "SYMGRAPH_NUM_THREADS": "1"}
    while waiting or running:
        while waiting and len(running) < given.processes:
            first, count = waiting.pop(0)
            command = [sys.executable, "-m", "tests.fuzz", "--graphs", str(count), "--seed", str(first)]
            command += ["--optimise"] if given.optimise else []
            running.append(subprocess.Popen(command, env=environment))
        time.sleep(0.05)
        failed += sum(bool(p.poll()) for p in running if p.poll() is not None)
        running = [p for p in running if p.poll() is None]
    print(f"{given.graphs} graphs in {time.perf_counter() - start:.0f} s: {failed} chunks with differences")
    return min(1, failed)


if __name__ == "__main__":
    sys.exit(main())
