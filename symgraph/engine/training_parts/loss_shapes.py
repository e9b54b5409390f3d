"""Losses that would silently compare every sample with every other one."""

from __future__ import annotations

from symgraph.graph.dims import shape_text
from symgraph.graph.ops.elementwise import Elementwise
from symgraph.graph.tensor import Tensor, topological


def check_pairing(score: Tensor, y_true: Tensor, y_pred: Tensor, name: str) -> None:
    """Refuse a target of shape (n,) against an output of shape (n, 1), which broadcast to (n, n).

    Only targets against outputs: a loss may well compare all outputs with each other.

    Raises
    ------
    ValueError
        With the shapes, and the line of the loss.
    """
    ends = {id(y_true), id(y_pred)}
    from_target, from_output = {id(y_true)}, {id(y_pred)}
    for node in topological([score], stop=[y_true, y_pred]):
        if id(node) in ends:
            continue
        for known in (from_target, from_output):
            if any(id(value) in known for value in node.inputs):
                known.add(id(node))
        if isinstance(node.op, Elementwise) and len(node.inputs) == 2 and _is_crossed(*node.inputs):
            a, b = (id(value) for value in node.inputs)
            mixed = (a in from_target and b in from_output) or (a in from_output and b in from_target)
            if mixed:
                shapes = " and ".join(shape_text(value.shape) for value in node.inputs)
                raise ValueError(
                    f"{node.origins[0]}: the loss or metric function {name} combines target and output of "
                    f"shapes {shapes}, which would compare every sample with every other one; expected equal "
                    "shapes: use K.squeeze or K.expand_dims on one of them"
                )


def _is_crossed(a: Tensor, b: Tensor) -> bool:
    """Whether the samples of one lie along another axis than those of the other."""
    small, big = (a, b) if a.ndim < b.ndim else (b, a)
    if not small.ndim or small.ndim == big.ndim or isinstance(small.shape[0], int):
        return False
    return bool(small.shape[0] == big.shape[0] and big.shape[-small.ndim] == 1)
