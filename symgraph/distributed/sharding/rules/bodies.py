"""Ops with graphs inside: loops and choices, whose graphs are divided as the one around them is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from symgraph.distributed.sharding.piece import Kind, Piece
from symgraph.distributed.sharding.sharder import ExchangeNeededError, Pieces, Sharder
from symgraph.graph.body import Body
from symgraph.graph.leaves import DimValue, placeholder
from symgraph.graph.op import parts
from symgraph.graph.ops.compare import equal
from symgraph.graph.ops.cond import Cond
from symgraph.graph.ops.elementwise import cast
from symgraph.graph.ops.scan import Scan
from symgraph.graph.tensor import Tensor

_MOST_ROUNDS = 4
"""How often states may turn out to be of another kind than they began with."""


def loop(sharder: Sharder, node: Tensor, given: list[Piece]) -> Pieces | None:
    """Each step for own rows. A state that a step adds parts of a sum to is a part of a sum."""
    op = node.op
    assert isinstance(op, Scan)
    first = op.sequences
    if sharder.batch.counts(op.length) or any(p.is_rows and p.axis == 0 for p in given[:first]):
        return None
    for _ in range(_MOST_ROUNDS):
        found = _stepped(sharder, op, given)
        if found is None:
            return None
        body, results = found
        states = _beginnings(sharder, given[first : first + op.states], results[op.outputs :])
        if states is None:
            return None
        if all(a is b for a, b in zip(states, given[first : first + op.states], strict=True)):
            made = replace(op, body=body)(*(piece.tensor for piece in given), origins=node.origins)
            return tuple(
                _stacked(result, part, number < op.outputs or op.kept[number - op.outputs])
                for number, (result, part) in enumerate(zip(results, parts(made), strict=True))
            )
        given = [*given[:first], *states, *given[first + op.states :]]
    return None


def _stepped(sharder: Sharder, op: Scan, given: Sequence[Piece]) -> tuple[Body, list[Piece]] | None:
    """The graph of a step for such inputs, and what its results are."""
    pieces = []
    for number, piece in enumerate(given):
        step = number < op.sequences
        shape = piece.tensor.shape[1:] if step else piece.tensor.shape
        inner = placeholder(shape, dtype=piece.tensor.dtype)
        pieces.append(piece.along(inner, piece.axis - 1 if step and piece.is_rows else None))
    results = _inside(sharder, op.body, pieces)
    if results is None:
        return None
    body = Body(tuple(piece.tensor for piece in pieces), tuple(piece.tensor for piece in results))
    return body, results


def _inside(sharder: Sharder, body: Body, pieces: Sequence[Piece]) -> list[Piece] | None:
    """The results of an inner graph for such inputs; None where ranks would have to wait for each other."""
    inner = sharder.inside()
    inner.pieces = {id(value): piece for value, piece in zip(body.inputs, pieces, strict=True)}
    try:
        inner.walk(body.results)
    except ExchangeNeededError:
        return None
    return [inner.piece(result) for result in body.results]


def _beginnings(sharder: Sharder, states: Sequence[Piece], results: Sequence[Piece]) -> list[Piece] | None:
    """The first states, as they are or of the kind that the new ones are of; None where that cannot be."""
    found: list[Piece] = []
    for state, result in zip(states, results, strict=True):
        begun = state if state.is_like(result) else _turned(sharder, state, result)
        if begun is None:
            return None
        found.append(begun)
    return found


def _turned(sharder: Sharder, state: Piece, wanted: Piece) -> Piece | None:
    """A whole value as rows, as a part of a sum that the first rank alone adds to, or as an own one."""
    if state.kind is not Kind.WHOLE:
        return None
    if wanted.is_rows:
        rows = sharder.rows(state, wanted.axis, wanted.outer)
        return None if rows is None else wanted.along(rows)
    if wanted.kind is Kind.PART:
        leads = cast(equal(DimValue(sharder.batch.first, "int64")(), 0), state.tensor.dtype)
        return Piece(state.tensor * leads, Kind.PART)
    return Piece(state.tensor, wanted.kind)


def _stacked(result: Piece, tensor: Tensor, stacked: bool) -> Piece:
    """What a result of the steps is when they lie one after the other, or the last one's."""
    return result.along(tensor, result.axis + 1 if stacked and result.is_rows else None)


def choice(sharder: Sharder, node: Tensor, given: list[Piece]) -> Pieces | None:
    """Either side for own rows, if both make the same of them."""
    condition, *rest = given
    op = node.op
    assert isinstance(op, Cond)
    if condition.kind is not Kind.WHOLE:
        return None
    sides = []
    for body in (op.then, op.otherwise):
        pieces = [piece.along(placeholder(piece.tensor.shape, dtype=piece.tensor.dtype)) for piece in rest]
        results = _inside(sharder, body, pieces)
        if results is None:
            return None
        sides.append((pieces, results))
    (_, first), (_, second) = sides
    if any(
        (a.kind, a.axis, a.outer) != (b.kind, b.axis, b.outer) for a, b in zip(first, second, strict=True)
    ):
        return None
    bodies = [Body(tuple(p.tensor for p in pieces), tuple(r.tensor for r in made)) for pieces, made in sides]
    made = Cond(*bodies)(condition.tensor, *(piece.tensor for piece in rest), origins=node.origins)
    return tuple(result.along(part) for result, part in zip(first, parts(made), strict=True))
