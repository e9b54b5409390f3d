"""Random arrays from numpy's legacy generators, made slice by slice.

These generators draw float64. Arrays of another dtype are filled a slice at a time, so that the draws never
take more memory than a slice; the numbers, and what the generator gives next, are those of one draw of all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph.graph.leaves import aligned_empty

_SLICE = 1 << 16
"""Numbers drawn at once: they stay in the cache until they are converted."""

Shape = tuple[int, ...]


def uniform(random: Any, low: float, high: float, shape: Shape, dtype: str) -> np.ndarray:
    """Draw uniformly distributed numbers in [low, high).

    Parameters
    ----------
    random : numpy.random or numpy.random.RandomState
    low, high : float, or arrays that broadcast to `shape`
    shape : tuple of int
    dtype : str

    Returns
    -------
    ndarray that nobody else holds
    """
    if np.ndim(low) or np.ndim(high):
        return np.asarray(random.uniform(low, high, shape), dtype)
    return _filled(shape, dtype, lambda count: random.uniform(low, high, count))


def normal(random: Any, mean: float, stddev: float, shape: Shape, dtype: str) -> np.ndarray:
    """Draw normally distributed numbers; parameters and result as of `uniform`."""
    if np.ndim(mean) or np.ndim(stddev):
        return np.asarray(random.normal(mean, stddev, shape), dtype)
    return _filled(shape, dtype, lambda count: random.normal(mean, stddev, count))


def truncated_normal(random: Any, mean: float, stddev: float, shape: Shape, dtype: str) -> np.ndarray:
    """Draw normally distributed numbers within two standard deviations; else as `normal`.

    Once all are drawn, those further off are drawn again, in their order, until there is none.
    """
    if np.ndim(mean) or np.ndim(stddev):
        return np.asarray(mean + stddev * truncated_normal(random, 0.0, 1.0, shape, "float64"), dtype)
    outside: list[np.ndarray] = []

    def draw(count: int) -> np.ndarray:
        drawn = np.asarray(random.normal(size=count))
        outside.append(np.flatnonzero(np.abs(drawn) > 2))
        return mean + stddev * drawn

    values = _filled(shape, dtype, draw)
    slices = list(_slices(values))
    while any(places.size for places in outside):
        again, outside = outside, []
        for part, places in zip(slices, again, strict=True):
            drawn = np.asarray(random.normal(size=places.size))
            part[places] = mean + stddev * drawn
            outside.append(places[np.abs(drawn) > 2])
    return values


def _filled(shape: Shape, dtype: str, draw: Callable[[int], np.ndarray]) -> np.ndarray:
    values = aligned_empty(shape, dtype)
    for part in _slices(values):
        part[...] = draw(part.size)
    return values


def _slices(values: np.ndarray) -> list[np.ndarray]:
    """Views of the numbers in their order; at least one, so that arguments are checked."""
    flat = values.reshape(-1)
    return [flat[start : start + _SLICE] for start in range(0, max(flat.size, 1), _SLICE)]
