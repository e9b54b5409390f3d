"""Random numbers: each rank draws those of its own samples, which one process would draw for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from symgraph.distributed.sharding.piece import Kind, Piece
from symgraph.distributed.sharding.sharder import Pieces, Sharder
from symgraph.graph.dims import Dim, product
from symgraph.graph.ops.shape import reshape
from symgraph.graph.ops.slicing import slice_axis
from symgraph.graph.tensor import Tensor
from symgraph.kernels.random import ALIGNMENT


def draw(sharder: Sharder, node: Tensor, given: list[Piece]) -> Pieces | None:
    """A part of the stream, which begins at a group of numbers and so may begin before the own samples."""
    (state,), batch = given, sharder.batch
    op: Any = node.op
    shape: tuple[Dim, ...] = tuple(batch.owned(dim) for dim in node.shape)
    if not shape or batch.unit(shape[0]) is None or any(map(batch.counts, node.shape[1:])):
        return None
    each = product(shape) // batch.own
    start, size = each * batch.first, each * batch.own
    begin = start // ALIGNMENT * ALIGNMENT
    drawn = replace(op, shape=(size + ALIGNMENT,), first=begin)(sharder.whole(state))
    return Piece(reshape(slice_axis(drawn, 0, start - begin, size), shape), Kind.ROWS, 0)
