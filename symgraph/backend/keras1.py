"""Functions that only Keras 1 had: each warns, and does what its successor does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph.backend.conv import conv2d, conv2d_transpose
from symgraph.backend.math import less, less_equal
from symgraph.backend.movement import spatial_2d_padding, temporal_padding
from symgraph.graph.tensor import Tensor
from symgraph.utils.old_arguments import LAYOUTS
from symgraph.utils.warn_user import warn_old

__all__ = [
    "asymmetric_spatial_2d_padding", "asymmetric_temporal_padding", "atrous_conv2d", "deconv2d", "lesser",
    "lesser_equal",
]  # fmt: skip


def lesser(x: Any, y: Any) -> Tensor:
    """`K.less`, with a warning."""
    warn_old("`K.lesser` is called `K.less` since Keras 2.")
    return less(x, y)


def lesser_equal(x: Any, y: Any) -> Tensor:
    """`K.less_equal`, with a warning."""
    warn_old("`K.lesser_equal` is called `K.less_equal` since Keras 2.")
    return less_equal(x, y)


def asymmetric_temporal_padding(x: Any, left_pad: int = 1, right_pad: int = 1) -> Tensor:
    """`K.temporal_padding(x, (left_pad, right_pad))`, with a warning."""
    warn_old("Use `K.temporal_padding(x, (left_pad, right_pad))` for `K.asymmetric_temporal_padding`.")
    return temporal_padding(x, (left_pad, right_pad))


def asymmetric_spatial_2d_padding(
    x: Any,
    top_pad: int = 1,
    bottom_pad: int = 1,
    left_pad: int = 1,
    right_pad: int = 1,
    dim_ordering: str = "default",
) -> Tensor:
    """`K.spatial_2d_padding(x, ((top_pad, bottom_pad), (left_pad, right_pad)))`, with a warning."""
    warn_old(
        "Use `K.spatial_2d_padding(x, ((top_pad, bottom_pad), (left_pad, right_pad)))` for "
        "`K.asymmetric_spatial_2d_padding`."
    )
    layout = LAYOUTS.get(dim_ordering, dim_ordering)
    return spatial_2d_padding(x, ((top_pad, bottom_pad), (left_pad, right_pad)), layout)


def deconv2d(
    x: Any,
    kernel: Any,
    output_shape: Any,
    strides: Sequence[int] = (1, 1),
    border_mode: str = "valid",
    dim_ordering: str = "default",
    image_shape: Any = None,
    filter_shape: Any = None,
) -> Tensor:
    """`K.conv2d_transpose`, with a warning.

    The kernel is laid out as in Keras 1: (rows, columns, channels, filters), or (filters, channels, rows,
    columns) with channels first.
    """
    old: dict[str, Any] = {"border_mode": border_mode, "dim_ordering": dim_ordering}
    return conv2d_transpose(x, kernel, output_shape, strides, **old)


def atrous_conv2d(
    x: Any,
    kernel: Any,
    rate: int = 1,
    border_mode: str = "valid",
    dim_ordering: str = "default",
    image_shape: Any = None,
    filter_shape: Any = None,
) -> Tensor:
    """`K.conv2d` with a `dilation_rate`, with a warning. The kernel is laid out as in Keras 1."""
    old: dict[str, Any] = {"border_mode": border_mode, "dim_ordering": dim_ordering}
    old["filter_dilation"] = (rate, rate)
    return conv2d(x, kernel, **old)
