"""A fixed run of random graphs; ``python -m tests.fuzz`` grows as many others as are asked for."""

from __future__ import annotations

import pytest

from tests.fuzz.check import check_graph


@pytest.mark.parametrize("first", range(0, 200, 10))
def test_ten_graphs(first: int) -> None:
    reports = [check_graph(seed) for seed in range(first, first + 10)]
    assert {r.seed: r.differences for r in reports if r.differences} == {}


def test_enough_gradients_are_compared() -> None:
    assert sum(check_graph(seed).gradient for seed in range(30)) >= 5
