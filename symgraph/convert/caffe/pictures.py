"""Convolution, deconvolution, pooling, cropping."""

from __future__ import annotations

from symgraph import layers as L
from symgraph.convert import windows
from symgraph.convert.builder import channels, sizes
from symgraph.convert.caffe.context import Context
from symgraph.convert.caffe.network import CaffeLayer, Parameters
from symgraph.graph.tensor import Tensor

Pair = tuple[int, int]

_CONVOLUTION = (
    "num_output", "bias_term", "pad", "kernel_size", "group", "stride", "pad_h", "pad_w", "kernel_h",
    "kernel_w", "stride_h", "stride_w", "dilation", "axis",
)  # fmt: skip
_FILLERS = ("weight_filler", "bias_filler", "engine", "force_nd_im2col")
_POOLING = (
    "pool", "pad", "pad_h", "pad_w", "kernel_size", "kernel_h", "kernel_w", "stride", "stride_h", "stride_w",
    "global_pooling", "round_mode", "ceil_mode",
)  # fmt: skip


def _pair(given: Parameters, name: str, short: str, default: int | None, least: int) -> Pair:
    """Rows and columns of a repeated field, or of its two fields with _h and _w."""
    values = given.integers(name)
    if given.has(f"{short}_h") or given.has(f"{short}_w"):
        if values:
            raise given.layer.error(f"{given.name}: expected {name}, or {short}_h and {short}_w, got both")
        values = [given.integer(f"{short}_h", default), given.integer(f"{short}_w", default)]
    if not values:
        values = [given.integer(name, default)]
    if len(values) > 2 or min(values) < least:
        raise given.layer.error(
            f"{given.name}: expected one or two integers of at least {least} for {name}, got {values}"
        )
    return values[0], values[-1]


def _convolution(context: Context, layer: CaffeLayer) -> tuple[Tensor, Parameters, int, int]:
    """Input, parameters, filters and groups of a convolution or deconvolution."""
    x = context.picture(layer)
    given = layer.parameters("convolution_param", _CONVOLUTION, _FILLERS)
    if context.axis(layer, x, given.integer("axis", 1)) != 1:
        raise layer.error(f"convolution_param: expected channels on axis 1, got {given.integer('axis')}")
    filters, groups = given.integer("num_output", least=1), given.integer("group", 1, least=1)
    if filters % groups or channels(x) % groups:
        raise layer.error(f"{channels(x)} channels and {filters} filters cannot be cut into {groups} groups")
    return x, given, filters, groups


def _bias(given: Parameters, filters: int) -> list[tuple[int, ...]]:
    return [(filters,)] if given.flag("bias_term", True) else []


def convolution(context: Context, layer: CaffeLayer) -> list[Tensor]:
    """Cross-correlation, as in Keras; kernels are stored as (filters, channels / groups, rows, columns)."""
    x, given, filters, groups = _convolution(context, layer)
    window = _pair(given, "kernel_size", "kernel", None, 1)
    pads = _pair(given, "pad", "pad", 0, 0)
    arrays = context.arrays(layer, (filters, channels(x) // groups, *window), *_bias(given, filters))
    kernel, *bias = arrays or [None]
    return [
        windows.convolve(
            context,
            layer.name,
            x,
            None if kernel is None else kernel.transpose(2, 3, 1, 0),
            bias[0] if bias else None,
            filters=filters,
            window=window,
            strides=_pair(given, "stride", "stride", 1, 1),
            ends=[(pad, pad) for pad in pads],
            dilation=_pair(given, "dilation", "dilation", 1, 1),
            groups=groups,
            use_bias=given.flag("bias_term", True),
        )
    ]


def deconvolution(context: Context, layer: CaffeLayer) -> list[Tensor]:
    """Its gradient used forwards; kernels are stored as (channels, filters / groups, rows, columns).

    Groups become zeros in one kernel: the layer of Keras has none.
    """
    x, given, filters, groups = _convolution(context, layer)
    window, depth = _pair(given, "kernel_size", "kernel", None, 1), channels(x)
    if _pair(given, "dilation", "dilation", 1, 1) != (1, 1):
        raise layer.error("convolution_param { dilation } cannot be converted")
    arrays = context.arrays(layer, (depth, filters // groups, *window), *_bias(given, filters))
    kernel, *bias = arrays or [None]
    if kernel is None and groups > 1:
        raise layer.error(f"a deconvolution in {groups} groups needs weights to be converted")
    return [
        windows.deconvolve(
            context,
            layer.name,
            x,
            kernel,
            bias[0] if bias else None,
            window=window,
            strides=_pair(given, "stride", "stride", 1, 1),
            ends=[(pad, pad) for pad in _pair(given, "pad", "pad", 0, 0)],
            filters=filters,
            groups=groups,
            use_bias=given.flag("bias_term", True),
        )
    ]


def pooling(context: Context, layer: CaffeLayer) -> list[Tensor]:
    """Windows that reach over the edge where strides leave a rest, and zeros of the border in means."""
    x = context.picture(layer)
    given = layer.parameters("pooling_param", _POOLING, ("engine",))
    mode = given.choice("pool", ("MAX", "AVE", "STOCHASTIC"), "MAX")
    if mode == "STOCHASTIC":
        raise layer.error("pooling_param { pool: STOCHASTIC } cannot be converted")
    if len(layer.tops) > 1:
        raise layer.error("the positions of the largest values, a second top, cannot be converted")
    strides, pads = _pair(given, "stride", "stride", 1, 1), _pair(given, "pad", "pad", 0, 0)
    if given.flag("global_pooling", False):
        return [_global(context, layer, x, mode, (*strides, *pads))]
    window = _pair(given, "kernel_size", "kernel", None, 1)
    ceil = given.choice("round_mode", ("CEIL", "FLOOR"), "CEIL") == "CEIL" and given.flag("ceil_mode", True)
    for size, w, stride, pad in zip(sizes(x)[2:], window, strides, pads, strict=True):
        if pad >= w:
            raise layer.error(f"expected padding smaller than the window {window}, got {pads}")
        if size is not None and size + 2 * pad < w:
            raise layer.error(f"a window of {window} does not fit into {sizes(x)[2:]} pixels")
        behind = size is not None and -(-(size + 2 * pad - w) // stride) * stride >= size + pad
        if ceil and not any(pads) and behind:
            raise layer.error(
                f"the last window begins behind the picture (size {size}, window {w}, stride {stride}): "
                "its value in Caffe is no number of the picture"
            )
    return [
        windows.pool(
            context, layer.name, x, "max" if mode == "MAX" else "mean", window=window, strides=strides,
            ends=[(pad, pad) for pad in pads], ceil=ceil, count_padding=True,
        )
    ]  # fmt: skip


def _global(context: Context, layer: CaffeLayer, x: Tensor, mode: str, steps: tuple[int, ...]) -> Tensor:
    if steps != (1, 1, 0, 0):
        raise layer.error("global pooling has stride 1 and no padding in Caffe")
    cls = L.GlobalMaxPooling2D if mode == "MAX" else L.GlobalAveragePooling2D
    y = context.place(cls, layer, x, data_format="channels_first")
    return context.apply(
        L.Reshape, context.unique(f"{layer.name}_pixel"), y, target_shape=(channels(x), 1, 1)
    )


def crop(context: Context, layer: CaffeLayer) -> list[Tensor]:
    """The first blob cut to the size of the second along the axes from `axis` on."""
    x, like = context.inputs(layer) if len(layer.bottoms) == 2 else (None, None)
    if x is None or like is None or x.ndim != 4 or like.ndim != 4:
        raise layer.error(f"expected two bottoms that are pictures, got {len(layer.bottoms)} bottoms")
    given = layer.parameters("crop_param", ("axis", "offset"))
    axis = context.axis(layer, x, given.integer("axis", 2))
    offsets = given.integers("offset") or [0]
    if len(offsets) not in (1, 4 - axis):
        raise layer.error(f"crop_param: expected 1 or {4 - axis} offsets, got {len(offsets)}")
    offsets = offsets * (4 - axis) if len(offsets) == 1 else offsets
    ends = []
    for at, offset in zip(range(axis, 4), offsets, strict=True):
        size, wanted = sizes(x)[at], sizes(like)[at]
        if size is None or wanted is None:
            raise layer.error(f"expected known sizes, got {sizes(x)} and {sizes(like)}")
        after = size - offset - wanted
        if offset < 0 or after < 0:
            raise layer.error(f"cannot cut {wanted} of {size} along axis {at}, beginning at {offset}")
        ends.append((offset, after))
    if axis == 1 and ends[0] != (0, 0):
        raise layer.error("channels cannot be cropped")
    return [windows.cut_ends(context, layer.name, x, [(0, 0)] * (axis - 2) + ends[-2:])]
