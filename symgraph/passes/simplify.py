"""Local rules that make a graph smaller without changing a bit of its results.

Signs of zeros count: ``x + 0.0`` turns -0.0 into 0.0, ``x + -0.0`` and ``x - 0.0`` keep every x.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from symgraph.graph.dims import Dim
from symgraph.graph.leaves import constant, constant_value
from symgraph.graph.op import Part, registered_ops
from symgraph.graph.ops.barrier import Identity, Padded, StopGradient
from symgraph.graph.ops.compare import equal
from symgraph.graph.ops.custom_gradient import CustomGradient
from symgraph.graph.ops.elementwise import (
    Add,
    Cast,
    Divide,
    Elementwise,
    Multiply,
    Power,
    Subtract,
    Where,
    broadcast_shapes,
    where,
)
from symgraph.graph.ops.index import Gather
from symgraph.graph.ops.math import Negative, reciprocal, sqrt, square
from symgraph.graph.ops.reduce import All, Any_, Max, MaxOrLowest, Mean, Min, Product, Sum
from symgraph.graph.ops.shape import BroadcastTo, Concatenate, Reshape, Transpose
from symgraph.graph.ops.slicing import Place
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import is_float
from symgraph.passes.rewrite import Rule, apply_rules, rule

ELEMENTWISE = tuple(op for op in registered_ops() if issubclass(op, Elementwise))


def scalar(tensor: Tensor) -> float | None:
    """The value of a constant that holds one number, whatever its rank."""
    value = constant_value(tensor)
    return float(value.reshape(-1)[0]) if value is not None and value.size == 1 else None


def is_zero(tensor: Tensor, sign: float = 1.0) -> bool:
    """Whether a constant is the integer 0, or the float zero of this sign."""
    value = scalar(tensor)
    return value == 0 and (not is_float(tensor.dtype) or math.copysign(1.0, value) == sign)


def _keeps(node: Tensor, operand: Tensor) -> bool:
    """Whether `operand` alone has the type of `node`."""
    return operand.type == node.type


@rule(Identity, Padded, StopGradient)
def pass_through(node: Tensor) -> Tensor | None:
    """identity(x) -> x"""
    return node.inputs[0]


@rule(Part)
def own_gradient(node: Tensor) -> Tensor | None:
    """a result of custom_gradient(y, ...) -> y: everything has been differentiated"""
    (whole,) = node.inputs
    assert isinstance(node.op, Part)
    return whole.inputs[node.op.index] if isinstance(whole.op, CustomGradient) else None


@rule(Add)
def add_zero(node: Tensor) -> Tensor | None:
    """x + 0 -> x for integers, x + -0.0 -> x for floats"""
    for value, other in (node.inputs, node.inputs[::-1]):
        if is_zero(other, -1.0) and _keeps(node, value):
            return value
    return None


@rule(Subtract)
def subtract_zero(node: Tensor) -> Tensor | None:
    """x - 0 -> x"""
    value, other = node.inputs
    return value if is_zero(other) and _keeps(node, value) else None


@rule(Multiply)
def multiply_one(node: Tensor) -> Tensor | None:
    """x * 1 -> x, x * -1 -> -x"""
    for value, other in (node.inputs, node.inputs[::-1]):
        factor = scalar(other)
        if factor == 1 and _keeps(node, value):
            return value
        if factor == -1 and _keeps(node, value):
            return -value
    return None


@rule(Divide)
def divide_one(node: Tensor) -> Tensor | None:
    """x / 1 -> x"""
    value, other = node.inputs
    return value if scalar(other) == 1 and _keeps(node, value) else None


@rule(Power)
def small_powers(node: Tensor) -> Tensor | None:
    """x ** 1 -> x, x ** 2 -> square(x), x ** 0.5 -> sqrt(x) but for -0.0 and -inf, x ** -1 -> 1 / x"""
    value, other = node.inputs
    exponent = scalar(other)
    if exponent is None or not _keeps(node, value):
        return None
    if exponent == 1:
        return value
    if exponent == 2:
        return square(value)
    if exponent == 0.5 and is_float(node.dtype):
        # The root of -0.0 is -0.0, that of minus infinity is NaN: as powers they are 0.0 and infinite.
        return where(equal(value, -math.inf), math.inf, sqrt(value) + 0.0)
    return reciprocal(value) if exponent == -1 and is_float(node.dtype) else None


@rule(Negative)
def double_negative(node: Tensor) -> Tensor | None:
    """-(-x) -> x"""
    (value,) = node.inputs
    return value.inputs[0] if isinstance(value.op, Negative) else None


@rule(Where)
def known_condition(node: Tensor) -> Tensor | None:
    """where(constant, a, b) -> a or b"""
    condition, a, b = node.inputs
    value = constant_value(condition)
    if value is None or value.size == 0 or not (value.all() or not value.any()):
        return None
    chosen = a if value.all() else b
    return chosen if _keeps(node, chosen) else BroadcastTo(node.shape)(chosen)


@rule(Cast)
def cast_to_same(node: Tensor) -> Tensor | None:
    """cast(x) to the dtype of x -> x"""
    return node.inputs[0] if _keeps(node, node.inputs[0]) else None


@rule(Reshape)
def reshape_once(node: Tensor) -> Tensor | None:
    """reshape(reshape(x)) -> reshape(x), and away where the shape stays"""
    (value,) = node.inputs
    if _keeps(node, value):
        return value
    if isinstance(value.op, Reshape):
        return node.op(value.inputs[0])
    return None


@rule(Transpose)
def transpose_once(node: Tensor) -> Tensor | None:
    """transpose(transpose(x)) -> transpose(x), and away where the order stays"""
    (value,) = node.inputs
    assert isinstance(node.op, Transpose)
    if node.op.axes == tuple(range(node.ndim)):
        return value
    if isinstance(value.op, Transpose):
        return Transpose(tuple(value.op.axes[a] for a in node.op.axes))(value.inputs[0])
    return None


@rule(BroadcastTo)
def broadcast_once(node: Tensor) -> Tensor | None:
    """broadcast(broadcast(x)) -> broadcast(x), and away where the shape stays"""
    (value,) = node.inputs
    if _keeps(node, value):
        return value
    if isinstance(value.op, BroadcastTo):
        return node.op(value.inputs[0])
    return None


@rule(*ELEMENTWISE)
def broadcast_is_implied(node: Tensor) -> Tensor | None:
    """f(broadcast(x), y) -> f(x, y) where y has the full shape; f(broadcast(x)) -> broadcast(f(x))"""
    stretched = [i for i, value in enumerate(node.inputs) if isinstance(value.op, BroadcastTo)]
    if not stretched:
        return None
    inputs = [value.inputs[0] if i in stretched else value for i, value in enumerate(node.inputs)]
    # That two sizes are equal, which only a call can tell, would not be checked any more.
    checked = set(node.op.requires(*(value.type for value in inputs)))
    if any(pair not in checked for pair in node.op.requires(*(value.type for value in node.inputs))):
        return None
    if broadcast_shapes([i.shape for i in inputs], "simplify") == node.shape:
        return Tensor(node.op, tuple(inputs), node.type)
    if len(stretched) == len(inputs):
        return BroadcastTo(node.shape)(node.op(*inputs))
    return None


@rule(Sum, Mean, Product, Max, MaxOrLowest, Min, Any_, All)
def reduce_nothing(node: Tensor) -> Tensor | None:
    """sum over axes of size 1 -> reshape, plus 0.0 since a sum of -0.0 is 0.0"""
    (value,) = node.inputs
    if any(value.shape[a] != 1 for a in node.op.axes) or value.dtype != node.dtype:  # type: ignore[attr-defined]
        return None
    same = value if _keeps(node, value) else Reshape(node.shape)(value)
    summed = isinstance(node.op, (Sum, Mean)) and is_float(node.dtype)
    return same + constant(0.0, node.dtype) if summed else same


@rule(Add)
def join_places(node: Tensor) -> Tensor | None:
    """parts of one tensor, put side by side into zeros and added -> concatenate (-0.0 stays -0.0)"""
    pieces: list[Tensor] = []
    stack = list(node.inputs[::-1])
    while stack:
        term = stack.pop()
        if isinstance(term.op, Add) and term.type == node.type:
            stack += term.inputs[::-1]
        elif isinstance(term.op, Place) and term.op.value == 0 and set(term.op.steps) == {1}:
            pieces.append(term)
        else:
            return None
    return _concatenated(pieces, node)


def _concatenated(pieces: Sequence[Tensor], node: Tensor) -> Tensor | None:
    """The pieces' inputs one after the other along one axis, if they fill all of it."""
    first = pieces[0].inputs[0]
    axes = [a for a in range(node.ndim) if first.shape[a] != node.shape[a]]
    if len(axes) != 1:
        return None
    (axis,) = axes
    found: dict[Dim, Tensor] = {}
    for piece in pieces:
        assert isinstance(piece.op, Place)
        others = [a for a in range(node.ndim) if a != axis]
        whole = all(piece.inputs[0].shape[a] == node.shape[a] and piece.op.starts[a] == 0 for a in others)
        if not whole or piece.op.starts[axis] in found:
            return None
        found[piece.op.starts[axis]] = piece.inputs[0]
    ordered: list[Tensor] = []
    end: Dim = 0
    while end in found:
        part = found.pop(end)
        ordered.append(part)
        end = end + part.shape[axis]
        if part.shape[axis] == 0:
            return None
    return Concatenate(axis)(*ordered) if not found and end == node.shape[axis] else None


@rule(Transpose)
def transpose_indices(node: Tensor) -> Tensor | None:
    """transpose(gather(x, i), (1, 0, 2)) -> gather(x, transpose(i))"""
    (value,) = node.inputs
    assert isinstance(node.op, Transpose)
    if not isinstance(value.op, Gather) or value.op.axis != 0:
        return None
    table, indices = value.inputs
    order, rest = node.op.axes[: indices.ndim], node.op.axes[indices.ndim :]
    if sorted(order) != list(range(indices.ndim)) or list(rest) != list(range(indices.ndim, node.ndim)):
        return None
    # An index out of range is the fault of the layer that looks it up.
    origins = tuple(dict.fromkeys(value.origins + node.origins))
    return value.op(table, Transpose(order)(indices, origins=node.origins), origins=origins)


RULES: tuple[Rule, ...] = (
    pass_through,
    own_gradient,
    add_zero,
    subtract_zero,
    multiply_one,
    divide_one,
    small_powers,
    double_negative,
    known_condition,
    cast_to_same,
    reshape_once,
    transpose_once,
    transpose_indices,
    broadcast_once,
    broadcast_is_implied,
    reduce_nothing,
    join_places,
)


def simplify(roots: Sequence[Tensor], hits: Counter[str]) -> list[Tensor]:
    """Apply every rule of this file."""
    return apply_rules(roots, RULES, hits)
