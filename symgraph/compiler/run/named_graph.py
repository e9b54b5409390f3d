"""A lowered graph with names, by which its nodes are found and reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from symgraph.compiler.lower import Lowered
from symgraph.compiler.run.collect import NodeIds
from symgraph.graph.tensor import Tensor


@dataclass(frozen=True)
class Compilation:
    """A graph that was lowered, or a Program that was planned for it, and why.

    `compiled` and `loaded` are the kernels that were made meanwhile, and those that came from the disk;
    `kernel_seconds` is what making them took of the `seconds` in all.
    """

    what: str
    reason: str
    seconds: float
    compiled: int = 0
    loaded: int = 0
    kernel_seconds: float = 0.0

    def __str__(self) -> str:
        kernels = f", {self.compiled} kernels compiled, {self.loaded} loaded" if self.what == "plan" else ""
        return f"{self.what} in {1000 * self.seconds:.1f} ms{kernels}: {self.reason}"


class NamedGraph:
    """A lowered graph of the Function `name`.

    `known` are tensors that are found by these names, though the graph may not have them. `compilations`
    tells how often, and why, it was lowered and planned.
    """

    def __init__(
        self, name: str, lowered: Lowered, compilations: list[Compilation], known: Mapping[str, Tensor] | None
    ) -> None:
        self.name = name
        self.lowered = lowered
        self.compilations = compilations
        self.known = {} if known is None else known

    @cached_property
    def ids(self) -> NodeIds:
        """The ids of the nodes."""
        return NodeIds(self.lowered)
