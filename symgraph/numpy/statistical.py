"""The standard's statistical functions, with numpy's `ddof` beside its `correction`.

`axis` is an axis, several, or None for all; `keepdims` leaves them with size 1.
"""

from __future__ import annotations

from typing import Any

from symgraph.globals import floatx
from symgraph.graph.dims import product
from symgraph.graph.leaves import DimValue, constant
from symgraph.graph.ops import create, cumulative, reduce
from symgraph.graph.ops import elementwise as ops
from symgraph.graph.ops.math import sqrt, square
from symgraph.graph.ops.shape import concatenate, reshape
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import is_float, normalize_axes, normalize_axis, working_dtype
from symgraph.numpy.arguments import Axis, as_array, checked_dtype, default_sum_dtype


def _summed(kind: Any, x: Any, axis: Axis, dtype: Any, keepdims: bool) -> Tensor:
    x = as_array(x)
    target = checked_dtype(dtype, default_sum_dtype(working_dtype(x.dtype)))
    if is_float(target):
        x = ops.cast(x, working_dtype(target))
    elif is_float(x.dtype) or target == "bool":
        x = ops.cast(x, target)
    elif x.dtype != "uint64":
        # Sums that wrap around are the same in any integer dtype at least as wide.
        x = ops.cast(x, "uint64" if target == "uint64" else "int64")
    return ops.cast(kind(x, axis, keepdims), target)


def sum(x: Any, /, axis: Axis = None, *, dtype: Any = None, keepdims: bool = False) -> Tensor:
    """Sum; bools and integers in int64, unsigned ones in uint64, if no dtype is given."""
    return _summed(reduce.sum, x, axis, dtype, keepdims)


def prod(x: Any, /, axis: Axis = None, *, dtype: Any = None, keepdims: bool = False) -> Tensor:
    """Product; bools and integers in int64, unsigned ones in uint64, if no dtype is given."""
    return _summed(reduce.prod, x, axis, dtype, keepdims)


def mean(x: Any, /, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    """Arithmetic mean; that of integers in `K.floatx()`."""
    return reduce.mean(as_array(x), axis, keepdims)


def var(
    x: Any,
    /,
    axis: Axis = None,
    *,
    correction: float | None = None,
    keepdims: bool = False,
    ddof: float | None = None,
) -> Tensor:
    """Squared distances from the mean, added up and divided by n - `correction` (or numpy's `ddof`; 0).

    NaN where that is 0 or less and nothing is left to add, infinite or NaN otherwise.
    """
    if correction is not None and ddof is not None:
        raise TypeError("var: expected a correction or a ddof, got both")
    less = correction if correction is not None else ddof or 0
    x = as_array(x)
    if not is_float(x.dtype):
        whole = var(ops.cast(x, "float64"), axis, correction=less, keepdims=keepdims)
        return ops.cast(whole, working_dtype(floatx()))
    if not less:
        return reduce.var(x, axis, keepdims)
    total = reduce.sum(square(x - reduce.mean(x, axis, True)), axis, keepdims)
    count = DimValue(product(x.shape[a] for a in normalize_axes(axis, x.ndim)), total.dtype)()
    # As numpy: below 0 it is divided by 0.
    return total / ops.maximum(count - float(less), constant(0, total.dtype))


def std(
    x: Any,
    /,
    axis: Axis = None,
    *,
    correction: float | None = None,
    keepdims: bool = False,
    ddof: float | None = None,
) -> Tensor:
    """Square root of the variance, see `var`."""
    return sqrt(var(x, axis, correction=correction, keepdims=keepdims, ddof=ddof))


def max(x: Any, /, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    """The largest element; NaN where there is one. ValueError of no elements."""
    return reduce.max(as_array(x), axis, keepdims)


def min(x: Any, /, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    """The smallest element; NaN where there is one. ValueError of no elements."""
    return reduce.min(as_array(x), axis, keepdims)


def _running(kind: Any, first: int, x: Any, axis: int | None, dtype: Any, include_initial: bool) -> Tensor:
    x = as_array(x)
    if axis is None:
        if x.ndim > 1:
            raise ValueError(f"{kind.__name__}: expected an axis for {x.ndim} dimensions")
        x, axis = reshape(x, (-1,)) if x.ndim == 0 else x, 0
    place = normalize_axis(axis, x.ndim)
    target = checked_dtype(dtype, default_sum_dtype(working_dtype(x.dtype)))
    x = ops.cast(x, working_dtype(target))
    made = kind(x, place)
    if include_initial:
        shape = tuple(1 if a == place else size for a, size in enumerate(x.shape))
        made = concatenate([create.full(shape, first, made.dtype), made], place)
    return ops.cast(made, target)


def cumulative_sum(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Tensor:
    """Running sums along `axis`, which may be left out for a vector; dtypes as those of `sum`.

    With `include_initial` a 0 comes first.
    """
    return _running(cumulative.cumsum, 0, x, axis, dtype, include_initial)


def cumulative_prod(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Tensor:
    """Running products along `axis`, which may be left out for a vector; dtypes as those of `prod`.

    With `include_initial` a 1 comes first.
    """
    return _running(cumulative.cumprod, 1, x, axis, dtype, include_initial)


__all__ = ["cumulative_prod", "cumulative_sum", "max", "mean", "min", "prod", "std", "sum", "var"]
