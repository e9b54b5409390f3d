"""Drawings of graphs as plain data: boxes, arrows and frames with places, for SVG and PNG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from symgraph.inspection.draw.layering import Placement, Spacing, layered

TITLE, LINE = 12.5, 10.5
"""Sizes of the letters in pixels: of a box's title, and of the lines below it."""
TITLE_STEP, LINE_STEP = 17.0, 14.0
"""Height of these lines."""
PAD_X, PAD_Y = 11.0, 7.0
MARGIN = 16.0
DIRECTIONS = ("TB", "BT", "LR", "RL")

# Widths of letters in thousandths of their size, as in the usual sans-serif faces, rounded up.
_NARROW = dict.fromkeys("ijl'|", 260) | dict.fromkeys("fIt.,:;!/\\[]() ", 320) | dict.fromkeys('r-"*{}', 390)
_WIDE = dict.fromkeys("mM%@W×→", 900) | dict.fromkeys("ABCDEFGHJKLNOPQRSTUVXYZw&+<>=~", 690)
_WIDTHS = _NARROW | _WIDE

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A box before it has a place.

    Attributes
    ----------
    key : str
        Tells boxes apart.
    title : str
    lines : tuple of str
        Smaller, below the title.
    kind : str
        What it is coloured by: see `palette.KINDS`.
    badge : str
        A few letters on its upper right corner, as ``×12``.
    link, tip : str
        Where a click leads, and what shows when the pointer rests there.
    classes : tuple of str
        Classes of its SVG element, for colours that a page chooses.
    also : tuple of str
        Keys of equal boxes that it is drawn for too.
    """

    key: str
    title: str
    lines: tuple[str, ...] = ()
    kind: str = "other"
    badge: str = ""
    link: str = ""
    tip: str = ""
    classes: tuple[str, ...] = ()
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """A frame around boxes, by their keys, with a label."""

    label: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Sketch:
    """What is to be drawn: boxes, arrows between them (source, target), frames."""

    boxes: tuple[Box, ...]
    arrows: tuple[tuple[str, str], ...]
    groups: tuple[Group, ...] = ()
    title: str = ""


@dataclass(frozen=True)
class Placed:
    """A box with its place: the upper left corner, width, height."""

    box: Box
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Arrow:
    """An edge: cubic curves from point to point, at right angles to the ranks. `faint`: behind all else."""

    source: str
    target: str
    points: tuple[Point, ...]
    faint: bool = False


@dataclass(frozen=True)
class Frame:
    """A frame with its place."""

    label: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Drawing:
    """Boxes, arrows and frames with places, in pixels. `across`: ranks run from left to right."""

    title: str
    boxes: tuple[Placed, ...]
    arrows: tuple[Arrow, ...]
    frames: tuple[Frame, ...]
    width: float
    height: float
    across: bool = False


def text_width(text: str, size: float) -> float:
    """About how wide a text is, in pixels: seldom less than it is."""
    return sum(_WIDTHS.get(c, 580 if ord(c) < 0x2E80 else 1000) for c in text) * size / 1000


def box_size(box: Box) -> tuple[float, float]:
    """Width and height that the text of a box needs."""
    widths = [text_width(box.title, TITLE) * 1.04, *(text_width(line, LINE) for line in box.lines)]
    badge = text_width(box.badge, LINE) + 8 if box.badge else 0.0
    width = max([*widths, 34.0]) + 2 * PAD_X + badge
    return round(width, 1), TITLE_STEP + LINE_STEP * len(box.lines) + 2 * PAD_Y


def check_direction(rankdir: str) -> None:
    """ValueError unless `rankdir` is one of `DIRECTIONS`."""
    if rankdir not in DIRECTIONS:
        raise ValueError(f"rankdir: expected one of {', '.join(DIRECTIONS)}, got {rankdir!r}")


def place(sketch: Sketch, rankdir: str = "TB") -> Drawing:
    """Give every box of a sketch its place.

    `rankdir` is the direction of the arrows, as in DOT: TB (downwards), BT, LR or RL.
    """
    check_direction(rankdir)
    number = {box.key: i for i, box in enumerate(sketch.boxes)}
    if len(number) != len(sketch.boxes):
        raise ValueError("place: two boxes have one key")
    across = rankdir in ("LR", "RL")
    sizes = [box_size(box) for box in sketch.boxes]
    edges = [(number[s], number[t]) for s, t in sketch.arrows if s != t]
    names = [(s, t) for s, t in sketch.arrows if s != t]
    laid = layered(
        [(h, w) for w, h in sizes] if across else sizes,
        edges,
        Spacing(16.0, 42.0) if across else Spacing(),
    )
    return _drawing(sketch, laid, sizes, names, rankdir)


def _drawing(
    sketch: Sketch,
    laid: Placement,
    sizes: Sequence[tuple[float, float]],
    names: Sequence[tuple[str, str]],
    rankdir: str,
) -> Drawing:
    across = rankdir in ("LR", "RL")
    length = laid.height  # along the arrows

    def turned(point: Point) -> Point:
        x, y = point
        y = length - y if rankdir in ("BT", "RL") else y
        x, y = (y, x) if across else (x, y)
        return round(x + MARGIN, 1), round(y + MARGIN, 1)

    boxes = []
    for box, center, (w, h) in zip(sketch.boxes, laid.centers, sizes, strict=True):
        x, y = turned(center)
        boxes.append(Placed(box, round(x - w / 2, 1), round(y - h / 2, 1), w, h))
    arrows = tuple(
        Arrow(s, t, tuple(map(turned, points)), far)
        for (s, t), points, far in zip(names, laid.paths, laid.far, strict=True)
    )
    frames = _frames(sketch.groups, boxes)
    drawn: list[Placed | Frame] = [*boxes, *frames]
    width = max((b.x + b.width for b in drawn), default=0.0) + MARGIN
    height = max((b.y + b.height for b in drawn), default=0.0) + MARGIN
    return Drawing(sketch.title, tuple(boxes), arrows, frames, round(width, 1), round(height, 1), across)


def _frames(groups: Sequence[Group], boxes: Sequence[Placed]) -> tuple[Frame, ...]:
    """Frames around the boxes of each group."""
    places = {placed.box.key: placed for placed in boxes}
    frames = []
    for group in groups:
        inside = [places[key] for key in group.keys]
        left, top = min(b.x for b in inside) - 10, min(b.y for b in inside) - 11
        right, low = max(b.x + b.width for b in inside) + 10, max(b.y + b.height for b in inside) + 11
        right += text_width(group.label, LINE) + 6
        frames.append(
            Frame(group.label, round(left, 1), round(top, 1), round(right - left, 1), round(low - top, 1))
        )
    return tuple(frames)
