"""Ops that numpy computes: their row in a Program calls Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from symgraph.graph.op import Op
from symgraph.kernels.run.buffer import Buffer, Place, Scratch
from symgraph.kernels.run.machine import Host, Row


class HostCall(Op):
    """Base of ops that numpy computes, one row each: for what is best left to LAPACK, or is rare.

    A subclass states `compute`, which is its reference too. It runs in the thread that called the Function,
    on views of the operands where they lie, of any strides: it must not write to them or keep them. A
    ValueError (`numpy.linalg.LinAlgError` is one) that it raises reaches the caller with the user's line, the
    op and the shapes of its inputs, before anything is updated. Its row is listed, timed and profiled as
    ``numpy[op]``; it is in no gang, and is not cut into tiles.
    """

    abstract: ClassVar[bool] = True
    #: What listings show before the op.
    machine: ClassVar[str] = "numpy"

    def compute(self, *arrays: np.ndarray) -> Any:
        """The result, an array of the inferred shape and dtype; a tuple of them for a tuple of results."""
        raise NotImplementedError

    def reference(self, *arrays: Any) -> Any:
        """What the row computes."""
        return self.compute(*arrays)

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """A call of `compute`, whose results are copied to their places."""
        buffers = (*inputs, *outputs)
        places = [Place(buffer) for buffer in buffers]
        given = len(inputs)

        def call(operands: Sequence[int]) -> None:
            arrays = [place(address) for place, address in zip(places, operands, strict=True)]
            found = self.compute(*arrays[:given])
            results = found if isinstance(found, tuple) else (found,)
            for target, result in zip(arrays[given:], results, strict=True):
                assert result.dtype == target.dtype and result.shape == target.shape, (
                    f"{self}: computed {result.dtype}{result.shape}, inferred {target.dtype}{target.shape}"
                )
                target[...] = result

        name, addresses = f"{self.machine}[{self}]", tuple(buffer.address for buffer in buffers)
        return [Row(Host(name, call, named=True), addresses)]
