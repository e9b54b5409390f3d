"""Convolutions and pooling; ONNX has the channels first, everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph import backend as K
from symgraph import layers
from symgraph.graph.tensor import Tensor
from tests.onnx_cases.routes.movement import framed
from tests.onnx_cases.routes.stretch import shape_of
from tests.onnx_cases.translate import Node, NotExpressibleError, Route

Pairs = list[tuple[int, int]]


class Geometry:
    """Windows of a node: sizes, steps and borders of the spatial axes."""

    def __init__(self, node: Node, kernel: tuple[int, ...]) -> None:
        self.sizes = shape_of(node.x())[2:]
        self.rank = len(self.sizes)
        self.kernel = kernel
        self.strides = tuple(node.get("strides", [1] * self.rank))
        self.dilations = tuple(node.get("dilations", [1] * self.rank))
        self.reach = tuple((k - 1) * d + 1 for k, d in zip(kernel, self.dilations, strict=True))
        self.mode = node.get("auto_pad", "NOTSET")
        self.given: Pairs = self._pairs(node.get("pads", [0] * 2 * self.rank))
        if self.mode.startswith("SAME"):
            self.given = self._same(upper=self.mode == "SAME_UPPER")

    def _pairs(self, pads: list[int]) -> Pairs:
        return list(zip(pads[: self.rank], pads[self.rank :], strict=True))

    def _same(self, upper: bool) -> Pairs:
        pairs = []
        for size, reach, stride in zip(self.sizes, self.reach, self.strides, strict=True):
            missing = max((-(-size // stride) - 1) * stride + reach - size, 0)
            small, large = missing // 2, missing - missing // 2
            pairs.append((small, large) if upper else (large, small))
        return pairs

    @property
    def same(self) -> bool:
        """Whether the borders are those of TensorFlow's 'same'."""
        return self.given == self._same(upper=True)

    @property
    def border(self) -> Pairs:
        """Widths around all axes of a tensor."""
        return [(0, 0), (0, 0), *self.given]


def _last(x: Tensor) -> Tensor:
    return K.permute_dimensions(x, (0, *range(2, x.ndim), 1))


def _first(x: Tensor) -> Tensor:
    return K.permute_dimensions(x, (0, x.ndim - 1, *range(1, x.ndim - 1)))


FIRST = {"data_format": "channels_first"}
_CONV = {1: (K.conv1d, layers.Conv1D), 2: (K.conv2d, layers.Conv2D), 3: (K.conv3d, layers.Conv3D)}
_ZERO = {1: layers.ZeroPadding1D, 2: layers.ZeroPadding2D, 3: layers.ZeroPadding3D}


def _weighted(layer: Any, x: Tensor, weights: list[np.ndarray]) -> Tensor:
    layer.build(shape_of(x))
    layer.set_weights(weights)
    found: Tensor = layer(x)
    return found


def _one(values: tuple[int, ...]) -> Any:
    return values[0] if len(values) == 1 else values


def _conv(node: Node) -> list[Any]:
    x, weights = node.x(), node.array(1)
    where = Geometry(node, weights.shape[2:])
    if max(where.strides) > 1 and max(where.dilations) > 1:
        raise NotExpressibleError("arguments: strides and dilations at once")
    # (filters, channels, ...) to (..., channels, filters)
    kernel = np.moveaxis(weights, (0, 1), (-1, -2))
    bias = [node.array(2)] if node.has(2) else []
    groups, channels = node.get("group", 1), shape_of(x)[1]
    x, padding = (x, "same") if where.same and any(map(any, where.given)) else (_bordered(x, where), "valid")
    steps = {"strides": _one(where.strides), "dilation_rate": _one(where.dilations), "padding": padding}
    if groups > 1 and groups == channels and where.rank < 3:
        return _depthwise(x, kernel, bias, where, steps)
    function, cls = _CONV[where.rank]
    parts = []
    for group in range(groups):
        own = x[:, group * kernel.shape[-2] : (group + 1) * kernel.shape[-2]] if groups > 1 else x
        filters = kernel.shape[-1] // groups
        parts.append(
            function(own, K.constant(kernel[..., group * filters : (group + 1) * filters]), **steps, **FIRST)
        )
    y = parts[0] if groups == 1 else K.concatenate(parts, axis=1)
    found = [K.bias_add(y, K.constant(bias[0]), **FIRST) if bias else y]
    if groups == 1:
        arguments = {
            "filters": kernel.shape[-1],
            "kernel_size": where.kernel,
            "use_bias": bool(bias),
            **steps,
        }
        found.append(_weighted(cls(**arguments, **FIRST), x, [kernel, *bias]))
        found.append(_first(_weighted(cls(**arguments), _last(x), [kernel, *bias])))
        if where.rank == 2:  # the kernel is fed too
            fed = K.permute_dimensions(node.x(1), (2, 3, 1, 0))
            y = function(x, fed, **steps, **FIRST)
            found.append(K.bias_add(y, node.x(2), **FIRST) if bias else y)
    return found


def _bordered(x: Tensor, where: Geometry) -> Tensor:
    if not any(map(any, where.given)):
        return x
    if where.rank == 1:
        turned = layers.ZeroPadding1D(where.given[0])(K.permute_dimensions(x, (0, 2, 1)))
        return K.permute_dimensions(turned, (0, 2, 1))
    padded: Tensor = _ZERO[where.rank](where.given, **FIRST)(x)
    return padded


def _depthwise(
    x: Tensor, kernel: np.ndarray, bias: list[np.ndarray], where: Geometry, steps: dict[str, Any]
) -> list[Any]:
    """Each channel with kernels of its own: (..., 1, channels · multiplier) here."""
    channels = shape_of(x)[1]
    own = kernel.reshape(*kernel.shape[:-2], channels, -1)
    if where.rank == 1:
        turned = _last(x)
        mixed = np.eye(kernel.shape[-1], dtype="float32")[None]
        steps = {**steps, "strides": where.strides, "dilation_rate": where.dilations}
        y = K.separable_conv1d(turned, K.constant(own), K.constant(mixed), **steps)
        return [_first(K.bias_add(y, K.constant(bias[0])) if bias else y)]
    y = K.depthwise_conv2d(x, K.constant(own), **steps, **FIRST)
    mixed = np.eye(kernel.shape[-1], dtype="float32")[None, None]
    separable = K.separable_conv2d(x, K.constant(own), K.constant(mixed), **steps, **FIRST)
    found = [K.bias_add(z, K.constant(bias[0]), **FIRST) if bias else z for z in (y, separable)]
    if steps["dilation_rate"] == (1, 1):
        arguments = {k: v for k, v in steps.items() if k != "dilation_rate"}
        multiplier = own.shape[-1]
        layer = layers.DepthwiseConv2D(
            where.kernel, depth_multiplier=multiplier, use_bias=bool(bias), **arguments, **FIRST
        )
        found.append(_weighted(layer, x, [own, *bias]))
    return found


def _conv_transpose(node: Node) -> list[Any]:
    """The whole result of 'valid' with what is asked for behind it, then the borders cut away."""
    x, weights = node.x(), node.array(1)
    where, groups = Geometry(node, weights.shape[2:]), node.get("group", 1)
    extra = node.get("output_padding", [0] * where.rank)
    whole = [(n - 1) * s + r for n, s, r in zip(where.sizes, where.strides, where.reach, strict=True)]
    cuts = _cuts(node, where, [w + e for w, e in zip(whole, extra, strict=True)])
    # (channels, filters, ...) to (..., filters, channels)
    kernel = np.moveaxis(weights, (0, 1), (-1, -2))
    if where.rank == 1:  # one row
        x, kernel = K.expand_dims(x, 2), kernel[None]
    filled = [(0, e) for e in extra]
    parts, count = [], kernel.shape[-1] // groups
    for group in range(groups):
        own = x[:, group * count : (group + 1) * count] if groups > 1 else x
        parts.append(_transposed(own, kernel[..., group * count : (group + 1) * count], whole, where))
    y = parts[0] if groups == 1 else K.concatenate(parts, axis=1)
    if where.rank == 1:
        y = K.squeeze(y, 2)
    shrunk = framed(framed(y, [(0, 0), (0, 0), *filled]), [(0, 0), (0, 0), *[(-a, -b) for a, b in cuts]])
    found = [K.bias_add(shrunk, node.x(2), **FIRST) if node.has(2) else shrunk]
    if groups == 1 and where.rank > 1 and not any(extra) and set(where.dilations) == {1}:
        cls, crop = {
            2: (layers.Conv2DTranspose, layers.Cropping2D),
            3: (layers.Conv3DTranspose, layers.Cropping3D),
        }[where.rank]
        layer = cls(kernel.shape[-2], where.kernel, strides=where.strides, use_bias=node.has(2), **FIRST)
        z = _weighted(layer, x, [kernel, *([node.array(2)] if node.has(2) else [])])
        z = framed(z, [(0, 0), (0, 0), *[(0, w - n) for w, n in zip(whole, shape_of(z)[2:], strict=True)]])
        if min(map(min, cuts)) >= 0:
            found.append(crop(cuts, **FIRST)(z))
    return found


def _transposed(x: Tensor, kernel: np.ndarray, whole: list[int], where: Geometry) -> Tensor:
    filters = kernel.shape[-2]
    if where.rank == 3:
        if set(where.dilations) != {1}:
            raise NotExpressibleError("arguments: a transposed convolution of volumes with dilation")
        return K.conv3d_transpose(x, K.constant(kernel), (None, filters, *whole), where.strides, **FIRST)
    strides, dilations, sizes = (
        (1,) * (2 - where.rank) + tuple(v) for v in (where.strides, where.dilations, whole)
    )
    shape = (None, filters, *sizes)
    return K.conv2d_transpose(x, K.constant(kernel), shape, strides, "valid", "channels_first", dilations)


def _cuts(node: Node, where: Geometry, whole: list[int]) -> Pairs:
    """What to cut at both ends of each axis of the whole result."""
    if "output_shape" in node.attributes:
        wanted = node.get("output_shape")[-where.rank :]
    elif where.mode.startswith("SAME"):
        wanted = [n * s for n, s in zip(where.sizes, where.strides, strict=True)]
    else:
        return where.given
    pairs = []
    for size, full in zip(wanted, whole, strict=True):
        small, large = (full - size) // 2, full - size - (full - size) // 2
        pairs.append((small, large) if where.mode == "SAME_UPPER" else (large, small))
    return pairs


_POOL = {
    1: (layers.MaxPooling1D, layers.AveragePooling1D),
    2: (layers.MaxPooling2D, layers.AveragePooling2D),
    3: (layers.MaxPooling3D, layers.AveragePooling3D),
}


def _pooled(x: Tensor, mode: str, where: Geometry, padding: str) -> list[Tensor]:
    layer = _POOL[where.rank][mode == "avg"]
    found = [
        layer(_one(where.kernel), _one(where.strides), padding, **FIRST)(x),
        _first(layer(_one(where.kernel), _one(where.strides), padding)(_last(x))),
    ]
    function = {2: K.pool2d, 3: K.pool3d}.get(where.rank)
    if function is not None:
        found.append(function(x, where.kernel, where.strides, padding, "channels_first", mode))
    return found


def _complete(node: Node, where: Geometry) -> Pairs:
    """Borders with what windows that begin inside reach over the end."""
    pairs = []
    for size, reach, stride, (before, after) in zip(
        where.sizes, where.reach, where.strides, where.given, strict=True
    ):
        span = size + before + after - reach
        windows = span // stride + 1
        if node.get("ceil_mode", 0) and span % stride and windows * stride < size + before:
            windows += 1
        pairs.append((before, max((windows - 1) * stride + reach - size - before, after)))
    return pairs


def _max_pool(node: Node) -> list[Any]:
    where = Geometry(node, tuple(node.get("kernel_shape")))
    x = node.x()
    if node.outputs > 1 or set(where.dilations) != {1}:
        raise NotExpressibleError("arguments: places of the maxima, or dilation")
    if x.dtype not in ("float32", "float64"):
        raise NotExpressibleError("type: pooling of whole numbers")
    found: list[Any] = []
    if where.same and any(map(any, where.given)):
        found = _pooled(x, "max", where, "same")
    pairs = _complete(node, where)
    framed_x = framed(x, [(0, 0), (0, 0), *pairs], -np.inf)
    return [*found, *_pooled(framed_x, "max", where, "valid")]


def _average_pool(node: Node) -> list[Any]:
    where = Geometry(node, tuple(node.get("kernel_shape")))
    x = node.x()
    if set(where.dilations) != {1}:
        raise NotExpressibleError("arguments: dilation")
    given = [(0, 0), (0, 0), *where.given]
    pairs = [(0, 0), (0, 0), *_complete(node, where)]
    found: list[Any] = []
    if not node.get("count_include_pad", 0) and where.same and any(map(any, where.given)):
        found = _pooled(x, "avg", where, "same")
    if pairs == given and (node.get("count_include_pad", 0) or not any(map(any, given))):
        return [*found, *_pooled(framed(x, pairs), "avg", where, "valid")]
    # A mean of what counts: the sum of all over the share of what counts.
    ones = K.constant(1.0, x.dtype, shape_of(x))
    if node.get("count_include_pad", 0):
        ones = framed(ones, given, 1.0)
        rest = [(a - b, c - d) for (a, c), (b, d) in zip(pairs, given, strict=True)]
        counted = framed(ones, rest)
    else:
        counted = framed(ones, pairs)
    sums, shares = (_pooled(v, "avg", where, "valid") for v in (framed(x, pairs), counted))
    return [*found, *(s / c for s, c in zip(sums, shares, strict=True))]


_GLOBAL = {
    "GlobalMaxPool": (
        layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D, layers.GlobalMaxPooling3D, K.max,
    ),
    "GlobalAveragePool": (
        layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D, layers.GlobalAveragePooling3D, K.mean,
    ),
}  # fmt: skip


def _global(node: Node) -> list[Any]:
    x = node.x()
    *pools, reduce = _GLOBAL[node.op]
    layer, axes = pools[x.ndim - 3], [*range(2, x.ndim)]
    wide = (*shape_of(x)[:2], *[1] * len(axes))
    pooled = [layer(**FIRST)(x), layer()(_last(x))]
    return [reduce(x, axes, keepdims=True), *(K.reshape(y, wide) for y in pooled)]


ROUTES: dict[str, Route] = {
    "AveragePool": _average_pool,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "GlobalAveragePool": _global,
    "GlobalMaxPool": _global,
    "MaxPool": _max_pool,
}
