"""Convolution, pooling and biases, in either layout of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph.backend import old_calls
from symgraph.backend.core import normalize_data_format
from symgraph.graph.dims import Dim
from symgraph.graph.leaves import as_tensor
from symgraph.graph.ops import conv as conv_ops
from symgraph.graph.ops import pool as pool_ops
from symgraph.graph.ops import shape as shape_ops
from symgraph.graph.ops.elementwise import beside
from symgraph.graph.ops.sizes import as_dims
from symgraph.graph.tensor import Tensor
from symgraph.utils.generic_utils import transpose_shape

__all__ = [
    "bias_add", "conv1d", "conv2d", "conv2d_transpose", "depthwise_conv2d", "pool2d", "separable_conv1d",
    "separable_conv2d",
]  # fmt: skip


@old_calls.conv2d
def conv2d(
    x: Any,
    kernel: Any,
    strides: Sequence[int] = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Sequence[int] = (1, 1),
    groups: int = 1,
) -> Tensor:
    """Convolution of pictures (a cross-correlation, as everywhere in neural networks).

    Parameters
    ----------
    x : tensor
        (samples, rows, columns, channels), or (samples, channels, rows, columns) with 'channels_first'.
    kernel : tensor
        (kernel rows, kernel columns, channels / groups, filters) in either layout.
    strides, dilation_rate : pair of int
        Not both larger than 1.
    padding : str
        'valid' or 'same'.
    data_format : str, optional
        'channels_last' or 'channels_first'; by default `image_data_format()`.
    groups : int
        Filter f sees only the channels of its group, f · groups // filters. Not in Keras 2.2.4.

    Raises
    ------
    ValueError
        For another padding or layout, or shapes that do not fit.
    """
    return conv_ops.conv2d(
        x,
        kernel,
        strides=_pair("strides", strides),
        padding=_padding(padding),
        data_format=normalize_data_format(data_format),
        dilation=_pair("dilation_rate", dilation_rate),
        groups=groups,
    )


@old_calls.conv2d_transpose
def conv2d_transpose(
    x: Any,
    kernel: Any,
    output_shape: Any,
    strides: Sequence[int] = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Sequence[int] = (1, 1),
) -> Tensor:
    """The transposed convolution: the gradient of `conv2d` with respect to its input, used forwards.

    Parameters
    ----------
    x : tensor
        Pictures in the layout `data_format`.
    kernel : tensor
        (kernel rows, kernel columns, filters of the result, channels of x).
    output_shape : sequence or vector
        Shape of the result in that layout; None for the samples means those of `x`.
    strides, padding, data_format, dilation_rate
        Of the convolution that leads from the result back to `x`.

    Raises
    ------
    ValueError
        If that convolution of the result has not the shape of `x`.
    """
    x = as_tensor(x)
    if not isinstance(output_shape, Tensor):
        output_shape = [x.shape[0] if size is None else size for size in output_shape]
    return conv_ops.conv2d_transpose(
        x,
        kernel,
        as_dims(output_shape, "conv2d_transpose"),
        strides=_pair("strides", strides),
        padding=_padding(padding),
        data_format=normalize_data_format(data_format),
        dilation=_pair("dilation_rate", dilation_rate),
    )


def depthwise_conv2d(
    x: Any,
    depthwise_kernel: Any,
    strides: Sequence[int] = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Sequence[int] = (1, 1),
) -> Tensor:
    """Convolution of each channel by itself.

    Parameters
    ----------
    x : tensor
        Pictures in the layout `data_format`.
    depthwise_kernel : tensor
        (kernel rows, kernel columns, channels, multiplier).
    strides, padding, data_format, dilation_rate
        As of `conv2d`.

    Returns
    -------
    tensor
        With channels · multiplier channels: those of the first channel of `x` first.
    """
    return conv_ops.depthwise_conv2d(
        x,
        depthwise_kernel,
        strides=_pair("strides", strides),
        padding=_padding(padding),
        data_format=normalize_data_format(data_format),
        dilation=_pair("dilation_rate", dilation_rate),
    )


@old_calls.separable_conv2d
def separable_conv2d(
    x: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Sequence[int] = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Sequence[int] = (1, 1),
) -> Tensor:
    """`depthwise_conv2d`, then a convolution by a kernel of 1 × 1 that mixes the channels."""
    each = depthwise_conv2d(x, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv2d(each, pointwise_kernel, (1, 1), "valid", data_format)


@old_calls.conv1d
def conv1d(
    x: Any,
    kernel: Any,
    strides: int = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution of sequences.

    Parameters
    ----------
    x : tensor
        (samples, steps, channels), or (samples, channels, steps) with 'channels_first'.
    kernel : tensor
        (kernel steps, channels / groups, filters) in either layout.
    strides, dilation_rate : int
    padding : str
        'valid', 'same', or 'causal': no step sees a later one ('channels_last' only).
    data_format : str, optional
        'channels_last' or 'channels_first'; by default `image_data_format()`.
    groups : int
        As of `conv2d`.
    """
    if padding == "causal" and normalize_data_format(data_format) != "channels_last":
        raise ValueError(
            'When using causal padding in `conv1d`, `data_format` must be "channels_last" (temporal data).'
        )
    return conv_ops.conv1d(
        x,
        kernel,
        stride=_single("strides", strides),
        padding=padding if padding == "causal" else _padding(padding),
        data_format=normalize_data_format(data_format),
        dilation=_single("dilation_rate", dilation_rate),
        groups=groups,
    )


def separable_conv1d(
    x: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
) -> Tensor:
    """Convolution of each channel of a sequence by itself, then one by a kernel of length 1 that mixes them.

    Kernels are (kernel steps, channels, multiplier) and (1, channels · multiplier, filters).
    """
    data_format = normalize_data_format(data_format)
    x = as_tensor(x)
    if x.ndim != 3:
        raise ValueError(f"separable_conv1d: expected a tensor of 3 dimensions, got {x.type}")
    # A sequence is a picture of one row.
    axis = 2 if data_format == "channels_first" else 1
    result = separable_conv2d(
        shape_ops.expand_dims(x, axis),
        shape_ops.expand_dims(depthwise_kernel, 0),
        shape_ops.expand_dims(pointwise_kernel, 0),
        (1, _single("strides", strides)),
        padding,
        data_format,
        (1, _single("dilation_rate", dilation_rate)),
    )
    return shape_ops.squeeze(result, axis)


@old_calls.pooling
def pool2d(
    x: Any,
    pool_size: Sequence[int],
    strides: Sequence[int] = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    pool_mode: str = "max",
) -> Tensor:
    """The maximum or the mean of each window of pictures.

    Parameters
    ----------
    x : tensor
        Pictures in the layout `data_format`.
    pool_size, strides : pair of int
    padding : str
        'valid', or 'same': windows may reach over the edge, and what lies there is not counted.
    data_format : str, optional
        'channels_last' or 'channels_first'; by default `image_data_format()`.
    pool_mode : str
        'max' or 'avg'.

    Raises
    ------
    ValueError
        For another mode, padding or layout.
    """
    builders = {"max": pool_ops.max_pool2d, "avg": pool_ops.average_pool2d}
    if pool_mode not in builders:
        raise ValueError(f"Invalid pool_mode: {pool_mode}; expected 'max' or 'avg'")
    return builders[pool_mode](
        x,
        _pair("pool_size", pool_size),
        strides=_pair("strides", strides),
        padding=_padding(padding),
        data_format=normalize_data_format(data_format),
    )


def bias_add(x: Any, bias: Any, data_format: str | None = None) -> Tensor:
    """Add a bias to every sample.

    Parameters
    ----------
    x : tensor
        2 to 5 dimensions.
    bias : tensor
        A vector of the channels or, for 3 to 5 dimensions, a tensor of the sizes of a sample, channels last.
        With 'channels_first' its elements are read, in their order, as a tensor with the channels first (they
        are not moved), as in Keras.
    data_format : str, optional
        Where `x` has its channels: 'channels_last' or 'channels_first'; by default `image_data_format()`. A
        matrix has them last.

    Raises
    ------
    ValueError
        If `x` or `bias` has another number of dimensions.
    """
    data_format = normalize_data_format(data_format)
    x, bias = map(as_tensor, beside(x, bias))
    if x.ndim < 2:
        raise ValueError(f"bias_add: expected a tensor of at least 2 dimensions, got {x.type}")
    if bias.ndim != 1 and (bias.ndim != x.ndim - 1 or x.ndim > 5):
        raise ValueError(
            f"Unexpected bias dimensions {bias.ndim}, expect to be 1 or {x.ndim - 1} dimensions for {x.type}"
        )
    if x.ndim == 2:
        return x + bias
    spatial = tuple(range(1, x.ndim - 1))
    wide: tuple[Dim, ...] = (*(1,) * (x.ndim - bias.ndim), *bias.shape)
    return x + shape_ops.reshape(bias, transpose_shape(wide, data_format, spatial))


def _padding(padding: str) -> str:
    if padding not in ("same", "valid"):
        raise ValueError(f"Invalid padding: {padding}; expected 'same' or 'valid'")
    return padding


def _pair(argument: str, value: Any) -> tuple[int, int]:
    pair = (value, value) if isinstance(value, int) else tuple(int(v) for v in value)
    if len(pair) != 2 or min(pair) < 1:
        raise ValueError(f"{argument}: expected 2 integers of at least 1, got {value}")
    return pair


def _single(argument: str, value: Any) -> int:
    (single,) = (value,) if isinstance(value, int) else tuple(value)
    if single < 1:
        raise ValueError(f"{argument}: expected an integer of at least 1, got {value}")
    return int(single)
