"""Convolution and pooling of volumes [N, D, H, W, C], made of the operations on pictures.

A kernel of kd x kh x kw voxels sees kd neighbouring pictures. These are laid side by side as channels, so
that one convolution of pictures sums over all voxels: deep sums are what its kernels are best at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph.graph.dims import Dim
from symgraph.graph.leaves import as_tensor
from symgraph.graph.ops.conv import conv2d, conv2d_transpose
from symgraph.graph.ops.elementwise import add, together
from symgraph.graph.ops.pool import average_pool2d, max_pool2d
from symgraph.graph.ops.shape import concatenate, reshape, transpose
from symgraph.graph.ops.sizes import as_dim
from symgraph.graph.ops.slicing import Place, pad, slice_axis
from symgraph.graph.ops.window import border, output_size, reach
from symgraph.graph.tensor import Tensor

Triple = tuple[int, int, int]


def conv3d(
    x: Any, w: Any, strides: Triple = (1, 1, 1), padding: str = "valid", dilation: Triple = (1, 1, 1)
) -> Tensor:
    """Cross-correlation of volumes [N, D, H, W, C] with a kernel [kd, kh, kw, C, filters].

    Parameters
    ----------
    padding : str
        'valid' or 'same'.
    dilation : triple of int
        Distance of the taps.

    Raises
    ------
    ValueError
        Shapes that do not fit.
    """
    x, w = together(x, w)
    _check("conv3d", x, w)
    if isinstance(x.shape[4], int) and isinstance(w.shape[3], int) and x.shape[4] != w.shape[3]:
        raise ValueError(
            f"conv3d: expected {w.shape[3]} channels for a kernel of type {w.type}, got {x.type}"
        )
    depth = int(w.shape[0])
    seen = concatenate(taps(x, 1, depth, strides[0], padding, dilation[0], "conv3d"), -1)
    samples, count = seen.shape[:2]
    pictures = reshape(seen, (samples * count, *seen.shape[2:]))
    y = conv2d(pictures, _flat(w), strides[1:], padding, "channels_last", dilation[1:])
    return reshape(y, (samples, count, *y.shape[1:]))


def conv3d_transpose(
    x: Any,
    w: Any,
    output_shape: Sequence[Any],
    strides: Triple = (1, 1, 1),
    padding: str = "valid",
) -> Tensor:
    """The transpose of `conv3d` as a linear map; kernel [kd, kh, kw, channels out, channels in].

    Depth, height and width of `output_shape`, which has the layout of `x`, are used: several sizes would do.
    """
    x, w = together(x, w)
    _check("conv3d_transpose", x, w)
    if len(output_shape) != 5:
        raise ValueError(f"conv3d_transpose: expected an output shape of 5 sizes, got {tuple(output_shape)}")
    depth, height, width = (as_dim(size, "conv3d_transpose") for size in output_shape[1:4])
    window, filters = int(w.shape[0]), w.shape[3]
    count = output_size(depth, window, strides[0], padding, 0)
    if isinstance(count, int) and isinstance(x.shape[1], int) and count != x.shape[1]:
        raise ValueError(
            f"conv3d_transpose: volumes of depth {depth} belong to inputs of depth {count}, got {x.type}"
        )
    samples, given = x.shape[:2]
    y = conv2d_transpose(
        reshape(x, (samples * given, *x.shape[2:])),
        _flat(w),
        (samples * given, height, width, filters * window),
        strides[1:],
        padding,
        "channels_last",
    )
    # What the pictures of each tap add to lies a tap deeper than for the one before.
    spread = reshape(y, (samples, given, height, width, window * filters))
    before, after = border(depth, window, strides[0], padding, 0)
    whole = (samples, before + depth + after, height, width, filters)
    parts = [
        Place(whole, (0, tap, 0, 0, 0), (1, strides[0], 1, 1, 1))(
            slice_axis(spread, 4, tap * filters, filters)
        )
        for tap in range(window)
    ]
    total = parts[0]
    for part in parts[1:]:
        total = add(total, part)
    return slice_axis(total, 1, before, depth)


def max_pool3d(x: Any, pool: Triple, strides: Triple, padding: str = "valid") -> Tensor:
    """The largest voxel of each window of volumes [N, D, H, W, C]; NaN wins."""
    return _pooled("max_pool3d", max_pool2d, x, pool, strides, padding)


def average_pool3d(x: Any, pool: Triple, strides: Triple, padding: str = "valid") -> Tensor:
    """The mean over each window of volumes [N, D, H, W, C]; padding is not counted.

    The voxels that count are those that count in depth, times those that count in a picture, so that the mean
    of the means of pictures is the mean.
    """
    return _pooled("average_pool3d", average_pool2d, x, pool, strides, padding)


def taps(
    x: Tensor, axis: int, window: int, stride: int, padding: str, dilation: int = 1, what: str = "windows"
) -> list[Tensor]:
    """For every tap of windows along an axis, what the windows see there; zeros beyond the edges.

    Raises
    ------
    ValueError
        Where no window fits.
    """
    size = x.shape[axis]
    count = output_size(size, window, stride, padding, 0, dilation)
    if isinstance(count, int) and count < 1 and padding != "same":
        raise ValueError(
            f"{what}: windows of {reach(window, dilation)} do not fit into axis {axis} of {x.type}"
        )
    edges = border(size, window, stride, padding, 0, dilation)
    wide = pad(x, [edges if a == axis else (0, 0) for a in range(x.ndim)])  # type: ignore[misc]
    return [slice_axis(wide, axis, tap * dilation, count, stride) for tap in range(window)]


def _check(what: str, x: Tensor, w: Tensor) -> None:
    for given in (x, w):
        if given.ndim != 5:
            raise ValueError(f"{what}: expected a tensor of 5 dimensions, got {given.type}")
    if not isinstance(w.shape[0], int) or w.shape[0] < 1:
        raise ValueError(f"{what}: expected a kernel of known depth, got {w.type}")


def _flat(w: Tensor) -> Tensor:
    """A kernel [kd, kh, kw, a, b] as one of pictures: [kh, kw, kd * a, b]."""
    kd, kh, kw, first, second = w.shape
    return reshape(transpose(w, (1, 2, 0, 3, 4)), (kh, kw, kd * first, second))


def _pooled(what: str, pool2d: Any, x: Any, pool: Triple, strides: Triple, padding: str) -> Tensor:
    """Pictures first, which leaves less to pool in depth; there, a whole picture is a row."""
    x = as_tensor(x)
    if x.ndim != 5:
        raise ValueError(f"{what}: expected a tensor of 5 dimensions, got {x.type}")
    samples, depth = x.shape[:2]
    flat = reshape(x, (samples * depth, *x.shape[2:]))
    y: Tensor = pool2d(flat, pool[1:], strides=strides[1:], padding=padding, data_format="channels_last")
    picture: tuple[Dim, ...] = y.shape[1:]
    row = reshape(y, (samples, depth, picture[0] * picture[1], picture[2]))
    y = pool2d(row, (pool[0], 1), strides=(strides[0], 1), padding=padding, data_format="channels_last")
    return reshape(y, (samples, y.shape[1], *picture))
