"""The seventh part of a report: what would make it faster, by the seconds that could be won."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from symgraph.inspection.draw.outline import Cluster, base_name, page_link
from symgraph.inspection.draw.palette import op_kind
from symgraph.inspection.facts.function import NodeFacts
from symgraph.inspection.report.markup import (
    bar,
    element,
    flops_text,
    link,
    percent,
    plural,
    seconds_text,
    text,
)
from symgraph.inspection.report.material import Measure, Numbers

_MOST = 12
_ALIKE = 3  # layers
_WORTH = 0.01  # of a call's time
_NEITHER = 0.1  # of the roofline
_SHORT = 5e-6  # seconds: a row so short is mostly the cost of starting it


@dataclass(frozen=True)
class Advice:
    """Something that could be won.

    Attributes
    ----------
    seconds : float
        Of a call, at most; 0 where it is unknown.
    title : str
    reasons : tuple of str
        What was seen, and what would help.
    href : str
        Where on the page it is about.
    """

    seconds: float
    title: str
    reasons: tuple[str, ...]
    href: str = ""


def advise(numbers: Numbers) -> list[Advice]:
    """What would help, that which recovers most seconds first."""
    found = [*_layers(numbers), *_whole(numbers)]
    return sorted(found, key=lambda advice: -advice.seconds)[:_MOST]


def _layers(numbers: Numbers) -> Iterator[Advice]:
    """Layers far from the roofline; three or more with the same op in the lead are taken together."""
    whole = numbers.call_seconds
    if not whole:
        return
    alike: dict[str, list[tuple[Cluster, Measure]]] = {}
    for cluster, measure in numbers.ranked():
        if measure.recoverable >= 0.1 * _WORTH * whole:
            worst = _worst(numbers, cluster)
            alike.setdefault(f"{base_name(worst.kind)}, {worst.phase}", []).append((cluster, measure))
    for name, group in alike.items():
        if len(group) >= _ALIKE:
            yield _together(numbers, name, group)
        else:
            for cluster, measure in group:
                if measure.recoverable >= _WORTH * whole:
                    title = _title(numbers, cluster.title, measure)
                    reasons = tuple(_reasons(numbers, cluster))
                    yield Advice(measure.recoverable, title, reasons, page_link(cluster))


def _title(numbers: Numbers, name: str, measure: Measure) -> str:
    return f"{name}: {percent(numbers.share(measure))} of time at {percent(measure.attained)} of roofline"


def _together(numbers: Numbers, name: str, group: Sequence[tuple[Cluster, Measure]]) -> Advice:
    """One piece of advice for layers that are slow in the same way."""
    group = sorted(group, key=lambda pair: -pair[1].recoverable)
    whole = numbers.of([node for cluster, _ in group for node in cluster.nodes])
    first = ", ".join(f"{c.title} ({seconds_text(m.recoverable)})" for c, m in group[:5])
    names = f"Most could be won in {first}."
    title = _title(numbers, f"{len(group)} layers, most of it {name}", whole)
    recoverable = sum(measure.recoverable for _, measure in group)
    reasons = (names, *_reasons(numbers, group[0][0]))
    return Advice(recoverable, title, reasons, page_link(group[0][0]))


def _worst(numbers: Numbers, cluster: Cluster) -> NodeFacts:
    """The node of a layer that could win most."""
    return max(numbers.inner(cluster.nodes), key=lambda node: numbers.of_node(node).recoverable)


def _reasons(numbers: Numbers, cluster: Cluster) -> Iterator[str]:
    """Why a layer may be slow: what is seen at its most costly node, then at the others."""
    work, worst = numbers.inner(cluster.nodes), _worst(numbers, cluster)
    measure = numbers.of_node(worst)
    if measure.seconds:
        row = numbers.rows[worst.id][0]
        yield (
            f"In {cluster.title} most is {worst.id} {base_name(worst.kind)} ({worst.phase}), "
            f"{seconds_text(measure.seconds)} in "
            f"{row.kernel}, at {percent(measure.attained)} of the roofline."
        )
        yield from _bound(numbers, worst, measure)
    yield from _shape(numbers, work)


def _bound(numbers: Numbers, node: NodeFacts, measure: Measure) -> Iterator[str]:
    """What holds the node back: memory or arithmetic."""
    ceiling, intensity = numbers.ceiling, measure.intensity
    if ceiling is None or intensity is None:
        return
    ridge = ceiling.gflops / ceiling.gbytes
    product = op_kind(base_name(node.kind)) == "product"
    if not product and (measure.attained or 0.0) < _NEITHER:
        yield (
            "It reaches neither ceiling: instructions that are not counted as operations (random "
            "numbers, comparisons, "
            "addresses), rows too short for their start, or waiting."
        )
    elif intensity < ridge:
        yield (
            f"It is bound by memory: {intensity:.2g} FLOP a byte, where {ridge:.2g} would keep "
            "the processor busy. Fewer "
            "bytes help: smaller dtypes, smaller results, or work that a neighbour could take "
            "over (see the passes)."
        )
    elif product:
        yield (
            f"It is bound by arithmetic ({intensity:.3g} FLOP a byte): sizes that are multiples "
            "of the vector width, and "
            "larger batches or more channels, fill the processor better."
        )
    else:
        yield (
            "It is bound by arithmetic: functions like exp or tanh take many instructions for one "
            "counted operation."
        )


def _shape(numbers: Numbers, work: Sequence[NodeFacts]) -> Iterator[str]:
    """What catches the eye in its rows and dtypes."""
    rows = [row for node in work for row in numbers.rows[node.id]]
    threads = numbers.facts.threads
    alone = [node for node in work if sum(row.tiles for row in numbers.rows[node.id]) == 1]
    seconds = sum(numbers.of_node(node).seconds or 0.0 for node in alone)
    everything = sum(numbers.of_node(node).seconds or 0.0 for node in work)
    if threads > 1 and everything and seconds > 0.5 * everything:
        yield (
            f"{seconds_text(seconds)} of it run in one tile, on one of "
            f"{plural(threads, 'thread')}: larger batches give more "
            "tiles."
        )
    runs = sum(row.turns for row in rows)
    if everything and runs and everything / runs < _SHORT:
        yield (
            f"Its {runs:,} runs of rows take {seconds_text(everything / runs)} each: starting "
            "them costs as much as the work. "
            "Larger batches, or fewer and longer steps, help."
        )
    if any("float64" in node.dtypes for node in work):
        yield "It computes in float64: float32 moves half the bytes and twice the numbers an instruction."
    copies = [node for node in work if op_kind(base_name(node.kind)) == "move"]
    moved = sum(numbers.of_node(node).seconds or 0.0 for node in copies)
    if everything and moved > 0.3 * everything:
        yield (
            f"Copies and transpositions take {percent(moved / everything)} of it: another order of "
            "axes may save them."
        )


def _whole(numbers: Numbers) -> Iterator[Advice]:
    """What is not about one layer."""
    times, made = numbers.times, numbers.material.compilations
    if times is not None and numbers.call_seconds:
        outside = numbers.call_seconds * max(1 - times.coverage, 0.0)
        if outside > 0.05 * numbers.call_seconds:
            reason = (
                "Time around the rows: feeding arrays, waiting for threads, Python. Larger "
                "batches make it a smaller "
                "share; feeds that are contiguous and of the right dtype need no copy."
            )
            yield Advice(outside, f"outside of rows: {percent(1 - times.coverage)} of time", (reason,))
    planned = [c for c in made if c.what != "lower"]
    if len(planned) > 4:
        spent = sum(c.seconds for c in planned[1:])
        reason = (
            f"{len(planned)} programs were planned, which took {seconds_text(spent)} after the "
            "first one. Feed batches "
            "of one size, or few sizes; sixteen programs are kept."
        )
        yield Advice(0.0, "many shapes: a program is planned for each", (reason,), "#summary")
    compiled = sum(c.kernel_seconds for c in made)
    if compiled > 1:
        reason = (
            f"{plural(sum(c.compiled for c in made), 'kernel')} were compiled in "
            f"{seconds_text(compiled)}. They lie in the cache "
            "now; `symgraph warmup` makes those of usual networks ahead."
        )
        yield Advice(
            0.0, f"first start: {seconds_text(compiled)} went into compiling kernels", (reason,), "#summary"
        )
    if numbers.facts.threads == 1 and numbers.material.hardware.processors > 1:
        reason = (
            f"This machine has {numbers.material.hardware.processors} processors: "
            "symgraph.set_num_threads(...)."
        )
        yield Advice(0.0, "one thread only", (reason,), "#machine")


def advice(numbers: Numbers) -> str:
    """The section's markup."""
    found = advise(numbers)
    if numbers.times is None and not numbers.facts.rows:
        return element("p", "There is no program yet: call the function once.", class_="note")
    if numbers.times is None:
        note = "Nothing was measured, so nothing can be said about time. The layers with the most work:"
        lines = [
            element("li", link(page_link(c), c.title) + text(f": {flops_text(m.flops)}"))
            for c, m in numbers.ranked()[:8]
        ]
        head = element("p", text(note)) + element("ol", "".join(lines))
    else:
        head = ""
    if not found:
        return head or element("p", "Nothing stands out: every layer is close to what this machine can do.")
    whole = numbers.call_seconds or 1.0
    return head + element("ol", "".join(_item(one, whole) for one in found), class_="advice")


def _item(one: Advice, whole: float) -> str:
    title = link(one.href, one.title) if one.href else f"<b>{text(one.title)}</b>"
    gain = ""
    if one.seconds:
        share = one.seconds / whole
        gain = bar(share) + element(
            "span", text(f"at most {seconds_text(one.seconds)} of a call, {percent(share)}")
        )
    reasons = "".join(element("li", text(reason)) for reason in one.reasons)
    return element("li", f'<div class="gain">{title}{gain}</div><ul>{reasons}</ul>')
