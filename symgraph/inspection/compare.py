"""Two saved profiles side by side: what became slower, and what changed in the Programs."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from symgraph.inspection.profiled import SCHEMA
from symgraph.inspection.rules import QUANTITIES, change, rule
from symgraph.inspection.table import byte_text, count_text, table, time_text
from symgraph.inspection.write import read_json

_MOST = 12
# Unknown sizes are called after the inputs that they come from.
_NAMED_SIZE = re.compile(r"\bN_\w+")
_SLIGHT = 0.005  # of a call's time: changes of parts that are smaller are not shown


@dataclass(frozen=True)
class FunctionComparison:
    """One Function in both profiles.

    Attributes
    ----------
    before, after : dict
        time (seconds a call), bytes, flops, arena and rows.
    layers, kernels : list of (name, float, float)
        Seconds a call before and after, the largest difference first.
    notes : list of str
        What changed: fusion, algorithms, bytes, arena.
    """

    name: str
    before: Mapping[str, float]
    after: Mapping[str, float]
    layers: list[tuple[str, float, float]]
    kernels: list[tuple[str, float, float]]
    notes: list[str]


@dataclass(frozen=True)
class Comparison:
    """What `compare` found; printed, it is a text. `only` names Functions that are in one profile only."""

    functions: list[FunctionComparison]
    only: list[str]
    machines: tuple[str, str]

    def broken(self, rules: Sequence[str]) -> list[str]:
        """A line for each Function that breaks a rule (see `symgraph.inspection.rules`).

        Raises
        ------
        ValueError
            A rule is none.
        """
        return [
            f"{one.text}: {function.name}: {_quantity(one.quantity, before)} → "
            f"{_quantity(one.quantity, after)} ({_percent(before, after)})"
            for one in map(rule, rules)
            for function in self.functions
            for before, after in [(function.before[one.quantity], function.after[one.quantity])]
            if one.breaks(before, after)
        ]

    def __str__(self) -> str:
        return "\n".join(_lines(self))

    __repr__ = __str__


def compare(a: Any, b: Any) -> Comparison:
    """Compare two profiles: paths of saved ones, or what ``to_json`` gives.

    Functions are matched by name, several of one name in the order of their input shapes.

    Raises
    ------
    ValueError
        One of them is no profile, or they have no Function in common.
    """
    first, second = (_loaded(source) for source in (a, b))
    left, right = _by_name(first), _by_name(second)
    common = [name for name in left if name in right]
    if not common:
        raise ValueError(
            f"compare: no Function is in both: {', '.join(left) or 'none'} and {', '.join(right) or 'none'}"
        )
    only = [f"{name} is only in the first" for name in left if name not in right]
    only += [f"{name} is only in the second" for name in right if name not in left]
    functions = [_function(name, left[name], _renamed(left[name], right[name])) for name in common]
    return Comparison(functions, only, (_machine(first), _machine(second)))


def _loaded(source: Any) -> dict[str, Any]:
    data = read_json(source) if isinstance(source, str | os.PathLike) else source
    where = os.fspath(source) if isinstance(source, str | os.PathLike) else "compare"
    if not isinstance(data, dict) or data.get("kind") != "profile" or "functions" not in data:
        raise ValueError(f"{where}: expected a profile that was saved as JSON")
    if data.get("schema") != SCHEMA:
        raise ValueError(f"{where}: expected a profile of schema {SCHEMA}, got {data.get('schema')!r}")
    return data


def _by_name(profile: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Functions by name; the second one of a name is called ``name (2)``."""
    ordered = sorted(profile["functions"], key=lambda f: (f["facts"]["name"], f["facts"]["shapes"] or []))
    found: dict[str, dict[str, Any]] = {}
    seen: Counter[str] = Counter()
    for function in ordered:
        name = function["facts"]["name"]
        seen[name] += 1
        found[name if seen[name] == 1 else f"{name} ({seen[name]})"] = function
    return found


def _renamed(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """`b` with layers that are called as in `a`: a model made anew may have dense_3 where there was dense_1.

    Layers that are in one only are paired in order, if their names differ in numbers alone.
    """
    left, right = _layers(a), _layers(b)
    free = [name for name in left if name not in right]
    names: dict[str, str] = {}
    for name in right:
        same = [other for other in free if name not in left and _stem(other) == _stem(name)]
        if same:
            names[name] = same[0]
            free.remove(same[0])
    nodes = [{**node, "layer": names.get(node["layer"], node["layer"])} for node in b["facts"]["nodes"]]
    return {**b, "facts": {**b["facts"], "nodes": nodes}}


def _layers(function: Mapping[str, Any]) -> dict[str, None]:
    """Names of layers, in the order in which they come."""
    return dict.fromkeys(node["layer"] for node in function["facts"]["nodes"] if node["layer"])


def _stem(name: str) -> str:
    return re.sub(r"_\d+", "", name)


def _machine(profile: Mapping[str, Any]) -> str:
    machine = profile["machine"]
    return f"{machine['processor']}, {machine['threads']} threads, symgraph {machine['versions']['symgraph']}"


def _function(name: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> FunctionComparison:
    before, after = _totals(a), _totals(b)
    layers, kernels = (_pairs(a, b, by) for by in ("layer", "kernel"))
    return FunctionComparison(name, before, after, layers, kernels, list(_notes(a, b, before, after)))


def _totals(function: Mapping[str, Any]) -> dict[str, float]:
    facts = function["facts"]
    return {
        "time": function["seconds"] / max(function["calls"], 1),
        "bytes": float(sum(node["bytes"] or 0 for node in facts["nodes"])),
        "flops": float(sum(node["flops"] or 0 for node in facts["nodes"])),
        "arena": float(facts["arena_bytes"]),
        "rows": float(len(facts["rows"])),
    }


def _pairs(a: Mapping[str, Any], b: Mapping[str, Any], by: str) -> list[tuple[str, float, float]]:
    """Seconds a call before and after, by layer or kernel; the largest difference first."""
    left, right = _seconds(a, by), _seconds(b, by)
    names = dict.fromkeys([*left, *right])
    pairs = [(name, left.get(name, 0.0), right.get(name, 0.0)) for name in names]
    return sorted(pairs, key=lambda pair: (-abs(pair[2] - pair[1]), pair[0]))


def _seconds(function: Mapping[str, Any], by: str) -> dict[str, float]:
    facts = function["facts"]
    layers = {node["id"]: node["layer"] or "(no layer)" for node in facts["nodes"]}
    found: dict[str, float] = {}
    for row, seconds in zip(facts["rows"], function["row_seconds"], strict=True):
        name = row["kernel"] if by == "kernel" else layers[row["node"]]
        found[name] = found.get(name, 0.0) + seconds / max(function["calls"], 1)
    return found


# What changed

_Parts = dict[tuple[str, str], tuple[Counter[str], Counter[str]]]


def _notes(
    a: Mapping[str, Any], b: Mapping[str, Any], before: Mapping[str, float], after: Mapping[str, float]
) -> Iterator[str]:
    if a["facts"]["shapes"] != b["facts"]["shapes"]:
        yield f"other input shapes: {a['facts']['shapes']} → {b['facts']['shapes']}"
    if a["facts"]["threads"] != b["facts"]["threads"]:
        yield f"other number of threads: {a['facts']['threads']} → {b['facts']['threads']}"
    left, right = _parts(a), _parts(b)
    for key in dict.fromkeys([*left, *right]):
        layer, phase = key
        nothing: tuple[Counter[str], Counter[str]] = Counter(), Counter()
        yield from _part_notes(f"{layer}, {phase}", left.get(key, nothing), right.get(key, nothing))
    for quantity in ("bytes", "arena"):
        if after[quantity] > before[quantity]:
            yield (
                f"more {quantity}: {byte_text(before[quantity])} → {byte_text(after[quantity])} "
                f"({_percent(before[quantity], after[quantity])})"
            )


def _parts(function: Mapping[str, Any]) -> _Parts:
    """For each layer and phase its ops and its kernels, with how many there are of each."""
    facts = function["facts"]
    nodes = {node["id"]: node for node in facts["nodes"]}
    found: _Parts = {}
    seen: set[tuple[str, str]] = set()
    for row in facts["rows"]:
        node = nodes[row["node"]]
        ops, kernels = found.setdefault(
            (node["layer"] or "(no layer)", node["phase"]), (Counter(), Counter())
        )
        if node["rows"][0] == row["row"]:
            ops[_NAMED_SIZE.sub("N", node["op"])] += 1
        if (node["id"], row["kernel"]) not in seen:
            seen.add((node["id"], row["kernel"]))
            kernels[row["kernel"]] += 1
    return found


def _part_notes(
    where: str, left: tuple[Counter[str], Counter[str]], right: tuple[Counter[str], Counter[str]]
) -> Iterator[str]:
    gone, come = left[0] - right[0], right[0] - left[0]
    if gone or come:
        less, more = gone.total(), come.total()
        if not gone or not come:
            what = "new work" if come else "work is gone"
        else:
            what = "lost fusion" if more > less else "more fusion" if more < less else "other ops"
        yield f"{what} in {where}: {_names(gone)} → {_names(come)}"
        return
    gone, come = left[1] - right[1], right[1] - left[1]
    if gone or come:
        yield f"other algorithm in {where}: {_names(gone)} → {_names(come)}"


def _names(counts: Counter[str]) -> str:
    return " + ".join(f"{name} ×{n}" if n > 1 else name for name, n in counts.items()) or "nothing"


# Text


def _lines(found: Comparison) -> Iterator[str]:
    if found.machines[0] != found.machines[1]:
        yield f"measured on different machines: {found.machines[0]} | {found.machines[1]}"
    yield from found.only
    for function in found.functions:
        yield ""
        yield function.name
        rows = [
            (
                quantity,
                _quantity(quantity, function.before[quantity]),
                _quantity(quantity, function.after[quantity]),
                _percent(function.before[quantity], function.after[quantity]),
            )
            for quantity in QUANTITIES
        ]
        yield from table(("a call", "before", "after", "change"), rows, right=(1, 2, 3))
        for title, pairs in (("layer", function.layers), ("kernel", function.kernels)):
            yield from _pair_lines(title, pairs, function.before["time"])
        yield from (f"- {note}" for note in function.notes)


def _pair_lines(title: str, pairs: Sequence[tuple[str, float, float]], call: float) -> Iterator[str]:
    shown = [pair for pair in pairs if abs(pair[2] - pair[1]) > _SLIGHT * call][:_MOST]
    if shown:
        rows = [(name, time_text(a), time_text(b), _percent(a, b)) for name, a, b in shown]
        yield ""
        yield from table((title, "before", "after", "change"), rows, right=(1, 2, 3))


def _quantity(name: str, value: float) -> str:
    if name == "time":
        return time_text(value)
    if name in ("bytes", "arena"):
        return byte_text(value)
    return count_text(value).strip()


def _percent(before: float, after: float) -> str:
    found = change(before, after)
    return "new" if found == float("inf") else f"{found:+.1f} %"
