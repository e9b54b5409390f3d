"""Sizes that are values of tensors: how a call finds them out before it picks its Program.

A Program is kept for what such sizes come to: shapes, lengths of loops, numbers in the fields of ops. Where
a slice starts is not part of that (see `starts.py` in `program/`): a batch cut out of a table by a number
that is fed has one Program for all batches of one size.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from symgraph.graph.dims import Dim, Expression, Unknown, any_measured, compiled, unknowns
from symgraph.graph.dims import evaluate as evaluate_dim
from symgraph.graph.evaluate import bind_shape, concrete_shape
from symgraph.graph.leaves import Constant, DimValue, free_sizes
from symgraph.graph.measured import deep, op_dims, shape_sizes, sizes_in, type_dims
from symgraph.graph.op import Op, Part
from symgraph.graph.ops.elementwise import Add, Cast, Maximum, Minimum, Multiply, Subtract
from symgraph.graph.ops.movement import View
from symgraph.graph.ops.slicing import Place, Slice
from symgraph.graph.tensor import Tensor, topological
from symgraph.graph.types import TupleType, is_integer

Replace = Callable[[list[Tensor]], list[Tensor]]
Value = Callable[[Sequence[np.ndarray], Mapping[Unknown, int]], int]


@dataclass(frozen=True)
class Given:
    """A given tensor and what stands for it, whose shape may tell sizes."""

    old: Tensor
    new: Tensor


@dataclass(frozen=True)
class Measure:
    """A size, and how it is found by arithmetic on what is fed."""

    size: Unknown
    value: Value


@dataclass(frozen=True)
class Sizing:
    """How sizes are found, and those that a Program is planned for, each with a node that has it."""

    steps: tuple[Given | Measure, ...]
    keys: tuple[tuple[Expression, Tensor], ...]

    def sizes(self, feeds: Sequence[np.ndarray], known: Mapping[Unknown, int]) -> dict[Unknown, int]:
        """All sizes of a call, from what it is fed with and the sizes that the shapes of that tell.

        ValueError where they contradict each other.
        """
        found = dict(known)
        for step in self.steps:
            if isinstance(step, Given):
                bind_shape(step.old, concrete_shape(step.new.type, found), found)
                continue
            value = step.value(feeds, found)
            if found.setdefault(step.size, value) != value:
                raise ValueError(
                    f"the size {step.size} is {value}, but {found[step.size]} by the shapes of the inputs"
                )
        return found

    def key(self, sizes: Mapping[Unknown, int]) -> tuple[int, ...]:
        """What a Program is planned for. ValueError for a size that does not come out, with its line."""
        try:
            return tuple([value(sizes) for value in self._values])
        except ValueError:
            for dim, node in self.keys:
                try:
                    evaluate_dim(dim, sizes)
                except ValueError as error:
                    raise ValueError(f"{node.origins[0]}: {node.op}: {error}") from error
            raise

    @cached_property
    def _values(self) -> list[Callable[[Mapping[Unknown, int]], int]]:
        return [compiled(dim) for dim, _ in self.keys]


def sources_of(roots: Iterable[Tensor], replace: Replace) -> dict[Unknown, Tensor]:
    """The measured sizes of a graph with their sources, after the replacements that the graph has seen."""
    found: dict[Unknown, Tensor] = {}
    left = list(roots)
    while left:
        new = [size for size in sizes_in(left) if size not in found]
        found |= zip(new, replace([size.source for size in new]), strict=True)
        left = [found[size] for size in new]
    return found


def closure(roots: Iterable[Tensor], sources: Mapping[Unknown, Tensor]) -> dict[Unknown, Tensor]:
    """Those of `sources` that a graph needs, and their sources."""
    found: dict[Unknown, Tensor] = {}
    left = list(roots)
    while left:
        new = [size for size in sizes_in(left) if size not in found]
        found |= {size: sources[size] for size in new}
        left = [found[size] for size in new]
    return found


def staged(sources: Mapping[Unknown, Tensor], inputs: Sequence[Tensor]) -> dict[Unknown, Tensor]:
    """The sizes that take more than arithmetic on what is fed: a Program of their own finds them."""
    places = {id(tensor): number for number, tensor in enumerate(inputs)}
    return {size: source for size, source in sources.items() if _arithmetic(source, places) is None}


def frontier(roots: Sequence[Tensor], sources: Iterable[Tensor]) -> list[Tensor]:
    """What a graph reads of the values that are computed for its sizes already."""
    made = {
        id(node)
        for node in topological(sources)
        if not node.op.leaf and (isinstance(node.type, TupleType) or not isinstance(node.op, (View, Part)))
    }
    found: dict[int, Tensor] = {}
    seen: set[int] = set()
    left = list(roots)
    while left:
        node = left.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        whole = node.inputs[0] if isinstance(node.op, Part) else node
        if id(whole) in made:
            found[id(node)] = node
        else:
            left += node.inputs
    return list(found.values())


def sizing(
    inputs: Sequence[Tensor],
    roots: Sequence[Tensor],
    given: Sequence[tuple[Tensor, Tensor]],
    sources: Mapping[Unknown, Tensor],
    known: Iterable[Unknown],
) -> Sizing | None:
    """How the sizes of a rewritten graph are found; None where all are told by shapes.

    Sizes that are `known` come from a stage before. ValueError for a size that nothing tells.
    """
    told = set(known)
    if not sources and not told:
        return None
    keys = dict(_keys([*roots, *(new for _, new in given)]))
    left = {size: source for size, source in sources.items() if size not in told}
    return Sizing(tuple(_steps(inputs, given, left, told)), tuple(keys.items()))


def _steps(
    inputs: Sequence[Tensor],
    given: Sequence[tuple[Tensor, Tensor]],
    sources: Mapping[Unknown, Tensor],
    told: set[Unknown],
) -> Iterator[Given | Measure]:
    """What tells sizes, each after what it needs itself."""
    known = told | {size for tensor in inputs for size in free_sizes(tensor)}
    places = {id(tensor): number for number, tensor in enumerate(inputs)}
    left: list[tuple[set[Unknown], set[Unknown], Given | Measure]] = []
    for old, new in given:
        left.append((_sizes_of(type_dims(new.type)), free_sizes(old), Given(old, new)))
    for size, source in sources.items():
        needed = set() if id(source) in places else {u for n in deep([source]) for u in shape_sizes(n)}
        value = _arithmetic(source, places)
        assert value is not None
        left.append((needed, {size}, Measure(size, value)))
    while left:
        ready = [item for item in left if item[0] <= known]
        if not ready:
            lost = {size for needed, _, _ in left for size in needed - known}
            names = ", ".join(sorted(map(str, lost)))
            raise ValueError(f"missing input: no input determines the sizes {names}")
        for item in ready:
            known |= item[1]
            yield item[2]
            left.remove(item)


_OPERATIONS: dict[type[Op], Callable[[int, int], int]] = {
    Add: operator.add,
    Subtract: operator.sub,
    Multiply: operator.mul,
    Minimum: min,
    Maximum: max,
}


def _arithmetic(tensor: Tensor, places: Mapping[int, int]) -> Value | None:
    """How Python's arithmetic finds the value of a scalar from what is fed; None where it cannot."""
    op = tensor.op
    if id(tensor) in places:
        number = places[id(tensor)]
        return lambda feeds, sizes: int(feeds[number])
    if isinstance(tensor.type, TupleType) or tensor.ndim or tensor.dtype not in ("int32", "int64"):
        return None
    if isinstance(op, Constant):
        constant = int(op.array)
        return lambda feeds, sizes: constant
    if isinstance(op, DimValue):
        dim = compiled(op.dim)
        return lambda feeds, sizes: dim(sizes)
    found = [_arithmetic(source, places) for source in tensor.inputs]
    values = [value for value in found if value is not None]
    if len(values) < len(found):
        return None
    if isinstance(op, Cast) and is_integer(tensor.inputs[0].dtype):
        return values[0]
    operation = _OPERATIONS.get(type(op))
    if operation is None:
        return None
    left, right = values
    return lambda feeds, sizes: operation(left(feeds, sizes), right(feeds, sizes))


def _sizes_of(dims: Iterable[Dim]) -> set[Unknown]:
    return {size for dim in dims if not isinstance(dim, int) for size in unknowns(dim)}


def _keys(roots: Sequence[Tensor]) -> Iterator[tuple[Expression, Tensor]]:
    """The measured sizes that a plan depends on: all but the starts of slices."""
    for node in deep(roots):
        moves = isinstance(node.op, (Slice, Place))
        pairs = () if moves else node.op.requires(*(value.type for value in node.inputs))
        needed = (dim for pair in pairs for dim in pair)
        for dim in (*type_dims(node.type), *op_dims(node.op, ("starts",) if moves else ()), *needed):
            if isinstance(dim, Expression) and any_measured(dim):
                yield dim, node
