"""Normalising by the samples of one process, where several train together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph.graph.ops.collective import own_normal
from symgraph.graph.ops.elementwise import beside
from symgraph.graph.ops.shape import reshape
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import normalize_axes


def normalize_own_batch(
    x: Tensor, gamma: Any, beta: Any, reduction_axes: Sequence[int], epsilon: float = 1e-3
) -> tuple[Tensor, Tensor, Tensor]:
    """As `K.normalize_batch_in_training`, by the samples that this process has of the batch."""
    axes = normalize_axes(list(reduction_axes), x.ndim)
    wide = tuple(1 if a in axes else size for a, size in enumerate(x.shape))
    normed, mean, variance = own_normal(x, axes, epsilon)
    if gamma is not None:
        normed = normed * reshape(beside(x, gamma)[1], wide)
    if beta is not None:
        normed = normed + reshape(beside(x, beta)[1], wide)
    kept = tuple(size for a, size in enumerate(x.shape) if a not in axes)
    return normed, reshape(mean, kept), reshape(variance, kept)
