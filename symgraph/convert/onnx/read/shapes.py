"""Operators that move values: other shapes and orders, borders, several inputs as one."""

from __future__ import annotations

from collections.abc import Sequence as Many
from typing import Any

import numpy as np
from onnx import helper

from symgraph import layers as L
from symgraph.convert.builder import Size, sizes
from symgraph.convert.onnx.read.entries import Directions, Entry, Numbers, Sequence, Sizes
from symgraph.convert.onnx.read.node import Node
from symgraph.convert.reshaped import sample_target
from symgraph.graph.tensor import Tensor


def reshape(node: Node) -> list[Entry]:
    """The same values in another shape; samples stay apart."""
    node.demand("allowzero", 0, 0)
    found, given = node.attribute("shape"), None
    if found is None:
        given = node.entry(1)
        found = given.values if isinstance(given, Sizes) else node.constant(1, "the shape").ravel()
    wanted: list[Size] = [None if size is None else int(size) for size in found]
    x = node.entry(0)
    if isinstance(x, Directions):
        return [_side_by_side(node, x, wanted)]
    tensor = node.tensor()
    target = sample_target(wanted, sizes(tensor), node.reading.batches)
    if target is None:
        raise node.error(f"a shape of {wanted} mixes the samples of shape {sizes(tensor)}, or is not known")
    if target == sizes(tensor)[1:]:
        return [tensor]
    return [node.layer(L.Reshape, tensor, target_shape=target)]


def _side_by_side(node: Node, x: Directions, wanted: list[Size]) -> Entry:
    """(time, samples, directions, features) with the last two axes as one."""
    width = sum(sizes(tensor)[-1] or 0 for tensor in x.tensors)
    if x.axes != "tndh" or len(wanted) != 3 or wanted[2] not in (-1, width):
        raise node.error("expected sequences of all directions, which become (time, samples, features)")
    joined = x.tensors[0] if len(x.tensors) == 1 else node.layer(L.Concatenate, list(x.tensors), axis=-1)
    return Sequence(joined, time_first=True, turned=x.turned)


def flatten(node: Node) -> list[Entry]:
    """All axes but that of the samples as one."""
    x = node.tensor()
    axis = node.attribute("axis", 1)
    if axis not in (1, 1 - x.ndim):
        raise node.error(f"axis {axis} of a tensor of shape {sizes(x)} cannot be read")
    return [x if x.ndim == 2 else node.layer(L.Flatten, x, data_format="channels_last")]


def transpose(node: Node) -> list[Entry]:
    """The axes in another order; time and samples may change places for a recurrent operator."""
    x = node.entry(0)
    perm = node.attribute("perm")
    if isinstance(x, Sequence) and list(perm or ()) == [1, 0, 2]:
        return [_laid(x.tensor, not x.time_first, x.turned)]
    if isinstance(x, Directions) and x.axes == "tdnh" and list(perm or ()) == [0, 2, 1, 3]:
        return [Directions(x.tensors, "tndh", x.turned)]
    tensor = node.tensor()
    order = [int(axis) for axis in perm or range(tensor.ndim - 1, -1, -1)]
    if order == [1, 0, 2] and tensor.ndim == 3:
        return [Sequence(tensor, time_first=True)]
    if sorted(order) != list(range(tensor.ndim)) or order[0] != 0:
        raise node.error(f"an order of axes {order} of a tensor of shape {sizes(tensor)} cannot be read")
    return [node.layer(L.Permute, tensor, dims=tuple(order[1:])) if order != sorted(order) else tensor]


def _laid(tensor: Tensor, time_first: bool, turned: bool) -> Entry:
    return Sequence(tensor, time_first, turned) if time_first or turned else tensor


def squeeze(node: Node) -> list[Entry]:
    """Axes of size 1 taken away."""
    x, axes = node.entry(0), node.integers("axes", 1)
    if isinstance(x, Directions):
        if axes != [x.axes.index("d")] or len(x.tensors) > 1:
            raise node.error(f"expected the axis of the only direction, got {axes}")
        return [x.tensors[0] if x.axes == "dnh" else Sequence(x.tensors[0], True, x.turned)]
    tensor = node.tensor()
    if axes is None:
        raise node.error("expected axes")
    gone = {node.axis(tensor, axis) for axis in axes}
    if any(sizes(tensor)[axis] != 1 for axis in gone):
        raise node.error(f"axes {axes} of shape {sizes(tensor)} are not all of size 1")
    return [_resized(node, tensor, [s for axis, s in enumerate(sizes(tensor)) if axis and axis not in gone])]


def unsqueeze(node: Node) -> list[Entry]:
    """Axes of size 1 put between others; before the samples, the only direction of a recurrent operator."""
    x, axes = node.tensor(), node.integers("axes", 1) or []
    if axes == [0] and x.ndim == 2:
        return [Directions((x,), "dnh")]
    rank = x.ndim + len(axes)
    places = {axis + rank if axis < 0 else axis for axis in axes}
    if len(places) < len(axes) or not all(0 < place < rank for place in places):
        raise node.error(f"axes {axes} beside those of shape {sizes(x)} cannot be read")
    rest = iter(sizes(x))
    shape = [1 if place in places else next(rest) for place in range(rank)]
    return [_resized(node, x, shape[1:])]


def _resized(node: Node, x: Tensor, shape: Many[Size]) -> Tensor:
    if list(shape).count(None) > 1:
        raise node.error(f"expected at most one unknown size, got {sizes(x)}")
    return node.layer(L.Reshape, x, target_shape=tuple(-1 if size is None else size for size in shape))


def concat(node: Node) -> list[Entry]:
    """One after the other; states of several directions."""
    found = node.entries()
    axis = node.attribute("axis", 1)
    states = [x for x in found if isinstance(x, Directions) and x.axes == "dnh"]
    if states and len(states) == len(found) and axis == 0:
        return [Directions(tuple(t for x in states for t in x.tensors), "dnh")]
    tensors = [node.tensor(place) for place in range(len(found))]
    if len({x.ndim for x in tensors}) > 1:
        raise node.error(f"expected one number of axes, got {[sizes(x) for x in tensors]}")
    place = node.axis(tensors[0], axis)
    return [node.layer(L.Concatenate, tensors, axis=place) if len(tensors) > 1 else tensors[0]]


def split(node: Node) -> list[Entry]:
    """The directions of a recurrent operator."""
    x, count = node.entry(0), len(node.proto.output)
    axis, parts = node.attribute("axis", 0), node.integers("split", 1)
    node.attribute("num_outputs")
    one_each = count == len(x.tensors) if isinstance(x, Directions) else False
    if not isinstance(x, Directions) or not one_each or set(parts or [1]) != {1} or x.axes[axis] != "d":
        raise node.error("only the directions of a recurrent operator can be split")
    return [Directions((tensor,), x.axes, x.turned) for tensor in x.tensors]


def cast(node: Node) -> list[Entry]:
    """To the same type, or to whole numbers that choose rows of a table."""
    x = node.tensor()
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(node.attribute("to")))
    node.attribute("saturate")
    if dtype == np.dtype(x.dtype):
        return [x]
    if dtype.kind not in "iu":
        raise node.error(f"a cast of {x.dtype} to {dtype} cannot be read")
    return [Numbers(x)]


def _per_axis(pairs: Many[tuple[int, int]], rank: int) -> tuple[str, Any] | None:
    """The layout in which the axes that change are spatial, and their pairs; None for other axes."""
    if tuple(pairs[0]) != (0, 0) or not 3 <= rank <= 5:
        return None
    if tuple(pairs[1]) == (0, 0):
        return "channels_first", tuple(map(tuple, pairs[2:]))
    return ("channels_last", tuple(map(tuple, pairs[1:-1]))) if tuple(pairs[-1]) == (0, 0) else None


def _at_ends(node: Node, x: Tensor, pairs: Many[tuple[int, int]], what: str) -> Tensor:
    """Zeros put around spatial axes, or values taken away there."""
    found = _per_axis(pairs, x.ndim)
    if found is None:
        raise node.error(f"{what} {list(pairs)} of a tensor of shape {sizes(x)} cannot be read")
    layout, ends = found
    rank = x.ndim - 2
    classes: dict[str, tuple[Any, ...]] = {
        "padding": (L.ZeroPadding1D, L.ZeroPadding2D, L.ZeroPadding3D),
        "cropping": (L.Cropping1D, L.Cropping2D, L.Cropping3D),
    }
    cls = classes[what][rank - 1]
    if rank > 1:
        return node.layer(cls, x, **{what: ends}, data_format=layout)
    if layout == "channels_last":
        return node.layer(cls, x, **{what: ends[0]})
    y = node.layer(cls, node.layer(L.Permute, x, dims=(2, 1)), **{what: ends[0]})
    return node.layer(L.Permute, y, dims=(2, 1))


def pad(node: Node) -> list[Entry]:
    """Zeros around."""
    x = node.tensor()
    node.demand("mode", "constant", "constant")
    value = node.attribute("value", 0.0)
    if node.has(2):
        value = node.constant(2, "the value").ravel()[0]
    pads = node.integers("pads", 1) or []
    axes = node.constant_or_none(3, "axes")
    where = range(x.ndim) if axes is None else [int(axis) % x.ndim for axis in axes]
    if value != 0 or len(pads) != 2 * len(where) or min(pads) < 0:
        raise node.error(f"expected zeros around, {2 * len(where)} pads of at least 0, got {pads} of {value}")
    pairs = [(0, 0)] * x.ndim
    for axis, before, after in zip(where, pads[: len(where)], pads[len(where) :], strict=True):
        pairs[axis] = (before, after)
    return [_at_ends(node, x, pairs, "padding") if any(map(any, pairs)) else x]


def slice_ends(node: Node) -> list[Entry]:
    """Values taken away at the ends of spatial axes; sequences turned round."""
    x = node.entry(0)
    starts, ends = node.integers("starts", 1) or [], node.integers("ends", 2) or []
    axes = node.integers("axes", 3) or list(range(len(starts)))
    steps = node.constant_or_none(4, "steps")
    if isinstance(x, Sequence) and x.turned and steps is not None:
        whole = starts == [-1] and ends[0] < -(1 << 30) and axes == [0 if x.time_first else 1]
        if whole and steps.ravel().tolist() == [-1]:
            return [_laid(x.tensor, x.time_first, turned=False)]
    tensor = node.tensor()
    if (steps is not None and (steps != 1).any()) or len(starts) != len(ends) or len(axes) != len(starts):
        raise node.error("expected a start and an end for each axis, and steps of 1")
    pairs = [(0, 0)] * tensor.ndim
    for axis, start, end in zip(axes, starts, ends, strict=True):
        pairs[axis % tensor.ndim] = _taken(node, sizes(tensor)[axis % tensor.ndim], start, end)
    return [_at_ends(node, tensor, pairs, "cropping") if any(map(any, pairs)) else tensor]


def _taken(node: Node, size: Size, start: int, end: int) -> tuple[int, int]:
    """What a slice takes away before and after."""
    if size is not None:
        first, last, _ = slice(start, end).indices(size)
        if last <= first:
            raise node.error(f"nothing is left of {size} values from {start} to {end}")
        return first, size - last
    if start < 0 or 0 <= end < 1 << 30:
        raise node.error(f"a slice from {start} to {end} of an unknown size cannot be read")
    return start, -end if end < 0 else 0


def tile(node: Node) -> list[Entry]:
    """Vectors several times one below the other, as RepeatVector does."""
    x = node.tensor()
    counts = node.constant(1, "how often").ravel().tolist()
    if x.ndim != 3 or sizes(x)[1] != 1 or counts[0::2] != [1, 1] or counts[1] < 1:
        raise node.error(f"{counts} times a tensor of shape {sizes(x)} cannot be read")
    vectors = node.layer(L.Reshape, x, target_shape=(sizes(x)[2] or -1,))
    return [node.layer(L.RepeatVector, vectors, n=int(counts[1]))]
