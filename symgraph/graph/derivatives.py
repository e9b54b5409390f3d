"""Derivatives of every shape, built on reverse-mode flows: all are graphs, so they have derivatives again.

Formulas: with J the Jacobian of y by x, ``vjp`` is vᵀJ and ``jvp`` J v. uᵀJ is linear in u, so J v is the
derivative of (uᵀJ) v by u, whatever u is (J. Townsend, "A new trick for calculating Jacobian vector
products", 2017). Jacobians are made row by row (or column by column) in a scan, Hessians are Jacobians of
gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from symgraph.graph.dims import Dim, product, shape_text
from symgraph.graph.gradient import check_wrt, checked_disconnected, finished, fits, flows
from symgraph.graph.leaves import as_tensor, constant, placeholder
from symgraph.graph.ops.barrier import stop_gradient
from symgraph.graph.ops.create import arange, one_hot, zeros, zeros_like
from symgraph.graph.ops.elementwise import cast
from symgraph.graph.ops.scan import scan
from symgraph.graph.ops.shape import reshape, transpose
from symgraph.graph.structure import filled, leaves, matched
from symgraph.graph.substitute import substitute
from symgraph.graph.symbolic import brief
from symgraph.graph.tensor import Tensor, topological
from symgraph.graph.types import is_float, working_dtype

_MODES = ("auto", "reverse", "forward")


def grad(
    loss: Tensor, wrt: Any, disconnected: str = "raise", constants: Sequence[Tensor] | Tensor = ()
) -> Any:
    """The gradient of a scalar.

    Parameters
    ----------
    loss : scalar Tensor of floats
    wrt : Tensor, or list, tuple or dict of them
        By what is differentiated: variables, placeholders, or any node between.
    disconnected : {'raise', 'zero', 'warn', 'none'}
        What to do about a tensor that `loss` does not depend on: a ValueError that names it, zeros, zeros and
        a warning, or None in its place. A path through integers, comparisons, rounding or `stop_gradient` is
        no dependence.
    constants : sequence of Tensor
        Nodes through which no gradient flows (Theano's `consider_constant`).

    Returns
    -------
    As `wrt`
        Tensors of the shapes and dtypes of `wrt`.

    Raises
    ------
    TypeError, ValueError
        A loss that is no scalar or has no float dtype, or something that is no float tensor in `wrt`.
    """
    (loss,), targets = _tensors("grad", loss, "loss"), _wrt("grad", wrt)
    if loss.ndim:
        raise ValueError(
            f"grad: expected a scalar loss, got {loss.type}; take its sum, or use symgraph.jacobian or "
            "symgraph.vjp"
        )
    _check_floats("grad", [loss], "loss")
    fixed = _tensors("grad", list(constants) if not isinstance(constants, Tensor) else constants, "constants")
    ids = {id(t) for t in fixed}
    cuts = {t: stop_gradient(t) for t in fixed}
    # A tensor in both is constant: gradients by it are those by a node that nothing reads.
    root, *places = substitute([loss, *targets], cuts)
    places = [t if id(t) in ids else p for t, p in zip(targets, places, strict=True)]
    return filled(wrt, _pulled([(root, _ones(root))], places, disconnected, "grad"))


def vjp(outputs: Any, wrt: Any, vectors: Any, disconnected: str = "raise") -> Any:
    """vᵀJ: the gradient of the inner product of `outputs` with `vectors` that are held constant.

    Parameters
    ----------
    outputs : Tensor, or list, tuple or dict of them
    wrt : Tensor, or list, tuple or dict of them
    vectors : as `outputs`
        Tensors, arrays or numbers of the outputs' shapes.
    disconnected : {'raise', 'zero', 'warn', 'none'}
        As for `grad`.

    Returns
    -------
    As `wrt`
    """
    tensors, targets = _tensors("vjp", outputs, "outputs"), _wrt("vjp", wrt)
    _check_floats("vjp", tensors, "outputs")
    seeds = _vectors("vjp", vectors, outputs, "outputs")
    return filled(wrt, _pulled(list(zip(tensors, seeds, strict=True)), targets, disconnected, "vjp"))


def jvp(outputs: Any, wrt: Any, vectors: Any, disconnected: str = "raise") -> Any:
    """J v: how fast `outputs` change where `wrt` moves along `vectors`.

    Parameters
    ----------
    outputs : Tensor, or list, tuple or dict of them
    wrt : Tensor, or list, tuple or dict of them
    vectors : as `wrt`
        Tensors, arrays or numbers of the shapes of `wrt`.
    disconnected : {'raise', 'zero', 'warn', 'none'}
        As for `grad`, for outputs that depend on nothing in `wrt`.

    Returns
    -------
    As `outputs`
    """
    tensors, targets = _tensors("jvp", outputs, "outputs"), _wrt("jvp", wrt)
    _check_floats("jvp", tensors, "outputs")
    tangents = _vectors("jvp", vectors, wrt, "wrt")
    checked_disconnected("jvp", disconnected)
    found = _pushed(tensors, targets, tangents)
    return filled(
        outputs,
        [
            finished(g, t, f"jvp: {t!r} depends on none of {_names(targets)}", disconnected)
            for g, t in zip(found, tensors, strict=True)
        ],
    )


#: Theano's names.
Lop = vjp
Rop = jvp


def jacobian(output: Tensor, wrt: Any, disconnected: str = "raise", mode: str = "auto") -> Any:
    """The derivative of every element of `output` by every element of `wrt`.

    Parameters
    ----------
    output : Tensor
        Of any shape, sizes may be unknown.
    wrt : Tensor, or list, tuple or dict of them
    disconnected : {'raise', 'zero', 'warn', 'none'}
        As for `grad`.
    mode : {'auto', 'reverse', 'forward'}
        Whether it is made row by row, one for each element of `output` (vᵀJ), or column by column, one for
        each element of `wrt` (J v). ``'auto'`` takes columns where these are known to be fewer.

    Returns
    -------
    As `wrt`
        Tensors of shape ``(*output.shape, *w.shape)`` for each w of `wrt`, and its dtype.
    """
    (output,), targets = _tensors("jacobian", output, "output"), _wrt("jacobian", wrt)
    _check_floats("jacobian", [output], "output")
    if mode not in _MODES:
        raise ValueError(f"jacobian: expected a mode of {_MODES}, got {mode!r}")
    checked_disconnected("jacobian", disconnected)
    if mode == "auto":
        rows, columns = product(output.shape), sum((product(t.shape) for t in targets), 0)
        fewer = isinstance(rows, int) and isinstance(columns, int) and columns < rows
        mode = "forward" if fewer else "reverse"
    made = _columns(output, targets) if mode == "forward" else _rows(output, targets)
    return filled(
        wrt,
        [
            _jacobian_or(block, output, tensor, disconnected)
            for block, tensor in zip(made, targets, strict=True)
        ],
    )


def hessian(loss: Tensor, wrt: Any, disconnected: str = "raise") -> Any:
    """Second derivatives of a scalar.

    Parameters
    ----------
    loss : scalar Tensor of floats
    wrt : Tensor, or list, tuple or dict of them
    disconnected : {'raise', 'zero', 'warn', 'none'}
        As for `grad`. The Hessian by a tensor that `loss` is linear in is zeros in any case.

    Returns
    -------
    Tensor of shape ``(*wrt.shape, *wrt.shape)`` for one tensor. For several, all blocks: a structure as `wrt`
    whose items are structures as `wrt`, ``h[a][b]`` of shape ``(*wrt[a].shape, *wrt[b].shape)``.
    """
    targets = _wrt("hessian", wrt)
    slopes = grad(loss, targets, disconnected)
    reached = [t for t, slope in zip(targets, slopes, strict=True) if slope is not None]

    def blocks(slope: Tensor | None) -> Any:
        if slope is None:
            return filled(wrt, [None] * len(targets))
        found = iter(jacobian(slope, reached, "zero", "reverse"))
        return filled(wrt, [None if s is None else next(found) for s in slopes])

    return filled(wrt, map(blocks, slopes))


def hessian_vector_product(loss: Tensor, wrt: Any, vectors: Any, disconnected: str = "raise") -> Any:
    """H v for the Hessian H of a scalar, at the cost of a few gradients: H itself is not made.

    Parameters
    ----------
    loss : scalar Tensor of floats
    wrt : Tensor, or list, tuple or dict of them
    vectors : as `wrt`
        Tensors, arrays or numbers of the shapes of `wrt`.
    disconnected : {'raise', 'zero', 'warn', 'none'}
        As for `grad`.

    Returns
    -------
    As `wrt`
    """
    targets = _wrt("hessian_vector_product", wrt)
    tangents = _vectors("hessian_vector_product", vectors, wrt, "wrt")
    slopes = grad(loss, targets, disconnected)
    roots = [
        (s, cast(v, working_dtype(s.dtype))) for s, v in zip(slopes, tangents, strict=True) if s is not None
    ]
    found = _pulled(roots, targets, "zero", "hessian_vector_product")
    return filled(wrt, [None if s is None else f for s, f in zip(slopes, found, strict=True)])


# Parts


def _pulled(
    roots: Sequence[tuple[Tensor, Tensor]], wrt: Sequence[Tensor], disconnected: str, what: str
) -> list[Tensor | None]:
    """Gradients by each of `wrt` of what the `roots` say."""
    checked_disconnected(what, disconnected)
    found = flows(roots, wrt)
    label = _names([root for root, _ in roots])
    return [
        finished(flow, tensor, f"{what}: {label} does not depend on {tensor!r}", disconnected)
        for flow, tensor in zip(found, wrt, strict=True)
    ]


def _pushed(
    outputs: Sequence[Tensor], wrt: Sequence[Tensor], tangents: Sequence[Tensor]
) -> list[Tensor | None]:
    """J v for each of `outputs`; None for those that depend on nothing in `wrt`."""
    seeds = [placeholder(t.shape, dtype=working_dtype(t.dtype)) for t in outputs]
    slopes = flows(list(zip(outputs, seeds, strict=True)), wrt)
    linear = [(s, v) for s, v in zip(slopes, tangents, strict=True) if s is not None]
    if not linear:
        return [None] * len(outputs)
    found = flows(linear, seeds)
    # They do not depend on the seeds, but what was written may mention them.
    reached = [f for f in found if f is not None]
    used = {id(node) for node in topological(reached)}
    zero = {s: zeros_like(t) for s, t in zip(seeds, outputs, strict=True) if id(s) in used}
    zero = {s: cast(z, s.dtype) for s, z in zero.items()}
    free = iter(substitute(reached, zero))
    return [None if f is None else next(free) for f in found]


def _rows(output: Tensor, wrt: Sequence[Tensor]) -> list[Tensor | None]:
    """Jacobians made row by row: gradients of one element of `output` after the other."""
    if not output.ndim:
        return flows([(output, _ones(output))], wrt)
    kept: list[int] = []

    def row(seed: Tensor) -> list[Tensor]:
        found = flows([(output, seed)], wrt)
        kept[:] = [number for number, flow in enumerate(found) if flow is not None]
        return [flow for flow in found if flow is not None]

    stacked = iter(_for_each(output, row))
    made: list[Tensor | None] = []
    for number, tensor in enumerate(wrt):
        inside = number in kept
        made.append(reshape(next(stacked), (*output.shape, *tensor.shape)) if inside else None)
    return made


def _columns(output: Tensor, wrt: Sequence[Tensor]) -> list[Tensor | None]:
    """Jacobians made column by column: `output` along one axis of the space of `wrt` after the other."""
    made: list[Tensor | None] = []
    for tensor in wrt:
        connected: list[bool] = []

        def column(seed: Tensor, tensor: Tensor = tensor, connected: list[bool] = connected) -> list[Tensor]:
            (found,) = _pushed([output], [tensor], [seed])
            connected[:] = [found is not None]
            return [] if found is None else [found]

        stacked = _for_each(tensor, column)
        if not connected[0]:
            made.append(None)
            continue
        outer = range(tensor.ndim, tensor.ndim + output.ndim)
        whole = reshape(stacked[0], (*tensor.shape, *output.shape))
        made.append(transpose(whole, [*outer, *range(tensor.ndim)]))
    return made


def _for_each(like: Tensor, made: Callable[[Tensor], list[Tensor]]) -> list[Tensor]:
    """What `made` makes of each unit vector of the space of `like`, stacked to [elements, ...]."""
    count: Dim = product(like.shape)
    dtype = working_dtype(like.dtype)
    if not like.ndim:
        return [reshape(t, (1, *t.shape)) for t in made(constant(1, dtype))]

    def step(values: list[Tensor], _: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        return made(reshape(one_hot(values[0], count, dtype), like.shape)), []

    return scan(step, [arange(count)], what="jacobian")[0]


def _jacobian_or(block: Tensor | None, output: Tensor, tensor: Tensor, disconnected: str) -> Tensor | None:
    """A block of a Jacobian in the dtype of `tensor`, or what stands for one that is not there."""
    message = f"jacobian: {output!r} does not depend on {tensor!r}"
    if block is None and finished(None, tensor, message, disconnected) is None:
        return None
    return zeros((*output.shape, *tensor.shape), tensor.dtype) if block is None else cast(block, tensor.dtype)


def _ones(like: Tensor) -> Tensor:
    return constant(1, working_dtype(like.dtype))


def _tensors(what: str, structure: Any, role: str) -> list[Tensor]:
    """The tensors of a structure. TypeError for anything else in it."""
    found = leaves(structure)
    for number, value in enumerate(found):
        if not isinstance(value, Tensor):
            place = role if len(found) == 1 else f"number {number} of {role}"
            raise TypeError(f"{what}: expected a tensor as {place}, got {brief(value)}")
    return found


def _wrt(what: str, wrt: Any) -> list[Tensor]:
    targets = _tensors(what, wrt, "wrt")
    check_wrt(what, targets)
    return targets


def _check_floats(what: str, tensors: Sequence[Tensor], role: str) -> None:
    for tensor in tensors:
        if not is_float(tensor.dtype):
            raise TypeError(f"{what}: expected floats as {role}, got {tensor!r}")


def _vectors(what: str, vectors: Any, like: Any, role: str) -> list[Tensor]:
    """One vector for each tensor of the structure `like`, of its shape, in its working dtype."""
    try:
        found = matched(like, vectors)
    except ValueError as error:
        raise ValueError(f"{what}: vectors for {role}: {error}") from None
    made = []
    for number, (value, tensor) in enumerate(zip(found, leaves(like), strict=True)):
        dtype = working_dtype(tensor.dtype)
        vector = as_tensor(value) if isinstance(value, Tensor) else constant(value, dtype)
        if not fits(vector, tensor):
            kind = f"{dtype}{shape_text(tensor.shape)}"
            raise ValueError(f"{what}: expected {kind} as vector {number}, got {vector.type}")
        made.append(vector)
    return made


def _names(tensors: Sequence[Tensor]) -> str:
    return ", ".join(map(repr, tensors))
