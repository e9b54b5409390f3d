"""Sizes that are values of tensors: where a graph has some, and what they are computed from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from symgraph.graph.dims import Dim, Expression, Unknown, measured_sizes, unknowns
from symgraph.graph.op import Op
from symgraph.graph.tensor import Tensor, topological
from symgraph.graph.types import TupleType, Type


def deep(roots: Iterable[Tensor]) -> Iterator[Tensor]:
    """All nodes that `roots` need, those of inner graphs too."""
    for node in topological(roots):
        yield node
        for body in node.op.bodies():
            yield from deep([*body.inputs, *body.results])


def type_dims(kind: Type) -> Iterator[Dim]:
    """The sizes of a type."""
    for item in kind.items if isinstance(kind, TupleType) else (kind,):
        yield from item.shape


def op_dims(op: Op, without: Sequence[str] = ()) -> Iterator[Expression]:
    """The sizes that are not known in the fields of an op, but for some fields."""
    if is_dataclass(op):
        for field in fields(op):
            if field.name not in without:
                yield from _expressions(getattr(op, field.name))


def _expressions(value: Any) -> Iterator[Expression]:
    if isinstance(value, Expression):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _expressions(item)


def node_sizes(node: Tensor) -> Iterator[Unknown]:
    """The measured sizes of a node, and of the graphs inside of it."""
    for dim in (*type_dims(node.type), *op_dims(node.op)):
        if not isinstance(dim, int):
            yield from measured_sizes(dim)
    for body in node.op.bodies():
        for inner in deep([*body.inputs, *body.results]):
            yield from node_sizes(inner)


def sizes_in(roots: Iterable[Tensor]) -> dict[Unknown, None]:
    """The measured sizes of a graph, without those of their sources."""
    return {size: None for node in topological(roots) for size in node_sizes(node)}


def measured_in(roots: Iterable[Tensor]) -> dict[Unknown, Tensor]:
    """The measured sizes of a graph and of what they are computed from, with their sources."""
    found: dict[Unknown, Tensor] = {}
    left = list(roots)
    seen: set[int] = set()
    while left:
        order = [node for node in topological(left) if id(node) not in seen]
        seen.update(map(id, order))
        new = {size: size.source for node in order for size in node_sizes(node) if size not in found}
        found |= new
        left = list(new.values())
    return found


def with_sources(roots: Iterable[Tensor]) -> list[Tensor]:
    """`roots`, and what the sizes in their graph are computed from."""
    roots = list(roots)
    return [*roots, *measured_in(roots).values()]


def shape_sizes(node: Tensor) -> set[Unknown]:
    """All unknown sizes of a node and of the graphs inside of it."""
    nodes = [node, *(inner for body in node.op.bodies() for inner in deep([*body.inputs, *body.results]))]
    return {
        size
        for n in nodes
        for dim in (*type_dims(n.type), *op_dims(n.op))
        if not isinstance(dim, int)
        for size in unknowns(dim)
    }


def whole_size(value: Any, size: Unknown) -> int:
    """The value of a measured size as an integer."""
    return int(np.asarray(value).reshape(()))
