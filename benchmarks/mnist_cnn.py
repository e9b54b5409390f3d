"""Training of the classic MNIST network, batch 128, symgraph beside PyTorch in both memory layouts.

    python -m benchmarks.mnist_cnn [--rounds 7] [--calls 3] [--threads 2]

Conv32-Conv64-MaxPool-Dropout.25-Flatten-Dense128-Dropout.5-Dense10, categorical cross-entropy, Adadelta.
Prints the median milliseconds a step and the ratio to the best peer.
"""

from __future__ import annotations

import argparse

from benchmarks.harness import run
from benchmarks.peers import ours, peers
from benchmarks.workloads import WORKLOADS


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    engines = [ours(), *peers("torch eager")]
    run(engines, ["mnist_cnn", "train"], options.rounds, options.calls, options.threads)
    for engine in engines:
        print(f"{engine.name:20s} {engine.median / WORKLOADS['mnist_cnn'].batches:8.2f} ms a step")
    if len(engines) > 1:
        best = min(engines[1:], key=lambda e: e.median)
        print(f"ratio to the best peer ({best.name}): {engines[0].median / best.median:.3f}")


if __name__ == "__main__":
    main()
