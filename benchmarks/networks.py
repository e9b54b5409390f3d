"""Ready networks, symgraph beside every peer: the tables of NETWORKS.md.

    python -m benchmarks.networks [--task predict] [--networks VGG16,ResNet50] [--batches 1,8]
    [--peers torch,onnxruntime] [--rounds 5] [--calls 2] [--threads 2] [--out benchmarks/NETWORKS.md]

Every engine builds the same layers with the same weights from one description, and what they compute is
compared first. They take turns in one run; figures are medians. Peers are found in `SYMGRAPH_PEERS` (default
.venv/peers, made by `make bench`).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.harness import Engine, run
from benchmarks.network_files import forget, results
from benchmarks.network_zoo import NETWORKS, UNET_SIDE, write
from benchmarks.peers import ours, peers, predicting_peers
from benchmarks.report import machine, row, rule


@dataclass(frozen=True)
class Task:
    """What is measured unless the command says otherwise.

    `calls` are those of a turn, and `at_once` is how many peers live beside ours at a time: training takes
    gigabytes in each.
    """

    title: str
    networks: tuple[str, ...]
    batches: tuple[int, ...]
    rounds: int
    calls: int
    at_once: int


TASKS = {
    "predict": Task("Prediction", ("VGG16", "ResNet50", "MobileNetV2", "InceptionV3"), (1, 8), 3, 2, 6),
    "train": Task("Training", ("VGG16", "ResNet50", "UNet"), (8,), 2, 1, 3),
}


# Peers so many times slower than the fastest one have one turn: all tables take a quarter of an hour.
HOPELESS = 2.0


@dataclass(frozen=True)
class Pair:
    """A peer, and symgraph as it was measured in turns with it."""

    peer: Engine
    ours: Engine

    @property
    def ratio(self) -> float:
        """Of our time to the peer's: 0 where it failed."""
        return self.ours.median / self.peer.median


def main() -> None:
    """Measure what was asked for, print a table for each task and write them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", choices=TASKS, help="default: both")
    parser.add_argument("--networks", help=f"of {', '.join(NETWORKS)}")
    parser.add_argument("--batches", help="default: 1,8 for prediction, 8 for training")
    parser.add_argument("--peers", default="all", help="beginnings of their names, none for symgraph alone")
    parser.add_argument("--rounds", type=int, help="default: 3 for prediction, 2 for training")
    parser.add_argument("--calls", type=int, help="in a turn; default: 2 for prediction, 1 for training")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    for name in options.networks.split(",") if options.networks else ():
        if name not in NETWORKS:
            parser.error(f"there is no network {name!r}; there are {', '.join(NETWORKS)}")
    lines = []
    for name in [options.task] if options.task else TASKS:
        lines += _table(name, options)
    if options.out:
        head = [
            *_HEAD,
            *machine(options.threads, "python -m benchmarks.networks --out benchmarks/NETWORKS.md"),
        ]
        options.out.write_text("\n".join([*head, *lines]) + "\n")


_HEAD = (
    "# Networks",
    "",
    "Milliseconds a batch (median); our time as a part of each peer's; peak resident memory; seconds from",
    "the start of the process to the end of its first call (imports, reading weights, compiling; our",
    "kernels come from its cache); the largest difference from our results, as a part of the largest of",
    "them. In brackets: the fastest peer. All engines have the same layers and weights.",
    "",
    "Results of prediction are probabilities, those of training the losses of the first two steps (SGD",
    "with momentum): the second differs by what rounding, and U-Net's dropout, make of the weights.",
    f"U-Net has padding and pictures of {UNET_SIDE} x {UNET_SIDE}.",
    "",
)


def _table(name: str, options: argparse.Namespace) -> list[str]:
    """Measure one task, network after network."""
    task = TASKS[name]
    networks = options.networks.split(",") if options.networks else task.networks
    batches = [int(b) for b in options.batches.split(",")] if options.batches else task.batches
    names = [peer.name for peer in _peers(name, options.peers)]
    head = [
        "network (batch)", "symgraph ms", "best peer ms", "ratio", *names,
        "peak MiB", "first call s", "parameters", "difference",
    ]  # fmt: skip
    lines = ["", f"## {task.title}", "", row(head), rule(len(head))]
    print("\n".join(lines), flush=True)
    for network in networks:
        with tempfile.TemporaryDirectory() as folder:
            write(network, Path(folder), onnx="onnxruntime" in names)
            for batch in batches:
                pairs = _measure(name, batch, folder, options)
                lines.append(row([f"{network} ({batch})", *cells(pairs, comparison(folder))]))
                print(lines[-1], flush=True)
    return lines


def _peers(task: str, chosen: str) -> list[Engine]:
    found = peers(chosen, "network")
    return [*found, *predicting_peers(chosen)] if task == "predict" else found


def _measure(task: str, batch: int, folder: str, options: argparse.Namespace) -> list[Pair]:
    """Each peer in turns with symgraph."""
    found = _peers(task, options.peers)
    forget(folder)
    rounds, calls = options.rounds or TASKS[task].rounds, options.calls or TASKS[task].calls
    size = TASKS[task].at_once
    pairs = []
    for start in range(0, max(1, len(found)), size):
        symgraph, group = ours("network"), found[start : start + size]
        run([symgraph, *group], [folder, task, str(batch)], rounds, calls, options.threads, HOPELESS)
        pairs += [Pair(peer, symgraph) for peer in group]
    return pairs or [Pair(symgraph, symgraph)]


def cells(pairs: Sequence[Pair], compared: Sequence[str]) -> list[str]:
    """All but the first cell of a row; the last ones are what `comparison` tells."""
    best = max(pairs, key=lambda pair: pair.ratio)
    symgraph, peer = best.ours, best.peer
    alone = peer is symgraph
    return [
        f"{symgraph.median:.1f}",
        "-" if alone else f"{peer.median:.1f} {peer.name}",
        "-" if alone else f"**{best.ratio:.2f}**",
        *(f"{p.ratio:.2f}" if p.peer.milliseconds else p.peer.failure for p in pairs if not alone),
        f"{symgraph.peak_mib:.0f} ({peer.peak_mib:.0f})",
        f"{symgraph.start_seconds:.1f} ({peer.start_seconds:.1f})",
        *compared,
    ]


def comparison(folder: str | Path) -> list[str]:
    """Numbers of parameters, and the largest difference of a peer's result from ours."""
    found = results(folder)
    if "symgraph" not in found:
        return ["-", "-"]
    expected, parameters = found.pop("symgraph")
    counts = {parameters, *(count for _, count in found.values())}
    differences = [
        (float(np.abs(result - expected).max() / np.max(expected)), name)
        for name, (result, _) in found.items()
    ]
    worst = max(differences, default=None)
    return [" / ".join(f"{c:,}" for c in counts), f"{worst[0]:.1e} {worst[1]}" if worst else "-"]


if __name__ == "__main__":
    main()
