"""What other versions and backends of Keras store differently."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.engine.base_layer import Layer

# Layers whose kernels Theano flips, with the number of kernels at the front of their weights.
_FLIPPED = {
    "Conv1D": 1,
    "Conv2D": 1,
    "Conv3D": 1,
    "Conv2DTranspose": 1,
    "Conv3DTranspose": 1,
    "ConvLSTM2D": 2,
}

_INNER = ("layer", "forward_layer", "backward_layer", "cell")
"""Attributes under which wrappers keep the layers inside them."""


def kernel_axes(layer: Layer) -> dict[int, int]:
    """The convolution kernels among the weights of a layer and of all layers inside it.

    Returns
    -------
    dict
        From `id(weight)` to the number of its spatial axes, which come first.
    """
    found: dict[int, int] = {}
    waiting: list[Any] = [layer]
    seen: set[int] = set()
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        for weight in current.weights[: _FLIPPED.get(type(current).__name__, 0)]:
            found[id(weight)] = weight.ndim - 2
        waiting += getattr(current, "_layers", ())
        waiting += [inner for name in _INNER if isinstance(inner := getattr(current, name, None), Layer)]
    return found


def fitted(
    value: np.ndarray, shape: tuple[int | None, ...], spatial_axes: int, backend: str | None, reshape: bool
) -> np.ndarray:
    """A stored array as a layer has it. The result may still have another shape.

    Parameters
    ----------
    value : ndarray
    shape : tuple
        Of the layer's weight.
    spatial_axes : int
        Of a convolution kernel; 0 for other weights.
    backend : str or None
        The backend that wrote the file. Theano convolves with flipped kernels.
    reshape : bool
        Whether an array of another shape is reshaped.
    """
    if spatial_axes and backend == "theano":
        value = np.flip(value, tuple(range(spatial_axes)))
    if reshape and value.shape != shape:
        return value.reshape(tuple(size or 0 for size in shape))
    if spatial_axes == 2 and value.ndim == 4 and value.shape != shape:
        # The order that Keras tries, and that of old files of Theano: filters, channels, rows, columns.
        turned = np.transpose(value, (3, 2, 0, 1)), np.transpose(value, (2, 3, 1, 0))
        return turned[0] if turned[0].shape == shape else turned[1]
    return value
