"""Shapes of batches as Keras writes them: what users pass, and what layers and the graph say."""

from __future__ import annotations

from typing import Any

import numpy as np

Shape = tuple[int | None, ...]
"""The shape of a batch as Keras writes it: None where only data will tell the size."""


def shape_tuple(shape: Any, what: str) -> Shape:
    """`shape` as a tuple of sizes.

    Raises
    ------
    TypeError
        If it is no sequence of integers and None.
    ValueError
        If a size is negative.
    """
    if not isinstance(shape, (tuple, list)) or any(
        not (size is None or (isinstance(size, (int, np.integer)) and not isinstance(size, bool)))
        for size in shape
    ):
        raise TypeError(f"`{what}` must be a tuple of integers (None where a size is free), got {shape!r}")
    if any(size is not None and size < 0 for size in shape):
        raise ValueError(f"`{what}` has a negative size: {tuple(shape)}")
    return tuple(None if size is None else int(size) for size in shape)


def merged_shape(known: Shape, declared: Any) -> Shape:
    """The sizes that the graph knows, filled up with declared ones where the graph leaves a size open."""
    if not isinstance(declared, (tuple, list)) or len(known) != len(declared):
        return known
    return tuple(said if size is None else size for size, said in zip(known, declared, strict=True))
