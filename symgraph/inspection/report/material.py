"""The data behind a report, and figures derived from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

from symgraph.inspection.draw.outline import Cluster, Outline
from symgraph.inspection.facts.function import Facts, NodeFacts, PassFacts, PieceFacts, RowFacts
from symgraph.inspection.facts.hardware import HardwareFacts
from symgraph.inspection.facts.times import FunctionTimes
from symgraph.kernels.ceilings import Ceilings
from symgraph.kernels.run.source import KernelSource

_MOST_PAGES = 3000


class Made(Protocol):
    """A lowering or planning: see `symgraph.compiler.run.named_graph.Compilation`."""

    @property
    def what(self) -> str:
        """``lower`` or ``plan``."""

    @property
    def reason(self) -> str:
        """Why."""

    @property
    def seconds(self) -> float:
        """What it took."""

    @property
    def compiled(self) -> int:
        """Kernels made meanwhile."""

    @property
    def loaded(self) -> int:
        """Kernels that came from the disk."""

    @property
    def kernel_seconds(self) -> float:
        """What making kernels took of `seconds`."""


@dataclass(frozen=True)
class Material:
    """The data behind a report.

    Attributes
    ----------
    facts : Facts
    times : FunctionTimes or None
        Of the same Program; None where nothing was measured.
    passes : sequence of PassFacts
        With what they changed, or only counts.
    compilations : sequence of Made
    sources : mapping of str to KernelSource
        By the kernel's name.
    hardware : HardwareFacts
    ceilings : sequence of Ceilings
        For one thread, and for those of the Program.
    """

    facts: Facts
    times: FunctionTimes | None
    passes: Sequence[PassFacts]
    compilations: Sequence[Made]
    sources: Mapping[str, KernelSource]
    hardware: HardwareFacts
    ceilings: Sequence[Ceilings]

    def with_sources(self, sources: Mapping[str, KernelSource]) -> Material:
        """The same, with the code of kernels."""
        return replace(self, sources=sources)


@dataclass(frozen=True)
class Measure:
    """Of one node or several, in a call: seconds (None where not measured), operations, bytes.

    `least` are the seconds that the ceilings of the hardware allow, None without ceilings.
    """

    seconds: float | None
    flops: int | None
    bytes: int
    least: float | None

    @property
    def attained(self) -> float | None:
        """Share of the roofline that was reached; None where not known."""
        if not self.seconds or self.least is None or self.flops is None:
            return None
        return self.least / self.seconds

    @property
    def intensity(self) -> float | None:
        """Operations a byte; None where not known."""
        return self.flops / self.bytes if self.bytes and self.flops is not None else None

    @property
    def recoverable(self) -> float:
        """Seconds above the least ones; 0 where they are not known."""
        if not self.seconds or self.least is None or self.flops is None:
            return 0.0
        return max(self.seconds - self.least, 0.0)


class Numbers:
    """Numbers of a report, by node and by cluster: a layer's nodes, loops with all inside of them."""

    def __init__(self, material: Material) -> None:
        self.material = material
        self.facts = material.facts
        self.times = material.times
        self.outline = Outline(material.facts)
        self.nodes = self.outline.nodes
        self.ceiling = next((c for c in material.ceilings if c.threads == self.facts.threads), None)
        self._seconds = self.times.node_seconds() if self.times is not None else {}

    @property
    def calls(self) -> int:
        """Warm calls that were measured."""
        return max(self.times.calls, 1) if self.times is not None else 1

    @property
    def call_seconds(self) -> float | None:
        """Wall time of a warm call; None where nothing was measured."""
        return self.times.seconds / self.calls if self.times is not None else None

    @cached_property
    def work(self) -> tuple[NodeFacts, ...]:
        """The nodes that have rows, those first that take most time (or have most operations, bytes)."""

        def key(node: NodeFacts) -> tuple[float, int, int, int]:
            return (
                -self._seconds.get(node.id, 0.0),
                -(node.flops or 0),
                -(node.bytes or 0),
                self.outline.number[node.id],
            )

        return tuple(sorted((node for node in self.facts.nodes if node.rows), key=key))

    @cached_property
    def _inside(self) -> dict[str, list[NodeFacts]]:
        """Nodes that have rows, by the node of the outer graph that they are inside of."""
        found: dict[str, list[NodeFacts]] = {}
        for node in self.work:
            found.setdefault(node.id.split(".")[0], []).append(node)
        return found

    def of(self, nodes: Sequence[NodeFacts]) -> Measure:
        """The measure of nodes of the outer graph, together with what is inside of them."""
        return self._sum(self.inner(nodes))

    def inner(self, nodes: Sequence[NodeFacts]) -> list[NodeFacts]:
        """Those with rows of nodes of the outer graph and of all that is inside of them, as in `work`."""
        found = [inner for node in nodes for inner in self._inside.get(node.id, [])]
        return sorted(found, key=lambda node: self._place[node.id])

    @cached_property
    def _place(self) -> dict[str, int]:
        return {node.id: i for i, node in enumerate(self.work)}

    def of_node(self, node: NodeFacts) -> Measure:
        """The measure of one node alone."""
        return self._sum([node])

    def _sum(self, nodes: Sequence[NodeFacts]) -> Measure:
        seconds = sum(self._seconds.get(node.id, 0.0) for node in nodes) / self.calls
        unknown = any(node.flops is None for node in nodes)
        flops = None if unknown else sum(node.flops or 0 for node in nodes)
        moved = sum(node.bytes or 0 for node in nodes)
        least = None
        if self.ceiling is not None:
            least = sum(self.ceiling.seconds(node.flops or 0, node.bytes or 0) for node in nodes)
        return Measure(seconds if self.times is not None else None, flops, moved, least)

    @cached_property
    def total(self) -> Measure:
        """The measure of the whole call."""
        return self._sum(self.work)

    @cached_property
    def clusters(self) -> dict[str, Measure]:
        """By cluster."""
        return {key: self.of(cluster.nodes) for key, cluster in self.outline.clusters.items()}

    def ranked(self) -> list[tuple[Cluster, Measure]]:
        """Clusters with work, the longest first (without times: those with the most operations)."""
        pairs = [(self.outline.clusters[key], m) for key, m in self.clusters.items()]
        return sorted(
            ((c, m) for c, m in pairs if m.bytes or m.seconds),
            key=lambda p: (-(p[1].seconds or 0.0), -(p[1].flops or 0), -p[1].bytes, p[0].key),
        )

    def share(self, measure: Measure) -> float | None:
        """The share of a call's time; None where nothing was measured."""
        if measure.seconds is None or not self.call_seconds:
            return None
        return measure.seconds / self.call_seconds

    @cached_property
    def rows(self) -> dict[str, list[RowFacts]]:
        """Rows by node."""
        found: dict[str, list[RowFacts]] = {}
        for row in self.facts.rows:
            found.setdefault(row.node, []).append(row)
        return found

    @cached_property
    def kernels(self) -> list[str]:
        """The names of the kernels, those first that take most time."""
        return list(dict.fromkeys(row.kernel for node in self.work for row in self.rows[node.id]))

    @cached_property
    def _pieces(self) -> dict[int, list[PieceFacts]]:
        found: dict[int, list[PieceFacts]] = {}
        for piece in self.facts.arena:
            found.setdefault(piece.offset, []).append(piece)
        return found

    @cached_property
    def _starts(self) -> list[int]:
        return sorted(self._pieces)

    def piece(self, place: str, row: int) -> PieceFacts | None:
        """The piece of the arena that a place (``arena+4096``) is in while a row runs."""
        if not place.startswith("arena+"):
            return None
        offset = int(place.removeprefix("arena+"))
        if offset in self._pieces:
            candidates = self._pieces[offset]
        else:
            candidates = [b for b in self.facts.arena if b.offset <= offset < b.offset + b.nbytes]
        return next((b for b in candidates if b.first <= row <= b.last), None)

    def overwritten(self, node: NodeFacts) -> NodeFacts | None:
        """The node in whose place this one writes its result; None where it has a place of its own."""
        rows = self.rows.get(node.id, [])
        taken = {place for row in rows for place in row.results}
        for name in node.inputs:
            source = self.outline.producer(name)
            if source is None or source.id == node.id:
                continue
            last = self.rows.get(source.id, [])
            if any(place in taken for row in last for place in row.results if place.startswith("arena")):
                return source
        return None

    @cached_property
    def page_ids(self) -> dict[str, None]:
        """The nodes that get pages: those with work first, then the others, 3,000 in all."""
        roles = ("op", "variable", "input", "part")
        rest = (node.id for node in self.facts.nodes if not node.rows and node.role in roles)
        return dict.fromkeys([*(node.id for node in self.work), *rest][:_MOST_PAGES])

    @cached_property
    def _readers(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for node in self.facts.nodes:
            for name in dict.fromkeys(node.inputs):
                found.setdefault(name, []).append(node.id)
        return found

    def reader_ids(self, name: str) -> list[str]:
        """The nodes that read a node."""
        return self._readers.get(name, [])

    @cached_property
    def _kernel_numbers(self) -> dict[str, int]:
        named = [name for name in self.kernels if name in self.material.sources]
        return {name: number for number, name in enumerate(named)}

    def kernel_number(self, name: str) -> int | None:
        """The number of a kernel's page; None where its code is not given."""
        return self._kernel_numbers.get(name)
