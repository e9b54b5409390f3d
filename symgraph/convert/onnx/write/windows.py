"""Convolution and pooling: operators that read channels behind the samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.convert.onnx.write.call import Call
from symgraph.convert.onnx.write.graph import Size, Value
from symgraph.convert.onnx.write.values import activated
from symgraph.convert.windows import same_border
from symgraph.utils.conv_utils import spatial_axes


def _spatial(call: Call, shape: Sequence[Size]) -> list[Size]:
    return [shape[axis] for axis in spatial_axes(len(shape), call.layer.data_format)]


def _border(call: Call, window: Sequence[int], dilation: Sequence[int]) -> dict[str, Any]:
    """The attribute that says what lies around the pictures."""
    layer, sizes = call.layer, _spatial(call, call.x.shape)
    if layer.padding == "valid":
        return {}
    if layer.padding == "causal":
        return {"pads": [(window[0] - 1) * dilation[0], 0]}
    ends = [same_border(*axis) for axis in zip(sizes, window, layer.strides, dilation, strict=True)]
    known = [pair for pair in ends if pair is not None]
    if len(known) < len(ends):
        return {"auto_pad": "SAME_UPPER"}
    return {"pads": [before for before, _ in known] + [after for _, after in known]}


def _filters(kernel: np.ndarray) -> np.ndarray:
    """A kernel (*window, channels, filters) as (filters, channels, *window)."""
    return kernel.transpose(kernel.ndim - 1, kernel.ndim - 2, *range(kernel.ndim - 2))


def _convolved(
    call: Call, x: str, kernel: np.ndarray, bias: np.ndarray | None, border: dict[str, Any], **more: Any
) -> str:
    graph = call.graph
    inputs = [x, graph.constant(_filters(kernel), "kernel")]
    if bias is not None:
        inputs.append(graph.constant(bias, "bias"))
    return graph.node("Conv", inputs, kernel_shape=list(kernel.shape[:-2]), **border, **more)


def _steps(layer: Any) -> dict[str, Any]:
    return {"strides": list(layer.strides), "dilations": list(layer.dilation_rate)}


def convolution(call: Call) -> list[Value]:
    """Of sequences, pictures and volumes."""
    layer, weights = call.layer, call.weights()
    border = _border(call, layer.kernel_size, layer.dilation_rate)
    x = call.graph.channels_first(call.x, layer.data_format)
    name = _convolved(
        call, x, weights["kernel"], weights.get("bias"), border, group=layer.groups, **_steps(layer)
    )
    return [activated(call, call.from_channels_first(name), layer.activation)]


def _each_channel(call: Call, kernel: np.ndarray, bias: np.ndarray | None) -> str:
    """A convolution of each channel by itself; kernel (*window, channels, multiplier)."""
    layer, channels = call.layer, kernel.shape[-2]
    border = _border(call, layer.kernel_size, layer.dilation_rate)
    flat = kernel.reshape(*kernel.shape[:-2], 1, -1)
    x = call.graph.channels_first(call.x, layer.data_format)
    return _convolved(call, x, flat, bias, border, group=channels, **_steps(layer))


def depthwise(call: Call) -> list[Value]:
    """Each channel by itself."""
    weights = call.weights()
    name = _each_channel(call, weights["depthwise_kernel"], weights.get("bias"))
    return [activated(call, call.from_channels_first(name), call.layer.activation)]


def separable(call: Call) -> list[Value]:
    """Each channel by itself, then a mix of them."""
    weights = call.weights()
    each = _each_channel(call, weights["depthwise_kernel"], None)
    name = _convolved(call, each, weights["pointwise_kernel"], weights.get("bias"), {})
    return [activated(call, call.from_channels_first(name), call.layer.activation)]


def transposed(call: Call) -> list[Value]:
    """The gradient of a convolution, used forwards.

    For n pixels Keras gives n · stride + c of them, whatever n is; from c follow the border of the
    convolution that leads back, and what ONNX adds at one end.
    """
    graph, layer, weights = call.graph, call.layer, call.weights()
    rank = len(layer.kernel_size)
    dilation = getattr(layer, "dilation_rate", None) or (1,) * rank
    extra = layer.output_padding or (None,) * rank
    pads, more = [], []
    for size, stride, apart, added in zip(layer.kernel_size, layer.strides, dilation, extra, strict=True):
        reach = (size - 1) * apart + 1
        c = max(reach - stride, 0) if layer.padding == "valid" else 0
        if added is not None:
            c = reach - stride - (2 * (reach // 2) if layer.padding == "same" else 0) + added
        total = max(reach - stride - c, 0) if layer.padding == "same" else 0
        pads.append((total // 2, total - total // 2))
        more.append(stride + c - reach + total)
    kernel = weights["kernel"]  # (*window, filters, channels)
    inputs = [
        graph.channels_first(call.x, layer.data_format),
        graph.constant(kernel.transpose(rank + 1, rank, *range(rank)), "kernel"),
    ]
    if "bias" in weights:
        inputs.append(graph.constant(weights["bias"], "bias"))
    name = graph.node(
        "ConvTranspose", inputs, kernel_shape=list(layer.kernel_size), strides=list(layer.strides),
        dilations=list(dilation), output_padding=more, pads=[p for p, _ in pads] + [p for _, p in pads],
    )  # fmt: skip
    return [activated(call, call.from_channels_first(name), layer.activation)]


def pooling(call: Call) -> list[Value]:
    """The largest value or the mean of windows; a border does not count."""
    layer = call.layer
    op = "MaxPool" if layer.mode == "max" else "AveragePool"
    name = call.graph.node(
        op, [call.graph.channels_first(call.x, layer.data_format)], kernel_shape=list(layer.pool_size),
        strides=list(layer.strides), **_border(call, layer.pool_size, (1,) * len(layer.pool_size)),
    )  # fmt: skip
    return [call.from_channels_first(name)]


def _padded(call: Call, op: str, x: str, border: Sequence[tuple[int, int]]) -> list[Value]:
    """Pooling with this border, which is made as wide as the last windows reach.

    The operators' own `ceil_mode` is not used: up to opset 18 it has windows that begin behind the picture.
    """
    layer = call.layer
    ends = [layer._end(size, axis) for axis, size in enumerate(_spatial(call, call.x.shape))]
    after = [last + end for (_, last), end in zip(border, ends, strict=True)]
    name = call.graph.node(
        op, [x], kernel_shape=list(layer.pool_size), strides=list(layer.strides),
        pads=[first for first, _ in border] + after,
    )  # fmt: skip
    return [call.from_channels_first(name)]


def padded_max(call: Call) -> list[Value]:
    """With a given border."""
    return _padded(
        call, "MaxPool", call.graph.channels_first(call.x, call.layer.data_format), call.layer.padding
    )


def padded_mean(call: Call) -> list[Value]:
    """With a given border, of zeros that count or not."""
    graph, layer = call.graph, call.layer
    x, border = graph.channels_first(call.x, layer.data_format), layer.padding
    if layer.count_padding:
        widths = [0, 0, *(first for first, _ in border), 0, 0, *(last for _, last in border)]
        x = graph.node("Pad", [x, graph.integers(widths), graph.scalar(0.0, call.x)])
        border = ((0, 0), (0, 0))
    return _padded(call, "AveragePool", x, border)


def global_max(call: Call) -> list[Value]:
    """The largest value of each channel."""
    return _global(call, "GlobalMaxPool")


def global_mean(call: Call) -> list[Value]:
    """The mean of each channel."""
    return _global(call, "GlobalAveragePool")


def _global(call: Call, op: str) -> list[Value]:
    pooled = call.graph.node(op, [call.graph.channels_first(call.x, call.layer.data_format)])
    return [call.value(call.graph.node("Flatten", [pooled], axis=1))]


def response_normalization(call: Call) -> list[Value]:
    """Of channels by the operator; of pixels, and of an even number of channels, by a mean of squares."""
    graph, layer = call.graph, call.layer
    x = graph.channels_first(call.x, layer.data_format)
    if layer.region == "channels" and layer.size % 2:
        name = graph.node("LRN", [x], size=layer.size, alpha=layer.alpha, beta=layer.beta, bias=layer.bias)
        return [call.from_channels_first(name)]
    # As volumes, whose first axis are the channels.
    squares = graph.node("Unsqueeze", [graph.node("Mul", [x, x]), graph.integers([1])])
    window = [layer.size, 1, 1] if layer.region == "channels" else [1, layer.size, layer.size]
    before = [(size - 1) // 2 for size in window]
    after = [size - 1 - first for size, first in zip(window, before, strict=True)]
    mean = graph.node(
        "AveragePool", [squares], kernel_shape=window, strides=[1] * 3, pads=before + after,
        count_include_pad=1,
    )  # fmt: skip
    mean = graph.node("Squeeze", [mean, graph.integers([1])])
    name = graph.node("Mul", [mean, graph.scalar(layer.alpha, call.x)])
    name = graph.node("Add", [name, graph.scalar(layer.bias, call.x)])
    name = graph.node("Mul", [x, graph.node("Pow", [name, graph.scalar(-layer.beta, call.x)])])
    return [call.from_channels_first(name)]


def up_sampling(call: Call) -> list[Value]:
    """Pixels repeated, or lines drawn between them."""
    graph, layer = call.graph, call.layer
    x = graph.channels_first(call.x, getattr(layer, "data_format", "channels_last"))
    factors = layer.size if isinstance(layer.size, tuple) else (layer.size,)
    linear = getattr(layer, "interpolation", "nearest") == "bilinear"
    scales = graph.constant(np.array([1, 1, *factors], "float32"))
    options = {"mode": "linear"} if linear else {"mode": "nearest", "nearest_mode": "floor"}
    name = graph.node("Resize", [x, "", scales], coordinate_transformation_mode="asymmetric", **options)
    return [call.from_channels_first(name)]
