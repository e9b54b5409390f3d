"""Steps on several ranks of this machine: predicted by `symgraph scale`, and measured.

    python -m benchmarks.scaling [--ranks 1,2,4] [--batch 128] [--steps 20] [--network mnist_cnn]

For each number of ranks it first lets them measure the step of one rank, all at the same time, and messages
between them, and predicts (``symgraph scale NETWORK --measure``); then they train together. Each rank has as
many threads as there are processors for it, at least one: with more ranks than processors they take turns,
which the step that they measure contains. Needs an MPI: `pip install symgraph[mpi]`.
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

_SIZES = ("weak", "strong")


def main() -> None:
    """Measure, predict, print; a rank prints what it measured as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ranks", default="1,2,4")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--network", default="mnist_cnn")
    parser.add_argument("--as-rank", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.as_rank:
        found = trained(options.network, options.batch, options.steps)
        if found is not None:
            print(json.dumps(found))
        return
    print(
        f"{options.network}, {options.batch} samples on each rank (weak) or on all (strong), "
        f"{len(os.sched_getaffinity(0))} processors; ms a step"
    )
    print("ranks  scaling  alone  allreduce  predicted  measured  measured / predicted  efficiency")
    for ranks in (int(part) for part in options.ranks.split(",")):
        for line in compared(options, ranks):
            print(line, flush=True)


def compared(options: argparse.Namespace, ranks: int) -> list[str]:
    """A line for each scaling."""
    predicted = predictions(options, ranks)
    command = [sys.executable, "-m", "benchmarks.scaling", "--as-rank", "--network", options.network]
    command += ["--batch", str(options.batch), "--steps", str(options.steps)]
    measured = json.loads(run(ranks, command))
    return [
        f"{ranks:5d}  {scaling:7s}  {1e3 * row['compute']:5.1f}  {1e3 * row['allreduce']:9.2f}  "
        f"{1e3 * row['step']:9.1f}  {1e3 * measured[scaling]:8.1f}  {measured[scaling] / row['step']:20.2f}  "
        f"{row['efficiency'] * row['step'] / measured[scaling]:10.2f}"
        for scaling, row in predicted.items()
    ]


def predictions(options: argparse.Namespace, ranks: int) -> dict[str, dict[str, Any]]:
    """The step without overlap, with the cheapest algorithm, by scaling."""
    command = [sys.executable, "-m", "symgraph", "scale", options.network, "--json", "--nodes", str(ranks)]
    command += ["--batch-size", str(options.batch)] + (["--measure"] if ranks > 1 else [])
    rows = json.loads(run(ranks, command, whole=True))["predictions"]
    plain = [row for row in rows if not row["overlap"]]
    return {
        scaling: min((row for row in plain if row["scaling"] == scaling), key=lambda row: row["step"])
        for scaling in _SIZES
    }


def run(ranks: int, command: list[str], whole: bool = False) -> str:
    """The last line that so many ranks of a command print, or all of it."""
    threads = str(max(1, len(os.sched_getaffinity(0)) // ranks))
    environment = {**os.environ, "SYMGRAPH_NUM_THREADS": threads, "NUMBA_NUM_THREADS": threads}
    if ranks > 1:
        beside = Path(sys.executable).with_name("mpirun")
        found = str(beside) if beside.is_file() else shutil.which("mpirun")
        if found is None:
            raise SystemExit("no mpirun was found: pip install symgraph[mpi]")
        command = [found, "--allow-run-as-root", "--oversubscribe", "-n", str(ranks), *command]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SystemExit(f"{' '.join(command)}\n{ran.stdout}{ran.stderr}")
    return ran.stdout if whole else ran.stdout.splitlines()[-1]


def trained(network: str, batch: int, steps: int) -> dict[str, float] | None:
    """Median seconds of a step of `fit` on all ranks together, by scaling; None on all but the first."""
    import numpy as np

    from symgraph.callbacks import LambdaCallback
    from symgraph.distributed import world
    from symgraph.distributed.scaling.observe import named_model
    from symgraph.engine.training_parts.trial import trial_data

    ranks, found = world(), {}
    for scaling in _SIZES:
        rows = batch * ranks.size if scaling == "weak" else batch
        model = named_model(network)
        data = trial_data(model, rows)
        x, y = (np.concatenate([part] * steps) for part in (data.x[0], data.y[0]))
        model.fit(x[: 3 * rows], y[: 3 * rows], batch_size=rows, verbose=0)
        times: list[float] = []
        note = LambdaCallback(
            on_batch_begin=lambda *_, times=times: times.append(-time.perf_counter()),
            on_batch_end=lambda *_, times=times: times.append(times.pop() + time.perf_counter()),
        )
        ranks.barrier()
        model.fit(x, y, batch_size=rows, verbose=0, shuffle=False, callbacks=[note])
        found[scaling] = statistics.median(times)
    return found if ranks.rank == 0 else None


if __name__ == "__main__":
    main()
