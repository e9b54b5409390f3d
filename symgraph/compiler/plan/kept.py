"""How much of the weights is kept packed between calls, beside the weights themselves."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from symgraph.graph.leaves import VariableRead
from symgraph.graph.tensor import Tensor
from symgraph.kernels.run.buffer import Buffer

_SHARE = 4
"""A quarter of the weights. All would double the memory of a network, for a few percent of its time."""
_FREE_BYTES = 5 << 20
"""What small networks may keep, whatever their weights take."""
_FEW_LINES = 32
"""A product of no more lines than these takes as long as packing its weights anew: they are always kept."""


class KeptWeights:
    """What may still be kept for the products of one Program."""

    def __init__(self, nodes: Iterable[Tensor]) -> None:
        read = {id(node.op.storage): node.op.storage for node in nodes if isinstance(node.op, VariableRead)}
        weights = sum(math.prod(storage.shape) * storage.dtype.itemsize for storage in read.values())
        self._left = max(_FREE_BYTES, weights // _SHARE)

    def offered(self, inputs: Iterable[Buffer], output: Buffer) -> list[Buffer]:
        """`inputs` for rows that make `output`; without room for those that there is no memory left for."""
        few = bool(output.shape) and output.size <= _FEW_LINES * output.shape[-1]
        return [self._limited(b) if b.room is not None and not few else b for b in inputs]

    def _limited(self, weights: Buffer) -> Buffer:
        if weights.nbytes > self._left:
            return replace(weights, room=None)
        make = weights.room
        assert make is not None

        def room(shape: object, dtype: object) -> Buffer:
            kept = make(shape, dtype)  # type: ignore[arg-type]
            self._left -= kept.nbytes
            return kept

        return replace(weights, room=room)
