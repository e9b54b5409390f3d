"""Nodes that call Python when they are computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from symgraph.graph.leaves import as_tensor
from symgraph.graph.op import Op, Sample
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import DTYPES, TensorType
from symgraph.kernels.index import copy_rows
from symgraph.kernels.run.buffer import Buffer, Scratch, array_at
from symgraph.kernels.run.machine import Host, Row


@dataclass(frozen=True)
class Watch(Op):
    """A copy of x; `callback` gets it as an array whenever it is computed, also in each turn of a loop.

    The callback runs in the thread that called the Function. Its array is its own; what it returns is
    dropped, what it raises goes to the caller, and nothing is computed after it.
    """

    callback: Callable[[np.ndarray], None]
    what: str = "watch"
    pure: ClassVar[bool] = False

    def __str__(self) -> str:
        return self.what

    def infer(self, *types: Any) -> TensorType:
        """The input's type."""
        (source,) = types
        return TensorType(source.dtype, source.shape)

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """1."""
        return (grad,)

    def reference(self, *arrays: Any) -> Any:
        """The input, shown to the callback."""
        self.callback(np.array(arrays[0]))
        return arrays[0]

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """A copy, and a call of Python on it."""
        (output,) = outputs

        def call(operands: Sequence[int]) -> None:
            self.callback(array_at(operands[0], output).copy())

        copies = copy_rows(inputs[0], output, threads=threads, scratch=scratch)
        return [*copies, Row(Host(self.what, call), (output.address,))]

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Every dtype, odd and empty shapes."""
        for dtype in DTYPES:
            for shape in ((), (0,), (7,), (3, 5)):
                array = np.asarray(rng.integers(0, 2, shape)).astype(dtype)
                yield Sample(cls(_nothing), (array,), True, ((0, 0),) if shape else ())


def _nothing(value: np.ndarray) -> None:
    """A callback that does nothing."""


def watch(x: Any, callback: Callable[[np.ndarray], None], what: str = "watch") -> Tensor:
    """`x`, shown to `callback` whenever it is computed: see `Watch`."""
    return Watch(callback, what)(as_tensor(x))
