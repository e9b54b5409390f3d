"""The gradient of a branch that is known not to be taken is no gradient at all: it leaves every sum.

What such a branch sends back is zero times its own derivatives. That product is 0 but for rounding errors of
the branch (infinite or NaN derivatives), which must not reach what was computed without it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from symgraph.graph.leaves import constant, constant_value
from symgraph.graph.op import Op
from symgraph.graph.ops.elementwise import Add, Cast, Divide, Multiply, Subtract, Where
from symgraph.graph.ops.math import Negative
from symgraph.graph.ops.matmul import MatMul
from symgraph.graph.ops.reduce import Mean, Sum
from symgraph.graph.ops.shape import BroadcastTo, Reshape, Transpose
from symgraph.graph.origin import inherit
from symgraph.graph.tensor import Tensor
from symgraph.passes.rewrite import replace_nodes
from symgraph.passes.simplify import scalar

# Zero where their first input is zero.
_LINEAR: tuple[type[Op], ...] = (BroadcastTo, Cast, Divide, Negative, Reshape, Sum, Transpose)
# Zero where any input is zero.
_PRODUCTS: tuple[type[Op], ...] = (MatMul, Multiply)


def drop_dead_flows(roots: Sequence[Tensor], hits: Counter[str]) -> list[Tensor]:
    """where(False, g, 0) * f' + rest -> rest"""
    dead: set[int] = set()

    def visit(old: Tensor, new: Tensor) -> Tensor:
        if isinstance(new.op, (Add, Subtract)):
            return _rest(new, dead, hits)
        if not (_ends(new) or _carries(new, dead)):
            return new
        with inherit(new.origins):
            zeros = BroadcastTo(new.shape)(constant(0, new.dtype))
        dead.add(id(zeros))
        return zeros

    return replace_nodes(roots, visit)


def _ends(node: Tensor) -> bool:
    """Whether `node` chooses zeros, and is known to."""
    if not isinstance(node.op, Where):
        return False
    condition = constant_value(node.inputs[0])
    if condition is None or not condition.size or not (condition.all() or not condition.any()):
        return False
    return scalar(node.inputs[1 if np.all(condition) else 2]) == 0


def _carries(node: Tensor, dead: set[int]) -> bool:
    if isinstance(node.op, Mean):
        # The mean of nothing is NaN.
        sizes = [node.inputs[0].shape[a] for a in node.op.axes]
        return id(node.inputs[0]) in dead and all(isinstance(size, int) and size for size in sizes)
    if isinstance(node.op, _LINEAR):
        return id(node.inputs[0]) in dead
    return isinstance(node.op, _PRODUCTS) and any(id(i) in dead for i in node.inputs[:2])


def _rest(node: Tensor, dead: set[int], hits: Counter[str]) -> Tensor:
    """A sum or difference without its dead operand."""
    first, second = node.inputs
    order = [(first, second), (second, first)] if isinstance(node.op, Add) else [(first, second)]
    for value, other in order:
        if id(other) in dead and value.type == node.type:
            hits["dead_flows"] += 1
            return value
    return node
