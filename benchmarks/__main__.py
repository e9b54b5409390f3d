"""All workloads, training and prediction, symgraph beside every peer: the table of RESULTS.md.

    python -m benchmarks [--workloads mnist_cnn,...] [--modes train,predict] [--peers all] [--out
    benchmarks/RESULTS.md]

Peers are found in `SYMGRAPH_PEERS` (default .venv/peers, made by `make bench`). Sides take turns in one run;
figures are medians; data are real-valued random numbers; every Keras-like engine goes through `fit` and
`predict`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import Engine, run
from benchmarks.peers import ours, peers
from benchmarks.report import machine, row, rule
from benchmarks.workloads import WORKLOADS


def main() -> None:
    """Measure everything that was asked for and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workloads", default=",".join(WORKLOADS))
    parser.add_argument("--modes", default="train,predict")
    parser.add_argument("--peers", default="all")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    lines = [*_HEAD, *machine(options.threads, "python -m benchmarks --out benchmarks/RESULTS.md")]
    for mode in options.modes.split(","):
        lines += _mode(mode, options)
    text = "\n".join(lines) + "\n"
    print(text)
    if options.out:
        options.out.write_text(text)


_HEAD = (
    "# Results",
    "",
    "Milliseconds a step (median), the ratio to the best peer, peak resident memory, and seconds from",
    "the start of the process to the end of its first call (imports, building, compiling; our kernels",
    "come from its cache).",
    "",
)


def _mode(mode: str, options: argparse.Namespace) -> list[str]:
    title = {"train": "Training", "predict": "Prediction"}[mode]
    lines = ["", f"## {title}", ""]
    head: list[str] = []
    for name in options.workloads.split(","):
        engines = [ours(), *peers(options.peers)]
        run(engines, [name, mode], options.rounds, options.calls, options.threads)
        if not head:
            head = [
                "workload",
                *(e.name for e in engines),
                "ratio to best peer",
                "peak MiB (best peer)",
                "first call s",
            ]
            lines += [row(head), rule(len(head))]
        lines.append(row(_cells(name, engines)))
        print(lines[-1], flush=True)
    return lines


def _cells(name: str, engines: Sequence[Engine]) -> list[str]:
    workload = WORKLOADS[name]
    cells = [f"{name} ({workload.batch})"]
    cells += [f"{e.median / workload.batches:.2f}" if e.milliseconds else "failed" for e in engines]
    best = min(engines[1:], key=lambda e: e.median, default=None)
    if best is None or not best.milliseconds:
        return [*cells, "-", f"{engines[0].peak_mib:.0f}", f"{engines[0].start_seconds:.1f}"]
    return [
        *cells,
        f"**{engines[0].median / best.median:.2f}**",
        f"{engines[0].peak_mib:.0f} ({best.peak_mib:.0f})",
        f"{engines[0].start_seconds:.1f} ({best.start_seconds:.1f})",
    ]


if __name__ == "__main__":
    main()
