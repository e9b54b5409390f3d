"""Scales and shifts that no data reach move into the weights of the convolution or matmul before them.

A BatchNormalization in prediction is ``(y - mean) * scale + beta`` with vectors that are known before the
data come: ``conv(x, w) * s + t`` becomes ``conv(x, w * s) + t``, whose shift the epilogue then takes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from symgraph.graph.leaves import Placeholder
from symgraph.graph.ops.conv import Conv2D
from symgraph.graph.ops.elementwise import Add, Multiply, Subtract
from symgraph.graph.ops.matmul import MatMul
from symgraph.graph.ops.shape import Reshape
from symgraph.graph.origin import inherit
from symgraph.graph.tensor import Tensor, consumers, topological
from symgraph.passes.rewrite import replace_nodes, single_use


@dataclass(frozen=True)
class _Affine:
    """``product * scale + shift`` with vectors over the last axis; None stands for 1 and 0."""

    product: Tensor
    scale: Tensor | None = None
    shift: Tensor | None = None


def fold_scales(roots: Sequence[Tensor], hits: Counter[str]) -> list[Tensor]:
    """conv(x, w) * s + t -> conv(x, w * s) + t, where s and t do not depend on data"""
    order = topological(roots)
    readers = consumers(order)
    results = {id(r) for r in roots}
    fixed = _without_data(order)
    known: dict[int, _Affine] = {}

    def visit(old: Tensor, new: Tensor) -> Tensor:
        if isinstance(new.op, (Conv2D, MatMul)):
            plain = len(new.inputs) == 2 and new.op.activation == "linear" and new.inputs[1].ndim in (2, 4)
            found = _Affine(new) if plain and single_use(old, readers, results) else None
        else:
            found = _extended(old, new, fixed, known)
        if found is None:
            return new
        known[id(old)] = found
        followed = single_use(old, readers, results) and _continues(readers[id(old)][0], old, fixed)
        if followed or found.scale is None:
            return new
        hits["scales"] += 1
        with inherit(new.origins):
            x, w = found.product.inputs
            scaled = Tensor(found.product.op, (x, w * found.scale), new.type, found.product.origins)
            return scaled if found.shift is None else scaled + found.shift

    return replace_nodes(roots, visit)


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
    if not isinstance(reader.op, (Add, Subtract, Multiply)) or reader.type != node.type:
        return False
    others = [i for i in reader.inputs if i is not node]
    first = reader.inputs[0] is node or not isinstance(reader.op, Subtract)
    return first and len(others) == 1 and id(others[0]) in fixed and _vector(others[0], node) is not None


def _extended(old: Tensor, new: Tensor, fixed: set[int], known: dict[int, _Affine]) -> _Affine | None:
    """What `new` is of a product, if one of its operands is known as such and the other is a fixed vector."""
    for place, value in enumerate(old.inputs):
        before = known.get(id(value))
        if before is None or not _continues(old, value, fixed):
            continue
        vector = _vector(new.inputs[1 - place], new)
        assert vector is not None
        scale, shift = before.scale, before.shift
        if isinstance(new.op, Multiply):
            scale = vector if scale is None else scale * vector
            shift = None if shift is None else shift * vector
        else:
            term = vector if isinstance(new.op, Add) else -vector
            shift = term if shift is None else shift + term
        return _Affine(before.product, scale, shift)
    return None
