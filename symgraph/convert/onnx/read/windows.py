"""Convolution, pooling, resizing: operators of sequences, pictures and volumes with channels first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph import layers as L
from symgraph.convert import windows
from symgraph.convert.builder import channels, sizes
from symgraph.convert.onnx.read.entries import Entry
from symgraph.convert.onnx.read.node import Node
from symgraph.graph.tensor import Tensor

_FIRST: dict[str, Any] = {"data_format": "channels_first"}


def _spatial(node: Node, place: int = 0) -> tuple[Tensor, int]:
    """The input and the number of its spatial axes."""
    x = node.tensor(place)
    if not 3 <= x.ndim <= 5:
        raise node.error(f"expected one to three axes behind samples and channels, got {sizes(x)}")
    return x, x.ndim - 2


def _steps(node: Node, name: str, rank: int) -> list[int]:
    found = [int(step) for step in node.attribute(name, [1] * rank)]
    if len(found) != rank or min(found) < 1:
        raise node.error(f"expected {rank} {name} of at least 1, got {found}")
    return found


def _ends(
    node: Node, x: Tensor, window: Sequence[int], strides: Sequence[int], dilation: Sequence[int]
) -> list[tuple[int, int]] | None:
    """The border before and after each axis; None for that of 'same' around sizes that are not known."""
    rank = len(window)
    pads = [int(pad) for pad in node.attribute("pads", [0] * 2 * rank)]
    kind = node.attribute("auto_pad", "NOTSET")
    if kind == "NOTSET":
        if len(pads) != 2 * rank or min(pads) < 0:
            raise node.error(f"expected {2 * rank} pads of at least 0, got {pads}")
        return list(zip(pads[:rank], pads[rank:], strict=True))
    if kind == "VALID":
        return [(0, 0)] * rank
    if kind not in ("SAME_UPPER", "SAME_LOWER"):
        raise node.error(f"auto_pad {kind!r} cannot be read")
    found = [windows.same_border(*a) for a in zip(sizes(x)[2:], window, strides, dilation, strict=True)]
    known = [pair for pair in found if pair is not None]
    if len(known) < rank:
        if kind == "SAME_LOWER":
            raise node.error(f"auto_pad SAME_LOWER needs known sizes, got {sizes(x)}")
        return None
    return known if kind == "SAME_UPPER" else [(after, before) for before, after in known]


def _kernel(node: Node, rank: int, depth: int) -> np.ndarray:
    """The weights (filters, channels, *window), or the other way round for transposed convolutions."""
    kernel = node.constant(1, "the weights")
    if kernel.ndim != rank + 2 or kernel.size == 0 or depth % kernel.shape[1]:
        raise node.error(f"weights of shape {kernel.shape} do not suit {depth} channels")
    window = node.attribute("kernel_shape")
    if window is not None and tuple(window) != kernel.shape[2:]:
        raise node.error(f"kernel_shape {list(window)} is not that of the weights, {kernel.shape[2:]}")
    return kernel


def _bias(node: Node, filters: int) -> np.ndarray | None:
    bias = node.constant_or_none(2, "the bias")
    if bias is not None and bias.shape != (filters,):
        raise node.error(f"expected a bias of shape ({filters},), got {bias.shape}")
    return bias


def convolution(node: Node) -> list[Entry]:
    """Cross-correlation."""
    x, rank = _spatial(node)
    kernel = _kernel(node, rank, channels(x))
    groups, filters = int(node.attribute("group", 1)), len(kernel)
    if kernel.shape[1] * groups != channels(x) or filters % groups:
        raise node.error(
            f"weights of shape {kernel.shape} in {groups} groups do not suit {channels(x)} channels"
        )
    strides, dilation = _steps(node, "strides", rank), _steps(node, "dilations", rank)
    bias = _bias(node, filters)
    return [
        windows.convolve(
            node.reading, node.name, x, kernel.transpose(*range(2, rank + 2), 1, 0), bias, filters=filters,
            window=kernel.shape[2:], strides=strides, dilation=dilation, groups=groups,
            ends=_ends(node, x, kernel.shape[2:], strides, dilation), use_bias=bias is not None,
        )
    ]  # fmt: skip


def transposed(node: Node) -> list[Entry]:
    """The gradient of a convolution, used forwards."""
    x, rank = _spatial(node)
    kernel, depth = node.constant(1, "the weights"), channels(x)
    if kernel.ndim != rank + 2 or len(kernel) != depth:
        raise node.error(f"weights of shape {kernel.shape} do not suit {depth} channels")
    window, groups = kernel.shape[2:], int(node.attribute("group", 1))
    if tuple(node.attribute("kernel_shape", window)) != window or depth % groups:
        raise node.error(f"kernel_shape or group do not suit weights of shape {kernel.shape}")
    strides, dilation = _steps(node, "strides", rank), _steps(node, "dilations", rank)
    if node.attribute("output_shape") is not None or node.attribute("auto_pad", "NOTSET") != "NOTSET":
        raise node.error("output_shape and auto_pad cannot be read")
    ends = _ends(node, x, window, strides, dilation) or []
    more = [int(extra) for extra in node.attribute("output_padding", [0] * rank)]
    bias = _bias(node, kernel.shape[1] * groups)
    return [
        windows.deconvolve(
            node.reading, node.name, x, kernel, bias, window=window, strides=strides, ends=ends,
            groups=groups, dilation=dilation, output_padding=more,
        )
    ]  # fmt: skip


def _pooled(node: Node, mode: str, count_padding: bool) -> list[Entry]:
    x, rank = _spatial(node)
    window = [int(size) for size in node.attribute("kernel_shape", [])]
    if len(window) != rank or min(window) < 1:
        raise node.error(f"expected a kernel_shape of {rank} sizes, got {window}")
    node.demand("dilations", [1] * rank, [1] * rank)
    strides = _steps(node, "strides", rank)
    return [
        windows.pool(
            node.reading, node.name, x, mode, window=window, strides=strides,
            ends=_ends(node, x, window, strides, [1] * rank), ceil=bool(node.attribute("ceil_mode", 0)),
            count_padding=count_padding,
        )
    ]  # fmt: skip


def max_pool(node: Node) -> list[Entry]:
    """The largest value of windows."""
    node.attribute("storage_order")  # of the second output
    if len(node.proto.output) > 1 and node.reading.used(node.proto.output[1]):
        raise node.error("places of the largest values, a second output, cannot be read")
    return _pooled(node, "max", False)


def average_pool(node: Node) -> list[Entry]:
    """The mean of windows."""
    return _pooled(node, "mean", bool(node.attribute("count_include_pad", 0)))


_GLOBAL: dict[tuple[str, int], type[L.Layer]] = {
    ("max", 1): L.GlobalMaxPooling1D, ("max", 2): L.GlobalMaxPooling2D, ("max", 3): L.GlobalMaxPooling3D,
    ("mean", 1): L.GlobalAveragePooling1D, ("mean", 2): L.GlobalAveragePooling2D,
    ("mean", 3): L.GlobalAveragePooling3D,
}  # fmt: skip


def global_max(node: Node) -> list[Entry]:
    """The largest value of each channel."""
    return [_whole(node, *_spatial(node), "max", keepdims=True)]


def global_mean(node: Node) -> list[Entry]:
    """The mean of each channel."""
    return [_whole(node, *_spatial(node), "mean", keepdims=True)]


def _whole(node: Node, x: Tensor, rank: int, mode: str, keepdims: bool, layout: str = "first") -> Tensor:
    y = node.layer(_GLOBAL[mode, rank], x, data_format=f"channels_{layout}")
    if not keepdims:
        return y
    ones, size = (1,) * rank, channels(y)
    return node.layer(L.Reshape, y, target_shape=(size, *ones) if layout == "first" else (*ones, size))


def reduce_max(node: Node) -> list[Entry]:
    """The largest value of all spatial axes."""
    return _reduced(node, "max")


def reduce_mean(node: Node) -> list[Entry]:
    """The mean of all spatial axes."""
    return _reduced(node, "mean")


def _reduced(node: Node, mode: str) -> list[Entry]:
    x, rank = _spatial(node)
    node.attribute("noop_with_empty_axes")
    given, keepdims = node.integers("axes", 1), bool(node.attribute("keepdims", 1))
    axes = sorted(axis % x.ndim for axis in given or [])
    if axes == list(range(2, x.ndim)):
        return [_whole(node, x, rank, mode, keepdims)]
    if axes == list(range(1, x.ndim - 1)):
        return [_whole(node, x, rank, mode, keepdims, "last")]
    raise node.error(f"a reduction of axes {axes} of a tensor of shape {sizes(x)} cannot be read")


def response_normalization(node: Node) -> list[Entry]:
    """Across channels."""
    x, rank = _spatial(node)
    if rank != 2 or node.attribute("size") is None:
        raise node.error(f"expected pictures and a size, got {sizes(x)}")
    return [
        node.layer(
            L.LocalResponseNormalization, x, size=node.attribute("size"),
            alpha=node.attribute("alpha", 1e-4), beta=node.attribute("beta", 0.75),
            bias=node.attribute("bias", 1.0), **_FIRST,
        )
    ]  # fmt: skip


def resize(node: Node) -> list[Entry]:
    """Pixels repeated, or lines drawn between them, by whole factors."""
    x, rank = _spatial(node)
    mode = node.attribute("mode", "nearest")
    where = node.attribute("coordinate_transformation_mode", "half_pixel")
    rounding = node.attribute("nearest_mode", "round_prefer_floor")
    for name in ("cubic_coeff_a", "exclude_outside", "extrapolation_value"):
        node.attribute(name)
    factors = _factors(node, x)
    if node.op == "Upsample" or node.reading.opset < 11:
        where, rounding = "asymmetric", "floor"
    centred = where in ("half_pixel", "pytorch_half_pixel") and rounding == "round_prefer_floor"
    nearest = mode == "nearest" and (centred or (where, rounding) == ("asymmetric", "floor"))
    linear = mode == "linear" and where == "asymmetric" and rank == 2
    if not nearest and not linear:
        raise node.error(f"mode {mode!r} with {where!r} and {rounding!r} cannot be read")
    if rank == 1:
        x = node.layer(L.UpSampling1D, node.layer(L.Permute, x, dims=(2, 1)), size=factors[0])
        return [node.layer(L.Permute, x, dims=(2, 1))]
    if rank == 3:
        return [node.layer(L.UpSampling3D, x, size=tuple(factors), **_FIRST)]
    kind = "bilinear" if linear else "nearest"
    return [node.layer(L.UpSampling2D, x, size=tuple(factors), interpolation=kind, **_FIRST)]


def _factors(node: Node, x: Tensor) -> list[int]:
    """By how much each spatial axis grows."""
    place = 1 if node.op == "Upsample" or node.reading.opset < 11 else 2
    scales = node.attribute("scales")
    if scales is None and node.has(place):
        scales = node.constant(place, "scales").ravel().tolist()
    if not scales:
        if not node.has(3):
            raise node.error("expected scales or sizes")
        wanted = node.constant(3, "sizes").ravel().tolist()[1:]
        scales = [1, *(new / old for new, old in zip(wanted, node.known(x), strict=False))]
    whole = [round(scale) for scale in scales]
    exact = all(abs(scale - size) < 1e-6 and size >= 1 for scale, size in zip(scales, whole, strict=True))
    if len(whole) != x.ndim or not exact or whole[:2] != [1, 1]:
        raise node.error(f"expected whole factors of spatial axes, got {scales} for shape {sizes(x)}")
    return whole[2:]
