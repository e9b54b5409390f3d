"""What a comparison of kernels with their references found."""

from __future__ import annotations

from dataclasses import dataclass

from symgraph.inspection.text.table import table


@dataclass(frozen=True)
class NodeCheck:
    """A node whose kernels were compared with its reference, on the same inputs.

    Attributes
    ----------
    node : str
        Its id, as in the listing.
    kernels : tuple of str
    times : int
        How often it was compared: in every turn of a loop, and for every slice of the samples.
    max_error : float
        The largest difference, as a part of the largest number of the reference; where numbers cancel out,
        of what the op makes of the inputs without their signs.
    norm_error : float
        The norm of the difference, as a part of that of the reference.
    tolerance : float
        What `max_error` may be.
    ok : bool
    problem : str
        What is wrong.
    """

    node: str
    op: str
    layer: str | None
    origins: tuple[str, ...]
    kernels: tuple[str, ...]
    times: int
    max_error: float
    norm_error: float
    tolerance: float
    ok: bool
    problem: str = ""


@dataclass(frozen=True)
class CheckReport:
    """The result of ``function.check(...)``: one entry for each node that has run, those that fail first.

    `print` shows it as a table; ``bool(report)`` tells whether all is well.
    """

    name: str
    nodes: tuple[NodeCheck, ...]

    @property
    def ok(self) -> bool:
        """Whether all nodes are as they should be."""
        return all(node.ok for node in self.nodes)

    def __bool__(self) -> bool:
        return self.ok

    @property
    def failures(self) -> tuple[NodeCheck, ...]:
        """The nodes that are not."""
        return tuple(node for node in self.nodes if not node.ok)

    def __str__(self) -> str:
        rows = [
            (
                "ok" if node.ok else "WRONG",
                node.node,
                node.layer or "",
                node.op,
                " ".join(node.kernels),
                str(node.times),
                f"{node.max_error:.2g}",
                f"{node.norm_error:.2g}",
                f"{node.tolerance:.2g}",
                node.problem,
            )
            for node in self.nodes
        ]
        head = ("", "node", "layer", "op", "kernel", "times", "max error", "norm error", "tolerance", "")
        verdict = "all as their references" if self.ok else f"{len(self.failures)} wrong"
        lines = table(head, rows, right=(5, 6, 7, 8))
        return "\n".join([f"{self.name}: {len(self.nodes)} nodes compared, {verdict}", *lines])

    def to_json(self) -> dict[str, object]:
        """As dictionaries, lists, numbers and text."""
        return {"name": self.name, "ok": self.ok, "nodes": [vars(node) | {} for node in self.nodes]}
