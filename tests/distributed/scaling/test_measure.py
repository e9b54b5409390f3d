"""Latency and bandwidth from timed messages."""

from __future__ import annotations

import numpy as np
import pytest

from symgraph.distributed.scaling import measure as module
from symgraph.distributed.scaling.measure import MESSAGES, Measured, fit_line, measure
from symgraph.distributed.scaling.network import Network
from symgraph.distributed.scaling.text import measured_lines
from tests.distributed.groups import together


def test_the_line_is_found() -> None:
    times = {size: 2e-6 + size / 3e9 for size in MESSAGES}
    assert fit_line(times) == pytest.approx((2e-6, 1 / 3e9))


def test_small_and_large_messages_count_alike() -> None:
    """Errors of 10 % move neither of the two by more than that, and one message that waited hardly counts."""
    random = np.random.default_rng(0)
    times = {size: (2e-6 + size / 3e9) * (1 + random.uniform(-0.1, 0.1)) for size in MESSAGES}
    assert fit_line(times) == pytest.approx((2e-6, 1 / 3e9), rel=0.1)
    assert fit_line({**times, 32768: 1.0}) == pytest.approx((2e-6, 1 / 3e9), rel=0.15)


def test_there_is_no_negative_latency() -> None:
    alpha, beta = fit_line({8: 1e-9, 512: 64e-9, 32768: 9e-6, 1 << 21: 700e-6})
    assert alpha == 0.0
    assert 1e-10 < beta < 4e-10


def test_there_is_no_negative_bandwidth() -> None:
    """On a busy machine small messages may have waited longer than large ones."""
    alpha, beta = fit_line({8: 1e-3, 512: 1e-4, 32768: 1e-5})
    assert alpha == 0.0
    assert beta > 0


@pytest.mark.parametrize("ranks", [2, 3])
def test_all_ranks_find_the_same(ranks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranks that are threads; of three the last one has no partner, and only takes part in what all do."""
    monkeypatch.setattr(module, "_SECONDS", 0.005)
    if ranks == 3:
        # Pairs of threads meet by a barrier that all would have to come to.
        monkeypatch.setattr(module, "_exchange", lambda world, size: lambda: world.communicator.barrier())
    found = together(ranks, lambda world: measure(world, (1 << 10,)))
    assert all(isinstance(one, Measured) for one in found), found
    assert found == [found[0]] * ranks
    assert (found[0].ranks, set(found[0].messages)) == (ranks, set(MESSAGES))
    assert all(seconds > 0 for seconds in found[0].messages.values())


def test_text_of_a_measurement() -> None:
    network = Network("measured between 2 ranks", 1e-6, 1e9, 4e9)
    lines = list(measured_lines(Measured(network, 2, {8: 1e-6, 1024: 3e-6}, {4096: 9e-6})))
    assert lines[0] == "measured between 2 ranks: 1 µs a message, 1 GB/s, 4 GB/s added"
    assert lines[4].split() == ["1", "KiB", "3", "µs", "2.024", "µs"]
    # 4 KiB on two nodes: 2 + 4.096 + 0.512, and 1 + 4.096 + 1.024, and 2 + 8.192 + 1.024 µs.
    assert " ".join(lines[-1].split()) == "4 KiB 9 µs 6.608 µs 6.608 µs 6.12 µs 11.22 µs"
