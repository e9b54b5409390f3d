"""Ops that move values about."""

from __future__ import annotations

from symgraph.distributed.sharding.piece import Kind, Piece, rows_of
from symgraph.distributed.sharding.sharder import Pieces, Sharder
from symgraph.graph.dims import product
from symgraph.graph.ops.create import OneHot
from symgraph.graph.ops.shape import BroadcastTo, Concatenate, Reshape, Transpose
from symgraph.graph.ops.slicing import Place, Slice
from symgraph.graph.tensor import Tensor


def transposition(sharder: Sharder, node: Tensor, given: list[Piece]) -> Pieces | None:
    """The axis of samples goes where it is put."""
    (piece,), op = given, node.op
    assert isinstance(op, Transpose)
    return piece.along(op(piece.tensor), op.axes.index(piece.axis) if piece.is_rows else -1)


def reshaping(sharder: Sharder, node: Tensor, given: list[Piece]) -> Pieces | None:
    """Samples stay samples where the axes before them, taken together, are the same."""
    (piece,) = given
    op = sharder.batch.owned_op(node.op)
    assert isinstance(op, Reshape)
    if not piece.is_rows:
        return None if piece.kind is Kind.WHOLE else piece.along(op(piece.tensor))
    before = product(piece.tensor.shape[: piece.axis]) * piece.outer
    place = sharder.place_of_samples(op.shape, piece.outer, before)
    if place is None:
        return None
    return Piece(op(piece.tensor), Kind.ROWS, *place)


def broadcasting(sharder: Sharder, node: Tensor, given: list[Piece]) -> Pieces | None:
    """Rows stay rows; what is stretched along samples is stretched along own ones."""
    (piece,) = given
    op = sharder.batch.owned_op(node.op)
    assert isinstance(op, BroadcastTo)
    new = len(op.shape) - piece.tensor.ndim
    if piece.is_rows:
        return piece.along(op(piece.tensor), piece.axis + new)
    axes = [axis for axis, size in enumerate(op.shape) if sharder.batch.unit(size) is not None]
    if len(axes) != 1:
        return piece.along(op(piece.tensor)) if piece.kind is Kind.OWN and not axes else None
    (axis,) = axes
    own = axis - new
    if own >= 0 and piece.tensor.shape[own] != 1:
        return None
    return Piece(op(sharder.plain(piece)), Kind.ROWS, axis)


def joining(sharder: Sharder, node: Tensor, given: list[Piece]) -> Pieces | None:
    """Rows beside rows, along another axis than that of samples."""
    rows, op = rows_of(given), node.op
    assert isinstance(op, Concatenate)
    if not rows or rows[0].axis == op.axis:
        return None
    values = [sharder.rows(piece, rows[0].axis, rows[0].outer) for piece in given]
    if any(value is None for value in values):
        return None
    return rows[0].along(op(*[value for value in values if value is not None]))


def slicing(sharder: Sharder, node: Tensor, given: list[Piece]) -> Pieces | None:
    """All rows, and of each the same part."""
    (piece,) = given
    op = sharder.batch.owned_op(node.op)
    assert isinstance(op, Slice)
    if not piece.is_rows:
        return None
    axis = piece.axis
    everything = op.starts[axis] == 0 and op.steps[axis] == 1 and op.sizes[axis] == piece.tensor.shape[axis]
    return piece.along(op(piece.tensor)) if everything else None


def placing(sharder: Sharder, node: Tensor, given: list[Piece]) -> Pieces | None:
    """Each row among the same constants."""
    (piece,) = given
    op = sharder.batch.owned_op(node.op)
    assert isinstance(op, Place)
    if not piece.is_rows:
        return None
    axis = piece.axis
    everything = op.starts[axis] == 0 and op.steps[axis] == 1 and op.shape[axis] == piece.tensor.shape[axis]
    return piece.along(op(piece.tensor)) if everything else None


def one_hot(sharder: Sharder, node: Tensor, given: list[Piece]) -> Pieces | None:
    """A vector for each index."""
    (piece,) = given
    assert isinstance(node.op, OneHot)
    if not piece.is_rows or sharder.batch.counts(node.op.classes):
        return None
    return piece.along(node.op(piece.tensor))
