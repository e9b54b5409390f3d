"""Functions of numbers: element-wise ones, comparisons, reductions and products of tensors."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.globals import floatx
from symgraph.graph.leaves import as_tensor
from symgraph.graph.ops import barrier, compare, csr, cumulative, elementwise, index, matmul, reduce
from symgraph.graph.ops import math as math_ops
from symgraph.graph.ops import shape as shape_ops
from symgraph.graph.sparse import SparseTensor
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import is_float, normalize_axis, working_dtype

__all__ = [
    "abs", "all", "any", "argmax", "argmin", "batch_dot", "clip", "cos", "cumprod", "cumsum", "dot", "equal",
    "exp", "gather", "greater", "greater_equal", "less", "less_equal", "log", "logsumexp", "max", "maximum",
    "mean", "min", "minimum", "not_equal", "pow", "prod", "round", "sign", "sin", "sqrt", "square", "std",
    "sum", "transpose", "var",
]  # fmt: skip

Axes = int | Sequence[int] | None


def abs(x: Any) -> Tensor:
    """|x|, element by element."""
    return math_ops.absolute(x)


def square(x: Any) -> Tensor:
    """x², element by element."""
    return math_ops.square(x)


def sqrt(x: Any) -> Tensor:
    """Square root, element by element; negative numbers count as 0, as in Keras. The gradient at 0 is 0."""
    return math_ops.sqrt(math_ops.relu(x))


def exp(x: Any) -> Tensor:
    """e^x, element by element."""
    return math_ops.exp(x)


def log(x: Any) -> Tensor:
    """Natural logarithm, element by element."""
    return math_ops.log(x)


def round(x: Any) -> Tensor:
    """The nearest integer, halves to even, element by element."""
    return math_ops.round(x)


def sign(x: Any) -> Tensor:
    """-1, 0 or 1, element by element."""
    return math_ops.sign(x)


def sin(x: Any) -> Tensor:
    """Sine, element by element."""
    return math_ops.sin(x)


def cos(x: Any) -> Tensor:
    """Cosine, element by element."""
    return math_ops.cos(x)


def pow(x: Any, a: Any) -> Tensor:
    """x^a, element by element."""
    return elementwise.power(x, a)


def clip(x: Any, min_value: Any, max_value: Any) -> Tensor:
    """`x` held between two bounds, element by element; NaN stays NaN.

    Parameters
    ----------
    x : tensor
    min_value, max_value : number, tensor or None
        None for no bound. A number `max_value` below the number `min_value` counts as `min_value`, as in
        Keras.
    """
    numbers = not isinstance(min_value, Tensor) and not isinstance(max_value, Tensor)
    if numbers and min_value is not None and max_value is not None and max_value < min_value:
        max_value = min_value
    return math_ops.clip(x, min_value, max_value)


def equal(x: Any, y: Any) -> Tensor:
    """x == y, element by element: a bool tensor."""
    return compare.equal(x, y)


def not_equal(x: Any, y: Any) -> Tensor:
    """x != y, element by element: a bool tensor."""
    return compare.not_equal(x, y)


def greater(x: Any, y: Any) -> Tensor:
    """x > y, element by element: a bool tensor."""
    return compare.greater(x, y)


def greater_equal(x: Any, y: Any) -> Tensor:
    """x >= y, element by element: a bool tensor."""
    return compare.greater_equal(x, y)


def less(x: Any, y: Any) -> Tensor:
    """x < y, element by element: a bool tensor."""
    return compare.less(x, y)


def less_equal(x: Any, y: Any) -> Tensor:
    """x <= y, element by element: a bool tensor."""
    return compare.less_equal(x, y)


def maximum(x: Any, y: Any) -> Tensor:
    """The larger of x and y, element by element; NaN where either is NaN."""
    return elementwise.maximum(x, y)


def minimum(x: Any, y: Any) -> Tensor:
    """The smaller of x and y, element by element; NaN where either is NaN."""
    return elementwise.minimum(x, y)


def sum(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Sum over `axis` (one, several, or None for all); `keepdims` leaves those axes with size 1."""
    return reduce.sum(x, axis, keepdims)


def prod(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Product over `axis` (one, several, or None for all); `keepdims` leaves those axes with size 1."""
    return reduce.prod(x, axis, keepdims)


def max(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The largest element over `axis` (one, several, or None for all); `keepdims` leaves axes with size 1."""
    return reduce.max(x, axis, keepdims)


def min(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The smallest over `axis` (one, several, or None for all); `keepdims` leaves them with size 1."""
    return reduce.min(x, axis, keepdims)


def mean(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Mean over `axis` (one, several, or None for all); integers and bools are averaged in `floatx()`."""
    return reduce.mean(x, axis, keepdims)


def var(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Mean squared distance from the mean, over `axis` (one, several, or None for all)."""
    return reduce.var(x, axis, keepdims)


def std(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Square root of the variance over `axis` (one, several, or None for all)."""
    return reduce.std(x, axis, keepdims)


def any(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Whether any element over `axis` is not zero: a bool tensor."""
    return reduce.any(x, axis, keepdims)


def all(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Whether all elements over `axis` are not zero: a bool tensor."""
    return reduce.all(x, axis, keepdims)


def argmax(x: Any, axis: int = -1) -> Tensor:
    """Index of the largest element along `axis`, the first of equals: int64."""
    return reduce.argmax(x, axis)


def argmin(x: Any, axis: int = -1) -> Tensor:
    """Index of the smallest element along `axis`, the first of equals: int64."""
    return reduce.argmin(x, axis)


def cumsum(x: Any, axis: int = 0) -> Tensor:
    """Running sum along `axis`."""
    return cumulative.cumsum(x, axis)


def cumprod(x: Any, axis: int = 0) -> Tensor:
    """Running product along `axis`."""
    return cumulative.cumprod(x, axis)


def logsumexp(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """log(Σ exp(x)) over `axis`, without overflow for large elements or log(0) for small ones.

    -inf over nothing. Integers and bools are computed in `floatx()`.
    """
    x = as_tensor(x)
    x = x if is_float(x.dtype) else elementwise.cast(x, working_dtype(floatx()))
    largest = barrier.stop_gradient(reduce.max_or_lowest(x, axis, True))
    # Where every element is -inf (or one is +inf) the difference would be NaN.
    shift = elementwise.where(math_ops.isinf(largest), 0, largest)
    result = math_ops.log(reduce.sum(math_ops.exp(barrier.bounded(x - shift)), axis, True)) + shift
    return result if keepdims else reduce.sum(result, axis)


def transpose(x: Any) -> Tensor:
    """`x` with its axes in reverse order."""
    return shape_ops.transpose(x)


def gather(reference: Any, indices: Any) -> Tensor:
    """Rows of `reference` (along its first axis) by number.

    Parameters
    ----------
    reference : tensor of shape (n, ...)
    indices : integer tensor
        Numbers from 0 to n - 1, of any shape.

    Returns
    -------
    tensor of shape `indices.shape + reference.shape[1:]`

    Raises
    ------
    ValueError
        When it runs: for a number below 0 or above n - 1.
    """
    return index.gather(reference, indices, 0, from_end=False)


def dot(x: Any, y: Any) -> Tensor:
    """Sum over the last axis of `x` and the second-last of `y`; all other axes follow each other.

    Parameters
    ----------
    x, y : tensor
        (2, 3) and (4, 3, 5) give (2, 4, 5). A sparse `x` takes a dense matrix `y`.

    Raises
    ------
    ValueError
        If the two axes have different sizes.
    """
    if isinstance(x, SparseTensor):
        return csr.dot(x, as_tensor(elementwise.beside(x, y)[1]))
    return matmul.dot(x, y)


def batch_dot(x: Any, y: Any, axes: int | Sequence[int] | None = None) -> Tensor:
    """A matrix product of the last two axes over all leading axes, which broadcast, as in Keras 2.2.4.

    Parameters
    ----------
    x, y : tensor
        At least 2 dimensions. The one of lower rank gets axes of size 1 at its end, which go from the result
        again.
    axes : int or pair of int, optional
        The axis of `x` and that of `y` to sum over, counted from 0 as after those axes were added. Keras
        tells the last axis from all others: it is summed over where it is named, and the second-last for any
        other, also a negative one. Two matrices are multiplied element by element instead, and summed over
        the axis of `y`; `x` is transposed where the two axes differ. By default the last of `x` and the
        second-last of `y`, which mixes the samples of two matrices: name the axes there.

    Returns
    -------
    tensor
        (b, ..., m, n) of (b, ..., m, k) and (b, ..., k, n); a single axis left becomes (b, 1).

    Raises
    ------
    ValueError
        If there are too few dimensions, more than one axis each, an axis that is not there, or shapes that do
        not fit (of 4 dimensions and 2 or 3, there are none that fit).
    """
    x, y = elementwise.together(x, y)
    if x.ndim < 2 or y.ndim < 2:
        raise ValueError(f"batch_dot: expected at least 2 dimensions each, got {x.type} and {y.type}")
    axis_x, axis_y = _batch_dot_axes(axes, x, y)
    if x.ndim == y.ndim == 2:
        turned = x if axis_x == axis_y else shape_ops.transpose(x)
        products = turned * y
        summed = elementwise.cast(reduce.sum(products, axis_y), products.dtype)
        return shape_ops.expand_dims(summed, 1)
    rank = builtins.max(x.ndim, y.ndim)
    left, right = (shape_ops.reshape(t, (*t.shape, *(1,) * (rank - t.ndim))) for t in (x, y))
    result = matmul.matmul(
        left if axis_x == rank - 1 else _turned(left), _turned(right) if axis_y == rank - 1 else right
    )
    # Where Keras expects the axes of size 1: at its end for a `y` of 2 dimensions, where rows were for `x`.
    place = x.ndim - 1 if x.ndim < y.ndim else x.ndim + y.ndim - 3
    for _ in range(rank - x.ndim + rank - y.ndim):
        if place >= result.ndim or result.shape[place] != 1:
            raise ValueError(f"batch_dot: no axes {axes} of {x.type} and {y.type} fit each other")
        result = shape_ops.squeeze(result, place)
    return shape_ops.expand_dims(result, 1) if result.ndim == 1 else result


def _turned(x: Tensor) -> Tensor:
    """`x` with its last two axes exchanged."""
    return shape_ops.transpose(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def _batch_dot_axes(axes: int | Sequence[int] | None, x: Tensor, y: Tensor) -> tuple[int, int]:
    """The two axes as they are given, or the default ones."""
    if axes is None:
        return x.ndim - 1, y.ndim - 2
    pair = (axes, axes) if isinstance(axes, int | np.integer) else tuple(axes)
    if len(pair) != 2 or {type(axis) for axis in pair} - {int, np.int32, np.int64}:
        raise ValueError(
            f"Multiple target dimensions are not supported. Expected: None, int, (int, int), Provided: {axes}"
        )
    for axis in pair:
        normalize_axis(axis, builtins.max(x.ndim, y.ndim), "batch_dot: axis")
    return int(pair[0]), int(pair[1])
