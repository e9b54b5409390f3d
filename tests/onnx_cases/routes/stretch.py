"""Sizes of tensors, and copies of them along axes of size 1."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph import backend as K
from symgraph.graph.tensor import Tensor


def shape_of(x: Tensor) -> tuple[int, ...]:
    """The shape of a tensor whose sizes are all known."""
    return tuple(int(size) for size in x.shape)  # type: ignore[call-overload]


def stretched(x: Tensor, shape: Sequence[int]) -> Tensor:
    """`x` as numpy broadcasts it to `shape`."""
    wide = (1,) * (len(shape) - x.ndim) + shape_of(x)
    if wide == tuple(shape):
        return K.reshape(x, wide) if len(wide) != x.ndim else x
    return K.tile(K.reshape(x, wide), [1 if a == b else b for a, b in zip(wide, shape, strict=True)])
