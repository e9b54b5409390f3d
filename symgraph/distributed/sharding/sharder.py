"""One walk over a graph, which makes of each node what a rank has of its value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from symgraph.distributed.sharding.batch import Batch, only_unknown
from symgraph.distributed.sharding.piece import Kind, Piece
from symgraph.graph.dims import Dim
from symgraph.graph.leaves import Constant, DimValue, Placeholder, VariableRead
from symgraph.graph.op import Op, Part, parts
from symgraph.graph.ops.barrier import Identity
from symgraph.graph.ops.collective import OwnSize, RowsOfRanks
from symgraph.graph.ops.elementwise import cast
from symgraph.graph.ops.shape import reshape, transpose
from symgraph.graph.ops.slicing import slice_axis
from symgraph.graph.origin import inherit
from symgraph.graph.substitute import rebuild
from symgraph.graph.tensor import Tensor, topological
from symgraph.graph.types import TupleType

Pieces = Piece | tuple[Piece, ...]


class Rule(Protocol):
    """What an op makes of divided values; None where it needs whole ones."""

    def __call__(self, sharder: Sharder, node: Tensor, given: list[Piece]) -> Pieces | None: ...


class Total(Identity):
    """The sum over all ranks of what each has: `merge` puts these together into exchanges."""


class ExchangeNeededError(Exception):
    """Within a loop or a choice no rank waits for others."""


class Sharder:
    """Divides nodes, each after its inputs.

    Parameters
    ----------
    batch : Batch
    exchange : Exchange
        What the collective nodes call.
    rules : mapping of op class to Rule
    inner : bool
        Whether this graph is inside an op, where nothing can be exchanged.
    """

    def __init__(
        self, batch: Batch, exchange: Any, rules: Mapping[type[Op], Rule], inner: bool = False
    ) -> None:
        self.batch = batch
        self.exchange = exchange
        self.rules = rules
        self.inner = inner
        self.pieces: dict[int, Pieces] = {}
        self._whole: dict[int, Tensor] = {}
        self._rows: dict[tuple[int, int, Dim], Tensor | None] = {}
        self._held: list[Tensor] = []

    def inside(self) -> Sharder:
        """One for a graph inside an op of this one."""
        return Sharder(self.batch, self.exchange, self.rules, inner=True)

    def walk(self, roots: Sequence[Tensor], stop: Sequence[Tensor] = ()) -> None:
        """Divide all that `roots` need, up to the nodes of `stop`, which are divided already."""
        for node in topological(roots, stop):
            if id(node) not in self.pieces:
                self._held.append(node)
                with inherit(node.origins):
                    self.pieces[id(node)] = self._divided(node)

    def piece(self, node: Tensor) -> Piece:
        """What became of a node with one result."""
        found = self.pieces[id(node)]
        assert isinstance(found, Piece), f"{node!r} has several results"
        return found

    def _divided(self, node: Tensor) -> Pieces:
        if node.op.leaf:
            return self._leaf(node)
        if isinstance(node.op, Part):
            whole = self.pieces[id(node.inputs[0])]
            assert isinstance(whole, tuple)
            return whole[node.op.index]
        given = [self.piece(value) for value in node.inputs]
        if any(piece.kind is not Kind.WHOLE for piece in given) or self._writes_rows(node):
            found = self._by_rule(node, given)
            if found is not None:
                return _named(found, node)
        return self._as_whole(node, given)

    def _writes_rows(self, node: Tensor) -> bool:
        """Whether the result has samples, though no input has."""
        kinds = node.type.items if isinstance(node.type, TupleType) else (node.type,)
        return any(self.batch.counts(dim) for kind in kinds for dim in kind.shape)

    def _by_rule(self, node: Tensor, given: list[Piece]) -> Pieces | None:
        for kind in type(node.op).__mro__:
            rule = self.rules.get(kind)
            found = rule(self, node, given) if rule is not None else None
            if found is not None:
                return found
        return None

    def _as_whole(self, node: Tensor, given: list[Piece]) -> Pieces:
        """Each rank computes all of it."""
        inputs = [self.whole(piece) for piece in given]
        op = self.batch.total_op(node.op)
        made = rebuild(node, inputs) if op is node.op and not self._writes_rows(node) else None
        if made is None:
            made = op(*inputs, name=node.name, origins=node.origins)
        return tuple(map(Piece, parts(made))) if isinstance(made.type, TupleType) else Piece(made)

    def _leaf(self, node: Tensor) -> Piece:
        op = node.op
        if isinstance(op, OwnSize):
            return Piece(DimValue(self.batch.owned(op.dim), op.dtype)(origins=node.origins), Kind.OWN)
        if isinstance(op, DimValue):
            total = self.batch.total_op(op)
            return Piece(node if total is op else total(origins=node.origins))
        known = isinstance(op, (Constant, VariableRead, Placeholder))
        assert known and not self._writes_rows(node), f"{node!r} has samples, but is no input"
        return Piece(node)

    # From one kind to another

    def plain(self, piece: Piece) -> Tensor:
        """The value of what has no samples: a rank's own one, or that which all have."""
        return piece.tensor if piece.kind is Kind.OWN else self.whole(piece)

    def summed(self, piece: Piece) -> bool:
        """Whether the sum over the ranks is made anyway."""
        return id(piece.tensor) in self._whole

    def whole(self, piece: Piece) -> Tensor:
        """The value of the whole graph, on each rank."""
        if piece.kind is Kind.WHOLE:
            return piece.tensor
        if self.inner:
            raise ExchangeNeededError
        key = id(piece.tensor)
        if key not in self._whole:
            self._held.append(piece.tensor)
            self._whole[key] = self._exchanged(piece)
        return self._whole[key]

    def _exchanged(self, piece: Piece) -> Tensor:
        tensor = piece.tensor
        if piece.kind is Kind.ROWS:
            return self._gathered(piece)
        if piece.kind is Kind.OWN:
            # The mean over the ranks, each as heavy as its samples are many.
            own, total = (DimValue(dim, tensor.dtype)() for dim in (self.batch.own, self.batch.total))
            tensor = tensor * (own / total)
        return _as_numbers(tensor, Total())

    def _gathered(self, piece: Piece) -> Tensor:
        batch, tensor = self.batch, piece.tensor
        axis = piece.axis
        if piece.outer != 1:
            inner = batch.unit(tensor.shape[axis]) or 1
            inner = inner // piece.outer * batch.own
            tensor = reshape(tensor, (*tensor.shape[:axis], piece.outer, inner, *tensor.shape[axis + 1 :]))
            axis += 1
        front = transpose(tensor, (axis, *(a for a in range(tensor.ndim) if a != axis)))
        unit = batch.unit(front.shape[0])
        assert unit is not None
        every = RowsOfRanks(unit * batch.total, unit * batch.first, unit, self.exchange)(front)
        back = transpose(every, tuple(int(a) for a in _back(axis, every.ndim)))
        if piece.outer == 1:
            return back
        axis -= 1
        joined = back.shape[axis] * back.shape[axis + 1]
        return reshape(back, (*back.shape[:axis], joined, *back.shape[axis + 2 :]))

    def rows(self, piece: Piece, axis: int, outer: Dim = 1) -> Tensor | None:
        """The value divided along an axis; None where that axis has no samples."""
        if piece.is_rows and piece.axis == axis and piece.outer == outer:
            return piece.tensor
        if piece.is_rows or piece.kind is Kind.OWN:
            return None
        whole = self.whole(piece)
        key = id(whole), axis, outer
        if key not in self._rows:
            self._held.append(whole)
            self._rows[key] = self._own_part(whole, axis, outer)
        return self._rows[key]

    def _own_part(self, whole: Tensor, axis: int, outer: Dim) -> Tensor | None:
        unit = self.batch.unit(whole.shape[axis], self.batch.total)
        if unit is None:
            return None
        if outer == 1:
            return slice_axis(whole, axis, unit * self.batch.first, unit * self.batch.own)
        unit = unit // outer
        before, behind = whole.shape[:axis], whole.shape[axis + 1 :]
        blocks = reshape(whole, (*before, outer, unit * self.batch.total, *behind))
        own = slice_axis(blocks, axis + 1, unit * self.batch.first, unit * self.batch.own)
        return reshape(own, (*before, outer * unit * self.batch.own, *behind))


def _named(found: Pieces, node: Tensor) -> Pieces:
    """`found`, which is now called as the node was."""
    if isinstance(found, Piece) and found.tensor.name is None:
        found.tensor.name = node.name
    return found


def _as_numbers(tensor: Tensor, op: Op) -> Tensor:
    """`op` on a tensor, where truth values are exchanged as integers."""
    if tensor.dtype in ("bool", "uint8"):
        return cast(op(cast(tensor, "int32")), tensor.dtype)
    return op(tensor)


def _back(axis: int, ndim: int) -> list[int]:
    """The order of axes that brings the first one back to `axis`."""
    order = list(range(1, ndim))
    order.insert(axis, 0)
    return order


def batch_axis(shape: Sequence[Dim]) -> Any:
    """The batch size that an input of this shape has on its first axis, None where it has none."""
    return only_unknown(shape[0]) if shape else None
