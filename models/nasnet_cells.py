"""The two cells of NASNet-A: Zoph et al. 2017, figure 4. A cell sees the two that come before it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from symgraph import backend as K
from symgraph.layers import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Cropping2D,
    MaxPooling2D,
    SeparableConv2D,
    ZeroPadding2D,
    add,
    concatenate,
)
from symgraph.models.application import Tensor, stride_padding

_Layer = Callable[..., Any]
_LAST: dict[str, Any] = {"data_format": "channels_last"}
_convolution: _Layer = partial(
    Conv2D, padding="same", use_bias=False, kernel_initializer="he_normal", **_LAST
)
_separable: _Layer = partial(SeparableConv2D, use_bias=False, kernel_initializer="he_normal", **_LAST)
_average: _Layer = partial(AveragePooling2D, **_LAST)
_maximum: _Layer = partial(MaxPooling2D, 3, strides=2, padding="valid", **_LAST)


def normal_cell(x: Tensor, before: Tensor | None, filters: int, name: str) -> tuple[Tensor, Tensor]:
    """As many rows and columns; the output and, for the next cell, the input."""
    p = _adjusted(before, x, filters, name)
    h = _projected(x, filters, f"normal_conv_1_{name}", f"normal_bn_1_{name}")

    def side(y: Tensor, size: int, place: str) -> Tensor:
        return _separables(y, filters, size, 1, f"normal_{place}_{name}")

    x1 = add([side(h, 5, "left1"), side(p, 3, "right1")], name=f"normal_add_1_{name}")
    x2 = add([side(p, 5, "left2"), side(p, 3, "right2")], name=f"normal_add_2_{name}")
    x3 = _average(3, strides=1, padding="same", name=f"normal_left3_{name}")(h)
    x3 = add([x3, p], name=f"normal_add_3_{name}")
    x4 = [_average(3, strides=1, padding="same", name=f"normal_{s}4_{name}")(p) for s in ("left", "right")]
    x4 = add(x4, name=f"normal_add_4_{name}")
    x5 = add([side(h, 3, "left5"), h], name=f"normal_add_5_{name}")
    return concatenate([p, x1, x2, x3, x4, x5], axis=-1, name=f"normal_concat_{name}"), x


def reduction_cell(x: Tensor, before: Tensor | None, filters: int, name: str) -> tuple[Tensor, Tensor]:
    """Half as many rows and columns; the output and, for the next cell, the input."""
    p = _adjusted(before, x, filters, name)
    h = _projected(x, filters, f"reduction_conv_1_{name}", f"reduction_bn_1_{name}")
    padded = ZeroPadding2D(stride_padding(h, 3, 3), name=f"reduction_pad_1_{name}", **_LAST)(h)

    def side(y: Tensor, size: int, place: str, stride: int = 2) -> Tensor:
        return _separables(y, filters, size, stride, f"reduction_{place}_{name}")

    x1 = add([side(h, 5, "left1"), side(p, 7, "right1")], name=f"reduction_add_1_{name}")
    x2 = _maximum(name=f"reduction_left2_{name}")(padded)
    x2 = add([x2, side(p, 7, "right2")], name=f"reduction_add_2_{name}")
    x3 = _average(3, strides=2, padding="valid", name=f"reduction_left3_{name}")(padded)
    x3 = add([x3, side(p, 5, "right3")], name=f"reduction_add3_{name}")
    x4 = _average(3, strides=1, padding="same", name=f"reduction_left4_{name}")(x1)
    x4 = add([x2, x4])
    x5 = side(x1, 3, "left4", 1)
    x5 = add([x5, _maximum(name=f"reduction_right5_{name}")(padded)], name=f"reduction_add4_{name}")
    return concatenate([x2, x3, x4, x5], axis=-1, name=f"reduction_concat_{name}"), x


def normalised(x: Tensor, name: str) -> Tensor:
    """Batch normalisation with slow averages."""
    return BatchNormalization(axis=-1, momentum=0.9997, epsilon=1e-3, name=name)(x)


def _projected(x: Tensor, filters: int, convolution: str, normalisation: str) -> Tensor:
    x = Activation("relu")(x)
    return normalised(_convolution(filters, 1, name=convolution)(x), normalisation)


def _separables(x: Tensor, filters: int, size: int, stride: int, name: str) -> Tensor:
    """Two separable convolutions, the first of them with the stride."""
    x, padding = Activation("relu")(x), "same"
    if stride == 2:
        x = ZeroPadding2D(stride_padding(x, size, 3), name=f"separable_conv_1_pad_{name}", **_LAST)(x)
        padding = "valid"
    x = _separable(filters, size, strides=stride, padding=padding, name=f"separable_conv_1_{name}")(x)
    x = Activation("relu")(normalised(x, f"separable_conv_1_bn_{name}"))
    x = _separable(filters, size, padding="same", name=f"separable_conv_2_{name}")(x)
    return normalised(x, f"separable_conv_2_bn_{name}")


def _adjusted(before: Tensor | None, x: Tensor, filters: int, name: str) -> Tensor:
    """The output of the cell before, in the size of `x` and with as many channels as the cell works on."""
    if before is None:
        return x
    if K.int_shape(before)[2] != K.int_shape(x)[2]:
        return _thinned(before, filters, name)
    if K.int_shape(before)[3] != filters:
        return _projected(before, filters, f"adjust_conv_projection_{name}", f"adjust_bn_{name}")
    return before


def _thinned(p: Tensor, filters: int, name: str) -> Tensor:
    """Every second pixel, and every second one of the picture shifted by one, each for half the channels."""
    p = Activation("relu", name=f"adjust_relu_1_{name}")(p)
    p1 = _average(1, strides=2, padding="valid", name=f"adjust_avg_pool_1_{name}")(p)
    p1 = _convolution(filters // 2, 1, name=f"adjust_conv_1_{name}")(p1)
    p2 = ZeroPadding2D(((0, 1), (0, 1)), **_LAST)(p)
    p2 = Cropping2D(((1, 0), (1, 0)), **_LAST)(p2)
    p2 = _average(1, strides=2, padding="valid", name=f"adjust_avg_pool_2_{name}")(p2)
    p2 = _convolution(filters // 2, 1, name=f"adjust_conv_2_{name}")(p2)
    return normalised(concatenate([p1, p2], axis=-1), f"adjust_bn_{name}")
