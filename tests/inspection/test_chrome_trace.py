"""Traces against the trace-event format as its document describes it, and against what ran."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symgraph
from symgraph import layers
from symgraph.models import Sequential

NUMBER = (int, float)
# "Trace Event Format": fields of complete events (X) and of metadata (M), with their types.
FIELDS: dict[str, dict[str, Any]] = {
    "X": {
        "name": str, "cat": str, "ph": str, "ts": NUMBER, "dur": NUMBER, "pid": int, "tid": int, "args": dict
    },
    "M": {"name": str, "ph": str, "pid": int, "tid": int, "args": dict},
}  # fmt: skip
METADATA: dict[str, Any] = {
    "process_name": {"name": str},
    "process_sort_index": {"sort_index": int},
    "thread_name": {"name": str},
    "thread_sort_index": {"sort_index": int},
}


def check_format(trace: Any) -> None:
    """The JSON object form: a list of events, and what viewers keep of other keys."""
    assert set(trace) <= {"traceEvents", "displayTimeUnit", "otherData"}
    assert trace["displayTimeUnit"] in ("ms", "ns")
    assert all(isinstance(value, str) for value in trace["otherData"].values())
    for event in trace["traceEvents"]:
        fields = FIELDS[event["ph"]]
        assert set(event) == set(fields), event
        for name, kind in fields.items():
            assert isinstance(event[name], kind) and not isinstance(event[name], bool), event
        if event["ph"] == "M":
            (argument,) = METADATA[event["name"]].items()
            assert isinstance(event["args"][argument[0]], argument[1])
        else:
            assert event["ts"] >= 0 and event["dur"] >= 0


@pytest.fixture(scope="module")
def profile() -> Any:
    model = Sequential()
    model.add(layers.Conv2D(4, 3, activation="relu", input_shape=(20, 20, 2), name='façade "one"'))
    model.add(layers.Flatten())
    model.add(layers.Dense(3))
    model.compile("sgd", "mse")
    x, y = np.ones((32, 20, 20, 2), "float32"), np.ones((32, 3), "float32")
    with symgraph.profile(trace=(1, 2)) as found:
        for _ in range(4):
            model.train_on_batch(x, y)
        model.predict_on_batch(x)
    return found


def test_a_trace_is_in_the_format_and_has_all_calls_and_tiles(profile: Any, tmp_path: Path) -> None:
    profile.chrome_trace(tmp_path / "t.json")
    trace = json.loads((tmp_path / "t.json").read_text("utf-8"))
    check_format(trace)
    (times,) = [f for f in profile.functions if f.facts.name == "train_function"]
    complete = [e for e in trace["traceEvents"] if e["ph"] == "X"]
    calls = [e for e in complete if e["cat"] == "call"]
    tiles = [e for e in complete if e["cat"] != "call"]
    assert len(calls) == 2 and len(tiles) == 2 * sum(row.tiles for row in times.facts.rows)
    assert [e["ts"] for e in complete] == sorted(e["ts"] for e in complete)
    for tile in tiles:
        row = times.facts.rows[tile["args"]["row"]]
        assert tile["name"] == row.kernel and tile["args"]["node"] == row.node
        # Inside of one of the calls, but for the error of the two clocks against each other.
        assert any(c["ts"] - 50 <= tile["ts"] <= c["ts"] + c["dur"] + 50 for c in calls)
    names = {(e["pid"], e["tid"]) for e in trace["traceEvents"] if e["name"] == "thread_name"}
    assert {(e["pid"], e["tid"]) for e in complete} <= names
    assert trace["otherData"]["note"] == "complete"
    assert any("façade" in e["cat"] for e in tiles)


def test_tiles_of_one_lane_do_not_overlap(profile: Any) -> None:
    for times in profile.functions:
        for lane in {event.lane for event in times.events}:
            spans = sorted((e.start, e.end) for e in times.events if e.lane == lane)
            for (_, end), (start, _) in pairwise(spans):
                assert end <= start + 1e-7


def test_compressed_traces_hold_the_same(profile: Any, tmp_path: Path) -> None:
    for name in ("t.json", "t.json.gz"):
        profile.chrome_trace(tmp_path / name)
    packed = (tmp_path / "t.json.gz").read_bytes()
    assert gzip.decompress(packed) == (tmp_path / "t.json").read_bytes()
    assert len(packed) < (tmp_path / "t.json").stat().st_size / 3


@pytest.mark.parametrize("most", [3_000, 10_000])
def test_a_trace_stays_within_its_size_and_says_what_it_lacks(
    profile: Any, tmp_path: Path, most: int
) -> None:
    profile.chrome_trace(tmp_path / "all.json")
    profile.chrome_trace(tmp_path / "some.json", max_bytes=most)
    assert most - 1_500 < (tmp_path / "some.json").stat().st_size <= most
    every, some = (json.loads((tmp_path / f"{name}.json").read_text("utf-8")) for name in ("all", "some"))
    check_format(some)
    left = len(every["traceEvents"]) - len(some["traceEvents"])
    assert left > 0 and some["otherData"]["note"].startswith(f"{left} events at the end were left out")
    assert some["traceEvents"] == every["traceEvents"][: len(some["traceEvents"])]
    with pytest.raises(ValueError, match=r"expected max_bytes of at least \d+, got 10"):
        profile.chrome_trace(tmp_path / "none.json", max_bytes=10)


def test_a_profile_without_a_window_has_no_trace(tmp_path: Path) -> None:
    with symgraph.profile() as profile:
        pass
    with pytest.raises(ValueError, match="profile with trace="):
        profile.chrome_trace(tmp_path / "t.json")


def test_tiles_without_room_are_counted(tmp_path: Path) -> None:
    model = Sequential([layers.Dense(3, input_shape=(4,))])
    model.compile("sgd", "mse")
    with symgraph.profile(trace=(0, 5), most_events=3) as profile:
        for _ in range(3):
            model.train_on_batch(np.ones((2, 4)), np.ones((2, 3)))
    (times,) = profile.functions
    assert len(times.events) == 6 and len(times.calls_at) == 3  # three of the first call, three of the others
    tiles = 3 * sum(row.tiles for row in times.facts.rows)
    assert times.lost == tiles - 6
    profile.chrome_trace(tmp_path / "t.json")
    note = json.loads((tmp_path / "t.json").read_text())["otherData"]["note"]
    assert note.startswith(f"{tiles - 6} tiles were not noted")
