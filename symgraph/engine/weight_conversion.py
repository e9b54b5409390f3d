"""What other versions and backends of Keras store differently."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symgraph import backend as K
from symgraph.engine.base_layer import Layer
from symgraph.engine.node import Shape
from symgraph.graph.leaves import Variable

Arrays = list[np.ndarray]

# Layers whose kernels Theano flips, with the number of kernels at the front of their weights.
_FLIPPED = {
    "Conv1D": 1,
    "Conv2D": 1,
    "Conv3D": 1,
    "Conv2DTranspose": 1,
    "Conv3DTranspose": 1,
    "ConvLSTM2D": 2,
}


def preprocess_weights_for_loading(
    layer: Layer,
    weights: Sequence[np.ndarray],
    original_keras_version: str | None = None,
    original_backend: str | None = None,
    reshape: bool = False,
) -> Arrays:
    """Stored arrays as a layer has them. The results may still have other shapes.

    Converted are: the layouts of Keras 1, kernels that Theano flips, the transposed kernels of old files,
    and weights of `LSTM` and `GRU(reset_after=True)` from and to those of `CuDNNLSTM` and `CuDNNGRU`; in
    models and wrappers too.

    Parameters
    ----------
    layer : Layer
        Built.
    weights : sequence of arrays
    original_keras_version : str, optional
        Of the file; '1' where it says nothing.
    original_backend : str, optional
        'theano' convolves with flipped kernels.
    reshape : bool
        Reshape arrays of another shape that have the right number of elements.

    Raises
    ------
    ValueError
        If weights of a recurrent layer fit neither kind, or cannot become the other.
    """
    old = str(original_keras_version).split(".")[0] == "1"
    return _converted(layer, layer.weights, list(weights), old, original_backend, reshape)


def _converted(
    layer: Layer,
    variables: Sequence[Variable],
    weights: Arrays,
    old: bool,
    backend: str | None,
    reshape: bool,
) -> Arrays:
    parts = _parts(layer, len(weights))
    if parts is not None:
        found: Arrays = []
        for inner, own in parts:
            taken, weights = weights[: len(own)], weights[len(own) :]
            found += _converted(inner, own, taken, old, backend, reshape)
        return found + weights
    kind = type(layer).__name__
    if old and kind in _FROM_KERAS_1:
        weights = _FROM_KERAS_1[kind](layer, weights)
    weights = _recurrent(layer, kind, weights)
    if len(weights) != len(variables):
        return weights
    kernels = _FLIPPED.get(kind, 0)
    return [
        _fitted(value, K.int_shape(v), v.ndim - 2 if index < kernels else 0, backend, reshape)
        for index, (v, value) in enumerate(zip(variables, weights, strict=True))
    ]


def _parts(layer: Any, count: int) -> list[tuple[Layer, list[Any]]] | None:
    """The layers inside, each with the weights that are stored for it; None for a plain layer.

    For `count` arrays: those of a layer of Keras 1 are more than its weights.
    """
    kind = type(layer).__name__
    if kind == "Bidirectional":
        half = [None] * (count // 2)
        sides = (layer.forward_layer, layer.backward_layer)
        return [(side, side.weights if len(side.weights) == len(half) else half) for side in sides]
    if kind == "TimeDistributed":
        return [(layer.layer, layer.layer.weights if len(layer.layer.weights) == count else [None] * count)]
    if hasattr(layer, "_is_graph_network"):
        trained = [(inner, list(inner.trainable_weights)) for inner in layer.layers]
        fixed = [(inner, list(inner.non_trainable_weights)) for inner in layer.layers]
        return [part for part in (*trained, *fixed) if part[1]]
    return None


def _fitted(
    value: np.ndarray, shape: Shape, spatial_axes: int, backend: str | None, reshape: bool
) -> np.ndarray:
    """A stored array in the shape of a weight, with `spatial_axes` if it is a convolution kernel."""
    if spatial_axes and backend == "theano":
        value = np.flip(value, tuple(range(spatial_axes)))
    if reshape and value.shape != shape and value.size == math.prod(size or 0 for size in shape):
        return value.reshape(tuple(size or 0 for size in shape))
    if spatial_axes == 2 and value.ndim == 4 and value.shape != shape:
        # The order that Keras tries, and that of old files of Theano: filters, channels, rows, columns.
        turned = np.transpose(value, (3, 2, 0, 1)), np.transpose(value, (2, 3, 1, 0))
        return turned[0] if turned[0].shape == shape else turned[1]
    return value


# -- layouts of Keras 1 --------------------------------------------------------------------------------------


def _sequences(layer: Any, weights: Arrays) -> Arrays:
    """Kernels of pictures with one column; even older ones have (filters, channels, length, 1)."""
    kernel, *rest = weights
    if kernel.ndim != 4:
        return weights
    if kernel.shape[:2] != (layer.kernel_size[0], 1) or kernel.shape[3] != layer.filters:
        kernel = np.transpose(kernel, (2, 3, 1, 0))
    return [kernel[:, 0], *rest]


def _turned(first: Sequence[int] | None, last: Sequence[int] | None) -> Callable[[Any, Arrays], Arrays]:
    """Transposes the kernel of layers with channels first, and of those with channels last."""

    def convert(layer: Any, weights: Arrays) -> Arrays:
        order = first if layer.data_format == "channels_first" else last
        if order is None or weights[0].ndim != len(order):
            return weights
        return [np.transpose(weights[0], order), *weights[1:]]

    return convert


def _gates(*order: int) -> Callable[[Any, Arrays], Arrays]:
    """Joins the kernel, recurrent kernel and bias of each gate; the gates come in this order."""

    def convert(layer: Any, weights: Arrays) -> Arrays:
        if len(weights) != 3 * len(order):
            return weights
        joined = [np.concatenate([weights[3 * gate + part] for gate in order], axis=-1) for part in range(3)]
        if getattr(layer, "data_format", None) == "channels_first":
            joined[:2] = [np.transpose(kernel, (2, 3, 1, 0)) for kernel in joined[:2]]
        return joined

    return convert


_FROM_KERAS_1: dict[str, Callable[[Any, Arrays], Arrays]] = {
    "Conv1D": _sequences,
    "Conv2D": _turned((2, 3, 1, 0), None),
    "Conv2DTranspose": _turned((2, 3, 0, 1), (0, 1, 3, 2)),
    "Conv3D": _turned((2, 3, 4, 1, 0), None),
    "GRU": _gates(0, 1, 2),
    # They are stored as i, c, f, o.
    "LSTM": _gates(0, 2, 1, 3),
    "ConvLSTM2D": _gates(0, 2, 1, 3),
}


# -- cuDNN ---------------------------------------------------------------------------------------------------


def _recurrent(layer: Any, kind: str, weights: Arrays) -> Arrays:
    """Weights of a recurrent layer for its other kind, if they are of that. Without bias there is nothing."""
    gates = {"LSTM": 4, "CuDNNLSTM": 4, "GRU": 3, "CuDNNGRU": 3}.get(kind)
    if gates is None or len(weights) != 3:
        return weights
    width = weights[1].shape[0] * gates
    sources = {
        4: {(2 * width,): "CuDNNLSTM", (width,): "LSTM"},
        3: {
            (2 * width,): "CuDNNGRU",
            (2, width): "GRU(reset_after=True)",
            (width,): "GRU(reset_after=False)",
        },
    }[gates]
    source = sources.get(weights[2].shape)
    if source is None:
        raise ValueError(f"Invalid bias shape: {weights[2].shape}")
    target = f"GRU(reset_after={layer.reset_after})" if kind == "GRU" else kind
    if source == target:
        return weights
    if "GRU(reset_after=False)" in (source, target):
        raise ValueError(f"{source} is not compatible with {target}")
    from_cudnn = source.startswith("CuDNN")
    return [
        _by_gates(weights[0], gates, _from_cudnn if from_cudnn else _to_cudnn),
        _by_gates(weights[1], gates, np.transpose),
        _bias(weights[2], gates, from_cudnn),
    ]


def _by_gates(kernels: np.ndarray, gates: int, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    return np.hstack([change(kernel) for kernel in np.hsplit(kernels, gates)])


def _from_cudnn(kernel: np.ndarray) -> np.ndarray:
    """A matrix (rows, units) whose numbers lie in the order of (units, rows)."""
    return kernel.reshape(kernel.shape[::-1]).T


def _to_cudnn(kernel: np.ndarray) -> np.ndarray:
    return kernel.T.reshape(kernel.shape)


def _bias(bias: np.ndarray, gates: int, from_cudnn: bool) -> np.ndarray:
    if gates == 3:
        return bias.reshape((2, -1) if from_cudnn else -1)
    # An LSTM adds both biases of cuDNN: it does not matter how its own is shared out.
    return np.split(bias, 2)[0] + np.split(bias, 2)[1] if from_cudnn else np.tile(0.5 * bias, 2)
