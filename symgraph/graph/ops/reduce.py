"""Reductions over axes: sum, product, extrema, any and all, arg-extrema."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from symgraph.globals import floatx
from symgraph.graph.dims import product
from symgraph.graph.leaves import DimValue, as_tensor
from symgraph.graph.op import Cut, Op, Sample
from symgraph.graph.ops.compare import equal
from symgraph.graph.ops.elementwise import NUMBERS, cast
from symgraph.graph.ops.math import sqrt, square
from symgraph.graph.tensor import Tensor, call
from symgraph.graph.types import (
    COMMON,
    FLOATS,
    TensorType,
    is_float,
    normalize_axes,
    normalize_axis,
    working_dtype,
)
from symgraph.kernels.order import argreduce_rows
from symgraph.kernels.reduce import reduce_rows
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.machine import Row
from symgraph.kernels.tile.vector import lowest

Axes = int | Sequence[int] | None


@dataclass(frozen=True)
class Reduction(Op):
    """Base of reductions: `axes` (sorted, from the front) disappear, or stay with size 1 under `keepdims`."""

    axes: tuple[int, ...]
    keepdims: bool = False
    abstract: ClassVar[bool] = True
    kind: ClassVar[str] = ""
    function: ClassVar[Callable[..., Any]]
    accepts: ClassVar[tuple[str, ...]] = ("int32", "int64", "uint64", "float32", "float64")
    allows_empty: ClassVar[bool] = True
    smooth: ClassVar[bool] = True

    def __str__(self) -> str:
        return f"{self.kind}[{','.join(map(str, self.axes))}]"

    def infer(self, *types: Any) -> TensorType:
        """The shape without the reduced axes."""
        (source,) = types
        if source.dtype not in self.accepts:
            raise TypeError(f"{self}: expected a dtype of {', '.join(self.accepts)}, got {source.dtype}")
        if self.axes and self.axes[-1] >= source.ndim:
            raise ValueError(f"{self}: axis {self.axes[-1]} is out of range for shape {source}")
        if not self.allows_empty and builtins.any(source.shape[a] == 0 for a in self.axes):
            raise ValueError(f"{self}: no {self.kind} of an empty axis, got {source}")
        kept = [
            1 if a in self.axes else d
            for a, d in enumerate(source.shape)
            if self.keepdims or a not in self.axes
        ]
        return TensorType(source.dtype, tuple(kept))

    def reference(self, *arrays: Any) -> Any:
        """numpy's reduction, in float64 for floats."""
        (x,) = arrays
        wide = x.astype(np.float64) if x.dtype.kind == "f" else x
        return np.asarray(type(self).function(wide, axis=self.axes, keepdims=self.keepdims)).astype(x.dtype)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """One per element that is not the first of its group."""
        return builtins.max(0, int(np.prod(inputs[0], dtype=object)) - int(np.prod(outputs[0], dtype=object)))

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """One pass over the input."""
        out = self.squeezed(inputs[0], outputs[0])
        return reduce_rows(self.kind, (), 0, inputs, out, self.axes, threads=threads, scratch=scratch)

    def cut(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> Cut | None:
        """By samples: sums over them are added up."""
        return self.cut_with(Cut((True,))) if inputs[0] else None

    def cut_with(self, cut: Cut) -> Cut | None:
        """The cut, given that of the numbers that are reduced."""
        if 0 not in self.axes:
            return cut
        return replace(cut, added=True) if self.kind == "sum" else None

    def squeezed(self, source: Buffer, out: Buffer) -> Buffer:
        """`out` without the kept axes of size 1, as the kernel expects it."""
        if not self.keepdims:
            return out
        kept = [a for a in range(len(source.shape)) if a not in self.axes]
        return Buffer(
            out.base,
            out.offset,
            tuple(out.shape[a] for a in kept),
            tuple(out.strides[a] for a in kept),
            out.dtype,
        )

    def expanded(self, value: Tensor, source: Tensor) -> Tensor:
        """A result or its gradient with the reduced axes as size 1: it broadcasts against the input."""
        if self.keepdims:
            return value
        shape = tuple(1 if a in self.axes else d for a, d in enumerate(source.shape))
        return call("reshape", value, shape)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Every accepted dtype; last, first, middle, all axes; empty axes where they are allowed."""
        shapes = [
            ((5,), (0,)),
            ((3, 17), (1,)),
            ((33, 6), (0,)),
            ((2, 5, 4), (1,)),
            ((2, 3, 4, 5), (0, 1, 2)),
        ]
        shapes += [((3, 4), (0, 1)), ((1, 1), (1,)), ((0, 3), (1,)), ((2, 3, 4), (0, 2))]
        if cls.allows_empty:
            shapes += [((0,), (0,)), ((3, 0), (1,))]
        for dtype in cls.accepts:
            for index, (shape, axes) in enumerate(shapes if dtype in COMMON else shapes[1:2]):
                yield Sample(
                    cls(axes, bool(index % 2)), (cls.draw(rng, shape, dtype),), cls.smooth, ((0, 0),)
                )

    @classmethod
    def draw(cls, rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """Random input without ties."""
        if dtype == "bool":
            return rng.random(shape) < 0.5
        if not is_float(dtype):
            return rng.integers(0 if dtype == "uint64" else -4, 5, shape).astype(dtype)
        return rng.uniform(0.5, 1.5, shape).astype(dtype)


@dataclass(frozen=True)
class Sum(Reduction):
    """Sum over axes; 0 for an empty one."""

    kind: ClassVar[str] = "sum"
    function: ClassVar[Callable[..., Any]] = np.sum

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """The same for every summand."""
        return (call("broadcast_to", self.expanded(grad, inputs[0]), inputs[0].shape),)


def _mean(x: np.ndarray, axis: tuple[int, ...], keepdims: bool) -> Any:
    """numpy's mean, without its warning for nothing."""
    with np.errstate(invalid="ignore"):
        return np.sum(x, axis=axis, keepdims=keepdims) / np.prod([x.shape[a] for a in axis], dtype=np.int64)


@dataclass(frozen=True)
class Mean(Reduction):
    """Arithmetic mean over axes; NaN for an empty one."""

    kind: ClassVar[str] = "mean"
    function: ClassVar[Callable[..., Any]] = staticmethod(_mean)
    accepts: ClassVar[tuple[str, ...]] = FLOATS

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """1/n for every element."""
        (x,) = inputs
        size = DimValue(product(x.shape[a] for a in self.axes), grad.dtype)()
        return (call("broadcast_to", self.expanded(grad / size, x), x.shape),)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """The sum, and one division a result."""
        return super().flops(inputs, outputs) + int(np.prod(outputs[0], dtype=object))


@dataclass(frozen=True)
class Product(Reduction):
    """Product over axes; 1 for an empty one."""

    kind: ClassVar[str] = "prod"
    function: ClassVar[Callable[..., Any]] = np.prod

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """The product of the others: of those before, times that of those after. Nothing is divided by."""
        (x,) = inputs
        kept = tuple(a for a in range(x.ndim) if a not in self.axes)
        joined = (*(x.shape[a] for a in kept), product(x.shape[a] for a in self.axes))
        line = call("reshape", call("transpose", x, (*kept, *self.axes)), joined)
        others = call("product_of_others", line)
        others = call("reshape", others, tuple(x.shape[a] for a in (*kept, *self.axes)))
        others = call("transpose", others, [int(a) for a in np.argsort((*kept, *self.axes))])
        return (self.expanded(grad, x) * others,)


class _Extremum(Reduction):
    allows_empty: ClassVar[bool] = False
    accepts: ClassVar[tuple[str, ...]] = NUMBERS

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """To the extreme element; shared equally in a tie."""
        (x,) = inputs
        chosen = cast(equal(x, self.expanded(output, x)), grad.dtype)
        return (chosen * (self.expanded(grad, x) / Sum(self.axes, True)(chosen)),)

    def reference(self, *arrays: Any) -> Any:
        """numpy's reduction."""
        return np.asarray(type(self).function(arrays[0], axis=self.axes, keepdims=self.keepdims))


@dataclass(frozen=True)
class Max(_Extremum):
    """The largest element; NaN where there is one."""

    kind: ClassVar[str] = "max"
    function: ClassVar[Callable[..., Any]] = np.max


@dataclass(frozen=True)
class MaxOrLowest(Max):
    """The largest element, and the lowest value of the dtype (-inf of floats) where there is none."""

    allows_empty: ClassVar[bool] = True

    def reference(self, *arrays: Any) -> Any:
        """numpy's reduction."""
        return np.max(arrays[0], self.axes, initial=lowest(arrays[0].dtype.name), keepdims=self.keepdims)


@dataclass(frozen=True)
class Min(_Extremum):
    """The smallest element; NaN where there is one."""

    kind: ClassVar[str] = "min"
    function: ClassVar[Callable[..., Any]] = np.min


class _Logical(Reduction):
    accepts: ClassVar[tuple[str, ...]] = ("bool",)
    smooth: ClassVar[bool] = False

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """Not connected."""
        return (None,)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """No floating-point operation."""
        return 0


@dataclass(frozen=True)
class Any_(_Logical):
    """Whether any element is true."""

    kind: ClassVar[str] = "any"
    function: ClassVar[Callable[..., Any]] = np.any


@dataclass(frozen=True)
class All(_Logical):
    """Whether all elements are true."""

    kind: ClassVar[str] = "all"
    function: ClassVar[Callable[..., Any]] = np.all


@dataclass(frozen=True)
class _ArgReduction(Op):
    axis: int
    abstract: ClassVar[bool] = True
    kind: ClassVar[str] = ""
    function: ClassVar[Callable[..., Any]]

    def __str__(self) -> str:
        return f"{self.kind}[{self.axis}]"

    def infer(self, *types: Any) -> TensorType:
        """int64 without the axis."""
        (source,) = types
        if not 0 <= self.axis < source.ndim:
            raise ValueError(f"{self}: axis is out of range for {source}")
        if source.shape[self.axis] == 0:
            raise ValueError(f"{self}: no {self.kind} of an empty axis, got {source}")
        return TensorType("int64", source.shape[: self.axis] + source.shape[self.axis + 1 :])

    def reference(self, *arrays: Any) -> Any:
        """numpy's function."""
        return np.asarray(type(self).function(arrays[0], axis=self.axis))

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Any) -> Sequence[Tensor | None]:
        """Not connected."""
        return (None,)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """One comparison per element that is not the first of its group."""
        return builtins.max(0, int(np.prod(inputs[0], dtype=object)) - int(np.prod(outputs[0], dtype=object)))

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """One pass."""
        return argreduce_rows(self.kind, inputs[0], outputs[0], self.axis, threads=threads, scratch=scratch)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Ties, NaN, every axis and dtype."""
        shapes = (((3, 19), 1), ((7,), 0), ((19, 3), 0), ((2, 5, 3), 1), ((0, 3), 1))
        for dtype in NUMBERS:
            for shape, axis in shapes if dtype in COMMON else shapes[:1]:
                yield Sample(cls(axis), (rng.integers(0, 5, shape).astype(dtype),), False, ((0, 0),))
        with_nan = rng.uniform(size=(4, 9))
        with_nan[1, 3] = np.nan
        yield Sample(cls(1), (with_nan,), False)


@dataclass(frozen=True)
class ArgMax(_ArgReduction):
    """Index of the largest element (the first of equals; NaN wins)."""

    kind: ClassVar[str] = "argmax"
    function: ClassVar[Callable[..., Any]] = np.argmax


@dataclass(frozen=True)
class ArgMin(_ArgReduction):
    """Index of the smallest element (the first of equals; NaN wins)."""

    kind: ClassVar[str] = "argmin"
    function: ClassVar[Callable[..., Any]] = np.argmin


def summable(x: Any) -> Tensor:
    """`x` in the dtype that its sums and products have.

    Bools and integers have int64, and uint64, of which int64 does not hold all, has itself.
    """
    x = as_tensor(x)
    return x if is_float(x.dtype) or x.dtype == "uint64" else cast(x, "int64")


def _reduction(op: type[Reduction], prepared: Callable[[Any], Tensor]) -> Callable[..., Tensor]:
    def build(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
        x = prepared(x)
        return op(normalize_axes(axis, x.ndim), keepdims)(x)

    build.__doc__ = (
        f"{op.__doc__} `axis`: an axis, several, or None for all; `keepdims` leaves them with size 1."
    )
    build.__name__ = op.__name__.lower()
    return build


sum = _reduction(Sum, summable)
prod = _reduction(Product, summable)
any = _reduction(Any_, lambda x: cast(x, "bool"))
all = _reduction(All, lambda x: cast(x, "bool"))
max_or_lowest = _reduction(MaxOrLowest, as_tensor)


def _extremum(op: type[Reduction]) -> Callable[..., Tensor]:
    def build(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
        x = as_tensor(x)
        if x.dtype == "bool":
            return cast(op(normalize_axes(axis, x.ndim), keepdims)(cast(x, "uint8")), "bool")
        return op(normalize_axes(axis, x.ndim), keepdims)(x)

    build.__doc__ = (
        f"{op.__doc__} `axis`: an axis, several, or None for all; `keepdims` leaves them with size 1."
    )
    build.__name__ = op.__name__.lower()
    return build


max = _extremum(Max)
min = _extremum(Min)


def mean(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Arithmetic mean over `axis`. That of integers and bools is found in float64, then made `K.floatx()`."""
    x = as_tensor(x)
    if not is_float(x.dtype):
        return cast(mean(cast(x, "float64"), axis, keepdims), working_dtype(floatx()))
    return Mean(normalize_axes(axis, x.ndim), keepdims)(x)


def var(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Mean squared distance from the mean (divided by n), over `axis`; of integers as `mean`."""
    x = as_tensor(x)
    if not is_float(x.dtype):
        return cast(var(cast(x, "float64"), axis, keepdims), working_dtype(floatx()))
    return mean(square(x - mean(x, axis, True)), axis, keepdims)


def std(x: Any, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Square root of the variance over `axis`."""
    return sqrt(var(x, axis, keepdims))


def _arg(op: type[_ArgReduction]) -> Callable[..., Tensor]:
    def build(x: Any, axis: int = -1) -> Tensor:
        x = as_tensor(x)
        x = cast(x, "uint8") if x.dtype == "bool" else x
        return op(normalize_axis(axis, x.ndim))(x)

    build.__doc__ = f"{op.__doc__}"
    build.__name__ = op.__name__.lower()
    return build


argmax = _arg(ArgMax)
argmin = _arg(ArgMin)
