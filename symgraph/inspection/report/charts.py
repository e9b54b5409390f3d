"""Charts of a report as SVG: the map of the arena, and the roofline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from symgraph.inspection.draw.drawing import text_width
from symgraph.inspection.draw.outline import node_link
from symgraph.inspection.draw.palette import op_kind
from symgraph.inspection.report.markup import (
    bytes_text,
    element,
    flops_text,
    percent,
    plural,
    rate_text,
    seconds_text,
    table,
    text,
)
from symgraph.inspection.report.material import Measure, Numbers
from symgraph.inspection.text.memory_map import MemoryMap, memory_map
from symgraph.inspection.text.table import byte_text
from symgraph.kernels.ceilings import Ceilings

_WIDTH, _HEIGHT, _CURVE = 1120.0, 360.0, 84.0
_LEFT, _TOP = 74.0, 10.0
_MOST_PIECES = 3000
_MOST_DOTS = 500
_ROOF_HEIGHT = 430.0


def arena_map(numbers: Numbers) -> str:
    """Rows across, the arena downwards: what is where, and when; above it, how much is taken."""
    memory = memory_map(numbers.facts)
    if not memory.pieces:
        return element("p", "Nothing lies in the arena.", class_="note")
    last = max(len(numbers.facts.rows), max(b.last for b in memory.pieces) + 1)
    parts = [*_taken(memory, last), *_pieces(numbers, memory, last), *_map_axes(memory, last)]
    whole = _svg(_WIDTH, _TOP + _CURVE + 26 + _HEIGHT + 34, parts, "Map of the arena")
    phases = "".join(f'<i class="p-{p}"></i>{p}' for p in ("forward", "backward", "update"))
    return whole + element("p", f"written by {phases}", class_="note key") + _holders(numbers, memory)


def _svg(width: float, height: float, parts: Sequence[str], title: str) -> str:
    inner = f"<title>{text(title)}</title>" + "\n".join(parts)
    chart = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {width:g} {height:g}" '
        f'role="img">{inner}</svg>'
    )
    return element("div", chart, class_="scroll")


def _across(row: float, last: int) -> float:
    return _LEFT + row / last * (_WIDTH - _LEFT - 12)


def _taken(memory: MemoryMap, last: int) -> Iterator[str]:
    """The bytes that are taken at each row, as an area; the peak as a line."""
    changes: dict[int, int] = {}
    for piece in memory.pieces:
        changes[piece.first] = changes.get(piece.first, 0) + piece.nbytes
        changes[piece.last + 1] = changes.get(piece.last + 1, 0) - piece.nbytes
    bottom = _TOP + _CURVE
    points, taken = [f"M{_across(0, last):g} {bottom:g}"], 0
    for row in sorted(changes):
        taken += changes[row]
        x, y = _across(row, last), bottom - _CURVE * taken / (memory.peak_bytes or 1)
        points.append(f"H{x:.5g}V{y:.5g}")
    points.append(f"H{_across(last, last):g}V{bottom:g}Z")
    yield f'<path class="area" d="{"".join(points)}"/>'
    x = _across(memory.peak_row + 0.5, last)
    low = _TOP + _CURVE + 26 + _HEIGHT
    yield f'<line class="peak" x1="{x:.5g}" x2="{x:.5g}" y1="{_TOP:g}" y2="{low:g}"/>'
    anchor, shift = ("end", -5) if x > _WIDTH * 0.6 else ("start", 5)
    label = f"peak {byte_text(memory.peak_bytes)} at row {memory.peak_row}"
    yield (
        f'<text class="peak" x="{x + shift:.5g}" y="{bottom + 17:g}" text-anchor="{anchor}">'
        f"{text(label)}</text>"
    )
    yield f'<text class="axis" x="{_LEFT - 6:g}" y="{_TOP + 10:g}" text-anchor="end">taken</text>'


def _pieces(numbers: Numbers, memory: MemoryMap, last: int) -> Iterator[str]:
    top = _TOP + _CURVE + 26
    shown = sorted(memory.pieces, key=lambda b: -b.nbytes * (b.last - b.first + 1))[:_MOST_PIECES]
    for piece in shown:
        node = numbers.nodes[piece.node]
        x, end = _across(piece.first, last), _across(piece.last + 1, last)
        y = top + _HEIGHT * piece.offset / (memory.arena_bytes or 1)
        height = max(_HEIGHT * piece.nbytes / (memory.arena_bytes or 1), 0.6)
        tip = (
            f"{piece.node} {node.op}\n{node.layer or ''}\n{byte_text(piece.nbytes)} at {piece.offset:,}, "
            f"rows {piece.first} to {piece.last}"
        )
        place = f'x="{x:.5g}" y="{y:.5g}" width="{max(end - x, 0.8):.4g}" height="{height:.4g}"'
        yield (
            f'<a href="{node_link(piece.node)}"><rect class="blk p-{node.phase}" {place}>'
            f"<title>{text(tip)}</title></rect></a>"
        )
    if len(memory.pieces) > _MOST_PIECES:
        note = f"the {_MOST_PIECES} largest of {len(memory.pieces)} pieces"
        yield f'<text class="axis" x="{_WIDTH - 12:g}" y="{top - 6:g}" text-anchor="end">{note}</text>'


def _map_axes(memory: MemoryMap, last: int) -> Iterator[str]:
    top = _TOP + _CURVE + 26
    low = top + _HEIGHT
    yield (
        f'<rect class="border" x="{_LEFT:g}" y="{top:g}" width="{_WIDTH - _LEFT - 12:g}" '
        f'height="{_HEIGHT:g}"/>'
    )
    for part in range(5):
        y = top + _HEIGHT * part / 4
        label = byte_text(memory.arena_bytes * part / 4) if part else "offset 0"
        yield f'<text class="axis" x="{_LEFT - 6:g}" y="{y + 4:g}" text-anchor="end">{label}</text>'
    for row in ticks(last):
        yield (
            f'<text class="axis" x="{_across(row, last):.5g}" y="{low + 15:g}" text-anchor="middle">'
            f"{row}</text>"
        )
    yield (
        f'<text class="axis" x="{(_LEFT + _WIDTH) / 2:g}" y="{low + 30:g}" text-anchor="middle">row: '
        "time goes this way</text>"
    )


def ticks(last: int) -> list[int]:
    """Round numbers from 0 to `last`, about ten."""
    step = 10 ** math.floor(math.log10(max(last / 10, 1)))
    step = next(step * f for f in (1, 2, 5, 10) if last / (step * f) <= 12)
    return list(range(0, last + 1, step))


def _holders(numbers: Numbers, memory: MemoryMap) -> str:
    rows = []
    for piece in memory.held(memory.peak_row)[:20]:
        node = numbers.nodes[piece.node]
        rows.append(
            (
                text(byte_text(piece.nbytes)),
                f'<a href="{node_link(node.id)}">{text(node.id)}</a>',
                text(node.op),
                text(node.layer or ""),
                f"{piece.first} to {piece.last}",
                f"{piece.offset:,}",
            )
        )
    head = ("size", "node", "op", "layer", "rows", "offset")
    return f"<h3>Who holds the peak, at row {memory.peak_row}</h3>" + table(head, rows, (0, 5))


def roofline(numbers: Numbers) -> str:
    """Operations a byte across, operations a second upwards; lines show what the hardware can do."""
    ceilings = numbers.material.ceilings
    if not ceilings:
        return element("p", "The machine's ceilings were not measured.", class_="note")
    dots = _dots(numbers)
    xs = [m.intensity or 1.0 for _, m in dots] + [c.gflops / c.gbytes for c in ceilings]
    ys = [c.gflops for c in ceilings] + [_rate(m) for _, m in dots if m.seconds]
    axes = _Axes(min(xs) / 2, max(xs) * 4, min(ys) / 3, max(ys) * 2)
    parts = [*axes.lines(), *_roof(axes, ceilings)]
    for name, measure in reversed(dots):
        parts.append(_dot(numbers, axes, name, measure))
    parts += _labels(numbers, axes, dots)
    rows = [
        (
            text(plural(c.threads, "thread")),
            text(f"{c.gflops:.1f} GFLOP/s"),
            text(f"{c.gbytes:.1f} GB/s"),
            text(f"{c.gflops / c.gbytes:.1f}"),
        )
        for c in ceilings
    ]
    measured = table(
        ("", "multiply-adds, float32", "copy, read and write", "ridge, FLOP/byte"), rows, (1, 2, 3)
    )
    return _svg(_WIDTH, _ROOF_HEIGHT + 52, parts, "Roofline") + _legend(numbers) + measured


def _legend(numbers: Numbers) -> str:
    note = (
        "A dot is a node, its area its time. Bytes are counted once for each operand and result, "
        "what cannot be avoided; "
        "dots above a line have operands in caches, or need fewer operations than are counted "
        "(Winograd's tiles)."
        if numbers.times is not None
        else "Nothing was measured: dots lie on the line, where these nodes could be at best."
    )
    return element("p", text(note), class_="note")


def _dots(numbers: Numbers) -> list[tuple[str, Measure]]:
    found = []
    for node in numbers.work[:_MOST_DOTS]:
        measure = numbers.of_node(node)
        if measure.intensity and (measure.seconds is None or measure.seconds > 0):
            found.append((node.id, measure))
    return found


def _rate(measure: Measure) -> float:
    """GFLOP/s."""
    return (measure.flops or 0) / (measure.seconds or 1.0) / 1e9


class _Axes:
    """Two logarithmic axes."""

    def __init__(self, left: float, right: float, low: float, high: float) -> None:
        self.x = (math.log10(left), math.log10(right))
        self.y = (math.log10(low), math.log10(high))

    def at(self, intensity: float, rate: float) -> tuple[float, float]:
        """The place of a point, in pixels."""
        (x0, x1), (y0, y1) = self.x, self.y
        x = (math.log10(intensity) - x0) / (x1 - x0)
        y = (math.log10(max(rate, 1e-9)) - y0) / (y1 - y0)
        return _LEFT + x * (_WIDTH - _LEFT - 20), _TOP + (1 - min(max(y, 0.0), 1.0)) * _ROOF_HEIGHT

    def lines(self) -> Iterator[str]:
        """Grid lines with numbers."""
        for power in range(math.ceil(self.x[0]), math.floor(self.x[1]) + 1):
            x, low = self.at(10.0**power, 10 ** self.y[0])
            yield f'<line class="grid" x1="{x:.5g}" x2="{x:.5g}" y1="{_TOP:g}" y2="{low:.5g}"/>'
            yield (
                f'<text class="axis" x="{x:.5g}" y="{low + 16:.5g}" text-anchor="middle">'
                f"{10.0**power:g}</text>"
            )
        for power in range(math.ceil(self.y[0]), math.floor(self.y[1]) + 1):
            x, y = self.at(10 ** self.x[0], 10.0**power)
            yield f'<line class="grid" x1="{_LEFT:g}" x2="{_WIDTH - 20:g}" y1="{y:.5g}" y2="{y:.5g}"/>'
            yield (
                f'<text class="axis" x="{_LEFT - 6:g}" y="{y + 4:.5g}" text-anchor="end">'
                f"{10.0**power:g}</text>"
            )
        low = _TOP + _ROOF_HEIGHT
        yield (
            f'<text class="axis" x="{(_LEFT + _WIDTH) / 2:g}" y="{low + 34:g}" text-anchor="middle">'
            "operations a byte</text>"
        )
        yield (
            f'<text class="axis" x="14" y="{_TOP + _ROOF_HEIGHT / 2:g}" transform="rotate(-90 14 '
            f'{_TOP + _ROOF_HEIGHT / 2:g})" text-anchor="middle">GFLOP/s</text>'
        )


def _roof(axes: _Axes, ceilings: Sequence[Ceilings]) -> Iterator[str]:
    """A line for each number of threads, and what it stands for."""
    low = math.inf
    for one in sorted(ceilings, key=lambda c: (c.gflops, c.gbytes)):
        ridge, right = one.gflops / one.gbytes, 10 ** axes.x[1]
        start = max(10 ** axes.x[0], 10 ** axes.y[0] / one.gbytes)
        points = [
            axes.at(start, start * one.gbytes),
            axes.at(ridge, one.gflops),
            axes.at(right, one.gflops),
        ]
        line = " ".join(f"{x:.5g},{y:.5g}" for x, y in points)
        yield f'<polyline class="roof" points="{line}"/>'
        x, y = points[-1]
        low = min(y - 6, low - 15)
        label = f"{plural(one.threads, 'thread')}: {one.gflops:.0f} GFLOP/s, {one.gbytes:.0f} GB/s"
        yield f'<text class="rooftext" x="{x - 4:.5g}" y="{low:.5g}" text-anchor="end">{text(label)}</text>'


def _point(numbers: Numbers, axes: _Axes, measure: Measure) -> tuple[float, float]:
    intensity = measure.intensity or 1.0
    if measure.seconds:
        return axes.at(intensity, _rate(measure))
    best = numbers.ceiling or numbers.material.ceilings[-1]
    return axes.at(intensity, min(best.gflops, intensity * best.gbytes))


def _radius(numbers: Numbers, measure: Measure) -> float:
    """Of a dot: its area is the share of time."""
    return 3 + 22 * math.sqrt(min(numbers.share(measure) or 0.0, 1.0))


def _dot(numbers: Numbers, axes: _Axes, name: str, measure: Measure) -> str:
    node = numbers.nodes[name]
    x, y = _point(numbers, axes, measure)
    radius = _radius(numbers, measure)
    tip = (
        f"{node.id} {node.op}\n{node.layer or ''}\n{seconds_text(measure.seconds)}, "
        f"{flops_text(measure.flops)}, "
        f"{bytes_text(measure.bytes)}\n{percent(measure.attained)} of the roofline"
    )
    if measure.seconds:
        tip += f", {rate_text(_rate(measure), 'GFLOP/s')}"
    kind = op_kind(node.kind.split("(")[0], node.role)
    return (
        f'<a href="{node_link(name)}"><circle class="dot k-{kind}" cx="{x:.5g}" cy="{y:.5g}" '
        f'r="{radius:.3g}">'
        f"<title>{text(tip)}</title></circle></a>"
    )


def _labels(numbers: Numbers, axes: _Axes, dots: Sequence[tuple[str, Measure]]) -> Iterator[str]:
    """Names beside the dots that matter most, where there is room."""
    taken: list[tuple[float, float, float]] = []
    for name, measure in dots[:20]:
        x, y = _point(numbers, axes, measure)
        node = numbers.nodes[name]
        label = (node.layer or node.id) + ("" if node.phase == "forward" else f", {node.phase}")
        radius = _radius(numbers, measure)
        width = text_width(label, 12)
        left = x > _WIDTH - 40 - width
        start = x - radius - 4 - width if left else x + radius + 4
        if len(taken) == 10 or any(a < start + width and start < b and abs(y - c) < 14 for a, b, c in taken):
            continue
        taken.append((start, start + width, y))
        side, place = ("end", start + width) if left else ("start", start)
        yield (
            f'<text class="dotname" x="{place:.5g}" y="{y + 4:.5g}" text-anchor="{side}">{text(label)}</text>'
        )
