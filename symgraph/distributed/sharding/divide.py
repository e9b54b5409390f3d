"""A whole graph, divided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from symgraph.distributed.sharding.batch import Batch
from symgraph.distributed.sharding.merge import merge
from symgraph.distributed.sharding.piece import Kind, Piece
from symgraph.distributed.sharding.rules import RULES
from symgraph.distributed.sharding.sharder import Sharder, batch_axis
from symgraph.graph.leaves import Placeholder, placeholder
from symgraph.graph.tensor import Tensor

Update = tuple[Any, Tensor]


@dataclass(frozen=True)
class Divided:
    """What one rank computes of a graph.

    Attributes
    ----------
    inputs : tuple of Tensor
        In the place of the graph's own: those for which `by_rows` is true take the rows of this rank.
    sizes : tuple of Tensor
        Two more inputs, without elements: [samples of all ranks, 0] and [number of the first own sample, 0].
    outputs, updates
        The values of the whole graph, the same on each rank.
    """

    inputs: tuple[Tensor, ...]
    by_rows: tuple[bool, ...]
    sizes: tuple[Tensor, Tensor]
    outputs: tuple[Tensor, ...]
    updates: tuple[Update, ...]


def divide(
    inputs: Sequence[Tensor], outputs: Sequence[Tensor], updates: Sequence[Update], exchange: Any
) -> Divided | None:
    """Divide a graph among ranks by the samples of its inputs.

    Returns
    -------
    Divided or None
        None where no input has a batch size that data tell, or one is sparse: there is nothing to divide by.
    """
    if any(tensor.sparse for tensor in inputs):
        return None
    given = frozenset(size for size in map(_samples, inputs) if size is not None)
    if not given:
        return None
    batch = Batch.of(given)
    sharder = Sharder(batch, exchange, RULES)
    fed = [_divided_input(sharder, tensor) for tensor in inputs]
    roots = [*outputs, *(value for _, value in updates)]
    sharder.walk(roots, inputs)
    whole = merge([sharder.whole(sharder.piece(root)) for root in roots], exchange)
    values = whole[len(outputs) :]
    return Divided(
        tuple(piece.tensor for piece in fed),
        tuple(piece.is_rows for piece in fed),
        (_size("samples_of_all", batch.total), _size("first_own_sample", batch.first)),
        tuple(whole[: len(outputs)]),
        tuple((variable, value) for (variable, _), value in zip(updates, values, strict=True)),
    )


def _samples(tensor: Tensor) -> Any:
    return batch_axis(tensor.shape) if isinstance(tensor.op, Placeholder) else None


def _divided_input(sharder: Sharder, tensor: Tensor) -> Piece:
    """What takes the place of an input: its own rows, or all of it where its first axis counts no samples."""
    batch = sharder.batch
    if _samples(tensor) is not None:
        shape, kind, axis = [batch.owned(dim) for dim in tensor.shape], Kind.ROWS, 0
    else:
        shape, kind, axis = [batch.totalled(dim) for dim in tensor.shape], Kind.WHOLE, -1
    same = list(tensor.shape) == shape
    fed = tensor if same else placeholder(shape, dtype=tensor.dtype, name=tensor.name)
    piece = Piece(fed, kind, axis)
    sharder.pieces[id(tensor)] = piece
    return piece


def _size(name: str, size: Any) -> Tensor:
    return placeholder((size, 0), dtype="float32", name=name)
