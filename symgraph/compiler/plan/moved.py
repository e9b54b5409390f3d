"""Slices whose starts every call finds out: views that move, planned once for all starts."""

from __future__ import annotations

from collections.abc import Mapping

from symgraph.compiler.plan.memory import Memory
from symgraph.compiler.program.starts import Start
from symgraph.graph.dims import Expression, Unknown, any_measured, evaluate
from symgraph.graph.ops.movement import window
from symgraph.graph.ops.slicing import Place, Slice
from symgraph.graph.tensor import Tensor
from symgraph.kernels.run.buffer import Buffer


def is_moving(node: Tensor) -> bool:
    """Whether a node takes, or is put to, a place that is a value of tensors."""
    return isinstance(node.op, (Slice, Place)) and any(map(any_measured, node.op.starts))


def moving_view(
    memory: Memory, sizes: Mapping[Unknown, int], node: Tensor, whole: Buffer, shape: tuple[int, ...]
) -> Buffer:
    """The elements of `whole` from starts on that every call finds out, for a node with such starts."""
    assert isinstance(node.op, (Slice, Place))
    starts, steps = node.op.starts, node.op.steps
    known = [0 if any_measured(start) else evaluate(start, sizes) for start in starts]
    view = window(whole, known, shape, steps)
    found = []
    for axis, (start, stride) in enumerate(zip(starts, whole.strides, strict=True)):
        if isinstance(start, Expression) and any_measured(start) and all(shape):
            found.append(Start(start, stride, axis, shape[axis], steps[axis], whole.shape[axis], node))
    return memory.starting(view, found) if found else view
