"""Gradients of what all steps of a loop share: sums over the steps."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.graph.ops.elementwise import Add
from symgraph.graph.ops.matmul import MatMul
from symgraph.graph.ops.reduce import Sum
from symgraph.graph.ops.shape import Transpose
from symgraph.graph.tensor import Tensor, call


class Sums:
    """Gradients of constants, summed over steps: within the loop, or after it where that is one product."""

    def __init__(self) -> None:
        self.stacked: list[Tensor] = []
        """Values of a step that are kept for all steps."""
        self.running: list[Tensor] = []
        """A step's parts of sums that are made in the loop."""
        self._terms: dict[int, list[tuple[Tensor, tuple[int, ...]]]] = {}

    def add(self, constant: Tensor, grad: Tensor) -> None:
        """A constant, and a step's gradient for it."""
        terms = self._terms.setdefault(id(constant), [])
        open_terms = [grad]
        while open_terms:
            term = open_terms.pop()
            if type(term.op) is Add and all(i.type == term.type for i in term.inputs):
                open_terms += term.inputs
            elif _is_outer_product(term):
                left, right = term.inputs[0].inputs[0], term.inputs[1]
                terms.append((term, (self._keep(left), self._keep(right))))
            elif type(term.op) is Sum and not term.op.keepdims:
                terms.append((term, (self._keep(term.inputs[0]),)))
            else:
                terms.append((term, (-1 - len(self.running),)))
                self.running.append(term)

    def _keep(self, value: Tensor) -> int:
        for number, kept in enumerate(self.stacked):
            if kept is value:
                return number
        self.stacked.append(value)
        return len(self.stacked) - 1

    def totals(self, stacked: Sequence[Tensor], running: Sequence[Tensor]) -> dict[int, Tensor]:
        """The sums over all steps, by the constant's id."""
        found: dict[int, Tensor] = {}
        for key, terms in self._terms.items():
            for term, places in terms:
                if len(places) == 2:
                    left, right = (_joined(stacked[p]) for p in places)
                    total = call("matmul", Transpose((1, 0))(left), right)
                elif places[0] >= 0:
                    assert isinstance(term.op, Sum)
                    total = Sum((0, *(a + 1 for a in term.op.axes)))(stacked[places[0]])
                else:
                    total = running[-1 - places[0]]
                found[key] = found[key] + total if key in found else total
        return found


def _joined(stack: Tensor) -> Tensor:
    """Steps and rows of matrices as one axis."""
    return call("reshape", stack, (stack.shape[0] * stack.shape[1], stack.shape[2]))


def _is_outer_product(term: Tensor) -> bool:
    """``aᵀ·b`` of two matrices: summed over steps, one product of their steps' rows together."""
    if not isinstance(term.op, MatMul) or len(term.inputs) != 2 or term.ndim != 2:
        return False
    left = term.inputs[0]
    return isinstance(left.op, Transpose) and left.ndim == 2 and left.op.axes == (1, 0)
