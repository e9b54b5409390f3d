"""What an Allreduce costs, by algorithm: seconds for a vector of n bytes on p nodes.

Alpha is the latency of a message, beta the time of a byte on the way, gamma that of a byte that is added.
Sources: Thakur, Rabenseifner, Gropp, Optimization of Collective Communication Operations in MPICH, IJHPCA 19
(2005), of all but the ring; Patarasuk, Yuan, Bandwidth Optimal All-reduce Algorithms for Clusters of
Workstations, JPDC 69 (2009), of the ring. `tests/distributed/scaling/test_costs.py` plays them, message by
message.
"""

from __future__ import annotations

from collections.abc import Callable

from symgraph.distributed.scaling.network import Network

Cost = Callable[[Network, int, float], float]


def ring(network: Network, p: int, n: float) -> float:
    """Reduce-scatter and allgather around a ring, in pieces of n / p: as few bytes as can be, many messages.

    2 (p - 1) alpha + 2 (p - 1) / p · n beta + (p - 1) / p · n gamma
    """
    part = (p - 1) / p * n
    return 2 * (p - 1) * network.alpha + 2 * part * network.beta + part * network.gamma


def doubling(network: Network, p: int, n: float) -> float:
    """Recursive doubling: in each of lg p rounds pairs exchange and add whole vectors; for short ones.

    lg p · (alpha + n beta + n gamma), and `_fold` where p is no power of two.
    """
    rounds, extra = _power(p)
    return rounds * _whole(network, n) + extra * _fold(network, n)


def rabenseifner(network: Network, p: int, n: float) -> float:
    """Recursive halving, which leaves each node a part of the sum, then recursive doubling to gather them.

    2 lg p alpha + 2 (q - 1) / q · n beta + (q - 1) / q · n gamma on q = 2 ** floor(lg p) nodes, and `_fold`
    where p is no power of two.
    """
    rounds, extra = _power(p)
    part = (1 - 0.5**rounds) * n
    pairs = 2 * rounds * network.alpha + 2 * part * network.beta + part * network.gamma
    return pairs + extra * _fold(network, n)


def tree(network: Network, p: int, n: float) -> float:
    """A binomial tree that adds up towards one node, and another one that spreads the sum.

    ceil(lg p) · (2 alpha + 2 n beta + n gamma)
    """
    levels = (p - 1).bit_length()
    return levels * (_whole(network, n) + network.alpha + n * network.beta)


def _whole(network: Network, n: float) -> float:
    """A whole vector sent and added."""
    return network.alpha + n * network.beta + n * network.gamma


def _power(p: int) -> tuple[int, bool]:
    """floor(lg p), and whether nodes are left over."""
    rounds = p.bit_length() - 1
    return rounds, p != 1 << rounds


def _fold(network: Network, n: float) -> float:
    """Nodes beyond a power of two give neighbours their vectors before, and get the sum from them after."""
    return _whole(network, n) + network.alpha + n * network.beta


ALGORITHMS: dict[str, Cost] = {
    "ring": ring,
    "rabenseifner": rabenseifner,
    "doubling": doubling,
    "tree": tree,
}


def allreduce(algorithm: str, network: Network, p: int, n: float) -> float:
    """Seconds of an Allreduce of n bytes on p nodes; 0 on one node, or of nothing."""
    return ALGORITHMS[algorithm](network, p, n) if p > 1 and n > 0 else 0.0
