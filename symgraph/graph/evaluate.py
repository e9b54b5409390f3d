"""The graph's meaning, computed by the ops' numpy references.

Slow, simple, and what kernels are checked against.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, Self

import numpy as np

from symgraph.graph.dims import Expression, Unknown, bind
from symgraph.graph.dims import evaluate as evaluate_dim
from symgraph.graph.leaves import DimValue, Placeholder
from symgraph.graph.measured import node_sizes
from symgraph.graph.op import Op
from symgraph.graph.tensor import Tensor, topological
from symgraph.graph.types import TensorType, TupleType, Type

_MOST_ELEMENTS = 1 << 47  # processors address 2^48 bytes, and kernels count bytes in int64


def evaluate(
    outputs: Sequence[Tensor],
    feeds: Mapping[Tensor, Any] | None = None,
    watch: Callable[[Tensor, Any], None] | None = None,
    known: Mapping[Unknown, int] | None = None,
) -> list[Any]:
    """Values of `outputs` where placeholders (or any nodes) have the values of `feeds`.

    Parameters
    ----------
    watch : callable, optional
        Called with every node and its value, in order.
    known : mapping of Unknown to int, optional
        Sizes that the feeds alone may not tell.

    Raises
    ------
    ValueError
        A feed is missing, or sizes contradict each other.
    """
    values: dict[int, Any] = {}
    sizes: dict[Unknown, int] = dict(known or {})
    shapes: list[tuple[Tensor, tuple[int, ...]]] = []
    for tensor, value in (feeds or {}).items():
        array = np.asarray(value, tensor.dtype)
        values[id(tensor)] = array
        shapes.append((tensor, array.shape))
    bind_shapes(shapes, sizes)
    fed = list(feeds or {})

    def compute(roots: Sequence[Tensor], watch: Callable[[Tensor, Any], None] | None) -> None:
        for node in topological(roots, stop=fed):
            if id(node) not in values:
                for size in node_sizes(node):
                    if size not in sizes:
                        compute([size.source], None)
                        sizes[size] = int(values[id(size.source)])
                values[id(node)] = _value(node, [values[id(i)] for i in node.inputs], sizes)
            if watch is not None:
                watch(node, values[id(node)])

    compute(outputs, watch)
    return [values[id(t)] for t in outputs]


def _value(node: Tensor, inputs: list[Any], sizes: dict[Unknown, int]) -> Any:
    check_requirements(node, sizes)
    if isinstance(node.op, DimValue):
        return node.op.value(sizes)
    if isinstance(node.op, Placeholder):
        raise ValueError(f"no value was fed for {node!r}")
    return concrete_op(node.op, sizes).reference(*inputs)


class Sized:
    """What is written in unknown sizes, is the field of an op, and has to learn what they are."""

    def with_sizes(self, sizes: Mapping[Unknown, int]) -> Self:
        """The same, for these sizes."""
        raise NotImplementedError


def concrete_op(op: Op, sizes: Mapping[Unknown, int]) -> Op:
    """The op with every dimension in its fields evaluated."""
    if not is_dataclass(op):
        return op
    changed = {}
    for field in fields(op):
        value = getattr(op, field.name)
        known = _concrete(value, sizes)
        if known is not value:
            changed[field.name] = known
    return replace(op, **changed) if changed else op


def has_unknown_sizes(op: Op) -> bool:
    """Whether a field of the op holds a dimension that only data will tell."""
    return is_dataclass(op) and any(_unknown(getattr(op, field.name)) for field in fields(op))


def _unknown(value: Any) -> bool:
    return isinstance(value, Expression) or (isinstance(value, tuple) and any(map(_unknown, value)))


def _concrete(value: Any, sizes: Mapping[Unknown, int]) -> Any:
    """`value` with expressions replaced by integers; the same object where there are none."""
    if isinstance(value, Expression):
        return evaluate_dim(value, sizes)
    if isinstance(value, Sized):
        return value.with_sizes(sizes)
    if isinstance(value, tuple):
        known = tuple(_concrete(v, sizes) for v in value)
        return known if any(a is not b for a, b in zip(known, value, strict=True)) else value
    return value


def bind_shape(tensor: Tensor, shape: Sequence[int], sizes: dict[Unknown, int]) -> None:
    """Learn unknown sizes from the shape of a value for `tensor`. ValueError where it does not fit."""
    label = tensor.name or repr(tensor)
    if len(shape) != tensor.ndim:
        raise ValueError(
            f"input {label}: expected {tensor.ndim} dimensions {tensor.type}, got shape {tuple(shape)}"
        )
    for axis, (dim, size) in enumerate(zip(tensor.shape, shape, strict=True)):
        if not bind(dim, size, sizes):
            known = f" (= {evaluate_dim(dim, sizes)} by the other inputs)" if not isinstance(dim, int) else ""
            raise ValueError(
                f"input {label}: expected size {dim}{known} on axis {axis}, got shape {tuple(shape)}"
            )


def bind_shapes(shapes: Sequence[tuple[Tensor, Sequence[int]]], sizes: dict[Unknown, int]) -> None:
    """`bind_shape` for many tensors.

    Twice, since a size such as N*T can be checked only when others have told N and T.
    """
    for tensor, shape in [*shapes, *shapes]:
        bind_shape(tensor, shape, sizes)


def check_requirements(node: Tensor, sizes: Mapping[Unknown, int]) -> None:
    """Check what the node's shape rule took for granted, now that sizes are known.

    ValueError names layer and line.
    """
    try:
        pairs = [
            (a, b, evaluate_dim(a, sizes), evaluate_dim(b, sizes))
            for a, b in node.op.requires(*(i.type for i in node.inputs))
        ]
    except ValueError as error:
        raise ValueError(f"{node.origins[0]}: {node.op}: {error}") from error
    for a, b, left, right in pairs:
        if left != right:
            raise ValueError(
                f"{node.origins[0]}: {node.op} got inputs of shapes "
                f"{' and '.join(str(concrete_shape(i.type, sizes)) for i in node.inputs)}: "
                f"sizes {a} = {left} and {b} = {right} have to be equal"
            )
    for kind in node.type.items if isinstance(node.type, TupleType) else (node.type,):
        shape = concrete_shape(kind, sizes)
        for dim, size in zip(kind.shape, shape, strict=True):
            if size < 0:
                raise ValueError(
                    f"{node.origins[0]}: {node.op}: expected sizes of at least 0, got {dim} = {size}"
                )
        if math.prod(shape) > _MOST_ELEMENTS:
            raise ValueError(
                f"{node.origins[0]}: {node.op} would make an array of shape {shape}: too large for any memory"
            )
    kinds = [_concrete_type(i.type, sizes) for i in node.inputs]
    op = concrete_op(node.op, sizes)
    if op is node.op and all(known is i.type for known, i in zip(kinds, node.inputs, strict=True)):
        return
    try:
        op.infer(*kinds)
    except ValueError as error:
        raise ValueError(f"{node.origins[0]}: {error}") from error


def _concrete_type(kind: Type, sizes: Mapping[Unknown, int]) -> Type:
    """`kind` with sizes in place of expressions; the same object where there are none."""
    if isinstance(kind, TupleType):
        items = tuple(_concrete_type(item, sizes) for item in kind.items)
        same = all(a is b for a, b in zip(items, kind.items, strict=True))
        return kind if same else TupleType(items)  # type: ignore[arg-type]
    if all(isinstance(d, int) for d in kind.shape):
        return kind
    return TensorType(kind.dtype, concrete_shape(kind, sizes))


def concrete_shape(kind: Type, sizes: Mapping[Unknown, int]) -> tuple[int, ...]:
    """The shape of a tensor type for known sizes."""
    assert isinstance(kind, TensorType)
    return tuple(evaluate_dim(d, sizes) for d in kind.shape)
