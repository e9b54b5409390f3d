"""Nodes that stand where several processes, the ranks, compute one graph together, each on rows of its own.

`symgraph.distributed.sharding` writes the first two into graphs that it divides. The others are written by
layers that want to know of their own rows only; where a graph is not divided all rows are own ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from symgraph.graph.dims import Dim, product
from symgraph.graph.leaves import DimValue
from symgraph.graph.op import Op, Sample
from symgraph.graph.ops.barrier import stop_gradient
from symgraph.graph.ops.elementwise import NUMBERS
from symgraph.graph.ops.movement import window
from symgraph.graph.ops.reduce import Sum
from symgraph.graph.ops.sizes import known
from symgraph.graph.tensor import Tensor, call
from symgraph.graph.types import FLOATS, TensorType
from symgraph.kernels.index import copy_rows
from symgraph.kernels.run.buffer import Buffer, Scratch, array_at
from symgraph.kernels.run.machine import Host, Row


class Exchange(Protocol):
    """How ranks talk about the values of a graph; what it raises ends the call of the Function."""

    def allreduce(self, values: np.ndarray) -> None:
        """Replace the values of each rank by their sum over all ranks."""

    def gather(self, rows: np.ndarray, unit: int) -> None:
        """Fill in the rows that other ranks have; `unit` of them lie beside each other for one sample."""


class Alone:
    """One rank: sums and rows are complete."""

    def allreduce(self, values: np.ndarray) -> None:
        """Nothing to add."""

    def gather(self, rows: np.ndarray, unit: int) -> None:
        """Nothing to fill in."""


@dataclass(frozen=True)
class SumOfRanks(Op):
    """All elements of all inputs in one vector, summed over the ranks by one exchange.

    `after` of the last inputs are not read: they were exchanged before, and all ranks keep that order.
    """

    exchange: Any
    after: int = 0
    pure: ClassVar[bool] = False
    differentiable: ClassVar[bool] = False

    def __str__(self) -> str:
        return "allreduce"

    def infer(self, *types: Any) -> TensorType:
        """A vector."""
        summed = types[: len(types) - self.after]
        if len({t.dtype for t in summed}) != 1 or summed[0].dtype not in NUMBERS:
            raise TypeError(f"{self}: expected numbers of one dtype, got {' and '.join(map(str, summed))}")
        return TensorType(summed[0].dtype, (sum((product(t.shape) for t in summed), start=0),))

    def reference(self, *arrays: Any) -> Any:
        """The vector, exchanged."""
        vector = np.concatenate([np.ravel(a) for a in arrays[: len(arrays) - self.after]])
        self.exchange.allreduce(vector)
        return vector

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """Copies into one region, and the exchange of it."""
        (region,) = outputs
        rows: list[Row] = []
        start = 0
        for source in inputs[: len(inputs) - self.after]:
            place = window(region, (start,), (source.size,), (1,)).reshape(source.shape)
            if source != place:  # else it was written there
                rows += copy_rows(source, place, threads=threads, scratch=scratch)
            start += source.size

        def call(operands: Sequence[int]) -> None:
            self.exchange.allreduce(array_at(operands[0], region))

        return [*rows, Row(Host("allreduce", call), (region.address,))]

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """One and several inputs, empty ones, one that only comes before."""
        for dtype in ("int64", "float32", "float64"):
            arrays = [rng.integers(-9, 9, shape).astype(dtype) for shape in ((3, 5), (), (0, 2), (7,))]
            yield Sample(cls(Alone()), tuple(arrays), False, ((0, 0),))
            yield Sample(cls(Alone(), 1), tuple(arrays[::-1]), False)


@dataclass(frozen=True)
class RowsOfRanks(Op):
    """The rows of all ranks, one rank after the other, from those of each.

    The result has `total` rows, from number `first` on those of this rank; `unit` rows belong to one sample.
    A second input is not read, see `SumOfRanks`.
    """

    total: Dim
    first: Dim
    unit: Dim
    exchange: Any
    pure: ClassVar[bool] = False
    differentiable: ClassVar[bool] = False

    def __str__(self) -> str:
        return "allgather"

    def infer(self, *types: Any) -> TensorType:
        """More rows."""
        if not types[0].ndim:
            raise ValueError(f"{self}: expected at least one axis, got {types[0]}")
        return TensorType(types[0].dtype, (self.total, *types[0].shape[1:]))

    def reference(self, *arrays: Any) -> Any:
        """The own rows in their place, and the others."""
        own = arrays[0]
        rows = np.zeros((known(self.total), *own.shape[1:]), own.dtype)
        rows[known(self.first) : known(self.first) + len(own)] = own
        self.exchange.gather(rows, known(self.unit))
        return rows

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """A copy, and the exchange."""
        own, (every,) = inputs[0], outputs
        starts = (known(self.first), *(0 for _ in own.shape[1:]))
        place = window(every, starts, own.shape, (1,) * len(own.shape))

        def call(operands: Sequence[int]) -> None:
            self.exchange.gather(array_at(operands[0], every), known(self.unit))

        rows = copy_rows(own, place, threads=threads, scratch=scratch)
        return [*rows, Row(Host("allgather", call), (every.address,))]

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """One rank, which has all rows; of every rank, empty ones."""
        for shape in ((5,), (3, 4), (0, 2), (6, 2, 3)):
            for dtype in ("bool", "float32", "float64"):
                yield Sample(cls(shape[0], 0, 1, Alone()), (rng.integers(0, 2, shape).astype(dtype),), False)


@dataclass(frozen=True)
class OwnSum(Sum):
    """Sum over axes, of this rank's own rows alone."""


@dataclass(frozen=True)
class OwnSize(DimValue):
    """A size as a scalar, of this rank's own rows alone."""

    def __str__(self) -> str:
        return f"own size {self.dim}"


@dataclass(frozen=True)
class OwnNormal(Op):
    """The first input, which is the second one normalised over axes by its own rows; the third is the scale.

    y = (x - m) · s with the mean m and the scale s = 1 / √(variance + ε). The gradient of x is
    s · (g - mean(g) - y · mean(g · y)); no other flows.
    """

    axes: tuple[int, ...]
    aliases: ClassVar[bool] = True

    def infer(self, *types: Any) -> TensorType:
        """The first input's type."""
        if types[0].dtype not in FLOATS:
            raise TypeError(f"{self}: expected floats, got {types[0].dtype}")
        return TensorType(types[0].dtype, types[0].shape)

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """See above."""
        normal, _, scale = inputs
        mean, along = own_mean(grad, self.axes), own_mean(grad * normal, self.axes)
        return None, scale * (grad - mean - normal * along), None

    def reference(self, *arrays: Any) -> Any:
        """The first input."""
        return arrays[0]

    def view(self, source: Buffer, shape: tuple[int, ...]) -> Buffer:
        """The same memory."""
        return source

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Batches of vectors and of pictures."""
        for shape, axes in (((5, 3), (0,)), ((4, 2, 2, 3), (0, 1, 2))):
            for dtype in FLOATS:
                x = rng.standard_normal(shape)
                scale = 1 / np.sqrt(x.var(axes, keepdims=True) + 1e-3)
                normal = (x - x.mean(axes, keepdims=True)) * scale
                yield Sample(cls(axes), tuple(a.astype(dtype) for a in (normal, x, scale)), False)


def own_mean(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Mean over axes, which stay with size 1, of this rank's own rows; 0 where it has none."""
    count = OwnSize(product(x.shape[a] for a in axes), x.dtype)()
    return OwnSum(axes, True)(x) / call("maximum", count, 1.0)


def own_normal(x: Tensor, axes: tuple[int, ...], epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """`x` normalised by its own rows, their mean, and their variance (divided by n), with axes of size 1.

    Gradients flow through the first alone.
    """
    fixed = stop_gradient(x)
    mean = own_mean(fixed, axes)
    centred = fixed - mean
    variance = own_mean(call("multiply", centred, centred), axes)
    scale = 1.0 / call("sqrt", variance + epsilon)
    return OwnNormal(axes)(centred * scale, x, scale), mean, variance
