"""ReLU's gradient mask moves to where there is least of it: before a pooling's gradient, not behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from symgraph.graph.leaves import constant
from symgraph.graph.op import Part
from symgraph.graph.ops.compare import Greater
from symgraph.graph.ops.elementwise import Where
from symgraph.graph.ops.pool import MaxPool2DGradient, MaxPool2DWithIndex
from symgraph.graph.tensor import Tensor
from symgraph.passes.rewrite import Rule, apply_rules, rule
from symgraph.passes.simplify import is_zero, scalar


def relu_gate(node: Tensor) -> tuple[Tensor, Tensor] | None:
    """(y, g) where `node` is ``where(y > 0, g, 0)``: the gradient g through a ReLU with output y."""
    if not isinstance(node.op, Where):
        return None
    condition, flow, other = node.inputs
    plain = isinstance(condition.op, Greater) and scalar(condition.inputs[1]) == 0 and is_zero(other)
    same = plain and condition.inputs[0].type == flow.type == node.type
    return (condition.inputs[0], flow) if same else None


@rule(Where)
def mask_before_unpooling(node: Tensor) -> Tensor | None:
    """where(y > 0, unpool(g, index(y)), 0) -> unpool(where(max_pool(y) > 0, g, 0), index(y))"""
    gate = relu_gate(node)
    if gate is None or not isinstance(gate[1].op, MaxPool2DGradient):
        return None
    output, unpooled = gate
    grad, index = unpooled.inputs
    pooled = index.inputs[0] if isinstance(index.op, Part) else None
    if pooled is None or not isinstance(pooled.op, MaxPool2DWithIndex) or pooled.inputs[0] is not output:
        return None
    # The pixel at a window's position is the window's maximum, so both conditions are one.
    kept = Where()(Part(0)(pooled) > 0, grad, constant(0, grad.dtype))
    return Tensor(unpooled.op, (kept, index), node.type)


RULES: tuple[Rule, ...] = (mask_before_unpooling,)


def masks(roots: Sequence[Tensor], hits: Counter[str]) -> list[Tensor]:
    """Apply every rule of this file."""
    return apply_rules(roots, RULES, hits)
