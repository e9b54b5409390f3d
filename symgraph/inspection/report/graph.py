"""The third part of a report: the graph, collapsed by layer, with a page for each layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from symgraph.inspection.draw.drawing import Box, Sketch, place
from symgraph.inspection.draw.outline import Cluster, cluster_link, inside, phase_text, sketch, slug
from symgraph.inspection.draw.palette import LEGEND
from symgraph.inspection.draw.svg import svg
from symgraph.inspection.facts.function import NodeFacts
from symgraph.inspection.report.markup import (
    bytes_text,
    details,
    element,
    flops_text,
    link,
    percent,
    plural,
    seconds_text,
    text,
)
from symgraph.inspection.report.material import Measure, Numbers
from symgraph.inspection.report.nodes import short_rows

_BINS = 6
_MOST_PAGES = 600
_MOST_ALIKE = 30
_WAYS = (
    ("kind", "kind"),
    ("time", "time"),
    ("roof", "% of roofline"),
    ("bytes", "bytes"),
    ("dtype", "dtype"),
)
_DTYPES = {
    "float32": 0, "float64": 1, "int16": 2, "uint16": 2, "int32": 2, "uint32": 2, "int64": 2, "uint64": 2,
    "int8": 3, "uint8": 3, "bool": 3,
}  # fmt: skip


def graph(numbers: Numbers) -> str:
    """The section's markup."""
    overview = _coloured(numbers, sketch(numbers.outline), clusters=True)
    drawing = svg(place(overview), themed=True)
    measured = numbers.times is not None
    radios = "".join(
        '<input type="radio" name="by" '
        f'id="by-{key}"{" checked" if key == ("time" if measured else "kind") else ""}'
        f"{' disabled' if key in ('time', 'roof') and not measured else ''}>"
        f'<label for="by-{key}">{text(label)}</label>'
        for key, label in _WAYS
    )
    zoom = (
        '<span class="zoom js-only"><button data-zoom="-">−</button><button data-zoom="0">'
        '1:1</button><button data-zoom="+">+</button></span>'
    )
    left = element("div", drawing, class_="overview", tabindex="0")
    paged = _paged(numbers)
    first = next((c.key for c, _ in numbers.ranked()), "")
    # Boxes of very large graphs stand for others that are not alike.
    folded = [box for box in overview.boxes if box.also and box.key in numbers.outline.clusters]
    also = {key: box for box in folded for key in (box.key, *box.also)}
    pages = "".join(_page(numbers, c, c.key == first, also.get(c.key)) for c in paged)
    hint = '<p class="hint">Choose a layer in the graph: what is inside shows here.</p>'
    right = element("div", hint + pages, class_="inside", id="inside")
    return (
        f'<span class="by">coloured by</span> {radios}{zoom}{_legends()}<div class="stage">'
        f"{left}{right}</div>"
    )


def _paged(numbers: Numbers) -> list[Cluster]:
    """The clusters that get pages, in the order of the graph; of very many those with the most work."""
    clusters = {
        key: c for key, c in numbers.outline.clusters.items() if c.nodes[0].role == "op" and not c.single
    }
    kept = set(list(dict.fromkeys([*(c.key for c, _ in numbers.ranked()), *clusters]))[:_MOST_PAGES])
    return [cluster for key, cluster in clusters.items() if key in kept]


def _legends() -> str:
    kinds = "".join(f'<span><i class="k-{kind}"></i>{text(name)}</span> ' for kind, name in LEGEND.items())
    scale = "".join(f'<i class="c{n}"></i>' for n in range(_BINS + 1))
    dtypes = "".join(f'<i class="d{n}"></i>{name} ' for name, n in _SHOWN_DTYPES)
    return (
        f'<p class="legend l-kind">{kinds}</p><p class="legend l-time">no time {scale} most time</p>'
        f'<p class="legend l-roof">far below the roofline {scale} at it <i class="cu"></i>unknown</p>'
        f'<p class="legend l-bytes">few bytes {scale} most bytes</p><p class="legend l-dtype">{dtypes}</p>'
    )


_SHOWN_DTYPES = (("float32", 0), ("float64", 1), ("integers", 2), ("bytes, bool", 3), ("several", 4))


def _coloured(numbers: Numbers, drawn: Sketch, clusters: bool) -> Sketch:
    """The sketch with classes for each way of colouring, and times in the boxes."""
    measures: dict[str, Measure] = {}
    nodes: dict[str, tuple[NodeFacts, ...]] = {}
    for box in drawn.boxes:
        found: list[NodeFacts] = []
        for key in (box.key, *box.also):
            if clusters and key in numbers.outline.clusters:
                found += numbers.outline.clusters[key].nodes
            elif key in numbers.nodes:
                found.append(numbers.nodes[key])
        if found:
            nodes[box.key], measures[box.key] = tuple(found), numbers.of(found)
    longest = max((m.seconds or 0.0 for m in measures.values()), default=0.0)
    most = max((m.bytes for m in measures.values()), default=0)
    boxes = [
        _classed(numbers, box, measures[box.key], nodes[box.key], longest, most)
        if box.key in measures
        else box
        for box in drawn.boxes
    ]
    return replace(drawn, boxes=tuple(boxes))


def _classed(
    numbers: Numbers, box: Box, measure: Measure, nodes: Sequence[NodeFacts], longest: float, most: int
) -> Box:
    if nodes[0].role != "op":
        return box
    attained = measure.attained
    roof = "ru" if attained is None else f"r{min(int(attained * _BINS + 0.5), _BINS)}"
    dtypes = {_DTYPES.get(d, 4) for node in nodes if node.phase == "forward" for d in node.dtypes} or {4}
    dtype = dtypes.pop() if len(dtypes) == 1 else 4
    classes = (
        f"t{_bin(measure.seconds or 0.0, longest)}",
        roof,
        f"b{_bin(measure.bytes, most)}",
        f"d{dtype}",
    )
    lines = box.lines
    share = numbers.share(measure)
    if share is not None and measure.seconds:
        together = "all: " if box.also else ""
        lines = (*lines, f"{together}{seconds_text(measure.seconds)}, {percent(share)}")
    return replace(box, classes=classes, lines=lines)


def _bin(value: float, most: float) -> int:
    """0 for nothing up to `_BINS` for the most; roots, so that small ones can be told apart."""
    return math.ceil(_BINS * math.sqrt(value / most) - 1e-9) if most and value > 0 else 0


def _page(numbers: Numbers, cluster: Cluster, first: bool, drawn: Box | None) -> str:
    """A layer's page: its numbers, a drawing of what is inside, its nodes."""
    measure = numbers.clusters[cluster.key]
    share = numbers.share(measure)
    line = [phase_text(cluster), flops_text(measure.flops), bytes_text(measure.bytes)]
    if share is not None:
        line += [
            f"{seconds_text(measure.seconds)}, {percent(share)} of a call",
            f"{percent(measure.attained)} of the roofline",
        ]
    parts = [f"<h3>{text(cluster.title)}</h3>", element("p", text(" · ".join(line)))]
    if cluster.merged:
        parts.append(element("p", text(f"does the work of {', '.join(cluster.merged)} too"), class_="note"))
    if drawn is not None:
        alike = [
            link(cluster_link(key), key)
            for key in (drawn.key, *drawn.also)[:_MOST_ALIKE]
            if key != cluster.key
        ]
        rest = " ..." if len(drawn.also) >= _MOST_ALIKE else ""
        parts.append(element("p", f"alike: {', '.join(alike)}{rest}", class_="note"))
    drawing = place(_coloured(numbers, inside(numbers.outline, cluster.key), clusters=False))
    parts.append(element("div", svg(drawing, themed=True), class_="scroll small"))
    work = numbers.inner(cluster.nodes)
    if work:
        parts.append(details(plural(len(work), "node") + " with kernels", short_rows(numbers, work[:100])))
    close = link("#graph", "close", class_="close")
    return element(
        "article",
        close + "".join(parts),
        id=f"layer-{slug(cluster.key)}",
        class_="layer first" if first else "layer",
        data_name=cluster.title,
    )
