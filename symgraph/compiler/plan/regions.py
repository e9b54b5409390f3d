"""Values that are exchanged together: each is written where it is to lie in the region of the exchange."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from symgraph.compiler.plan.memory import Memory
from symgraph.graph.dims import Unknown
from symgraph.graph.evaluate import concrete_shape
from symgraph.graph.op import Part
from symgraph.graph.ops.collective import SumOfRanks
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import TensorType, TupleType
from symgraph.kernels.run.buffer import Buffer, contiguous_strides

Places = dict[int, tuple[Buffer | None, ...]]


def regions(
    nodes: Sequence[Tensor], memory: Memory, sizes: Mapping[Unknown, int], uses: Mapping[int, int]
) -> Places:
    """Where the results of nodes go, by id: each exchange's region, and places in it for what it adds.

    A value that anything else reads, or that is a view, stays where it is and is copied.
    """
    places: Places = {}
    for node in nodes:
        if not isinstance(node.op, SumOfRanks):
            continue
        assert isinstance(node.type, TensorType)
        region = memory.temporary(concrete_shape(node.type, sizes), node.type.dtype)
        places[id(node)] = (region,)
        offset = 0
        for value in node.inputs[: len(node.inputs) - node.op.after]:
            shape = concrete_shape(value.type, sizes)
            strides = contiguous_strides(shape, region.dtype.itemsize)
            place = replace(region, offset=offset, shape=shape, strides=strides)
            offset += place.nbytes
            if uses.get(id(value)) == 1 and place.size:
                _offer(places, value, place, uses)
    return places


def _offer(places: Places, value: Tensor, place: Buffer, uses: Mapping[int, int]) -> None:
    """Let a value, or one result of a node with several, be written to a place."""
    part = isinstance(value.op, Part)
    maker, index = (value.inputs[0], value.op.index) if part else (value, 0)  # type: ignore[attr-defined]
    count = len(maker.type.items) if isinstance(maker.type, TupleType) else 1
    found = list(places.get(id(maker), (None,) * count))
    found[index] = place
    places[id(maker)] = tuple(found)
