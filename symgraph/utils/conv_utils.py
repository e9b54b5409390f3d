"""Arithmetic of windows: sizes of outputs, and checks of what users pass for windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from symgraph.utils.old_arguments import old_arguments

_PADDINGS = ("valid", "same", "causal")

Length = TypeVar("Length")


def normalize_tuple(value: Any, n: int, name: str, minimum: int = 0) -> tuple[int, ...]:
    """`value` as a tuple of `n` integers; one integer stands for all of them.

    Parameters
    ----------
    value : int or sequence of int
    n : int
    name : str
        The argument, for errors.
    minimum : int
        The smallest integer allowed.

    Raises
    ------
    ValueError
        For anything else, or a smaller integer.
    """
    values = (value,) * n if isinstance(value, (int, np.integer)) else value
    message = f"The `{name}` argument must be a tuple of {n} integers. Received: {value}"
    if not isinstance(values, (tuple, list, np.ndarray)) or len(values) != n:
        raise ValueError(message)
    for single in values:
        if not isinstance(single, (int, np.integer)) or isinstance(single, bool):
            raise ValueError(f"{message} including element {single} of type {type(single)}")
        if single < minimum:
            raise ValueError(f"The `{name}` argument must be at least {minimum}. Received: {value}")
    return tuple(int(single) for single in values)


def normalize_pairs(value: Any, name: str) -> tuple[tuple[int, int], ...]:
    """What is added or taken away at both ends of rows and columns, as ((top, bottom), (left, right)).

    Parameters
    ----------
    value : int, pair of int, or pair of pairs of int
    name : str
        The argument, for errors: 'padding' or 'cropping'.

    Raises
    ------
    ValueError
        For anything else.
    """
    if isinstance(value, (int, np.integer)):
        value = (value, value)
    if not isinstance(value, (tuple, list, np.ndarray)):
        raise ValueError(
            f"`{name}` should be either an int, a tuple of 2 ints (symmetric height, symmetric width), or a "
            f"tuple of 2 tuples of 2 ints ((top, bottom), (left, right)). Found: {value}"
        )
    if len(value) != 2:
        raise ValueError(f"`{name}` should have two elements. Found: {value}")
    rows = normalize_tuple(value[0], 2, f"1st entry of {name}")
    columns = normalize_tuple(value[1], 2, f"2nd entry of {name}")
    return (rows[0], rows[1]), (columns[0], columns[1])


def normalize_padding(value: str) -> str:
    """`value` in small letters: 'valid', 'same' or 'causal'. ValueError for anything else."""
    padding = value.lower() if isinstance(value, str) else value
    if padding not in _PADDINGS:
        raise ValueError(
            'The `padding` argument must be one of "valid", "same" (or "causal" for Conv1D). Received: '
            f"{value}"
        )
    return padding


@old_arguments({"border_mode": "padding"}, method=False)
def conv_output_length(
    input_length: int | None, filter_size: int, padding: str, stride: int, dilation: int = 1
) -> int | None:
    """The number of windows.

    Parameters
    ----------
    input_length : int or None
        None gives None.
    filter_size : int
    padding : str
        'same', 'causal', 'valid' or 'full'.
    stride, dilation : int
    """
    if input_length is None:
        return None
    reach = (filter_size - 1) * dilation
    changes = {"same": 0, "causal": 0, "valid": -reach, "full": reach}
    assert padding in changes, f"padding: expected one of {list(changes)}, got {padding!r}"
    change = changes[padding]
    return (input_length + change + stride - 1) // stride


@old_arguments({"border_mode": "padding"}, method=False)
def conv_input_length(output_length: int | None, filter_size: int, padding: str, stride: int) -> int | None:
    """The length of an input that gives `output_length` windows."""
    if output_length is None:
        return None
    padded = {"same": filter_size // 2, "valid": 0, "full": filter_size - 1}
    assert padding in padded, f"padding: expected one of {list(padded)}, got {padding!r}"
    return (output_length - 1) * stride - 2 * padded[padding] + filter_size


def deconv_length(
    dim_size: Any,
    stride_size: int,
    kernel_size: int,
    padding: str,
    output_padding: int | None,
    dilation: int = 1,
) -> Any:
    """The length of the output of a transposed convolution.

    Parameters
    ----------
    dim_size : int, symbolic size or None
        The length of the input; None gives None.
    stride_size, kernel_size : int
    padding : str
        'same', 'valid' or 'full'.
    output_padding : int or None
        Added at one end. None: the smallest length that suits the stride.
    dilation : int
    """
    if dim_size is None:
        return None
    window = (kernel_size - 1) * dilation + 1
    if output_padding is None:
        change = {"same": 0, "valid": max(window - stride_size, 0), "full": -(stride_size + window - 2)}[
            padding
        ]
        return dim_size * stride_size + change
    padded = {"same": window // 2, "valid": 0, "full": window - 1}[padding]
    return (dim_size - 1) * stride_size + window - 2 * padded + output_padding


def convert_kernel(kernel: Any) -> np.ndarray:
    """Turn a convolution kernel by 180 degrees: Theano's convention to TensorFlow's, or back.

    Parameters
    ----------
    kernel : array of 3, 4 or 5 axes
        Spatial axes first, then input and output channels.

    Raises
    ------
    ValueError
        For any other number of axes.
    """
    array = np.asarray(kernel)
    if not 3 <= array.ndim <= 5:
        raise ValueError(f"Invalid kernel shape: expected 3, 4 or 5 axes, got {array.shape}")
    return np.flip(array, axis=tuple(range(array.ndim - 2))).copy()


def spatial_axes(ndim: int, data_format: str) -> range:
    """The axes of rows, columns ... in a batch of `ndim` axes."""
    return range(2, ndim) if data_format == "channels_first" else range(1, ndim - 1)


def channel_axis(data_format: str) -> int:
    """The axis of channels: 1 or -1."""
    return 1 if data_format == "channels_first" else -1


def with_spatial(shape: Sequence[Length], data_format: str, spatial: Sequence[Length]) -> tuple[Length, ...]:
    """`shape` with its spatial sizes replaced."""
    sizes = list(shape)
    for axis, size in zip(spatial_axes(len(shape), data_format), spatial, strict=True):
        sizes[axis] = size
    return tuple(sizes)
