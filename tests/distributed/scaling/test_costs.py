"""Formulas of Allreduce beside the algorithms played message by message."""

from __future__ import annotations

import pytest

from symgraph.distributed.scaling.costs import ALGORITHMS, allreduce
from symgraph.distributed.scaling.network import Network
from tests.distributed.scaling.played import PLAYED, Game

NETWORK = Network("odd figures", 3e-5, 7e4, 3e5)


@pytest.mark.parametrize("nodes", [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 31])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_formulas_are_what_the_algorithms_take(algorithm: str, nodes: int) -> None:
    elements = 32 * nodes
    played = PLAYED[algorithm](Game(NETWORK, nodes, elements))
    assert allreduce(algorithm, NETWORK, nodes, elements) == pytest.approx(played, rel=1e-12)


def test_formulas_of_the_papers_by_hand() -> None:
    """Eight nodes, a million bytes; alpha 10 µs, beta 1 ns, gamma 0.25 ns: in µs."""
    network = Network("by hand", 10e-6, 1e9, 4e9)
    by_hand = {
        "ring": 14 * 10 + 2 * 875 + 218.75,
        "rabenseifner": 6 * 10 + 2 * 875 + 218.75,
        "doubling": 3 * (10 + 1000 + 250),
        "tree": 3 * (2 * 10 + 2 * 1000 + 250),
    }
    for algorithm, expected in by_hand.items():
        assert allreduce(algorithm, network, 8, 1e6) == pytest.approx(expected * 1e-6, rel=1e-12)
