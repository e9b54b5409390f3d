"""Small pictures, such as digits, made visible: as characters for the terminal, and enlarged for a sheet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

SHADES = " .:-=+*#%@"  # from white to black
WIDTH = 80  # characters of a line
GAP = 4


def as_text(pictures: Iterable[np.ndarray], captions: Sequence[str]) -> str:
    """Draw pictures of one size, each above its caption, as many beside each other as fit into a line.

    A character is twice as high as it is wide: a pixel is two characters, or two rows of pixels are one line
    where the picture is wide.

    Parameters
    ----------
    pictures : arrays (rows, columns)
        0 is white, 1 is black.
    captions : sequence of str
    """
    drawn = [_drawn(picture) for picture in pictures]
    width = max([len(line) for lines in drawn for line in lines] + [len(caption) for caption in captions])
    beside = max(1, (WIDTH + GAP) // (width + GAP))
    page: list[str] = []
    for start in range(0, len(drawn), beside):
        part = [
            [*lines, caption]
            for lines, caption in zip(drawn[start : start + beside], captions[start:], strict=False)
        ]
        for row in zip(*part, strict=True):
            page.append((" " * GAP).join(f"{text:{width}}" for text in row).rstrip())
        page.append("")
    return "\n".join(page)


def enlarged(picture: np.ndarray, side: int = 160) -> Image.Image:
    """A picture (rows, columns) from 0 (white) to 1 (black) as squares of pixels, `side` wide at most."""
    grey = Image.fromarray(np.round(255 * (1 - np.clip(picture, 0, 1))).astype(np.uint8))
    times = max(1, side // max(picture.shape))
    return grey.resize((grey.width * times, grey.height * times), Image.Resampling.NEAREST)


def _drawn(picture: np.ndarray) -> list[str]:
    rows, columns = picture.shape
    if 2 * columns <= WIDTH // 2:
        wide = np.repeat(picture, 2, axis=1)
    else:
        even = picture[: rows - rows % 2]
        wide = (even[::2] + even[1::2]) / 2
    shades = np.round(np.clip(wide, 0, 1) * (len(SHADES) - 1)).astype(int)
    return ["".join(SHADES[shade] for shade in row) for row in shades]
