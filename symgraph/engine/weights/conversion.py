"""What other versions and backends of Keras store differently."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph import backend as K
from symgraph.engine.base_layer import Layer
from symgraph.engine.weights.flattened import in_order_of_flatten
from symgraph.engine.weights.order import Trains, always, ordered, single_layers
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

    Converted are: the layouts of Keras 1, kernels that Theano flips, and weights of `LSTM` and
    `GRU(reset_after=True)` from and to those of `CuDNNLSTM` and `CuDNNGRU`, and what reads a `Flatten` of
    pictures with channels first; in models and wrappers too.

    Parameters
    ----------
    layer : Layer
        Built.
    weights : sequence of arrays
        In the order of `layer.weights`, whatever is frozen.
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
    version = original_keras_version
    single = list(single_layers(layer))
    if [part for part, _ in single] == [layer]:
        return _converted(layer, layer, layer.weights, list(weights), version, original_backend, reshape)
    slots = StoredSlots(layer, len(weights), version)
    wanted = slots(always)
    if len(wanted) != len(weights):
        return list(weights)
    stored: dict[int, Arrays] = {}
    for slot, value in zip(wanted, weights, strict=True):
        stored.setdefault(id(slot), []).append(value)
    found: dict[int, np.ndarray] = {}
    for part, own in single:
        arrays = [stored[id(slot)][0] for slot in slots.of(part, own)]
        values = _converted(part, layer, own, arrays, version, original_backend, reshape)
        found.update((id(weight), value) for weight, value in zip(own, values, strict=True))
    return [found[id(weight)] for weight in layer.weights]


def stored_count(layer: Layer, version: str) -> int:
    """How many arrays a version of Keras stores for a layer."""
    return len(StoredSlots(layer, -1, version)(always))


def _is_old(version: str | None) -> bool:
    return _major(version) in ("0", "1")


def _major(version: str | None) -> str:
    return str(version).split(".")[0]


@dataclass(frozen=True, eq=False, slots=True)
class Gate:
    """A weight of a single gate: Keras 1 stored those of recurrent layers so."""

    name: str
    shape: tuple[int, ...]


class StoredSlots:
    """What the arrays that are stored for a layer stand for: weights, or parts of them in files of Keras 1.

    Parameters
    ----------
    layer : Layer
    count : int
        The number of arrays.
    version : str, optional
        Of the Keras that wrote them.
    """

    def __init__(self, layer: Layer, count: int, version: str | None) -> None:
        self._layer = layer
        self._old = _is_old(version)
        self._gates: dict[int, list[Gate]] = {}
        if self._old and count != len(layer.weights):
            self._gates = {
                id(part): _gate_slots(own, _GATES[type(part).__name__])
                for part, own in single_layers(layer)
                if type(part).__name__ in _GATES and len(own) == 3
            }

    def __call__(self, trains: Trains) -> list[Any]:
        """The slots of all arrays, in Keras' order for what `trains` says is trained."""
        return ordered(self._layer, trains, lambda part: self._gates.get(id(part)))

    def of(self, part: Layer, own: Sequence[Variable]) -> Sequence[Any]:
        """Those of a layer inside."""
        return self._gates.get(id(part), own)

    def fit(self, shapes: Sequence[tuple[int, ...]], reshape: bool) -> bool:
        """Whether arrays of these shapes, in the order of `layer.weights`, can become its weights."""
        wanted = [(slot, slot.shape if isinstance(slot, Gate) else _sizes(slot)) for slot in self(always)]
        if self._old or reshape:
            return [math.prod(shape) for shape in shapes] == [math.prod(shape) for _, shape in wanted]
        biases = {id(own[2]) for part, own in single_layers(self._layer) if _by_cudnn(part) and len(own) == 3}
        return all(
            shape == own or (id(slot) in biases and _double(shape, own))
            for shape, (slot, own) in zip(shapes, wanted, strict=True)
        )


def _by_cudnn(layer: Layer) -> bool:
    return type(layer).__name__ in ("LSTM", "CuDNNLSTM", "GRU", "CuDNNGRU")


def _double(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether one bias has as many numbers as another, or twice or half as many."""
    a, b = math.prod(shape), math.prod(other)
    return a in (b, 2 * b) or 2 * a == b


def _sizes(weight: Variable) -> tuple[int, ...]:
    return tuple(int(size or 0) for size in K.int_shape(weight))


def _gate_slots(own: Sequence[Variable], gates: int) -> list[Gate]:
    parts = [Gate(w.name or "", (*_sizes(w)[:-1], _sizes(w)[-1] // gates)) for w in own]
    return [Gate(part.name, part.shape) for _ in range(gates) for part in parts]


def _converted(
    layer: Layer,
    holder: Layer,
    variables: Sequence[Variable],
    weights: Arrays,
    version: str | None,
    backend: str | None,
    reshape: bool,
) -> Arrays:
    kind = type(layer).__name__
    if _major(version) == "0" and kind in _FROM_KERAS_0:
        weights = _FROM_KERAS_0[kind](layer, weights)
    if _is_old(version) and kind in _FROM_KERAS_1:
        weights = _FROM_KERAS_1[kind](layer, weights)
    weights = in_order_of_flatten(layer, holder, _recurrent(layer, kind, weights), version)
    if len(weights) != len(variables):
        return weights
    kernels = _FLIPPED.get(kind, 0)
    return [
        _fitted(value, _sizes(v), v.ndim - 2 if index < kernels else 0, backend, reshape)
        for index, (v, value) in enumerate(zip(variables, weights, strict=True))
    ]


def _fitted(
    value: np.ndarray, shape: tuple[int, ...], spatial_axes: int, backend: str | None, reshape: bool
) -> np.ndarray:
    """A stored array in the shape of a weight, with `spatial_axes` if it is a convolution kernel."""
    if spatial_axes and backend == "theano":
        value = np.flip(value, tuple(range(spatial_axes)))
    if reshape and value.shape != shape and value.size == math.prod(shape):
        return value.reshape(shape)
    return value


# -- layouts of Keras 1 --------------------------------------------------------------------------------------


def _sequences(layer: Any, weights: Arrays) -> Arrays:
    """Kernels of pictures with one column; even older ones have (filters, channels, length, 1)."""
    kernel, *rest = weights
    if kernel.ndim != 4:
        return weights
    length, filters = layer.kernel_size[0], layer.filters
    if kernel.shape[0] == filters and kernel.shape[2:] == (length, 1):
        # No shape but (1, 1, 1, 1) suits both layouts.
        kernel = np.transpose(kernel, (2, 3, 1, 0))
    elif kernel.shape[:2] != (length, 1) or kernel.shape[3] != filters:
        raise ValueError(
            f"expected a kernel of Keras 1 of shape ({length}, 1, channels, {filters}) or "
            f"({filters}, channels, {length}, 1), got {kernel.shape}"
        )
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
        if getattr(layer, "data_format", None) == "channels_first":
            weights = [np.transpose(w, (2, 3, 1, 0)) if w.ndim == 4 else w for w in weights]
        joined = [np.concatenate([weights[3 * gate + part] for gate in order], axis=-1) for part in range(3)]
        return joined

    return convert


def _separable(layer: Any, weights: Arrays) -> Arrays:
    """Both kernels of layers with channels first."""
    if layer.data_format != "channels_first" or len(weights) < 2 or any(w.ndim != 4 for w in weights[:2]):
        return weights
    return [*(np.transpose(kernel, (2, 3, 1, 0)) for kernel in weights[:2]), *weights[2:]]


def _with_variance(layer: Any, weights: Arrays) -> Arrays:
    """Keras 0.3 kept the deviation and divided by deviation + epsilon, not by √(variance + epsilon)."""
    *rest, deviation = weights
    return [*rest, np.square(deviation + layer.epsilon) - layer.epsilon]


def _carried(layer: Any, weights: Arrays) -> Arrays:
    """Keras 0.3 kept each kernel of `Highway` with its bias."""
    return [weights[i] for i in (0, 2, 1, 3)] if len(weights) == 4 else weights


_FROM_KERAS_0: dict[str, Callable[[Any, Arrays], Arrays]] = {
    "BatchNormalization": _with_variance,
    "Highway": _carried,
}

_FROM_KERAS_1: dict[str, Callable[[Any, Arrays], Arrays]] = {
    "Conv1D": _sequences,
    "Conv2D": _turned((2, 3, 1, 0), None),
    "Conv2DTranspose": _turned((2, 3, 0, 1), (0, 1, 3, 2)),
    "Conv3D": _turned((2, 3, 4, 1, 0), None),
    "SeparableConv2D": _separable,
    "GRU": _gates(0, 1, 2),
    # They are stored as i, c, f, o.
    "LSTM": _gates(0, 2, 1, 3),
    "ConvLSTM2D": _gates(0, 2, 1, 3),
}


_GATES = {"GRU": 3, "LSTM": 4, "ConvLSTM2D": 4}
"""Numbers of gates, whose weights Keras 1 stored one by one."""


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
