"""Ops that move elements, and ops that make tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph import backend as K
from symgraph import layers
from symgraph.graph.tensor import Tensor
from tests.onnx_cases.routes.stretch import shape_of, stretched
from tests.onnx_cases.translate import Node, NotExpressibleError, Route


def _concat(node: Node) -> list[Any]:
    xs, axis = node.xs, node.get("axis", 1)
    found = [K.concatenate(xs, axis)]
    if len(xs) > 1 and xs[0].ndim > 1 and axis % xs[0].ndim:
        found.append(layers.Concatenate(axis)(xs))
    return found


def _transpose(node: Node) -> list[Any]:
    x = node.x()
    order = node.get("perm", [*reversed(range(x.ndim))])
    found = [K.permute_dimensions(x, order)]
    if order == [*reversed(range(x.ndim))]:
        found.append(K.transpose(x))
    if order[0] == 0 and x.ndim > 1:
        found.append(layers.Permute(order[1:])(x))
    return found


def _reshape(node: Node) -> list[Any]:
    x, sizes = node.x(), node.setting("shape", 1)
    if not node.get("allowzero", 0):
        sizes = [shape_of(x)[axis] if size == 0 else size for axis, size in enumerate(sizes)]
    found = [K.reshape(x, sizes)]
    if x.ndim > 1 and len(sizes) > 1 and sizes[0] == shape_of(x)[0] > 0:
        found.append(layers.Reshape(sizes[1:])(x))
    return found


def _flatten(node: Node) -> list[Any]:
    x, axis = node.x(), node.get("axis", 1)
    sizes = shape_of(x)
    rows, columns = int(np.prod(sizes[:axis])), int(np.prod(sizes[axis:]))
    found = [K.reshape(x, (rows, columns))]
    if x.ndim > 1 and axis % x.ndim == 1:
        found.append(K.batch_flatten(x))
        found += [layers.Flatten()(x)] if x.ndim > 2 else []
    return found


def _squeeze(node: Node) -> Any:
    x = node.x()
    axes = node.setting("axes", 1) or [a for a, size in enumerate(shape_of(x)) if size == 1]
    for axis in sorted((a % x.ndim for a in axes), reverse=True):
        x = K.squeeze(x, axis)
    return x


def _unsqueeze(node: Node) -> Any:
    x, axes = node.x(), node.setting("axes", 1)
    axes = axes if isinstance(axes, list) else [axes]
    rank = x.ndim + len(axes)
    for axis in sorted(a % rank for a in axes):
        x = K.expand_dims(x, axis)
    return x


def _expand(node: Node) -> Any:
    x = node.x()
    return stretched(x, np.broadcast_shapes(shape_of(x), tuple(node.setting("shape", 1))))


def _slice(node: Node) -> list[Any]:
    """As an index, and by start and size where the steps are 1."""
    x = node.x()
    starts, ends = node.setting("starts", 1), node.setting("ends", 2)
    axes = node.setting("axes", 3) or range(len(starts))
    steps = node.setting("steps", 4) or [1] * len(starts)
    key = [slice(None)] * x.ndim
    for axis, *place in zip(axes, starts, ends, steps, strict=True):
        key[axis] = slice(*place) if place[1] >= -shape_of(x)[axis] else slice(place[0], None, place[2])
    found = [x[tuple(key)]]
    if all(step == 1 for step in steps):
        spans = [k.indices(size) for k, size in zip(key, shape_of(x), strict=True)]
        found.append(K.slice(x, [s[0] for s in spans], [max(s[1] - s[0], 0) for s in spans]))
    return found


def _split(node: Node) -> list[Any]:
    x, axis = node.x(), node.get("axis", 0) % node.x().ndim
    whole, count = shape_of(x)[axis], node.get("num_outputs") or node.outputs
    size = -(-whole // count)
    sizes = node.setting("split", 1) or [min(size, whole - i * size) for i in range(count)]
    starts = np.cumsum([0, *sizes])
    parts, cuts = [], []
    for start, size in zip(starts.tolist(), sizes, strict=False):
        begin, extent = [0] * x.ndim, [-1] * x.ndim
        begin[axis], extent[axis] = start, size
        parts.append(K.slice(x, begin, extent))
        cuts.append(x[(slice(None),) * axis + (slice(start, start + size),)])
    return [tuple(parts), tuple(cuts)]


def framed(x: Tensor, pairs: Sequence[Sequence[int]], fill: float = 0.0) -> Tensor:
    """`x` with widths (before, after) of `fill` around each axis; negative widths cut off."""
    for axis, (before, after) in enumerate(pairs):
        sizes = list(shape_of(x))
        cut = slice(max(-before, 0), sizes[axis] - max(-after, 0))
        x = x[(slice(None),) * axis + (cut,)] if min(before, after) < 0 else x
        blocks = [x]
        for width, place in ((before, 0), (after, 2)):
            if width > 0:
                sizes[axis] = width
                blocks.insert(place, K.constant(fill, x.dtype, sizes))
        x = K.concatenate(blocks, axis) if len(blocks) > 1 else x
    return x


def _pad(node: Node) -> list[Any]:
    x, mode = node.x(), node.get("mode", "constant")
    if mode != "constant":
        raise NotExpressibleError(f"arguments: {mode} padding")
    axes = [a % x.ndim for a in node.setting("axes", 3) or range(x.ndim)]
    pads = node.setting("pads", 1) if node.opset >= 11 else node.get("pads")
    fill = node.setting("value", 2) or 0
    pairs = [[0, 0] for _ in range(x.ndim)]
    for place, axis in enumerate(axes):
        pairs[axis] = [pads[place], pads[place + len(axes)]]
    found = [framed(x, pairs, fill)]
    plain = fill == 0 and min(map(min, pairs)) >= 0
    if plain and x.ndim > 2 and pairs[:2] == [[0, 0]] * 2:  # the spatial axes of channels_first
        found += _zeros_around(x, pairs[2:])
    return found


def _zeros_around(x: Tensor, pairs: list[list[int]]) -> list[Tensor]:
    first = {"data_format": "channels_first"}
    if x.ndim == 3:
        turned = K.permute_dimensions(x, (0, 2, 1))
        padded = [K.temporal_padding(turned, pairs[0]), layers.ZeroPadding1D(tuple(pairs[0]))(turned)]
        return [K.permute_dimensions(y, (0, 2, 1)) for y in padded]
    if x.ndim == 4:
        return [K.spatial_2d_padding(x, pairs, **first), layers.ZeroPadding2D(pairs, **first)(x)]
    return [K.spatial_3d_padding(x, pairs, **first), layers.ZeroPadding3D(pairs, **first)(x)]


def _gather(node: Node) -> list[Any]:
    x, indices = node.x(0), node.x(1)
    axis = node.get("axis", 0) % x.ndim
    # K.gather does not count from the end.
    indices = K.switch(indices < 0, indices + x.shape[axis], indices)
    if axis:
        order = [axis, *(a for a in range(x.ndim) if a != axis)]
        rows = K.gather(K.permute_dimensions(x, order), indices)
        count = indices.ndim
        back = [*range(count, count + axis), *range(count), *range(count + axis, count + x.ndim - 1)]
        return [K.permute_dimensions(rows, back)]
    found = [K.gather(x, indices)]
    if x.ndim == 2 and x.dtype == "float32" and node.array(1).min(initial=0) >= 0:
        layer = layers.Embedding(*shape_of(x))
        layer.build(shape_of(indices))
        layer.set_weights([node.array(0)])
        found.append(layer(indices))
    return found


def _one_hot(node: Node) -> Any:
    depth, (off, on) = int(node.array(1)), node.array(2).tolist()
    indices = node.array(0)
    if (indices < 0).any():
        raise NotExpressibleError("arguments: classes counted from the end")
    rows = K.one_hot(K.cast(node.x(), "int64"), depth)
    axis = node.get("axis", -1) % rows.ndim
    order = [*range(rows.ndim - 1)]
    order.insert(axis, rows.ndim - 1)
    chosen = K.permute_dimensions(rows, order) * (on - off) + off
    return K.cast(chosen, node.array(2).dtype.name)


def _range(node: Node) -> Any:
    start, stop, step = (node.array(n) for n in range(3))
    if start.dtype.kind == "f" and (start % 1 or stop % 1 or step % 1):
        raise NotExpressibleError("arguments: steps that are not whole")
    return K.arange(int(start), int(stop), int(step), dtype=start.dtype.name)


def _shape(node: Node) -> Any:
    return K.cast(K.shape(node.x())[slice(node.get("start", 0), node.get("end"))], "int64")


def _filled(node: Node) -> list[Any]:
    value = np.asarray(node.get("value", np.zeros(1, "float32"))).reshape(())
    sizes, dtype = node.array(0).tolist(), value.dtype.name
    found = [K.constant(value.item(), dtype, sizes), K.identity(K.ones(sizes, dtype)) * value.item()]
    return [*found, K.identity(K.zeros(sizes, dtype))] if value == 0 else found


def _eye(node: Node) -> Any:
    rows, columns = shape_of(node.x())
    if rows != columns or node.get("k", 0):
        raise NotExpressibleError("arguments: another diagonal, or not a square")
    return K.cast(K.eye(rows), {1: "float32", 6: "int32", 11: "float64"}[node.get("dtype", 6)])


def _places_repeat(node: Node) -> bool:
    """Whether pixel i of the result is pixel i // factor of the picture."""
    place = node.get("coordinate_transformation_mode", "half_pixel")
    rounding = node.get("nearest_mode", "round_prefer_floor")
    return node.op == "Upsample" or (place, rounding) in (
        ("half_pixel", "round_prefer_floor"),
        ("asymmetric", "floor"),
    )


def _enlarged(node: Node) -> list[Any]:
    """Whole factors, every pixel repeated; only nearest neighbours have the same places in TensorFlow."""
    x = node.x()
    if node.has(3):
        scales = [new / old for new, old in zip(node.array(3).tolist(), shape_of(x), strict=False)]
    else:
        scales = node.array(1 if node.op == "Upsample" else 2).tolist()
    whole = len(scales) == 4 and scales[:2] == [1, 1] and all(s >= 1 and s % 1 == 0 for s in scales)
    if node.get("mode", "nearest") != "nearest" or not whole or not _places_repeat(node):
        raise NotExpressibleError("arguments: places of the pixels of a new size")
    factors = tuple(map(int, scales[2:]))
    first = {"data_format": "channels_first"}
    return [
        K.resize_images(x, *factors, **first),
        layers.UpSampling2D(factors, **first)(x),
        K.repeat_elements(K.repeat_elements(x, factors[0], 2), factors[1], 3),
    ]


ROUTES: dict[str, Route] = {
    "Concat": _concat,
    "Constant": lambda node: K.identity(K.constant(node.get("value"), node.get("value").dtype.name)),
    "ConstantOfShape": _filled,
    "Expand": _expand,
    "EyeLike": _eye,
    "Flatten": _flatten,
    "Gather": _gather,
    "OneHot": _one_hot,
    "Pad": _pad,
    "Range": _range,
    "Reshape": _reshape,
    "Resize": _enlarged,
    "Shape": _shape,
    "Size": lambda node: K.cast(K.prod(K.shape(node.x())), "int64"),
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": lambda node: K.tile(node.x(), node.array(1).tolist()),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Upsample": _enlarged,
}
