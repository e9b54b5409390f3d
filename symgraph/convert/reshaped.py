"""Shapes of whole batches, as other programs write them, as shapes of samples."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from symgraph.convert.builder import Size


def sample_target(
    wanted: Sequence[Size], shape: Sequence[Size], batches: Collection[int]
) -> tuple[int, ...] | None:
    """The `target_shape` of a Reshape layer.

    Parameters
    ----------
    wanted : sequence
        The new shape, with the samples: 0 copies a size, -1 is what is left, None is the number of samples.
    shape : sequence
        The shape before, None where a size is not known.
    batches : collection of int
        Numbers that stand for all samples.

    Returns
    -------
    tuple or None
        None if the first size is not that of the samples, or something is not known.
    """
    if not wanted or None in wanted[1:] or any(size is not None and size < -1 for size in wanted):
        return None
    target: list[int] = []
    for place, size in enumerate(wanted[1:], 1):
        if size == 0 and place >= len(shape):
            return None
        copied = shape[place] if size == 0 else size
        target.append(-1 if copied is None else copied)
    if target.count(-1) > 1:
        return None
    first = wanted[0]
    if first is None or first == 0 or first in batches:
        return tuple(target)
    inside = [size for size in shape[1:] if size is not None]
    known = len(inside) == len(shape) - 1 and -1 not in target
    return tuple(target) if first == -1 and known and math.prod(inside) == math.prod(target) else None
