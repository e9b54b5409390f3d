"""Bool tensors as masks in ``x[mask]``: of the shape of the axes that they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph.graph.dims import shape_text
from symgraph.graph.ops.shape import broadcast_to, reshape
from symgraph.graph.tensor import Tensor


def checked_masks(x: Tensor, key: Sequence[Any]) -> list[Any]:
    """`key` with masks whose sizes are those of `x`; a run checks those that are not known.

    IndexError for a mask of another shape.
    """
    widths = [_width(item) for item in key]
    items: list[Any] = []
    axis = 0
    for place, (item, width) in enumerate(zip(key, widths, strict=True)):
        if item is Ellipsis:
            axis = x.ndim - sum(widths[place + 1 :])
        if _is_mask(item) and 0 <= axis <= x.ndim - width:
            item = _fitting(item, x, axis)
        items.append(item)
        axis += width
    return items


def _is_mask(item: Any) -> bool:
    return isinstance(item, Tensor) and item.dtype == "bool" and item.ndim > 0


def _width(item: Any) -> int:
    """How many axes an item of a key stands for."""
    if item is None or item is Ellipsis:
        return 0
    mask = _is_mask(item) or str(getattr(item, "dtype", "")) == "bool"
    return int(item.ndim) if mask else 1


def _fitting(mask: Tensor, x: Tensor, axis: int) -> Tensor:
    sizes = x.shape[axis : axis + mask.ndim]
    pairs = list(zip(mask.shape, sizes, strict=True))
    if any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in pairs):
        raise IndexError(
            f"x[mask]: expected a mask of shape {shape_text(sizes)}, as the axes from {axis} on, got {mask!r}"
        )
    if all(a == b for a, b in pairs):
        return mask
    # Sizes that only a call can tell: either op checks them.
    return reshape(mask, sizes) if 1 in mask.shape else broadcast_to(mask, sizes)
