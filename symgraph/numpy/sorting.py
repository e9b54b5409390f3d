"""The standard's sorting functions. NaN counts as largest; every sort is stable."""

from __future__ import annotations

from typing import Any

from symgraph.graph.ops import sort as ops
from symgraph.graph.tensor import Tensor
from symgraph.numpy.arguments import as_array


def argsort(x: Any, /, axis: int = -1, *, descending: bool = False, stable: bool = True) -> Tensor:
    """Where the elements along `axis` lie that come first, second ... in order: int64."""
    return ops.argsort(as_array(x), axis, descending)


def sort(x: Any, /, axis: int = -1, *, descending: bool = False, stable: bool = True) -> Tensor:
    """The elements along `axis` in rising order, or falling. The gradient goes where they came from."""
    return ops.sort(as_array(x), axis, descending)


__all__ = ["argsort", "sort"]
