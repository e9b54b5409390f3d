"""Other shapes of the same elements: reshape, transpose, broadcast, concatenate, and their kin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from symgraph.graph.dims import Dim, Expression, product, quotient, shape_text
from symgraph.graph.leaves import Placeholder, as_tensor, constant
from symgraph.graph.op import Op, Sample
from symgraph.graph.ops.elementwise import sum_to, together
from symgraph.graph.ops.movement import Movement, View, reshaped, window
from symgraph.graph.ops.sizes import as_dims, checked_shape, known_shape, size_tensor
from symgraph.graph.ops.slicing import slice_axis
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import DTYPES, TensorType, normalize_axes, normalize_axis
from symgraph.kernels.index import copy_rows
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.machine import Row


def _one_of_each(rng: np.random.Generator, op: Op, shape: tuple[int, ...]) -> Iterator[Sample]:
    """A sample for every dtype but the ones that other samples use."""
    for dtype in DTYPES[:-1]:
        yield Sample(op, (rng.integers(0, 2, shape).astype(dtype),))


@dataclass(frozen=True)
class Reshape(View):
    """The same elements, in C order, under another shape."""

    shape: tuple[Dim, ...]

    def __str__(self) -> str:
        return f"reshape{shape_text(self.shape)}"

    def infer(self, *types: Any) -> TensorType:
        """The given shape. ValueError where the number of elements cannot fit."""
        (source,) = types
        if any(isinstance(size, int) and size < 0 for size in self.shape):
            raise ValueError(f"reshape: negative size in the new shape {shape_text(self.shape)}")
        if _never_equal(product(source.shape), product(self.shape)):
            raise ValueError(
                f"reshape: shape {shape_text(source.shape)} has {product(source.shape)} elements, "
                f"the new shape {shape_text(self.shape)} has {product(self.shape)}"
            )
        return TensorType(source.dtype, self.shape)

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """As many elements as before."""
        before, after = product(types[0].shape), product(self.shape)
        return () if before == after else ((before, after),)

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """The gradient in the old shape."""
        return (reshape(grad, inputs[0].shape),)

    def reference(self, *arrays: Any) -> Any:
        """numpy's reshape."""
        return np.reshape(arrays[0], known_shape(self.shape))

    def view(self, source: Buffer, shape: tuple[int, ...]) -> Buffer | None:
        """The same memory where the strides allow it."""
        return reshaped(source, shape)

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """A copy in C order: into the result, seen under the old shape."""
        return copy_rows(inputs[0], outputs[0].reshape(inputs[0].shape), threads=threads, scratch=scratch)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Splitting, joining, empty shapes, scalars, every dtype."""
        cases: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
            ((6,), (2, 3)), ((2, 3, 4), (6, 4)), ((2, 3, 4), (4, 6)), ((), (1, 1)), ((1,), ()),
            ((0, 3), (3, 0, 2)),
        ]  # fmt: skip
        for before, after in cases:
            yield Sample(cls(after), (rng.standard_normal(before),), True, ((0, 0),) if before else ())
        yield from _one_of_each(rng, cls((5, 3)), (3, 5))


def _never_equal(a: Dim, b: Dim) -> bool:
    """Whether the numbers of elements a and b differ for certain, as 784*N and 100*N do unless N is 0."""
    difference = a - b
    if isinstance(difference, int):
        return difference != 0
    return 0 not in (a, b) and len({factor > 0 for _, factor in difference.terms}) == 1


@dataclass(frozen=True)
class Transpose(View):
    """The axes in another order: axis ``axes[i]`` of the input becomes axis i."""

    axes: tuple[int, ...]

    def __str__(self) -> str:
        return f"transpose[{','.join(map(str, self.axes))}]"

    def infer(self, *types: Any) -> TensorType:
        """The shape in the new order."""
        (source,) = types
        if sorted(self.axes) != list(range(source.ndim)):
            raise ValueError(f"transpose: expected each axis of {source} once, got {self.axes}")
        return TensorType(source.dtype, tuple(source.shape[a] for a in self.axes))

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """The other way round."""
        return (Transpose(tuple(int(a) for a in np.argsort(self.axes)))(grad),)

    def reference(self, *arrays: Any) -> Any:
        """numpy's transpose."""
        return np.transpose(arrays[0], self.axes)

    def view(self, source: Buffer, shape: tuple[int, ...]) -> Buffer | None:
        """The strides in the new order."""
        return source.transpose(self.axes)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Orders of one to four axes, every dtype."""
        cases: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
            ((5,), (0,)), ((3, 5), (1, 0)), ((2, 3, 4), (2, 0, 1)), ((2, 3, 4, 5), (0, 3, 1, 2)),
            ((0, 3), (1, 0)), ((), ()),
        ]  # fmt: skip
        for shape, axes in cases:
            yield Sample(cls(axes), (rng.standard_normal(shape),), True, ((0, 0),) if shape else ())
        yield from _one_of_each(rng, cls((1, 0)), (17, 5))


@dataclass(frozen=True)
class BroadcastTo(View):
    """Stretched to a shape by numpy's rules, without copies."""

    shape: tuple[Dim, ...]

    def __str__(self) -> str:
        return f"broadcast{shape_text(self.shape)}"

    def infer(self, *types: Any) -> TensorType:
        """The given shape."""
        (source,) = types
        pairs = list(zip(reversed(source.shape), reversed(self.shape), strict=False))
        clash = any(isinstance(a, int) and isinstance(b, int) and a not in (1, b) for a, b in pairs)
        if clash or source.ndim > len(self.shape):
            raise ValueError(
                f"broadcast: shape {shape_text(source.shape)} cannot be stretched to {shape_text(self.shape)}"
            )
        return TensorType(source.dtype, self.shape)

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """Sizes that are not 1 are the new ones."""
        pairs = zip(reversed(types[0].shape), reversed(self.shape), strict=False)
        return [(a, b) for a, b in pairs if a not in (1, b)]

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """The sum over the stretched axes."""
        return (sum_to(grad, inputs[0]),)

    def reference(self, *arrays: Any) -> Any:
        """numpy's broadcast_to."""
        return np.broadcast_to(arrays[0], known_shape(self.shape))

    def view(self, source: Buffer, shape: tuple[int, ...]) -> Buffer | None:
        """Strides of 0 along the stretched axes."""
        return source.broadcast(shape)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """New axes, stretched axes, empty axes, every dtype."""
        cases: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
            ((), (3,)), ((3,), (2, 3)), ((2, 1), (2, 5)), ((1, 3, 1), (2, 3, 4)), ((1,), (0,)), ((2,), (2,)),
        ]  # fmt: skip
        for before, after in cases:
            yield Sample(cls(after), (rng.standard_normal(before),))
        yield from _one_of_each(rng, cls((4, 3)), (1, 3))


@dataclass(frozen=True)
class Concatenate(Movement):
    """Tensors one after the other along an axis."""

    axis: int

    def __str__(self) -> str:
        return f"concatenate[{self.axis}]"

    def infer(self, *types: Any) -> TensorType:
        """The sum of the sizes along the axis; the other sizes are shared."""
        if not types:
            raise ValueError("concatenate: expected at least one tensor")
        first = types[0]
        if not 0 <= self.axis < first.ndim:
            raise ValueError(f"concatenate: axis {self.axis} is out of range for {first}")
        if len({t.dtype for t in types}) > 1:
            raise TypeError(f"concatenate: expected one dtype, got {', '.join(t.dtype for t in types)}")
        text = " and ".join(shape_text(t.shape) for t in types)
        if len({t.ndim for t in types}) > 1:
            raise ValueError(f"concatenate: expected as many dimensions of each, got shapes {text}")
        shape: list[Dim] = []
        for axis in range(first.ndim):
            fixed = {t.shape[axis] for t in types if isinstance(t.shape[axis], int)}
            if axis != self.axis and len(fixed) > 1:
                raise ValueError(
                    f"concatenate: expected equal sizes but on axis {self.axis}, got shapes {text}"
                )
            shape.append(fixed.pop() if fixed else first.shape[axis])
        shape[self.axis] = sum((t.shape[self.axis] for t in types), start=0)
        return TensorType(first.dtype, tuple(shape))

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """Equal sizes along the other axes."""
        for axis, size in enumerate(types[0].shape):
            for other in types[1:]:
                if axis != self.axis and other.shape[axis] != size:
                    yield size, other.shape[axis]

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """Each its own part."""
        place: Dim = 0
        flows = []
        for source in inputs:
            flows.append(slice_axis(grad, self.axis, place, source.shape[self.axis]))
            place = place + source.shape[self.axis]
        return flows

    def reference(self, *arrays: Any) -> Any:
        """numpy's concatenate."""
        return np.concatenate(arrays, self.axis)

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """One copy each, into its part of the result."""
        (out,) = outputs
        rows: list[Row] = []
        starts, steps = [0] * len(out.shape), (1,) * len(out.shape)
        for source in inputs:
            rows += copy_rows(
                source, window(out, starts, source.shape, steps), threads=threads, scratch=scratch
            )
            starts[self.axis] += source.shape[self.axis]
        return rows

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Every axis, empty parts, one and many parts, every dtype."""
        cases: list[tuple[int, list[tuple[int, ...]]]] = [
            (0, [(2,), (3,)]), (0, [(2, 3), (0, 3), (1, 3)]), (1, [(2, 3), (2, 1), (2, 4), (2, 2)]),
            (2, [(2, 3, 1), (2, 3, 5)]), (1, [(2, 2, 3)]),
        ]  # fmt: skip
        for axis, shapes in cases:
            yield Sample(cls(axis), tuple(rng.standard_normal(s) for s in shapes))
        for dtype in DTYPES[:-1]:
            yield Sample(cls(1), tuple(rng.integers(0, 2, (3, n)).astype(dtype) for n in (2, 5)))


def reshape(x: Any, new_shape: Any) -> Tensor:
    """`x` under another shape, in which one size may be -1: whatever is left.

    Sizes may be integers, dimensions, or scalar tensors made of sizes (``K.shape(x)[0]``).
    """
    x = as_tensor(x)
    wanted = list(as_dims(new_shape, "reshape"))
    if wanted.count(-1) > 1:
        raise ValueError(f"reshape: expected at most one size of -1, got {shape_text(wanted)}")
    if -1 in wanted:
        rest = product(size for size in wanted if size != -1)
        if rest == 0:
            raise ValueError(f"reshape: -1 in {shape_text(wanted)} is not determined with a size of 0")
        wanted[wanted.index(-1)] = quotient(product(x.shape), rest)
    return x if tuple(wanted) == x.shape else Reshape(tuple(wanted))(x)


def transpose(x: Any, axes: Sequence[int] | None = None) -> Tensor:
    """The axes in another order, by default reversed (``K.permute_dimensions``)."""
    x = as_tensor(x)
    if axes is None:
        axes = range(x.ndim - 1, -1, -1)
    order = tuple(normalize_axis(int(a), x.ndim) for a in axes)
    return x if order == tuple(range(x.ndim)) else Transpose(order)(x)


def expand_dims(x: Any, axis: int = -1) -> Tensor:
    """A new axis of size 1 at place `axis` of the result."""
    x = as_tensor(x)
    place = normalize_axis(axis, x.ndim + 1)
    return Reshape((*x.shape[:place], 1, *x.shape[place:]))(x)


def squeeze(x: Any, axis: int | Sequence[int]) -> Tensor:
    """Without `axis`, whose size is 1."""
    x = as_tensor(x)
    gone = normalize_axes(axis, x.ndim)
    for a in gone:
        size = x.shape[a]
        if isinstance(size, int) and size != 1:
            raise ValueError(f"squeeze: expected size 1 on axis {a}, got shape {shape_text(x.shape)}")
    return reshape(x, tuple(d for a, d in enumerate(x.shape) if a not in gone))


def flatten(x: Any, first: int = 0) -> Tensor:
    """All axes from `first` on joined into one (``K.flatten``; with 1 ``K.batch_flatten``)."""
    x = as_tensor(x)
    return reshape(x, (*x.shape[:first], product(x.shape[first:])))


def broadcast_to(x: Any, new_shape: Any) -> Tensor:
    """`x` stretched to a shape by numpy's rules, without copies."""
    x = as_tensor(x)
    target = checked_shape(new_shape, "broadcast_to")
    return x if target == x.shape else BroadcastTo(target)(x)


def of_shape(x: Tensor, sizes: tuple[Dim, ...]) -> Tensor:
    """A node like `x` with these sizes in place of unknown ones; every run checks that data have them."""
    if x.sparse:
        raise TypeError(f"set_shape: the sizes of {x!r} are set where it is created")
    if isinstance(x.op, Placeholder):
        return replace(x.op, type=TensorType(x.dtype, sizes))(name=x.name, origins=x.origins)
    return BroadcastTo(sizes)(Tensor(x.op, x.inputs, x.type, x.origins, x.name), origins=x.origins)


def concatenate(tensors: Sequence[Any], axis: int = -1) -> Tensor:
    """Tensors one after the other along `axis`; dtypes meet in the widest."""
    if not len(tensors):
        raise ValueError("concatenate: expected at least one tensor, got none")
    parts = together(*tensors)
    where = normalize_axis(axis, parts[0].ndim)
    return parts[0] if len(parts) == 1 else Concatenate(where)(*parts)


def stack(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """Tensors of one shape side by side, along a new axis."""
    if not len(tensors):
        raise ValueError("stack: expected at least one tensor, got none")
    parts = together(*tensors)
    if len({part.ndim for part in parts}) > 1:
        shapes = " and ".join(shape_text(part.shape) for part in parts)
        raise ValueError(f"stack: expected tensors of one shape, got {shapes}")
    return concatenate([expand_dims(part, axis) for part in parts], normalize_axis(axis, parts[0].ndim + 1))


def split(x: Any, parts: int | Sequence[Dim], axis: int = 0) -> list[Tensor]:
    """`x` cut along `axis` into so many equal parts, or into parts of the given sizes."""
    x = as_tensor(x)
    where = normalize_axis(axis, x.ndim)
    size = x.shape[where]
    if isinstance(parts, int):
        if parts < 1 or (isinstance(size, int) and size % parts):
            raise ValueError(f"split: cannot cut axis {where} of size {size} into {parts} equal parts")
        parts = [quotient(size, parts)] * parts
    total = sum(parts, start=0)
    if isinstance(total, int) and isinstance(size, int) and total != size:
        raise ValueError(f"split: expected sizes that add up to {size}, got {tuple(parts)}")
    pieces: list[Tensor] = []
    place: Dim = 0
    for part in parts:
        pieces.append(slice_axis(x, where, place, part))
        place = place + part
    return pieces


def unstack(x: Any, axis: int = 0) -> list[Tensor]:
    """The parts of `x` along an axis of known size, without that axis."""
    x = as_tensor(x)
    where = normalize_axis(axis, x.ndim)
    size = x.shape[where]
    if isinstance(size, Expression):
        raise ValueError(f"unstack: expected a known size on axis {where}, got shape {shape_text(x.shape)}")
    return [squeeze(slice_axis(x, where, i, 1), where) for i in range(size)]


def _stretched(x: Tensor, before: Sequence[Dim], after: Sequence[Dim]) -> Tensor:
    """Each axis a between new axes of sizes ``before[a]`` and ``after[a]``, then joined with them."""
    thin, wide, joined = [], [], []
    for a, size, b in zip(before, x.shape, after, strict=True):
        sides = [(1, a)] * (a != 1) + [(size, size)] + [(1, b)] * (b != 1)
        thin += [one for one, _ in sides]
        wide += [full for _, full in sides]
        joined.append(a * size * b)
    return reshape(broadcast_to(reshape(x, tuple(thin)), tuple(wide)), tuple(joined))


def tile(x: Any, repetitions: Any) -> Tensor:
    """`x` repeated as a whole, so many times along each axis (numpy's tile)."""
    x = as_tensor(x)
    counts = checked_shape(repetitions, "tile")
    missing = x.ndim - len(counts)
    counts = (1,) * missing + counts
    if missing < 0:
        x = reshape(x, (1,) * -missing + x.shape)
    return _stretched(x, counts, (1,) * x.ndim)


def repeat(x: Any, counts: Any, axis: int | Sequence[int]) -> Tensor:
    """Each element repeated along `axis` (``K.repeat_elements``); several axes take several counts."""
    x = as_tensor(x)
    axes = [axis] if isinstance(axis, (int, np.integer)) else list(axis)
    numbers = checked_shape(counts, "repeat")
    if len(numbers) != len(axes):
        raise ValueError(
            f"repeat: expected a count for each of the axes {tuple(axes)}, got {shape_text(numbers)}"
        )
    by_axis = {normalize_axis(a, x.ndim): n for a, n in zip(axes, numbers, strict=True)}
    return _stretched(x, (1,) * x.ndim, tuple(by_axis.get(a, 1) for a in range(x.ndim)))


def shape(x: Any, dtype: str = "int64") -> Tensor:
    """The shape of `x` as a vector; may be taken apart and used as sizes again."""
    x = as_tensor(x)
    if all(isinstance(size, int) for size in x.shape):
        return constant(np.asarray(known_shape(x.shape), dtype))
    return stack([size_tensor(size, dtype) for size in x.shape])
