"""Elements that data choose: the places of those that are not 0. How many there are only data know.

Their number is a measured size (see `dims.py`): what is made of them is planned when a call has counted them.
"""

from __future__ import annotations

from typing import Any

from symgraph.graph.dims import Dim, smaller
from symgraph.graph.leaves import as_tensor
from symgraph.graph.ops.compare import not_equal
from symgraph.graph.ops.create import arange, full
from symgraph.graph.ops.cumulative import cumsum
from symgraph.graph.ops.elementwise import cast, where
from symgraph.graph.ops.index import ScatterAdd, gather
from symgraph.graph.ops.reduce import sum as total
from symgraph.graph.ops.shape import concatenate, reshape
from symgraph.graph.ops.sizes import as_dim, size_tensor
from symgraph.graph.ops.slicing import slice_axis
from symgraph.graph.tensor import Tensor


def nonzero(x: Any) -> tuple[Tensor, ...]:
    """The places of the elements that are not 0, an int64 vector for each axis, as numpy orders them.

    TypeError for a scalar.
    """
    x = as_tensor(x)
    if not x.ndim:
        raise TypeError("nonzero: expected a tensor of at least one axis, got a scalar")
    places = flat_nonzero(x)
    found: list[Tensor] = []
    for size in reversed(x.shape[1:]):
        step = size_tensor(size)
        found.append(places - places // step * step)
        places = places // step
    return tuple([places, *reversed(found)])


def flat_nonzero(x: Tensor) -> Tensor:
    """The places of the elements that are not 0 in the flattened tensor, rising: int64."""
    mask = reshape(x if x.dtype == "bool" else not_equal(x, 0), (-1,))
    size: Dim = mask.shape[0]
    ones = cast(mask, "int64")
    count = as_dim(total(ones), "nonzero")
    # The place of a true element goes to its rank among them; all others go behind the last.
    rank = where(mask, cumsum(ones) - 1, size_tensor(count))
    numbers = where(mask, arange(size, dtype="int64"), 0)
    return slice_axis(ScatterAdd(0, count + 1)(numbers, rank), 0, 0, count)


def firsts(line: Any) -> Tensor:
    """Whether each element of a sorted vector is the first of its equals; NaN is equal to nothing."""
    line = as_tensor(line)
    if line.ndim != 1:
        raise TypeError(f"firsts: expected a vector, got {line!r}")
    begin = full((smaller(1, line.shape[0]),), True, "bool")
    return concatenate([begin, not_equal(line[1:], line[:-1])], 0)


def unique_of_sorted(line: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The distinct elements of a sorted vector: values, first places, counts, and each element's number.

    Places, counts and numbers are int64; ``values[numbers]`` is the vector. TypeError for what is no vector.
    """
    line = as_tensor(line)
    first = firsts(line)
    places = flat_nonzero(first)
    count, size = places.shape[0], reshape(size_tensor(line.shape[0]), (1,))
    ends = slice_axis(concatenate([places, size], 0), 0, 1, count)
    return gather(line, places), places, ends - places, cumsum(cast(first, "int64")) - 1
