"""Graphs as functions of tensors: written once, put in place for others, perhaps with another gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from symgraph.graph.body import Body
from symgraph.graph.dims import Dim, Expression, Unknown, substituted, unknowns
from symgraph.graph.leaves import Placeholder, as_stored, constant, placeholder
from symgraph.graph.op import Op
from symgraph.graph.ops.custom_gradient import with_gradient
from symgraph.graph.ops.own import checked_gradients
from symgraph.graph.origin import layer_scope
from symgraph.graph.structure import filled, leaves
from symgraph.graph.symbolic import brief
from symgraph.graph.tensor import Tensor, topological
from symgraph.graph.types import TensorType, TupleType


class GraphOp:
    """A graph as a function of tensors: see `from_graph`.

    Attributes
    ----------
    inputs : tuple of Tensor
    outputs : Tensor, or list, tuple or dict of them
    name : str
    """

    def __init__(
        self, inputs: Sequence[Tensor], outputs: Any, gradient: Callable[..., Any] | None, name: str
    ) -> None:
        self.inputs = tuple(inputs)
        self.outputs = outputs
        self.name = self.__name__ = name
        made = leaves(outputs)
        for role, tensors in (("input", self.inputs), ("output", made)):
            for number, tensor in enumerate(tensors):
                if not isinstance(tensor, Tensor):
                    raise TypeError(f"{name}: expected a tensor as {role} {number}, got {brief(tensor)}")
        if len({id(t) for t in self.inputs}) < len(self.inputs):
            raise ValueError(f"{name}: an input is given twice")
        known = {id(t) for t in self.inputs}
        for node in topological(made, stop=self.inputs):
            if isinstance(node.op, Placeholder) and id(node) not in known and not node.op.static:
                raise ValueError(f"{name}: its outputs need {node!r}, which is no input")
        self._made: list[Tensor] = made
        if gradient is not None:
            self._made = with_gradient(name, self.inputs, made, self._backward(gradient))

    def __repr__(self) -> str:
        return f"<graph {self.name}: {len(self.inputs)} inputs, {len(self._made)} outputs>"

    def _backward(self, gradient: Callable[..., Any]) -> Callable[..., Sequence[Any]]:
        single = isinstance(self.outputs, Tensor)

        def backward(inputs: Sequence[Tensor], made: Sequence[Tensor], arriving: Sequence[Tensor]) -> Any:
            pair = (made[0], arriving[0]) if single else (list(made), list(arriving))
            return checked_gradients(self.name, inputs, gradient(list(inputs), *pair))

        return backward

    def __call__(self, *tensors: Any) -> Any:
        """The outputs for other inputs: tensors, arrays or numbers of their dtypes and numbers of axes."""
        if len(tensors) != len(self.inputs):
            raise TypeError(f"{self.name}: expected {len(self.inputs)} inputs, got {len(tensors)}")
        given = [self._given(*pair) for pair in zip(range(len(tensors)), self.inputs, tensors, strict=True)]
        with layer_scope(self.name):
            found = written(self._made, dict(zip(self.inputs, given, strict=True)))
        return filled(self.outputs, found)

    def _given(self, number: int, inner: Tensor, value: Any) -> Tensor:
        tensor = as_stored(value if isinstance(value, Tensor) else constant(value, inner.dtype), inner.dtype)
        clash = tensor.ndim != inner.ndim or any(
            isinstance(a, int) and isinstance(b, int) and a != b
            for a, b in zip(tensor.shape, inner.shape, strict=True)
        )
        if clash or tensor.dtype != inner.dtype:
            raise ValueError(f"{self.name}: expected {inner.type} as input {number}, got {tensor.type}")
        return tensor


def from_graph(
    inputs: Tensor | Sequence[Tensor],
    outputs: Any,
    gradient: Callable[..., Any] | None = None,
    name: str | None = None,
) -> GraphOp:
    """Make a function of tensors of a graph, as Theano's `OpFromGraph`.

    Where it is called, its nodes stand in place: they are optimised with all others, and listings show them
    under its name.

    Parameters
    ----------
    inputs : Tensor or sequence of Tensor
        Placeholders, or nodes that cut the graph. Unknown sizes may have other values in each call.
    outputs : Tensor, or list, tuple or dict of them
        What they are computed from besides the inputs, variables for one, is the same in all calls.
    gradient : callable, optional
        ``gradient(inputs, outputs, arriving)`` writes what flows to each input, None where nothing does, as a
        list: instead of the derivative of the graph. For one output these are tensors, for several lists.
    name : str, optional

    Raises
    ------
    ValueError
        A placeholder that the outputs need is no input; under `gradient`, they depend on a variable.

    Examples
    --------
    >>> softsign = symgraph.from_graph([x], x / (1 + K.abs(x)))
    >>> y = softsign(hidden)
    """
    listed = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    return GraphOp(listed, outputs, gradient, name or "from_graph")


# Graphs written again for other tensors


def written(roots: Sequence[Tensor], instead: Mapping[Tensor, Tensor]) -> list[Tensor]:
    """`roots` with other tensors, perhaps of other sizes, in the place of some: types are inferred anew."""
    sizes: dict[Unknown, Dim] = {}
    for old, new in instead.items():
        for dim, size in zip(old.shape, new.shape, strict=True):
            _learn(dim, size, sizes)
    done = {id(old): new for old, new in instead.items()}
    for node in topological(roots, stop=list(instead)):
        if id(node) not in done:
            done[id(node)] = _again(node, [done[id(i)] for i in node.inputs], sizes)
    return [done[id(root)] for root in roots]


def _learn(dim: Dim, size: Dim, sizes: dict[Unknown, Dim]) -> None:
    """The size that a lone unknown has now; one that is known already is checked when the graph runs."""
    if isinstance(dim, Expression) and len(dim.terms) == 1:
        ((monomial, factor),) = dim.terms
        if factor == 1 and len(monomial) == 1 and isinstance(monomial[0], Unknown):
            sizes.setdefault(monomial[0], size)


def _again(node: Tensor, inputs: list[Tensor], sizes: Mapping[Unknown, Dim]) -> Tensor:
    same = all(a is b for a, b in zip(node.inputs, inputs, strict=True))
    op = _resized(node.op, sizes)
    if same and op is node.op:
        return node
    return op(*inputs, name=node.name)


def _resized(op: Op, sizes: Mapping[Unknown, Dim]) -> Op:
    """The op with other sizes in its fields."""
    if not is_dataclass(op) or isinstance(op, Placeholder):
        return op
    changed = {}
    for field in fields(op):
        value = getattr(op, field.name)
        other = _other(value, sizes)
        if other is not value:
            changed[field.name] = other
    return replace(op, **changed) if changed else op


def _other(value: Any, sizes: Mapping[Unknown, Dim]) -> Any:
    """`value` with other sizes; the same object where there are none."""
    if isinstance(value, Expression):
        return substituted(value, sizes) if any(u in sizes for u in unknowns(value)) else value
    if isinstance(value, TensorType):
        shape = _other(value.shape, sizes)
        return value if shape is value.shape else TensorType(value.dtype, shape)
    if isinstance(value, Body):
        return _other_body(value, sizes)
    if isinstance(value, tuple) and not isinstance(value, TupleType):
        other = tuple(_other(v, sizes) for v in value)
        return other if any(a is not b for a, b in zip(other, value, strict=True)) else value
    return value


def _other_body(body: Body, sizes: Mapping[Unknown, Dim]) -> Body:
    """An inner graph for other sizes: its inputs are new placeholders."""
    shapes = [_other(tuple(t.shape), sizes) for t in body.inputs]
    inputs = [placeholder(s, dtype=t.dtype, name=t.name) for s, t in zip(shapes, body.inputs, strict=True)]
    done = {id(old): new for old, new in zip(body.inputs, inputs, strict=True)}
    for node in topological(body.results, stop=body.inputs):
        if id(node) not in done:
            done[id(node)] = _again(node, [done[id(i)] for i in node.inputs], sizes)
    return Body(tuple(inputs), tuple(done[id(r)] for r in body.results), body.sizes)
