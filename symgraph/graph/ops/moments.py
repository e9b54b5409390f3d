"""Mean and variance of the same numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.graph.dims import product
from symgraph.graph.leaves import DimValue
from symgraph.graph.op import Op, Sample, parts
from symgraph.graph.tensor import Tensor, call
from symgraph.graph.types import FLOATS, TensorType, TupleType
from symgraph.kernels.moments import moments_rows
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.machine import Row


@dataclass(frozen=True)
class Moments(Op):
    """Mean and variance (divided by n) over `axes`, which stay with size 1, in one pass over memory.

    Both are NaN over nothing.
    """

    axes: tuple[int, ...]

    def __str__(self) -> str:
        return f"moments[{','.join(map(str, self.axes))}]"

    def infer(self, *types: Any) -> TupleType:
        """Two tensors with size 1 along the axes."""
        (source,) = types
        if source.dtype not in FLOATS:
            raise TypeError(f"{self}: expected floats, got {source.dtype}")
        if self.axes and self.axes[-1] >= source.ndim:
            raise ValueError(f"{self}: axis {self.axes[-1]} is out of range for shape {source}")
        kept = tuple(1 if a in self.axes else d for a, d in enumerate(source.shape))
        return TupleType((TensorType(source.dtype, kept),) * 2)

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Any) -> Sequence[Tensor | None]:
        """1/n of the mean's, and 2 (x - mean) / n times the variance's.

        The variance does not change with the mean that is taken off: those terms add up to 0.
        """
        (x,) = inputs
        of_mean, of_variance = grad
        size = DimValue(product(x.shape[a] for a in self.axes), x.dtype)()
        flow = None
        if of_variance is not None:
            flow = (x - parts(output)[0]) * (of_variance * 2 / size)
        if of_mean is not None:
            share = of_mean / size
            flow = call("broadcast_to", share, x.shape) if flow is None else flow + share
        return (flow,)

    def reference(self, *arrays: Any) -> Any:
        """numpy's, in float64."""
        wide = arrays[0].astype(np.float64)
        count = np.prod([wide.shape[a] for a in self.axes], dtype=np.int64)
        with np.errstate(invalid="ignore"):
            mean = np.sum(wide, self.axes, keepdims=True) / count
            variance = np.sum(np.square(wide - mean), self.axes, keepdims=True) / count
        return mean.astype(arrays[0].dtype), variance.astype(arrays[0].dtype)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """For each number a difference, a square and two additions, for each result the last steps."""
        return 4 * int(np.prod(inputs[0], dtype=object)) + 5 * int(np.prod(outputs[0], dtype=object))

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """One pass, and the last steps on what is left."""
        kept = tuple(d for a, d in enumerate(inputs[0].shape) if a not in self.axes)
        mean, variance = (out.reshape(kept) for out in outputs)
        return moments_rows(inputs[0], mean, variance, self.axes, threads=threads, scratch=scratch)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """First, last, middle and all axes; both dtypes."""
        shapes = [((5,), (0,)), ((3, 17), (1,)), ((33, 6), (0,)), ((2, 5, 4), (1,)), ((3, 4), (0, 1))]
        shapes += [((2, 3, 4, 5), (0, 1, 2)), ((2, 3, 4), (0, 2)), ((4, 0), (0,)), ((0, 3), (0,))]
        for dtype in FLOATS:
            for shape, axes in shapes:
                yield Sample(cls(axes), (rng.normal(2.0, 1.0, shape).astype(dtype),), True, ((0, 0),))


def moments(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Mean and variance (divided by n) of floats over sorted axes, which stay with size 1."""
    mean, variance = parts(Moments(axes)(x))
    return mean, variance
