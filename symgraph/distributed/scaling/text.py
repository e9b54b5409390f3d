"""Predictions and measurements as text, and as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from symgraph.distributed.scaling.costs import ALGORITHMS, allreduce
from symgraph.distributed.scaling.measure import Measured
from symgraph.distributed.scaling.network import Network
from symgraph.distributed.scaling.predict import Prediction
from symgraph.distributed.scaling.workload import Workload
from symgraph.inspection.text.table import byte_text, count_text, table, time_text

_WHAT = {
    "weak": "weak scaling: {0.batch} samples on each node",
    "strong": "strong scaling: {0.batch} samples on all nodes together",
}
_COSTS = ("allreduce", "step", "samples/s", "efficiency")


def scale_lines(
    workload: Workload, network: Network, predictions: Sequence[Prediction], buckets: int
) -> Iterator[str]:
    """The workload, the network, and a table for each scaling."""
    yield (
        f"{workload.name}: {time_text(workload.step)} a step of {workload.batch} samples on one node "
        f"({time_text(workload.fixed)} of it whatever their number, {100 * workload.backward:.0f} % of all "
        f"before the update backward), {byte_text(workload.nbytes)} of gradients"
    )
    yield network_line(network)
    algorithms = list(dict.fromkeys(found.algorithm for found in predictions))
    for scaling in dict.fromkeys(found.scaling for found in predictions):
        yield ""
        yield _WHAT[scaling].format(workload)
        rows = [found for found in predictions if found.scaling == scaling]
        yield from _one(rows) if len(algorithms) == 1 else _all(rows, algorithms)
    yield ""
    messages = f"{buckets} message{'s' if buckets > 1 else ''}"
    yield (
        "efficiency: throughput over that of so many single nodes; overlapped: what it would be with "
        f"gradients in {messages} while the backward pass goes on; fit sends them together, after it"
    )


def network_line(network: Network) -> str:
    """The parameters of a network."""
    return (
        f"{network.name}: {time_text(network.latency)} a message, {count_text(network.bandwidth)}B/s, "
        f"{count_text(network.reduction)}B/s added"
    )


def _pairs(rows: Sequence[Prediction]) -> Iterator[tuple[Prediction, Prediction]]:
    """Each prediction without overlap, and the one with overlap."""
    return zip(rows[::2], rows[1::2], strict=True)


def _one(rows: Sequence[Prediction]) -> list[str]:
    """All figures of one algorithm."""
    head = ("nodes", "compute", *_COSTS, *(f"{name}, overlapped" for name in _COSTS[1:]))
    return table(
        head,
        [
            (str(plain.nodes), time_text(plain.compute), _seconds(plain.allreduce), *_of(plain), *_of(over))
            for plain, over in _pairs(rows)
        ],
        range(len(head)),
    )


def _of(found: Prediction) -> tuple[str, str, str]:
    return time_text(found.step), f"{found.throughput:,.0f}", _percent(found)


def _all(rows: Sequence[Prediction], algorithms: Sequence[str]) -> list[str]:
    """Efficiency with each algorithm, and the figures of the best one as `fit` exchanges: without overlap."""
    names = [name for algorithm in algorithms for name in (algorithm, "overlapped")]
    head = ("nodes", "compute", *names, "best", *_COSTS[:3])
    lines = []
    for nodes in dict.fromkeys(found.nodes for found in rows):
        here = [found for found in rows if found.nodes == nodes]
        best = max((found for found in here if not found.overlap), key=lambda found: found.throughput)
        lines.append(
            (
                str(nodes),
                time_text(best.compute),
                *(_percent(found) for found in here),
                best.algorithm if nodes > 1 else "-",
                _seconds(best.allreduce),
                *_of(best)[:2],
            )
        )
    return table(head, lines, [i for i in range(len(head)) if head[i] != "best"])


def _percent(found: Prediction) -> str:
    return f"{100 * found.efficiency:.1f} %"


def _seconds(seconds: float) -> str:
    return time_text(seconds) if seconds else "-"


def measured_lines(found: Measured) -> Iterator[str]:
    """What was measured between ranks, beside what the formulas say."""
    yield network_line(found.network)
    yield ""
    yield from table(
        ("message", "measured", "alpha-beta"),
        [
            (byte_text(size), time_text(seconds), time_text(found.network.alpha + size * found.network.beta))
            for size, seconds in found.messages.items()
        ],
        range(3),
    )
    yield ""
    yield from table(
        ("allreduce", "measured", *ALGORITHMS),
        [
            (
                byte_text(size),
                time_text(seconds),
                *(time_text(allreduce(name, found.network, found.ranks, size)) for name in ALGORITHMS),
            )
            for size, seconds in found.allreduces.items()
        ],
        range(2 + len(ALGORITHMS)),
    )


def scale_data(
    workload: Workload | None,
    network: Network,
    predictions: Sequence[Prediction],
    buckets: int,
    measured: Measured | None,
) -> dict[str, Any]:
    """All of it as dictionaries, lists, numbers and text: seconds, bytes, bytes a second."""
    data: dict[str, Any] = {"kind": "scale", "network": asdict(network)}
    if measured is not None:
        data["measured"] = {
            "ranks": measured.ranks,
            "messages": [{"bytes": size, "seconds": took} for size, took in measured.messages.items()],
            "allreduces": [{"bytes": size, "seconds": took} for size, took in measured.allreduces.items()],
        }
    if workload is not None:
        data["workload"] = {**asdict(workload), "nbytes": workload.nbytes}
        data["buckets"] = buckets
        data["predictions"] = [asdict(found) for found in predictions]
    return data
