"""Slices and their counterpart, putting a tensor into a larger constant one (padding)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.graph.dims import (
    Dim,
    Expression,
    any_measured,
    behind,
    larger,
    quotient,
    shape_text,
    smaller,
    taken_off,
)
from symgraph.graph.dims import place as place_in
from symgraph.graph.leaves import as_tensor
from symgraph.graph.op import Sample
from symgraph.graph.ops.elementwise import cast, where
from symgraph.graph.ops.movement import Movement, View, window
from symgraph.graph.ops.sizes import as_dim, at_most, clipped, known, known_shape, never_negative
from symgraph.graph.tensor import Tensor, call
from symgraph.graph.types import DTYPES, TensorType, normalize_axes, normalize_axis
from symgraph.kernels.index import copy_rows, fill_rows, pad_rows
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.machine import Row


def _python_slices(starts: Sequence[Dim], sizes: Sequence[Dim], steps: Sequence[int]) -> tuple[slice, ...]:
    """numpy's index for those elements."""
    result = []
    for start, size, step in zip(starts, sizes, steps, strict=True):
        stop = known(start) + known(size) * step
        result.append(slice(known(start), None if stop < 0 else stop, step) if size else slice(0, 0))
    return tuple(result)


def _check_places(
    what: str, starts: Sequence[Dim], sizes: Sequence[Dim], steps: Sequence[int], shape: Sequence[Dim]
) -> None:
    """ValueError where an element lies outside `shape` for certain."""
    for axis, (start, size, step, limit) in enumerate(zip(starts, sizes, steps, shape, strict=True)):
        if isinstance(size, int) and size < 0:
            raise ValueError(f"{what}: negative size {size} on axis {axis}")
        if isinstance(start, int) and isinstance(size, int) and isinstance(limit, int) and size:
            last = start + (size - 1) * step
            if min(start, last) < 0 or max(start, last) >= limit:
                raise ValueError(
                    f"{what}: places {start} to {last} on axis {axis} lie outside of shape "
                    f"{shape_text(shape)}"
                )


def _place_requirements(
    starts: Sequence[Dim], sizes: Sequence[Dim], steps: Sequence[int], shape: Sequence[Dim]
) -> Iterator[tuple[Dim, Dim]]:
    """What has to hold for the places to lie inside `shape`, as equalities, where it is not proven."""
    for start, size, step, limit in zip(starts, sizes, steps, shape, strict=True):
        if isinstance(size, Expression) and step != 1:
            continue  # clipped when it was written
        last = start + (size - 1) * step
        low, high = (start, last) if step > 0 else (last, start)
        if not at_most(high + 1, limit):
            yield smaller(high + 1, limit), high + 1
        if not never_negative(low):
            yield larger(low, 0), low


@dataclass(frozen=True)
class Slice(View):
    """Elements ``start + i * step``, i < size, along every axis. Steps may be negative."""

    starts: tuple[Dim, ...]
    sizes: tuple[Dim, ...]
    steps: tuple[int, ...]

    def __str__(self) -> str:
        parts = [
            f"{start}:{start + size}" if step == 1 else f"{start}::{step} of {size}"
            for start, size, step in zip(self.starts, self.sizes, self.steps, strict=True)
        ]
        return f"slice[{', '.join(parts)}]"

    def infer(self, *types: Any) -> TensorType:
        """The sizes."""
        (source,) = types
        if source.ndim != len(self.sizes):
            raise ValueError(f"slice: expected a tensor of {len(self.sizes)} dimensions, got {source}")
        _check_places("slice", self.starts, self.sizes, self.steps, source.shape)
        return TensorType(source.dtype, self.sizes)

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """The slice lies inside."""
        return _place_requirements(self.starts, self.sizes, self.steps, types[0].shape)

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """The gradient put back in its place among zeros."""
        return (Place(inputs[0].shape, self.starts, self.steps)(grad),)

    def reference(self, *arrays: Any) -> Any:
        """numpy's slice."""
        return arrays[0][_python_slices(self.starts, self.sizes, self.steps)]

    def view(self, source: Buffer, shape: tuple[int, ...]) -> Buffer | None:
        """Offset and strides."""
        return window(source, known_shape(self.starts), shape, self.steps)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Steps of both signs, empty slices, every dtype."""
        cases: list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = [
            ((7,), (2,), (3,), (1,)), ((7,), (6,), (7,), (-1,)), ((9,), (8,), (3,), (-3,)),
            ((5,), (0,), (0,), (1,)),
            ((4, 5), (1, 0), (3, 5), (1, 1)), ((3, 8, 2), (0, 7, 1), (3, 4, 1), (1, -2, 1)), ((), (), (), ()),
            ((0, 4), (0, 1), (0, 2), (1, 2)),
        ]  # fmt: skip
        for shape, starts, sizes, steps in cases:
            free = ((0, 0),) if shape else ()
            yield Sample(cls(starts, sizes, steps), (rng.standard_normal(shape),), True, free)
        for dtype in DTYPES:
            yield Sample(cls((1, 4), (2, 3), (1, -2)), (rng.integers(0, 2, (3, 5)).astype(dtype),))


@dataclass(frozen=True)
class Place(Movement):
    """A constant tensor of a given shape, the input put in at ``start + i * step`` along every axis."""

    shape: tuple[Dim, ...]
    starts: tuple[Dim, ...]
    steps: tuple[int, ...]
    value: float = 0.0

    def __str__(self) -> str:
        return f"place[{', '.join(map(str, self.starts))} in {shape_text(self.shape)}]"

    def infer(self, *types: Any) -> TensorType:
        """The given shape."""
        (source,) = types
        if source.ndim != len(self.shape):
            raise ValueError(f"place: expected a tensor of {len(self.shape)} dimensions, got {source}")
        _check_places("place", self.starts, source.shape, self.steps, self.shape)
        return TensorType(source.dtype, self.shape)

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """The input lies inside."""
        return _place_requirements(self.starts, types[0].shape, self.steps, self.shape)

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """The slice of it where the input lies."""
        return (Slice(self.starts, inputs[0].shape, self.steps)(grad),)

    def reference(self, *arrays: Any) -> Any:
        """A constant array, and an assignment."""
        (x,) = arrays
        result = np.full(known_shape(self.shape), self.value, x.dtype)
        result[_python_slices(self.starts, x.shape, self.steps)] = x
        return result

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """The constant around the input (everywhere, where there are gaps), then a copy."""
        (x,), (out,) = inputs, outputs
        starts = known_shape(self.starts)
        if not x.size or any(abs(step) != 1 for step in self.steps):
            rows = fill_rows(out, self.value, threads=threads, scratch=scratch)
            target = window(out, starts, x.shape, self.steps)
            return rows + copy_rows(x, target, threads=threads, scratch=scratch)
        backwards = [step < 0 for step in self.steps]
        ends = [size - 1 if back else 0 for size, back in zip(x.shape, backwards, strict=True)]
        turned = window(x, ends, x.shape, self.steps)
        before = [start - end for start, end in zip(starts, ends, strict=True)]
        return pad_rows(turned, out, before, self.value, threads=threads, scratch=scratch)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Borders, gaps, reversed and empty inputs, every dtype."""
        cases: list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...], float]] = [
            ((3,), (7,), (2,), (1,), 0.0), ((2, 3), (5, 3), (1, 0), (1, 1), -2.5),
            ((3,), (9,), (8,), (-4,), 1.0), ((), (), (), (), 0.0),
            ((4, 2), (4, 6), (3, 5), (-1, -1), 0.0), ((0, 2), (3, 2), (0, 0), (1, 1), 1.0),
            ((2, 3, 4, 1), (2, 5, 6, 1), (0, 1, 1, 0), (1, 1, 1, 1), 0.0),
            ((3, 3), (5, 6), (0, 0), (2, 2), 0.0),
        ]  # fmt: skip
        for small, shape, starts, steps, value in cases:
            free = ((0, 0),) if small else ()
            yield Sample(cls(shape, starts, steps, value), (rng.standard_normal(small),), True, free)
        for dtype in DTYPES:
            yield Sample(cls((4, 4), (1, 2), (1, 1), 1.0), (rng.integers(0, 2, (2, 2)).astype(dtype),))


def slice_axis(x: Any, axis: int, start: Dim, size: Dim, step: int = 1) -> Tensor:
    """`size` elements along one axis, from `start` on."""
    source = as_tensor(x)
    axis = normalize_axis(axis, source.ndim)
    if start == 0 and step == 1 and size == source.shape[axis]:
        return source
    starts = tuple(start if a == axis else 0 for a in range(source.ndim))
    sizes = tuple(size if a == axis else d for a, d in enumerate(source.shape))
    return Slice(starts, sizes, tuple(step if a == axis else 1 for a in range(source.ndim)))(source)


def reverse(x: Any, axes: int | Sequence[int]) -> Tensor:
    """`x` with the order of elements reversed along `axes`."""
    x = as_tensor(x)
    chosen = normalize_axes(axes, x.ndim)
    starts = tuple(d - 1 if a in chosen else 0 for a, d in enumerate(x.shape))
    return Slice(starts, x.shape, tuple(-1 if a in chosen else 1 for a in range(x.ndim)))(x)


def pad(x: Any, widths: Sequence[tuple[int, int]], value: float = 0.0) -> Tensor:
    """`x` with ``widths[a] = (before, after)`` elements of `value` around it along every axis a.

    A value of -0.0 is stored as 0.0.
    """
    source = as_tensor(x)
    if len(widths) != source.ndim:
        raise ValueError(
            f"pad: expected {source.ndim} pairs of widths for shape {shape_text(source.shape)}, got {widths}"
        )
    pairs = [(as_dim(before, "pad"), as_dim(after, "pad")) for before, after in widths]
    if any(isinstance(width, int) and width < 0 for pair in pairs for width in pair):
        raise ValueError(f"pad: expected widths of at least 0, got {widths}")
    if all(pair == (0, 0) for pair in pairs):
        return source
    shape = tuple(before + size + after for size, (before, after) in zip(source.shape, pairs, strict=True))
    return Place(shape, tuple(before for before, _ in pairs), (1,) * source.ndim, value + 0.0)(source)


def _position(bound: Any, size: Dim) -> Dim:
    """A slice bound as a place in [0, size]. Negative integers count from the end, as in Python.

    So do values of tensors. Another expression counts as 0 where it turns out negative.
    """
    place = as_dim(bound, "slice")
    if any_measured(place):
        return place_in(place, size)
    if isinstance(place, int):
        return clipped(place, size) if place >= 0 else size - clipped(-place, size)
    return clipped(place if never_negative(place) else larger(place, 0), size)


def _after(bound: Any, size: Dim) -> Dim:
    """The place behind element `bound`: slices that run backwards are counted by these."""
    place = as_dim(bound, "slice")
    if any_measured(place):
        return behind(place, size)
    return size if place == -1 else _position(place + 1, size)


def _span(low: Dim, high: Dim, ordered: bool) -> Dim:
    """high - low, at least 0. `ordered` says that high cannot be the lower one."""
    span = high - low
    if isinstance(span, int):
        return max(span, 0)
    cut = taken_off(span)
    if cut is not None and never_negative(cut[0]):
        return cut[0] - clipped(cut[1], cut[0])
    return span if ordered or never_negative(span) else larger(span, 0)


def _ordered(start: Any, stop: Any) -> bool:
    """Whether integer bounds that count from the same end are in order: then so are their places."""
    both = isinstance(start, (int, np.integer)) and isinstance(stop, (int, np.integer))
    return bool(both and (start < 0) == (stop < 0) and start <= stop)


def slice_bounds(key: slice, size: Dim) -> tuple[Dim, Dim, int]:
    """(start, count, step) of a Python slice of an axis of `size` elements."""
    step = 1 if key.step is None else key.step
    if not isinstance(step, (int, np.integer)) or step == 0:
        raise ValueError(f"slice: expected a step other than 0 that is an integer, got {step!r}")
    step = int(step)
    if step > 0:
        start = 0 if key.start is None else _position(key.start, size)
        stop = size if key.stop is None else _position(key.stop, size)
        span = _span(start, stop, _ordered(key.start, key.stop))
    else:
        end = size if key.start is None else _after(key.start, size)
        stop = 0 if key.stop is None else _after(key.stop, size)
        span = _span(stop, end, _ordered(key.stop, key.start))
        start = end - 1
    first = as_dim(key.start, "slice") if step > 1 and key.start is not None and key.stop is None else step
    if isinstance(first, int) and 0 <= first < step:
        span = size - first  # a negative one gives no elements either
    count = span if abs(step) == 1 else quotient(span + abs(step) - 1, abs(step))
    return (0, 0, 1) if count == 0 else (start, count, step)


def item_place(index: int | Dim, size: Dim, axis: int) -> Dim:
    """An integer index as a place. IndexError where it lies outside for certain."""
    place = index if not isinstance(index, int) or index >= 0 else size + index
    outside = isinstance(place, int) and (place < 0 or (isinstance(size, int) and place >= size))
    if outside:
        raise IndexError(f"index {index} is out of range for axis {axis} of size {size}")
    return place


def basic_slice(x: Tensor, key: Sequence[Any]) -> Tensor:
    """`x[key]` for slices, integers (whose axes go) and None (new axes), an item for every old axis."""
    starts: list[Dim] = []
    sizes: list[Dim] = []
    steps: list[int] = []
    shape: list[Dim] = []
    for item in key:
        axis = len(starts)
        if item is None:
            shape.append(1)
            continue
        size = x.shape[axis]
        if isinstance(item, slice):
            start, count, step = slice_bounds(item, size)
            shape.append(count)
        else:
            start, count, step = item_place(as_dim(item, "index"), size, axis), 1, 1
        starts.append(start)
        sizes.append(count)
        steps.append(step)
    whole = (0,) * x.ndim, x.shape, (1,) * x.ndim
    if (tuple(starts), tuple(sizes), tuple(steps)) != whole:
        x = Slice(tuple(starts), tuple(sizes), tuple(steps))(x)
    result: Tensor = call("reshape", x, tuple(shape)) if tuple(shape) != x.shape else x
    return result


def _slice_of(x: Tensor, key: Any) -> Slice | None:
    """The slice that `x[key]` takes, None where it takes everything. TypeError for other kinds of keys."""
    node: Tensor = call("getitem", x, key)
    # Behind a reshape, which takes axes away or adds them.
    if node is not x and isinstance(node.op, View) and not isinstance(node.op, Slice):
        node = node.inputs[0]
    if node is x:
        return None
    if not isinstance(node.op, Slice) or node.inputs != (x,):
        raise TypeError(f"expected a key of slices and integers, got {key!r}")
    return node.op


def set_slice(x: Any, key: Any, value: Any) -> Tensor:
    """`x` after ``x[key] = value``, for a key of slices and integers."""
    x = as_tensor(x)
    cut = _slice_of(x, key)
    value = call("broadcast_to", cast(as_tensor(value, x.dtype), x.dtype), x[key].shape)
    if cut is None:
        whole: Tensor = call("reshape", value, x.shape)
        return whole
    value = call("reshape", value, cut.sizes)
    inside = Place(x.shape, cut.starts, cut.steps)(call("broadcast_to", as_tensor(np.array(True)), cut.sizes))
    return where(inside, Place(x.shape, cut.starts, cut.steps)(value), x)


def add_slice(x: Any, key: Any, value: Any) -> Tensor:
    """`x` after ``x[key] += value``, for a key of slices and integers."""
    target = as_tensor(x)
    cut = _slice_of(target, key)
    value = call("broadcast_to", cast(as_tensor(value, target.dtype), target.dtype), target[key].shape)
    if cut is None:
        return target + call("reshape", value, target.shape)
    return target + Place(target.shape, cut.starts, cut.steps)(call("reshape", value, cut.sizes))
