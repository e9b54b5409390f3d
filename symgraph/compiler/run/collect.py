"""From a compiled Function to plain data: the source of every view."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from symgraph.compiler.lower import Lowered
from symgraph.compiler.program.program import Base, Program
from symgraph.compiler.program.works import Work
from symgraph.graph.body import Body
from symgraph.graph.evaluate import concrete_op, concrete_shape
from symgraph.graph.leaves import Constant, DimValue, Placeholder, VariableRead
from symgraph.graph.op import Op, Part
from symgraph.graph.ops.cond import Cond
from symgraph.graph.ops.elementwise import Cast
from symgraph.graph.ops.fused import Fused, FusedReduction, step_types
from symgraph.graph.ops.host import Watch
from symgraph.graph.ops.scan import Scan
from symgraph.graph.ops.siblings import SiblingReductions
from symgraph.graph.ops.until import Until
from symgraph.graph.origin import Origin
from symgraph.graph.tensor import Tensor, topological
from symgraph.graph.types import TensorType, TupleType
from symgraph.inspection.facts.function import Facts, InputFacts, NodeFacts, PassFacts, PieceFacts, RowFacts
from symgraph.kernels.run.jit import Kernel
from symgraph.kernels.run.machine import Address, Loop, Row
from symgraph.kernels.run.source import KernelSource
from symgraph.passes.pipeline import PIPELINE, run_passes


def collect(name: str, lowered: Lowered, program: Program | None) -> Facts:
    """The facts of a Function's lowered graph and, if it was planned, of its Program."""
    return _Collector(name, lowered, program).facts()


@dataclass(frozen=True)
class Entry:
    """A node with its id, the id of the loop or choice that it is inside of, and its phase."""

    node: Tensor
    id: str
    inside: str | None
    phase: str


def pass_facts(lowered: Lowered) -> tuple[PassFacts, ...]:
    """What each pass did, with the nodes that went and came: the passes are run once more for it."""
    found: list[PassFacts] = []
    current = list(lowered.roots)
    before = _described(current)
    for step in PIPELINE:
        current, (record,) = run_passes(current, (step,))
        after = _described(current)
        hits = {rule: count for rule, count in record.hits.items() if count}
        found.append(
            PassFacts(
                record.name,
                record.before,
                record.after,
                record.seconds,
                hits,
                dict(before - after),
                dict(after - before),
            )
        )
        before = after
    return tuple(found)


def kernel_sources(lowered: Lowered, program: Program, rows: Iterable[int]) -> list[KernelSource]:
    """The kernels of some rows of a Program, each once, with the words of those rows."""
    collector = _Collector("", lowered, program)
    found: dict[Kernel, dict[int, Row]] = {}
    for number in rows:
        kernel = program.rows[number].kernel
        if isinstance(kernel, Kernel):
            found.setdefault(kernel, {})[number] = program.rows[number]

    def place(address: Address) -> str:
        return collector.place(program, address.base, address.offset)

    return [KernelSource(kernel, mine, place) for kernel, mine in found.items()]


def _described(roots: Sequence[Tensor]) -> Counter[str]:
    """The nodes of a graph as texts."""
    return Counter(
        f"{node.op} {node.type}" + (f" in {node.layer}" if node.layer else "")
        for node in topological(roots)
        if not node.op.leaf and not isinstance(node.op, Part)
    )


class _Collector:
    def __init__(self, name: str, lowered: Lowered, program: Program | None) -> None:
        self.name = name
        self.lowered = lowered
        self.program = program
        self.sizes = program.sizes if program else {}
        self.entries = list(entries(lowered))
        self.ids = {id(entry.node): entry.id for entry in self.entries}
        # By their arrays; of several nodes that read one the first.
        self.variables: dict[int, str] = {}
        for entry in self.entries:
            if isinstance(entry.node.op, VariableRead):
                array = entry.node.op.storage.array
                self.variables.setdefault(id(array), entry.node.name or entry.id)
        self.works: dict[int, list[Work]] = {}
        for work in program.inventory.works if program else ():
            if work.kind not in ("view", "block"):
                self.works.setdefault(id(work.node), []).append(work)

    def facts(self) -> Facts:
        """Everything."""
        program, lowered = self.program, self.lowered
        return Facts(
            self.name,
            tuple(InputFacts(self.ids.get(id(t), "-"), t.name, str(t.type)) for t in lowered.inputs),
            tuple(self.ids[id(t)] for t in lowered.outputs),
            tuple(concrete_shape(t.type, self.sizes) for t in lowered.inputs) if program else None,
            tuple(map(self._node, self.entries)),
            tuple(self._rows(program)) if program else (),
            tuple(self._pieces(program)) if program else (),
            program.arena_bytes if program else 0,
            program.buffer_bytes if program else 0,
            program.threads if program else 0,
            program.guarded if program else 0,
            lowered.seconds,
            tuple(PassFacts(r.name, r.before, r.after, r.seconds, dict(r.hits)) for r in lowered.records),
            widened=tuple(
                f"{entry.id} widens float32 to float64, {'; '.join(map(str, origins))}"
                for entry in self.entries
                for origins in _widenings(entry.node)
            ),
        )

    def _node(self, entry: Entry) -> NodeFacts:
        node, works = entry.node, self.works.get(id(entry.node), [])
        kinds = node.type.items if isinstance(node.type, TupleType) else (node.type,)
        rows = tuple(sorted(row for work in works for row in work.rows))
        turns = self._turns(rows[0]) if rows else 1
        known = self.program is not None
        return NodeFacts(
            entry.id,
            str(node.op),
            re.split(r"[\[(]", str(node.op))[0],
            _role(node.op),
            str(node.type),
            entry.phase,
            node.name,
            node.layer,
            tuple(map(str, node.origins)),
            tuple(self.ids.get(id(value), "-") for value in node.inputs),
            entry.inside,
            tuple(concrete_shape(kind, self.sizes) for kind in kinds) if known else None,
            tuple(kind.dtype for kind in kinds if isinstance(kind, TensorType)),
            turns * sum(work.flops for work in works) if known and not isinstance(node.op, Watch) else None,
            turns * self._bytes(node, works) if known else None,
            inspect.getdoc(node.op.flops) or "" if type(node.op).flops is not Op.flops else "no arithmetic",
            turns,
            rows,
        )

    def _bytes(self, node: Tensor, works: Sequence[Work]) -> int:
        """Bytes that have to be moved in one turn: operands and results once, and those of copies.

        What slices read again, and sum up, comes from caches: a node is counted once, whole.
        """
        op = node.op
        whole = op.leaf or op.aliases or isinstance(op, (Scan, Until, Cond))  # no rows but copies
        copies = [work for work in works if whole or work.slice == 0]
        total = 0
        if copies and not whole:
            copies = copies[1:]
            total = concrete_op(op, self.sizes).bytes(
                [kind for value in node.inputs for kind in self._types(value)], self._types(node)
            )
        return total + sum(b.nbytes for work in copies for b in (*work.inputs, *work.outputs))

    def _types(self, node: Tensor) -> list[TensorType]:
        """The types of a node's results, with the sizes of this Program."""
        kinds = node.type.items if isinstance(node.type, TupleType) else (node.type,)
        return [TensorType(kind.dtype, concrete_shape(kind, self.sizes)) for kind in kinds]

    def _rows(self, program: Program) -> Iterator[RowFacts]:
        gangs = [number for number, size in enumerate(program.gangs) for _ in range(size)]
        for number, row in enumerate(program.rows):
            work = program.inventory.works[program.inventory.work_of_row(number)]
            yield RowFacts(
                number,
                self.ids[id(row.node)],
                row.kernel.name,
                row.tiles,
                row.slice,
                gangs[number],
                self._turns(number),
                tuple(self.place(program, b.base, b.offset) for b in work.inputs),
                tuple(self.place(program, b.base, b.offset) for b in work.outputs),
            )

    def _pieces(self, program: Program) -> Iterator[PieceFacts]:
        for piece in sorted(program.inventory.arena, key=lambda p: (p.first, p.offset)):
            yield PieceFacts(piece.offset, piece.nbytes, piece.first, piece.last, self.ids[id(piece.node)])

    def _turns(self, row: int) -> int:
        """How often a row runs in a call: the product of the turns of the loops around it."""
        assert self.program is not None
        turns = 1
        for block in self.program.blocks:
            # One that its body ends counts once.
            if isinstance(block, Loop) and block.first <= row < block.end and block.until is None:
                turns *= block.turns
        return turns

    def place(self, program: Program, base: int, offset: int) -> str:
        """Where an operand lies: ``arena+4096``, ``feed 0``, ``output 1``, or a variable's name."""
        where = program.bases[base]
        if where.kind == "array":
            return self._array_name(where)
        if where.kind == "moved":
            starts = "+".join(f"{start.start}*{start.stride}" for start in where.starts)
            return f"{self.place(program, where.index, offset)}+{starts}"
        label = where.kind if where.kind == "arena" else f"{where.kind} {where.index}"
        return f"{label}+{offset}" if offset or where.kind == "arena" else label

    def _array_name(self, base: Base) -> str:
        return self.variables.get(id(base.array), "constant")


class NodeIds:
    """The ids of the nodes of a lowered graph, as in the listing."""

    def __init__(self, lowered: Lowered) -> None:
        self.entries = list(entries(lowered))
        self._of = {id(entry.node): entry for entry in self.entries}
        self._named = {entry.id: entry for entry in self.entries}

    def of(self, node: Tensor) -> str:
        """The id of a node, ``-`` for one that is not of this graph."""
        entry = self._of.get(id(node))
        return "-" if entry is None else entry.id

    def node(self, name: str) -> Tensor | None:
        """The node with an id."""
        entry = self._named.get(name)
        return None if entry is None else entry.node

    def around(self, node: Tensor) -> list[str]:
        """The ids of the loops and choices that a node is inside of, the outermost first."""
        found: list[str] = []
        entry = self._of.get(id(node))
        while entry is not None and entry.inside is not None:
            entry = self._named[entry.inside]
            found.append(entry.id)
        return found[::-1]

    def loops(self, node: Tensor) -> list[str]:
        """The ids of the loops that a node is inside of, the outermost first."""
        return [name for name in self.around(node) if isinstance(self._named[name].node.op, (Scan, Until))]


def entries(lowered: Lowered) -> Iterator[Entry]:
    """All nodes with ids, inner ones after the loop or choice that they are inside of."""
    forward = {id(n) for n in topological(lowered.outputs)}
    tail = {id(n) for n in lowered.tail}
    for number, node in enumerate(lowered.nodes):
        phase = "forward" if id(node) in forward else "update" if id(node) in tail else "backward"
        yield from _with_inner(node, f"%{number}", None, phase)


def _with_inner(node: Tensor, name: str, inside: str | None, phase: str) -> Iterator[Entry]:
    yield Entry(node, name, inside, phase)
    count = 0
    for body in _bodies(node.op):
        for inner in topological([*body.inputs, *body.results]):
            yield from _with_inner(inner, f"{name}.{count}", name, phase)
            count += 1


def _widenings(node: Tensor) -> Iterator[tuple[Origin, ...]]:
    """Where each cast from float32 to float64 comes from that a node does."""
    op = node.op
    if isinstance(op, Cast) and op.dtype == "float64" and node.inputs[0].dtype == "float32":
        yield node.origins
    if isinstance(op, (Fused, FusedReduction, SiblingReductions)):
        kinds = step_types(op.steps, [value.tensor_type for value in node.inputs])
        for number, (step, arguments) in enumerate(op.steps):
            if isinstance(step, Cast) and step.dtype == "float64" and kinds[arguments[0]].dtype == "float32":
                yield op.origins[number] if op.origins else node.origins


def _bodies(op: Op) -> Sequence[Body]:
    """The inner graphs of an op."""
    return [value for value in vars(op).values() if isinstance(value, Body)]


def _role(op: Op) -> str:
    for kind, role in (
        (Placeholder, "input"),
        (VariableRead, "variable"),
        (Constant, "constant"),
        (DimValue, "size"),
        (Part, "part"),
    ):
        if isinstance(op, kind):
            return role
    return "op"
