"""The recorder of what runs in this thread."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol

from symgraph.compiler.program.clocks import Clocks
from symgraph.compiler.program.program import Program
from symgraph.compiler.run.named_graph import NamedGraph


class Recorder(Protocol):
    """A recorder of what runs."""

    def clocks(self, program: Program, graph: NamedGraph) -> Clocks | None:
        """Where the times of the next run of `program` go; None for no times."""


RECORDER: ContextVar[Recorder | None] = ContextVar("symgraph_recorder", default=None)
"""The recorder of this thread (or task)."""
