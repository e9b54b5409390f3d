"""Scales and shifts that no data reach are taken by the convolution or matmul before them, as it stores.

A BatchNormalization in prediction is ``(y - mean) * scale + beta`` with vectors that are known before the
data come. They become steps of the product's epilogue, in their order, so that nothing is rounded otherwise.
(Multiplied into the weights instead, they overflow and underflow where the results do not.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from symgraph.graph.leaves import Placeholder
from symgraph.graph.op import Op
from symgraph.graph.ops.conv import Conv2D
from symgraph.graph.ops.elementwise import Add, Multiply, Subtract
from symgraph.graph.ops.matmul import MatMul
from symgraph.graph.ops.shape import Concatenate, Reshape
from symgraph.graph.origin import inherit
from symgraph.graph.tensor import Tensor, consumers, topological
from symgraph.graph.types import is_float
from symgraph.passes.rewrite import replace_nodes, single_use

_STEPS: dict[type[Op], str] = {Add: "+", Subtract: "-", Multiply: "*"}
_MOST_STEPS = 6


@dataclass(frozen=True)
class _Affine:
    """A product, and the steps that follow it with their vectors over the last axis."""

    product: Tensor
    steps: str = ""
    vectors: tuple[Tensor, ...] = ()


def fold_scales(roots: Sequence[Tensor], hits: Counter[str]) -> list[Tensor]:
    """conv(x, w) * s + t -> conv[*+](x, w, (s, t)), where s and t do not depend on data"""
    order = topological(roots)
    readers = consumers(order)
    results = {id(r) for r in roots}
    fixed = _without_data(order)
    known: dict[int, _Affine] = {}

    def visit(old: Tensor, new: Tensor) -> Tensor:
        if isinstance(new.op, (Conv2D, MatMul)):
            plain = len(new.inputs) == 2 and new.op.activation == "linear" and new.inputs[1].ndim in (2, 4)
            plain = plain and is_float(new.dtype)  # the kernels of integers have no epilogue
            found = _Affine(new) if plain and single_use(old, readers, results) else None
        else:
            found = _extended(old, new, fixed, known)
        if found is None:
            return new
        known[id(old)] = found
        alone = single_use(old, readers, results) and len(found.steps) < _MOST_STEPS
        # A shift alone is the bias that the epilogue takes.
        if (alone and _continues(readers[id(old)][0], old, fixed)) or "*" not in found.steps:
            return new
        hits["scales"] += 1
        return _with_steps(new, found)

    return replace_nodes(roots, visit)


def _with_steps(new: Tensor, found: _Affine) -> Tensor:
    """The product with the steps in its epilogue."""
    product = found.product
    assert isinstance(product.op, (Conv2D, MatMul))
    origins = tuple(dict.fromkeys(product.origins + new.origins))
    with inherit(origins):
        lines = [Reshape((1, *vector.shape))(vector) for vector in found.vectors]
        vectors = lines[0] if len(lines) == 1 else Concatenate(0)(*lines)
    op = replace(product.op, steps=found.steps)
    return Tensor(op, (*product.inputs, vectors), new.type, origins, new.name)


def _without_data(order: Sequence[Tensor]) -> set[int]:
    """Ids of the nodes that depend on variables and constants only."""
    fixed: set[int] = set()
    for node in order:
        leaf = node.op.leaf and not isinstance(node.op, Placeholder)
        if leaf or (node.inputs and node.op.pure and all(id(i) in fixed for i in node.inputs)):
            fixed.add(id(node))
    return fixed


def _vector(value: Tensor, like: Tensor) -> Tensor | None:
    """`value` as a vector over the last axis of `like`; None where it is not one."""
    width = like.shape[-1]
    if value.ndim == 1 and value.shape[0] == width != 1:
        return value
    ones = value.ndim == like.ndim and all(d == 1 for d in value.shape[:-1])
    return Reshape((width,))(value) if ones and value.shape[-1] == width != 1 else None


def _continues(reader: Tensor, node: Tensor, fixed: set[int]) -> bool:
    """Whether `reader` goes on scaling or shifting `node`."""
    if type(reader.op) not in _STEPS or reader.type != node.type:
        return False
    others = [i for i in reader.inputs if i is not node]
    first = reader.inputs[0] is node or not isinstance(reader.op, Subtract)
    return first and len(others) == 1 and id(others[0]) in fixed and _vector(others[0], node) is not None


def _extended(old: Tensor, new: Tensor, fixed: set[int], known: dict[int, _Affine]) -> _Affine | None:
    """What `new` is of a product, if one of its operands is known as such and the other is a fixed vector."""
    for place, value in enumerate(old.inputs):
        before = known.get(id(value))
        if before is None or len(before.steps) >= _MOST_STEPS or not _continues(old, value, fixed):
            continue
        vector = _vector(new.inputs[1 - place], new)
        assert vector is not None
        return _Affine(before.product, before.steps + _STEPS[type(new.op)], (*before.vectors, vector))
    return None
