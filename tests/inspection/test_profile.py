"""Profiles: what runs is the same, times add up, and everything that ran is there."""

from __future__ import annotations

import time

import numpy as np
import pytest

import symgraph
from symgraph import backend as K
from symgraph import layers
from symgraph.graph.ops.host import watch
from symgraph.models import Sequential
from symgraph.optimizers import SGD

pytestmark = pytest.mark.threads


def network() -> Sequential:
    np.random.seed(3)
    model = Sequential()
    model.add(layers.Conv2D(8, 3, activation="relu", input_shape=(16, 16, 2)))
    model.add(layers.MaxPooling2D())
    model.add(layers.Dropout(0.3, seed=1))
    model.add(layers.Flatten())
    model.add(layers.Dense(5, activation="softmax"))
    model.compile(SGD(0.1), "categorical_crossentropy")
    return model


def batch(count: int = 64) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((count, 16, 16, 2), "float32"), np.eye(5, dtype="float32")[rng.integers(0, 5, count)]


def test_profiled_results_are_the_same_bit_for_bit() -> None:
    x, y = batch()
    plain, profiled = network(), network()
    for _ in range(3):
        plain.train_on_batch(x, y)
    with symgraph.profile(trace=(1, 1)):
        for _ in range(3):
            profiled.train_on_batch(x, y)
    for a, b in zip(plain.get_weights(), profiled.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_times_add_up_and_every_row_ran() -> None:
    model, (x, y) = network(), batch()
    with symgraph.profile() as profile:
        start = time.perf_counter()
        for _ in range(6):
            model.train_on_batch(x, y)
        wall = time.perf_counter() - start
        model.predict(x)
    train, predict = sorted(profile.functions, key=lambda f: -len(f.facts.rows))
    assert train.facts.name == "train_function" and predict.facts.name == "predict_function"
    assert train.calls == 5 and predict.calls == 1 and train.first_seconds > 0
    assert set(train.row_runs) == {5} and all(s > 0 for s in train.row_seconds)
    assert sum(train.row_seconds) <= train.seconds <= wall <= profile.seconds
    for by in ("kernel", "op", "layer", "phase", "node"):
        groups = train.groups(by)
        assert sum(g.seconds for g in groups) == pytest.approx(sum(train.row_seconds))
        assert [g.seconds for g in groups] == sorted((g.seconds for g in groups), reverse=True)
        assert sum(g.flops or 0 for g in groups) == 5 * sum(n.flops or 0 for n in train.facts.nodes)
        assert sum(g.bytes or 0 for g in groups) == 5 * sum(n.bytes or 0 for n in train.facts.nodes)
    assert {g.name for g in train.groups("phase")} == {"forward", "backward", "update"}
    assert {"conv2d_1", "dense_1"} <= {g.name.rsplit("_", 1)[0] + "_1" for g in train.groups("layer")}
    with pytest.raises(ValueError, match=r"expected one of kernel.*got 'colour'"):
        train.groups("colour")


def test_rows_of_loops_run_once_a_turn_and_of_choices_if_chosen() -> None:
    x, c = K.placeholder((9, 40, 40), dtype="float64"), K.placeholder((), dtype="bool")
    w = K.variable(np.eye(40), "float64")
    # The sum over all rows keeps the loop from being cut into parts of them.
    total = K.foldl(lambda a, v: K.dot(K.tanh(a), w) + v * K.sum(a), x, K.zeros((40, 40), "float64"))
    function = K.function([x, c], K.switch(c, lambda: K.exp(total), lambda: K.log(K.abs(total) + 1.0)))
    with symgraph.profile() as profile:
        for _ in range(3):
            function([np.ones((9, 40, 40)), True])
    (times,) = profile.functions
    by_kind = {n.kind: n for n in times.facts.nodes if n.rows}
    for row in by_kind["matmul"].rows:
        assert times.row_runs[row] == 2 * 9
    skipped = [r for r, count in enumerate(times.row_runs) if count == 0]
    assert skipped and all("log" in times.facts.rows[r].kernel for r in skipped)
    assert times.groups("op")[0].runs > 0


def test_a_trace_holds_the_tiles_of_its_window() -> None:
    model, (x, y) = network(), batch()
    with symgraph.profile(trace=(2, 2)) as profile:
        for _ in range(6):
            model.train_on_batch(x, y)
    (times,) = profile.functions
    tiles = sum(row.tiles * row.turns for row in times.facts.rows)
    assert len(times.events) == 2 * tiles
    for event in times.events:
        assert 0 <= event.start <= event.end <= profile.seconds and event.lane >= 0
    with symgraph.profile(trace=(0, 9), most_events=30) as profile:
        model.train_on_batch(x, y)
    assert len(profile.functions[0].events) == 30
    with pytest.raises(ValueError, match="trace"):
        symgraph.profile(trace=(0, 0))


def test_profiles_end_with_their_block_and_do_not_nest_in_themselves() -> None:
    x = K.placeholder((3,))
    function = K.function([x], watch(x + 1.0, lambda value: None))
    with pytest.raises(OSError), symgraph.profile() as profile:
        function([np.ones(3)])
        raise OSError
    function([np.ones(3)])
    assert profile.functions[0].calls == 1
    with profile, pytest.raises(RuntimeError, match="running already"), profile:
        pass


def test_a_running_profile_tells_the_time_so_far() -> None:
    x = K.placeholder((3,))
    function = K.function([x], x + 1.0)
    with symgraph.profile() as profile:
        function([np.ones(3)])
        first = profile.seconds
        assert 0 < first < profile.seconds
    assert profile.seconds == profile.seconds > first
