"""The first part of a report: the compiled Function, and where the time goes."""

from __future__ import annotations

from symgraph.inspection.draw.outline import page_link
from symgraph.inspection.report.markup import (
    bar,
    bytes_text,
    details,
    element,
    flops_text,
    link,
    percent,
    plural,
    rate_text,
    seconds_text,
    table,
    text,
)
from symgraph.inspection.report.material import Numbers
from symgraph.inspection.text.memory_map import memory_map
from symgraph.inspection.text.table import byte_text

_TOP = 12


def summary(numbers: Numbers) -> str:
    """The section's markup."""
    parts = [element("div", "".join(_tiles(numbers)), class_="tiles")]
    if not numbers.facts.rows:
        parts.append(
            '<p class="note">There is no program yet, only the rewritten graph: call the function once. '
            "Sizes, costs and memory are known then.</p>"
        )
    elif numbers.times is None:
        parts.append(
            '<p class="note">No times: nothing was measured. Run some calls inside '
            "<code>with symgraph.profile() as p:</code> and give <code>profile=p</code> to the report.</p>"
        )
    else:
        parts.append(_honesty(numbers))
    phases = _phases(numbers) if numbers.facts.rows else ""
    parts.append(element("div", phases + _compile_time(numbers), class_="pair"))
    parts.append(_top_layers(numbers) if numbers.facts.rows else "")
    parts.append(_compilations(numbers))
    return "".join(parts)


def _tile(name: str, value: str, note: str = "") -> str:
    return element(
        "div", f"<span>{text(name)}</span><b>{text(value)}</b><small>{text(note)}</small>", class_="tile"
    )


def _tiles(numbers: Numbers) -> list[str]:
    facts, times, total = numbers.facts, numbers.times, numbers.total
    memory = memory_map(facts)
    tiles = []
    seconds = numbers.call_seconds
    if times is not None and seconds:
        tiles += [
            _tile(
                "a call", seconds_text(seconds), f"{1 / seconds:,.4g} calls a second, mean of {times.calls}"
            ),
            _tile("first call", seconds_text(times.first_seconds), "cold, not in the mean"),
            _tile("coverage", f"{100 * times.coverage:.1f} %", "of wall time is in rows"),
            _overhead(numbers),
            _tile(
                "speed",
                rate_text(total.flops / seconds / 1e9 if total.flops is not None else None, "GFLOP/s"),
                f"at least {rate_text(total.bytes / seconds / 1e9, 'GB/s')} moved",
            ),
            _tile("of the roofline", percent(total.attained), "least possible time ÷ time"),
        ]
    if not facts.rows:
        return [_tile("program", "none yet", "only a graph")]
    tiles += [
        _tile("work", flops_text(total.flops), f"and {bytes_text(total.bytes)} at least, in a call"),
        _tile(
            "peak arena",
            byte_text(memory.arena_bytes),
            f"for {byte_text(memory.buffer_bytes)} of temporaries",
        ),
        _tile(
            "program",
            plural(len(facts.rows), "row"),
            f"{plural(len(numbers.kernels), 'kernel')}, {plural(facts.threads, 'thread')}",
        ),
    ]
    return tiles


def _overhead(numbers: Numbers) -> str:
    times = numbers.times
    cost = getattr(times, "clock_seconds", 0.0)
    if times is None or not cost or not times.seconds:
        return _tile("profiling", "unknown", "what the clocks took")
    return _tile("profiling", percent(cost / times.seconds), "of the time, for the clocks (estimate)")


def _honesty(numbers: Numbers) -> str:
    """A note where the numbers do not tell all."""
    times = numbers.times
    assert times is not None
    notes = []
    if times.coverage < 0.95:
        notes.append(
            f"Rows account for {percent(times.coverage)} of the calls' time, less than 95 %: the rest is "
            "Python around the program (feeding, results), waiting for threads, or very short rows."
        )
    if times.calls < 3:
        notes.append(f"Only {plural(times.calls, 'warm call')}: times of so few calls vary.")
    return "".join(element("p", text(note), class_="note") for note in notes)


def _phases(numbers: Numbers) -> str:
    if numbers.times is not None:
        shares = [
            (g.name, g.share, seconds_text(g.seconds / numbers.calls)) for g in numbers.times.groups("phase")
        ]
        title = "Time by phase"
    else:
        work: dict[str, int] = {}
        for node in numbers.work:
            work[node.phase] = work.get(node.phase, 0) + (node.flops or 0)
        whole = sum(work.values()) or 1
        shares = [(name, count / whole, flops_text(count)) for name, count in work.items()]
        title = "Operations by phase"
    order = ["forward", "backward", "update"]
    shares.sort(key=lambda s: order.index(s[0]) if s[0] in order else 9)
    rows = [
        (text(name), bar(share, kind=f"p-{name}"), text(f"{amount}, {percent(share)}"))
        for name, share, amount in shares
    ]
    return element("div", f"<h3>{title}</h3>" + table(("phase", "share", "a call"), rows, (2,)))


def _compiled_text(seconds: float, count: int) -> str:
    return f"{seconds_text(seconds)}: {plural(count, 'kernel')}" if count else "no kernel"


def _compile_time(numbers: Numbers) -> str:
    made = numbers.material.compilations
    lower = sum(c.seconds for c in made if c.what == "lower")
    kernels = sum(c.kernel_seconds for c in made)
    plan = sum(c.seconds for c in made if c.what != "lower") - kernels
    compiled, loaded = sum(c.compiled for c in made), sum(c.loaded for c in made)
    whole = lower + plan + kernels or 1.0
    rows = [
        ("lowering", bar(lower / whole), text(f"{seconds_text(lower)}: passes over the graph")),
        ("planning", bar(plan / whole), text(f"{seconds_text(plan)}: places, kernels chosen and loaded")),
        (
            "compiling",
            bar(kernels / whole),
            text(f"{_compiled_text(kernels, compiled)}; {loaded} came from the disk"),
        ),
    ]
    return element(
        "div", f"<h3>Time to compile: {seconds_text(whole)}</h3>" + table(("step", "share", ""), rows)
    )


def _top_layers(numbers: Numbers) -> str:
    ranked = numbers.ranked()[:_TOP]
    rows = []
    longest = 0.0
    for cluster, measure in ranked:
        share = numbers.share(measure)
        by = share if share is not None else (measure.flops or 0) / (numbers.total.flops or 1)
        longest = longest or by or 1.0
        rows.append(
            (
                link(page_link(cluster), cluster.title),
                bar(by / longest),
                text(percent(by)),
                text(seconds_text(measure.seconds)),
                text(flops_text(measure.flops)),
                text(bytes_text(measure.bytes)),
                text(percent(measure.attained)),
            )
        )
    what = "time" if numbers.times is not None else "operations"
    head = ("layer", f"share of {what}", "", "a call", "work", "bytes", "of roofline")
    return f"<h3>Layers with the most {what}</h3>" + table(head, rows, (2, 3, 4, 5, 6))


def _compilations(numbers: Numbers) -> str:
    made = numbers.material.compilations
    rows = [
        (text(c.what), text(seconds_text(c.seconds)), text(f"{c.compiled} / {c.loaded}"), text(c.reason))
        for c in made[-200:]
    ]
    inner = table(("what", "time", "kernels compiled / loaded", "reason"), rows, (1, 2))
    return details(f"{plural(len(made), 'compilation')}, each with its reason", inner)
