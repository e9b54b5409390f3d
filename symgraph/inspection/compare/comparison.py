"""Two saved profiles side by side: what became slower, and what changed in the Programs."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from symgraph.inspection.compare.rules import QUANTITIES, change, rule
from symgraph.inspection.export.json_files import read_json
from symgraph.inspection.facts.profile import SCHEMA
from symgraph.inspection.text.table import byte_text, count_text, table, time_text

_MOST = 12
# Unknown sizes are called after the inputs that they come from.
_NAMED_SIZE = re.compile(r"\bN_\w+")
_SLIGHT = 0.005  # of a call's time: changes of parts that are smaller are not shown

# The fields that a comparison reads: of an object by name, of a list for each item, else the name of a check.
_FIELDS: dict[str, Any] = {
    "machine": {"processor": "text", "threads": "an integer", "versions": {"symgraph": "text"}},
    "functions": [
        {
            "facts": {
                "name": "text",
                "shapes": "lists of integers, or null",
                "threads": "an integer",
                "arena_bytes": "an integer",
                "nodes": [
                    {
                        "id": "text",
                        "op": "text",
                        "layer": "text or null",
                        "phase": "text",
                        "flops": "a number or null",
                        "bytes": "a number or null",
                        "rows": ["an integer"],
                    }
                ],
                "rows": [{"row": "an integer", "node": "text", "kernel": "text"}],
            },
            "calls": "an integer",
            "seconds": "a number",
            "warm": "true or false",
            "row_seconds": ["a number"],
        }
    ],
}


class _Source(Protocol):
    """What gives a profile as JSON: `symgraph.profile()` does, and its facts."""

    def to_json(self) -> dict[str, Any]: ...


Source = str | os.PathLike[str] | Mapping[str, Any] | _Source


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
    warm : (bool, bool)
        False for a profile that has only the Function's first call: caches were cold then.
    """

    name: str
    before: Mapping[str, float]
    after: Mapping[str, float]
    layers: list[tuple[str, float, float]]
    kernels: list[tuple[str, float, float]]
    notes: list[str]
    warm: tuple[bool, bool] = (True, True)

    @property
    def cold(self) -> str:
        """Which profile has only the first call, as text; empty where neither has."""
        if all(self.warm):
            return ""
        if not any(self.warm):
            return "both have only their first call"
        return f"the {'second' if self.warm[0] else 'first'} has only its first call"

    @property
    def timed(self) -> bool:
        """Whether times can be compared: both are warm, or both are cold."""
        return self.warm[0] == self.warm[1]


@dataclass(frozen=True)
class Comparison:
    """What `compare` found; printed, it is a text. `only` names Functions that are in one profile only."""

    functions: list[FunctionComparison]
    only: list[str]
    machines: tuple[str, str]

    def broken(self, rules: str | Sequence[str]) -> list[str]:
        """A line for each Function that breaks a rule (see `compare.rules`), or is in one only.

        Raises
        ------
        ValueError
            A rule is none, or it is one for times where a cold call would be compared with warm ones.
        """
        found: list[str] = []
        for one in map(rule, [rules] if isinstance(rules, str) else rules):
            # Nobody can tell whether it would keep to the rule.
            found += [f"{one.text}: {missing}" for missing in self.only]
            for function in self.functions:
                if one.quantity == "time" and not function.timed:
                    raise ValueError(f"{one.text}: {function.name}: no verdict, {function.cold}")
                before, after = function.before[one.quantity], function.after[one.quantity]
                if one.breaks(before, after):
                    found.append(
                        f"{one.text}: {function.name}: {_quantity(one.quantity, before)} → "
                        f"{_quantity(one.quantity, after)} ({_percent(before, after)})"
                    )
        return found

    def __str__(self) -> str:
        return "\n".join(_lines(self))

    __repr__ = __str__


def compare(a: Source, b: Source) -> Comparison:
    """Compare two profiles: paths of saved ones, profiles, or what their ``to_json`` gives.

    Functions are matched by name, several of one name in the order of their input shapes.

    Raises
    ------
    ValueError
        One of them is no profile or lacks fields, or they have no Function in common.
    """
    first, second = _loaded(a, "first"), _loaded(b, "second")
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


def _loaded(source: Any, which: str) -> dict[str, Any]:
    if isinstance(source, str | os.PathLike):
        where, data = os.fspath(source), read_json(source)
    else:
        where, data = f"compare: the {which}", _plain(source)
    if not isinstance(data, dict) or data.get("kind") != "profile":
        raise ValueError(f"{where}: expected a profile that was saved as JSON")
    if data.get("schema") != SCHEMA:
        raise ValueError(f"{where}: expected a profile of schema {SCHEMA}, got {data.get('schema')!r}")
    problem = next(_problems(data, _FIELDS, "the profile"), None) or next(_mismatches(data), None)
    if problem is not None:
        raise ValueError(f"{where}: incomplete profile: {problem}")
    return data


def _plain(source: Any) -> Any:
    """As read from a file: lists for tuples, else equal shapes would differ. None if it is no JSON."""
    data = source.to_json() if hasattr(source, "to_json") else source
    try:
        return json.loads(json.dumps(data))
    except (TypeError, ValueError):
        return None


def _problems(value: Any, fields: Any, where: str) -> Iterator[str]:
    """What of `fields` (see `_FIELDS`) is missing, or something else."""
    if isinstance(fields, str):
        if not _is(fields, value):
            yield f"{where}: expected {fields}, got {_short(value)}"
    elif isinstance(fields, list):
        if not isinstance(value, list):
            yield f"{where}: expected a list, got {_short(value)}"
            return
        for number, item in enumerate(value):
            yield from _problems(item, fields[0], f"{where}[{number}]")
    elif not isinstance(value, dict):
        yield f"{where}: expected an object, got {_short(value)}"
    else:
        missing = [name for name in fields if name not in value]
        if missing:
            yield f"{where}: {', '.join(missing)} missing"
            return
        for name, inner in fields.items():
            yield from _problems(value[name], inner, name if where == "the profile" else f"{where}.{name}")


def _is(kind: str, value: Any) -> bool:
    """Whether `value` is what a check of `_FIELDS` names."""
    if kind.endswith("null") and value is None:
        return True
    if kind == "true or false":
        return isinstance(value, bool)
    if kind.startswith("lists"):
        return isinstance(value, list) and all(
            isinstance(shape, list) and all(_is("an integer", size) for size in shape) for shape in value
        )
    if kind.startswith("text"):
        return isinstance(value, str)
    numbers = int if kind == "an integer" else int | float
    return isinstance(value, numbers) and not isinstance(value, bool)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _mismatches(profile: Mapping[str, Any]) -> Iterator[str]:
    """Where lists of a Function do not belong together."""
    for number, function in enumerate(profile["functions"]):
        where, facts, times = f"functions[{number}]", function["facts"], function["row_seconds"]
        if len(times) != len(facts["rows"]):
            yield f"{where}.row_seconds: expected {len(facts['rows'])}, one for each row, got {len(times)}"
        nodes = {node["id"]: node for node in facts["nodes"]}
        for row in facts["rows"]:
            if row["node"] not in nodes:
                yield f"{where}.facts.nodes: {row['node']} missing, which row {row['row']} belongs to"
            elif not nodes[row["node"]]["rows"]:
                yield f"{where}.facts.nodes: rows of {row['node']} missing, row {row['row']} is one"


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
    notes = list(_notes(a, b, before, after))
    return FunctionComparison(name, before, after, layers, kernels, notes, (a["warm"], b["warm"]))


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
        if function.cold:
            yield function.cold + ("" if function.timed else ": times cannot be compared")
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
