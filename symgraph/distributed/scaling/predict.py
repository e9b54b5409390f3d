"""Steps on more nodes: predicted from a workload and a network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from symgraph.distributed.scaling.costs import ALGORITHMS, allreduce
from symgraph.distributed.scaling.network import Network
from symgraph.distributed.scaling.workload import Workload

SCALINGS = ("weak", "strong")
"""Weak: each node has the batch of the one node. Strong: the nodes share that batch."""


@dataclass(frozen=True)
class Prediction:
    """A step on several nodes.

    Attributes
    ----------
    nodes : int
    scaling, algorithm : str
    overlap : bool
        Whether gradients are exchanged while the backward pass makes others.
    rows : int
        Samples of the node that has most.
    compute : float
        Seconds that this node computes.
    allreduce : float
        Seconds of the Allreduce of all gradients.
    step : float
        Seconds of the step.
    throughput : float
        Samples a second, on all nodes.
    speedup : float
        The throughput over that of one node.
    efficiency : float
        The speedup over the number of nodes.
    """

    nodes: int
    scaling: str
    algorithm: str
    overlap: bool
    rows: int
    compute: float
    allreduce: float
    step: float
    throughput: float
    speedup: float
    efficiency: float


def predict(
    workload: Workload,
    network: Network,
    nodes: Iterable[int],
    scalings: Iterable[str] = SCALINGS,
    algorithms: Iterable[str] = tuple(ALGORITHMS),
    buckets: int = 4,
) -> Iterator[Prediction]:
    """A prediction for each scaling, number of nodes, algorithm, and with and without overlap.

    Parameters
    ----------
    buckets : int
        Messages that the gradients are sent in where they overlap with the backward pass.

    Without overlap a step takes as long as the node with most samples computes, and the Allreduce. With
    overlap a bucket is exchanged once it is ready and the one before it is through; the optimizer begins when
    the last one is, and the backward pass is not slowed down by exchanges meanwhile.
    """
    for scaling in scalings:
        for count in nodes:
            for algorithm in algorithms:
                for overlap in (False, True):
                    yield _predicted(workload, network, count, scaling, algorithm, overlap, buckets)


def _predicted(
    workload: Workload,
    network: Network,
    nodes: int,
    scaling: str,
    algorithm: str,
    overlap: bool,
    buckets: int,
) -> Prediction:
    batch = workload.batch * nodes if scaling == "weak" else workload.batch
    # The slowest node decides. Beyond one sample a node, further nodes have none.
    rows = -(-batch // nodes)
    compute = workload.compute(rows)
    whole = allreduce(algorithm, network, nodes, workload.nbytes)
    step = compute + whole
    if overlap:
        end = 0.0
        for bucket in workload.buckets(buckets):
            start = max(end, workload.ready_at(rows, bucket.ready))
            end = start + allreduce(algorithm, network, nodes, bucket.nbytes)
        step = max(end, compute - workload.update) + workload.update
    throughput = batch / step
    speedup = throughput / (workload.batch / workload.step)
    return Prediction(
        nodes, scaling, algorithm, overlap, rows, compute, whole, step, throughput, speedup, speedup / nodes
    )
