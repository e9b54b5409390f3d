"""Tensors made from nothing but sizes: constants of a shape, ranges, identity matrices, one-hot codes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.globals import floatx
from symgraph.graph.dims import Dim, Expression, larger, quotient, shape_text
from symgraph.graph.leaves import as_tensor
from symgraph.graph.op import Op, Sample
from symgraph.graph.ops.elementwise import cast
from symgraph.graph.ops.shape import broadcast_to, reshape
from symgraph.graph.ops.sizes import as_dim, checked_shape, known, never_negative, size_tensor
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import COMMON, DTYPES, INTEGERS, TensorType, dtype_name, is_integer, working_dtype
from symgraph.kernels.index import arange_rows, eye_rows, one_hot_rows
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.machine import Row


class _Source(Op):
    """An op without inputs."""

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """There are no inputs."""
        return ()


@dataclass(frozen=True)
class Arange(_Source):
    """start, start + step, ... : `size` numbers."""

    size: Dim
    start: float
    step: float
    dtype: str

    def __str__(self) -> str:
        return f"arange[{self.size}]"

    def infer(self, *types: Any) -> TensorType:
        """A vector."""
        return TensorType(self.dtype, (self.size,))

    def reference(self, *arrays: Any) -> Any:
        """A product and a sum."""
        return (self.start + self.step * np.arange(known(self.size))).astype(self.dtype)

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """One sweep."""
        return arange_rows(outputs[0], self.start, self.step, threads=threads, scratch=scratch)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Every number type, empty, backwards."""
        for dtype in DTYPES[1:]:
            yield Sample(cls(7, 3, 2, dtype), (), False)
        yield Sample(cls(0, 0, 1, "int64"), (), False)
        yield Sample(cls(19, 5, -3, "int32"), (), False)
        yield Sample(cls(33, 0.5, 0.25, "float32"), (), False)


@dataclass(frozen=True)
class Eye(_Source):
    """Ones on the main diagonal, zeros elsewhere."""

    shape: tuple[Dim, Dim]
    dtype: str

    def infer(self, *types: Any) -> TensorType:
        """A matrix."""
        return TensorType(self.dtype, self.shape)

    def reference(self, *arrays: Any) -> Any:
        """numpy's eye."""
        return np.eye(known(self.shape[0]), known(self.shape[1]), dtype=self.dtype)

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """One sweep."""
        return eye_rows(outputs[0], threads=threads, scratch=scratch)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Square, wide, tall and empty ones, every dtype."""
        for dtype in DTYPES:
            yield Sample(cls((4, 4), dtype), (), False)
        for shape in ((3, 5), (7, 2), (0, 3), (1, 1)):
            yield Sample(cls(shape, "float64"), (), False)


@dataclass(frozen=True)
class OneHot(Op):
    """A vector with a 1 at place i for every index i; all zeros for an index outside [0, classes)."""

    classes: Dim
    dtype: str

    def __str__(self) -> str:
        return f"one_hot[{self.classes}]"

    def infer(self, *types: Any) -> TensorType:
        """A new last axis."""
        (indices,) = types
        if not is_integer(indices.dtype):
            raise TypeError(f"one_hot: expected integer indices, got {indices.dtype}")
        return TensorType(self.dtype, (*indices.shape, self.classes))

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """Not connected."""
        return (None,)

    def reference(self, *arrays: Any) -> Any:
        """A comparison with all classes."""
        return (arrays[0][..., None] == np.arange(known(self.classes))).astype(self.dtype)

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """One sweep."""
        return one_hot_rows(inputs[0], outputs[0], threads=threads, scratch=scratch)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Indices outside of the classes too, every index type and dtype."""
        for source in INTEGERS:
            low = 0 if source.startswith("u") else -2
            for shape in ((7,), (3, 5), (0,), ()) if source in COMMON else ((7,),):
                indices = np.asarray(rng.integers(low, 7, shape)).astype(source)
                yield Sample(cls(5, "float32"), (indices,), False, ((0, 0),) if shape else ())
        for dtype in DTYPES:
            yield Sample(cls(4, dtype), (rng.integers(0, 4, (6,)),), False)


def full(shape: Any, value: Any, dtype: str | None = None) -> Tensor:
    """A tensor of one value: a number, or a scalar tensor. Takes no memory of its own."""
    kind = None if dtype is None else dtype_name(dtype)
    working = None if kind is None else working_dtype(kind)
    filled = as_tensor(value, working)
    filled = filled if working is None else cast(filled, working)
    if filled.ndim:
        raise ValueError(f"full: expected a scalar value, got shape {shape_text(filled.shape)}")
    made = broadcast_to(filled, checked_shape(shape, "full"))
    return made if kind is None else cast(made, kind)


def zeros(shape: Any, dtype: str | None = None) -> Tensor:
    """Zeros of a shape; dtype is `K.floatx()` where not given."""
    return full(shape, 0, dtype or floatx())


def ones(shape: Any, dtype: str | None = None) -> Tensor:
    """Ones of a shape; dtype is `K.floatx()` where not given."""
    return full(shape, 1, dtype or floatx())


def zeros_like(x: Any, dtype: str | None = None) -> Tensor:
    """Zeros with the shape of `x`, and its dtype where none is given."""
    x = as_tensor(x)
    return zeros(x.shape, dtype or x.dtype)


def ones_like(x: Any, dtype: str | None = None) -> Tensor:
    """Ones with the shape of `x`, and its dtype where none is given."""
    x = as_tensor(x)
    return ones(x.shape, dtype or x.dtype)


def eye(rows: Any, columns: Any = None, dtype: str | None = None) -> Tensor:
    """A matrix with ones on the main diagonal; square where `columns` is not given."""
    shape = checked_shape((rows, rows if columns is None else columns), "eye")
    kind = dtype_name(dtype or floatx())
    return cast(Eye((shape[0], shape[1]), working_dtype(kind))(), kind)


def arange(start: Any, stop: Any = None, step: int | float = 1, dtype: str = "int32") -> Tensor:
    """Numbers from `start` (0 where only one bound is given) up to but without `stop`.

    Where the end lies before the start there are none. Bounds may be sizes or integer tensors.
    """
    start, stop = (0, start) if stop is None else (start, stop)
    kind = dtype_name(dtype)
    if not isinstance(step, (Tensor, Expression)) and step == 0:
        raise ValueError("arange: expected a step other than 0")
    if all(isinstance(v, (int, float, np.number)) for v in (start, stop, step)):
        size = max(0, int(np.ceil((stop - start) / step)))
        return cast(Arange(size, start + 0, step + 0, working_dtype(kind))(), kind)
    first, last, pace = (as_dim(value, "arange") for value in (start, stop, step))
    if not isinstance(pace, int):
        raise ValueError(f"arange: expected a step that is known, got {step!r}")
    span = last - first if pace > 0 else first - last
    reach = span if never_negative(span) else larger(span, 0)
    length = quotient(reach + abs(pace) - 1, abs(pace))
    working = working_dtype(kind)
    if isinstance(first, int):
        return cast(Arange(length, first, pace, working)(), kind)
    # Where it starts is data: the same Program counts from anywhere.
    begin = start if isinstance(start, Tensor) else size_tensor(first)
    begin = reshape(begin, ()) if begin.ndim else begin
    return cast(Arange(length, 0, pace, working)() + cast(begin, working), kind)


def one_hot(indices: Any, classes: Any, dtype: str | None = None) -> Tensor:
    """A new last axis of size `classes`: 1 at the index, else 0. Indices outside give zeros."""
    kind = dtype_name(dtype or floatx())
    return cast(OneHot(as_dim(classes, "one_hot"), working_dtype(kind))(as_tensor(indices)), kind)
