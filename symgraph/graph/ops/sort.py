"""The order of a line: the largest elements, all sorted, and places in what is sorted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from symgraph.graph.dims import Dim, smaller
from symgraph.graph.leaves import as_tensor
from symgraph.graph.op import Op, Sample, parts
from symgraph.graph.ops.elementwise import NUMBERS, cast, together
from symgraph.graph.ops.host_call import HostCall
from symgraph.graph.ops.index import AddAlongAxis
from symgraph.graph.ops.shape import transpose
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import COMMON, DTYPES, TensorType, TupleType, normalize_axis
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


def _ascending(x: np.ndarray) -> np.ndarray:
    """Places in rising order, equal ones in theirs."""
    return np.asarray(np.argsort(x, axis=-1, kind="stable"))


@dataclass(frozen=True)
class _Ordering(HostCall):
    """An order of each line of the last axis, by numpy's stable sort; NaN counts as largest."""

    abstract: ClassVar[bool] = True
    smooth: ClassVar[bool] = True
    falling: bool = False

    def __str__(self) -> str:
        name = type(self).__name__.lower()
        return f"{name}[falling]" if self.falling else name

    def check(self, source: TensorType) -> None:
        """ValueError for scalars."""
        if not source.ndim:
            raise ValueError(f"{self}: expected at least one dimension, got {source}")

    def order(self, x: np.ndarray) -> np.ndarray:
        """The places, of equal elements in their order."""
        if not self.falling:
            return _ascending(x)
        return np.asarray(x.shape[-1] - 1 - _ascending(x[..., ::-1])[..., ::-1])

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """Comparisons of a merge sort: n log2 n for a line of n."""
        size = inputs[0][-1]
        return int(np.prod(inputs[0], dtype=object)) * max(0, size - 1).bit_length()

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """No ties first; then ties, NaN, empty lines, every dtype; both ways."""
        for falling in (False, True):
            for shape in ((5,), (3, 7), (2, 3, 19), (4, 1), (0, 4), (4, 0)):
                x = rng.permutation(int(np.prod(shape))).reshape(shape) * 0.5
                yield Sample(cls(falling), (x,), cls.smooth, ((0, 0),))
            for dtype in DTYPES if falling else COMMON:
                yield Sample(cls(falling), (rng.integers(0, 2, (3, 9)).astype(dtype),), False)
            special = np.array([[1, np.nan, -0.0, np.nan, np.inf], [0, -np.inf, -1, 5, 5]], np.float32)
            yield Sample(cls(falling), (special,), False)


@dataclass(frozen=True)
class Argsort(_Ordering):
    """Where the elements of each line lie that come first, second ... in order; equal ones as they lie."""

    smooth: ClassVar[bool] = False

    def infer(self, *types: Any) -> TensorType:
        """int64 places."""
        self.check(types[0])
        return TensorType("int64", types[0].shape)

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """Not connected."""
        return (None,)

    def compute(self, *arrays: np.ndarray) -> Any:
        """numpy's stable argsort, from behind where it is to fall."""
        return self.order(arrays[0])


@dataclass(frozen=True)
class Sort(_Ordering):
    """The elements of each line in order."""

    def infer(self, *types: Any) -> TensorType:
        """The input's type."""
        self.check(types[0])
        return TensorType(types[0].dtype, types[0].shape)

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """Back to where the elements came from."""
        (x,) = inputs
        return (AddAlongAxis(x.ndim - 1, x.shape[-1])(grad, Argsort(self.falling)(x)),)

    def compute(self, *arrays: np.ndarray) -> Any:
        """numpy's stable sort, from behind where it is to fall: zeros keep the signs of their places."""
        (x,) = arrays
        if not self.falling:
            return np.sort(x, axis=-1, kind="stable")
        return np.sort(x[..., ::-1], axis=-1, kind="stable")[..., ::-1]


@dataclass(frozen=True)
class Searchsorted(HostCall):
    """Where in a sorted vector each number would keep it sorted: before those equal to it, or behind."""

    side: str = "left"

    def __str__(self) -> str:
        return f"searchsorted[{self.side}]"

    def infer(self, *types: Any) -> TensorType:
        """int64 places, in the shape of the numbers."""
        line, numbers = types
        if line.ndim != 1 or line.dtype != numbers.dtype:
            raise ValueError(f"{self}: expected a vector, and numbers of its dtype, got {line} and {numbers}")
        return TensorType("int64", numbers.shape)

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """Not connected."""
        return None, None

    def compute(self, *arrays: np.ndarray) -> Any:
        """numpy's binary search."""
        return np.asarray(np.searchsorted(*arrays, side=self.side))  # type: ignore[call-overload]

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """A comparison for each halving."""
        return int(np.prod(outputs[0], dtype=object)) * inputs[0][0].bit_length()

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Both sides, ties, empty lines, every dtype."""
        for dtype in DTYPES:
            line = np.sort(rng.integers(0, 9, 7).astype(dtype))
            for side in ("left", "right"):
                numbers = rng.integers(0, 11, (3, 5)).astype(dtype)
                yield Sample(cls(side), (line, numbers), False, ((1, 0),))
        yield Sample(cls(), (np.zeros(0), np.ones(())), False)


def _along_last(x: Any, axis: int, op: Op) -> Tensor:
    """`op`, which goes along the last axis, along another."""
    x = as_tensor(x)
    place = normalize_axis(axis, x.ndim)
    order = [*(a for a in range(x.ndim) if a != place), place]
    return transpose(op(transpose(x, order)), [int(a) for a in np.argsort(order)])


def sort(x: Any, axis: int = -1, descending: bool = False) -> Tensor:
    """The elements along `axis` in rising or falling order; NaN counts as largest."""
    return _along_last(x, axis, Sort(descending))


def argsort(x: Any, axis: int = -1, descending: bool = False) -> Tensor:
    """Where the elements along `axis` lie that come first, second ...: int64, equal ones as they lie."""
    return _along_last(x, axis, Argsort(descending))


def searchsorted(line: Any, numbers: Any, side: str = "left") -> Tensor:
    """Where in a sorted vector each number would keep it sorted: int64.

    Before those equal to it (`side` "left"), or behind them ("right").
    """
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted: expected a side of 'left' or 'right', got {side!r}")
    return Searchsorted(side)(*together(line, numbers))
