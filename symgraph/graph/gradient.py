"""Reverse-mode differentiation: the gradient of a graph is a graph, so it can be differentiated again."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.graph.leaves import constant
from symgraph.graph.op import Part
from symgraph.graph.origin import inherit, warn_user
from symgraph.graph.stable import Stable
from symgraph.graph.symbolic import brief
from symgraph.graph.tensor import Tensor, call, topological
from symgraph.graph.types import TensorType, TupleType, is_float, working_dtype

_DISCONNECTED = ("none", "zero", "warn", "raise")


def gradients(
    loss: Tensor,
    wrt: Tensor | Sequence[Tensor],
    grad: Tensor | None = None,
    disconnected: str = "none",
) -> list[Tensor | None]:
    """Gradients of `loss` with respect to each tensor of `wrt`.

    Parameters
    ----------
    loss : Tensor
        Any shape; a loss that is no scalar is summed first, as in Keras.
    wrt : Tensor or sequence of Tensor
        Float tensors of the graph: variables, placeholders, or any node between.
    grad : Tensor, optional
        Gradient of something with respect to `loss` (its shape and dtype); ones where not given.
    disconnected : {'none', 'zero', 'warn', 'raise'}
        What to give for a tensor that `loss` does not depend on: None, zeros, zeros and a warning, or a
        ValueError that names it.
        A path through integers, comparisons, rounding or `stop_gradient` is no dependence.

    Returns
    -------
    list of Tensor or None
        Same shapes and dtypes as `wrt`.
    """
    wrt = [wrt] if isinstance(wrt, Tensor) else list(wrt)
    checked_disconnected("gradients", disconnected)
    for number, value in enumerate([loss, *wrt]):
        if not isinstance(value, Tensor):
            what = f"variable number {number - 1}" if number else "loss"
            raise TypeError(f"gradients: expected a tensor as {what}, got {brief(value)}")
    if not is_float(loss.dtype):
        raise TypeError(f"gradients: expected a float loss, got {loss.dtype}")
    check_wrt("gradients", wrt)
    if grad is None:
        one = constant(1, working_dtype(loss.dtype))
        grad = call("broadcast_to", one, loss.shape) if loss.ndim else one
    elif not fits(grad, loss):
        raise ValueError(f"gradients: expected a grad of type {loss.type}, got {grad.type}")
    found = flows([(loss, grad)], wrt)
    return [
        finished(flow, tensor, f"gradients: {loss!r} does not depend on {tensor!r}", disconnected)
        for flow, tensor in zip(found, wrt, strict=True)
    ]


def checked_disconnected(what: str, disconnected: str) -> None:
    """ValueError where `disconnected` is not one of the choices that `gradients` lists."""
    if disconnected not in _DISCONNECTED:
        raise ValueError(f"{what}: disconnected has to be one of {_DISCONNECTED}, got {disconnected!r}")


def check_wrt(what: str, wrt: Sequence[Tensor]) -> None:
    """TypeError for a tensor by which nothing can be differentiated."""
    for tensor in wrt:
        if tensor.sparse:
            raise TypeError(f"{what}: {tensor!r} is sparse, so it has no gradient; use K.to_dense")
        if not is_float(tensor.dtype):
            raise TypeError(f"{what}: {tensor!r} is not a float tensor, so it has no gradient")


def flows(roots: Sequence[tuple[Tensor, Tensor]], wrt: Sequence[Tensor]) -> list[Tensor | None]:
    """What flows to each tensor of `wrt` when gradients enter the graph at several places at once.

    `roots` are (tensor, the gradient that arrives there). None for tensors that none of them depends on.
    What is differentiated are the stable forms of the graph's expressions (`stable.py`).
    """
    plain = Stable()
    replaced = plain.rewrite([root for root, _ in roots])
    inner = [t for t in wrt if t.inputs] if plain.hits else []
    outer = [t for t in wrt if all(t is not i for i in inner)]
    found = _flows(roots, outer, replaced)
    for tensor in inner:
        # The derivative by a node within an expression is that of the expression in which it stands.
        around = Stable([id(tensor)]).rewrite([root for root, _ in roots])
        found |= _flows(roots, [tensor], around)
    return [found[id(tensor)] for tensor in wrt]


def _flows(
    roots: Sequence[tuple[Tensor, Tensor]], wrt: Sequence[Tensor], replaced: dict[int, Tensor]
) -> dict[int, Tensor | None]:
    """The gradient of each tensor of `wrt`, by its id, where other nodes take the place of the graph's."""
    places = [replaced.get(id(tensor), tensor) for tensor in wrt]
    found = _accumulate([(replaced[id(root)], grad) for root, grad in roots], places)
    return {id(t): found.get(id(place)) for t, place in zip(wrt, places, strict=True)}


def finished(flow: Tensor | None, tensor: Tensor, message: str, disconnected: str) -> Tensor | None:
    """What arrives at `tensor`, in its dtype; where nothing does, what `disconnected` says."""
    if flow is None and disconnected == "raise":
        raise ValueError(message)
    if flow is None and disconnected == "warn":
        warn_user(f"{message}; zeros are taken")
    if flow is None and disconnected != "none":
        flow = call("zeros_like", tensor)
    # What is stored only has gradients in its working dtype on the way, and is rounded here, once.
    return flow if flow is None else call("cast", flow, tensor.dtype)


def _accumulate(roots: Sequence[tuple[Tensor, Tensor]], wrt: Sequence[Tensor]) -> dict[int, Tensor]:
    """The gradient of every node between `wrt` and the roots, by node id."""
    order = topological([root for root, _ in roots])
    wanted = _depending(order, wrt)
    totals: dict[int, Tensor] = {}
    for root, grad in roots:
        totals[id(root)] = totals[id(root)] + grad if id(root) in totals else grad
    by_part: dict[int, list[Tensor | None]] = {}
    for node in reversed(order):
        if id(node) not in wanted:
            continue
        here: Tensor | list[Tensor | None] | None
        here = by_part.get(id(node)) if isinstance(node.type, TupleType) else totals.get(id(node))
        if here is None or not node.inputs:
            continue
        if isinstance(node.op, Part):
            assert isinstance(here, Tensor)
            _add_part(by_part, node, here)
            continue
        # Gradients come from the line that wrote what they are the gradients of.
        with inherit(node.origins):
            flows = node.op.gradient(node.inputs, node, here)
            for source, flow in zip(node.inputs, flows, strict=True):
                if flow is not None and id(source) in wanted:
                    _check(node, source, flow)
                    before = totals.get(id(source))
                    totals[id(source)] = flow if before is None else before + flow
    return totals


def _add_part(by_part: dict[int, list[Tensor | None]], node: Tensor, grad: Tensor) -> None:
    whole = node.inputs[0]
    assert isinstance(node.op, Part) and isinstance(whole.type, TupleType)
    slots = by_part.setdefault(id(whole), [None] * len(whole.type.items))
    before = slots[node.op.index]
    slots[node.op.index] = grad if before is None else before + grad


def _depending(order: Sequence[Tensor], wrt: Sequence[Tensor]) -> set[int]:
    """Ids of the nodes through which gradients have to flow to reach `wrt`."""
    wanted = {id(t) for t in wrt}
    for node in order:
        if id(node) not in wanted and any(id(i) in wanted for i in node.inputs):
            wanted.add(id(node))
    return wanted


def _check(node: Tensor, source: Tensor, flow: Tensor) -> None:
    """A gradient has the type of what it belongs to: anything else is a fault of the op."""
    assert isinstance(source.type, TensorType), f"{node.op}: gradient for a tuple"
    assert fits(flow, source), f"{node.op}: gradient of type {flow.type} for an input of type {source.type}"


def fits(grad: Tensor, tensor: Tensor) -> bool:
    """Whether dtype and shape agree as far as sizes are known."""
    return (
        grad.ndim == tensor.ndim
        and grad.dtype == working_dtype(tensor.dtype)
        and not any(
            isinstance(a, int) and isinstance(b, int) and a != b
            for a, b in zip(grad.shape, tensor.shape, strict=True)
        )
    )
