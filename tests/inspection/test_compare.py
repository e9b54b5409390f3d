"""Comparisons of saved profiles, and the rules that they can break."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symgraph
from symgraph import backend as K
from symgraph import layers
from symgraph.inspection.compare import compare
from symgraph.inspection.compare.rules import change, rule
from symgraph.models import Sequential


def saved(function: Any, *inputs: np.ndarray, calls: int = 4) -> dict[str, Any]:
    with symgraph.profile() as profile:
        for _ in range(calls):
            function(list(inputs))
    return json.loads(json.dumps(profile.to_json()))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def base() -> dict[str, Any]:
    x = K.placeholder((None, 8), name="x")
    w = K.variable(np.ones((8, 4)), name="w")
    return saved(K.function([x], K.relu(K.dot(x, w)), name="f"), np.ones((16, 8)))


def changed(profile: dict[str, Any], **values: Any) -> dict[str, Any]:
    """A copy in which fields of the first function, or of its facts, are others."""
    other = copy.deepcopy(profile)
    function = other["functions"][0]
    for name, value in values.items():
        (function if name in function else function["facts"])[name] = value
    return other


@pytest.mark.parametrize(
    ("text", "before", "after", "broken"),
    [
        ("time>+10%", 1.0, 1.2, True),
        ("time>+10%", 1.0, 1.09, False),
        ("time > 10 %", 2.0, 2.3, True),
        ("time<-50%", 1.0, 0.4, True),
        ("time>2ms", 0.0, 0.003, True),
        ("time>2", 0.0, 0.001, False),
        ("time>+500us", 1.0, 1.001, True),
        ("time>1.5s", 1.0, 1.6, True),
        ("arena>64MiB", 0, 65 * 2**20, True),
        ("arena>64MiB", 0, 63 * 2**20, False),
        ("bytes>+1KiB", 1000, 2000, False),
        ("bytes>+1KiB", 1000, 2100, True),
        ("rows>+0", 5, 6, True),
        ("rows>+0", 5, 5, False),
        ("flops<100", 0, 99, True),
        ("flops>+0%", 0, 1, True),
    ],
)
def test_rules(text: str, before: float, after: float, broken: bool) -> None:
    assert rule(text).breaks(before, after) is broken


@pytest.mark.parametrize(
    "text",
    ["", "time", "time=3", "speed>3", "time>", "time>-", "time>10 MiB", "arena>3ms", "time>1e3", "rows>3%%"],
)
def test_what_is_no_rule_is_one_clear_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected a rule such as 'time>\+10%'") as caught:
        rule(text)
    assert repr(text) in str(caught.value)


def test_changes_are_in_percent() -> None:
    assert change(2.0, 3.0) == 50.0
    assert change(0.0, 0.0) == 0.0
    assert change(0.0, 1.0) == math.inf


def test_a_profile_differs_in_nothing_from_itself(base: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(base))
    found = compare(tmp_path / "a.json", base)
    (function,) = found.functions
    assert function.name == "f" and function.before == function.after and function.notes == []
    assert function.before["time"] == base["functions"][0]["seconds"] / 3
    assert function.before["rows"] == len(base["functions"][0]["facts"]["rows"])
    # Two operations for each of the 16 x 4 sums of 8 products, and a comparison for each of their results.
    assert function.before["flops"] == 16 * 4 * (2 * 8 + 1)
    assert function.before["bytes"] == 4 * (16 * 8 + 8 * 4 + 16 * 4)
    assert found.broken(["time>+0%", "rows>+0", "bytes>+0%"]) == []


def test_slower_layers_come_first(base: dict[str, Any]) -> None:
    function = base["functions"][0]
    slow = changed(
        base,
        seconds=3 * function["seconds"],
        row_seconds=[3 * seconds for seconds in function["row_seconds"]],
        arena_bytes=function["facts"]["arena_bytes"] + (1 << 20),
    )
    found = compare(base, slow)
    (one,) = found.functions
    _, before, after = one.layers[0]
    assert after == pytest.approx(3 * before) and before > 0
    (line,) = found.broken(["time>+10%", "time>+250%"])
    assert line.startswith("time>+10%: f:") and "+200.0 %" in line
    assert any(note.startswith("more arena") for note in one.notes)
    assert "+200.0 %" in str(found)


def test_lost_fusion_is_told() -> None:
    """The same computation, with its activation apart because somebody else reads what comes before it."""
    x, w = K.placeholder((None, 8), name="x"), K.variable(np.ones((8, 4)), name="w")
    product = K.dot(x, w)
    fused = saved(K.function([x], [K.relu(product)], name="f"), np.ones((16, 8)))
    apart = saved(K.function([x], [K.relu(product), product], name="f"), np.ones((16, 8)))
    (function,) = compare(fused, apart).functions
    assert any(
        note.startswith("lost fusion in (no layer), forward: matmul[relu] → ") and "relu" in note
        for note in function.notes
    ), function.notes
    assert any(note.startswith("more bytes") for note in function.notes)
    (function,) = compare(apart, fused).functions
    assert any(note.startswith("more fusion in (no layer)") for note in function.notes)


def test_other_algorithms_shapes_and_threads_are_told(base: dict[str, Any]) -> None:
    rows = copy.deepcopy(base["functions"][0]["facts"]["rows"])
    rows[0]["kernel"] = "slow[float32]"
    kernel = base["functions"][0]["facts"]["rows"][0]["kernel"]
    (function,) = compare(base, changed(base, rows=rows, shapes=[[3, 8]], threads=7)).functions
    assert f"other algorithm in (no layer), forward: {kernel} → slow[float32]" in function.notes
    assert "other input shapes: [[16, 8]] → [[3, 8]]" in function.notes
    assert any(note.startswith("other number of threads") for note in function.notes)


def test_functions_of_one_name_are_matched_by_their_shapes() -> None:
    x = K.placeholder((None, 3))
    f = K.function([x], K.exp(x), name="f")
    with symgraph.profile() as profile:
        for size in (9, 2, 9, 2):
            f([np.ones((size, 3))])
    found = compare(profile.to_json(), profile.to_json())
    assert [one.name for one in found.functions] == ["f", "f (2)"]
    assert [one.before["flops"] for one in found.functions] == [6, 27]


def test_what_is_no_profile_is_refused(base: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")
    with pytest.raises(ValueError, match="text: expected JSON"):
        compare(tmp_path / "text", base)
    with pytest.raises(ValueError, match="expected a profile that was saved"):
        compare({"kind": "else"}, base)
    with pytest.raises(ValueError, match="expected a profile of schema 1, got 99"):
        compare(base, base | {"schema": 99})
    with pytest.raises(ValueError, match="no Function is in both: f and g"):
        compare(base, changed(base, name="g"))


def test_layers_of_a_model_made_anew_are_paired() -> None:
    profiles = []
    for units in (3, 5):
        model = Sequential([layers.Dense(units, activation="relu", input_shape=(4,)), layers.Dense(2)])
        model.compile("sgd", "mse")
        with symgraph.profile() as profile:
            for _ in range(3):
                model.train_on_batch(np.ones((6, 4)), np.ones((6, 2)))
        profiles.append(profile.to_json())
    (function,) = compare(*profiles).functions
    assert function.before["flops"] < function.after["flops"]
    assert all(before > 0 and after > 0 for _, before, after in function.layers)
    assert not any(note.startswith(("new work", "work is gone", "lost")) for note in function.notes)


def test_one_rule_may_be_a_plain_string(base: dict[str, Any]) -> None:
    slow = changed(base, seconds=2 * base["functions"][0]["seconds"])
    found = compare(base, slow)
    assert found.broken("time>+10%") == found.broken(["time>+10%"])
    assert len(found.broken("time>+10%")) == 1


def test_profiles_themselves_are_compared(tmp_path: Path) -> None:
    """A profile and its file are the same: tuples and lists of shapes are no difference."""
    x = K.placeholder((None, 3))
    f = K.function([x], K.exp(x), name="f")
    with symgraph.profile() as profile:
        for _ in range(3):
            f([np.ones((5, 3))])
    profile.save(tmp_path / "a.json")
    for other in (profile, profile.facts(), profile.to_json()):
        (function,) = compare(tmp_path / "a.json", other).functions
        assert function.after["flops"] == 5 * 3
        assert function.notes == []


@pytest.mark.parametrize(
    ("warm", "text"),
    [
        ((True, False), "the second has only its first call"),
        ((False, True), "the first has only its first call"),
    ],
)
def test_times_of_first_calls_give_no_verdict(
    base: dict[str, Any], warm: tuple[bool, bool], text: str
) -> None:
    found = compare(*(changed(base, warm=one) for one in warm))
    assert f"{text}: times cannot be compared" in str(found)
    for sign in "<>":
        with pytest.raises(ValueError, match=f"f: no verdict, {text}"):
            found.broken(["rows>+0", f"time{sign}+10%"])
    assert found.broken("rows>+0") == []
    assert len(found.broken("rows>0")) == 1


def test_first_calls_are_compared_with_each_other(base: dict[str, Any]) -> None:
    cold = changed(base, warm=False)
    found = compare(cold, changed(cold, seconds=2 * base["functions"][0]["seconds"]))
    assert "both have only their first call" in str(found)
    assert len(found.broken("time>+10%")) == 1
    assert "first call" not in str(compare(base, base))


def test_a_function_in_one_profile_only_breaks_rules(base: dict[str, Any]) -> None:
    more = copy.deepcopy(base)
    more["functions"] += changed(base, name="g")["functions"]
    assert compare(more, base).broken(["rows>+0", "time>+10%"]) == [
        "rows>+0: g is only in the first",
        "time>+10%: g is only in the first",
    ]
    assert compare(base, more).broken("rows>+0") == ["rows>+0: g is only in the second"]
    assert compare(base, more).broken([]) == []


def without(profile: dict[str, Any], *path: str | int) -> dict[str, Any]:
    """A copy without the field at the end of `path`."""
    other = copy.deepcopy(profile)
    inner: Any = other
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return other


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("functions",), "the profile: functions missing"),
        (("machine",), "the profile: machine missing"),
        (("machine", "versions", "symgraph"), "machine.versions: symgraph missing"),
        (("functions", 0, "facts"), "functions[0]: facts missing"),
        (("functions", 0, "warm"), "functions[0]: warm missing"),
        (("functions", 0, "facts", "shapes"), "functions[0].facts: shapes missing"),
        (("functions", 0, "facts", "rows", 0, "kernel"), "functions[0].facts.rows[0]: kernel missing"),
        (("functions", 0, "facts", "nodes", 1, "bytes"), "functions[0].facts.nodes[1]: bytes missing"),
    ],
)
def test_what_a_profile_lacks_is_named(base: dict[str, Any], path: tuple[str | int, ...], text: str) -> None:
    with pytest.raises(ValueError) as caught:
        compare(base, without(base, *path))
    assert str(caught.value) == f"compare: the second: incomplete profile: {text}"


def test_what_is_wrong_in_a_profile_is_named(base: dict[str, Any]) -> None:
    rows = len(base["functions"][0]["facts"]["rows"])
    cases = [
        (base | {"functions": [None]}, "functions[0]: expected an object, got null"),
        (base | {"functions": {}}, "functions: expected a list, got {}"),
        (changed(base, calls="3"), 'functions[0].calls: expected an integer, got "3"'),
        (changed(base, seconds=True), "functions[0].seconds: expected a number, got true"),
        (
            changed(base, shapes=[3]),
            "functions[0].facts.shapes: expected lists of integers, or null, got [3]",
        ),
        (
            changed(base, row_seconds=[]),
            f"functions[0].row_seconds: expected {rows}, one for each row, got 0",
        ),
        (changed(base, nodes=[]), "missing, which row 0 belongs to"),
    ]
    for profile, text in cases:
        with pytest.raises(ValueError) as caught:
            compare(profile, base)
        assert str(caught.value).startswith("compare: the first: incomplete profile: ")
        assert str(caught.value).endswith(text)
    with pytest.raises(ValueError, match="the first: expected a profile that was saved"):
        compare({"kind": "profile", "functions": {1, 2}}, base)
