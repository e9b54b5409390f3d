"""The arena of a Program, as text: what is in it, when it is fullest, and who holds it then."""

from __future__ import annotations

from dataclasses import dataclass

from symgraph.inspection.facts.function import Facts, PieceFacts
from symgraph.inspection.text.table import byte_text, table


@dataclass(frozen=True)
class MemoryMap:
    """Memory of one call.

    Attributes
    ----------
    pieces : tuple of PieceFacts
        Pieces of the arena, with the rows from which to which each is taken.
    arena_bytes, buffer_bytes : int
        Size of the arena; what its pieces would take beside each other.
    peak_row : int
        The row at which most bytes are taken (0 without rows).
    peak_bytes : int
        How many these are: the rest of the arena are gaps.
    """

    facts: Facts
    pieces: tuple[PieceFacts, ...]
    arena_bytes: int
    buffer_bytes: int
    peak_row: int
    peak_bytes: int

    def held(self, row: int) -> list[PieceFacts]:
        """The pieces that are taken at a row, the largest first."""
        found = [piece for piece in self.pieces if piece.first <= row <= piece.last]
        return sorted(found, key=lambda piece: (-piece.nbytes, piece.offset))

    def __str__(self) -> str:
        nodes = {node.id: node for node in self.facts.nodes}
        head = (
            f"arena {byte_text(self.arena_bytes)} for {byte_text(self.buffer_bytes)} of temporaries; "
            f"most is taken at row {self.peak_row}: {byte_text(self.peak_bytes)}, held by"
        )
        rows = [
            (
                byte_text(piece.nbytes),
                piece.node,
                nodes[piece.node].op,
                nodes[piece.node].layer or "",
                f"{piece.first} to {piece.last}",
                f"{piece.offset:,}",
            )
            for piece in self.held(self.peak_row)
        ]
        return "\n".join(
            [head, *table(("size", "node", "op", "layer", "rows", "offset"), rows, right=(0, 5))]
        )

    __repr__ = __str__


def memory_map(facts: Facts) -> MemoryMap:
    """The memory of the Program that `facts` are of."""
    changes: dict[int, int] = {}
    for piece in facts.arena:
        changes[piece.first] = changes.get(piece.first, 0) + piece.nbytes
        changes[piece.last + 1] = changes.get(piece.last + 1, 0) - piece.nbytes
    taken = peak = peak_row = 0
    for row in sorted(changes):
        taken += changes[row]
        if taken > peak:
            peak, peak_row = taken, row
    return MemoryMap(facts, facts.arena, facts.arena_bytes, facts.buffer_bytes, peak_row, peak)
