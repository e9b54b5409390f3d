"""Training of the classic MNIST network by several processes, beside one process with as many threads.

    python -m benchmarks.data_parallel [--ranks 2] [--rounds 5] [--steps 60] [--batch 128]

One rank with N threads and N ranks with one thread each train alternately on the same batches. Prints the
median milliseconds a step of both, the ratio of their throughputs, and what the profiler says of the exchange
between ranks. Needs an MPI: `pip install symgraph[mpi]`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Measure and print; a rank measures itself and prints what it found as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--as-rank", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.as_rank:
        found = measure(options.steps, options.batch)
        if found:
            print(json.dumps(found))
        return
    one, several = [], []
    for _ in range(options.rounds):
        one.append(run(options, 1, options.ranks))
        several.append(run(options, options.ranks, 1))
    print(text(options, one, several))


def run(options: argparse.Namespace, ranks: int, threads: int) -> dict[str, Any]:
    """What so many ranks with so many threads each measure."""
    child = [sys.executable, "-m", "benchmarks.data_parallel", "--as-rank"]
    child += ["--steps", str(options.steps), "--batch", str(options.batch)]
    environment = {**os.environ, "SYMGRAPH_NUM_THREADS": str(threads), "NUMBA_NUM_THREADS": str(threads)}
    command = [*launcher(ranks), *child] if ranks > 1 else child
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SystemExit(f"{' '.join(command)}\n{ran.stdout}{ran.stderr}")
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


def launcher(ranks: int) -> list[str]:
    """How ranks are started: by the mpirun beside this Python, or on the path."""
    beside = Path(sys.executable).with_name("mpirun")
    found = str(beside) if beside.is_file() else shutil.which("mpirun")
    if found is None:
        raise SystemExit("no mpirun was found: pip install symgraph[mpi]")
    return [found, "--allow-run-as-root", "--oversubscribe", "-n", str(ranks)]


def measure(steps: int, batch: int) -> dict[str, Any] | None:
    """Milliseconds a step, and the share of the exchange; None on all but the first rank."""
    import numpy as np

    import symgraph
    from symgraph.distributed import world
    from symgraph.models.mnist_cnn import build

    rng = np.random.default_rng(0)
    x = rng.random((batch * steps, 28, 28, 1), np.float32)
    y = np.eye(10, dtype=np.float32)[rng.integers(0, 10, len(x))]
    model = build((28, 28, 1))
    model.fit(x[: 3 * batch], y[: 3 * batch], batch_size=batch, verbose=0)
    world().barrier()
    start = time.perf_counter()
    model.fit(x, y, batch_size=batch, verbose=0)
    seconds = time.perf_counter() - start
    with symgraph.profile() as profile:
        model.fit(x, y, batch_size=batch, verbose=0)
    if world().rank:
        return None
    (times,) = profile.functions
    groups = {group.name: group.share for group in times.groups("op")}
    exchanged = sum(share for name, share in groups.items() if name.startswith(("allreduce", "allgather")))
    return {"ms": 1e3 * seconds / steps, "exchange": exchanged, "table": profile.table("op")}


def text(options: argparse.Namespace, one: list[dict[str, Any]], several: list[dict[str, Any]]) -> str:
    """The figures."""
    alone, together = (statistics.median(round["ms"] for round in rounds) for rounds in (one, several))
    share = statistics.median(found["exchange"] for found in several)
    middle = min(several, key=lambda found: abs(found["exchange"] - share))
    ratios = [a["ms"] / b["ms"] for a, b in zip(one, several, strict=True)]
    return "\n".join(
        [
            f"batch {options.batch}, {options.rounds} rounds of {options.steps} steps",
            f"1 rank, {options.ranks} threads    {alone:8.2f} ms a step",
            f"{options.ranks} ranks, 1 thread each {together:8.2f} ms a step",
            f"throughput {alone / together:.3f} of one process ({min(ratios):.3f} to {max(ratios):.3f})",
            f"exchange   {100 * share:.1f} % of a step, waiting for the slower rank in it",
            "",
            middle["table"],
        ]
    )


if __name__ == "__main__":
    main()
