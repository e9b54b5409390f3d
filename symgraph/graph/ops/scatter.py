"""Parts of tensors replaced: ``x.at[key].set(v)`` and its like, which give a new tensor, as in JAX."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from symgraph.graph.dims import Dim, product
from symgraph.graph.op import Op, Sample
from symgraph.graph.ops.compare import equal
from symgraph.graph.ops.create import arange, ones_like, zeros, zeros_like
from symgraph.graph.ops.elementwise import cast, where
from symgraph.graph.ops.index import ScatterAdd, check_indices, gather, inside
from symgraph.graph.ops.shape import broadcast_to, reshape
from symgraph.graph.ops.sizes import known
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import DTYPES, TensorType
from symgraph.kernels.index import copy_rows
from symgraph.kernels.run.buffer import Buffer, Scratch
from symgraph.kernels.run.machine import Row
from symgraph.kernels.scatter import in_range_rows, scatter_rows

HOWS = ("set", "add", "multiply", "min", "max")


@dataclass(frozen=True)
class InRange(Op):
    """Indices of an axis of `size` elements, counted from its front; one that is out of range ends the call.

    What is stored by them later cannot fail any more.
    """

    size: Dim

    def __str__(self) -> str:
        return f"in_range[{self.size}]"

    def infer(self, *types: Any) -> TensorType:
        """The indices' type."""
        (indices,) = types
        check_indices(self, indices)
        return TensorType(indices.dtype, indices.shape)

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """Not connected."""
        return (None,)

    def reference(self, *arrays: Any) -> Any:
        """A check, and the size added to negative ones."""
        (indices,) = arrays
        return inside(self, indices, known(self.size)).astype(indices.dtype)

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """One sweep."""
        return in_range_rows(inputs[0], outputs[0], known(self.size), threads=threads, scratch=scratch)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Both dtypes, every rank, none."""
        for dtype in ("int32", "int64"):
            for shape in ((), (0,), (7,), (3, 5)):
                yield Sample(cls(4), (np.asarray(rng.integers(-4, 4, shape)).astype(dtype),), False)


@dataclass(frozen=True)
class Scatter(Op):
    """x with ``x[indices[i...]]`` replaced, or combined with ``updates[i...]`` as `how` says.

    Indices name places of the first axis, in any shape; of updates at one place each is taken, in their
    order, so that of those that are 'set' the last one stays.
    """

    how: str
    #: Its result may lie where its first input lay.
    overwrites: ClassVar[bool] = True

    def __str__(self) -> str:
        return f"scatter[{self.how}]"

    def infer(self, *types: Any) -> TensorType:
        """The type of x."""
        x, indices, updates = types
        check_indices(self, indices)
        if not x.ndim:
            raise ValueError(f"{self}: expected a tensor of at least one axis, got {x}")
        wanted = TensorType(x.dtype, (*indices.shape, *x.shape[1:]))
        clash = wanted.dtype != updates.dtype or wanted.ndim != updates.ndim
        if clash or any(_differ(a, b) for a, b in zip(wanted.shape, updates.shape, strict=True)):
            raise ValueError(f"{self}: expected updates of {wanted}, got {updates}")
        if x.dtype == "bool" and self.how in ("add", "multiply"):
            raise TypeError(f"{self}: expected numbers, got {x}")
        return TensorType(x.dtype, x.shape)

    def requires(self, *types: Any) -> Iterable[tuple[Dim, Dim]]:
        """An update for each index."""
        x, indices, updates = types
        pairs = zip((*indices.shape, *x.shape[1:]), updates.shape, strict=True)
        return [(a, b) for a, b in pairs if a != b]

    def overwritable(self, inputs: Sequence[Buffer]) -> Sequence[Buffer]:
        """x, if it is not read as updates too, in another order."""
        return inputs[:1] if all(buffer.base != inputs[0].base for buffer in inputs[1:]) else ()

    def gradient(self, inputs: Sequence[Tensor], output: Tensor, grad: Tensor) -> Sequence[Tensor | None]:
        """Each way of combining has its own: see below."""
        x, indices, updates = inputs
        by_x, by_updates = _GRADIENTS[self.how](x, indices, updates, output, grad)
        return by_x, None, by_updates

    def reference(self, *arrays: Any) -> Any:
        """numpy's assignment, and ``ufunc.at``."""
        x, indices, updates = arrays
        result = np.array(x)
        places = inside(self, indices, x.shape[0])
        if self.how == "set":
            result[places] = updates
        elif self.how == "add" and x.dtype == np.float32:
            wide = result.astype(np.float64)
            np.add.at(wide, places, updates)
            result = wide.astype(x.dtype)
        else:
            _UFUNCS[self.how].at(result, places, updates)
        return result

    def flops(self, inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> int:
        """One for each update that is not only stored."""
        return 0 if self.how == "set" else int(np.prod(inputs[2], dtype=object))

    def rows(
        self, inputs: Sequence[Buffer], outputs: Sequence[Buffer], *, threads: int, scratch: Scratch
    ) -> list[Row]:
        """A copy, unless x lies there already, and the updates in their order."""
        (x, indices, updates), (out,) = inputs, outputs
        target = out if out.contiguous else scratch(out.shape, out.dtype)
        rows = [] if x == target else copy_rows(x, target, threads=threads, scratch=scratch)
        rows = rows + scatter_rows(indices, updates, target, self.how, threads=threads, scratch=scratch)
        return rows if target is out else rows + copy_rows(target, out, threads=threads, scratch=scratch)

    @classmethod
    def samples(cls, rng: np.random.Generator) -> Iterator[Sample]:
        """Every way, repeated and negative indices, none, every rank and dtype."""
        cases: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
            ((5,), (3,)), ((4, 3), (6,)), ((3, 2, 19), (2, 2)), ((4, 3), ()), ((3, 0), (2,)), ((2, 3), (0,)),
        )  # fmt: skip
        for how in HOWS:
            for shape, count in cases:
                indices = np.asarray(rng.integers(-shape[0], shape[0], count))
                given = rng.standard_normal(shape), indices, rng.standard_normal((*count, *shape[1:]))
                yield Sample(cls(how), given, True, ((0, 0),))
            for dtype in DTYPES[how in ("add", "multiply") :]:
                indices = np.array([2, 0, -1, 2], np.int32)
                x, updates = (rng.integers(0, 2, shape).astype(dtype) for shape in ((3, 5), (4, 5)))
                yield Sample(cls(how), (x, indices, updates), False)


def _differ(a: Dim, b: Dim) -> bool:
    return isinstance(a, int) and isinstance(b, int) and a != b


_UFUNCS = {"add": np.add, "multiply": np.multiply, "min": np.minimum, "max": np.maximum}


# Gradients: those by x and by the updates, for (x, indices, updates, result, arriving).


def _added(how: str, places: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    return Scatter(how)(places, indices, updates)


def _set_gradient(
    x: Tensor, indices: Tensor, updates: Tensor, output: Tensor, grad: Tensor
) -> tuple[Tensor, Tensor]:
    """What arrives, but nothing from the places; by an update, if it is the last one at its place."""
    count = product(indices.shape)
    numbers = reshape(arange(0, count, dtype="int64"), indices.shape)
    last = _added("set", zeros((x.shape[0],), "int64"), indices, numbers)
    stays = equal(gather(last, indices), numbers)
    stays = reshape(stays, (*indices.shape, *(1 for _ in x.shape[1:])))
    arriving = gather(grad, indices)
    by_x = _added("set", grad, indices, zeros_like(arriving))
    return by_x, where(broadcast_to(stays, arriving.shape), arriving, zeros_like(arriving))


def _add_gradient(
    x: Tensor, indices: Tensor, updates: Tensor, output: Tensor, grad: Tensor
) -> tuple[Tensor, Tensor]:
    """What arrives."""
    return grad, gather(grad, indices)


def _multiply_gradient(
    x: Tensor, indices: Tensor, updates: Tensor, output: Tensor, grad: Tensor
) -> tuple[Tensor, Tensor]:
    """What arrives, times all other factors at the place: without a division by a factor that is zero."""
    zero = equal(updates, zeros_like(updates))
    kept = where(zero, ones_like(updates), updates)
    zeros_there = ScatterAdd(0, x.shape[0])(cast(zero, x.dtype), indices)
    product_there = gather(_added("multiply", ones_like(x), indices, kept), indices)
    others = gather(zeros_there, indices) - cast(zero, x.dtype)
    free = equal(others, zeros_like(others))
    rest = where(free, product_there / kept, zeros_like(others))
    factor = _added("multiply", ones_like(x), indices, updates)
    return grad * factor, gather(grad * x, indices) * rest


def _extreme_gradient(
    x: Tensor, indices: Tensor, updates: Tensor, output: Tensor, grad: Tensor
) -> tuple[Tensor, Tensor]:
    """Equal parts of what arrives, to x and the updates that are the result."""
    here = cast(equal(x, output), grad.dtype)
    there = cast(equal(updates, gather(output, indices)), grad.dtype)
    count = here + ScatterAdd(0, x.shape[0])(there, indices)
    # None is the result where that is NaN.
    part = grad / where(equal(count, zeros_like(count)), ones_like(count), count)
    return part * here, gather(part, indices) * there


_GRADIENTS = {
    "set": _set_gradient,
    "add": _add_gradient,
    "multiply": _multiply_gradient,
    "min": _extreme_gradient,
    "max": _extreme_gradient,
}


def changed(how: str, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    """`x` after `updates` at `indices` of its first axis: see `Scatter`."""
    return Scatter(how)(x, InRange(x.shape[0])(indices), updates)
