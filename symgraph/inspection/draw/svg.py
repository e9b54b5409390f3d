"""Drawings as SVG text."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from html import escape

from symgraph.inspection.draw.drawing import (
    LINE,
    LINE_STEP,
    PAD_X,
    PAD_Y,
    TITLE,
    TITLE_STEP,
    Arrow,
    Drawing,
    Frame,
    Placed,
    Point,
    text_width,
)
from symgraph.inspection.draw.palette import EDGE, FAINT, INK, KINDS, MUTED, PAPER

FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"
_STYLE = (
    f"text{{font-family:{FONT};fill:{INK}}}"
    f".t{{font-size:{TITLE}px;font-weight:600}}.l{{font-size:{LINE}px;fill:{MUTED}}}"
    f".e{{fill:none;stroke:{EDGE};stroke-width:1.2}}.x{{stroke:{FAINT}}}"
    f".h{{fill:{EDGE}}}.f{{fill:none;stroke:{EDGE};stroke-dasharray:4 3}}"
    f".g{{font-size:{LINE}px;font-weight:700;fill:{INK}}}"
)


def svg(drawing: Drawing, themed: bool = False) -> str:
    """A drawing as SVG.

    `themed` leaves colours to the page around it: elements have classes only. Else the text stands alone.
    """
    size = f'width="{drawing.width:g}" height="{drawing.height:g}"'
    box = f'viewBox="0 0 {drawing.width:g} {drawing.height:g}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {box} role="img"'
    if themed:
        lines = [f'{head} class="drawing">']
    else:
        lines = [f"{head}>", f"<style>{_STYLE}</style>", f'<rect width="100%" height="100%" fill="{PAPER}"/>']
    if drawing.title:
        lines.append(f"<title>{escape(drawing.title)}</title>")
    lines += [frame_svg(frame) for frame in drawing.frames]
    lines += _edges(drawing)
    lines += [_box(placed, themed) for placed in drawing.boxes]
    lines.append("</svg>")
    return "\n".join(lines) + "\n"


def path_data(points: tuple[Point, ...], across: bool) -> str:
    """The curve through the points of an arrow, as the text of a path."""
    parts = [f"M{points[0][0]:g} {points[0][1]:g}"]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if (y0 == y1) if across else (x0 == x1):
            parts.append(f"L{x1:g} {y1:g}")
        elif across:
            middle = (x0 + x1) / 2
            parts.append(f"C{middle:g} {y0:g} {middle:g} {y1:g} {x1:g} {y1:g}")
        else:
            middle = (y0 + y1) / 2
            parts.append(f"C{x0:g} {middle:g} {x1:g} {middle:g} {x1:g} {y1:g}")
    return "".join(parts)


def head_points(arrow: Arrow, across: bool) -> tuple[Point, Point, Point]:
    """The triangle at the end of an arrow, which points along the ranks."""
    (x0, y0), (x, y) = arrow.points[-2:]
    step = 6.0
    if across:
        back = x - step if x >= x0 else x + step
        return (x, y), (back, y - 3.2), (back, y + 3.2)
    back = y - step if y >= y0 else y + step
    return (x, y), (x - 3.2, back), (x + 3.2, back)


def _edges(drawing: Drawing) -> Iterator[str]:
    for arrow in sorted(drawing.arrows, key=lambda a: not a.faint):
        kind = "e x" if arrow.faint else "e"
        yield f'<path class="{kind}" d="{path_data(arrow.points, drawing.across)}"/>'
        corners = " ".join(f"{x:g},{y:g}" for x, y in head_points(arrow, drawing.across))
        yield f'<polygon class="h" points="{corners}"/>'


def frame_svg(frame: Frame) -> str:
    """A frame with its label in the upper right corner."""
    rect = _rect(frame.x, frame.y, frame.width, frame.height, 9)
    x, y = frame.x + frame.width - 7, frame.y + frame.height / 2 + 4
    text = f'<text class="g" x="{x:g}" y="{y:g}" text-anchor="end">{escape(frame.label)}</text>'
    return f'<g><rect class="f" {rect}/>{text}</g>'


def _rect(x: float, y: float, width: float, height: float, radius: float) -> str:
    return f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}"'


def _box(placed: Placed, themed: bool) -> str:
    box, paint = placed.box, KINDS.get(placed.box.kind, KINDS["other"])
    colours = "" if themed else f' fill="{paint.fill}" stroke="{paint.line}"'
    parts = [f"<title>{escape(box.tip)}</title>"] if box.tip else []
    parts.append(f'<rect class="b" {_rect(placed.x, placed.y, placed.width, placed.height, 6)}{colours}/>')
    left = placed.x + PAD_X
    y = placed.y + PAD_Y + TITLE_STEP - 4.5
    parts.append(_text("t", left, y, box.title, TITLE * 1.04, placed))
    for line in box.lines:
        y += LINE_STEP
        parts.append(_text("l", left, y, line, LINE, placed))
    if box.badge:
        x = placed.x + placed.width - PAD_X + 3
        parts.append(
            f'<text class="g" x="{x:g}" y="{placed.y + PAD_Y + TITLE_STEP - 5:g}" text-anchor="end">'
            f"{escape(box.badge)}</text>"
        )
    classes = " ".join(("n", f"k-{box.kind}", *box.classes))
    inner = f'<g class="{escape(classes)}">{"".join(parts)}</g>'
    return f'<a href="{escape(box.link)}">{inner}</a>' if box.link else inner


def _text(kind: str, x: float, y: float, text: str, size: float, placed: Placed) -> str:
    """A line of text. Where a wider face than was reckoned with would leave the box, it is squeezed."""
    room = placed.width - 2 * PAD_X
    tight = text_width(text, size) > room + 1
    press = f' textLength="{room:g}" lengthAdjust="spacingAndGlyphs"' if tight else ""
    return f'<text class="{kind}" x="{x:g}" y="{y:g}"{press}>{escape(text)}</text>'
