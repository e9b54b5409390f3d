"""Convolution and pooling with any border, as layers: plain ones of Keras wherever they compute the same.

Tensors have their channels first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph import layers as L
from symgraph.convert.builder import Builder, Size, channels, sizes
from symgraph.graph.tensor import Tensor
from symgraph.utils.conv_utils import conv_output_length

Ends = Sequence[tuple[int, int]]
"""The border before and after each spatial axis."""

_FIRST: dict[str, Any] = {"data_format": "channels_first"}
_CONVOLUTIONS = {1: L.Conv1D, 2: L.Conv2D, 3: L.Conv3D}
_POOLS: dict[tuple[str, int], Any] = {
    ("max", 1): L.MaxPooling1D, ("max", 2): L.MaxPooling2D, ("max", 3): L.MaxPooling3D,
    ("mean", 1): L.AveragePooling1D, ("mean", 2): L.AveragePooling2D, ("mean", 3): L.AveragePooling3D,
}  # fmt: skip


def same_border(size: Size, window: int, stride: int, dilation: int = 1) -> tuple[int, int] | None:
    """What 'same' puts before and after an axis; None where that depends on a size that is not known."""
    reach = (window - 1) * dilation + 1
    if stride == 1:
        total = reach - 1
    elif size is None:
        return None
    else:
        count = conv_output_length(size, window, "same", stride) or 0
        total = max((count - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def _is_same(
    x: Tensor, ends: Ends | None, window: Sequence[int], strides: Sequence[int], dilation: Any
) -> bool:
    if ends is None:
        return True
    expected = [same_border(*axis) for axis in zip(sizes(x)[2:], window, strides, dilation, strict=True)]
    return [tuple(pair) for pair in ends] == expected


def convolve(
    build: Builder,
    name: str,
    x: Tensor,
    kernel: np.ndarray | None,
    bias: np.ndarray | None,
    *,
    filters: int,
    window: Sequence[int],
    strides: Sequence[int],
    ends: Ends | None,
    dilation: Sequence[int],
    groups: int = 1,
    use_bias: bool = True,
) -> Tensor:
    """A convolution with a border of zeros.

    Parameters
    ----------
    x : tensor
        (samples, channels, one to three spatial axes).
    kernel : ndarray, optional
        (*window, channels / groups, filters). None leaves weights as they are initialised.
    ends : sequence of pairs, optional
        None is the border of 'same'.
    """
    rank, padding = len(window), "valid"
    if ends is None or any(map(any, ends)):
        if ends is None or _is_same(x, ends, window, strides, dilation):
            padding = "same"
        else:
            x = zeros_around(build, f"{name}_pad", x, ends)
    options: dict[str, Any] = {
        "kernel_size": tuple(window), "strides": tuple(strides), "padding": padding,
        "dilation_rate": tuple(dilation), "use_bias": use_bias, **_FIRST,
    }  # fmt: skip
    if rank == 2 and groups == channels(x) > 1:
        options |= {"depth_multiplier": filters // groups}
        if kernel is not None:
            kernel = kernel.reshape(*window, groups, filters // groups)
        return build.apply(L.DepthwiseConv2D, build.unique(name), x, _present(kernel, bias), **options)
    if groups > 1:
        if rank == 3:
            raise ValueError("convolutions of volumes have one group here")
        options["groups"] = groups
    return build.apply(
        _CONVOLUTIONS[rank], build.unique(name), x, _present(kernel, bias), filters=filters, **options
    )


def deconvolve(
    build: Builder,
    name: str,
    x: Tensor,
    kernel: np.ndarray | None,
    bias: np.ndarray | None,
    *,
    window: Sequence[int],
    strides: Sequence[int],
    ends: Ends,
    filters: int = 0,
    groups: int = 1,
    dilation: Sequence[int] = (),
    output_padding: Sequence[int] = (),
    use_bias: bool = False,
) -> Tensor:
    """A transposed convolution, without a border that it would make.

    Parameters
    ----------
    kernel : ndarray, optional
        (channels, filters / groups, *window). Groups become zeros in one kernel: layers of Keras have none.
        None leaves weights as they are initialised; then `filters` and `use_bias` are needed.
    """
    rank, depth = len(window), channels(x)
    dilation, more = tuple(dilation) or (1,) * rank, tuple(output_padding) or (0,) * rank
    if rank == 1:
        x = build.apply(L.Reshape, build.unique(f"{name}_picture"), x, target_shape=(depth, -1, 1))
        window, strides, ends = (*window, 1), (*strides, 1), (*ends, (0, 0))
        dilation, more = (*dilation, 1), (*more, 0)
        kernel = None if kernel is None else kernel[..., None]
    full = None
    if kernel is not None:
        filters, use_bias = kernel.shape[1] * groups, bias is not None
        full = np.zeros((*window, filters, depth), kernel.dtype)
        for group in range(groups):
            ins, outs = (slice(group * n // groups, (group + 1) * n // groups) for n in (depth, filters))
            full[..., outs, ins] = np.moveaxis(kernel[ins], (0, 1), (-1, -2))
    options: dict[str, Any] = {"output_padding": more, "use_bias": use_bias, **_FIRST}
    if rank < 3:
        options["dilation_rate"] = dilation
    elif dilation != (1, 1, 1):
        raise ValueError("transposed convolutions of volumes have no dilation here")
    y = build.apply(
        L.Conv3DTranspose if rank == 3 else L.Conv2DTranspose, build.unique(name), x, _present(full, bias),
        filters=filters, kernel_size=tuple(window), strides=tuple(strides), **options,
    )  # fmt: skip
    for size, pair in zip(sizes(y)[2:], ends, strict=True):
        if size is not None and size <= sum(pair):
            raise ValueError(f"a border of {list(ends)} leaves nothing of {sizes(y)[2:]} pixels")
    if any(map(any, ends)):
        y = cut_ends(build, f"{name}_crop", y, ends)
    return (
        build.apply(L.Reshape, build.unique(f"{name}_line"), y, target_shape=(filters, -1))
        if rank == 1
        else y
    )


def _present(*arrays: np.ndarray | None) -> list[np.ndarray]:
    return [array for array in arrays if array is not None]


def zeros_around(build: Builder, name: str, x: Tensor, ends: Ends) -> Tensor:
    """Zeros before and after the spatial axes."""
    rank = len(ends)
    if rank == 1:
        # The layer pads steps that lie before the channels.
        x = build.apply(L.Permute, build.unique(f"{name}_last"), x, dims=(2, 1))
        x = build.apply(L.ZeroPadding1D, build.unique(name), x, padding=tuple(ends[0]))
        return build.apply(L.Permute, build.unique(f"{name}_first"), x, dims=(2, 1))
    cls: Any = {2: L.ZeroPadding2D, 3: L.ZeroPadding3D}[rank]
    return build.apply(cls, build.unique(name), x, padding=tuple(map(tuple, ends)), **_FIRST)


def cut_ends(build: Builder, name: str, x: Tensor, ends: Ends) -> Tensor:
    """Take values away before and after the spatial axes."""
    rank = len(ends)
    if rank == 1:
        x = build.apply(L.Permute, build.unique(f"{name}_last"), x, dims=(2, 1))
        x = build.apply(L.Cropping1D, build.unique(name), x, cropping=tuple(ends[0]))
        return build.apply(L.Permute, build.unique(f"{name}_first"), x, dims=(2, 1))
    cls: Any = {2: L.Cropping2D, 3: L.Cropping3D}[rank]
    return build.apply(cls, build.unique(name), x, cropping=tuple(map(tuple, ends)), **_FIRST)


def pool(
    build: Builder,
    name: str,
    x: Tensor,
    mode: str,
    *,
    window: Sequence[int],
    strides: Sequence[int],
    ends: Ends | None,
    ceil: bool = False,
    count_padding: bool = False,
) -> Tensor:
    """The largest value or the mean of windows.

    Parameters
    ----------
    mode : {'max', 'mean'}
    ceil, count_padding : bool
        As of `PaddedAveragePooling2D`.
    """
    rank, spatial = len(window), sizes(x)[2:]
    if ends is None and (ceil or count_padding):
        raise ValueError(f"the border of 'same' around pictures of unknown sizes {spatial} that counts")
    options: dict[str, Any] = {"pool_size": tuple(window), "strides": tuple(strides)}
    exact = not ceil or all(
        size is not None and (size + sum(pair) - w) % stride == 0
        for size, pair, w, stride in zip(spatial, ends or (), window, strides, strict=True)
    )
    plain = None
    if exact and ends is not None and not any(map(any, ends)):
        plain = "valid"
    elif exact and (mode == "max" or not count_padding) and _is_same(x, ends, window, strides, (1,) * rank):
        plain = "same"
    if plain:
        return build.apply(_POOLS[mode, rank], build.unique(name), x, padding=plain, **options, **_FIRST)
    assert ends is not None
    if rank == 3:
        raise ValueError(f"pooling of volumes with a border of {list(ends)} and ceil_mode {ceil}")
    if rank == 1:
        x = build.apply(L.Reshape, build.unique(f"{name}_picture"), x, target_shape=(channels(x), -1, 1))
        window, strides, ends = [(*window, 1), (*strides, 1), (*ends, (0, 0))]
    more: dict[str, Any] = {"count_padding": count_padding} if mode == "mean" else {}
    cls: Any = L.PaddedMaxPooling2D if mode == "max" else L.PaddedAveragePooling2D
    y = build.apply(
        cls, build.unique(name), x, pool_size=tuple(window), strides=tuple(strides),
        padding=tuple(map(tuple, ends)), ceil_mode=ceil, **more, **_FIRST,
    )  # fmt: skip
    if rank == 1:
        y = build.apply(L.Reshape, build.unique(f"{name}_line"), y, target_shape=(channels(y), -1))
    return y
