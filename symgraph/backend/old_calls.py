"""The arguments that backend functions had in Keras 1, one decorator for each kind of function."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symgraph.backend.core import backend
from symgraph.globals import image_data_format
from symgraph.graph.leaves import as_tensor
from symgraph.graph.ops import shape as shape_ops
from symgraph.graph.ops import slicing
from symgraph.graph.tensor import Tensor
from symgraph.utils.old_arguments import LAYOUTS, Keywords, Positional, Rearrange, old_arguments

_LAYOUT = {"dim_ordering": LAYOUTS}
_PICTURE = {"dim_ordering": "data_format"}
_WINDOWS = {"border_mode": "padding", **_PICTURE}

# Hints for Theano: they change nothing that is computed.
_HINTS = ("image_shape", "filter_shape", "volume_shape")

# What tells a convolution of Keras 1 from one of Keras 2, whose kernels are laid out in another way.
_MARKS = ("border_mode", "dim_ordering", "filter_dilation", *_HINTS)


def _pictures(owner: str, args: Positional, kwargs: Keywords) -> tuple[Positional, bool]:
    """Layouts by position."""
    given = [LAYOUTS[value] if isinstance(value, str) and value in LAYOUTS else value for value in args]
    return given, any(new is not old for new, old in zip(given, args, strict=True))


def _windows(
    first: Sequence[int], last: Sequence[int] | None = None, kernels: Sequence[str] = ("kernel",)
) -> Rearrange:
    """Kernels as Keras 1 laid them out: transposed by `first` with channels first, else by `last`."""

    def rearrange(owner: str, args: Positional, kwargs: Keywords) -> tuple[Positional, bool]:
        start = 1 + len(kernels)
        found = any(name in kwargs for name in _MARKS)
        rest, by_place = _pictures(owner, args[start:], kwargs)
        if not (found or by_place):
            return args, False
        for name in _HINTS:
            kwargs.pop(name, None)
        layouts = [value for value in rest if value in ("channels_last", "channels_first")]
        stated = LAYOUTS.get(kwargs.get("dim_ordering", "default")) or kwargs.get("data_format")
        layout = [*layouts, stated or image_data_format()][0]
        order = first if layout == "channels_first" else last
        head = [*args[:1], *(_kernel(kernel, order) for kernel in args[1:start])]
        for name in kernels[len(args[1:start]) :]:
            if name in kwargs:
                kwargs[name] = _kernel(kwargs[name], order)
        return [*head, *rest], True

    return rearrange


def _kernel(kernel: Tensor, order: Sequence[int] | None) -> Tensor:
    """A kernel of Keras 1 as the functions take it today; Theano convolved with flipped ones."""
    kernel = as_tensor(kernel)
    if order is not None:
        kernel = shape_ops.transpose(kernel, tuple(order))
    if backend() == "theano":
        for axis in range(kernel.ndim - 2):
            kernel = slicing.reverse(kernel, axis)
    return kernel


def _symmetric(axes: int) -> Rearrange:
    """A width for both sides of an axis, in place of the pair of widths."""

    def pairs(padding: object) -> object:
        if axes == 1:
            return (padding, padding) if isinstance(padding, int | np.integer) else padding
        if isinstance(padding, tuple | list) and all(
            isinstance(width, int | np.integer) for width in padding
        ):
            return tuple((width, width) for width in padding)
        return padding

    def rearrange(owner: str, args: Positional, kwargs: Keywords) -> tuple[Positional, bool]:
        args, found = _pictures(owner, args, kwargs)
        given = args[1] if len(args) > 1 else kwargs.get("padding")
        padding = pairs(given)
        if padding is given:
            return args, found
        if len(args) > 1:
            args[1] = padding
        else:
            kwargs["padding"] = padding
        return args, True

    return rearrange


_CONV = {**_WINDOWS, "filter_dilation": "dilation_rate"}

conv1d = old_arguments(
    {"stride": "strides", "border_mode": "padding"},
    rearrange=_windows((0, 1, 2)),
    method=False,
    taken=_HINTS,
)
conv2d = old_arguments(_CONV, None, _LAYOUT, _windows((2, 3, 1, 0)), method=False, taken=_HINTS)
conv2d_transpose = old_arguments(_WINDOWS, None, _LAYOUT, _windows((2, 3, 0, 1), (0, 1, 3, 2)), method=False)
conv3d = old_arguments(_CONV, None, _LAYOUT, _windows((2, 3, 4, 1, 0)), method=False, taken=_HINTS)
separable_conv2d = old_arguments(
    _WINDOWS,
    None,
    _LAYOUT,
    _windows((2, 3, 1, 0), kernels=("depthwise_kernel", "pointwise_kernel")),
    method=False,
)
pooling = old_arguments(_WINDOWS, None, _LAYOUT, _pictures, method=False)
resizing = old_arguments({"X": "x", **_PICTURE}, None, _LAYOUT, _pictures, method=False)
temporal_padding = old_arguments(rearrange=_symmetric(1), method=False)
spatial_padding = old_arguments(_PICTURE, None, _LAYOUT, _symmetric(2), method=False)
one_hot = old_arguments({"nb_classes": "num_classes"}, method=False)
expand_dims = old_arguments({"dim": "axis"}, method=False)
random_normal = old_arguments({"std": "stddev"}, method=False)
random_uniform = old_arguments({"low": "minval", "high": "maxval"}, method=False)
