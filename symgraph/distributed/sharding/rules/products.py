"""Matrix products, picking by indices, and ops that say themselves how they fall apart into samples."""

from __future__ import annotations

from symgraph.distributed.sharding.piece import Kind, Piece, rows_of
from symgraph.distributed.sharding.sharder import Pieces, Sharder
from symgraph.graph.dims import Unknown, unknowns
from symgraph.graph.evaluate import concrete_op, concrete_shape
from symgraph.graph.op import Cut, parts
from symgraph.graph.ops.index import AddAlongAxis, Gather, ScatterAdd, TakeAlongAxis
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import TupleType

_PROBE = 24
"""What unknown sizes are taken to be where an op is asked how it falls apart."""


def matmul(sharder: Sharder, node: Tensor, given: list[Piece]) -> Pieces | None:
    """Rows of the left give rows, columns of the right columns; summed over samples a part of a sum."""
    left, right = given
    rank = max(left.tensor.ndim, right.tensor.ndim)
    place = {(-2, None): rank - 2, (None, -1): rank - 1}
    a, b = (p.axis - p.tensor.ndim if p.is_rows else None for p in given)
    if a == -1 or b == -2:
        return _over_samples(sharder, node, left, right)
    if (a is not None and a < -2) or (b is not None and b < -2):
        return _beside(sharder, node, left, right, rank)
    if (a, b) == (-2, -1):
        # Each with each: rows of the left, with all of the right.
        made = node.op(left.tensor, sharder.whole(right))
        return Piece(made, Kind.ROWS, rank - 2, left.outer)
    if (a, b) not in place:
        return None
    rows = left if left.is_rows else right
    made = node.op(*(p.tensor if p.is_rows else sharder.whole(p) for p in given))
    return Piece(made, Kind.ROWS, place[a, b], rows.outer)


def _over_samples(sharder: Sharder, node: Tensor, left: Piece, right: Piece) -> Pieces | None:
    """The product over all own samples."""
    outer = left.outer if left.is_rows else right.outer
    a = sharder.rows(left, left.tensor.ndim - 1, outer)
    b = sharder.rows(right, right.tensor.ndim - 2, outer)
    return None if a is None or b is None else Piece(node.op(a, b), Kind.PART)


def _beside(sharder: Sharder, node: Tensor, left: Piece, right: Piece, rank: int) -> Pieces | None:
    """A product for each sample."""
    rows = next(p for p in (left, right) if p.is_rows and p.axis < p.tensor.ndim - 2)
    axis = rows.axis + rank - rows.tensor.ndim
    values: list[Tensor | None] = []
    for piece in (left, right):
        own = axis - (rank - piece.tensor.ndim)
        if own < 0 or (not piece.is_rows and piece.tensor.shape[own] == 1):
            if piece.is_rows:
                return None
            values.append(sharder.whole(piece))
        else:
            values.append(sharder.rows(piece, own, rows.outer))
    if any(value is None for value in values):
        return None
    made = node.op(*[value for value in values if value is not None])
    return Piece(made, Kind.ROWS, axis, rows.outer)


def gathering(sharder: Sharder, node: Tensor, given: list[Piece]) -> Pieces | None:
    """What the indices of own samples pick, or the same picked of each row."""
    source, indices = given
    op = node.op
    assert isinstance(op, Gather)
    if indices.is_rows and not source.is_rows:
        return indices.along(op(sharder.whole(source), indices.tensor), op.axis + indices.axis)
    if source.is_rows and not indices.is_rows and source.axis != op.axis:
        behind = indices.tensor.ndim - 1 if source.axis > op.axis else 0
        return source.along(op(source.tensor, sharder.whole(indices)), source.axis + behind)
    return None


def scattering(sharder: Sharder, node: Tensor, given: list[Piece]) -> Pieces | None:
    """What own samples add is a part of the sum, unless each has a place of its own."""
    (updates, indices), op = given, node.op
    assert isinstance(op, ScatterAdd)
    if sharder.batch.counts(op.size):
        return None
    behind = op.axis + indices.tensor.ndim
    if indices.is_rows or (updates.is_rows and op.axis <= updates.axis < behind):
        axis = op.axis + indices.axis if indices.is_rows else updates.axis
        outer = indices.outer if indices.is_rows else updates.outer
        lines, places = sharder.rows(updates, axis, outer), sharder.rows(indices, axis - op.axis, outer)
        return None if lines is None or places is None else Piece(op(lines, places), Kind.PART)
    if not updates.is_rows:
        return None
    axis = updates.axis if updates.axis < op.axis else updates.axis - indices.tensor.ndim + 1
    return updates.along(op(updates.tensor, sharder.whole(indices)), axis)


def picking_along(sharder: Sharder, node: Tensor, given: list[Piece]) -> Pieces | None:
    """Each row with its own indices, along another axis."""
    rows = rows_of(given)
    op = sharder.batch.total_op(node.op)
    assert isinstance(op, (TakeAlongAxis, AddAlongAxis))
    if not rows or rows[0].axis == op.axis:
        return None
    values = [sharder.rows(piece, rows[0].axis, rows[0].outer) for piece in given]
    if any(value is None for value in values):
        return None
    return rows[0].along(op(*[value for value in values if value is not None]))


def by_cut(sharder: Sharder, node: Tensor, given: list[Piece]) -> Pieces | None:
    """As the op itself says that it falls apart along the first axis."""
    rows = rows_of(given)
    if not rows or any(piece.axis != 0 for piece in rows):
        return None
    cut = _cut(node)
    if cut is None or sharder.batch.total_op(node.op) is not node.op:
        return None
    values: list[Tensor | None] = []
    for piece, own in zip(given, cut.inputs, strict=True):
        if piece.is_rows and not own:
            return None
        values.append(sharder.rows(piece, 0, rows[0].outer) if own else sharder.plain(piece))
    if any(value is None for value in values):
        return None
    made = node.op(*[value for value in values if value is not None])
    kind = Kind.PART if cut.added else Kind.ROWS
    results = parts(made) if isinstance(made.type, TupleType) else (made,)
    if not cut.added and any(sharder.batch.unit(r.shape[0]) is None if r.ndim else True for r in results):
        return None
    pieces = tuple(Piece(r, kind, -1 if cut.added else 0, 1 if cut.added else rows[0].outer) for r in results)
    return pieces if isinstance(made.type, TupleType) else pieces[0]


def _cut(node: Tensor) -> Cut | None:
    """How the op falls apart, asked at sizes that stand for the unknown ones."""
    kinds = [i.tensor_type for i in node.inputs]
    results = node.type.items if isinstance(node.type, TupleType) else (node.type,)
    sizes: dict[Unknown, int] = {
        size: _PROBE for kind in (*kinds, *results) for dim in kind.shape for size in unknowns(dim)
    }
    try:
        op = concrete_op(node.op, sizes)
        return op.cut([concrete_shape(k, sizes) for k in kinds], [concrete_shape(k, sizes) for k in results])
    except ValueError:
        return None
