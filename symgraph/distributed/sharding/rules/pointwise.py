"""Ops that take their inputs element by element, or leave them as they are."""

from __future__ import annotations

from symgraph.distributed.sharding.piece import Kind, Piece, rows_of
from symgraph.distributed.sharding.sharder import Pieces, Sharder
from symgraph.graph.dims import Dim
from symgraph.graph.ops.elementwise import Add, Subtract
from symgraph.graph.ops.math import Negative
from symgraph.graph.tensor import Tensor

_SUMS = (Add, Subtract, Negative)
"""Ops whose result is a part of a sum where all inputs are."""


def elementwise(sharder: Sharder, node: Tensor, given: list[Piece]) -> Pieces | None:
    """Rows of rows; the parts of a sum where only sums of parts are made."""
    rank = max(piece.tensor.ndim for piece in given)
    rows = rows_of(given)
    if rows:
        axis, outer = rows[0].axis + rank - rows[0].tensor.ndim, rows[0].outer
        inputs = [_beside(sharder, piece, axis - (rank - piece.tensor.ndim), outer) for piece in given]
        if any(value is None for value in inputs):
            return None
        return Piece(node.op(*[v for v in inputs if v is not None]), Kind.ROWS, axis, outer)
    if isinstance(node.op, _SUMS) and all(piece.kind is Kind.PART for piece in given):
        return Piece(node.op(*(piece.tensor for piece in given)), Kind.PART)
    if any(piece.kind is Kind.OWN for piece in given):
        values = [sharder.plain(piece) for piece in given]
        if all(sharder.batch.unit(d, sharder.batch.total) is None for v in values for d in v.shape):
            return Piece(node.op(*values), Kind.OWN)
    return None


def _beside(sharder: Sharder, piece: Piece, axis: int, outer: Dim) -> Tensor | None:
    """What is needed of an input beside rows that lie on its `axis`."""
    if piece.is_rows:
        return sharder.rows(piece, axis, outer)
    if axis < 0 or piece.tensor.shape[axis] == 1:
        return sharder.plain(piece)
    return sharder.rows(piece, axis, outer)


def unchanged(sharder: Sharder, node: Tensor, given: list[Piece]) -> Pieces | None:
    """The same kind of value."""
    (piece,) = given
    return piece.along(node.op(piece.tensor))


def own_normal(sharder: Sharder, node: Tensor, given: list[Piece]) -> Pieces | None:
    """The first input: what stands behind it served the gradient."""
    return given[0]
