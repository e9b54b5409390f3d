"""The largest elements of a line, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.graph.dims import Dim, smaller
from symgraph.graph.leaves import as_tensor
from symgraph.graph.op import Op, Sample, parts
from symgraph.graph.ops.elementwise import NUMBERS, cast
from symgraph.graph.ops.index import AddAlongAxis
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import TensorType, TupleType
from symgraph.kernels.order import top_k_rows
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.machine import Row


@dataclass(frozen=True)
class TopK(Op):
    """The k largest elements of the last axis, falling, and their indices.

    Of equal ones the lower index comes first; NaN counts as largest.
    """

    k: int

    def __str__(self) -> str:
        return f"top_k[{self.k}]"

    def infer(self, *types: Any) -> TupleType:
        """Values, and int32 indices: [..., k]."""
        (source,) = types
        if source.dtype not in NUMBERS:
            raise TypeError(f"{self}: expected a dtype of {', '.join(NUMBERS)}, got {source.dtype}")
        if not source.ndim or (isinstance(source.shape[-1], int) and source.shape[-1] < self.k) or self.k < 0:
            raise ValueError(f"{self}: expected a last axis of at least {self.k} elements, got {source}")
        shape = (*source.shape[:-1], self.k)
        return TupleType((TensorType(source.dtype, shape), TensorType("int32", shape)))

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """At least k elements."""
        size = types[0].shape[-1]
        return () if isinstance(size, int) else ((smaller(self.k, size), self.k),)

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Any) -> Sequence[Tensor | None]:
        """Back to where the values came from."""
        if grad[0] is None:
            return (None,)
        (x,) = inputs
        return (AddAlongAxis(x.ndim - 1, x.shape[-1])(grad[0], parts(output)[1]),)

    def reference(self, *arrays: Any) -> Any:
        """numpy's stable sort, from behind."""
        (x,) = arrays
        order = x.shape[-1] - 1 - np.argsort(x[..., ::-1], axis=-1, kind="stable")[..., ::-1][..., : self.k]
        return np.take_along_axis(x, order, -1), order.astype(np.int32)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """Comparisons of k searches for the largest of those that are left."""
        lines, size = int(np.prod(inputs[0][:-1], dtype=object)), inputs[0][-1]
        return lines * sum(size - 1 - found for found in range(self.k))

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """One pass that keeps a short sorted list."""
        return top_k_rows(inputs[0], outputs[0], outputs[1], self.k, threads=threads, scratch=scratch)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """All of a line, one, none; ties and NaN; every number type."""
        for shape, k in (((5,), 2), ((3, 7), 7), ((2, 3, 19), 1), ((4, 1), 1), ((3, 5), 0), ((0, 4), 2)):
            x = rng.permutation(int(np.prod(shape))).reshape(shape) * 0.5
            yield Sample(cls(k), (x,), True, ((0, len(shape) - 1),))
        for dtype in NUMBERS:
            yield Sample(cls(4), (rng.integers(0, 4, (5, 9)).astype(dtype),), False)
        yield Sample(
            cls(3), (np.array([[1, np.nan, 2, np.nan, np.inf], [0, -np.inf, -1, 5, 5]], np.float32),), False
        )


def top_k(x: Any, k: int = 1) -> tuple[Tensor, Tensor]:
    """The k largest elements along the last axis, falling, and their int32 indices."""
    x = as_tensor(x)
    values, indices = parts(TopK(int(k))(cast(x, "uint8") if x.dtype == "bool" else x))
    values = cast(values, x.dtype)
    return values, indices
