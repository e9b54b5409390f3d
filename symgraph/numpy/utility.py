"""The standard's utility functions."""

from __future__ import annotations

from typing import Any

from symgraph.graph.ops import compare, reduce
from symgraph.graph.ops.shape import concatenate
from symgraph.graph.ops.slicing import slice_axis
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import normalize_axis
from symgraph.numpy.arguments import Axis, as_array


def all(x: Any, /, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    """Whether all elements are true (not zero)."""
    return reduce.all(as_array(x), axis, keepdims)


def any(x: Any, /, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    """Whether any element is true (not zero)."""
    return reduce.any(as_array(x), axis, keepdims)


def diff(x: Any, /, n: int = 1, axis: int = -1, *, prepend: Any = None, append: Any = None) -> Tensor:
    """Differences of neighbours along `axis`, `n` times over; of bools whether they differ.

    `prepend` and `append` are put before and behind x first.
    """
    x = as_array(x)
    place = normalize_axis(axis, x.ndim)
    if n < 0:
        raise ValueError(f"diff: expected n of at least 0, got {n}")
    sides = [None if side is None else as_array(side) for side in (prepend, append)]
    parts = [part for part in (sides[0], x, sides[1]) if part is not None]
    x = concatenate(parts, place) if len(parts) > 1 else x
    for _ in range(n):
        size = x.shape[place]
        if size == 0:
            return x
        later, earlier = slice_axis(x, place, 1, size - 1), slice_axis(x, place, 0, size - 1)
        x = compare.not_equal(later, earlier) if x.dtype == "bool" else later - earlier
    return x


__all__ = ["all", "any", "diff"]
