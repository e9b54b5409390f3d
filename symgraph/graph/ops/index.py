"""Elements picked by index tensors, their counterparts that add at indices, and ``x[key]``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.graph.dims import Dim, Expression, product, shape_text
from symgraph.graph.leaves import as_tensor, constant, constant_value
from symgraph.graph.op import Op, Sample, byte_count
from symgraph.graph.ops.compare import greater_equal, less, logical_or, not_equal
from symgraph.graph.ops.elementwise import broadcast_requirements, broadcast_shapes, cast, minimum, where
from symgraph.graph.ops.mask_shapes import checked_masks
from symgraph.graph.ops.shape import broadcast_to, reshape, transpose
from symgraph.graph.ops.sizes import known, size_tensor, size_values
from symgraph.graph.ops.slicing import basic_slice, item_place
from symgraph.graph.tensor import Tensor, call
from symgraph.graph.types import DTYPES, FLOATS, TensorType, is_float, is_integer, normalize_axis
from symgraph.kernels.index import (
    copy_rows,
    gather_rows,
    scatter_add_along_axis_rows,
    scatter_add_rows,
    take_along_axis_rows,
)
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.machine import Row

_INDICES = ("int32", "int64")
ADDABLE = ("int32", "int64", "uint64", "float32", "float64")
_Shape = tuple[int, ...]
_GATHERED: tuple[tuple[_Shape, int, _Shape], ...] = (
    ((5,), 0, (3,)), ((5, 4), 0, (2, 3)), ((3, 7), 1, (4,)), ((2, 5, 3), 1, (6,)), ((4, 3), 0, ()),
    ((4, 3), 1, (0,)), ((6, 2), 0, (1, 2, 2)),
)  # fmt: skip
_SCATTERED: tuple[tuple[_Shape, int, _Shape, int], ...] = (
    ((3,), 0, (3,), 5), ((2, 3, 4), 0, (2, 3), 4), ((3, 4), 1, (4,), 2), ((2, 5, 3), 1, (5,), 4),
    ((4,), 0, (), 3), ((0, 2), 0, (0,), 3),
)  # fmt: skip


def check_indices(op: Op, indices: TensorType) -> None:
    """TypeError for indices that are no integers that kernels read."""
    if indices.dtype not in _INDICES:
        raise TypeError(f"{op}: expected indices of type int32 or int64, got {indices.dtype}")


def inside(op: Op, indices: np.ndarray, size: int, from_end: bool = True) -> np.ndarray:
    """`indices` counted from the front. ValueError for one outside of [-size, size), as kernels report it.

    Unless they may count `from_end`, outside of [0, size).
    """
    outside = (indices < (-size if from_end else 0)) | (indices >= size)
    if outside.any():
        limits = f"an axis of size {size}" if from_end else f"rows 0 to {size - 1}"
        first = indices[outside].flat[0]
        # What floats became on the way to integers, see `whole_numbers`.
        known = {-1: " (or NaN)", np.iinfo(indices.dtype).max: " (or more)"}
        also = "" if from_end else known.get(int(first), "")
        raise ValueError(f"{op}: index {first}{also} is out of range for {limits}")
    return np.where(indices < 0, indices + size, indices)


@dataclass(frozen=True)
class Gather(Op):
    """Slices of x along an axis, picked by indices of any shape. Negative ones may count `from_end`."""

    axis: int
    from_end: bool = True

    def __str__(self) -> str:
        return f"gather[{self.axis}]"

    def infer(self, *types: Any) -> TensorType:
        """The indices' shape in place of the axis."""
        x, indices = types
        check_indices(self, indices)
        if not 0 <= self.axis < x.ndim:
            raise ValueError(f"{self}: axis {self.axis} is out of range for {x}")
        return TensorType(x.dtype, (*x.shape[: self.axis], *indices.shape, *x.shape[self.axis + 1 :]))

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """Added up where it was picked."""
        x, indices = inputs
        return ScatterAdd(self.axis, x.shape[self.axis], self.from_end)(grad, indices), None

    def reference(self, *arrays: Any) -> Any:
        """numpy's take."""
        x, indices = arrays
        return np.take(x, inside(self, indices, x.shape[self.axis], self.from_end), self.axis)

    def bytes(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
        """What is picked, the indices, and the result; not the whole of x."""
        return 2 * byte_count(outputs[0]) + byte_count(inputs[1])

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """Copies of lines."""
        x, indices = inputs
        mode = "raise" if self.from_end else "front"
        return gather_rows(x, indices, outputs[0], self.axis, mode, threads=threads, scratch=scratch)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Every axis, indices of every rank, repeated and negative ones, every dtype."""
        for index_type in _INDICES:
            for shape, axis, count in _GATHERED:
                indices = np.asarray(rng.integers(-shape[axis], shape[axis], count)).astype(index_type)
                yield Sample(cls(axis), (rng.standard_normal(shape), indices), True, ((0, 0),))
                front = (rng.standard_normal(shape), indices % shape[axis])
                yield Sample(cls(axis, False), front, True, ((0, 0),))
        for dtype in DTYPES:
            yield Sample(cls(0), (rng.integers(0, 2, (5, 3)).astype(dtype), np.array([4, 0, 4, -1])), False)


@dataclass(frozen=True)
class ScatterAdd(Op):
    """The transpose of `Gather`: zeros on an axis of a given size, and updates added at the indices."""

    axis: int
    size: Dim
    from_end: bool = True

    def __str__(self) -> str:
        return f"scatter_add[{self.axis}]"

    def infer(self, *types: Any) -> TensorType:
        """The updates' shape with `size` in place of the indices' shape."""
        updates, indices = types
        check_indices(self, indices)
        if updates.dtype not in ADDABLE:
            raise TypeError(f"{self}: expected a dtype of {', '.join(ADDABLE)}, got {updates.dtype}")
        given = updates.shape[self.axis : self.axis + indices.ndim]
        clash = any(
            isinstance(a, int) and isinstance(b, int) and a != b
            for a, b in zip(given, indices.shape, strict=False)
        )
        if len(given) != indices.ndim or clash:
            raise ValueError(
                f"{self}: expected updates with shape {shape_text(indices.shape)} from axis {self.axis} on, "
                f"got {updates}"
            )
        rest = updates.shape[self.axis + indices.ndim :]
        return TensorType(updates.dtype, (*updates.shape[: self.axis], self.size, *rest))

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """One update for each index."""
        updates, indices = types
        given = updates.shape[self.axis : self.axis + indices.ndim]
        return [(a, b) for a, b in zip(given, indices.shape, strict=True) if a != b]

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """Picked at the indices."""
        return Gather(self.axis, self.from_end)(grad, inputs[1]), None

    def reference(self, *arrays: Any) -> Any:
        """numpy's add.at."""
        updates, indices = arrays
        size, rank = known(self.size), indices.ndim
        lines = np.moveaxis(updates, range(self.axis, self.axis + rank), range(rank))
        wide = np.float64 if updates.dtype.kind == "f" else updates.dtype
        result = np.zeros((size, *lines.shape[rank:]), wide)
        np.add.at(result, inside(self, indices, size, self.from_end), lines)
        return np.moveaxis(result, 0, self.axis).astype(updates.dtype)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """An add per update."""
        return int(np.prod(inputs[0], dtype=object))

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """Zeros, then sums in the order of the indices: the same for any number of threads."""
        (updates, indices), (out,) = inputs, outputs
        behind = self.axis + len(indices.shape)
        places, rest = range(self.axis, behind), range(behind, len(updates.shape))
        lines = updates.transpose((*places, *range(self.axis), *rest))
        # The kernel adds along the first axis.
        front = out.transpose((self.axis, *range(self.axis), *range(self.axis + 1, len(out.shape))))
        direct = front.contiguous
        target = front if direct else scratch(front.shape, front.dtype)
        mode = "raise" if self.from_end else "front"
        rows = scatter_add_rows(
            indices, lines, target, clear=True, mode=mode, threads=threads, scratch=scratch
        )
        return rows if direct else rows + copy_rows(target, front, threads=threads, scratch=scratch)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Every axis, repeated indices, empty ones, every dtype."""
        for shape, axis, count, size in _SCATTERED:
            indices = np.asarray(rng.integers(-size, size, count))
            yield Sample(cls(axis, size), (rng.standard_normal(shape), indices))
        for dtype in ADDABLE:
            yield Sample(
                cls(0, 3), (rng.integers(0, 9, (6, 3)).astype(dtype), np.array([2, 0, 2, 2, 1, 0], np.int32))
            )


class _AlongAxis(Op):
    """What picking and adding along an axis share."""

    axis: int

    def check(self, values: TensorType, indices: TensorType) -> None:
        """One rank, indices of an index type, an axis that exists."""
        check_indices(self, indices)
        if values.ndim != indices.ndim or not 0 <= self.axis < values.ndim:
            raise ValueError(
                f"{self}: expected two tensors of one rank above {self.axis}, got {values} and {indices}"
            )

    def others_equal(self, values: TensorType, indices: TensorType) -> Iterator[tuple[Dim, Dim]]:
        """Pairs of sizes of all other axes that are not proven equal. ValueError where they differ."""
        for axis, (a, b) in enumerate(zip(values.shape, indices.shape, strict=True)):
            if axis != self.axis and a != b:
                if isinstance(a, int) and isinstance(b, int):
                    raise ValueError(
                        f"{self}: expected equal sizes but on axis {self.axis}, got {values} and {indices}"
                    )
                yield a, b


@dataclass(frozen=True)
class TakeAlongAxis(_AlongAxis):
    """An index along the axis for every element of the result (numpy's take_along_axis)."""

    axis: int

    def __str__(self) -> str:
        return f"take_along_axis[{self.axis}]"

    def infer(self, *types: Any) -> TensorType:
        """The indices' shape."""
        x, indices = types
        self.check(x, indices)
        list(self.others_equal(x, indices))
        return TensorType(x.dtype, indices.shape)

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """The other sizes are equal."""
        return self.others_equal(*types)

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """Added up where it was picked."""
        x, indices = inputs
        return AddAlongAxis(self.axis, x.shape[self.axis])(grad, indices), None

    def reference(self, *arrays: Any) -> Any:
        """numpy's take_along_axis."""
        x, indices = arrays
        return np.take_along_axis(x, inside(self, indices, x.shape[self.axis]), self.axis)

    def bytes(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
        """What is picked, the indices, and the result; not the whole of x."""
        return 2 * byte_count(outputs[0]) + byte_count(inputs[1])

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """One sweep."""
        x, indices = inputs
        return take_along_axis_rows(x, indices, outputs[0], self.axis, threads=threads, scratch=scratch)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Every axis, more and fewer elements than before, every dtype."""
        for shape, axis, count in (
            ((5,), 0, 3),
            ((3, 7), 1, 1),
            ((4, 3), 0, 6),
            ((2, 3, 5), 1, 4),
            ((0, 3), 1, 2),
        ):
            picked = (*shape[:axis], count, *shape[axis + 1 :])
            indices = rng.integers(-shape[axis], shape[axis], picked)
            yield Sample(cls(axis), (rng.standard_normal(shape), indices))
        for dtype in DTYPES:
            x = rng.integers(0, 2, (4, 3)).astype(dtype)
            yield Sample(cls(1), (x, rng.integers(0, 3, (4, 2)).astype(np.int32)), False)


@dataclass(frozen=True)
class AddAlongAxis(_AlongAxis):
    """The transpose of `TakeAlongAxis`: zeros on an axis of a given size, updates added at their indices."""

    axis: int
    size: Dim

    def __str__(self) -> str:
        return f"add_along_axis[{self.axis}]"

    def infer(self, *types: Any) -> TensorType:
        """The updates' shape with `size` on the axis."""
        updates, indices = types
        self.check(updates, indices)
        if updates.dtype not in FLOATS:
            raise TypeError(f"{self}: expected floats, got {updates.dtype}")
        pair = updates.shape[self.axis], indices.shape[self.axis]
        if all(isinstance(size, int) for size in pair) and pair[0] != pair[1]:
            raise ValueError(f"{self}: expected an index for every update, got {updates} and {indices}")
        list(self.others_equal(updates, indices))
        return TensorType(
            updates.dtype, (*updates.shape[: self.axis], self.size, *updates.shape[self.axis + 1 :])
        )

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """An index for every update."""
        return broadcast_requirements([t.shape for t in types])

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """Picked at the indices."""
        return TakeAlongAxis(self.axis)(grad, inputs[1]), None

    def reference(self, *arrays: Any) -> Any:
        """numpy's add.at."""
        updates, indices = arrays
        size = known(self.size)
        shape = (*updates.shape[: self.axis], size, *updates.shape[self.axis + 1 :])
        result = np.zeros(shape, np.float64)
        places = list(np.indices(indices.shape, sparse=True))
        places[self.axis] = inside(self, indices, size)
        np.add.at(result, tuple(places), updates)
        return result.astype(updates.dtype)

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """An add per update."""
        return int(np.prod(inputs[0], dtype=object))

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """Zeros, then sums in the order of the axis."""
        updates, indices = inputs
        return scatter_add_along_axis_rows(
            indices, updates, outputs[0], self.axis, clear=True, threads=threads, scratch=scratch
        )

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Every axis, repeated indices, both dtypes."""
        for shape, axis, size in (
            ((5,), 0, 3),
            ((3, 7), 1, 4),
            ((4, 3), 0, 6),
            ((2, 3, 5), 1, 2),
            ((2, 0), 1, 3),
        ):
            for dtype in FLOATS:
                indices = rng.integers(-size, size, shape)
                yield Sample(cls(axis, size), (rng.standard_normal(shape).astype(dtype), indices))


def as_indices(indices: Any, what: str) -> Tensor:
    """Indices as an int32 or int64 tensor."""
    found = as_tensor(indices)
    if not is_integer(found.dtype):
        raise TypeError(f"{what}: expected integer indices, got {found.dtype}")
    if found.dtype == "uint64":
        # What int64 does not hold would count from the end.
        return cast(minimum(found, constant(np.iinfo("int64").max, "uint64")), "int64")
    if found.dtype in _INDICES:
        return found
    return cast(found, "int64" if found.dtype == "uint32" else "int32")


def _check_constant(indices: Tensor, size: Dim, what: str, from_end: bool = True) -> None:
    """ValueError where fixed indices lie outside an axis of known size."""
    values = constant_value(indices)
    if values is not None and values.size and isinstance(size, int):
        worst = values.max() if values.max() >= size else values.min()
        if not (-size if from_end else 0) <= worst < size:
            raise IndexError(f"{what}: index {worst} is out of range for an axis of size {size}")


def whole_numbers(x: Any, dtype: str = "int64") -> Tensor:
    """Numbers as indices that count from the front: fractions are cut off, and NaN is -1, which is none."""
    x = as_tensor(x)
    # What a processor makes of NaN may be a good index.
    return cast(where(not_equal(x, x), as_tensor(-1.0, x.dtype), x) if is_float(x.dtype) else x, dtype)


def gather(x: Any, indices: Any, axis: int = 0, from_end: bool = True) -> Tensor:
    """Slices of `x` along `axis` at `indices`; an index out of range is an error when the graph runs.

    Negative ones count from the end, unless `from_end` is False: then they are out of range.
    """
    x, indices = as_tensor(x), as_indices(indices, "gather")
    place = normalize_axis(axis, x.ndim)
    _check_constant(indices, x.shape[place], "gather", from_end)
    return Gather(place, from_end)(x, indices)


def take_along_axis(x: Any, indices: Any, axis: int) -> Tensor:
    """An index along `axis` for every element of the result; the other axes broadcast."""
    x, indices = as_tensor(x), as_indices(indices, "take_along_axis")
    place = normalize_axis(axis, x.ndim)
    if x.ndim != indices.ndim:
        raise ValueError(f"take_along_axis: expected indices of {x.ndim} dimensions, got {indices.type}")
    _check_constant(indices, x.shape[place], "take_along_axis")
    ones = [(*t.shape[:place], 1, *t.shape[place + 1 :]) for t in (x, indices)]
    common = broadcast_shapes(ones, "take_along_axis")
    wide = (
        broadcast_to(
            t, tuple(t.shape[a] if a == place or t.shape[a] != 1 else d for a, d in enumerate(common))
        )
        for t in (x, indices)
    )
    return TakeAlongAxis(place)(*wide)


def _index_item(item: Any) -> Any:
    """One item of a key: slice, None, Ellipsis and sizes as they are, arrays of integers as tensors."""
    if item is None or item is Ellipsis or isinstance(item, (slice, Expression)):
        return item
    if isinstance(item, (int, np.integer)) and not isinstance(item, bool):
        return int(item)
    if isinstance(item, Tensor) and item.ndim == 0:
        value = size_values(item)
        item = item if value is None else value[()]
        if not isinstance(item, Tensor):
            return item
    if isinstance(item, (list, np.ndarray)):
        array = np.asarray(item, None if len(item) else np.int64)
        if array.dtype == bool:
            return [constant(places.astype(np.int64)) for places in np.nonzero(array)]
        item = constant(array)
    if isinstance(item, Tensor) and item.dtype == "bool" and item.ndim:
        return list(call("nonzero", item))
    if not isinstance(item, Tensor) or not is_integer(item.dtype):
        raise TypeError(f"x[key]: expected integers, slices, None, ... or arrays of integers, got {item!r}")
    return as_indices(item, "x[key]")


def _axis_items(x: Tensor, key: Any) -> list[Any]:
    """The key with an item for every axis of `x`, besides Nones for new ones."""
    items: list[Any] = []
    for item in checked_masks(x, key if isinstance(key, tuple) else (key,)):
        found = _index_item(item)
        items += found if isinstance(found, list) else [found]
    if items.count(Ellipsis) > 1:
        raise IndexError("x[key]: expected ... at most once")
    used = sum(item is not None and item is not Ellipsis for item in items)
    if used > x.ndim:
        raise IndexError(f"x[key]: {used} indices for a tensor of {x.ndim} dimensions")
    place = items.index(Ellipsis) if Ellipsis in items else len(items)
    return items[:place] + [slice(None)] * (x.ndim - used) + items[place + 1 :]


def getitem(x: Any, key: Any) -> Tensor:
    """``x[key]`` as numpy has it: slices, integers, None, ``...``, arrays of indices, bool masks.

    IndexError where an index lies outside an axis of known size, or there are too many; TypeError for others.
    """
    x = as_tensor(x)
    items = _axis_items(x, key)
    if not any(isinstance(item, Tensor) for item in items):
        return basic_slice(x, items)
    axis, prepared = 0, []
    for item in items:
        whole = isinstance(item, (Tensor, int, Expression))
        if isinstance(item, (int, Expression)):
            item_place(item, x.shape[axis], axis)
        prepared.append(slice(None) if whole else item)
        axis += item is not None
    x = basic_slice(x, prepared)
    places = [a for a, item in enumerate(items) if isinstance(item, (Tensor, int, Expression))]
    return _advanced(x, places, [_as_index_tensor(items[a]) for a in places])


def _as_index_tensor(item: Any) -> Tensor:
    return item if isinstance(item, Tensor) else size_tensor(item)


def _advanced(x: Tensor, places: list[int], indices: list[Tensor]) -> Tensor:
    """`x` with index tensors on the axes `places`: a gather along those axes, joined into one."""
    if len(places) == 1:
        return gather(x, indices[0], places[0])
    for index, axis in zip(indices, places, strict=True):
        _check_constant(index, x.shape[axis], f"x[key] on axis {axis}")
    side_by_side = places == list(range(places[0], places[0] + len(places)))
    first = places[0] if side_by_side else 0
    rest = [a for a in range(x.ndim) if a not in places]
    x = transpose(x, [*rest[:first], *places, *rest[first:]])
    sizes = x.shape[first : first + len(places)]
    joined = reshape(x, (*x.shape[:first], product(sizes), *x.shape[first + len(places) :]))
    return gather(joined, _flat_index(indices, sizes), first)


def _flat_index(indices: Sequence[Tensor], sizes: Sequence[Dim]) -> Tensor:
    """Index into axes joined into one; out of range where any of the indices is."""
    flat = outside = None
    for index, size in zip(indices, sizes, strict=True):
        limit = size_tensor(size)
        index = cast(index, "int64")
        place = where(less(index, 0), index + limit, index)
        wrong = logical_or(less(place, 0), greater_equal(place, limit))
        flat = place if flat is None else flat * limit + place
        outside = wrong if outside is None else logical_or(outside, wrong)
    assert flat is not None
    return where(outside, size_tensor(product(sizes)), flat)
