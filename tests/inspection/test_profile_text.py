"""Profiles as text and JSON, and the ways to ask for one."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symgraph
from symgraph import backend as K
from symgraph import layers
from symgraph.compiler.program.clocks import clock_cost
from symgraph.graph.ops.host import watch
from symgraph.inspection.facts.profile import ProfileFacts
from symgraph.inspection.text.profile import profile_table, profile_text
from symgraph.kernels.ceilings import Ceilings
from symgraph.models import Sequential


def network(**options: Any) -> Sequential:
    np.random.seed(2)
    model = Sequential()
    model.add(layers.Dense(5, activation="tanh", input_shape=(4,), name="first"))
    model.add(layers.Dropout(0.5, seed=3))
    model.add(layers.Dense(2, name="second"))
    model.compile("adam", "mse", **options)
    return model


X, Y = np.random.default_rng(0).random((20, 4)), np.random.default_rng(1).random((20, 2))


@pytest.fixture(scope="module")
def facts() -> ProfileFacts:
    """A profile with times that are easy to reckon with: row i takes i + 1 ms in each of 2 calls."""
    model = network()
    with symgraph.profile() as profile:
        for _ in range(3):
            model.train_on_batch(X, Y)
    found = profile.facts()
    (times,) = found.functions
    rows = tuple(2e-3 * (number + 1) for number in range(len(times.facts.rows)))
    times = replace(times, row_seconds=rows, seconds=sum(rows) / 0.9, first_seconds=1.0, clock_seconds=0.0)
    threads = times.facts.threads
    return replace(found, functions=(times,), seconds=10.0, ceilings={threads: Ceilings(threads, 10.0, 5.0)})


def test_the_text_tells_where_the_time_goes(facts: ProfileFacts) -> None:
    text = profile_text(facts)
    (times,) = facts.functions
    assert "rows  account for 90.0 % of that time: the rest is" in text
    assert "cold  the first call, 1 s, not counted below" in text
    assert "10.0 GFLOP/s (float32 multiply-adds) and 5.0 GB/s (copy)" in text
    for by in ("phase", "layer", "op", "kernel"):
        assert f"\nby {by} " in text
    line = next(line for line in text.splitlines() if line.startswith("second "))
    rows = [r for r in times.facts.rows if times.facts.node(r.node).layer == "second"]
    seconds = sum(1e-3 * (row.row + 1) for row in rows)
    nodes = {row.node: times.facts.node(row.node) for row in rows}
    flops, moved = (sum(getattr(n, field) for n in nodes.values()) for field in ("flops", "bytes"))
    expected = [
        f"{1e3 * seconds:.3f}",
        f"{100 * seconds * 2 / times.seconds:.1f}",
        "%",
        f"{flops / seconds / 1e9:.1f}",
        f"{100 * flops / seconds / 10e9:.0f}",
        "%",
        f"{moved / seconds / 1e9:.1f}",
        f"{100 * moved / seconds / 5e9:.0f}",
        "%",
        f"{100 * max(flops / 10e9, moved / 5e9) / seconds:.0f}",
        "%",
    ]
    assert line.split()[1:] == expected


def test_tables_are_cut_and_say_so(facts: ProfileFacts) -> None:
    lines = profile_table(facts, "kernel", most=2).splitlines()
    (times,) = facts.functions
    groups = times.groups("kernel")
    assert lines[-1].startswith(f"{len(groups) - 2} more")
    assert float(lines[-1].split()[2]) == pytest.approx(
        sum(g.seconds for g in groups[2:]) / 2 * 1e3, abs=1e-3
    )
    assert len(profile_table(facts, "node").splitlines()) >= 2 + len(times.groups("node"))
    with pytest.raises(ValueError, match=r"expected one of kernel.*got 'colour'"):
        profile_table(facts, "colour")


def test_where_there_is_no_clock_the_text_says_so(facts: ProfileFacts) -> None:
    text = profile_text(replace(facts, hardware=replace(facts.hardware, clock="")))
    assert "not timed: there is no clock" in text


def test_what_is_not_known_is_called_unknown() -> None:
    x = K.placeholder((50, 4))
    function = K.function([x], K.exp(watch(x * 2.0, lambda value: None)))
    with symgraph.profile() as profile:
        for _ in range(3):
            function([np.ones((50, 4))])
    (times,) = profile.functions
    (seen,) = [group for group in times.groups("op") if group.name == "watch"]
    assert seen.flops is None and seen.gflops is None and seen.gbytes is None
    line = next(line for line in profile.table("op").splitlines() if line.startswith("watch"))
    assert line.split()[-5:] == ["unknown"] * 5


def test_a_node_of_several_kernels_is_counted_once_and_as_often_as_it_ran() -> None:
    """Fixed weights are brought into another order once, by a kernel of its own, and stay so."""
    x, w = K.placeholder((64, 300)), K.variable(np.ones((300, 200)))
    function = K.function([x], K.dot(x, w))
    with symgraph.profile() as profile:
        for _ in range(4):
            function([np.ones((64, 300))])
    (times,) = profile.functions
    packing, product = sorted(times.groups("kernel"), key=lambda group: group.runs)
    assert packing.name.startswith("pack[") and (packing.runs, packing.flops) == (0, None)
    assert (product.runs, product.flops) == (3, 3 * 2 * 64 * 300 * 200)
    assert product.bytes == 3 * 4 * (64 * 300 + 300 * 200 + 64 * 200)


def test_nothing_ran() -> None:
    with symgraph.profile() as profile:
        pass
    assert str(profile).startswith("nothing was timed: no Function was called while this profile ran")
    assert profile.functions == [] and symgraph.profile().functions == []


def test_a_first_call_alone_says_that_it_was_cold() -> None:
    x = K.placeholder((3,))
    with symgraph.profile() as profile:
        K.function([x], x + 1.0)([np.ones(3)])
    text = str(profile)
    assert "which is all there is" in text and "  warm  " not in text
    assert not profile.functions[0].warm


def test_json_has_a_schema_and_is_whole(tmp_path: Path) -> None:
    model = network()
    with symgraph.profile() as profile:
        for _ in range(3):
            model.train_on_batch(X, Y)
    profile.save(tmp_path / "p.json")
    profile.save(tmp_path / "p.json.gz")
    data = json.loads((tmp_path / "p.json").read_text())
    assert json.loads(gzip.decompress((tmp_path / "p.json.gz").read_bytes())) == data
    assert data["schema"] == 1 and data["kind"] == "profile"
    assert data["machine"]["versions"]["symgraph"] == symgraph.__version__
    (function,) = data["functions"]
    (times,) = profile.functions
    assert function["row_seconds"] == list(times.row_seconds)
    assert function["facts"]["name"] == "train_function"
    assert [row["kernel"] for row in function["facts"]["rows"]] == [r.kernel for r in times.facts.rows]
    assert {"threads", "gflops", "gbytes"} == set(data["ceilings"][0])


def test_reading_a_clock_costs_less_than_a_microsecond_or_nothing() -> None:
    assert 0 <= clock_cost() == clock_cost()


def test_fit_evaluate_and_predict_take_a_profile() -> None:
    plain, model = network(), network()
    kept = plain.fit(X, Y, 8, 2, verbose=0, shuffle=False)
    history = model.fit(X, Y, 8, 2, verbose=0, shuffle=False, profile=True)
    assert kept.profile is None and history.profile is model.profile
    assert history.history == kept.history
    for a, b in zip(plain.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    names = [times.facts.name for times in history.profile.functions]
    assert names == ["train_function"] * 2  # of 8 samples, and of the last 4
    assert sorted(times.calls for times in history.profile.functions) == [1, 3]
    own = symgraph.profile()
    loss = model.evaluate(X, Y, verbose=0, profile=own)
    assert model.profile is own and own.functions[0].facts.name == "test_function"
    assert loss == plain.evaluate(X, Y, verbose=0)
    np.testing.assert_array_equal(model.predict(X, profile=True), plain.predict(X))
    assert model.profile.functions[0].facts.name == "predict_function"
    with pytest.raises(TypeError, match=r"`profile` should be a bool or a symgraph.profile\(\), got 'yes'"):
        model.predict(X, profile="yes")  # type: ignore[arg-type]


def test_run_metadata_gets_every_call(tmp_path: Path) -> None:
    metadata = symgraph.RunMetadata()
    options = symgraph.RunOptions(trace_level=symgraph.RunOptions.FULL_TRACE)
    plain, model = network(), network(options=options, run_metadata=metadata)
    model.fit(X, Y, 10, 3, verbose=0, shuffle=False)
    plain.fit(X, Y, 10, 3, verbose=0, shuffle=False)
    for a, b in zip(plain.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    (times,) = metadata.functions
    assert times.facts.name == "train_function" and times.calls == 5
    model.predict(X)
    assert {t.facts.name for t in metadata.functions} == {"train_function", "predict_function"}
    metadata.chrome_trace(tmp_path / "t.json")
    assert "train_function" in (tmp_path / "t.json").read_text()
    x = K.placeholder((2,))
    own = symgraph.RunMetadata()
    function = K.function([x], x * 3.0, run_metadata=own)
    with symgraph.profile() as outer:
        function([np.ones(2)])
    assert len(own.functions) == 1 and outer.functions == []


def test_run_metadata_and_options_are_checked() -> None:
    x = K.placeholder((2,))
    with pytest.raises(TypeError, match=r"run_metadata: expected symgraph.RunMetadata, got 3"):
        K.function([x], x, run_metadata=3)
    with pytest.raises(TypeError, match=r"options: expected symgraph.RunOptions, got 3"):
        K.function([x], x, run_metadata=symgraph.RunMetadata(), options=3)
    with pytest.raises(ValueError, match="expected a trace_level of 0 to 3, got 9"):
        symgraph.RunOptions(trace_level=9)
    with pytest.raises(TypeError, match=r"unrecognized keyword arguments \['speed'\]"):
        network(speed=3)
