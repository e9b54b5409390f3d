"""Ops that the fusion pass makes.

Element-wise expressions in one sweep, alone or as the prologue of a reduction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from symgraph.graph.dims import Dim
from symgraph.graph.op import Cut, Op, Sample
from symgraph.graph.ops.compare import Greater
from symgraph.graph.ops.elementwise import (
    Add,
    Cast,
    Elementwise,
    Multiply,
    Where,
    broadcast_requirements,
    broadcast_shapes,
    cut_samples,
)
from symgraph.graph.ops.math import Exp, Tanh
from symgraph.graph.ops.reduce import Max, Mean, Reduction, Sum
from symgraph.graph.origin import Origin
from symgraph.graph.types import TensorType, TupleType, Type
from symgraph.kernels.elementwise import Instruction, elementwise_rows
from symgraph.kernels.reduce import reduce_rows
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.machine import Row

FusedStep = tuple[Elementwise, tuple[int, ...]]
"""An element-wise op and the places of its arguments: inputs first, then earlier steps."""
Origins = tuple[tuple[Origin, ...], ...]
"""Where each step comes from, then each reduction; empty where that is not known."""


def step_types(steps: Sequence[FusedStep], inputs: Sequence[TensorType]) -> list[TensorType]:
    """The types of all places: inputs, then every step."""
    places = list(inputs)
    for op, arguments in steps:
        places.append(op.infer(*(places[i] for i in arguments)))
    return places


def step_values(steps: Sequence[FusedStep], arrays: Sequence[Any]) -> list[Any]:
    """The values of all places, by the steps' references."""
    places = list(arrays)
    for op, arguments in steps:
        places.append(op.reference(*(places[i] for i in arguments)))
    return places


def instructions(steps: Sequence[FusedStep], dtypes: Sequence[str]) -> tuple[Instruction, ...]:
    """The steps as the kernels' program, for inputs of `dtypes`."""
    places = [TensorType(d, ()) for d in dtypes]
    program = []
    for op, arguments in steps:
        places.append(op.infer(*(places[i] for i in arguments)))
        program.append(op.instruction(arguments, places[-1].dtype))
    return tuple(program)


def _names(steps: Sequence[FusedStep]) -> str:
    return "+".join(op.kernel for op, _ in steps)


@dataclass(frozen=True)
class Fused(Op):
    """Several element-wise ops in one sweep over memory; `results` are the places that are stored.

    All results have the full shape; inputs broadcast to it.
    """

    steps: tuple[FusedStep, ...]
    results: tuple[int, ...]
    origins: Origins = field(default=(), compare=False, repr=False)
    differentiable: ClassVar[bool] = False

    def __str__(self) -> str:
        return f"fused[{_names(self.steps)}]"

    def infer(self, *types: Any) -> Type:
        """One tensor, or a tuple where several places are stored."""
        places = step_types(self.steps, types)
        kinds = tuple(places[i] for i in self.results)
        return kinds[0] if len(kinds) == 1 else TupleType(kinds)

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """What the steps require."""
        places = step_types(self.steps, types)
        for op, arguments in self.steps:
            yield from op.requires(*(places[i] for i in arguments))

    def reference(self, *arrays: Any) -> Any:
        """The steps' references, one after the other."""
        places = step_values(self.steps, arrays)
        shape = np.broadcast_shapes(*(np.shape(a) for a in arrays))
        values = tuple(np.array(np.broadcast_to(places[i], shape)) for i in self.results)
        return values[0] if len(values) == 1 else values

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """The sum over the steps, each on the full shape."""
        return sum(op.flops([outputs[0]] * len(a), [outputs[0]]) for op, a in self.steps)

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """One sweep."""
        program = instructions(self.steps, [b.dtype.name for b in inputs])
        wide = [b.broadcast(outputs[0].shape) for b in inputs]
        return elementwise_rows(program, self.results, wide, outputs, threads=threads, scratch=scratch)

    def overwritable(self, inputs: Sequence[Buffer]) -> Sequence[Buffer]:
        """All: each element is read before the result takes its place."""
        return inputs

    def cut(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> Cut | None:
        """By samples, if it has any."""
        return cut_samples(inputs, outputs[0])

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Chains with one and two results, broadcasting, casts and comparisons."""
        chain: tuple[FusedStep, ...] = ((Multiply(), (0, 1)), (Add(), (2, 0)), (Tanh(), (3,)))
        masked: tuple[FusedStep, ...] = ((Greater(), (0, 1)), (Where(), (2, 0, 1)), (Cast("float64"), (3,)))
        for shape in ((0,), (7,), (3, 33), (5, 1, 19)):
            for dtype in ("float32", "float64"):
                a, b = (rng.standard_normal(s).astype(dtype) for s in (shape, shape[-1:]))
                yield Sample(cls(chain, (4,)), (a, b), False, ((0, 0),) if len(shape) > 1 else ())
                yield Sample(cls(chain, (4, 2)), (a, b), False)
                yield Sample(cls(masked, (4,)), (a, b), False)


@dataclass(frozen=True)
class FusedReduction(Op):
    """A reduction of an element-wise expression that is never stored: its last step is what is reduced."""

    steps: tuple[FusedStep, ...]
    reduction: Reduction
    origins: Origins = field(default=(), compare=False, repr=False)
    differentiable: ClassVar[bool] = False

    def __str__(self) -> str:
        return f"fused[{_names(self.steps)}>{self.reduction}]"

    def infer(self, *types: Any) -> Type:
        """The reduction's type."""
        return self.reduction.infer(step_types(self.steps, types)[-1])

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """What the steps require."""
        places = step_types(self.steps, types)
        for op, arguments in self.steps:
            yield from op.requires(*(places[i] for i in arguments))
        yield from broadcast_requirements([t.shape for t in types])

    def reference(self, *arrays: Any) -> Any:
        """The steps' references, then the reduction's."""
        shape = np.broadcast_shapes(*(np.shape(a) for a in arrays))
        return self.reduction.reference(np.broadcast_to(step_values(self.steps, arrays)[-1], shape))

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """The steps on the full shape, and the reduction."""
        full = tuple(int(d) for d in broadcast_shapes(list(inputs), str(self)))
        return sum(op.flops([full] * len(a), [full]) for op, a in self.steps) + self.reduction.flops(
            [full], outputs
        )

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """One pass over the inputs."""
        program = instructions(self.steps, [b.dtype.name for b in inputs])
        full = np.broadcast_shapes(*(b.shape for b in inputs))
        wide = [b.broadcast(full) for b in inputs]
        out = self.reduction.squeezed(wide[0], outputs[0])
        last = len(inputs) + len(program) - 1
        return reduce_rows(
            self.reduction.kind,
            program,
            last,
            wide,
            out,
            self.reduction.axes,
            threads=threads,
            scratch=scratch,
        )

    def cut(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> Cut | None:
        """By samples: sums over them are added up."""
        full = np.broadcast_shapes(*inputs)
        cut = cut_samples(inputs, full)
        return cut and self.reduction.cut_with(cut)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Sum, mean and max of expressions, over first, last and all axes."""
        steps: tuple[FusedStep, ...] = ((Add(), (0, 1)), (Multiply(), (2, 2)), (Exp(), (3,)))
        for dtype in ("float32", "float64"):
            for reduction in (Sum((0,)), Sum((1,), True), Mean((0, 1)), Max((1,))):
                a, b = rng.uniform(-1, 1, (13, 21)).astype(dtype), rng.uniform(-1, 1, 21).astype(dtype)
                yield Sample(cls(steps, reduction), (a, b), False, ((0, 0),))
