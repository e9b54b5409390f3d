"""All that is known about a compiled Function, as plain data: the source of every view.

The compiler fills it in (`symgraph.compiler.run.collect`); views and exports read nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import symgraph

SCHEMA = 1
"""Version of the data: raised when a field changes its meaning."""


@dataclass(frozen=True)
class NodeFacts:
    """A node of the rewritten graph.

    Attributes
    ----------
    id : str
        ``%12`` as in the listing; nodes of inner graphs (loops, choices) are ``%12.3``.
    kind : str
        The op's name without parameters; ``op`` has them.
    role : str
        ``input``, ``variable``, ``constant``, ``size``, ``part`` or ``op``.
    phase : str
        ``forward``: outputs need it; ``update``: it only makes new values of variables, at the end;
        ``backward``: all else.
    shapes, dtypes
        Of its results, for the sizes of this Program.
    inputs : tuple of str
        Ids.
    inside : str or None
        The id of the loop or choice that it is inside of.
    flops, bytes : int or None
        Of one call, all turns of loops and all slices together; None where there is no Program, or where
        nobody can know (operations of Python functions). `bytes` are those that cannot be avoided: operands
        and results, each once a turn.
    formula : str
        How `flops` are counted.
    turns : int
        How often it runs in a call.
    rows : tuple of int
        Its rows.
    """

    id: str
    op: str
    kind: str
    role: str
    type: str
    phase: str
    name: str | None
    layer: str | None
    origins: tuple[str, ...]
    inputs: tuple[str, ...]
    inside: str | None
    shapes: tuple[tuple[int, ...], ...] | None
    dtypes: tuple[str, ...]
    flops: int | None = None
    bytes: int | None = None
    formula: str = ""
    turns: int = 1
    rows: tuple[int, ...] = ()


@dataclass(frozen=True)
class RowFacts:
    """A row of the Program: one kernel call. `gang` is the number of its gang, `turns` how often it runs."""

    row: int
    node: str
    kernel: str
    tiles: int
    slice: int
    gang: int
    turns: int
    operands: tuple[str, ...]
    results: tuple[str, ...]


@dataclass(frozen=True)
class PieceFacts:
    """A piece of the arena: bytes from its start, and the rows from which to which it is taken."""

    offset: int
    nbytes: int
    first: int
    last: int
    node: str


@dataclass(frozen=True)
class PassFacts:
    """What one pass did: nodes before and after, and how often each of its rules fired.

    `removed` and `added` count the nodes that went and came, by op, type and layer.
    """

    name: str
    before: int
    after: int
    seconds: float
    hits: Mapping[str, int]
    removed: Mapping[str, int] = field(default_factory=dict)
    added: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class InputFacts:
    """An input of the Function; its `id` is ``-`` where nothing needs it."""

    id: str
    name: str | None
    type: str


@dataclass(frozen=True)
class Facts:
    """See the module. `shapes` are those of the inputs; rows and arena are empty without a Program.

    `widened` says where float32 becomes float64.
    """

    name: str
    inputs: tuple[InputFacts, ...]
    outputs: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...] | None
    nodes: tuple[NodeFacts, ...]
    rows: tuple[RowFacts, ...]
    arena: tuple[PieceFacts, ...]
    arena_bytes: int
    buffer_bytes: int
    threads: int
    guarded: int
    lower_seconds: float
    passes: tuple[PassFacts, ...]
    widened: tuple[str, ...] = ()
    version: str = symgraph.__version__
    schema: int = SCHEMA
    extras: dict[str, Any] = field(default_factory=dict)

    def node(self, id: str) -> NodeFacts:
        """The node with this id. KeyError if there is none."""
        for node in self.nodes:
            if node.id == id:
                return node
        raise KeyError(id)

    def to_json(self) -> dict[str, Any]:
        """As dictionaries, lists, numbers and text."""
        data = asdict(self)
        return data | data.pop("extras")
