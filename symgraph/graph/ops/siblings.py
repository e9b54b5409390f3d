"""Several reductions over the same axes of the same tensors, in one pass: made by the pass of that name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from symgraph.graph.dims import Dim
from symgraph.graph.op import Cut, Op, Sample
from symgraph.graph.ops.elementwise import (
    Multiply,
    Subtract,
    broadcast_requirements,
    broadcast_shapes,
    cut_samples,
)
from symgraph.graph.ops.fused import FusedStep, Origins, instructions, step_values
from symgraph.graph.ops.reduce import Max, Mean, Reduction, Sum
from symgraph.graph.types import TensorType, TupleType
from symgraph.kernels.reduce import reductions_rows
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.machine import Row


@dataclass(frozen=True)
class SiblingReductions(Op):
    """Reductions of values of one element-wise expression: pairs of a reduction and the place of its value.

    Places are counted as in `Fused`: inputs first, then steps. All reductions have the same axes.
    """

    steps: tuple[FusedStep, ...]
    reductions: tuple[tuple[Reduction, int], ...]
    origins: Origins = field(default=(), compare=False, repr=False)
    differentiable: ClassVar[bool] = False

    def __str__(self) -> str:
        names = "+".join(op.kernel for op, _ in self.steps)
        return f"siblings[{names}>{'+'.join(str(r) for r, _ in self.reductions)}]"

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes of all the reductions."""
        return self.reductions[0][0].axes

    def infer(self, *types: Any) -> TupleType:
        """Each reduction's type."""
        full = broadcast_shapes([t.shape for t in types], str(self))
        places = list(types)
        for op, arguments in self.steps:
            places.append(op.infer(*(places[i] for i in arguments)))
        kinds = tuple(r.infer(TensorType(places[i].dtype, full)) for r, i in self.reductions)
        return TupleType(kinds)

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """The inputs fit together."""
        return broadcast_requirements([t.shape for t in types])

    def reference(self, *arrays: Any) -> Any:
        """The steps' references, then the reductions'."""
        shape = np.broadcast_shapes(*(np.shape(a) for a in arrays))
        places = step_values(self.steps, arrays)
        return tuple(r.reference(np.broadcast_to(places[i], shape)) for r, i in self.reductions)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """The steps on the full shape, and the reductions."""
        full = tuple(int(d) for d in broadcast_shapes(list(inputs), str(self)))
        steps = sum(op.flops([full] * len(a), [full]) for op, a in self.steps)
        pairs = zip(self.reductions, outputs, strict=True)
        return steps + sum(r.flops([full], [out]) for (r, _), out in pairs)

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """One pass over the inputs."""
        program = instructions(self.steps, [b.dtype.name for b in inputs])
        full = np.broadcast_shapes(*(b.shape for b in inputs))
        wide = [b.broadcast(full) for b in inputs]
        outs = [r.squeezed(wide[0], out) for (r, _), out in zip(self.reductions, outputs, strict=True)]
        kinds, places = tuple(r.kind for r, _ in self.reductions), tuple(i for _, i in self.reductions)
        return reductions_rows(
            kinds, program, places, wide, outs, self.axes, threads=threads, scratch=scratch
        )

    def cut(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> Cut | None:
        """By samples: sums over them are added up."""
        cut = cut_samples(inputs, np.broadcast_shapes(*inputs))
        cuts = [cut and reduction.cut_with(cut) for reduction, _ in self.reductions]
        return cuts[0] if all(c is not None for c in cuts) else None

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Sums and extremes of inputs and steps, over first, last and all axes."""
        steps: tuple[FusedStep, ...] = ((Subtract(), (0, 1)), (Multiply(), (0, 2)))
        for dtype in ("float32", "float64"):
            for axes in ((0,), (1,), (0, 1)):
                a, b = rng.uniform(-1, 1, (13, 21)).astype(dtype), rng.uniform(-1, 1, 21).astype(dtype)
                kinds = ((Sum(axes), 3), (Mean(axes, True), 0), (Max(axes), 2))
                yield Sample(cls(steps, kinds), (a, b), False, ((0, 0),))
                yield Sample(cls((), (kinds[1], (Sum(axes), 0))), (a,), False, ((0, 0),))
                yield Sample(cls(steps, ((Sum(axes), 3), (Sum(axes), 0))), (a, b), False, ((0, 0),))
