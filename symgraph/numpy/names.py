"""NumPy's names of what the standard calls otherwise, and its way of asking for shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph.graph.dims import Dim, product
from symgraph.graph.ops import matmul as products
from symgraph.graph.ops import shape as shapes
from symgraph.graph.tensor import Tensor
from symgraph.numpy.arguments import as_array, operands
from symgraph.numpy.creation import asarray as array
from symgraph.numpy.elementwise import abs as absolute
from symgraph.numpy.elementwise import acos as arccos
from symgraph.numpy.elementwise import acosh as arccosh
from symgraph.numpy.elementwise import asin as arcsin
from symgraph.numpy.elementwise import asinh as arcsinh
from symgraph.numpy.elementwise import atan as arctan
from symgraph.numpy.elementwise import atan2 as arctan2
from symgraph.numpy.elementwise import atanh as arctanh
from symgraph.numpy.elementwise import bitwise_invert as bitwise_not
from symgraph.numpy.elementwise import bitwise_invert as invert
from symgraph.numpy.elementwise import bitwise_left_shift as left_shift
from symgraph.numpy.elementwise import bitwise_right_shift as right_shift
from symgraph.numpy.elementwise import conj as conjugate
from symgraph.numpy.elementwise import divide as true_divide
from symgraph.numpy.elementwise import pow as power
from symgraph.numpy.elementwise import remainder as mod
from symgraph.numpy.elementwise import round as around
from symgraph.numpy.manipulation import concat as concatenate
from symgraph.numpy.staples import degrees as rad2deg
from symgraph.numpy.staples import radians as deg2rad
from symgraph.numpy.statistical import cumulative_prod, cumulative_sum
from symgraph.numpy.statistical import max as amax
from symgraph.numpy.statistical import min as amin


def transpose(x: Any, /, axes: Sequence[int] | None = None) -> Tensor:
    """x with its axes in another order; the opposite one where none is given."""
    return shapes.transpose(as_array(x), axes)


def swapaxes(x: Any, axis1: int, axis2: int, /) -> Tensor:
    """x with two axes exchanged."""
    x = as_array(x)
    order = list(range(x.ndim))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return shapes.transpose(x, order)


def ravel(x: Any, /) -> Tensor:
    """x as a vector."""
    x = as_array(x)
    return shapes.reshape(x, (product(x.shape),))


def dot(a: Any, b: Any, /) -> Tensor:
    """Sums over the last axis of a and the second-last of b."""
    return products.dot(*operands(a, b))


def cumsum(x: Any, /, axis: int | None = None, *, dtype: Any = None) -> Tensor:
    """Running sums along `axis`; of all elements in the order in which they lie for None."""
    return cumulative_sum(ravel(x) if axis is None else x, axis=axis or 0, dtype=dtype)


def cumprod(x: Any, /, axis: int | None = None, *, dtype: Any = None) -> Tensor:
    """Running products along `axis`; of all elements in the order in which they lie for None."""
    return cumulative_prod(ravel(x) if axis is None else x, axis=axis or 0, dtype=dtype)


def shape(x: Any, /) -> tuple[Dim, ...]:
    """The sizes of the axes."""
    return as_array(x).shape


def ndim(x: Any, /) -> int:
    """Number of axes."""
    return as_array(x).ndim


def size(x: Any, /, axis: int | None = None) -> Dim:
    """Number of elements, or size of an axis."""
    sizes = as_array(x).shape
    return product(sizes) if axis is None else sizes[axis]


__all__ = [
    "absolute", "amax", "amin", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh",
    "around", "array", "bitwise_not", "concatenate", "conjugate", "cumprod", "cumsum", "deg2rad", "dot",
    "invert", "left_shift", "mod", "ndim", "power", "rad2deg", "ravel", "right_shift", "shape",
    "size", "swapaxes", "transpose", "true_divide",
]  # fmt: skip
