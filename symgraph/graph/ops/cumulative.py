"""Running sums and products along an axis."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from symgraph.graph.op import Op, Sample
from symgraph.graph.ops.create import zeros
from symgraph.graph.ops.reduce import Reduction, summable
from symgraph.graph.ops.scan import scan
from symgraph.graph.ops.shape import transpose
from symgraph.graph.ops.slicing import pad, reverse, slice_axis
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import TensorType, normalize_axis
from symgraph.kernels.order import cumulative_rows
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.machine import Row


@dataclass(frozen=True)
class _Cumulative(Op):
    axis: int
    abstract: ClassVar[bool] = True
    kind: ClassVar[str] = ""
    function: ClassVar[Callable[..., Any]]

    def __str__(self) -> str:
        return f"{self.kind}[{self.axis}]"

    def infer(self, *types: Any) -> TensorType:
        """The input's type."""
        (source,) = types
        if not 0 <= self.axis < source.ndim:
            raise ValueError(f"{self}: axis is out of range for {source}")
        if source.dtype not in Reduction.accepts:
            raise TypeError(f"{self}: expected a dtype of {', '.join(Reduction.accepts)}, got {source.dtype}")
        return TensorType(source.dtype, source.shape)

    def reference(self, *arrays: Any) -> Any:
        """numpy's function."""
        return type(self).function(arrays[0], axis=self.axis, dtype=arrays[0].dtype)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """One per element but the first of each line."""
        shape = inputs[0]
        lines = int(np.prod(shape[: self.axis] + shape[self.axis + 1 :], dtype=object))
        return lines * max(0, shape[self.axis] - 1)

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """One pass."""
        return cumulative_rows(self.kind, inputs[0], outputs[0], self.axis, threads=threads, scratch=scratch)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Every dtype and axis."""
        for dtype in Reduction.accepts:
            for shape, axis in (((7,), 0), ((3, 5), 1), ((5, 3), 0), ((2, 3, 4), 1), ((0,), 0), ((2, 0), 1)):
                yield Sample(cls(axis), (Reduction.draw(rng, shape, dtype),), True, ((0, 0),))


@dataclass(frozen=True)
class CumSum(_Cumulative):
    """Running sum along an axis."""

    kind: ClassVar[str] = "cumsum"
    function: ClassVar[Callable[..., Any]] = np.cumsum

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """The running sum from the other end."""
        return (reverse(CumSum(self.axis)(reverse(grad, self.axis)), self.axis),)

    def reference(self, *arrays: Any) -> Any:
        """numpy's, but a sum begins with 0, so that it is never -0."""
        (x,) = arrays
        return np.cumsum(x, axis=self.axis, dtype=x.dtype) + x.dtype.type(0)


@dataclass(frozen=True)
class CumProd(_Cumulative):
    """Running product along an axis."""

    kind: ClassVar[str] = "cumprod"
    function: ClassVar[Callable[..., Any]] = np.cumprod

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """With P the product of those before: P_k s_k where s_k = g_k + x_(k+1) s_(k+1).

        Nothing is divided by, so zeros are as good as other numbers, in derivatives of every order.
        """
        (x,) = inputs
        order = (self.axis, *(a for a in range(x.ndim) if a != self.axis))
        steps, flow = transpose(x, order), transpose(grad, order)
        last = zeros(flow.shape[1:], x.dtype)
        (weights,), _ = scan(_reaching, [flow, steps], [last], backward=True, what="cumprod")
        back = transpose(weights, [int(a) for a in np.argsort(order)])
        return (_before(x, self.axis) * back,)


def _reaching(values: list[Tensor], states: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """One step, from the end: what reaches a running product, and what of it its predecessor gets."""
    (flow, x), (later,) = values, states
    weight = flow + later
    return [weight], [x * weight]


def _before(x: Tensor, axis: int) -> Tensor:
    """The product of the elements before each along an axis: 1 for the first."""
    moved = pad(x, [(1, 0) if a == axis else (0, 0) for a in range(x.ndim)], 1.0)
    return CumProd(axis)(slice_axis(moved, axis, 0, x.shape[axis]))


def product_of_others(x: Tensor) -> Tensor:
    """For each element the product of all others along the last axis, without a division."""
    axis = x.ndim - 1
    return _before(x, axis) * reverse(_before(reverse(x, axis), axis), axis)


def cumsum(x: Any, axis: int = 0) -> Tensor:
    """Running sum along `axis`."""
    x = summable(x)
    return CumSum(normalize_axis(axis, x.ndim))(x)


def cumprod(x: Any, axis: int = 0) -> Tensor:
    """Running product along `axis`."""
    x = summable(x)
    return CumProd(normalize_axis(axis, x.ndim))(x)
