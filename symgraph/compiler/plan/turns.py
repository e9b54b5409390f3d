"""Scans whose steps work on samples apart, as one kernel call: threads share out the samples, not the steps.

A loop of the machine lets all threads wait for each other at every row of every step. Here a few samples go
through all steps in one tile (`kernels/run/turns.py`), whose rows are planned for one thread. Matrices are
packed once, before the first step.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from symgraph.compiler.plan.loops import LoopBuffers
from symgraph.compiler.plan.memory import Memory
from symgraph.compiler.program.program import Base
from symgraph.graph.dims import Unknown
from symgraph.graph.evaluate import check_requirements, concrete_op, concrete_shape
from symgraph.graph.leaves import Constant, DimValue
from symgraph.graph.op import Part
from symgraph.graph.ops.elementwise import Elementwise, cut_samples
from symgraph.graph.ops.fused import Fused
from symgraph.graph.ops.matmul import MatMul
from symgraph.graph.ops.movement import View, window
from symgraph.graph.ops.scan import Scan
from symgraph.graph.ops.shape import Concatenate, Reshape
from symgraph.graph.ops.slicing import Place, Slice
from symgraph.graph.tensor import Tensor, topological
from symgraph.graph.types import TensorType, TupleType
from symgraph.kernels.contraction.contract import SMALL
from symgraph.kernels.index import copy_rows
from symgraph.kernels.run.buffer import Buffer, contiguous_strides
from symgraph.kernels.run.machine import Address, Row

MOST_SAMPLES = 32
"""Samples of a tile: their gates lie in the cache beside the weights."""
LEAST_SAMPLES = 4
"""With fewer in a tile, the time goes into reading weights: threads then rather share out the columns."""
MOST_TILES = 16
"""Tiles of a thread, at most: each has its own table of operands."""
CHUNK_FLOPS = 1e8
"""Work of a tile after which Ctrl-C is looked at: less than a tenth of a second, whatever functions it is."""
MOST_CHUNKS = 64

Sizes = dict[Unknown, int]
Bounds = tuple[int, ...]


def plan_turns(
    node: Tensor,
    op: Scan,
    given: Sequence[Buffer],
    results: Sequence[Buffer],
    memory: Memory,
    sizes: Sizes,
    threads: int,
) -> tuple[Buffer, ...] | None:
    """Append a row that runs a scan. Returns its results, or None where a loop of rows is the better way.

    Parameters
    ----------
    given, results : sequence of Buffer
        The inputs, and what is offered for the results.
    sizes : mapping
        What unknown sizes are.
    """
    nodes = topological(op.body.results)
    bounds = _bounds(op, nodes, given, sizes, threads)
    if bounds is None:
        return None
    for inner in nodes:
        check_requirements(inner, sizes)
    buffers = LoopBuffers(op, given, results, memory, history_bytes=0)
    for source, target in buffers.beginnings():
        rows = copy_rows(source, target, threads=threads, scratch=memory.temporary)
        memory.append(rows, node, [source], [target], kind="copy")
    with memory.turning():
        moving = buffers.inputs()[: op.sequences + op.states]
        inputs = [*moving, *given[op.sequences + op.states :]]
        shared = _Shared(node, op, nodes, inputs, buffers.targets(), memory, sizes, threads)
        tiles = list(shared.tiles(bounds))
        assert isinstance(op.length, int)
        work = op.flops([b.shape for b in given], [b.shape for b in buffers.results])
        chunks = min(max(1, math.ceil(work / (len(tiles) * CHUNK_FLOPS))), MOST_CHUNKS, op.length)
        name = f"{op.cell or 'sequence'}[{op.body.results[-1].dtype}]"
        memory.loop_row(name, tiles, op.length, chunks, node, given, buffers.results, work)
    return tuple(buffers.results)


# Whether, and how many samples at once


def _bounds(
    op: Scan, nodes: Sequence[Tensor], given: Sequence[Buffer], sizes: Sizes, threads: int
) -> Bounds | None:
    """The samples at which tiles begin and end; None where that is impossible or no gain."""
    assert isinstance(op.length, int)
    if not op.length or not all(_never_fails(inner) for inner in nodes):
        return None
    shapes = [concrete_shape(r.type, sizes) for r in op.body.results]
    samples = next((shape[0] for shape in shapes if shape), 1)
    count = min(threads, samples // LEAST_SAMPLES)
    busy = count == threads or 2 <= count >= threads // 2
    if busy and samples > 1 and _own(op, nodes, samples, sizes) is not None:
        count *= min(-(-samples // (MOST_SAMPLES * count)), MOST_TILES)
        size = -(-samples // count)
        return (*range(0, samples, size), samples)
    # Few rows: the time is in reading the weights, not in the multiply-adds.
    weights = max((b.size for b in given[op.sequences + op.states :] if len(b.shape) > 1), default=0)
    work = max(op.flops([b.shape for b in given], shapes) // op.length // 2, weights * LEAST_SAMPLES)
    return (0, samples) if threads == 1 or work < SMALL else None


def _never_fails(node: Tensor) -> bool:
    """Whether a node's kernels are free of errors that a user may cause, and known here."""
    known = (Elementwise, Fused, MatMul, View, Concatenate, Place, Part)
    return node.op.leaf or isinstance(node.op, known)


def _own(op: Scan, nodes: Sequence[Tensor], samples: int, sizes: Sizes) -> set[int] | None:
    """Ids of the values that every sample has its own part of, its row; None where samples are not apart."""
    bound = op.body.inputs[: op.sequences + op.states]
    own = {id(value) for value in bound}
    if any(concrete_shape(value.type, sizes)[:1] != (samples,) for value in bound):
        return None
    for node in nodes:
        if any(id(value) in own for value in node.inputs):
            if not _is_row_wise(node, own, samples, sizes):
                return None
            own.add(id(node))
        elif not (node.op.leaf or isinstance(node.op, View)):
            return None
    return own if all(id(result) in own for result in op.body.results) else None


def _is_row_wise(node: Tensor, own: set[int], samples: int, sizes: Sizes) -> bool:
    """Whether row n of a node is made of rows n of those inputs that are samples' own."""
    flags = [id(value) in own for value in node.inputs]
    op = concrete_op(node.op, sizes)
    if isinstance(op, Part):
        return True
    if isinstance(op, (Elementwise, Fused)):
        kind = node.type.items[0] if isinstance(node.type, TupleType) else node.type
        cut = cut_samples([concrete_shape(i.type, sizes) for i in node.inputs], concrete_shape(kind, sizes))
        full = concrete_shape(kind, sizes)[:1] == (samples,)
        return full and cut is not None and all(c or not f for c, f in zip(cut.inputs, flags, strict=True))
    if isinstance(op, MatMul):
        return node.ndim == 2 and flags[0] and not any(flags[1:])
    if isinstance(op, Slice):
        return (op.starts[0], op.sizes[0], op.steps[0]) == (0, samples, 1)
    if isinstance(op, Place):
        same = concrete_shape(node.inputs[0].type, sizes)[:1] == op.shape[:1] == (samples,)
        return same and (op.starts[0], op.steps[0]) == (0, 1)
    if isinstance(op, Reshape):
        return concrete_shape(node.inputs[0].type, sizes)[:1] == op.shape[:1] == (samples,)
    return isinstance(op, Concatenate) and op.axis > 0 and all(flags)


# Planning


class _Shared:
    """What the tiles of such a row have in common."""

    def __init__(
        self,
        node: Tensor,
        op: Scan,
        nodes: Sequence[Tensor],
        inputs: Sequence[Buffer],
        targets: Sequence[tuple[Buffer, bool]],
        memory: Memory,
        sizes: Sizes,
        threads: int,
    ) -> None:
        self.node, self.op, self.nodes = node, op, nodes
        self.inputs, self.targets = inputs, targets
        self.memory, self.sizes, self.threads = memory, sizes, threads
        samples = targets[0][0].shape[0] if targets and targets[0][0].shape else 1
        self.own = _own(op, nodes, samples, sizes) or set()
        self.reads = Counter(id(value) for inner in nodes for value in inner.inputs)
        self.reads.update(map(id, op.body.results))
        bound = {id(value) for value in op.body.inputs[: op.sequences + op.states]}
        for inner in nodes:
            if any(id(value) in bound for value in inner.inputs):
                bound.add(id(inner))
        self.varying = bound
        self._leaves: dict[int, Buffer] = {}
        self._turned: dict[object, Buffer] = {}
        self._packed: dict[object, Buffer] = {}
        self._seen: set[tuple[Any, ...]] = set()
        self._lasting = {b.base for b in inputs if b.room is not None}

    def leaf(self, node: Tensor) -> Buffer:
        """A constant."""
        if id(node) not in self._leaves:
            assert isinstance(node.op, (Constant, DimValue))
            array = node.op.array if isinstance(node.op, Constant) else node.op.value(self.sizes)
            base = Base("array", array=np.ascontiguousarray(array))
            self._leaves[id(node)] = self.memory.external(base, array.shape, array.dtype.name)
        return self._leaves[id(node)]

    def factor(self, buffer: Buffer, samples: int) -> Buffer:
        """The second factor of a product: with contiguous rows, and with room to be packed in."""
        if buffer.strides[-1] != buffer.dtype.itemsize and 1 not in buffer.shape:
            buffer = self._contiguous(buffer)
        return replace(buffer, room=partial(self._room, (samples, buffer), buffer.room))

    def _contiguous(self, buffer: Buffer) -> Buffer:
        if buffer not in self._turned:
            copy = self.memory.temporary(buffer.shape, buffer.dtype)
            rows = copy_rows(buffer, copy, threads=self.threads, scratch=self.memory.temporary)
            self.memory.append(rows, self.node, [buffer], [copy], kind="copy")
            self._turned[buffer] = copy
        return self._turned[buffer]

    def _room(self, key: object, room: Any, shape: Sequence[int], dtype: np.dtype) -> Buffer:
        """Tiles of equally many samples pack alike."""
        if key not in self._packed:
            self._packed[key] = (room or self.memory.temporary)(shape, dtype)
        return self._packed[key]

    def tiles(self, bounds: Bounds) -> Iterator[list[Row]]:
        """The rows of a turn for the samples between neighbouring bounds."""
        first: _Tile | None = None
        for start, end in pairwise(bounds):
            if first is not None and end - start == first.end - first.start:
                yield first.moved(start - first.start)
                continue
            tile = _Tile(self, start, end)
            first = first or tile
            yield tile.rows()

    def pack(self, rows: Sequence[Row], factor: Buffer) -> list[Row]:
        """Let the rows that pack come before the loop, once; the others are returned."""
        for row in rows:
            if row.lasting and row.operands not in self._seen:
                self._seen.add(row.operands)
                # A copy that is made anew in each call is packed anew.
                lasting = factor.base in self._lasting
                self.memory.append([replace(row, lasting=lasting)], self.node, [factor], [], kind="copy")
        return [row for row in rows if not row.lasting]


class _Tile:
    """The rows of a turn for the samples from `start` up to `end`."""

    def __init__(self, shared: _Shared, start: int, end: int) -> None:
        self.shared = shared
        self.start, self.end = start, end
        self.places: dict[int, tuple[Buffer, ...]] = {}
        # By base: bytes from a sample to the next one.
        self._steps: dict[int, int] = {}
        self._views: dict[Buffer, Buffer] = {}
        self.into: dict[int, dict[int, Buffer]] = {}
        self._rows: list[Row] = []
        self._uses: Counter[int] = Counter()
        self._idle: list[int] = []
        self._spent: list[int] = []
        for inner, buffer in zip(shared.op.body.inputs, shared.inputs, strict=True):
            self.places[id(inner)] = (self._part(buffer) if id(inner) in shared.own else buffer,)

    def rows(self) -> list[Row]:
        """Plan them all."""
        results = self.shared.op.body.results
        targets = [(self._part(target), at_once) for target, at_once in self.shared.targets]
        for result, (target, at_once) in zip(results, targets, strict=True):
            if at_once or self._is_last_use(result, target):
                self._send(result, target)
        for inner in reversed(self.shared.nodes):
            if isinstance(inner.op, Concatenate):
                self._send_parts(inner, inner.op.axis)
        for inner in self.shared.nodes:
            self._node(inner)
        self._finish([(self._place(r), t) for r, (t, _) in zip(results, targets, strict=True)])
        return self._rows

    def moved(self, samples: int) -> list[Row]:
        """The rows of a tile of as many samples, further on by `samples`: only addresses differ."""
        memory = self.shared.memory
        apart = {b: memory.temporary((memory.temporaries[b].nbytes,), np.uint8).base for b in self._uses}

        def shifted(operand: int | Address) -> int | Address:
            if not isinstance(operand, Address):
                return operand
            offset = operand.offset + samples * self._steps.get(operand.base, 0)
            return Address(apart.get(operand.base, operand.base), offset)

        return [replace(row, operands=tuple(map(shifted, row.operands))) for row in self._rows]

    def _part(self, buffer: Buffer) -> Buffer:
        """The tile's samples."""
        if not self.shared.own:
            return buffer
        self._steps[buffer.base] = buffer.strides[0]
        offset = buffer.offset + self.start * buffer.strides[0]
        return replace(buffer, offset=offset, shape=(self.end - self.start, *buffer.shape[1:]))

    def _place(self, node: Tensor) -> Buffer:
        (place,) = self.places[id(node)]
        return place

    # Where results go

    def _send(self, value: Tensor, target: Buffer) -> None:
        """Have `value` made at `target`, unless it has got a place already, or is a view."""
        maker, index = (value.inputs[0], value.op.index) if isinstance(value.op, Part) else (value, 0)
        slots = self.into.setdefault(id(maker), {})
        made = not maker.op.leaf and not isinstance(maker.op, View)
        if made and index not in slots:
            slots[index] = target

    def _send_parts(self, node: Tensor, axis: int) -> None:
        """Have the parts of a concatenation made in their places there."""
        if 0 not in self.into.setdefault(id(node), {}):
            self.into[id(node)][0] = self._temporary(self._shape(node), node.dtype)
        whole = self.into[id(node)][0]
        starts = [0] * node.ndim
        for value in node.inputs:
            shape = self._shape(value)
            maker = value.inputs[0] if isinstance(value.op, Part) else value
            if isinstance(maker.op, (Elementwise, Fused)):
                self._send(value, window(whole, starts, shape, (1,) * node.ndim))
            starts[axis] += shape[axis]

    def _is_last_use(self, result: Tensor, target: Buffer) -> bool:
        """Whether a state may be overwritten when its new value is made: nobody reads the old one later."""
        shared = self.shared
        (old,) = (
            value
            for value, (place,) in ((v, self.places[id(v)]) for v in shared.op.body.inputs)
            if place == target
        )
        maker = result.inputs[0] if isinstance(result.op, Part) else result
        seen = _views_of(old, shared.nodes)
        if not isinstance(maker.op, (Elementwise, Fused)) or any(
            id(r) in seen for r in shared.op.body.results
        ):
            return False
        later = shared.nodes[next(i for i, n in enumerate(shared.nodes) if n is maker) + 1 :]
        unshifted = all(value is old for value in maker.inputs if id(value) in seen)
        return unshifted and not any(id(value) in seen for inner in later for value in inner.inputs)

    # Nodes

    def _node(self, node: Tensor) -> None:
        if id(node) in self.places:
            return
        shared = self.shared
        if node.op.leaf:
            self.places[id(node)] = (shared.leaf(node),)
            return
        op = concrete_op(node.op, shared.sizes)
        if isinstance(op, Part):
            self._hold(node, (self.places[id(node.inputs[0])][op.index],))
            return
        inputs = [self._input(node, value) for value in node.inputs]
        if isinstance(op, View):
            view = op.view(inputs[0], self._shape(node))
            if view is not None:
                self._hold(node, (view,))
                return
        outputs = self._outputs(node, inputs)
        if isinstance(op, MatMul) and self._is_fixed(node.inputs[1]):
            inputs[1] = shared.factor(inputs[1], self.end - self.start)
            rows = op.rows(inputs, outputs, threads=1, scratch=self._scratch)
            self._rows += shared.pack(rows, inputs[1])
        elif isinstance(op, Concatenate):
            self._rows += self._gathered(op.axis, inputs, outputs[0])
        else:
            self._rows += op.rows(inputs, outputs, threads=1, scratch=self._scratch)
        self._free_scratch()
        self._hold(node, tuple(outputs))

    def _is_fixed(self, value: Tensor) -> bool:
        """Whether a value lies outside and is the same in all turns."""
        return id(value) not in self.shared.varying and self._place(value).base not in self._uses

    def _shape(self, node: Tensor, kind: TensorType | None = None) -> tuple[int, ...]:
        shape = concrete_shape(kind or node.type, self.shared.sizes)
        return (self.end - self.start, *shape[1:]) if id(node) in self.shared.own else shape

    def _input(self, node: Tensor, value: Tensor) -> Buffer:
        """What a node reads: of what belongs to no sample but has a row for each, the tile's rows."""
        place = self._place(value)
        own = self.shared.own
        if id(value) in own or id(node) not in own or not isinstance(node.op, (Elementwise, Fused)):
            return place
        kind = node.type.items[0] if isinstance(node.type, TupleType) else node.type
        cut = cut_samples([place.shape], concrete_shape(kind, self.shared.sizes))
        if cut is None or not cut.inputs[0]:
            return place
        # A view of its own, since others may read all of it.
        if place not in self._views:
            self._views[place] = self.shared.memory.moving(place)
        return self._part(self._views[place])

    def _outputs(self, node: Tensor, inputs: Sequence[Buffer]) -> list[Buffer]:
        kinds = node.type.items if isinstance(node.type, TupleType) else (node.type,)
        slots = self.into.get(id(node), {})
        dying = self._dying(inputs) if isinstance(node.op, (Elementwise, Fused)) else []
        outputs = []
        for index, kind in enumerate(kinds):
            shape = self._shape(node, kind)
            free = next((b for b in dying if b.shape == shape and b.dtype == np.dtype(kind.dtype)), None)
            if index in slots:
                outputs.append(slots[index])
            elif free is not None:
                dying.remove(free)
                outputs.append(free)
            else:
                outputs.append(self._temporary(shape, kind.dtype))
        return outputs

    def _dying(self, inputs: Sequence[Buffer]) -> list[Buffer]:
        """Inputs that nobody reads after this node, read through one buffer only."""
        found = []
        for buffer in dict.fromkeys(inputs):
            same = [b for b in inputs if b.base == buffer.base]
            last = self._uses.get(buffer.base) == len(same) and all(b == buffer for b in same)
            if last and buffer.contiguous and buffer.size:
                found.append(buffer)
        return found

    def _gathered(self, axis: int, inputs: Sequence[Buffer], out: Buffer) -> Iterator[Row]:
        """Copies of those parts of a concatenation that were not made in their places."""
        starts = [0] * len(out.shape)
        for source in inputs:
            target = window(out, starts, source.shape, (1,) * len(out.shape))
            if source != target:
                yield from copy_rows(source, target, threads=1, scratch=self._scratch)
            starts[axis] += source.shape[axis]

    def _finish(self, copies: Sequence[tuple[Buffer, Buffer]]) -> None:
        """Copy the results that were not made at their targets."""
        left = [(source, target) for source, target in copies if source != target]
        targets = {target.base for _, target in left}
        ready = []
        for source, target in left:
            if source.base in targets:
                # A state that becomes another one: that may be overwritten before it is read.
                spare = self._temporary(source.shape, source.dtype)
                self._rows += copy_rows(source, spare, threads=1, scratch=self._scratch)
                source = spare
            ready.append((source, target))
        for source, target in ready:
            self._rows += copy_rows(source, target, threads=1, scratch=self._scratch)

    # Memory: what is free again is used again at once, as it is still in the cache

    def _temporary(self, shape: Sequence[int], dtype: np.dtype | type | str) -> Buffer:
        kind = np.dtype(dtype)
        nbytes = math.prod(shape) * kind.itemsize
        memory = self.shared.memory
        fit = next((b for b in reversed(self._idle) if memory.temporaries[b].nbytes == nbytes), None)
        if fit is None:
            fit = memory.temporary(shape, dtype).base
        else:
            self._idle.remove(fit)
        self._uses[fit] = 0
        return Buffer(fit, 0, tuple(shape), contiguous_strides(tuple(shape), kind.itemsize), kind)

    def _scratch(self, shape: Sequence[int], dtype: np.dtype | type | str) -> Buffer:
        buffer = self._temporary(shape, dtype)
        self._spent.append(buffer.base)
        return buffer

    def _free_scratch(self) -> None:
        self._idle += self._spent
        self._spent = []

    def _hold(self, node: Tensor, places: tuple[Buffer, ...]) -> None:
        """Place a node, and let go of what it was the last to read."""
        self.places[id(node)] = places
        for buffer in places:
            if buffer.base in self._uses:
                self._uses[buffer.base] += self.shared.reads[id(node)]
        for value in node.inputs:
            for buffer in self.places[id(value)]:
                if buffer.base in self._uses:
                    self._uses[buffer.base] -= 1
                    if not self._uses[buffer.base]:
                        self._idle.append(buffer.base)


def _views_of(value: Tensor, nodes: Sequence[Tensor]) -> set[int]:
    """Ids of a value and of what may be views of it."""
    seen = {id(value)}
    for node in nodes:
        if isinstance(node.op, View) and id(node.inputs[0]) in seen:
            seen.add(id(node))
    return seen
