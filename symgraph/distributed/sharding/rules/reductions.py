"""Ops that take values of several samples together, or of several features of each."""

from __future__ import annotations

from symgraph.distributed.sharding.piece import Kind, Piece
from symgraph.distributed.sharding.sharder import Pieces, Sharder
from symgraph.graph.dims import product
from symgraph.graph.leaves import DimValue
from symgraph.graph.op import parts
from symgraph.graph.ops.collective import OwnSum
from symgraph.graph.ops.compare import greater
from symgraph.graph.ops.elementwise import cast
from symgraph.graph.ops.math import square
from symgraph.graph.ops.moments import Moments
from symgraph.graph.ops.reduce import All, Any_, Mean, Reduction, Sum
from symgraph.graph.tensor import Tensor


def reduction(sharder: Sharder, node: Tensor, given: list[Piece]) -> Pieces | None:
    """Sums and means over samples are parts of sums; over other axes each row has its own result."""
    (piece,), op = given, node.op
    assert isinstance(op, Reduction)
    if not piece.is_rows:
        keeps = piece.kind is Kind.OWN or (piece.kind is Kind.PART and type(op) is Sum)
        return piece.along(op(piece.tensor)) if keeps else None
    if piece.axis not in op.axes:
        gone = 0 if op.keepdims else sum(axis < piece.axis for axis in op.axes)
        return piece.along(op(piece.tensor), piece.axis - gone)
    return _over_samples(sharder, node, op, piece)


def _over_samples(sharder: Sharder, node: Tensor, op: Reduction, piece: Piece) -> Piece | None:
    """A reduction of rows over the axis of samples, among others."""
    if isinstance(op, OwnSum):
        return Piece(Sum(op.axes, op.keepdims)(piece.tensor), Kind.OWN)
    if isinstance(op, Sum):
        return Piece(op(piece.tensor), Kind.PART)
    if isinstance(op, Mean):
        return Piece(_share(sharder, node.inputs[0], op, piece.tensor), Kind.PART)
    if isinstance(op, (Any_, All)):
        return _counted(sharder, op, piece)
    return None


def _share(sharder: Sharder, written: Tensor, op: Mean, own: Tensor) -> Tensor:
    """The sum of own values over the number of all."""
    count = product(sharder.batch.totalled(written.shape[axis]) for axis in op.axes)
    return Sum(op.axes, op.keepdims)(own) / DimValue(count, own.dtype)()


def _counted(sharder: Sharder, op: Any_ | All, piece: Piece) -> Piece | None:
    """Whether any is true: whether there are more than none, found by counting; all: that none is false."""
    wanted = piece.tensor if isinstance(op, Any_) else ~piece.tensor
    found = Piece(Sum(op.axes, op.keepdims)(cast(wanted, "int32")), Kind.PART)
    some = greater(sharder.whole(found), 0)
    return Piece(some if isinstance(op, Any_) else ~some)


def arg_reduction(sharder: Sharder, node: Tensor, given: list[Piece]) -> Pieces | None:
    """Places along other axes than that of samples."""
    (piece,) = given
    axis: int = node.op.axis  # type: ignore[attr-defined]
    if not piece.is_rows or piece.axis == axis:
        return None
    return piece.along(node.op(piece.tensor), piece.axis - (axis < piece.axis))


def moments(sharder: Sharder, node: Tensor, given: list[Piece]) -> Pieces | None:
    """Of all samples: first the mean, then the mean square of the distances from it."""
    (piece,), op = given, node.op
    assert isinstance(op, Moments)
    if not piece.is_rows:
        return None
    if piece.axis not in op.axes:
        return tuple(piece.along(part) for part in parts(op(piece.tensor)))
    if sharder.inner:
        return None
    average = Mean(op.axes, True)
    mean = sharder.whole(Piece(_share(sharder, node.inputs[0], average, piece.tensor), Kind.PART))
    centred = square(piece.tensor - mean)
    return Piece(mean), Piece(_share(sharder, node.inputs[0], average, centred), Kind.PART)


def along_axis(sharder: Sharder, node: Tensor, given: list[Piece]) -> Pieces | None:
    """Running sums and the like: the same for each row."""
    (piece,) = given
    axis: int = node.op.axis  # type: ignore[attr-defined]
    return piece.along(node.op(piece.tensor)) if piece.is_rows and piece.axis != axis else None


def of_lines(sharder: Sharder, node: Tensor, given: list[Piece]) -> Pieces | None:
    """Ops on the last axis, whose inputs have the axes before it in common."""
    rows = next((piece for piece in given if piece.is_rows), None)
    if rows is None or rows.axis >= max(piece.tensor.ndim for piece in given) - 1:
        return None
    values = [sharder.rows(piece, rows.axis, rows.outer) for piece in given]
    if any(value is None for value in values):
        return None
    made = node.op(*[value for value in values if value is not None])
    return rows.along(made) if not _several(made) else tuple(map(rows.along, parts(made)))


def _several(made: Tensor) -> bool:
    return hasattr(made.type, "items")
