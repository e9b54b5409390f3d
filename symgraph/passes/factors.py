"""Factors and signs that all summands have in common leave the sum: others may share what is left.

These rules round differently, in the last digit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from symgraph.graph.ops.elementwise import Divide, Multiply
from symgraph.graph.ops.math import Negative
from symgraph.graph.ops.reduce import Mean, Reduction, Sum
from symgraph.graph.ops.shape import Reshape
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import is_float
from symgraph.passes.rewrite import Rule, apply_rules, rule


@rule(Sum, Mean)
def factor_out_of_sum(node: Tensor) -> Tensor | None:
    """sum(x * v) -> sum(x) * v, sum(x / v) -> sum(x) / v, where v is a vector along kept axes"""
    (value,) = node.inputs
    if not isinstance(value.op, (Multiply, Divide)) or not is_float(node.dtype):
        return None
    orders = [(0, 1), (1, 0)] if isinstance(value.op, Multiply) else [(0, 1)]
    for x, v in ((value.inputs[i], value.inputs[j]) for i, j in orders):
        factor = _along_kept(v, node) if x.type == value.type else None
        if factor is not None:
            return value.op(node.op(x), factor)
    return None


def _along_kept(v: Tensor, node: Tensor) -> Tensor | None:
    """`v` laid along the result of a reduction; None where it changes along reduced axes or is one number."""
    op, ndim = node.op, node.inputs[0].ndim
    assert isinstance(op, Reduction)
    sizes = (1,) * (ndim - v.ndim) + v.shape
    if any(sizes[a] != 1 for a in op.axes) or all(d == 1 for d in sizes):
        return None
    if op.keepdims:
        return v
    shape = tuple(d for a, d in enumerate(sizes) if a not in op.axes)
    return v if v.shape == shape else Reshape(shape)(v)


@rule(Sum, Mean)
def sign_out_of_sum(node: Tensor) -> Tensor | None:
    """sum(-x) -> -sum(x)"""
    (value,) = node.inputs
    if not isinstance(value.op, Negative):
        return None
    rest = node.op(value.inputs[0])
    # What stands below the new node's top is not visited again.
    shared = factor_out_of_sum.function(rest)
    return -(rest if shared is None else shared)


RULES: tuple[Rule, ...] = (factor_out_of_sum, sign_out_of_sum)


def factors(roots: Sequence[Tensor], hits: Counter[str]) -> list[Tensor]:
    """Apply every rule of this file."""
    return apply_rules(roots, RULES, hits)
