"""Nodes that pass their input through unchanged: a second name for a tensor, and a stop of gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from symgraph.graph.leaves import as_tensor
from symgraph.graph.op import Op, Sample
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import DTYPES, TensorType
from symgraph.kernels.run.buffer import Buffer


@dataclass(frozen=True)
class Identity(Op):
    """x itself, as a node of its own."""

    aliases: ClassVar[bool] = True

    def infer(self, *types: Any) -> TensorType:
        """The input's type."""
        (source,) = types
        return TensorType(source.dtype, source.shape)

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """1."""
        return (grad,)

    def reference(self, *arrays: Any) -> Any:
        """The input."""
        return arrays[0]

    def view(self, source: Buffer, shape: tuple[int, ...]) -> Buffer:
        """The same memory."""
        return source

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Every dtype, odd and empty shapes."""
        for dtype in DTYPES:
            for shape in ((), (0,), (7,), (3, 5)):
                array = np.asarray(rng.integers(0, 2, shape)).astype(dtype)
                yield Sample(
                    cls(), (array,), issubclass(cls, StopGradient) is False, ((0, 0),) if shape else ()
                )


@dataclass(frozen=True)
class StopGradient(Identity):
    """x itself, constant for every gradient."""

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """Not connected."""
        return (None,)


@dataclass(frozen=True)
class Bounded(Identity):
    """x itself, with the mark that its exponential is in range: nothing has to be done about that."""


@dataclass(frozen=True)
class Padded(Identity):
    """x itself, with the mark that `filler` ends its rows: results leave out the columns of filler only."""

    filler: int = -1

    def shown(self, array: np.ndarray) -> np.ndarray:
        """`array` without the last columns in which no row has a value of its own."""
        if not array.ndim:
            return array
        kept = np.flatnonzero((array != self.filler).any(axis=tuple(range(array.ndim - 1))))
        return array[..., : kept[-1] + 1 if kept.size else 0].copy()


def identity(x: Any) -> Tensor:
    """`x` as a node of its own."""
    return Identity()(as_tensor(x))


def stop_gradient(x: Any) -> Tensor:
    """`x`, through which no gradient flows."""
    return StopGradient()(as_tensor(x))


def padded(x: Any, filler: int = -1) -> Tensor:
    """`x` with the mark that `filler` stands behind the end of every row."""
    return Padded(filler)(as_tensor(x))


def bounded(x: Any) -> Tensor:
    """`x` with the mark that its exponential neither overflows nor loses what matters."""
    return Bounded()(as_tensor(x))
