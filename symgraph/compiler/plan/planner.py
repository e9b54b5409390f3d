"""The planner: a lowered graph and the sizes of one call become a Program.

It walks the nodes in running order, gives each result a buffer (a view where that is possible, an input's
memory where that input dies here and the op works in place), collects the kernels' rows, puts those that do
not need each other into gangs, reads every temporary's lifetime off them and packs them into one arena.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Literal

import numpy as np

from symgraph.compiler.lower import Lowered
from symgraph.compiler.plan.blocks import Blocks, count_uses
from symgraph.compiler.plan.depth_first import Home, SlicedRun, Spare, arrange
from symgraph.compiler.plan.kept import KeptWeights
from symgraph.compiler.plan.memory import Memory
from symgraph.compiler.plan.moved import is_moving, moving_view
from symgraph.compiler.plan.regions import Places, regions
from symgraph.compiler.program.program import Base, Program
from symgraph.graph.dims import Unknown
from symgraph.graph.evaluate import bind_shape, bind_shapes, check_requirements, concrete_op, concrete_shape
from symgraph.graph.leaves import Constant, DimValue, Placeholder, Storage, VariableRead
from symgraph.graph.op import Op, Part
from symgraph.graph.ops.cond import Cond
from symgraph.graph.ops.scan import Scan
from symgraph.graph.ops.slicing import Place
from symgraph.graph.ops.until import Until
from symgraph.graph.tensor import Tensor, consumers
from symgraph.graph.types import TensorType, TupleType
from symgraph.kernels.elementwise import Instruction, elementwise_rows
from symgraph.kernels.index import copy_rows, fill_rows
from symgraph.kernels.run.buffer import Buffer, contiguous_strides

Mode = Literal["fast", "pinned", "dry"]
"""``pinned``: the same rows, but no value takes another's place, rows run one by one, and new values of
variables are stored last; ``dry``: as pinned, and they are not stored at all."""


def plan(
    lowered: Lowered,
    shapes: Sequence[tuple[int, ...]],
    threads: int,
    mode: Mode = "fast",
    measured: Mapping[Unknown, int] | None = None,
) -> Program:
    """A Program for inputs of `shapes`, and for sizes that were measured (see `sizing.py`).

    ValueError where sizes contradict the graph.
    """
    sizes: dict[Unknown, int] = dict(measured or {})
    known = list(zip(lowered.inputs, shapes, strict=True))
    bind_shapes(known, sizes)
    # What is given may tell sizes of what it stands for, and through these sizes of what is given later.
    for old, new in (*lowered.given, *lowered.given):
        bind_shape(old, concrete_shape(new.type, sizes), sizes)
    for variable, value in lowered.updates:
        shape = concrete_shape(value.type, sizes)
        if shape != variable.shape:
            raise ValueError(
                f"{value.origins[0]}: updates: variable {variable.name} has shape {variable.shape}, "
                f"its new value {shape}"
            )
    return _Planner(lowered, sizes, shapes, threads, mode).program()


class _Planner(Blocks):
    def __init__(
        self,
        lowered: Lowered,
        sizes: dict[Unknown, int],
        shapes: Sequence[tuple[int, ...]],
        threads: int,
        mode: Mode,
    ) -> None:
        self.lowered = lowered
        self.mode = mode
        super().__init__(Memory(pinned=mode != "fast"), sizes, threads)
        roots = [*lowered.outputs, *(value for _, value in lowered.updates)]
        self.pending = count_uses(lowered.nodes, roots)
        self.offered: Places = {}
        self.output_bases: dict[int, int] = {}
        self.results: list[Buffer] = []
        self.changed = {id(variable.storage): variable.storage for variable, _ in lowered.updates}
        self.read: dict[int, Storage] = {}
        self.kept = KeptWeights(lowered.nodes)
        for index, (tensor, shape) in enumerate(zip(lowered.inputs, shapes, strict=True)):
            self.buffers[id(tensor)] = self.memory.external(Base("feed", index), shape, tensor.dtype)
        self.outputs = [(concrete_shape(t.type, sizes), t.dtype) for t in lowered.outputs]

    def program(self) -> Program:
        """Walk body, outputs, tail; then pack."""
        for index, (shape, dtype) in enumerate(self.outputs):
            self.results.append(self.memory.external(Base("output", index), shape, dtype))
        for node, result in zip(self.lowered.outputs, self.results, strict=True):
            self.output_bases.setdefault(id(node), result.base)
        if self.mode == "fast":
            self.offered = regions(self.lowered.body, self.memory, self.sizes, self.pending)
        roots = {id(root) for root in (*self.lowered.outputs, *(v for _, v in self.lowered.updates))}
        for item in arrange(self.lowered.body, roots, self.sizes, self._readers, self.threads):
            if isinstance(item, SlicedRun):
                self._slices(item)
            else:
                self._node(item, self.offered.get(id(item), ()))
        self._copy_outputs()
        copies = self._save_old_values()
        guarded = len(self.memory.planned)
        self._tail()
        self._store(copies)
        read, changed = list(self.read.values()), list(self.changed.values())
        return self.memory.program(self.outputs, guarded, self.threads, read, changed, self.sizes)

    # Nodes

    def _node(self, node: Tensor, into: tuple[Buffer | None, ...] = ()) -> None:
        """Place `node` and append its rows. `into` names buffers that results have to go to."""
        if id(node) in self.buffers:
            return
        check_requirements(node, self.sizes)
        op = concrete_op(node.op, self.sizes)
        if isinstance(op, (Constant, DimValue, VariableRead)):
            self._place(node, self._leaf(op, node))
            return
        assert not isinstance(op, Placeholder), f"{node!r} was not fed"
        if isinstance(op, Part):
            self._place(node, self.buffers[id(node.inputs[0])][op.index])  # type: ignore[index]
            self._release(node.inputs)
            return
        if isinstance(op, Scan):
            self._scan(node, op)
            return
        if isinstance(op, Cond):
            self._cond(node, op)
            return
        if isinstance(op, Until):
            self._until(node, op)
            return
        inputs = [self._buffer(i) for i in node.inputs]
        moving = is_moving(node)
        if isinstance(op, Place) and moving:
            self._moving_place(node, op, inputs[0], into)
            return
        if isinstance(node.type, TensorType):
            view = op.view(inputs[0], concrete_shape(node.type, self.sizes)) if inputs else None
            if moving and view is not None:
                view = moving_view(self.memory, self.sizes, node, inputs[0], view.shape)
            if view is not None:
                self._place(node, view)
                self.memory.append([], node, inputs, [view], kind="view")
                self._release(node.inputs)
                return
        outputs = self._results(node, op, inputs, into)
        offered = self.kept.offered(inputs, outputs[0])
        rows = op.rows(offered, outputs, threads=self.threads, scratch=self.memory.temporary)
        work = op.flops([b.shape for b in inputs], [b.shape for b in outputs])
        self.memory.append(rows, node, inputs, outputs, work)
        self._place(node, outputs[0] if isinstance(node.type, TensorType) else tuple(outputs))
        self._release(node.inputs)

    def _moving_place(self, node: Tensor, op: Place, part: Buffer, into: tuple[Buffer | None, ...]) -> None:
        """A constant, and a copy to the place in it that every call finds out."""
        (out,) = self._results(node, op, [part], into)
        rows = fill_rows(out, op.value, threads=self.threads, scratch=self.memory.temporary)
        self.memory.append(rows, node, [], [out])
        target = moving_view(self.memory, self.sizes, node, out, part.shape)
        rows = copy_rows(part, target, threads=self.threads, scratch=self.memory.temporary)
        self.memory.append(rows, node, [part], [out], kind="copy")
        self._place(node, out)
        self._release(node.inputs)

    def _leaf(self, op: Constant | DimValue | VariableRead, node: Tensor) -> Buffer:
        if isinstance(op, VariableRead):
            array = op.storage.array
            buffer = self.memory.external(Base("array", array=array), array.shape, array.dtype.name)
            if id(op.storage) in self.changed:
                return buffer
            return replace(buffer, room=partial(self._room, op.storage))
        array = op.array if isinstance(op, Constant) else op.value(self.sizes)
        return self.memory.external(
            Base("array", array=np.ascontiguousarray(array)), array.shape, array.dtype.name
        )

    def _room(self, storage: Storage, shape: Sequence[int], dtype: np.dtype) -> Buffer:
        """Memory kept between calls, for data derived from a variable."""
        self.read[id(storage)] = storage
        return self.memory.kept(shape, dtype)

    def _results(
        self, node: Tensor, op: Op, inputs: Sequence[Buffer], into: tuple[Buffer | None, ...]
    ) -> list[Buffer]:
        kinds = node.type.items if isinstance(node.type, TupleType) else (node.type,)
        dying = [] if self.memory.pinned else self._dying(inputs, op.overwritable(inputs))
        results = []
        for index, kind in enumerate(kinds):
            shape = concrete_shape(kind, self.sizes)
            if index < len(into) and into[index] is not None:
                results.append(into[index])
            elif id(node) in self.output_bases and isinstance(node.type, TensorType):
                results.append(self._output_buffer(node, shape, kind.dtype))
            else:
                results.append(
                    self._in_place(dying, shape, kind.dtype) or self.memory.temporary(shape, kind.dtype)
                )
        return results  # type: ignore[return-value]

    def _output_buffer(self, node: Tensor, shape: tuple[int, ...], dtype: str) -> Buffer:
        """The graph's output that `node` is."""
        kind = np.dtype(dtype)
        strides = contiguous_strides(shape, kind.itemsize)
        return Buffer(self.output_bases[id(node)], 0, shape, strides, kind)

    def _dying(self, inputs: Sequence[Buffer], candidates: Sequence[Buffer]) -> list[Buffer]:
        """Those in the arena that nobody reads after this node, read through one buffer only."""
        found = []
        for buffer in dict.fromkeys(candidates):
            same = [b for b in inputs if b.base == buffer.base]
            temporary = self.memory.temporaries.get(buffer.base)
            if (
                temporary
                and temporary.uses == len(same)
                and all(b == buffer for b in same)
                and buffer.contiguous
            ):
                found.append(buffer)
        return found

    def _in_place(self, dying: list[Buffer], shape: tuple[int, ...], dtype: str) -> Buffer | None:
        for buffer in dying:
            if buffer.shape == shape and buffer.dtype.itemsize == np.dtype(dtype).itemsize and buffer.size:
                dying.remove(buffer)
                return replace(buffer, dtype=np.dtype(dtype))
        return None

    def _readers(self) -> dict[int, list[Tensor]]:
        return consumers(self.lowered.nodes)

    # Slices

    def _slices(self, run: SlicedRun) -> None:
        """Place the nodes of a run and append their rows, slice by slice."""
        homes: dict[int, list[Home]] = {}
        for node in run.nodes:
            check_requirements(node, self.sizes)
            if isinstance(node.op, Part):
                homes[id(node)] = [homes[id(node.inputs[0])][node.op.index]]
            else:
                homes[id(node)] = self._homes(node, run)
        spare = {id(node): Spare(self.memory.temporary) for node in run.nodes}
        for number, (start, end) in enumerate(pairwise(run.bounds)):
            for node in run.nodes:
                if not isinstance(node.op, Part):
                    self._slice(node, run, homes, spare[id(node)], number, (start, end))
        for node in run.nodes:
            buffers = [home.buffer for home in homes[id(node)]]
            self._place(node, tuple(buffers) if isinstance(node.type, TupleType) else buffers[0])
        for node in run.nodes:
            self._release(node.inputs)

    def _homes(self, node: Tensor, run: SlicedRun) -> list[Home]:
        """Where the results of a node of a run go."""
        kinds = node.type.items if isinstance(node.type, TupleType) else (node.type,)
        homes = []
        for index, kind in enumerate(kinds):
            shape = concrete_shape(kind, self.sizes)
            inner = run.is_inner(node, index)
            place = self.offered.get(id(node), (None,) * len(kinds))[index]
            if place is not None:
                buffer = place
            elif id(node) in self.output_bases and isinstance(node.type, TensorType):
                buffer = self._output_buffer(node, shape, kind.dtype)
            else:
                buffer = self.memory.temporary((run.most, *shape[1:]) if inner else shape, kind.dtype)
            homes.append(Home(buffer, inner))
        return homes

    def _slice(
        self,
        node: Tensor,
        run: SlicedRun,
        homes: Mapping[int, list[Home]],
        spare: Spare,
        number: int,
        samples: tuple[int, int],
    ) -> None:
        """The rows of one node for one slice."""
        cut = run.cuts[id(node)]
        inputs = []
        for value, own in zip(node.inputs, cut.inputs, strict=True):
            home = homes[id(value)][0] if id(value) in homes else Home(self._buffer(value))
            inputs.append(home.part(*samples) if own else home.buffer)
        spare.restart()
        targets = [home.buffer if cut.added else home.part(*samples) for home in homes[id(node)]]
        outputs = [spare(t.shape, t.dtype) for t in targets] if cut.added and number else targets
        op = concrete_op(node.op, self.sizes)
        rows = op.rows(inputs, outputs, threads=self.threads, scratch=spare)
        work = op.flops([b.shape for b in inputs], [b.shape for b in outputs])
        self.memory.append(rows, node, inputs, outputs, work, number)
        for target, part in zip(targets, outputs, strict=True):
            if part is not target:
                add = Instruction("add", (0, 1), target.dtype.name)
                both = [target, part]
                rows = elementwise_rows((add,), (2,), both, [target], threads=self.threads, scratch=spare)
                self.memory.append(rows, node, both, [target], target.size, number, "add")

    # Outputs and updates

    def _copy_outputs(self) -> None:
        """Outputs that are views, leaves, or repeated are copied out."""
        for node, target in zip(self.lowered.outputs, self.results, strict=True):
            source = self._buffer(node)
            if source.base != target.base:
                self._copy(source, target, node)

    def _variable_buffer(self, array: np.ndarray, writer: Tensor | None = None) -> Buffer:
        """The memory of a variable: as `writer` reads it, if its first input is what it overwrites."""
        read = self._placed(writer.inputs[:1]) if writer is not None and writer.op.overwrites else []
        same = [buffer for buffer in read if self.memory.array(buffer) is array]
        return (
            same[0]
            if same
            else self.memory.external(Base("array", array=array), array.shape, array.dtype.name)
        )

    def _save_old_values(self) -> list[tuple[Buffer, Buffer, Tensor]]:
        """New values that the body made.

        Kept (copied, where they are other variables' memory) until the tail.
        """
        tail = {id(n) for n in self.lowered.tail}
        copies = []
        for variable, value in self.lowered.updates:
            if id(value) in tail:
                continue
            source = self._buffer(value)
            if self.memory.array(source) is not None:
                kept = self.memory.temporary(source.shape, source.dtype)
                self._copy(source, kept, value)
                source = kept
            copies.append((source, self._variable_buffer(variable.storage.array), value))
        return copies

    def _tail(self) -> None:
        """Sweeps that make new values: straight into the variable where no later sweep reads the old one."""
        targets: dict[int, list[np.ndarray]] = {}
        for variable, value in self.lowered.updates:
            targets.setdefault(id(value), []).append(variable.storage.array)
        last_reader: dict[int, int] = {}
        for position, node in enumerate(self.lowered.tail):
            for buffer in self._placed(node.inputs):
                last_reader[id(self.memory.array(buffer))] = position
        owner: dict[int, list[Tensor]] = {
            id(n.inputs[0]): [] for n in self.lowered.tail if isinstance(n.op, Part)
        }
        for node in self.lowered.tail:
            if isinstance(node.op, Part):
                owner[id(node.inputs[0])].append(node)
        deferred: list[tuple[Tensor, np.ndarray]] = []
        pinned = self.memory.pinned
        for position, node in enumerate(self.lowered.tail):
            results = owner.get(id(node), [node])
            if isinstance(node.op, Part):
                self._node(node)
                continue
            count = len(node.type.items) if isinstance(node.type, TupleType) else 1
            into: list[Buffer | None] = [None] * count
            for result in results:
                index = result.op.index if isinstance(result.op, Part) else 0
                arrays = targets.get(id(result), [])
                late = arrays and last_reader.get(id(arrays[0]), -1) > position
                # A pinned Program stores all new values at its very end: until then the step can be left.
                if arrays and not late and not pinned and self._fits(node, result, arrays[0]):
                    into[index] = self._variable_buffer(arrays[0], node)
                    arrays = arrays[1:]
                deferred.extend((result, array) for array in arrays)
            self._node(node, tuple(into))
        if self.mode != "dry":
            for result, array in deferred:
                self._copy(self._buffer(result), self._variable_buffer(array), result)

    def _placed(self, inputs: Sequence[Tensor]) -> list[Buffer]:
        """Those inputs of a tail node that lie in fixed arrays (variables, constants), also through views."""
        found = [self.buffers.get(id(i)) for i in inputs]
        return [b for b in found if isinstance(b, Buffer) and self.memory.array(b) is not None]

    def _fits(self, node: Tensor, result: Tensor, array: np.ndarray) -> bool:
        """Whether `node` may write over `array`: of its type, and read, if at all, element by element."""
        same = concrete_shape(result.type, self.sizes) == array.shape and result.dtype == array.dtype.name
        others = self._placed(node.inputs[1:]) if node.op.overwrites else ()  # read in any order
        same = same and all(self.memory.array(b) is not array for b in others)
        return same and all(
            b.offset == 0
            and b.shape == array.shape
            and b.strides == contiguous_strides(array.shape, array.itemsize)
            for b in self._placed(node.inputs)
            if self.memory.array(b) is array
        )

    def _store(self, copies: Sequence[tuple[Buffer, Buffer, Tensor]]) -> None:
        if self.mode != "dry":
            for source, target, node in copies:
                self._copy(source, target, node)
