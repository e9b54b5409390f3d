"""Profiles as text: where the time of each Function goes, and how near the ceilings that is."""

from __future__ import annotations

from collections.abc import Iterator

from symgraph.inspection.facts.hardware import HardwareFacts
from symgraph.inspection.facts.profile import ProfileFacts
from symgraph.inspection.facts.times import FunctionTimes, Group
from symgraph.inspection.text.table import table, time_text
from symgraph.kernels.ceilings import Ceilings

_VIEWS = ("phase", "layer", "op", "kernel")
_MOST = 12
_COVERED = 0.95


def profile_text(profile: ProfileFacts) -> str:
    """Everything: the hardware, then each Function by phase, layer, op and kernel."""
    lines = [*_head(profile)]
    for times in profile.functions:
        lines += ["", *_function_lines(times, profile.hardware)]
        for by in _VIEWS:
            lines += ["", *_group_lines(times, by, profile.ceilings.get(times.facts.threads), _MOST)]
    if profile.functions:
        lines += ["", *_legend(profile)]
    return "\n".join(lines)


def profile_table(profile: ProfileFacts, by: str, most: int | None = None) -> str:
    """One table for each Function, by ``kernel``, ``op``, ``layer``, ``phase`` or ``node``."""
    lines: list[str] = []
    for times in profile.functions:
        lines += [_title(times), *_group_lines(times, by, profile.ceilings.get(times.facts.threads), most)]
    return "\n".join(lines)


def _head(profile: ProfileFacts) -> Iterator[str]:
    count = len(profile.functions)
    if not count:
        yield (
            "nothing was timed: no Function was called while this profile ran, or only ones that are looked "
            "into (taps, nan_guard), that another profile inside of this one took, or that other threads "
            "called"
        )
        return
    share = profile.inside / profile.seconds if profile.seconds else 0.0
    yield (
        f"{time_text(profile.seconds)}, {100 * share:.1f} % of it inside of {count} "
        f"Program{'s' if count > 1 else ''}; the rest is Python between calls, and the planning of Programs"
    )
    found = profile.hardware
    yield f"{found.processor}, {found.vector_bits}-bit vectors, threading layer {found.threading_layer}"
    for threads, ceilings in profile.ceilings.items():
        yield (
            f"with {_threads(threads)} it does at most {ceilings.gflops:.1f} GFLOP/s "
            f"(float32 multiply-adds) and {ceilings.gbytes:.1f} GB/s (copy), both measured"
        )


def _title(times: FunctionTimes) -> str:
    shapes = ", ".join(map(str, times.facts.shapes or ()))
    return f"{times.facts.name}({shapes}), {_threads(times.facts.threads)}"


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"


def _function_lines(times: FunctionTimes, hardware: HardwareFacts) -> Iterator[str]:
    yield _title(times)
    if times.warm and times.calls:
        each = time_text(times.seconds / times.calls)
        yield f"  warm  {times.calls} call{'s' if times.calls > 1 else ''}, {each} each"
    yield f"  cold  the first call, {time_text(times.first_seconds)}{_cold_note(times)}"
    if not hardware.clock:
        yield "  rows  not timed: there is no clock for user code on this processor"
        return
    covered = times.coverage
    yield f"  rows  account for {100 * covered:.1f} % of that time" + (
        "" if covered >= _COVERED else ": the rest is the start of calls, and Python between rows"
    )
    if times.seconds:
        yield f"  clocks took at most about {100 * times.clock_seconds / times.seconds:.2f} % of it"


def _cold_note(times: FunctionTimes) -> str:
    return ", not counted below" if times.warm else ", which is all there is: caches were cold"


def _group_lines(times: FunctionTimes, by: str, ceilings: Ceilings | None, most: int | None) -> list[str]:
    groups = times.groups(by)
    shown = groups[:most]
    rows = [_cells(group, times.calls, ceilings) for group in shown]
    if len(shown) < len(groups):
        left = groups[len(shown) :]
        seconds, share = sum(g.seconds for g in left), sum(g.share for g in left)
        rows.append((f"{len(left)} more", _milliseconds(seconds, times.calls), f"{100 * share:.1f} %"))
    head: tuple[str, ...] = (f"by {by}", "ms a call", "share", "GFLOP/s", "GB/s")
    if ceilings is not None:
        head = (*head[:4], "of most", head[4], "of most", "roofline")
    padded = [(*row, *[""] * (len(head) - len(row))) for row in rows]
    return table(head, padded, right=range(1, len(head)))


def _cells(group: Group, calls: int, ceilings: Ceilings | None) -> tuple[str, ...]:
    name, time, share = group.name, _milliseconds(group.seconds, calls), f"{100 * group.share:.1f} %"
    if group.flops is None or group.bytes is None or group.gflops is None or group.gbytes is None:
        return (name, time, share, *["unknown"] * (2 if ceilings is None else 5))
    if ceilings is None:
        return name, time, share, f"{group.gflops:.1f}", f"{group.gbytes:.1f}"
    return (
        name,
        time,
        share,
        f"{group.gflops:.1f}",
        f"{100 * group.gflops / ceilings.gflops:.0f} %",
        f"{group.gbytes:.1f}",
        f"{100 * group.gbytes / ceilings.gbytes:.0f} %",
        f"{100 * ceilings.share(group.flops, group.bytes, group.seconds):.0f} %",
    )


def _milliseconds(seconds: float, calls: int) -> str:
    return f"{1e3 * seconds / max(calls, 1):.3f}"


def _legend(profile: ProfileFacts) -> Iterator[str]:
    yield "Bytes are those that cannot be avoided: operands and results, each once."
    if profile.ceilings:
        yield (
            "More than 100 % of a ceiling: operands came from caches, or convolutions in tiles needed fewer "
            "operations than are counted."
        )
        yield "Roofline: the time that this work needs at least, by the nearer ceiling, over what it took."
    yield "Unknown: a kernel that does a part of a node's work, or Python."
