"""The arena of a Program, as text: what is in it, when it is fullest, and who holds it then."""

from __future__ import annotations

from dataclasses import dataclass

from symgraph.inspection.facts.function import BlockFacts, Facts
from symgraph.inspection.text.table import byte_text, table


@dataclass(frozen=True)
class MemoryMap:
    """Memory of one call.

    Attributes
    ----------
    blocks : tuple of BlockFacts
        Pieces of the arena, with the rows from which to which each is taken.
    arena_bytes, buffer_bytes : int
        Size of the arena; what its pieces would take beside each other.
    peak_row : int
        The row at which most bytes are taken (0 without rows).
    peak_bytes : int
        How many these are: the rest of the arena are gaps.
    """

    facts: Facts
    blocks: tuple[BlockFacts, ...]
    arena_bytes: int
    buffer_bytes: int
    peak_row: int
    peak_bytes: int

    def held(self, row: int) -> list[BlockFacts]:
        """The pieces that are taken at a row, the largest first."""
        found = [block for block in self.blocks if block.first <= row <= block.last]
        return sorted(found, key=lambda block: (-block.nbytes, block.offset))

    def __str__(self) -> str:
        nodes = {node.id: node for node in self.facts.nodes}
        head = (
            f"arena {byte_text(self.arena_bytes)} for {byte_text(self.buffer_bytes)} of temporaries; "
            f"most is taken at row {self.peak_row}: {byte_text(self.peak_bytes)}, held by"
        )
        rows = [
            (
                byte_text(block.nbytes),
                block.node,
                nodes[block.node].op,
                nodes[block.node].layer or "",
                f"{block.first} to {block.last}",
                f"{block.offset:,}",
            )
            for block in self.held(self.peak_row)
        ]
        return "\n".join(
            [head, *table(("size", "node", "op", "layer", "rows", "offset"), rows, right=(0, 5))]
        )

    __repr__ = __str__


def memory_map(facts: Facts) -> MemoryMap:
    """The memory of the Program that `facts` are of."""
    changes: dict[int, int] = {}
    for block in facts.arena:
        changes[block.first] = changes.get(block.first, 0) + block.nbytes
        changes[block.last + 1] = changes.get(block.last + 1, 0) - block.nbytes
    taken = peak = peak_row = 0
    for row in sorted(changes):
        taken += changes[row]
        if taken > peak:
            peak, peak_row = taken, row
    return MemoryMap(facts, facts.arena, facts.arena_bytes, facts.buffer_bytes, peak_row, peak)
