"""The sizes of a divided batch, and ops and dimensions written in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from symgraph.graph.dims import Call, Dim, Expression, Unknown, larger, quotient, smaller, unknown, unknowns
from symgraph.graph.op import Op

_FUNCTIONS = {"floordiv": quotient, "min": smaller, "max": larger}


def only_unknown(dim: Dim) -> Unknown | None:
    """The unknown size that `dim` is, None for anything else."""
    found = set(unknowns(dim))
    if len(found) != 1:
        return None
    (size,) = found
    return size if dim == Expression((((size,), 1),)) else None


@dataclass(frozen=True)
class Batch:
    """The batch sizes of a graph, and the sizes that take their place.

    Attributes
    ----------
    given : frozenset of Unknown
        The batch sizes of the inputs as they were written.
    own, total, first : dimension
        Samples of this rank and of all, and the number of the first own one.
    """

    given: frozenset[Unknown]
    own: Expression
    total: Expression
    first: Expression

    @classmethod
    def of(cls, given: frozenset[Unknown]) -> Batch:
        """New sizes for these ones."""
        return cls(given, unknown("own"), unknown("all"), unknown("first"))

    def owned(self, dim: Dim) -> Dim:
        """`dim` with own samples for the batch."""
        return substituted(dim, dict.fromkeys(self.given, self.own))

    def totalled(self, dim: Dim) -> Dim:
        """`dim` with all samples for the batch."""
        return substituted(dim, dict.fromkeys(self.given, self.total))

    def unit(self, dim: Dim, size: Expression | None = None) -> Dim | None:
        """What `dim` has for each sample of `size`, own ones by default; None where it is no multiple."""
        size = self.own if size is None else size
        share = quotient(dim, size)
        mixed = set(unknowns(share)) & {*unknowns(size)}
        return share if not mixed and share * size == dim and share != 0 else None

    def counts(self, dim: Dim) -> bool:
        """Whether `dim`, as it was written, has to do with the batch."""
        return any(size in self.given for size in unknowns(dim))

    def divided(self, dims: Sequence[Dim], axis: int) -> tuple[Dim, ...]:
        """`dims` with own samples for the batch on one axis, and all samples on the others."""
        return tuple(self.owned(d) if a == axis else self.totalled(d) for a, d in enumerate(dims))

    def total_op(self, op: Op) -> Op:
        """The op for the rows of all."""
        return with_dims(op, dict.fromkeys(self.given, self.total))


def substituted(dim: Dim, sizes: Mapping[Unknown, Dim]) -> Dim:
    """`dim` with other dimensions in the place of some unknown sizes."""
    if isinstance(dim, int) or not any(size in sizes for size in unknowns(dim)):
        return dim
    total: Dim = 0
    for monomial, factor in dim.terms:
        term: Dim = factor
        for atom in monomial:
            term = term * _substituted_atom(atom, sizes)
        total = total + term
    return total


def _substituted_atom(atom: Unknown | Call, sizes: Mapping[Unknown, Dim]) -> Dim:
    if isinstance(atom, Unknown):
        return sizes.get(atom, Expression((((atom,), 1),)))
    return _FUNCTIONS[atom.function](*(substituted(a, sizes) for a in atom.arguments))


def with_dims(op: Op, sizes: Mapping[Unknown, Dim]) -> Op:
    """`op` with other dimensions in its fields; graphs inside it stay as they are."""
    if not is_dataclass(op):
        return op
    changed = {}
    for field in fields(op):
        value = getattr(op, field.name)
        new = _with_dims(value, sizes)
        if new is not value:
            changed[field.name] = new
    return replace(op, **changed) if changed else op


def _with_dims(value: Any, sizes: Mapping[Unknown, Dim]) -> Any:
    if isinstance(value, Expression):
        new = substituted(value, sizes)
        return value if new == value else new
    if isinstance(value, tuple):
        items = tuple(_with_dims(item, sizes) for item in value)
        return items if any(a is not b for a, b in zip(items, value, strict=True)) else value
    return value
