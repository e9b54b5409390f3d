"""Zeros around pictures become the padding of the convolution that reads them: nothing is copied.

A ZeroPadding2D before a convolution is a copy of the picture; kernels put zeros around as they read. The
same goes for both gradients of such a convolution, and for a maximum over windows of numbers that are not
negative.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from symgraph.graph.dims import Dim
from symgraph.graph.ops.conv import Conv2D, Conv2DInputGradient, Conv2DWeightGradient
from symgraph.graph.ops.math import Relu
from symgraph.graph.ops.matmul import MatMul
from symgraph.graph.ops.pool import MaxPool2D
from symgraph.graph.ops.slicing import Place, Slice
from symgraph.graph.ops.window import Padding, Pair
from symgraph.graph.tensor import Tensor
from symgraph.passes.rewrite import apply_rules, rule

_AXES = (1, 2)
"""Lines and columns of pictures [N, H, W, C]."""


@rule(Conv2D)
def pad_in_convolution(node: Tensor) -> Tensor | None:
    """conv2d(place(x), w) -> conv2d[padded](x, w)"""
    source, weights, *rest = node.inputs
    op = node.op
    assert isinstance(op, Conv2D)
    padding = _around(op, source, weights.shape[:2])
    if padding is None:
        return None
    return replace(op, padding=padding)(source.inputs[0], weights, *rest)


@rule(Conv2DWeightGradient)
def pad_in_weight_gradient(node: Tensor) -> Tensor | None:
    """conv2d_weight_gradient(place(x), y) -> conv2d_weight_gradient[padded](x, y)"""
    source, flow = node.inputs
    op = node.op
    assert isinstance(op, Conv2DWeightGradient)
    padding = _around(op, source, (op.height, op.width))
    return None if padding is None else replace(op, padding=padding)(source.inputs[0], flow)


@rule(Slice)
def pad_in_input_gradient(node: Tensor) -> Tensor | None:
    """conv2d_input_gradient(y, w)[inside] -> conv2d_input_gradient[padded](y, w)"""
    (wide,) = node.inputs
    op, cut = wide.op, node.op
    if not isinstance(op, Conv2DInputGradient) or len(wide.inputs) > 2:
        return None
    assert isinstance(cut, Slice)
    widths = _widths(cut.starts, cut.sizes, cut.steps, wide.shape)
    padding = _together(op.padding, widths, wide.inputs[1].shape[:2], op.dilation)
    if padding is None:
        return None
    return replace(op, padding=padding, height=cut.sizes[1], width=cut.sizes[2])(*wide.inputs)


@rule(MaxPool2D)
def pad_in_maximum(node: Tensor) -> Tensor | None:
    """max_pool2d(place(x)) -> max_pool2d[padded](x) where x >= 0: zeros beside it never win over it"""
    (source,) = node.inputs
    op = node.op
    assert isinstance(op, MaxPool2D)
    if not isinstance(source.op, Place) or not _is_rectified(source.inputs[0]):
        return None
    # Of a picture without pixels, windows hold the zeros alone.
    if not all(isinstance(size, int) and size > 0 for size in source.inputs[0].shape[1:3]):
        return None
    padding = _around(op, source, op.pool)
    return None if padding is None else replace(op, padding=padding)(source.inputs[0])


def _is_rectified(value: Tensor) -> bool:
    rectified = isinstance(value.op, (Conv2D, MatMul)) and value.op.activation in ("relu", "relu6")
    return rectified or isinstance(value.op, Relu)


def _around(
    op: Conv2D | Conv2DWeightGradient | MaxPool2D, source: Tensor, window: Sequence[Dim]
) -> Padding | None:
    """The padding of `op` and the zeros that `source` puts around pictures; None if it is not just that."""
    place = source.op
    if not isinstance(place, Place) or place.value != 0:
        return None
    widths = _widths(place.starts, source.inputs[0].shape, place.steps, place.shape)
    dilation = getattr(op, "dilation", (1, 1))
    return _together(op.padding, widths, window, dilation)


def _widths(
    starts: Sequence[Dim], sizes: Sequence[Dim], steps: Sequence[int], shape: Sequence[Dim]
) -> tuple[Pair, Pair] | None:
    """Lines and columns of `shape` around a picture of `sizes` at `starts`."""
    if set(steps) != {1} or any(starts[a] != 0 or sizes[a] != shape[a] for a in (0, 3)):
        return None
    found = []
    for a in _AXES:
        before, after = starts[a], shape[a] - sizes[a] - starts[a]
        if not (isinstance(before, int) and isinstance(after, int)):
            return None
        found.append((before, after))
    return found[0], found[1]


def _together(
    padding: Padding, widths: tuple[Pair, Pair] | None, window: Sequence[Dim], dilation: Pair
) -> Padding | None:
    """Both paddings, where no window lies outside the picture with all of its taps."""
    if widths is None or padding == "same":
        return None
    inner = ((0, 0), (0, 0)) if isinstance(padding, str) else padding
    total = []
    for (before, after), (first, last), size, step in zip(inner, widths, window, dilation, strict=True):
        if not isinstance(size, int):
            return None
        edges = before + first, after + last
        if max(edges) > (size - 1) * step:
            return None
        total.append(edges)
    return total[0], total[1]


_BEFORE = (pad_in_convolution, pad_in_weight_gradient, pad_in_input_gradient)


def pads(roots: Sequence[Tensor], hits: Counter[str]) -> list[Tensor]:
    """Zeros around pictures become padding; see the rules."""
    return apply_rules(roots, _BEFORE, hits)


def pads_of_maxima(roots: Sequence[Tensor], hits: Counter[str]) -> list[Tensor]:
    """The same for maxima, once activations are where they will stay."""
    return apply_rules(roots, (pad_in_maximum,), hits)
