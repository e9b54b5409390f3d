"""What NumPy and SciPy users expect beside the standard."""

from __future__ import annotations

import math as numbers
from collections.abc import Sequence
from typing import Any

from symgraph.globals import floatx
from symgraph.graph.dims import Dim, product
from symgraph.graph.leaves import constant
from symgraph.graph.ops import compare, create, floats, gamma, index, logarithms, math, reduce, sort
from symgraph.graph.ops import elementwise as ops
from symgraph.graph.ops import shape as shapes
from symgraph.graph.ops.linalg import diagonals
from symgraph.graph.ops.sizes import as_dim, size_tensor
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import is_float, normalize_axis, working_dtype
from symgraph.numpy.arguments import Axis, as_array, operands
from symgraph.numpy.dtypes import finfo
from symgraph.numpy.manipulation import concat, expand_dims


def erf(x: Any, /) -> Tensor:
    """The error function 2/√π ∫₀ˣ e^(-t²) dt."""
    return math.erf(as_array(x))


def lgamma(x: Any, /) -> Tensor:
    """ln |Γ(x)|: infinite at 0 and the negative whole numbers."""
    return gamma.lgamma(as_array(x))


def digamma(x: Any, /) -> Tensor:
    """The derivative of ln Γ(x); NaN at the negative whole numbers."""
    return gamma.digamma(as_array(x))


def exp2(x: Any, /) -> Tensor:
    """2^x."""
    return logarithms.exp2(as_array(x))


def bincount(x: Any, /, weights: Any = None, minlength: Any = 0, *, length: Any = None) -> Tensor:
    """How often 0, 1, 2 ... occur in a vector of integers, or the sums of `weights` there.

    Parameters
    ----------
    length : int or size
        How many numbers are counted. NumPy finds the largest in the data; here the size has to be given.
        A number outside is an error when the graph runs.
    """
    if length is None:
        raise ValueError(
            "bincount: expected a length (the numbers that may occur are 0 to length - 1): the results "
            "of NumPy are as long as data tell"
        )
    places = as_array(x)
    if places.ndim != 1 or is_float(places.dtype) or places.dtype == "bool":
        raise TypeError(f"bincount: expected a vector of integers, got {places.type}")
    size: Dim = as_dim(length, "bincount")
    if isinstance(size, int) and isinstance(minlength, int):
        size = max(size, minlength)
    added = create.ones(places.shape, "int64") if weights is None else as_array(weights)
    if added.dtype not in index.ADDABLE:
        added = ops.cast(added, "int64")
    return index.ScatterAdd(0, size, False)(added, index.as_indices(places, "bincount"))


def isin(x1: Any, x2: Any, /, *, invert: bool = False) -> Tensor:
    """Whether each element of `x1` is among those of `x2` (or, inverted, is not)."""
    x1, x2 = ops.together(*operands(x1, x2))
    line = sort.sort(shapes.reshape(x2, (product(x2.shape),)))
    if line.shape[0] == 0:
        return create.full(x1.shape, invert, "bool")
    place = ops.minimum(sort.searchsorted(line, x1), size_tensor(line.shape[0]) - 1)
    found = index.gather(line, place)
    return compare.not_equal(found, x1) if invert else compare.equal(found, x1)


def interp(x: Any, xp: Any, fp: Any, /, left: Any = None, right: Any = None) -> Tensor:
    """Numbers on the lines between the points (xp, fp), whose xp rise: `left` before them, `right` behind.

    Those are the first and last of fp where not given. The gradient reaches x, xp and fp.
    """
    x, line, values = ops.together(*operands(x, xp, fp))
    kind = x.dtype if is_float(x.dtype) else working_dtype(floatx())
    x, line, values = (ops.cast(v, kind) for v in (x, line, values))
    if line.ndim != 1 or values.ndim != 1:
        raise ValueError(f"interp: expected vectors of points, got {line.type} and {values.type}")
    last = size_tensor(line.shape[0]) - 1
    above = ops.minimum(ops.maximum(sort.searchsorted(line, x, "right"), 1), last)
    # Of a single point both are that.
    above = ops.maximum(above, 0)
    below = ops.maximum(above - 1, 0)
    x0, x1, y0, y1 = (index.gather(v, i) for v in (line, values) for i in (below, above))
    width = ops.where(compare.equal(x1, x0), constant(1, x0.dtype), x1 - x0)
    between = y0 + (x - x0) / width * (y1 - y0)
    first, end = line[0], line[-1]
    made = ops.where(compare.less(x, first), values[0] if left is None else left, between)
    made = ops.where(compare.greater(x, end), values[-1] if right is None else right, made)
    made = ops.where(compare.equal(x, end), values[-1], made)
    return ops.where(math.isnan(x), x, made)


def nan_to_num(
    x: Any, /, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """x with numbers in place of NaN and of infinities (the largest ones of the dtype, if not given)."""
    x = as_array(x)
    if not is_float(x.dtype):
        return x
    x = x + 0 if x.dtype == "float16" else x
    most = finfo(x.dtype).max
    made = ops.where(math.isnan(x), nan, x)
    made = ops.where(compare.equal(x, numbers.inf), most if posinf is None else posinf, made)
    return ops.where(compare.equal(x, -numbers.inf), -most if neginf is None else neginf, made)


def isclose(a: Any, b: Any, /, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether |a - b| ≤ atol + rtol |b|, or both are the same infinity (or, if told so, NaN)."""
    a, b = ops.together(*operands(a, b))
    if not is_float(a.dtype):
        a, b = ops.cast(a, "float64"), ops.cast(b, "float64")
    near = compare.less_equal(math.absolute(a - b), atol + rtol * math.absolute(b))
    close = ops.where(floats.isfinite(b), near, compare.equal(a, b))
    return compare.logical_or(close, math.isnan(a) & math.isnan(b)) if equal_nan else close


def allclose(a: Any, b: Any, /, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether all elements are close: see `isclose`."""
    return reduce.all(isclose(a, b, rtol, atol, equal_nan))


def array_equal(a: Any, b: Any, /) -> Tensor:
    """Whether both have the same (known) shape and numbers."""
    a, b = as_array(a), as_array(b)
    if a.ndim != b.ndim or any(
        isinstance(m, int) and isinstance(n, int) and m != n for m, n in zip(a.shape, b.shape, strict=True)
    ):
        return constant(False)
    return reduce.all(compare.equal(a, b))


def heaviside(x: Any, at_zero: Any, /) -> Tensor:
    """0 for negative x, 1 for positive, `at_zero` for 0; NaN stays NaN."""
    x, middle = ops.together(*operands(x, at_zero))
    if not is_float(x.dtype):
        x, middle = ops.cast(x, working_dtype(floatx())), ops.cast(middle, working_dtype(floatx()))
    stepped = ops.where(compare.less(x, 0), 0.0, ops.where(compare.equal(x, 0), middle, constant(1, x.dtype)))
    return ops.where(math.isnan(x), x, stepped)


def degrees(x: Any, /) -> Tensor:
    """Radians in degrees."""
    return as_array(x) * (180 / numbers.pi)


def radians(x: Any, /) -> Tensor:
    """Degrees in radians."""
    return as_array(x) * (numbers.pi / 180)


def sinc(x: Any, /) -> Tensor:
    """sin(πx)/(πx); 1 at 0."""
    x = as_array(x)
    x = x if is_float(x.dtype) else ops.cast(x, working_dtype(floatx()))
    zero = compare.equal(x, 0)
    turned = numbers.pi * ops.where(zero, constant(1, x.dtype), x)
    return ops.where(zero, constant(1, x.dtype), math.sin(turned) / turned)


def ptp(x: Any, /, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    """The largest less the smallest element."""
    x = as_array(x)
    return reduce.max(x, axis, keepdims) - reduce.min(x, axis, keepdims)


def average(x: Any, /, axis: Axis = None, weights: Any = None, *, keepdims: bool = False) -> Tensor:
    """The mean with `weights`, which broadcast with x (or are a vector along `axis`)."""
    x = as_array(x)
    if weights is None:
        return reduce.mean(x, axis, keepdims)
    weights = as_array(weights)
    if isinstance(axis, int) and weights.ndim == 1 and x.ndim > 1:
        place = normalize_axis(axis, x.ndim)
        weights = shapes.reshape(weights, (-1, *(1 for _ in range(x.ndim - 1 - place))))
    weights = shapes.broadcast_to(weights, x.shape)
    return reduce.sum(x * weights, axis, keepdims) / reduce.sum(weights, axis, keepdims)


def median(x: Any, /, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
    """The middle element in order, or the mean of both that are; NaN where there is one."""
    x = as_array(x)
    flat = shapes.reshape(x, (-1,)) if axis is None else x
    place = normalize_axis(-1 if axis is None else axis, flat.ndim)
    size = size_tensor(flat.shape[place])
    ordered = sort.sort(flat, place)
    ends = [index.gather(ordered, i, place) for i in ((size - 1) // 2, size // 2)]
    made = reduce.mean(shapes.stack(ends), 0)
    if is_float(ordered.dtype):
        # NaN counts as largest.
        largest = index.gather(ordered, size - 1, place)
        made = ops.where(math.isnan(largest), largest, made)
    if not keepdims:
        return made
    return shapes.reshape(made, (1,) * x.ndim) if axis is None else shapes.expand_dims(made, place)


def diag(x: Any, /, k: int = 0) -> Tensor:
    """The diagonal of a matrix; of a vector a matrix that has it on its diagonal."""
    x = as_array(x)
    if x.ndim == 2:
        return diagonals.diagonal(x, k)
    if x.ndim != 1 or k:
        raise ValueError(f"diag: expected a matrix, or a vector on the main diagonal, got {x.type} and k={k}")
    return diagonals.diag_matrix(x)


def atleast_1d(x: Any, /) -> Tensor:
    """x; a scalar as a vector of one."""
    x = as_array(x)
    return x if x.ndim else shapes.reshape(x, (1,))


def atleast_2d(x: Any, /) -> Tensor:
    """x; a vector as a row."""
    x = atleast_1d(x)
    return x if x.ndim > 1 else expand_dims(x, 0)


def vstack(arrays: Sequence[Any], /) -> Tensor:
    """Tensors one under the other; vectors are rows."""
    return concat([atleast_2d(a) for a in arrays], 0)


def hstack(arrays: Sequence[Any], /) -> Tensor:
    """Tensors side by side: along the second axis, vectors along their only one."""
    tensors = [atleast_1d(a) for a in arrays]
    return concat(tensors, 0 if tensors[0].ndim == 1 else 1)


def column_stack(arrays: Sequence[Any], /) -> Tensor:
    """Vectors as the columns of a matrix, beside matrices."""
    tensors = [as_array(a) for a in arrays]
    return concat([shapes.expand_dims(t, 1) if t.ndim == 1 else t for t in tensors], 1)


__all__ = [
    "allclose", "array_equal", "atleast_1d", "atleast_2d", "average", "bincount", "column_stack", "degrees",
    "diag", "digamma", "erf", "exp2", "heaviside", "hstack", "interp", "isclose", "isin", "lgamma", "median",
    "nan_to_num", "ptp", "radians", "sinc", "vstack",
]  # fmt: skip
