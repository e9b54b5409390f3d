"""The gradients of a convolution's kernel and bias as one op, made by a pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from symgraph.graph.op import Sample
from symgraph.graph.ops.conv import Conv2DWeightGradient
from symgraph.graph.ops.movement import dense
from symgraph.graph.types import TensorType, TupleType
from symgraph.kernels.conv_parts.gradient import conv2d_weight_gradient_rows
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.machine import Row


@dataclass(frozen=True)
class Conv2DWeightBiasGradient(Conv2DWeightGradient):
    """The gradients of `Conv2D` for its kernel and for its bias, which a pass asks for together."""

    differentiable: ClassVar[bool] = False

    def __str__(self) -> str:
        return "conv2d_weight_bias_gradient"

    def infer(self, *types: Any) -> TupleType:  # type: ignore[override]
        """[kh, kw, C / groups, F] and [F]."""
        weights = super().infer(*types)
        return TupleType((weights, TensorType(weights.dtype, weights.shape[3:])))

    def reference(self, *arrays: Any) -> Any:
        """The kernel's gradient, and the sum over pictures and pixels."""
        y = arrays[1]
        return super().reference(*arrays), y.astype(np.float64).sum((0, 1, 2)).astype(y.dtype)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """As many as forward, and an add per element of the output's gradient."""
        return super().flops(inputs, outputs) + int(np.prod(inputs[1], dtype=object))

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """The sums are made while the output's gradient lies in the cache."""
        rows: list[Row] = []
        x, y = (dense(b, rows, threads=threads, scratch=scratch) for b in inputs)
        options = self.options(x.shape[1:3], outputs[0].shape[:2])
        return rows + conv2d_weight_gradient_rows(x, y, *outputs, **options, threads=threads, scratch=scratch)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Those of the kernel's gradient alone."""
        for sample in Conv2DWeightGradient.samples(rng):
            op = sample.op
            assert isinstance(op, Conv2DWeightGradient)
            both = cls(*op.parameters(), op.height, op.width)
            yield Sample(both, sample.inputs, False, sample.free)
