"""Views, indices, joins, reductions and products of random graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from symgraph.graph.leaves import constant
from symgraph.graph.ops import cumulative, elementwise, index, math, matmul, reduce, shape, slicing, sort
from symgraph.graph.types import is_float, promote
from tests.fuzz.nodes import Node
from tests.fuzz.values import NOISE, lost, wide
from tests.fuzz.values import largest as magnitude

if TYPE_CHECKING:
    from tests.fuzz.grow import Grower

_MOST_AXES = 4


def view(g: Grower) -> Node | None:
    """The same elements in another order or shape."""
    a = g.pick(lambda n: n.tensor.ndim > 0)
    ndim = a.tensor.ndim
    kind = g.draw(6)
    if kind == 0:
        axes = tuple(int(i) for i in g.rng.permutation(ndim))
        return g.node(
            f"transpose{axes}", lambda x: shape.transpose(x, axes), (a,), lambda k, x: x.transpose(axes), True
        )
    if kind == 1:
        return g.node("flatten", lambda x: shape.reshape(x, (-1,)), (a,), lambda k, x: x.reshape(-1), True)
    if kind == 2:
        axis = g.draw(ndim)
        return g.node(
            f"reverse {axis}", lambda x: slicing.reverse(x, axis), (a,), lambda k, x: np.flip(x, axis), True
        )
    if kind == 3 and ndim < _MOST_AXES:
        axis = g.draw(ndim + 1)
        return g.node(
            f"expand {axis}",
            lambda x: shape.expand_dims(x, axis),
            (a,),
            lambda k, x: np.expand_dims(x, axis),
            True,
        )
    if kind == 4 and ndim < _MOST_AXES:
        return g.node(
            "broadcast",
            lambda x: shape.broadcast_to(x, (2, *x.shape)),
            (a,),
            lambda k, x: np.broadcast_to(x, (2, *x.shape)),
            True,
        )
    rows = a.tensor.shape
    if kind == 5 and ndim >= 2 and isinstance(rows[-1], int) and rows[-1] > 0 and rows[-1] % 2 == 0:
        return g.node(
            "split last axis",
            lambda x: shape.reshape(x, (*x.shape[:-1], 2, x.shape[-1] // 2)),
            (a,),
            lambda k, x: x.reshape(*x.shape[:-1], 2, x.shape[-1] // 2),
            True,
        )
    return None


def part(g: Grower) -> Node | None:
    """Slices, single entries, and entries by index."""
    a = g.pick(lambda n: n.tensor.ndim > 0)
    axis = g.draw(a.tensor.ndim)
    size = a.tensor.shape[axis]
    before = (slice(None),) * axis
    kind = g.draw(5)
    if kind == 0:
        bounds = g.choose(
            (
                (None, None, 2),
                (1, None, None),
                (None, -1, None),
                (None, None, -1),
                (-2, None, None),
                (0, 2, None),
            )
        )
        key = (*before, slice(*bounds))
        return g.node(f"x[{key}]", lambda x: x[key], (a,), lambda k, x: x[key], True)
    if kind == 1 and isinstance(size, int) and size:
        place = g.draw(2 * size) - size
        return g.node(
            f"x[{axis}: {place}]", lambda x: x[(*before, place)], (a,), lambda k, x: x[(*before, place)], True
        )
    if kind == 2 and isinstance(size, int) and size:
        places = g.rng.integers(-size, size, g.choose(((3,), (0,), (2, 2)))).astype("int32")
        return g.node(
            "gather",
            lambda x: index.gather(x, constant(places), axis),
            (a,),
            lambda k, x: np.take(x, places, axis),
            True,
        )
    if kind == 3 and isinstance(size, int) and size:
        i = g.pick(lambda n: n.tensor.dtype in ("int32", "int64") and n.tensor.ndim <= 1)
        return g.node(
            "gather by tensor",
            lambda x, j: index.gather(x, elementwise.mod(j, size), 0 if axis == 0 else axis),
            (a, i),
            lambda k, x, j: np.take(x, np.mod(j, size), axis),
            True,
        )
    return (
        g.node("x[..., None]", lambda x: x[..., None], (a,), lambda k, x: x[..., None], True)
        if a.tensor.ndim < _MOST_AXES
        else None
    )


def join(g: Grower) -> Node | None:
    """Tensors side by side, repeated, or framed."""
    a = g.pick(lambda n: n.tensor.ndim > 0)
    axis = g.draw(a.tensor.ndim)
    kind = g.draw(5)
    if kind <= 1:
        b = g.pick(lambda n: n.tensor.shape == a.tensor.shape)
        dtype = promote(a.tensor.dtype, b.tensor.dtype)
        if kind == 0 or a.tensor.ndim == _MOST_AXES:
            return g.node(
                f"concatenate {axis}",
                lambda x, y: shape.concatenate([x, y], axis),
                (a, b),
                lambda k, x, y: np.concatenate([x.astype(k(dtype)), y.astype(k(dtype))], axis),
                True,
            )
        return g.node(
            f"stack {axis}",
            lambda x, y: shape.stack([x, y], axis),
            (a, b),
            lambda k, x, y: np.stack([x.astype(k(dtype)), y.astype(k(dtype))], axis),
            True,
        )
    if kind == 2:
        return g.node(
            f"repeat {axis}",
            lambda x: shape.repeat(x, 2, axis),
            (a,),
            lambda k, x: np.repeat(x, 2, axis),
            True,
        )
    if kind == 3:
        counts = tuple(2 if i == axis else 1 for i in range(a.tensor.ndim))
        return g.node(
            f"tile {counts}", lambda x: shape.tile(x, counts), (a,), lambda k, x: np.tile(x, counts), True
        )
    if a.tensor.dtype == "bool":
        return None
    widths = [(1, 0) if i == axis else (0, 1) for i in range(a.tensor.ndim)]
    return g.node(
        f"pad {widths}", lambda x: slicing.pad(x, widths), (a,), lambda k, x: np.pad(x, widths), True
    )


def any_or_all(g: Grower) -> Node | None:
    """Whether any, or all, elements are true."""
    a = g.pick(lambda n: n.tensor.ndim > 0 and n.tensor.dtype == "bool")
    build, twin = g.choose(((reduce.any, np.any), (reduce.all, np.all)))
    return _reduced(g, a, twin.__name__, build, lambda x, axis, keep: twin(x, axis=axis, keepdims=keep), True)


def total(g: Grower) -> Node | None:
    """Sums and products."""
    a = g.pick(lambda n: n.tensor.ndim > 0)
    if g.draw(4):
        return _reduced(
            g, a, "sum", reduce.sum, lambda x, axis, keep: x.sum(axis, _summed(x), keepdims=keep), sums=True
        )
    return _reduced(
        g,
        a,
        "prod",
        reduce.prod,
        lambda x, axis, keep: x.prod(axis, _summed(x), keepdims=keep),
        doubt=_overflows,
    )


def _overflows(x: Any, axis: Any, keep: bool) -> bool:
    """Whether the product of some of the factors is too large, or too small, for their dtype."""
    if x.dtype.kind != "f":
        return False
    with np.errstate(all="ignore"):
        steps = np.log2(np.abs(x[np.isfinite(x) & (x != 0)], dtype=np.longdouble))
    limits = np.finfo(x.dtype)
    return bool(steps[steps > 0].sum() >= limits.maxexp or steps[steps < 0].sum() <= limits.minexp)


def extremum(g: Grower) -> Node | None:
    """The largest or smallest element."""
    a = g.pick(lambda n: n.tensor.ndim > 0)
    build, twin = g.choose(((reduce.max, np.max), (reduce.min, np.min)))
    return _reduced(g, a, twin.__name__, build, lambda x, axis, keep: twin(x, axis=axis, keepdims=keep), True)


def place(g: Grower) -> Node | None:
    """Where the largest or smallest element is."""
    a = g.pick(lambda n: n.tensor.ndim > 0)
    axis = g.draw(a.tensor.ndim)
    build, twin = g.choose(((reduce.argmax, np.argmax), (reduce.argmin, np.argmin)))
    name = f"{twin.__name__} {axis}"
    return g.node(name, lambda x: build(x, axis), (a,), lambda k, x: twin(x, axis=axis), True, True)


def running(g: Grower) -> Node | None:
    """Running sums."""
    a = g.pick(lambda n: n.tensor.ndim > 0)
    axis = g.draw(a.tensor.ndim)
    name = f"cumsum {axis}"
    return g.node(
        name,
        lambda x: cumulative.cumsum(x, axis),
        (a,),
        # A sum begins with 0, so that it is never -0.
        lambda k, x: np.cumsum(x, axis, _summed(x)) + np.zeros((), _summed(x)),
        sums=True,
    )


def of_floats(g: Grower) -> Node | None:
    """Means, and logarithms of sums of exponentials."""
    a = g.pick(lambda n: n.tensor.ndim > 0 and is_float(n.tensor.dtype))
    if g.draw(2):
        return _reduced(g, a, "mean", reduce.mean, lambda x, axis, keep: _mean(x, axis, keep), sums=True)

    def build(x: Any, axis: Any, keep: bool) -> Any:
        return math.log(reduce.sum(math.exp(x), axis, keep))

    def near_zero(x: Any, axis: Any, keep: bool) -> bool:
        """Whether the largest element and the logarithm that is added to it cancel."""
        rounding = 16 * NOISE[a.tensor.dtype] * magnitude(x)
        return bool((np.abs(_logsumexp(x, axis, True)) <= rounding).any())

    return _reduced(g, a, "log(sum(exp))", build, _logsumexp, stabilised=True, vanishes=True, doubt=near_zero)


def _reduced(
    g: Grower,
    a: Node,
    name: str,
    build: Any,
    twin: Any,
    moves: bool = False,
    doubt: Callable[..., bool] | None = None,
    **marks: bool,
) -> Node | None:
    """``build(x, axis, keepdims)`` over one axis or all, where numpy's function is not of nothing."""
    axis = g.choose((None, *range(a.tensor.ndim)))
    keep = bool(g.draw(2))
    return g.node(
        f"{name} over {axis}", lambda x: build(x, axis, keep), (a,), lambda k, x: twin(x, axis, keep), moves,
        doubt=None if doubt is None else lambda x: doubt(x, axis, keep), **marks,
    )  # fmt: skip


def _mean(x: Any, axis: Any, keep: bool) -> Any:
    return x.sum(axis, keepdims=keep) / x.dtype.type(x.size if axis is None else x.shape[axis])


def _summed(x: Any) -> Any:
    """Integers are summed in int64."""
    return x.dtype if x.dtype.kind == "f" else "int64"


def _logsumexp(x: Any, axis: Any, keep: bool) -> Any:
    top = x.max(axis, keepdims=True)
    top = np.where(np.isfinite(top), top, x.dtype.type(0))
    first = x == top
    rest = np.where(first, x.dtype.type(0), np.exp(x - top)).sum(axis, keepdims=True)
    found = np.log1p(rest + (first.sum(axis, keepdims=True) - 1).astype(x.dtype)) + top
    return found if keep else np.squeeze(found, tuple(range(x.ndim)) if axis is None else axis)


def scaled_sum(g: Grower) -> Node | None:
    """What factors are taken out of: sums of products with a vector, products whose columns are scaled."""
    a = g.pick(lambda n: n.tensor.ndim == 2 and is_float(n.tensor.dtype))
    dtype = a.tensor.dtype
    v = g.partner(a, lambda n: n.tensor.ndim <= 1 and is_float(n.tensor.dtype))
    dtype = promote(dtype, v.tensor.dtype)
    axis = g.draw(2)
    return g.node(
        f"sum(x * v) {axis}",
        lambda x, y: reduce.sum(x * y, axis),
        (a, v),
        lambda k, x, y: (x.astype(k(dtype)) * y.astype(k(dtype))).sum(axis),
        sums=True,
    )


def product(g: Grower) -> Node | None:
    """Matrix products, also scaled and shifted."""
    a = g.pick(lambda n: 1 <= n.tensor.ndim <= 3 and n.tensor.dtype != "bool")
    b = g.pick(
        lambda n: n.tensor.ndim == 2 and n.tensor.dtype != "bool" and n.tensor.shape[0] == a.tensor.shape[-1]
    )
    dtype = promote(a.tensor.dtype, b.tensor.dtype)
    if not is_float(dtype):
        return None
    kind = g.draw(3)
    if kind:
        width = b.tensor.shape[1]
        s = g.pick(lambda n: n.tensor.ndim == 1 and n.tensor.shape[0] == width and n.tensor.dtype == dtype)
        t = g.pick(lambda n: n.tensor.ndim == 1 and n.tensor.shape[0] == width and n.tensor.dtype == dtype)
        return g.node(
            "dot(x, w) * s + t",
            lambda x, w, s, t: matmul.dot(x, w) * s + t,
            (a, b, s, t),
            lambda k, x, w, s, t: _dot(k(dtype), x, w) * s + t,
            sums=True,
            doubt=_products_beside_infinity,
        )
    return g.node("dot", matmul.dot, (a, b), lambda k, x, w: _dot(k(dtype), x, w), sums=True)


def _dot(kind: np.dtype, x: Any, w: Any) -> Any:
    return np.einsum("...i,ij->...j", x.astype(kind), w.astype(kind))


def _products_beside_infinity(x: Any, w: Any, s: Any, t: Any) -> bool:
    """Whether an infinite scale or shift meets sums that are infinite, or 0, by the order of their terms."""
    if np.isfinite(s).all() and np.isfinite(t).all():
        return False
    dtype = promote(x.dtype.name, w.dtype.name)
    more = wide(dtype)
    terms = _dot(more, np.abs(x.astype(more)), np.abs(w.astype(more)))
    over = not (terms <= float(np.finfo(dtype).max)).all()
    return over or lost(_dot(more, x, w), terms, dtype)


def largest(g: Grower) -> Node | None:
    """The largest entries of the last axis."""
    a = g.pick(lambda n: n.tensor.ndim > 0 and n.tensor.dtype != "bool" and g.filled(n, -1, 2))
    if g.has_nan(a):
        return None
    return g.node(
        "top_k", lambda x: sort.top_k(x, 2)[0], (a,), lambda k, x: np.sort(x, -1)[..., ::-1][..., :2], True,
        doubt=_zeros_of_both_signs,
    )  # fmt: skip


def _zeros_of_both_signs(x: Any) -> bool:
    """Whether there are 0 and -0, which may be taken for each other where they are sorted."""
    zeros = x[x == 0]
    return bool(zeros.size and np.signbit(zeros).any() and not np.signbit(zeros).all())


STEPS = (
    *(view, view, view, part, part, join, join),
    *(any_or_all, total, total, extremum, place, running, of_floats, scaled_sum, product, product, largest),
)
