"""Ops that move values about."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.distributed.sharding.piece import Kind, Piece, rows_of
from symgraph.distributed.sharding.sharder import Pieces, Sharder
from symgraph.graph.dims import Dim, product
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
    (piece,), op = given, node.op
    assert isinstance(op, Reshape)
    if not piece.is_rows:
        counted = any(map(sharder.batch.counts, op.shape))
        return None if piece.kind is Kind.WHOLE or counted else piece.along(op(piece.tensor))
    before = product(piece.tensor.shape[: piece.axis]) * piece.outer
    elements = product(piece.tensor.shape)
    for axis, size in enumerate(op.shape):
        if sharder.batch.counts(size):
            shape = sharder.batch.divided(op.shape, axis)
            outer = _blocks(sharder, shape, axis, before)
            if outer is not None and product(shape) == elements:
                return Piece(Reshape(shape)(piece.tensor), Kind.ROWS, axis, outer)
    return None


def _blocks(sharder: Sharder, shape: Sequence[Dim], axis: int, before: Dim) -> Dim | None:
    """How many blocks of samples an axis has, where `before` come before a sample; None where it has none."""
    unit, done = sharder.batch.unit(shape[axis]), product(shape[:axis])
    if unit is None or done == 0:
        return None
    blocks = before // done
    fits = blocks * done == before and blocks != 0 and unit // blocks * blocks == unit
    return blocks if fits else None


def broadcasting(sharder: Sharder, node: Tensor, given: list[Piece]) -> Pieces | None:
    """Rows stay rows; what is stretched along samples is stretched along own ones."""
    (piece,), op, batch = given, node.op, sharder.batch
    assert isinstance(op, BroadcastTo)
    new = len(op.shape) - piece.tensor.ndim
    if piece.is_rows:
        shape = batch.divided(op.shape, piece.axis + new)
        same = shape[piece.axis + new] == piece.tensor.shape[piece.axis]
        return piece.along(BroadcastTo(shape)(piece.tensor), piece.axis + new) if same else None
    axes = [axis for axis, size in enumerate(op.shape) if batch.counts(size)]
    if not axes:
        return piece.along(op(piece.tensor)) if piece.kind is Kind.OWN else None
    (axis, *others), own = axes, axes[0] - new
    if others or batch.unit(batch.owned(op.shape[axis])) is None:
        return None
    if own >= 0 and piece.tensor.shape[own] != 1:
        return None
    return Piece(BroadcastTo(batch.divided(op.shape, axis))(sharder.plain(piece)), Kind.ROWS, axis)


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
    (piece,), op = given, node.op
    assert isinstance(op, Slice)
    if not piece.is_rows:
        return None
    axis, sizes = piece.axis, sharder.batch.divided(op.sizes, piece.axis)
    if (op.starts[axis], sizes[axis], op.steps[axis]) != (0, piece.tensor.shape[axis], 1):
        return None
    starts = sharder.batch.divided(op.starts, axis)
    return piece.along(Slice(starts, sizes, op.steps)(piece.tensor))


def placing(sharder: Sharder, node: Tensor, given: list[Piece]) -> Pieces | None:
    """Each row among the same constants."""
    (piece,), op = given, node.op
    assert isinstance(op, Place)
    if not piece.is_rows:
        return None
    axis, shape = piece.axis, sharder.batch.divided(op.shape, piece.axis)
    if (op.starts[axis], shape[axis], op.steps[axis]) != (0, piece.tensor.shape[axis], 1):
        return None
    starts = sharder.batch.divided(op.starts, axis)
    return piece.along(Place(shape, starts, op.steps, op.value)(piece.tensor))


def one_hot(sharder: Sharder, node: Tensor, given: list[Piece]) -> Pieces | None:
    """A vector for each index."""
    (piece,) = given
    assert isinstance(node.op, OneHot)
    if not piece.is_rows or sharder.batch.counts(node.op.classes):
        return None
    return piece.along(node.op(piece.tensor))
