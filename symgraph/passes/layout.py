"""Layout: channels last inside, whatever the layer says.

Convolution and pooling kernels work on channels-last memory; for channels-first tensors the builders put
transposes around them. Here the transposes sink through element-wise ops and reductions until they meet and
cancel, so a network written channels-first runs as one written channels-last, with a transpose at its ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from symgraph.graph.ops.reduce import All, Any_, Max, MaxOrLowest, Mean, Min, Product, Sum
from symgraph.graph.ops.shape import Reshape, Transpose
from symgraph.graph.tensor import Tensor
from symgraph.passes.rewrite import Rule, apply_rules, rule
from symgraph.passes.simplify import ELEMENTWISE, transpose_once


def _before(value: Tensor, axes: tuple[int, ...]) -> Tensor | None:
    """A tensor whose transpose by `axes` broadcasts as `value` does, without moving data.

    None where there is none.
    """
    if isinstance(value.op, Transpose) and value.op.axes == axes:
        return value.inputs[0]
    if value.ndim == 0:
        return value
    padded = (1,) * (len(axes) - value.ndim) + value.shape
    if sum(d != 1 for d in padded) > 1:
        return None
    order = np.argsort(axes)
    return Reshape(tuple(padded[int(a)] for a in order))(value)


@rule(*ELEMENTWISE)
def sink_through_elementwise(node: Tensor) -> Tensor | None:
    """f(transpose(x), y) -> transpose(f(x, y'))"""
    moved = [v for v in node.inputs if isinstance(v.op, Transpose) and v.ndim == node.ndim]
    if not moved:
        return None
    axes = moved[0].op.axes  # type: ignore[attr-defined]
    inputs = [_before(value, axes) for value in node.inputs]
    if any(value is None for value in inputs):
        return None
    return Transpose(axes)(node.op(*(value for value in inputs if value is not None)))


@rule(Sum, Mean, Product, Max, MaxOrLowest, Min, Any_, All)
def sink_through_reduction(node: Tensor) -> Tensor | None:
    """sum(transpose(x), axes) -> sum(x, axes')"""
    (value,) = node.inputs
    if not isinstance(value.op, Transpose):
        return None
    order = value.op.axes
    axes = tuple(sorted(order[a] for a in node.op.axes))  # type: ignore[attr-defined]
    kept = [order[a] for a in range(value.ndim) if a not in node.op.axes]  # type: ignore[attr-defined]
    reduced = type(node.op)(axes, node.op.keepdims)(value.inputs[0])  # type: ignore[attr-defined, call-arg]
    if node.op.keepdims:  # type: ignore[attr-defined]
        return Transpose(order)(reduced)
    ranks = tuple(int(r) for r in np.argsort(np.argsort(kept)))
    return reduced if ranks == tuple(range(len(kept))) else Transpose(ranks)(reduced)


RULES: tuple[Rule, ...] = (transpose_once, sink_through_elementwise, sink_through_reduction)


def layout(roots: Sequence[Tensor], hits: Counter[str]) -> list[Tensor]:
    """Apply every rule of this file."""
    return apply_rules(roots, RULES, hits)
