"""A contact sheet: many pictures as small ones on one page, each with a line of text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from symgraph.preprocessing.image import load_img

CELL, MARGIN, CAPTION = 160, 8, 22  # pixels: side of a picture, space around it, height of its text
COLUMNS = 8
LARGEST = 1000  # pictures on a sheet
INK, PAPER, MARK = (32, 32, 32), (255, 255, 255), (200, 30, 30)


def check_contact_sheet(path: Path, pictures: int) -> None:
    """Refuse what `write_contact_sheet` could not write, before the work for it is done.

    Raises
    ------
    ValueError
        If there are no pictures or more than a thousand, or the suffix names no format.
    OSError
        If there is no such folder.
    """
    if not 0 < pictures <= LARGEST:
        raise ValueError(f"a contact sheet holds 1 to {LARGEST} pictures, got {pictures}")
    if Image.registered_extensions().get(path.suffix.lower()) not in Image.SAVE:
        raise ValueError(f"the suffix of the contact sheet {path} should name a format, for instance .png")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} for the contact sheet {path.name}")


def write_contact_sheet(
    path: Path,
    pictures: Sequence[Path | Image.Image],
    captions: Sequence[str],
    marked: Sequence[bool],
    cell: int = CELL,
    columns: int = COLUMNS,
) -> None:
    """Draw pictures in rows, in order, and write the sheet in the format that the suffix of `path` names.

    Parameters
    ----------
    path : Path
    pictures : sequence of (Path or PIL.Image.Image)
        A file that cannot be read leaves an empty frame.
    captions : sequence of str
        A line for each picture.
    marked : sequence of bool
        Which of them get a red frame and caption.
    cell : int
        Side of a picture, pixels: larger ones are made smaller.
    columns : int
        Pictures in a row.

    Raises
    ------
    ValueError, OSError
        As `check_contact_sheet`, and if the file cannot be written.
    """
    check_contact_sheet(path, len(pictures))
    columns = min(columns, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    width, height = cell + MARGIN, cell + CAPTION + MARGIN
    sheet = Image.new("RGB", (MARGIN + columns * width, MARGIN + rows * height), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for number, (picture, caption, mark) in enumerate(zip(pictures, captions, marked, strict=True)):
        left, top = MARGIN + number % columns * width, MARGIN + number // columns * height
        _paste(sheet, picture, left, top, cell)
        if mark:
            draw.rectangle((left - 2, top - 2, left + cell + 1, top + cell + 1), outline=MARK, width=3)
        middle = left + cell // 2
        draw.text((middle, top + cell + 3), caption, fill=MARK if mark else INK, font=font, anchor="ma")
    sheet.save(path)


def _paste(sheet: Image.Image, source: Path | Image.Image, left: int, top: int, cell: int) -> None:
    """Put a picture into the middle of its cell, no larger than the cell."""
    try:
        picture = source.copy() if isinstance(source, Image.Image) else load_img(str(source))
    except (OSError, ValueError):
        ImageDraw.Draw(sheet).rectangle((left, top, left + cell - 1, top + cell - 1), outline=INK)
        return
    picture.thumbnail((cell, cell))
    sheet.paste(picture, (left + (cell - picture.width) // 2, top + (cell - picture.height) // 2))
