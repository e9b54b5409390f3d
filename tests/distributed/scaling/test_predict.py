"""Predicted steps beside ones worked out by hand."""

from __future__ import annotations

import pytest

from symgraph.distributed.scaling.network import Network
from symgraph.distributed.scaling.predict import Prediction, predict
from symgraph.distributed.scaling.workload import Gradient, Workload

# A forward pass of 9 ms, a backward one of 18 with a third of the gradients after each 6, an update of 3.
LOAD = Workload(
    "by hand",
    90,
    30e-3,
    tuple(Gradient(10e6, ready) for ready in (1 / 3, 2 / 3, 1.0)),
    fixed=3e-3,
    update=3e-3,
    backward=2 / 3,
)
# Nothing but bytes counts: 10 ms for each third between two nodes.
NETWORK = Network("by hand", 0.0, 1e9, 1e30)


def _one(nodes: int, scaling: str, overlap: bool, buckets: int = 3) -> Prediction:
    made = predict(LOAD, NETWORK, [nodes], [scaling], ["ring"], buckets)
    (found,) = [one for one in made if one.overlap == overlap]
    return found


def test_weak_scaling_by_hand() -> None:
    plain = _one(2, "weak", False)
    assert (plain.rows, plain.compute) == (90, pytest.approx(30e-3))
    assert plain.allreduce == pytest.approx(30e-3)
    assert plain.step == pytest.approx(60e-3)
    assert plain.throughput == pytest.approx(180 / 60e-3)
    assert (plain.speedup, plain.efficiency) == (pytest.approx(1.0), pytest.approx(0.5))
    # Ready after 15, 21, 27 ms; through after 25, 35, 45; then the update.
    assert _one(2, "weak", True).step == pytest.approx(48e-3)
    # Two messages: 20 MB ready after 21, through after 41; 10 MB after 51.
    assert _one(2, "weak", True, buckets=2).step == pytest.approx(54e-3)
    assert _one(2, "weak", True, buckets=1).step == pytest.approx(60e-3)


def test_strong_scaling_by_hand() -> None:
    # 90 samples on 4 nodes: 23 at most, which take 3 + 27 · 23 / 90 = 9.9 ms; 45 ms around a ring of 4.
    plain = _one(4, "strong", False)
    assert (plain.rows, plain.compute) == (23, pytest.approx(9.9e-3))
    assert plain.step == pytest.approx(54.9e-3)
    assert plain.speedup == pytest.approx(30 / 54.9)
    assert plain.efficiency == pytest.approx(30 / 54.9 / 4)
    # Ready after 2.3 + 1.5333 = 3.8333 ms; from there on the messages follow each other.
    assert _one(4, "strong", True).step == pytest.approx(3.83333e-3 + 45e-3 + 3e-3, rel=1e-5)


def test_one_node_is_what_was_measured() -> None:
    for scaling in ("weak", "strong"):
        for overlap in (False, True):
            found = _one(1, scaling, overlap)
            assert (found.step, found.allreduce) == (pytest.approx(30e-3), 0.0)
            assert found.efficiency == pytest.approx(1.0)


def test_communication_that_the_backward_pass_hides_costs_nothing() -> None:
    last = Gradient(1e3, 1.0)
    load = Workload("", 90, 30e-3, (Gradient(10e6, 0.0), last), fixed=3e-3, update=3e-3)
    found = [one for one in predict(load, NETWORK, [2], ["weak"], ["ring"], 2) if one.overlap]
    assert found[0].step == pytest.approx(30e-3 + 1e-6)


def test_more_nodes_than_samples() -> None:
    found = _one(1000, "strong", False)
    assert (found.rows, found.compute) == (1, pytest.approx(3.3e-3))
    assert found.throughput == pytest.approx(90 / found.step)
