"""Drawings as PNG files, drawn with Pillow."""

from __future__ import annotations

import io
import itertools
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

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
)
from symgraph.inspection.draw.palette import EDGE, FAINT, INK, KINDS, MUTED, PAPER
from symgraph.inspection.draw.svg import head_points

if TYPE_CHECKING:
    from PIL import ImageDraw

_MOST_PIXELS = 40_000_000
_LONGEST_SIDE = 30_000
_STEPS = 14  # straight pieces of a curve
_FACES = ("DejaVuSans.ttf", "LiberationSans-Regular.ttf", "NotoSans-Regular.ttf", "Arial.ttf")


def png(drawing: Drawing, scale: float = 2.0) -> bytes:
    """A drawing as PNG, `scale` dots a pixel; less where there would be more than 40 million.

    Raises
    ------
    ImportError
        Pillow is missing: ``pip install Pillow``.
    """
    try:
        # Slow to import, and only for those who draw.
        from PIL import Image, ImageDraw  # noqa: PLC0415
    except ImportError as error:
        raise ImportError("PNG files need Pillow: pip install Pillow (SVG and DOT files do not)") from error
    area = max(drawing.width * drawing.height, 1.0)
    side = max(drawing.width, drawing.height, 1.0)
    scale = min(scale, (_MOST_PIXELS / area) ** 0.5, _LONGEST_SIDE / side)
    # Twice as large, then smaller: soft edges.
    fine = 2 if 4 * area * scale * scale <= 2 * _MOST_PIXELS else 1
    width, height = (max(round(v * scale), 1) for v in (drawing.width, drawing.height))
    image = Image.new("RGB", (width * fine, height * fine), PAPER)
    _Pen(ImageDraw.Draw(image), scale * fine).drawing(drawing)
    if fine > 1:
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True, dpi=(96 * scale, 96 * scale))
    return stream.getvalue()


class _Pen:
    """Draws the parts of a drawing; all places and sizes are those of the drawing."""

    def __init__(self, draw: ImageDraw.ImageDraw, scale: float) -> None:
        self.draw = draw
        self.scale = scale

    def drawing(self, drawing: Drawing) -> None:
        """Everything, what is behind first."""
        for frame in drawing.frames:
            self._frame(frame)
        for arrow in sorted(drawing.arrows, key=lambda a: not a.faint):
            self._arrow(arrow, drawing.across)
        for placed in drawing.boxes:
            self._box(placed)

    def _at(self, *numbers: float) -> list[float]:
        return [number * self.scale for number in numbers]

    def _text(
        self, x: float, y: float, text: str, size: float, colour: str, bold: bool, anchor: str = "ls"
    ) -> None:
        text = _plain(text)
        dots = round(size * self.scale, 1)
        font = _font(dots, text.isascii())
        for shift in (0.0, dots * 0.035) if bold else (0.0,):
            # The face has one weight: bold is the same text twice, side by side.
            self.draw.text((x * self.scale + shift, y * self.scale), text, colour, font, anchor)

    def _box(self, placed: Placed) -> None:
        box, paint = placed.box, KINDS.get(placed.box.kind, KINDS["other"])
        corners = self._at(placed.x, placed.y, placed.x + placed.width, placed.y + placed.height)
        self.draw.rounded_rectangle(
            corners, 6 * self.scale, paint.fill, paint.line, max(round(self.scale), 1)
        )
        left, y = placed.x + PAD_X, placed.y + PAD_Y + TITLE_STEP - 4.5
        self._text(left, y, box.title, TITLE, INK, True)
        if box.badge:
            right = placed.x + placed.width - PAD_X + 3
            self._text(right, y - 0.5, box.badge, LINE, INK, True, "rs")
        for line in box.lines:
            y += LINE_STEP
            self._text(left, y, line, LINE, MUTED, False)

    def _arrow(self, arrow: Arrow, across: bool) -> None:
        points = [p for p in _curve(arrow.points, across)]
        colour = FAINT if arrow.faint else EDGE
        thick = max(round(1.2 * self.scale), 1)
        self.draw.line([(x * self.scale, y * self.scale) for x, y in points], colour, thick, "curve")
        self.draw.polygon([(x * self.scale, y * self.scale) for x, y in head_points(arrow, across)], colour)

    def _frame(self, frame: Frame) -> None:
        left, top, right, low = frame.x, frame.y, frame.x + frame.width, frame.y + frame.height
        for x, y, dx, dy, length in (
            (left, top, 1, 0, frame.width),
            (left, low, 1, 0, frame.width),
            (left, top, 0, 1, frame.height),
            (right, top, 0, 1, frame.height),
        ):
            self._dashes(x, y, dx, dy, length)
        self._text(right - 7, top + frame.height / 2 + 4, frame.label, LINE, INK, True, "rs")

    def _dashes(self, x: float, y: float, dx: int, dy: int, length: float) -> None:
        place = 0.0
        while place < length:
            end = min(place + 4, length)
            line = self._at(x + dx * place, y + dy * place, x + dx * end, y + dy * end)
            self.draw.line(line, EDGE, max(round(self.scale), 1))
            place += 7


def _curve(points: tuple[Point, ...], across: bool) -> list[Point]:
    """The arrow's curve as straight pieces."""
    found = [points[0]]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if (y0 == y1) if across else (x0 == x1):
            found.append((x1, y1))
            continue
        for step in range(1, _STEPS + 1):
            t = step / _STEPS
            # A cubic whose middle points are halfway along and level with the ends.
            bend = t * t * (3 - 2 * t)
            along = 1.5 * t * (1 - t) ** 2 + 1.5 * t * t * (1 - t) + t**3
            a, b = (along, bend) if across else (bend, along)
            found.append((x0 + (x1 - x0) * a, y0 + (y1 - y0) * b))
    return found


@cache
def _font(size: float, plain: bool) -> Any:
    """Pillow's own face, which has ASCII letters only; for others one of the machine's, if there is one."""
    from PIL import ImageFont  # noqa: PLC0415

    for name in () if plain else _FACES:
        with suppress(OSError):
            return ImageFont.truetype(name, size)
    return ImageFont.load_default(size)


def _plain(text: str) -> str:
    """A text in ASCII where that says the same."""
    return text.replace("×", "x").replace("→", "->").replace("µ", "u")
