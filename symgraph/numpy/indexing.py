"""The standard's indexing functions. An index outside of its axis is an error when the graph runs."""

from __future__ import annotations

from typing import Any

from symgraph.graph.dims import product
from symgraph.graph.ops import index as ops
from symgraph.graph.ops.shape import reshape
from symgraph.graph.tensor import Tensor
from symgraph.numpy.arguments import as_array


def take(x: Any, indices: Any, /, axis: int | None = None) -> Tensor:
    """The elements (or lines) at `indices` along `axis`; negative ones count from the end.

    Without an axis x is a vector, or taken as one.
    """
    x = as_array(x)
    if axis is None:
        x, axis = x if x.ndim == 1 else reshape(x, (product(x.shape),)), 0
    return ops.gather(x, as_array(indices), axis)


def take_along_axis(x: Any, indices: Any, /, axis: int = -1) -> Tensor:
    """For each place of `indices`, which broadcast with x on all other axes, the element there on `axis`."""
    return ops.take_along_axis(as_array(x), as_array(indices), axis)


__all__ = ["take", "take_along_axis"]
