"""The standard's manipulation functions, and numpy's `split` and `pad`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.graph.dims import Dim, product
from symgraph.graph.leaves import constant, constant_value
from symgraph.graph.ops import shape as ops
from symgraph.graph.ops.create import arange
from symgraph.graph.ops.elementwise import broadcast_shapes as common_shape
from symgraph.graph.ops.elementwise import mod, together
from symgraph.graph.ops.index import gather
from symgraph.graph.ops.sizes import as_dims, size_tensor
from symgraph.graph.ops.slicing import pad as padded
from symgraph.graph.ops.slicing import reverse, slice_axis
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import normalize_axes, normalize_axis
from symgraph.numpy.arguments import Axis, as_array, operands


def _axes(axes: int | Sequence[int], ndim: int) -> list[int]:
    """Axes counted from the front, in their order. ValueError where one is given twice."""
    given = [axes] if isinstance(axes, (int, np.integer)) else list(axes)
    found = [normalize_axis(int(a), ndim) for a in given]
    if len(set(found)) != len(found):
        raise ValueError(f"axis given twice: {tuple(given)} for a tensor of {ndim} dimensions")
    return found


def _vector(x: Tensor) -> Tensor:
    return x if x.ndim == 1 else ops.reshape(x, (product(x.shape),))


def broadcast_arrays(*arrays: Any) -> list[Tensor]:
    """All tensors stretched to the shape in which they broadcast."""
    tensors = [as_array(a) for a in arrays]
    if not tensors:
        return []
    common = common_shape([t.shape for t in tensors], "broadcast_arrays")
    return [ops.broadcast_to(t, common) for t in tensors]


def broadcast_shapes(*shapes: Sequence[Dim]) -> tuple[Dim, ...]:
    """The shape in which tensors of these shapes broadcast."""
    return common_shape([tuple(s) for s in shapes], "broadcast_shapes") if shapes else ()


def broadcast_to(x: Any, /, shape: Any) -> Tensor:
    """x stretched to a shape."""
    return ops.broadcast_to(as_array(x), shape)


def concat(arrays: Sequence[Any], /, axis: int | None = 0) -> Tensor:
    """Tensors one after the other along `axis`; flattened ones for None."""
    tensors = together(*operands(*arrays)) if len(arrays) else []
    if axis is None:
        tensors, axis = [_vector(t) for t in tensors], 0
    return ops.concatenate(tensors, axis)


def expand_dims(x: Any, /, axis: int | Sequence[int] = 0) -> Tensor:
    """New axes of size 1 at the places `axis` of the result."""
    x = as_array(x)
    count = 1 if isinstance(axis, (int, np.integer)) else len(axis)
    for place in sorted(_checked_places(axis, x.ndim + count)):
        x = ops.expand_dims(x, place)
    return x


def _checked_places(axis: int | Sequence[int], ndim: int) -> list[int]:
    try:
        return _axes(axis, ndim)
    except ValueError as error:
        raise IndexError(f"expand_dims: {error}") from None


def flip(x: Any, /, axis: Axis = None) -> Tensor:
    """The elements along axes (all for None) in the opposite order."""
    x = as_array(x)
    axes = normalize_axes(axis, x.ndim)
    return reverse(x, axes) if axes else x


def moveaxis(x: Any, source: int | Sequence[int], destination: int | Sequence[int], /) -> Tensor:
    """Axes at other places; all others keep their order."""
    x = as_array(x)
    sources, targets = _axes(source, x.ndim), _axes(destination, x.ndim)
    if len(sources) != len(targets):
        raise ValueError(f"moveaxis: expected as many places as axes, got {source} and {destination}")
    order = [a for a in range(x.ndim) if a not in sources]
    for target, axis in sorted(zip(targets, sources, strict=True)):
        order.insert(target, axis)
    return ops.transpose(x, order)


def permute_dims(x: Any, /, axes: Sequence[int]) -> Tensor:
    """x with its axes in another order."""
    x = as_array(x)
    order = _axes(tuple(axes), x.ndim)
    if len(order) != x.ndim:
        raise ValueError(f"permute_dims: expected {x.ndim} axes, got {tuple(axes)}")
    return ops.transpose(x, order)


def repeat(x: Any, repeats: Any, /, axis: int | None = None) -> Tensor:
    """Each element so many times along `axis`; elements of all x for None.

    `repeats` is a number (or size), or known numbers for each element.
    """
    x = as_array(x)
    if axis is None:
        x, axis = _vector(x), 0
    counts = constant_value(repeats) if isinstance(repeats, Tensor) else repeats
    if isinstance(counts, (list, tuple, np.ndarray)):
        array = np.asarray(counts)
        if array.ndim and array.shape != (1,):
            return _repeated(x, array, axis)
        counts = int(array.reshape(()))
    if isinstance(repeats, Tensor) and counts is None and repeats.ndim:
        raise ValueError(
            "repeat: expected known counts for each element, got a tensor whose numbers data tell"
        )
    return ops.repeat(x, (repeats if counts is None else counts,), (axis,))


def _repeated(x: Tensor, counts: np.ndarray, axis: int) -> Tensor:
    size = x.shape[normalize_axis(axis, x.ndim)]
    if counts.ndim != 1 or size != counts.shape[0] or counts.dtype.kind not in "iu" or counts.min() < 0:
        raise ValueError(
            f"repeat: expected a count of at least 0 for each of {size} elements, got {counts.tolist()}"
        )
    return gather(x, constant(np.repeat(np.arange(counts.size), counts)), axis)


def reshape(x: Any, /, shape: Any, *, copy: bool | None = None) -> Tensor:
    """x under another shape, in which one size may be -1: whatever is left."""
    x = as_array(x)
    wanted = as_dims(shape, "reshape")
    if product(x.shape) == 0 and -1 in wanted:
        rest = product(size for size in wanted if size != -1)
        if rest != 0:
            wanted = tuple(0 if size == -1 else size for size in wanted)
    return ops.reshape(x, wanted)


def roll(x: Any, /, shift: int | Sequence[int], axis: Axis = None) -> Tensor:
    """x with its elements moved along axes, those that leave coming back at the other end.

    Without an axis all elements are moved in the order in which they lie.
    """
    x = as_array(x)
    if axis is None:
        if not isinstance(shift, (int, np.integer)):
            raise ValueError(f"roll: expected one shift without an axis, got {shift}")
        return ops.reshape(roll(_vector(x), int(shift), 0), x.shape)
    axes = [axis] if isinstance(axis, (int, np.integer)) else list(axis)
    shifts = [shift] * len(axes) if isinstance(shift, (int, np.integer)) else list(shift)
    if len(shifts) != len(axes):
        raise ValueError(f"roll: expected a shift for each axis, got {shift} and {axis}")
    for amount, place in zip(shifts, axes, strict=True):
        x = _rolled(x, int(amount), normalize_axis(int(place), x.ndim))
    return x


def _rolled(x: Tensor, shift: int, axis: int) -> Tensor:
    size = x.shape[axis]
    if isinstance(size, int):
        first = -shift % size if size else 0
        if not first:
            return x
        parts = [slice_axis(x, axis, first, size - first), slice_axis(x, axis, 0, first)]
        return ops.concatenate(parts, axis)
    # The size is not known: places in a range, turned round.
    return gather(x, mod(arange(size, dtype="int64") - shift, size_tensor(size)), axis)


def squeeze(x: Any, /, axis: Axis = None) -> Tensor:
    """x without axes of size 1: those given, or all that are known to be (None, as in numpy)."""
    x = as_array(x)
    if axis is None:
        axis = tuple(a for a, size in enumerate(x.shape) if size == 1)
    return ops.squeeze(x, axis)


def stack(arrays: Sequence[Any], /, axis: int = 0) -> Tensor:
    """Tensors of one shape side by side, along a new axis."""
    return ops.stack(operands(*arrays), axis)


def tile(x: Any, repetitions: Any, /) -> Tensor:
    """x as a whole so many times along each axis."""
    counts = repetitions if isinstance(repetitions, (Sequence, np.ndarray)) else (repetitions,)
    return ops.tile(as_array(x), counts)


def unstack(x: Any, /, axis: int = 0) -> tuple[Tensor, ...]:
    """The parts of x along an axis of known size, without that axis."""
    return tuple(ops.unstack(as_array(x), axis))


def split(x: Any, indices_or_sections: Any, /, axis: int = 0) -> list[Tensor]:
    """x cut into so many equal parts along `axis`, or cut at these places (numpy's split)."""
    x = as_array(x)
    if isinstance(indices_or_sections, (int, np.integer)):
        return ops.split(x, int(indices_or_sections), axis)
    place = normalize_axis(axis, x.ndim)
    key: list[Any] = [slice(None)] * x.ndim
    bounds = [0, *indices_or_sections, None]
    found = []
    for first, last in itertools.pairwise(bounds):
        key[place] = slice(first, last)
        found.append(x[tuple(key)])
    return found


_MODES = ("edge", "reflect", "symmetric", "wrap")


def pad(x: Any, pad_width: Any, /, mode: str = "constant", *, constant_values: float = 0) -> Tensor:
    """x with elements around it (numpy's pad).

    Parameters
    ----------
    pad_width : int, pair, or a pair for each axis
        How many before and after.
    mode : {"constant", "edge", "reflect", "symmetric", "wrap"}
        All but the first need the sizes of the axes that are padded to be known.
    """
    x = as_array(x)
    widths = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2)).tolist()
    pairs = [(int(before), int(after)) for before, after in widths]
    if mode == "constant":
        return padded(x, pairs, constant_values)
    if mode not in _MODES:
        raise ValueError(f"pad: expected a mode of {', '.join(('constant', *_MODES))}, got {mode!r}")
    for axis, pair in enumerate(pairs):
        size = x.shape[axis]
        if pair == (0, 0):
            continue
        if not isinstance(size, int):
            raise ValueError(f"pad: expected a known size on axis {axis} for mode {mode!r}, got {x.type}")
        places = np.pad(np.arange(size), pair, mode=mode)  # type: ignore[call-overload]
        x = gather(x, constant(places.astype(np.int64)), axis)
    return x


__all__ = [
    "broadcast_arrays", "broadcast_shapes", "broadcast_to", "concat", "expand_dims", "flip", "moveaxis",
    "pad", "permute_dims", "repeat", "reshape", "roll", "split", "squeeze", "stack", "tile", "unstack",
]  # fmt: skip
