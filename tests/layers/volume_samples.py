"""Examples of use of layers of volumes and locally connected layers, and what numpy says they compute."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from symgraph import layers as L
from symgraph.utils.conv_utils import conv_output_length
from tests.layer_checkers import LayerSample as Sample

_VOLUME = ((5, 6, 4, 3),)
_FIRST = {"data_format": "channels_first"}


def _weights(layer: Any) -> dict[str, np.ndarray]:
    names = [w.name.split("/")[-1].removesuffix(":0") for w in layer.weights]
    return {n: v.astype("float64") for n, v in zip(names, layer.get_weights(), strict=True)}


def _last(layer: Any, x: np.ndarray) -> np.ndarray:
    return np.moveaxis(x, 1, -1) if layer.data_format == "channels_first" else x


def _back(layer: Any, y: np.ndarray) -> np.ndarray:
    return np.moveaxis(y, -1, 1) if layer.data_format == "channels_first" else y


def _bordered(layer: Any, x: np.ndarray, size: Any, fill: float) -> tuple[np.ndarray, tuple[int, ...]]:
    """Volumes with the border of 'same' padding (TensorFlow's rule), and the number of windows."""
    dilation = getattr(layer, "dilation_rate", (1, 1, 1))
    border, lengths = [(0, 0)], []
    for axis in range(3):
        given, stride = x.shape[axis + 1], layer.strides[axis]
        length = conv_output_length(given, size[axis], layer.padding, stride, dilation[axis])
        missing = max((length - 1) * stride + (size[axis] - 1) * dilation[axis] + 1 - given, 0)
        border.append((missing // 2, missing - missing // 2) if layer.padding == "same" else (0, 0))
        lengths.append(length)
    return np.pad(x, [*border, (0, 0)], constant_values=fill), tuple(lengths)


def _conv3d(layer: Any, x: np.ndarray) -> np.ndarray:
    """Every output voxel is a sum over its window, one after the other."""
    w = _weights(layer)
    kernel = w["kernel"]
    padded, counts = _bordered(layer, _last(layer, x), kernel.shape, 0.0)
    y = np.zeros((len(x), *counts, kernel.shape[4]))
    for place in np.ndindex(*counts):
        for tap in np.ndindex(*kernel.shape[:3]):
            at = [
                p * s + t * d
                for p, s, t, d in zip(place, layer.strides, tap, layer.dilation_rate, strict=True)
            ]
            y[(slice(None), *place)] += padded[:, at[0], at[1], at[2]] @ kernel[tap]
    y += w.get("bias", 0.0)
    return _back(layer, np.maximum(y, 0) if layer.activation.__name__ == "relu" else y)


def _transposed(layer: Any, x: np.ndarray) -> np.ndarray:
    """Each voxel puts its copy of the kernel on the output; 'same' cuts a border away."""
    w = _weights(layer)
    kernel, strides = w["kernel"], layer.strides
    x = _last(layer, x)
    sizes = [n * s + k for n, s, k in zip(x.shape[1:4], strides, kernel.shape, strict=False)]
    full = np.zeros((len(x), *sizes, kernel.shape[3]))
    for place in np.ndindex(*x.shape[1:4]):
        span = [slice(p * s, p * s + k) for p, s, k in zip(place, strides, kernel.shape, strict=False)]
        full[(slice(None), *span)] += np.einsum("nc,dhwfc->ndhwf", x[(slice(None), *place)], kernel)
    shape = layer._shape_for(_back(layer, x).shape)
    wanted = shape[2:] if layer.data_format == "channels_first" else shape[1:4]
    first = [0, 0, 0]
    if layer.padding == "same":
        spans = [(n - 1) * s + k for n, s, k in zip(x.shape[1:4], strides, kernel.shape, strict=False)]
        first = [max(span - size, 0) // 2 for span, size in zip(spans, wanted, strict=True)]
    inside = [slice(a, a + size) for a, size in zip(first, wanted, strict=True)]
    return _back(layer, full[(slice(None), *inside)] + w["bias"])


def _pooled(layer: Any, x: np.ndarray) -> np.ndarray:
    padded, counts = _bordered(layer, _last(layer, x), layer.pool_size, np.nan)
    reduce = np.nanmax if "Max" in type(layer).__name__ else np.nanmean
    y = np.zeros((len(x), *counts, padded.shape[4]))
    for place in itertools.product(*map(range, counts)):
        span = [
            slice(p * s, p * s + k) for p, s, k in zip(place, layer.strides, layer.pool_size, strict=True)
        ]
        y[(slice(None), *place)] = reduce(padded[(slice(None), *span)], axis=(1, 2, 3))
    return _back(layer, y)


def _global(layer: Any, x: np.ndarray) -> np.ndarray:
    last = _last(layer, x)
    return last.max((1, 2, 3)) if "Max" in type(layer).__name__ else last.mean((1, 2, 3))


def _local(layer: Any, x: np.ndarray) -> np.ndarray:
    """At every place a product of what its window holds, in the order of the layout."""
    w = _weights(layer)
    first = layer.rank == 2 and layer.data_format == "channels_first"
    counts = w["bias"].shape[:-1] if "bias" in w else layer.output_lengths
    y = np.zeros((len(x), *counts, layer.filters))
    for number, place in enumerate(np.ndindex(*counts)):
        span = [
            slice(p * s, p * s + k) for p, s, k in zip(place, layer.strides, layer.kernel_size, strict=True)
        ]
        part = x[(slice(None), *([slice(None)] if first else []), *span)]
        y[(slice(None), *place)] = part.reshape(len(x), -1) @ w["kernel"][number]
    bias = w.get("bias", np.zeros((*counts, layer.filters)))
    # Keras reads the numbers of [rows, columns, filters] in memory order, whatever the layout.
    y = np.moveaxis(y, -1, 1) + bias.reshape(layer.filters, *counts) if first else y + bias
    return np.tanh(y) if layer.activation.__name__ == "tanh" else y


VOLUME_SAMPLES: dict[type[L.Layer], list[Sample]] = {
    L.Conv3D: [
        Sample({"filters": 2, "kernel_size": 2}, _VOLUME, _conv3d, free=(1, 2, 3)),
        Sample(
            {"filters": 2, "kernel_size": (3, 2, 1), "padding": "same", "activation": "relu"},
            _VOLUME,
            _conv3d,
            free=(1,),
        ),
        Sample({"filters": 3, "kernel_size": 2, "strides": (2, 1, 2), **_FIRST}, ((2, 5, 4, 6),), _conv3d),
        Sample(
            {
                "filters": 2,
                "kernel_size": 2,
                "dilation_rate": (2, 1, 3),
                "padding": "same",
                "use_bias": False,
            },
            _VOLUME,
            _conv3d,
        ),
    ],
    L.Conv3DTranspose: [
        Sample({"filters": 2, "kernel_size": 3}, ((2, 3, 4, 3),), _transposed, free=(1,)),
        Sample(
            {"filters": 2, "kernel_size": (3, 2, 3), "strides": 2, "padding": "same"},
            ((3, 2, 3, 2),),
            _transposed,
            free=(1, 2, 3),
        ),
        Sample(
            {"filters": 2, "kernel_size": 2, "strides": (3, 2, 1), **_FIRST}, ((2, 3, 2, 3),), _transposed
        ),
        Sample(
            {"filters": 1, "kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 1},
            ((2, 3, 2, 2),),
            _transposed,
        ),
    ],
    L.MaxPooling3D: [
        Sample({}, _VOLUME, _pooled, free=(1, 2, 3)),
        Sample({"pool_size": 3, "strides": 2, "padding": "same", **_FIRST}, ((2, 5, 4, 6),), _pooled),
    ],
    L.AveragePooling3D: [
        Sample({"pool_size": (1, 2, 3), "strides": 1}, _VOLUME, _pooled, free=(1,)),
        Sample({"pool_size": 3, "strides": (2, 3, 1), "padding": "same", **_FIRST}, ((2, 5, 4, 6),), _pooled),
    ],
    L.GlobalMaxPooling3D: [
        Sample({}, _VOLUME, _global, free=(1, 2, 3)),
        Sample(_FIRST, ((2, 4, 3, 2),), _global),
    ],
    L.GlobalAveragePooling3D: [
        Sample({}, _VOLUME, _global, free=(1, 2, 3)),
        Sample(_FIRST, ((2, 4, 3, 2),), _global),
    ],
    L.ZeroPadding3D: [
        Sample({}, _VOLUME, lambda _, x: np.pad(x, [(0, 0), *[(1, 1)] * 3, (0, 0)]), free=(1, 2, 3)),
        Sample(
            {"padding": ((1, 0), (2, 3), (0, 1)), **_FIRST},
            ((2, 3, 4, 2),),
            lambda _, x: np.pad(x, [(0, 0), (0, 0), (1, 0), (2, 3), (0, 1)]),
        ),
        Sample({"padding": (0, 1, 2)}, _VOLUME, lambda _, x: np.pad(x, [(n, n) for n in (0, 0, 1, 2, 0)])),
    ],
    L.Cropping3D: [
        Sample({}, _VOLUME, lambda _, x: x[:, 1:-1, 1:-1, 1:-1], free=(1, 2, 3)),
        Sample(
            {"cropping": ((1, 0), (0, 2), (0, 0)), **_FIRST}, ((2, 5, 4, 3),), lambda _, x: x[:, :, 1:, :-2]
        ),
    ],
    L.UpSampling3D: [
        Sample({}, _VOLUME, lambda _, x: x.repeat(2, 1).repeat(2, 2).repeat(2, 3), free=(1, 2, 3)),
        Sample({"size": (1, 3, 2), **_FIRST}, ((2, 3, 4, 2),), lambda _, x: x.repeat(3, 3).repeat(2, 4)),
    ],
    L.SpatialDropout3D: [
        Sample({"rate": 0.5}, _VOLUME, lambda _, x: x, free=(1, 2, 3)),
        Sample({"rate": 0.5, **_FIRST}, _VOLUME, lambda _, x: x),
    ],
    L.LocallyConnected1D: [
        Sample({"filters": 4, "kernel_size": 3}, ((7, 2),), _local),
        Sample(
            {"filters": 2, "kernel_size": 2, "strides": 3, "use_bias": False, "activation": "tanh"},
            ((8, 3),),
            _local,
        ),
    ],
    L.LocallyConnected2D: [
        Sample({"filters": 4, "kernel_size": 3}, ((5, 6, 2),), _local),
        Sample(
            {"filters": 2, "kernel_size": (2, 3), "strides": (2, 1), "kernel_regularizer": "l2", **_FIRST},
            ((3, 6, 5),),
            _local,
        ),
    ],
}
