"""Convolution and pooling of volumes, in either layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph.backend import old_calls
from symgraph.backend.core import normalize_data_format
from symgraph.graph.leaves import as_tensor
from symgraph.graph.ops import shape as shape_ops
from symgraph.graph.ops import volume
from symgraph.graph.ops.sizes import as_dims
from symgraph.graph.tensor import Tensor

__all__ = ["conv3d", "conv3d_transpose", "pool3d"]


@old_calls.conv3d
def conv3d(
    x: Any,
    kernel: Any,
    strides: Sequence[int] = (1, 1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Sequence[int] = (1, 1, 1),
) -> Tensor:
    """Convolution of volumes.

    Parameters
    ----------
    x : tensor
        (samples, depth, rows, columns, channels), or (samples, channels, depth, rows, columns) with
        'channels_first'.
    kernel : tensor
        (kernel depth, kernel rows, kernel columns, channels, filters) in either layout.
    strides, dilation_rate : triple of int
        Not both larger than 1.
    padding : str
        'valid' or 'same'.
    data_format : str, optional
        'channels_last' or 'channels_first'; by default `image_data_format()`.

    Raises
    ------
    ValueError
        For another padding or layout, or shapes that do not fit.
    """
    layout = normalize_data_format(data_format)
    y = volume.conv3d(
        _channels_last(x, layout),
        kernel,
        strides=_triple("strides", strides),
        padding=_padding(padding),
        dilation=_triple("dilation_rate", dilation_rate),
    )
    return _as_given(y, layout)


def conv3d_transpose(
    x: Any,
    kernel: Any,
    output_shape: Any,
    strides: Sequence[int] = (1, 1, 1),
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The transposed convolution: the gradient of `conv3d` with respect to its input, used forwards.

    Parameters
    ----------
    x : tensor
        Volumes in the layout `data_format`.
    kernel : tensor
        (kernel depth, kernel rows, kernel columns, filters of the result, channels of x).
    output_shape : sequence or vector
        Shape of the result in that layout; None for the samples means those of `x`.
    strides, padding, data_format
        Of the convolution that leads from the result back to `x`.

    Raises
    ------
    ValueError
        If that convolution of the result has not the shape of `x`.
    """
    layout = normalize_data_format(data_format)
    x = as_tensor(x)
    if not isinstance(output_shape, Tensor):
        output_shape = [x.shape[0] if size is None else size for size in output_shape]
    sizes = list(as_dims(output_shape, "conv3d_transpose"))
    if layout == "channels_first":
        sizes.append(sizes.pop(1))
    y = volume.conv3d_transpose(
        _channels_last(x, layout), kernel, sizes, _triple("strides", strides), _padding(padding)
    )
    return _as_given(y, layout)


@old_calls.pooling
def pool3d(
    x: Any,
    pool_size: Sequence[int],
    strides: Sequence[int] = (1, 1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    pool_mode: str = "max",
) -> Tensor:
    """The maximum or the mean of each window of volumes.

    Parameters
    ----------
    x : tensor
        Volumes in the layout `data_format`.
    pool_size, strides : triple of int
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
    builders = {"max": volume.max_pool3d, "avg": volume.average_pool3d}
    if pool_mode not in builders:
        raise ValueError(f"Invalid pool_mode: {pool_mode}; expected 'max' or 'avg'")
    layout = normalize_data_format(data_format)
    y = builders[pool_mode](
        _channels_last(x, layout),
        _triple("pool_size", pool_size),
        _triple("strides", strides),
        _padding(padding),
    )
    return _as_given(y, layout)


def _channels_last(x: Any, layout: str) -> Tensor:
    x = as_tensor(x)
    if x.ndim != 5:
        raise ValueError(f"expected volumes of 5 dimensions, got {x.type}")
    return x if layout == "channels_last" else shape_ops.transpose(x, (0, 2, 3, 4, 1))


def _as_given(y: Tensor, layout: str) -> Tensor:
    return y if layout == "channels_last" else shape_ops.transpose(y, (0, 4, 1, 2, 3))


def _padding(padding: str) -> str:
    if padding not in ("same", "valid"):
        raise ValueError(f"Invalid padding: {padding}; expected 'same' or 'valid'")
    return padding


def _triple(argument: str, value: Any) -> tuple[int, int, int]:
    values = (value,) * 3 if isinstance(value, int) else tuple(int(v) for v in value)
    if len(values) != 3 or min(values) < 1:
        raise ValueError(f"{argument}: expected 3 integers of at least 1, got {value}")
    return values[0], values[1], values[2]
