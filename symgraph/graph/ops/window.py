"""Sliding windows over pictures: the arithmetic that convolution and pooling share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from symgraph.globals import image_data_format
from symgraph.graph.dims import Dim, larger, quotient
from symgraph.graph.tensor import Tensor, call

Pair = tuple[int, int]
Padding = str | tuple[Pair, Pair]
"""'valid', 'same' (TensorFlow's rule: a window for every stride begun), or ((top, bottom), (left, right))."""


def as_pair(value: Any, what: str) -> Pair:
    """A size or step for both axes of a picture: one integer of at least 1, or two."""
    items = (value, value) if isinstance(value, (int, np.integer)) else value
    wrong = not isinstance(items, Sequence) or len(items) != 2
    if wrong or not all(isinstance(v, (int, np.integer)) and v >= 1 for v in items):
        raise ValueError(f"{what}: expected an integer of at least 1, or two of them, got {value!r}")
    return int(items[0]), int(items[1])


def as_padding(value: Any, what: str) -> Padding:
    """A padding as ops store it. ValueError for anything but 'same', 'valid' and pairs of widths."""
    if isinstance(value, str) and value.lower() in ("same", "valid"):
        return value.lower()
    try:
        (top, bottom), (left, right) = value
        widths = (int(top), int(bottom)), (int(left), int(right))
    except (TypeError, ValueError):
        widths = ((-1, 0), (0, 0))
    if min(map(min, widths)) < 0:
        raise ValueError(
            f"{what}: expected padding 'same', 'valid' or ((top, bottom), (left, right)), got {value!r}"
        )
    return widths


def reach(window: Dim, dilation: int) -> Dim:
    """Pixels from the first to the last tap of a window."""
    return (window - 1) * dilation + 1


def output_size(size: Dim, window: Dim, stride: int, padding: Padding, axis: int, dilation: int = 1) -> Dim:
    """Number of windows along an axis (0 rows, 1 columns) of `size` pixels."""
    if padding == "same":
        return quotient(size + stride - 1, stride)
    before, after = (0, 0) if isinstance(padding, str) else padding[axis]
    return quotient(size + before + after - reach(window, dilation), stride) + 1


def fits(size: Dim, window: Dim, padding: Padding, axis: int, dilation: int = 1) -> tuple[Dim, Dim]:
    """Two sizes that are equal just where at least one window fits into an axis of `size` pixels."""
    if padding == "same":
        return size, size
    before, after = (0, 0) if isinstance(padding, str) else padding[axis]
    return larger(size + before + after, reach(window, dilation)), size + before + after


def border(
    size: Dim, window: Dim, stride: int, padding: Padding, axis: int, dilation: int = 1
) -> tuple[Dim, Dim]:
    """Padding before and after an axis. 'same' puts an odd pixel after, as TensorFlow does."""
    if padding == "valid":
        return 0, 0
    if not isinstance(padding, str):
        return padding[axis]
    count = quotient(size + stride - 1, stride)
    total = larger((count - 1) * stride + reach(window, dilation) - size, 0)
    before = quotient(total, 2)
    return before, total - before


def borders(
    sizes: Sequence[int], window: Sequence[int], strides: Pair, padding: Padding, dilation: Pair = (1, 1)
) -> tuple[Pair, Pair]:
    """((top, bottom), (left, right)) for pictures of known size."""
    found = [border(sizes[a], window[a], strides[a], padding, a, dilation[a]) for a in (0, 1)]
    (top, bottom), (left, right) = ((int(before), int(after)) for before, after in found)
    return (top, bottom), (left, right)


def taps_inside(size: int, window: int, stride: int, before: int, dilation: int, count: int) -> int:
    """How many of the taps of `count` windows along an axis fall on pixels, not on padding."""
    total = 0
    for tap in range(window):
        shift = tap * dilation - before
        first = max(0, -(shift // stride))
        last = min(count - 1, (size - 1 - shift) // stride)
        total += max(0, last - first + 1)
    return total


def picture_taps(
    picture: Sequence[int],
    window: Sequence[int],
    strides: Pair,
    padding: Padding,
    dilation: Pair,
    counts: Sequence[int],
) -> int:
    """`taps_inside` of both axes multiplied: pixels read for one channel of one picture."""
    edges = borders(picture, window, strides, padding, dilation)
    rows, columns = (
        taps_inside(picture[a], window[a], strides[a], edges[a][0], dilation[a], counts[a]) for a in (0, 1)
    )
    return rows * columns


def tap_slices(
    window: Sequence[int], counts: Sequence[int], strides: Pair, dilation: Pair = (1, 1)
) -> Iterator[tuple[int, int, tuple[slice, slice]]]:
    """(i, j, index) for every tap of a window: the rows and columns of a padded picture that it reads."""
    for i in range(window[0]):
        for j in range(window[1]):
            places = [
                slice(tap * d, tap * d + count * s, s)
                for tap, d, count, s in zip((i, j), dilation, counts, strides, strict=True)
            ]
            yield i, j, (places[0], places[1])


def padded(x: np.ndarray, edges: tuple[Pair, Pair], strides: Pair, value: float = 0.0) -> np.ndarray:
    """Pictures with a border of `value`; wide enough after the end for the slices of `tap_slices`."""
    (top, bottom), (left, right) = edges
    widths = ((0, 0), (top, bottom + strides[0]), (left, right + strides[1]), (0, 0))
    return np.pad(x, widths, constant_values=value)


def checked_format(data_format: str | None) -> str:
    """The layout of pictures; `K.image_data_format()` where not given."""
    chosen = image_data_format() if data_format is None else data_format
    if chosen not in ("channels_first", "channels_last"):
        raise ValueError(f"expected data_format 'channels_first' or 'channels_last', got {data_format!r}")
    return chosen


def channels_last(x: Tensor, data_format: str) -> Tensor:
    """Pictures as [N, H, W, C]."""
    return x if data_format == "channels_last" else call("transpose", x, (0, 2, 3, 1))


def channels_as_given(y: Tensor, data_format: str) -> Tensor:
    """Pictures [N, H, W, C] in the user's layout."""
    return y if data_format == "channels_last" else call("transpose", y, (0, 3, 1, 2))
