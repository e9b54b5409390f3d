"""Convolution with weights of its own at every place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph.backend.core import normalize_data_format
from symgraph.graph.dims import Dim
from symgraph.graph.ops import matmul as matmul_ops
from symgraph.graph.ops import shape as shape_ops
from symgraph.graph.ops.elementwise import together
from symgraph.graph.ops.slicing import slice_axis
from symgraph.graph.tensor import Tensor

__all__ = ["local_conv1d", "local_conv2d"]


def local_conv1d(
    inputs: Any,
    kernel: Any,
    kernel_size: Sequence[int],
    strides: Sequence[int],
    data_format: str | None = None,
) -> Tensor:
    """Convolution of sequences with a kernel of its own for every output step.

    Parameters
    ----------
    inputs : tensor
        (samples, steps, channels).
    kernel : tensor
        (output steps, kernel steps · channels, filters).
    kernel_size, strides : tuple of one int
    data_format : str, optional
        Checked, and without any effect, as in Keras.

    Returns
    -------
    tensor
        (samples, output steps, filters).

    Raises
    ------
    ValueError
        If the kernel does not fit to the inputs.
    """
    normalize_data_format(data_format)
    inputs, kernel = together(inputs, kernel)
    _check("local_conv1d", inputs, kernel, 3, int(kernel_size[0]), inputs.shape[-1])
    seen = _windows(inputs, 1, int(kernel_size[0]), int(kernel.shape[0]), int(strides[0]))
    samples, steps, size, channels = seen.shape
    patches = shape_ops.reshape(seen, (samples, steps, size * channels))
    output = matmul_ops.matmul(shape_ops.transpose(patches, (1, 0, 2)), kernel)
    return shape_ops.transpose(output, (1, 0, 2))


def local_conv2d(
    inputs: Any,
    kernel: Any,
    kernel_size: Sequence[int],
    strides: Sequence[int],
    output_shape: Sequence[int],
    data_format: str | None = None,
) -> Tensor:
    """Convolution of pictures with a kernel of its own for every output pixel.

    Parameters
    ----------
    inputs : tensor
        Pictures in the layout `data_format`.
    kernel : tensor
        (output rows · output columns, kernel rows · kernel columns · channels, filters); the values of a
        window are in the order of the layout: channels change fastest under 'channels_last', slowest under
        'channels_first'.
    kernel_size, strides, output_shape : pair of int
    data_format : str, optional
        'channels_last' or 'channels_first'; by default `image_data_format()`.

    Returns
    -------
    tensor
        (samples, output rows, output columns, filters), or filters second.

    Raises
    ------
    ValueError
        If the kernel does not fit to the inputs.
    """
    first = normalize_data_format(data_format) == "channels_first"
    inputs, kernel = together(inputs, kernel)
    cells = int(kernel_size[0]) * int(kernel_size[1])
    _check("local_conv2d", inputs, kernel, 4, cells, inputs.shape[1 if first else -1])
    rows, columns = (int(size) for size in output_shape)
    if kernel.shape[0] != rows * columns:
        raise ValueError(f"local_conv2d: expected kernels for {rows}x{columns} pixels, got {kernel.type}")
    x = shape_ops.transpose(inputs, (0, 2, 3, 1)) if first else inputs
    for axis in (0, 1):
        x = _windows(x, axis + 1, int(kernel_size[axis]), (rows, columns)[axis], int(strides[axis]))
    # Now (samples, rows, columns, kernel rows, kernel columns, channels).
    turned = shape_ops.transpose(x, (1, 2, 0, 5, 3, 4) if first else (1, 2, 0, 3, 4, 5))
    patches = shape_ops.reshape(turned, (rows * columns, x.shape[0], kernel.shape[1]))
    output = matmul_ops.matmul(patches, kernel)
    wide = shape_ops.reshape(output, (rows, columns, x.shape[0], kernel.shape[2]))
    return shape_ops.transpose(wide, (2, 3, 0, 1) if first else (2, 0, 1, 3))


def _check(what: str, inputs: Tensor, kernel: Tensor, ndim: int, cells: int, channels: Dim) -> None:
    if inputs.ndim != ndim:
        raise ValueError(f"{what}: expected a tensor of {ndim} dimensions, got {inputs.type}")
    if kernel.ndim != 3 or not isinstance(kernel.shape[0], int):
        raise ValueError(f"{what}: expected a kernel of 3 dimensions for known places, got {kernel.type}")
    if kernel.shape[1] != cells * channels:
        raise ValueError(f"{what}: expected a kernel for {cells * channels} values, got {kernel.type}")


def _windows(x: Tensor, axis: int, window: int, count: int, stride: int) -> Tensor:
    """`count` windows along an axis; what they see becomes an axis before the last one."""
    seen = [slice_axis(x, axis, tap, count, stride) for tap in range(window)]
    return shape_ops.stack(seen, -2)
