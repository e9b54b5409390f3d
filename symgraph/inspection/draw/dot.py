"""Graphs as DOT text, for those who have Graphviz or read it elsewhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from symgraph.inspection.draw.drawing import Box, Sketch, check_direction, place
from symgraph.inspection.draw.palette import KINDS
from symgraph.inspection.draw.png import png
from symgraph.inspection.draw.svg import svg

FORMATS = ("dot", "png", "svg")


def dot(sketch: Sketch, rankdir: str = "TB") -> str:
    """A sketch as DOT text."""
    check_direction(rankdir)
    lines = [
        f"digraph {_quoted(sketch.title or 'graph')} {{",
        f"  rankdir={rankdir}; concentrate=true;",
        '  node [shape=box, style="rounded,filled", fontname="Helvetica"];',
    ]
    lines += [f"  {_quoted(box.key)} [{_attributes(box)}];" for box in sketch.boxes]
    for number, group in enumerate(sketch.groups):
        keys = "; ".join(map(_quoted, group.keys))
        lines.append(f"  subgraph cluster_{number} {{ label={_quoted(group.label)}; style=dashed; {keys} }}")
    lines += [f"  {_quoted(source)} -> {_quoted(target)};" for source, target in sketch.arrows]
    return "\n".join([*lines, "}"]) + "\n"


def _attributes(box: Box) -> str:
    title = f"{box.title}  {box.badge}" if box.badge else box.title
    paint = KINDS.get(box.kind, KINDS["other"])
    label = "\n".join([title, *box.lines])
    return f'label={_quoted(label)}, fillcolor="{paint.fill}", color="{paint.line}"'


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def rendered(sketch: Sketch, form: str, rankdir: str = "TB") -> bytes:
    """A sketch as a file of one of `FORMATS`.

    Raises
    ------
    ValueError
        For another format.
    ImportError
        A PNG is asked for, and Pillow is missing.
    """
    if form not in FORMATS:
        raise ValueError(f"draw: expected one of the formats {', '.join(FORMATS)}, got {form!r}")
    if form == "dot":
        return dot(sketch, rankdir).encode()
    drawing = place(sketch, rankdir)
    return png(drawing) if form == "png" else svg(drawing).encode()


class Dot:
    """A graph for Graphviz, with what scripts use of `pydot.Dot`. It draws itself; no Graphviz is needed."""

    def __init__(self, sketch: Sketch, rankdir: str = "TB") -> None:
        check_direction(rankdir)
        self._sketch = sketch
        self._rankdir = rankdir

    def to_string(self) -> str:
        """DOT text."""
        return dot(self._sketch, self._rankdir)

    __str__ = to_string

    def create(self, prog: Any = None, format: str = "svg") -> bytes:
        """The drawing as bytes: ``svg``, ``png`` or ``dot``. `prog` is taken and not used."""
        return rendered(self._sketch, "dot" if format == "raw" else format, self._rankdir)

    def write(self, path: str | os.PathLike[str], prog: Any = None, format: str = "raw") -> bool:
        """Write it to a file; True. DOT text unless another format is asked for."""
        Path(path).write_bytes(self.create(prog, format))
        return True

    def _repr_svg_(self) -> str:
        return self.create(format="svg").decode()
