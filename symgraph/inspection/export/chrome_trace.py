"""Traces in the trace-event format, which Perfetto (ui.perfetto.dev) and chrome://tracing open.

The format: a JSON object with a list `traceEvents`. Each event has a phase `ph` (X is complete: it has a
duration; M names a process or a thread), a process and a thread number, a name, and times in microseconds.
"Trace Event Format", Google, 2016.
"""

from __future__ import annotations

import heapq
import json
import os
from collections.abc import Iterator
from typing import Any

from symgraph.inspection.export.json_files import write_bytes
from symgraph.inspection.facts.profile import ProfileFacts
from symgraph.inspection.facts.times import Call, Event, FunctionTimes

MOST_BYTES = 100_000_000
"""Viewers take long with more text than that."""

_CALLS = 0  # the thread number of the lane of calls; those of tiles come after it


def write_trace(path: str | os.PathLike[str], profile: ProfileFacts, max_bytes: int = MOST_BYTES) -> None:
    """Write what `trace_text` gives; a file whose name ends in ``.gz`` is compressed."""
    write_bytes(path, trace_text(profile, max_bytes).encode())


def trace_text(profile: ProfileFacts, max_bytes: int = MOST_BYTES) -> str:
    """The calls and tiles that a profile noted, in the order of time, as far as they fit into `max_bytes`.

    Raises
    ------
    ValueError
        Nothing was noted, or `max_bytes` is less than what every trace begins with.
    """
    if not any(times.calls_at for times in profile.functions):
        raise ValueError(
            "chrome_trace: no call was noted: profile with trace=(calls to let pass, calls to note), and "
            "call the functions more often than the calls to let pass"
        )
    texts = [_text(event) for event in _names(profile)]
    size = _tail_size(profile) + sum(map(_size, texts))
    if size > max_bytes:
        raise ValueError(f"chrome_trace: expected max_bytes of at least {size}, got {max_bytes}")
    left = 0
    for event in _in_order(profile):
        text = _text(event)
        size += _size(text)
        if left or size > max_bytes:
            left += 1
        else:
            texts.append(text)
    return _whole(profile, texts, left)


def _whole(profile: ProfileFacts, texts: list[str], left: int) -> str:
    lost = sum(times.lost for times in profile.functions)
    notes = [
        note
        for count, note in (
            (left, f"{left} events at the end were left out: there was no room for them in the file"),
            (lost, f"{lost} tiles were not noted: there was no room for them in the profile"),
        )
        if count
    ]
    about = {
        "note": "; ".join(notes) or "complete",
        "lanes": "a lane has the tiles of the threads that came to a row first, second, ...",
        "processor": profile.hardware.processor,
        "symgraph": profile.hardware.versions.get("symgraph", ""),
    }
    events = ",\n".join(texts)
    return f'{{"displayTimeUnit":"ms","otherData":{_text(about)},"traceEvents":[\n{events}\n]}}\n'


def _tail_size(profile: ProfileFacts) -> int:
    """Bytes of a trace without events, with the longest notes."""
    return len(_whole(profile, [], 10**9).encode()) + 100


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _size(text: str) -> int:
    return len(text.encode()) + 2


def _names(profile: ProfileFacts) -> Iterator[dict[str, Any]]:
    for process, times in enumerate(profile.functions):
        if not times.calls_at:
            continue
        shapes = ", ".join(map(str, times.facts.shapes or ()))
        yield _meta("process_name", process, _CALLS, name=f"{times.facts.name}({shapes})")
        yield _meta("process_sort_index", process, _CALLS, sort_index=process)
        lanes = 1 + max((event.lane for event in times.events), default=-1)
        for thread in range(lanes + 1):
            name = "calls" if thread == _CALLS else f"lane {thread - 1}"
            yield _meta("thread_name", process, thread, name=name)
            yield _meta("thread_sort_index", process, thread, sort_index=thread)


def _meta(kind: str, process: int, thread: int, **args: Any) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": process, "tid": thread, "args": args}


def _in_order(profile: ProfileFacts) -> Iterator[dict[str, Any]]:
    """All calls and tiles by the time at which they start."""
    streams = [
        stream
        for process, times in enumerate(profile.functions)
        for stream in (_calls(process, times), _tiles(process, times))
    ]
    return heapq.merge(*streams, key=lambda event: float(event["ts"]))


def _calls(process: int, times: FunctionTimes) -> Iterator[dict[str, Any]]:
    for number, call in enumerate(sorted(times.calls_at, key=lambda call: call.start)):
        args = {"call": number, "rows": len(times.facts.rows), "threads": times.facts.threads}
        yield _complete(process, _CALLS, times.facts.name, "call", call, args)


def _tiles(process: int, times: FunctionTimes) -> Iterator[dict[str, Any]]:
    nodes = {node.id: node for node in times.facts.nodes}
    for event in sorted(times.events, key=lambda event: event.start):
        row = times.facts.rows[event.row]
        node = nodes[row.node]
        args = {
            "row": row.row,
            "node": node.id,
            "op": node.op,
            "layer": node.layer or "",
            "phase": node.phase,
            "shapes": [list(shape) for shape in node.shapes or ()],
            "operands": list(row.operands),
            "results": list(row.results),
        }
        if row.slice:
            args["slice"] = row.slice
        yield _complete(process, 1 + event.lane, row.kernel, node.layer or "no layer", event, args)


def _complete(
    process: int, thread: int, name: str, category: str, span: Call | Event, args: dict[str, Any]
) -> dict[str, Any]:
    return {
        "ph": "X",
        "name": name,
        "cat": category,
        "pid": process,
        "tid": thread,
        "ts": round(1e6 * span.start, 3),
        "dur": round(1e6 * max(span.end - span.start, 0.0), 3),
        "args": args,
    }
