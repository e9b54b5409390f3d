"""Giving weights what was read for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symgraph.graph.leaves import Variable


def hand_over(assignments: Sequence[tuple[Variable, np.ndarray]]) -> None:
    """Give variables new values, all or none: arrays that nobody else holds, and nobody changes any more.

    They become the memory of variables that no compiled Program reads yet, without a copy.

    Raises
    ------
    ValueError, TypeError
        If a shape differs, or an array does not fit into a variable; all old values stay.
    """
    checked = [(variable, variable.checked(value)) for variable, value in assignments]
    taken: set[int] = set()
    for variable, value in checked:
        # Two weights may have got parts of one array, or the same.
        origin = id(_memory(value))
        variable.storage.store(value, own=origin not in taken)
        taken.add(origin)


def _memory(array: np.ndarray) -> object:
    """The object that the memory of an array belongs to."""
    owner: object = array
    while isinstance(owner, np.ndarray) and owner.base is not None:
        owner = owner.base
    return owner
