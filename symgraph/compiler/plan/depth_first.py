"""Depth first: nodes that are independent across samples run slice by slice: their values stay in the cache.

A large value that is written whole and then read is fetched from memory again. In a run of nodes that pass on
such values, each slice of the samples goes through all nodes before the next one starts; values without other
readers need room for one slice only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from symgraph.graph.dims import Unknown
from symgraph.graph.evaluate import concrete_op, concrete_shape
from symgraph.graph.op import Cut, Part
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import TensorType, TupleType, Type
from symgraph.kernels.run.buffer import Buffer, contiguous_strides

LARGE_BYTES = 4 << 20
"""Values from this size on are worth being handed on in slices."""
SLICE_BYTES = 4 << 20
"""Bytes that a slice passes from node to node: a part of a typical L3."""
MOST_SLICES = 64
SAMPLES = 8
"""Samples of a slice for each thread, at least: with fewer, threads wait for each other at every row."""
ROW_BYTES = 1 << 20
"""Or fewer samples, of which the first row makes as much as this for each thread."""
SHARED = 16
"""How many times as much as the weights, which each slice packs again, slices of few samples hold."""
_REACH = 64
"""How many nodes may be moved out of the midst of a run."""


@dataclass(frozen=True)
class SlicedRun:
    """A run of nodes, with their cuts, that is done slice by slice.

    Slice i has the samples from ``bounds[i]`` up to ``bounds[i + 1]``. `inner` has (id of a node, number of
    its result) of values that live only within a slice.
    """

    nodes: tuple[Tensor, ...]
    cuts: Mapping[int, Cut]
    inner: frozenset[tuple[int, int]]
    bounds: tuple[int, ...]

    def is_inner(self, node: Tensor, index: int) -> bool:
        """Whether result `index` of a node lives only within a slice."""
        return (id(node), index) in self.inner

    @property
    def most(self) -> int:
        """Samples of the largest slice."""
        return max(b - a for a, b in zip(self.bounds, self.bounds[1:], strict=False))


@dataclass(frozen=True)
class Home:
    """Where a value lies while a run goes through it; `inner` ones have room for one slice."""

    buffer: Buffer
    inner: bool = False

    def part(self, start: int, end: int) -> Buffer:
        """The samples of a slice."""
        buffer = self.buffer
        offset = buffer.offset if self.inner else buffer.offset + start * buffer.strides[0]
        return replace(buffer, offset=offset, shape=(end - start, *buffer.shape[1:]))


class Spare:
    """Scratch of one node, used again by each of its slices."""

    def __init__(self, temporary: Callable[..., Buffer]) -> None:
        self._temporary = temporary
        self._held: list[Buffer] = []
        self._next = 0

    def restart(self) -> None:
        """Begin a slice."""
        self._next = 0

    def __call__(self, shape: Sequence[int], dtype: np.dtype | type | str) -> Buffer:
        kind = np.dtype(dtype)
        nbytes = math.prod(shape) * kind.itemsize
        if self._next == len(self._held):
            self._held.append(self._temporary(shape, dtype))
        elif self._held[self._next].nbytes < nbytes:
            self._held[self._next] = self._temporary(shape, dtype)
        held = self._held[self._next]
        self._next += 1
        strides = contiguous_strides(tuple(shape), kind.itemsize)
        return Buffer(held.base, held.offset, tuple(shape), strides, kind)


@dataclass
class _Run:
    samples: int
    least: int
    nodes: list[Tensor] = field(default_factory=list)
    cuts: dict[int, Cut] = field(default_factory=dict)
    ids: set[int] = field(default_factory=set)
    handed: dict[int, int] = field(default_factory=dict)
    """Bytes of large values that a node of the run makes and another one reads."""


class _Arranger:
    def __init__(
        self, sizes: Mapping[Unknown, int], readers: Callable[[], dict[int, list[Tensor]]], threads: int
    ) -> None:
        self.sizes = sizes
        self.readers = readers
        self.threads = threads

    def shapes(self, node: Tensor) -> list[tuple[int, ...]]:
        kinds = node.type.items if isinstance(node.type, TupleType) else (node.type,)
        return [concrete_shape(kind, self.sizes) for kind in kinds]

    def cut(self, node: Tensor, samples: int | None = None) -> tuple[Cut, int] | None:
        """The node's cut and its number of samples (which has to be `samples`)."""
        if node.op.leaf:
            return None
        inputs = [shape for value in node.inputs for shape in self.shapes(value)[:1]]
        cut = concrete_op(node.op, self.sizes).cut(inputs, self.shapes(node))
        if cut is None or not any(cut.inputs):
            return None
        counts = {shape[0] for shape, own in zip(inputs, cut.inputs, strict=True) if own}
        if not cut.added:
            counts |= {shape[0] for shape in self.shapes(node)}
        if len(counts) != 1 or (samples is not None and counts != {samples}):
            return None
        return cut, counts.pop()

    def start(self, node: Tensor) -> _Run | None:
        """A run that begins with `node`, if what it makes is large."""
        if isinstance(node.op, Part) or node.op.leaf or self._largest(node) < LARGE_BYTES:
            return None
        found = self.cut(node)
        if found is None or found[0].added:
            return None
        made = self._largest(node) // found[1]
        least = max(-(-ROW_BYTES * self.threads // made), self._sharing(node, *found))
        run = _Run(found[1], min(least, SAMPLES * self.threads))
        if run.samples < 2 * run.least:
            return None
        self._join(run, node, found[0])
        return run

    def _largest(self, node: Tensor) -> int:
        kinds = node.type.items if isinstance(node.type, TupleType) else (node.type,)
        return max(_nbytes(kind, self.sizes) for kind in kinds)

    def grow(self, run: _Run, node: Tensor) -> bool:
        """Let `node` join if the run hands it a large value and nothing in an unfit way."""
        if isinstance(node.op, Part):
            self._join(run, node, run.cuts[id(node.inputs[0])])
            return True
        found = self.cut(node, run.samples)
        if found is None:
            return False
        cut, _ = found
        if run.least < min(self._sharing(node, cut, run.samples), SAMPLES * self.threads):
            return False
        given = [(v, own) for v, own in zip(node.inputs, cut.inputs, strict=True) if id(v) in run.ids]
        for value, own in given:
            if not own or run.cuts[id(value)].added:
                return False
        handed = {id(v): _nbytes(v.type, self.sizes) for v, _ in given}
        large = {key: nbytes for key, nbytes in handed.items() if nbytes >= LARGE_BYTES}
        if not large:
            return False
        run.handed |= large
        self._join(run, node, cut)
        return True

    def _sharing(self, node: Tensor, cut: Cut, samples: int) -> int:
        """Samples of a slice beside which what slices share, weights or their gradients, is small."""
        own, shared = 0, 0
        for value, is_own in zip(node.inputs, cut.inputs, strict=True):
            nbytes = _nbytes(value.type, self.sizes)
            own, shared = (own + nbytes, shared) if is_own else (own, shared + nbytes)
        if cut.added:
            shared += self._largest(node)
        return -(-SHARED * shared * samples // max(own, 1))

    def _join(self, run: _Run, node: Tensor, cut: Cut) -> None:
        run.nodes.append(node)
        run.ids.add(id(node))
        run.cuts[id(node)] = cut

    def finish(self, run: _Run, roots: set[int]) -> SlicedRun | None:
        """The run's slices; None where it hands nothing on, or fits into one slice."""
        total = sum(run.handed.values())
        count = min(-(-total // SLICE_BYTES), MOST_SLICES, run.samples // run.least)
        if count < 2:
            return None
        bounds = tuple(i * run.samples // count for i in range(count + 1))
        return SlicedRun(tuple(run.nodes), run.cuts, frozenset(self._inner(run, roots)), bounds)

    def _inner(self, run: _Run, roots: set[int]) -> Iterator[tuple[int, int]]:
        """Results without readers outside the run."""
        readers = self.readers()

        def stays(value: Tensor) -> bool:
            known = id(value) in run.ids and id(value) not in roots
            return known and all(id(reader) in run.ids for reader in readers[id(value)])

        for node in run.nodes:
            if run.cuts[id(node)].added or isinstance(node.op, Part):
                continue
            if isinstance(node.type, TensorType):
                if stays(node):
                    yield id(node), 0
                continue
            parts = readers[id(node)]
            for index in range(len(node.type.items)):
                if all(stays(p) for p in parts if isinstance(p.op, Part) and p.op.index == index):
                    yield id(node), index


def _nbytes(kind: Type, sizes: Mapping[Unknown, int]) -> int:
    assert isinstance(kind, TensorType)
    return math.prod(concrete_shape(kind, sizes)) * np.dtype(kind.dtype).itemsize


def arrange(
    body: Sequence[Tensor],
    roots: set[int],
    sizes: Mapping[Unknown, int],
    readers: Callable[[], dict[int, list[Tensor]]],
    threads: int,
) -> list[Tensor | SlicedRun]:
    """`body` with runs of nodes replaced by `SlicedRun` objects.

    Nodes between those of a run that do not depend on it come before it.
    """
    arranger = _Arranger(sizes, readers, threads)
    result: list[Tensor | SlicedRun] = []
    at = 0
    while at < len(body):
        run = arranger.start(body[at])
        if run is None:
            result.append(body[at])
            at += 1
            continue
        before: list[Tensor] = []
        end = at + 1
        while end < len(body) and len(before) < _REACH:
            node = body[end]
            if not any(id(value) in run.ids for value in node.inputs):
                before.append(node)
            elif not arranger.grow(run, node):
                break
            end += 1
        slices = arranger.finish(run, roots)
        result += [*before, slices] if slices else [body[at]]
        at = end if slices else at + 1
    return result
