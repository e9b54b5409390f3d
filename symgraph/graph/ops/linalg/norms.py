"""Norms, powers and products of vectors and matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.graph.leaves import as_tensor
from symgraph.graph.ops.compare import equal, not_equal
from symgraph.graph.ops.create import eye
from symgraph.graph.ops.elementwise import cast, multiply, power, subtract, together, where
from symgraph.graph.ops.linalg.matrices import check_matrices, floats
from symgraph.graph.ops.linalg.solve import inv
from symgraph.graph.ops.linalg.spectral import svdvals
from symgraph.graph.ops.math import absolute, sqrt, square
from symgraph.graph.ops.matmul import matmul, with_sizes
from symgraph.graph.ops.reduce import max as largest
from symgraph.graph.ops.reduce import min as smallest
from symgraph.graph.ops.reduce import sum as total
from symgraph.graph.ops.shape import broadcast_to, expand_dims, stack, transpose
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import normalize_axes, normalize_axis

Axes = int | Sequence[int] | None


def _root(sums: Tensor, order: float) -> Tensor:
    """sums^(1 / order), whose gradient at 0 is 0, one of those that the kink of a norm has."""
    none = equal(sums, 0)
    safe = where(none, 1, sums)
    return where(none, 0, sqrt(safe) if order == 2 else power(safe, 1 / order))


def vector_norm(x: Any, axis: Axes = None, keepdims: bool = False, ord: float = 2) -> Tensor:
    """sum(|x|^ord)^(1 / ord) over `axis`, all axes for None.

    Parameters
    ----------
    ord : float
        inf and -inf: the largest and smallest |x|; 0: how many elements are not 0.
    """
    if isinstance(ord, (str, bytes)) or not isinstance(ord, (int, float, np.number)):
        raise TypeError(f"vector_norm: expected a number as ord, got {ord!r}")
    (x,) = floats(x)
    axes = normalize_axes(axis, x.ndim)
    if ord == math.inf:
        return largest(absolute(x), axes, keepdims)
    if ord == -math.inf:
        return smallest(absolute(x), axes, keepdims)
    if ord == 0:
        return total(cast(not_equal(x, 0), x.dtype), axes, keepdims)
    if ord == 1:
        return total(absolute(x), axes, keepdims)
    if ord == 2:
        return _root(total(square(x), axes, keepdims), 2)
    sums = total(power(absolute(x), float(ord)), axes, keepdims)
    return _root(sums, float(ord)) if ord > 0 else power(sums, 1 / float(ord))


def matrix_norm(x: Any, keepdims: bool = False, ord: float | str = "fro") -> Tensor:
    """Norms [...] of matrices [..., M, N]; under `keepdims` [..., 1, 1].

    Parameters
    ----------
    ord : {'fro', 'nuc', 1, -1, 2, -2, inf, -inf}
        The square root of the sum of squares; the sum of the singular values; the largest and smallest sum of
        absolute values of a column; the largest and smallest singular value; the same of rows as of columns.
    """
    (x,) = floats(x)
    check_matrices("matrix_norm", x.type)
    if isinstance(ord, str) and ord == "fro":
        return vector_norm(x, (-2, -1), keepdims)
    singular = {"nuc": total, 2: largest, -2: smallest}
    sums = {1: (-2, largest), -1: (-2, smallest), math.inf: (-1, largest), -math.inf: (-1, smallest)}
    if ord in singular:
        found = singular[ord](svdvals(x), -1)
    elif ord in sums:
        axis, choose = sums[ord]
        found = choose(total(absolute(x), axis), -1)
    else:
        raise ValueError(
            f"matrix_norm: expected an ord of 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, got {ord!r}"
        )
    return expand_dims(expand_dims(found, -1), -1) if keepdims else found


def norm(x: Any, ord: float | str | None = None, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """numpy's norm: of a vector for one axis, of matrices for two.

    Without `axis` and `ord` that of all elements; without `axis` that of a vector or of a matrix.
    """
    (x,) = floats(x)
    if axis is None and ord is None:
        return vector_norm(x, None, keepdims)
    if axis is None and x.ndim not in (1, 2):
        raise ValueError(f"norm: expected a vector or a matrix where no axis is given, got {x.type}")
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    axes = tuple(normalize_axis(int(a), x.ndim) for a in axes)
    if len(axes) == 1:
        return vector_norm(x, axes, keepdims, 2 if ord is None else ord)  # type: ignore[arg-type]
    if len(axes) != 2 or axes[0] == axes[1]:
        raise ValueError(f"norm: expected one axis, or two that differ, got {axis!r}")
    rest = [a for a in range(x.ndim) if a not in axes]
    found = matrix_norm(transpose(x, (*rest, *axes)), False, "fro" if ord is None else ord)
    for a in sorted(axes) if keepdims else ():
        found = expand_dims(found, a)
    return found


def cond(x: Any, p: float | str | None = None) -> Tensor:
    """The condition of matrices [..., M, N]: norm(x) norm(inv(x)), by `matrix_norm`; None is 2."""
    (x,) = floats(x)
    if p is None or p in (2, -2):
        values = svdvals(x)
        high, low = largest(values, -1), smallest(values, -1)
        return low / high if p == -2 else high / low
    return matrix_norm(x, ord=p) * matrix_norm(inv(x), ord=p)


def matrix_power(x: Any, n: int) -> Tensor:
    """The product of n square matrices [..., N, N]; of inverses for n below 0, and 1 for 0."""
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        raise TypeError(f"matrix_power: expected an integer as n, got {n!r}")
    x = as_tensor(x)
    if n < 0:
        (x,) = floats(x)
        x, n = inv(x), -n
    if x.ndim < 2 or (all(isinstance(d, int) for d in x.shape[-2:]) and x.shape[-2] != x.shape[-1]):
        raise ValueError(f"matrix_power: expected square matrices, [..., N, N], got {x.type}")
    if n == 0:
        return broadcast_to(eye(x.shape[-2], x.shape[-1], x.dtype), x.shape)
    found: Tensor | None = None
    while n:
        if n & 1:
            found = x if found is None else matmul(found, x)
        n >>= 1
        x = matmul(x, x) if n else x
    assert found is not None
    return found


def outer(a: Any, b: Any) -> Tensor:
    """a[i] b[j] of two vectors."""
    a, b = together(a, b)
    if a.ndim != 1 or b.ndim != 1:
        raise ValueError(f"outer: expected two vectors, got {a.type} and {b.type}")
    return multiply(expand_dims(a, 1), expand_dims(b, 0))


def vecdot(a: Any, b: Any, axis: int = -1) -> Tensor:
    """The sums of a b along one axis of both (counted from the end after broadcasting).

    Integers keep their dtype, in which sums wrap around, as those of `matmul` do.
    """
    a, b = together(a, b)
    if not a.ndim or not b.ndim:
        raise ValueError(f"vecdot: expected at least 1 dimension, got {a.type} and {b.type}")
    axis = axis if axis < 0 else normalize_axis(axis, max(a.ndim, b.ndim)) - max(a.ndim, b.ndim)
    for x in (a, b):
        normalize_axis(axis, x.ndim, "vecdot: axis")
    sizes = a.shape[axis], b.shape[axis]
    known = [size for size in sizes if isinstance(size, int)]
    if len(set(known)) > 1:
        raise ValueError(f"vecdot: expected as many elements on axis {axis}, got {a.type} and {b.type}")
    # A size of 1 that meets one that is not known yet does not broadcast.
    size = known[0] if known else sizes[0]
    products = multiply(*(with_sizes(x, {x.ndim + axis: size}) for x in (a, b)))
    return cast(total(products, axis), products.dtype)


def cross(a: Any, b: Any, axis: int = -1) -> Tensor:
    """The cross products of vectors of three elements along one axis of both, which broadcast otherwise."""
    a, b = together(a, b)
    if not a.ndim or not b.ndim:
        raise ValueError(f"cross: expected at least 1 dimension, got {a.type} and {b.type}")
    axis = axis if axis < 0 else normalize_axis(axis, max(a.ndim, b.ndim)) - max(a.ndim, b.ndim)
    sides = []
    for x in (a, b):
        place = normalize_axis(axis, x.ndim, "cross: axis")
        if x.shape[place] != 3:
            if isinstance(x.shape[place], int):
                raise ValueError(f"cross: expected 3 elements on axis {axis}, got {a.type} and {b.type}")
            x = with_sizes(x, {place: 3})
        sides.append([x[(slice(None),) * place + (i,)] for i in range(3)])
    (a0, a1, a2), (b0, b1, b2) = sides
    pairs = ((a1, b2, a2, b1), (a2, b0, a0, b2), (a0, b1, a1, b0))
    found = [subtract(multiply(p, q), multiply(r, s)) for p, q, r, s in pairs]
    return stack(found, max(a.ndim, b.ndim) + axis)
