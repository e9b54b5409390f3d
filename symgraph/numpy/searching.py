"""The standard's searching functions."""

from __future__ import annotations

from typing import Any

from symgraph.graph.dims import product
from symgraph.graph.ops import elementwise as ops
from symgraph.graph.ops import reduce, sort
from symgraph.graph.ops.index import gather
from symgraph.graph.ops.shape import expand_dims, reshape
from symgraph.graph.tensor import Tensor
from symgraph.numpy.arguments import Axis, as_array, operands


def _place(kind: Any, x: Any, axis: int | None, keepdims: bool) -> Tensor:
    x = as_array(x)
    if axis is not None:
        found: Tensor = kind(x, axis)
        return expand_dims(found, axis) if keepdims else found
    found = kind(reshape(x, (product(x.shape),)), 0)
    return reshape(found, (1,) * x.ndim) if keepdims else found


def argmax(x: Any, /, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
    """Where the largest element along `axis` lies (among all for None): int64, the first of equals."""
    return _place(reduce.argmax, x, axis, keepdims)


def argmin(x: Any, /, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
    """Where the smallest element along `axis` lies (among all for None): int64, the first of equals."""
    return _place(reduce.argmin, x, axis, keepdims)


def count_nonzero(x: Any, /, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    """How many elements are not zero: int64. NaN counts."""
    return reduce.sum(ops.cast(as_array(x), "bool"), axis, keepdims)


def searchsorted(x1: Any, x2: Any, /, *, side: str = "left", sorter: Any = None) -> Tensor:
    """Where in the sorted vector `x1` each number of `x2` would keep it sorted: int64.

    Before those equal to it (`side` "left"), or behind them ("right"). `sorter` holds the places of x1 in
    rising order where it is not sorted.
    """
    x1 = as_array(x1)
    if sorter is not None:
        x1 = gather(x1, as_array(sorter))
    return sort.searchsorted(x1, operands(x2, x1)[0], side)


def where(condition: Any, x1: Any, x2: Any, /) -> Tensor:
    """`x1` where the condition holds, else `x2`."""
    return ops.where(as_array(condition), *operands(x1, x2))


__all__ = ["argmax", "argmin", "count_nonzero", "searchsorted", "where"]
