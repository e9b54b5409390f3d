"""Prediction with ResNet50, symgraph beside onnxruntime.

    python -m benchmarks.resnet50 [--batches 1,32] [--rounds 7] [--calls 3] [--threads 2]

Both run the same network with the same weights on the same pictures, 224 x 224, and take turns in one run;
times are medians. Probabilities of both are compared first. onnxruntime is found in `SYMGRAPH_PEERS` (default
.venv/peers, made by `make bench`).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.harness import Engine, run
from benchmarks.peers import onnxruntime

_HEAD = (
    "batch",
    "symgraph ms",
    "onnxruntime ms",
    "ratio",
    "images/s",
    "peak MiB",
    "first call s",
    "largest difference",
)


def main() -> None:
    """Measure and print a line for each size of batch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", default="1,32", help="sizes of batches")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    print(f"ResNet50, prediction, {options.threads} threads, float32; (in brackets: onnxruntime)\n")
    print(f"| {' | '.join(_HEAD)} |")
    print(f"| {' | '.join(['---'] * len(_HEAD))} |", flush=True)
    for batch in options.batches.split(","):
        engines = [Engine("symgraph", "benchmarks.engines.symgraph_resnet50"), *onnxruntime()]
        with tempfile.TemporaryDirectory() as folder:
            run(engines, [batch, folder], options.rounds, options.calls, options.threads)
            difference = _difference(Path(folder))
        print(f"| {' | '.join(_cells(int(batch), engines, difference))} |", flush=True)


def _difference(folder: Path) -> str:
    """Between the probabilities that the engines left, as a part of the largest one."""
    found = [np.load(path) for path in sorted(folder.glob("*.npy"))]
    return f"{np.abs(found[0] - found[1]).max() / found[0].max():.1e}" if len(found) == 2 else "-"


def _cells(batch: int, engines: list[Engine], difference: str) -> list[str]:
    ours, *others = engines
    cells = [str(batch), *(f"{e.median:.2f}" if e.milliseconds else e.failure for e in engines)]
    cells += [f"{ours.median / e.median:.2f}" for e in others] or ["-", "-"]
    for figures in (
        [f"{1e3 * batch / e.median:.1f}" for e in engines],
        [f"{e.peak_mib:.0f}" for e in engines],
        [f"{e.start_seconds:.1f}" for e in engines],
    ):
        cells.append(figures[0] + "".join(f" ({other})" for other in figures[1:]))
    return [*cells, difference]


if __name__ == "__main__":
    main()
