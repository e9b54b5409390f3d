"""What a rank has of a value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from symgraph.graph.dims import Dim
from symgraph.graph.tensor import Tensor


class Kind(Enum):
    """How the value of the whole graph comes about from those of the ranks."""

    WHOLE = "each rank has it"
    ROWS = "each rank has the rows of its samples"
    PART = "it is the sum of what the ranks have"
    OWN = "each rank has another one, and wants no other"


@dataclass(frozen=True, eq=False)
class Piece:
    """What a rank has of a value.

    Attributes
    ----------
    tensor : Tensor
        In the sizes of the rank.
    kind : Kind
    axis : int
        Of rows: where they lie.
    outer : dimension
        Of rows: how many blocks the axis has, each with the samples one after the other. There are several
        where another axis was joined to that of the samples, from the front: steps and samples as one axis.
    """

    tensor: Tensor
    kind: Kind = Kind.WHOLE
    axis: int = -1
    outer: Dim = 1

    def along(self, tensor: Tensor, axis: int | None = None) -> Piece:
        """Another value divided in the same way (with its rows on another axis)."""
        return replace(self, tensor=tensor, axis=self.axis if axis is None else axis)

    @property
    def is_rows(self) -> bool:
        """Whether these are rows."""
        return self.kind is Kind.ROWS

    def is_like(self, other: Piece) -> bool:
        """Whether both are divided in the same way."""
        return (self.kind, self.axis, self.outer) == (other.kind, other.axis, other.outer)


def rows_of(pieces: tuple[Piece, ...] | list[Piece]) -> list[Piece]:
    """Those of the pieces that are rows."""
    return [piece for piece in pieces if piece.is_rows]
