"""Functions that move elements: reshaping, joining, repeating, padding, slicing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph.backend import old_calls
from symgraph.backend.core import normalize_data_format, to_dense
from symgraph.globals import floatx
from symgraph.graph.dims import Dim, Expression, product, shape_text
from symgraph.graph.leaves import as_tensor
from symgraph.graph.ops import create, slicing
from symgraph.graph.ops import shape as shape_ops
from symgraph.graph.ops.sizes import as_dims
from symgraph.graph.sparse import SparseTensor, joined
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import is_float, normalize_axis
from symgraph.utils.generic_utils import transpose_shape

__all__ = [
    "arange", "batch_flatten", "concatenate", "expand_dims", "flatten", "one_hot", "permute_dimensions",
    "repeat", "repeat_elements", "reshape", "resize_images", "resize_volumes", "reverse", "slice",
    "spatial_2d_padding", "spatial_3d_padding", "squeeze", "stack", "temporal_padding", "tile",
]  # fmt: skip

Padding = Sequence[Sequence[int]]


def concatenate(tensors: Sequence[Any], axis: int = -1) -> Tensor:
    """Join tensors along an axis; their other sizes have to be equal.

    Sparse tensors alone give a sparse one; among dense tensors they are made dense.
    """
    given = list(tensors)
    if given and all(isinstance(x, SparseTensor) for x in given):
        return joined(given, axis)
    return shape_ops.concatenate([to_dense(x) for x in given], axis)


def stack(x: Sequence[Any], axis: int = 0) -> Tensor:
    """Join tensors of one shape along a new axis."""
    return shape_ops.stack(list(x), axis)


def reshape(x: Any, shape: Any) -> Tensor:
    """The elements of `x` in another shape.

    Parameters
    ----------
    x : tensor
    shape : sequence or vector
        Sizes: integers, symbolic sizes, scalar tensors made of sizes (`K.shape(y)[0]`), or -1, once, for what
        is left.

    Raises
    ------
    ValueError
        If the number of elements differs.
    """
    return shape_ops.reshape(as_tensor(x), as_dims(shape, "reshape"))


def permute_dimensions(x: Any, pattern: Sequence[int]) -> Tensor:
    """The axes of `x` in the order of `pattern`: axis i of the result is axis `pattern[i]` of `x`."""
    return shape_ops.transpose(x, tuple(pattern))


def flatten(x: Any) -> Tensor:
    """All elements of `x` in one dimension."""
    x = as_tensor(x)
    return shape_ops.reshape(x, (product(x.shape),))


def batch_flatten(x: Any) -> Tensor:
    """The elements of each sample in one dimension: (samples, a, b, ...) becomes (samples, a·b·...)."""
    x = as_tensor(x)
    if x.ndim < 1:
        raise ValueError(f"batch_flatten: expected at least 1 dimension, got {x.type}")
    return shape_ops.reshape(x, (x.shape[0], product(x.shape[1:])))


@old_calls.expand_dims
def expand_dims(x: Any, axis: int = -1) -> Tensor:
    """`x` with a new axis of size 1 at `axis`."""
    return shape_ops.expand_dims(x, axis)


def squeeze(x: Any, axis: int) -> Tensor:
    """`x` without the axis `axis`, whose size has to be 1."""
    return shape_ops.squeeze(x, axis)


def repeat_elements(x: Any, rep: int, axis: int) -> Tensor:
    """Every element repeated `rep` times along `axis`, as `numpy.repeat` does."""
    return shape_ops.repeat(x, _count(rep), axis)


def repeat(x: Any, n: int) -> Tensor:
    """(samples, size) becomes (samples, n, size): every row `n` times.

    Raises
    ------
    ValueError
        If `x` has not 2 dimensions.
    """
    x = as_tensor(x)
    if x.ndim != 2:
        raise ValueError(f"repeat: expected a tensor of 2 dimensions, got {x.type}")
    row = shape_ops.expand_dims(x, 1)
    return shape_ops.broadcast_to(row, (x.shape[0], _count(n), x.shape[1]))


def tile(x: Any, n: int | Sequence[Any]) -> Tensor:
    """Copies of `x` side by side: `n[a]` of them along every axis a (a single `n` for one dimension)."""
    return shape_ops.tile(as_tensor(x), as_dims(n, "tile"))


def arange(start: Any, stop: Any = None, step: int = 1, dtype: str = "int32") -> Tensor:
    """The numbers from `start` (0 if it is given alone) up to, not including, `stop`.

    Parameters
    ----------
    start, stop : number, symbolic size or scalar tensor made of sizes
        A single one is the end. Where the end lies before the start, there are no elements.
    step : number
        Not 0; backwards if it is negative.
    dtype : str
        Fractions give floats, of type `floatx()`, in the place of int32.
    """
    if dtype == "int32" and float in {type(value) for value in (start, stop, step)}:
        dtype = floatx()
    if stop is None:
        start, stop = 0, start
    return create.arange(start, stop, step, dtype)


def _count(number: Any) -> Any:
    """A number of things: an integer, or what stands for one until the graph runs."""
    return number if isinstance(number, (Tensor, Expression)) else int(number)


@old_calls.one_hot
def one_hot(indices: Any, num_classes: int) -> Tensor:
    """1 at each class number, else 0, along a new last axis of `num_classes`; all 0 for other numbers."""
    return create.one_hot(indices, _count(num_classes))


def reverse(x: Any, axes: int | Sequence[int]) -> Tensor:
    """`x` with its elements in reverse order along `axes`."""
    return slicing.reverse(x, axes)


def slice(x: Any, start: Any, size: Any) -> Tensor:
    """`size[a]` elements along every axis a, from `start[a]` on; a size of -1 means all that are left.

    Raises
    ------
    ValueError
        If there is not one start and one size per axis, or the slice lies outside of `x`.
    """
    x = as_tensor(x)
    starts, sizes = as_dims(start, "slice"), as_dims(size, "slice")
    if len(starts) != x.ndim or len(sizes) != x.ndim:
        raise ValueError(
            f"slice: expected {x.ndim} starts and sizes for shape {shape_text(x.shape)}, "
            f"got {len(starts)} and {len(sizes)}"
        )
    for axis, (first, count) in enumerate(zip(starts, sizes, strict=True)):
        x = slicing.slice_axis(x, axis, first, x.shape[axis] - first if count == -1 else count)
    return x


@old_calls.temporal_padding
def temporal_padding(x: Any, padding: Sequence[int] = (1, 1)) -> Tensor:
    """Zeros before and after the middle axis of (samples, steps, channels)."""
    return _padded("temporal_padding", x, (tuple(padding),), "channels_last")


@old_calls.spatial_padding
def spatial_2d_padding(x: Any, padding: Padding = ((1, 1), (1, 1)), data_format: str | None = None) -> Tensor:
    """Zeros around pictures.

    Parameters
    ----------
    x : tensor of 4 dimensions
    padding : ((top, bottom), (left, right))
    data_format : str, optional
        'channels_last' or 'channels_first'; by default `image_data_format()`.
    """
    return _padded("spatial_2d_padding", x, padding, normalize_data_format(data_format))


@old_calls.spatial_padding
def spatial_3d_padding(
    x: Any, padding: Padding = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None
) -> Tensor:
    """Zeros around volumes.

    Parameters
    ----------
    x : tensor of 5 dimensions
    padding : ((before, after) of depth, height, width)
    data_format : str, optional
        'channels_last' or 'channels_first'; by default `image_data_format()`.
    """
    return _padded("spatial_3d_padding", x, padding, normalize_data_format(data_format))


def _padded(name: str, x: Any, padding: Padding, data_format: str) -> Tensor:
    x = as_tensor(x)
    pairs = [tuple(pair) for pair in padding]
    if x.ndim != len(pairs) + 2 or any(len(pair) != 2 for pair in pairs):
        raise ValueError(
            f"{name}: expected a tensor of {len(pairs) + 2} dimensions and a pair of widths for each spatial "
            f"axis, got {x.type} and {padding}"
        )
    spatial = tuple(range(1, len(pairs) + 1))
    return slicing.pad(x, transpose_shape(((0, 0), *pairs, (0, 0)), data_format, spatial))


@old_calls.resizing
def resize_images(
    x: Any, height_factor: int, width_factor: int, data_format: str, interpolation: str = "nearest"
) -> Tensor:
    """Pictures enlarged by whole factors.

    Parameters
    ----------
    x : tensor of 4 dimensions
    height_factor, width_factor : int
        At least 1.
    data_format : str
        'channels_last' or 'channels_first'.
    interpolation : str
        'nearest', or 'bilinear' with TensorFlow 1's places (`align_corners=False`): pixel i of the result is
        at i / factor of the picture, and the last row and column are repeated.

    Raises
    ------
    ValueError
        For another layout, interpolation or factor.
    """
    if interpolation not in ("nearest", "bilinear"):
        raise ValueError('interpolation should be one of "nearest" or "bilinear".')
    first = 2 if normalize_data_format(data_format) == "channels_first" else 1
    return _resized(x, (height_factor, width_factor), first, interpolation)


@old_calls.resizing
def resize_volumes(
    x: Any, depth_factor: int, height_factor: int, width_factor: int, data_format: str
) -> Tensor:
    """Volumes (5 dimensions) enlarged by whole factors, every voxel repeated."""
    first = 2 if normalize_data_format(data_format) == "channels_first" else 1
    return _resized(x, (depth_factor, height_factor, width_factor), first, "nearest")


def _resized(x: Any, factors: Sequence[int], first: int, interpolation: str) -> Tensor:
    x = as_tensor(x)
    if x.ndim != len(factors) + 2:
        raise ValueError(f"resize: expected a tensor of {len(factors) + 2} dimensions, got {x.type}")
    for axis, factor in enumerate(factors, first):
        if int(factor) != factor or factor < 1:
            raise ValueError(f"resize: expected whole factors of at least 1, got {tuple(factors)}")
        if interpolation == "nearest":
            x = shape_ops.repeat(x, int(factor), axis)
        else:
            x = _interpolated(x, int(factor), axis)
    return x


def _interpolated(x: Tensor, factor: int, axis: int) -> Tensor:
    """`x` with `factor` - 1 interpolated values after each along `axis`; the last value is repeated."""
    if factor == 1:
        return x
    if not is_float(x.dtype):
        raise TypeError(f"resize: bilinear interpolation expects a float tensor, got {x.dtype}")
    axis = normalize_axis(axis, x.ndim)
    size: Dim = x.shape[axis]
    last = slicing.slice_axis(x, axis, size - 1, 1)
    following = shape_ops.concatenate([slicing.slice_axis(x, axis, 1, size - 1), last], axis)
    # One node for all steps: their number may come from a stranger's file.
    steps = create.arange(factor, dtype=x.dtype) / factor
    steps = shape_ops.reshape(steps, (factor, *[1] * (x.ndim - axis - 1)))
    before, change = (shape_ops.expand_dims(value, axis + 1) for value in (x, following - x))
    woven = before + change * steps
    return shape_ops.reshape(woven, (*x.shape[:axis], size * factor, *x.shape[axis + 1 :]))
