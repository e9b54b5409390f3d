"""Loops and choices: the rows of their inner graphs, and the blocks around these rows."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.compiler.plan.loops import LoopBuffers
from symgraph.compiler.plan.memory import Memory
from symgraph.compiler.plan.turns import plan_turns
from symgraph.compiler.plan.untils import UntilBuffers
from symgraph.graph.body import Body
from symgraph.graph.dims import Unknown
from symgraph.graph.evaluate import concrete_shape
from symgraph.graph.op import Part
from symgraph.graph.ops.cond import Cond
from symgraph.graph.ops.scan import Scan
from symgraph.graph.ops.until import Until
from symgraph.graph.tensor import Tensor, topological
from symgraph.graph.types import TupleType
from symgraph.kernels.index import copy_rows, fill_rows
from symgraph.kernels.run.buffer import Buffer

Buffers = Buffer | tuple[Buffer, ...]


class Blocks:
    """The part of the planner that plans nodes with inner graphs.

    `buffers` has what is placed, by the ids of nodes; `pending` how often each node is read.
    """

    def __init__(self, memory: Memory, sizes: dict[Unknown, int], threads: int) -> None:
        self.memory = memory
        self.sizes = sizes
        self.threads = threads
        self.buffers: dict[int, Buffers] = {}
        self.pending: dict[int, int] = {}

    def _node(self, node: Tensor, into: tuple[Buffer | None, ...] = ()) -> None:
        """Place `node` and append its rows."""
        raise NotImplementedError

    def _buffer(self, node: Tensor) -> Buffer:
        buffer = self.buffers[id(node)]
        assert isinstance(buffer, Buffer), f"{node!r} has several results"
        return buffer

    def _place(self, node: Tensor, buffers: Buffers) -> None:
        self.buffers[id(node)] = buffers
        for part in buffers if isinstance(buffers, tuple) else (buffers,):
            if part.base in self.memory.temporaries:
                self.memory.temporaries[part.base].uses += self.pending.get(id(node), 0)

    def _release(self, inputs: Sequence[Tensor]) -> None:
        for value in inputs:
            buffers = self.buffers[id(value)]
            for part in buffers if isinstance(buffers, tuple) else (buffers,):
                if part.base in self.memory.temporaries:
                    self.memory.temporaries[part.base].uses -= 1

    def _scan(self, node: Tensor, op: Scan) -> None:
        """A scan as a loop around the rows of its body."""
        assert isinstance(node.type, TupleType) and isinstance(op.length, int)
        given = [self._buffer(value) for value in node.inputs]
        results = [
            self.memory.temporary(concrete_shape(kind, self.sizes), kind.dtype) for kind in node.type.items
        ]
        found = plan_turns(node, op, given, results, self.memory, self.sizes, self.threads)
        if found is not None:
            self._place(node, found)
            self._release(node.inputs)
            return
        first = len(self.memory.planned)
        buffers = LoopBuffers(op, given, results, self.memory)
        for source, target in buffers.beginnings():
            self._copy(source, target, node)
        if op.length:
            outside = self.buffers, self.pending
            with self.memory.loop(op.length):
                self._body(node, op.body, buffers.inputs(), buffers.targets())
            self.buffers, self.pending = outside
        self.memory.note_block(node, given, buffers.results, first)
        self._place(node, tuple(buffers.results))
        self._release(node.inputs)

    def _until(self, node: Tensor, op: Until) -> None:
        """A loop around the rows of a body, which ends it."""
        assert isinstance(node.type, TupleType)
        begin, *given = (self._buffer(value) for value in node.inputs)
        results = [
            self.memory.temporary(concrete_shape(kind, self.sizes), kind.dtype) for kind in node.type.items
        ]
        first, outside = len(self.memory.planned), (self.buffers, self.pending)
        buffers = UntilBuffers(op, given, results, self.memory)
        for whole in buffers.outputs():
            rows = fill_rows(whole, 0, threads=self.threads, scratch=self.memory.temporary)
            self.memory.append(rows, node, [], [whole], kind="copy")
        for source, target in buffers.beginnings():
            self._copy(source, target, node)
        if op.most:
            with self.memory.branch(begin) as turn_over:
                with self.memory.loop(op.most, buffers.end):
                    self._body(node, op.body, buffers.inputs(), buffers.targets())
                turn_over()
        self.buffers, self.pending = outside
        self.memory.note_block(node, [begin, *given], results, first)
        self._place(node, tuple(results))
        self._release(node.inputs)

    def _cond(self, node: Tensor, op: Cond) -> None:
        """A choice as a branch around the rows of its two sides."""
        assert isinstance(node.type, TupleType)
        condition, *given = (self._buffer(value) for value in node.inputs)
        results = [
            self.memory.temporary(concrete_shape(kind, self.sizes), kind.dtype) for kind in node.type.items
        ]
        outside, first = (self.buffers, self.pending), len(self.memory.planned)
        with self.memory.branch(condition) as turn_over:
            for number, body in enumerate((op.then, op.otherwise)):
                if number:
                    turn_over()
                # Views, so that no side writes over what the other one needs.
                inputs = [self.memory.moving(buffer) for buffer in given]
                self._body(node, body, inputs, [(result, True) for result in results])
        self.buffers, self.pending = outside
        self.memory.note_block(node, [condition, *given], results, first)
        self._place(node, tuple(results))
        self._release(node.inputs)

    def _body(
        self, node: Tensor, body: Body, inputs: Sequence[Buffer], targets: Sequence[tuple[Buffer, bool]]
    ) -> None:
        """The rows of an inner graph. What was placed outside is forgotten: the caller brings it back."""
        self.buffers = dict(zip(map(id, body.inputs), inputs, strict=True))
        nodes = topological(body.results)
        self.pending = count_uses(nodes, body.results)
        self._turn(node, nodes, body.results, targets)

    def _turn(
        self,
        node: Tensor,
        nodes: Sequence[Tensor],
        results: Sequence[Tensor],
        targets: Sequence[tuple[Buffer, bool]],
    ) -> None:
        """The rows of one turn. Results go to their targets at once, or are copied at its end."""
        into: dict[int, list[Buffer | None]] = {}
        for result, (target, at_once) in zip(results, targets, strict=True):
            part = isinstance(result.op, Part)
            maker, index = (result.inputs[0], result.op.index) if part else (result, 0)  # type: ignore[attr-defined]
            count = len(maker.type.items) if isinstance(maker.type, TupleType) else 1
            slots = into.setdefault(id(maker), [None] * count)
            if at_once and slots[index] is None:
                slots[index] = target
        for inner in nodes:
            self._node(inner, tuple(into.get(id(inner), ())))
        copies = [
            (self._buffer(result), target)
            for result, (target, _) in zip(results, targets, strict=True)
            if self._buffer(result) != target
        ]
        held = {target.base for target, at_once in targets if not at_once}
        for number, (source, target) in enumerate(copies):
            if source.base in held:
                # A state that becomes another one: that may be overwritten before it is read.
                spare = self.memory.temporary(source.shape, source.dtype)
                self._copy(source, spare, node)
                copies[number] = spare, target
        for source, target in copies:
            self._copy(source, target, node)

    def _copy(self, source: Buffer, target: Buffer, node: Tensor) -> None:
        rows = copy_rows(source, target, threads=self.threads, scratch=self.memory.temporary)
        self.memory.append(rows, node, [source], [target], kind="copy")


def count_uses(nodes: Sequence[Tensor], roots: Sequence[Tensor]) -> dict[int, int]:
    """How many times each node is read; results of the graph count as read at the end."""
    uses: dict[int, int] = {}
    for node in nodes:
        for value in node.inputs:
            uses[id(value)] = uses.get(id(value), 0) + 1
    for root in roots:
        uses[id(root)] = uses.get(id(root), 0) + 1_000_000
    return uses
