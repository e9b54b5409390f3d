"""What a name of a graph stands for while it is read, beside plain tensors and constants."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symgraph.convert.builder import Size
from symgraph.graph.tensor import Tensor

UNKNOWN = -2
"""A size that only data will tell, and that is not the number of samples."""


@dataclass(frozen=True)
class Sizes:
    """Sizes that a graph computes with; None is the number of samples. A scalar has one."""

    values: tuple[Size, ...]
    scalar: bool = False

    @property
    def known(self) -> bool:
        """Whether all of them are numbers."""
        return None not in self.values and UNKNOWN not in self.values


@dataclass(frozen=True)
class Filled:
    """A tensor of one value, whose sizes are not known: states that begin with zeros."""

    value: float


@dataclass(frozen=True)
class Numbers:
    """A tensor that was cut to whole numbers: those of the rows of a table."""

    tensor: Tensor


@dataclass(frozen=True)
class Sequence:
    """Steps that do not lie as layers give them.

    Attributes
    ----------
    tensor : Tensor
        (samples, time, features).
    time_first : bool
        Whether the graph has (time, samples, features).
    turned : bool
        Whether the graph has the first step last.
    """

    tensor: Tensor
    time_first: bool
    turned: bool = False


@dataclass(frozen=True)
class Directions:
    """Results of a recurrent operator, one tensor for each direction.

    Attributes
    ----------
    tensors : tuple of Tensor
        Sequences (samples, time, features), or states (samples, features).
    axes : str
        Of the graph: 'tdnh' for sequences, 'tndh' behind a transposition, 'dnh' for states.
    turned : bool
        Whether the graph has the first step last.
    """

    tensors: tuple[Tensor, ...]
    axes: str
    turned: bool = False


Entry = np.ndarray | Tensor | Sizes | Filled | Numbers | Sequence | Directions
