"""Layers that only converted networks have: examples of use, with what numpy says they compute."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph import layers as L
from tests.layer_checkers import LayerSample as Sample


def _w(layer: Any) -> dict[str, np.ndarray]:
    names = [w.name.split("/")[-1].removesuffix(":0") for w in layer.weights]
    return {n: v.astype("float64") for n, v in zip(names, layer.get_weights(), strict=True)}


def _in_channels_last(layer: Any, x: np.ndarray) -> np.ndarray:
    return np.moveaxis(x, 1, -1) if layer.data_format == "channels_first" else x


def _as_given(layer: Any, y: np.ndarray) -> np.ndarray:
    return np.moveaxis(y, -1, 1) if layer.data_format == "channels_first" else y


def caffe_windows(length: int, size: int, stride: int, pads: tuple[int, int], ceil: bool) -> list[int]:
    """The first pixels of all windows, by walking along the picture as Caffe's documentation says."""
    before, after = pads
    starts, start = [], -before
    while True:
        end = start + size
        whole = end <= length + after
        # A window over the border is one more where pixels are left that no window before it has ended at.
        left = ceil and end - stride < length + after and start < length
        if not whole and not left:
            return starts
        starts.append(start)
        start += stride


def pooled(layer: Any, x: np.ndarray) -> np.ndarray:
    """Window by window."""
    last = _in_channels_last(layer, x)
    lines = [
        caffe_windows(
            last.shape[a + 1], layer.pool_size[a], layer.strides[a], layer.padding[a], layer.ceil_mode
        )
        for a in (0, 1)
    ]
    out = np.zeros((len(x), len(lines[0]), len(lines[1]), last.shape[-1]))
    for i, row in enumerate(lines[0]):
        for j, column in enumerate(lines[1]):
            ends = row + layer.pool_size[0], column + layer.pool_size[1]
            window = last[:, max(row, 0) : ends[0], max(column, 0) : ends[1]]
            if isinstance(layer, L.PaddedMaxPooling2D):
                out[:, i, j] = window.max((1, 2))
                continue
            count = window.shape[1] * window.shape[2]
            if layer.count_padding:
                within = [
                    min(end, last.shape[a + 1] + layer.padding[a][1]) - start
                    for a, (start, end) in enumerate(zip((row, column), ends, strict=True))
                ]
                count = within[0] * within[1]
            out[:, i, j] = window.sum((1, 2)) / count
    return _as_given(layer, out)


def response(layer: Any, x: np.ndarray) -> np.ndarray:
    """Value by value."""
    last = _in_channels_last(layer, x)
    before, after = (layer.size - 1) // 2, layer.size - 1 - (layer.size - 1) // 2
    out = np.zeros_like(last)
    for n, i, j, c in np.ndindex(last.shape):
        if layer.region == "channels":
            near, count = last[n, i, j, max(c - before, 0) : c + after + 1], layer.size
        else:
            rows, columns = (slice(max(at - before, 0), at + after + 1) for at in (i, j))
            near, count = last[n, rows, columns, c], layer.size**2
        out[n, i, j, c] = (
            last[n, i, j, c] / (layer.bias + layer.alpha / count * (near**2).sum()) ** layer.beta
        )
    return _as_given(layer, out)


def _scaled(axes: dict[str, tuple[int, ...]], layer: Any, x: np.ndarray) -> np.ndarray:
    w = {name: value.reshape(axes[name]) for name, value in _w(layer).items()}
    return x * w.get("gamma", 1.0) + w.get("beta", 0.0)


def grouped(layer: Any, x: np.ndarray) -> np.ndarray:
    """Each group convolved by itself, tap by tap; padding 'valid'."""
    w, last = _w(layer), _in_channels_last(layer, x)
    kernel = w["kernel"]
    if kernel.ndim == 3:
        kernel, last = kernel[None], last[:, None]
    depth, filters = kernel.shape[2], kernel.shape[3] // layer.groups
    strides = (1, *layer.strides)[-2:]
    sizes = [(last.shape[a + 1] - kernel.shape[a]) // strides[a] + 1 for a in (0, 1)]
    out = np.zeros((len(x), *sizes, kernel.shape[3]))
    for n, i, j, f in np.ndindex(out.shape):
        first = f // filters * depth
        row, column = i * strides[0], j * strides[1]
        seen = last[n, row : row + kernel.shape[0], column : column + kernel.shape[1], first : first + depth]
        out[n, i, j, f] = (seen * kernel[..., f]).sum() + w["bias"][f]
    return _as_given(layer, out[:, 0] if layer.rank == 1 else out)


_FIRST = {"data_format": "channels_first"}
_PICTURE = ((6, 5, 3),)

GROUPED_SAMPLES: dict[type[L.Layer], list[Sample]] = {
    L.Conv1D: [Sample({"filters": 6, "kernel_size": 3, "groups": 2}, ((7, 4),), grouped, free=(1,))],
    L.Conv2D: [
        Sample({"filters": 6, "kernel_size": (3, 2), "groups": 2}, ((6, 5, 4),), grouped, free=(1, 2)),
        Sample({"filters": 6, "kernel_size": 2, "groups": 3, "strides": 2, **_FIRST}, ((9, 5, 6),), grouped),
    ],
}

CONVERTED_SAMPLES: dict[type[L.Layer], list[Sample]] = {
    L.LocalResponseNormalization: [
        Sample({}, ((2, 3, 7),), response, free=(1, 2)),
        Sample({"size": 4, "alpha": 0.5, "beta": 0.6, "bias": 2.0, **_FIRST}, ((6, 3, 2),), response),
        Sample({"size": 3, "region": "pixels"}, _PICTURE, response, free=(1,)),
        Sample({"size": 3, "alpha": 2.0, "region": "pixels", **_FIRST}, ((2, 4, 5),), response),
    ],
    L.PaddedMaxPooling2D: [
        Sample({}, _PICTURE, pooled, free=(1, 2)),
        Sample({"pool_size": 3, "strides": 2, "ceil_mode": True}, _PICTURE, pooled, free=(1, 2)),
        Sample({"pool_size": 2, "padding": 1, "ceil_mode": True, **_FIRST}, ((2, 5, 8),), pooled),
        Sample({"pool_size": (3, 4), "strides": 2, "padding": ((0, 2), (3, 1))}, _PICTURE, pooled),
    ],
    L.PaddedAveragePooling2D: [
        Sample(
            {"pool_size": 3, "strides": 2, "padding": 1, "ceil_mode": True}, _PICTURE, pooled, free=(1, 2)
        ),
        Sample(
            {"pool_size": 3, "strides": 3, "padding": 2, "ceil_mode": True, **_FIRST}, ((2, 5, 8),), pooled
        ),
        Sample({"pool_size": 3, "strides": 2, "padding": 1, "count_padding": False}, _PICTURE, pooled),
        Sample({"pool_size": (2, 3), "strides": 2, "padding": ((1, 0), (2, 1))}, ((7, 6, 2),), pooled),
    ],
    L.Scale: [
        Sample({}, ((2, 4),), lambda layer, x: _scaled({"gamma": (4,), "beta": (4,)}, layer, x), free=(1,)),
        Sample(
            {"axis": 1, "scale": False}, _PICTURE, lambda layer, x: _scaled({"beta": (6, 1, 1)}, layer, x)
        ),
        Sample(
            {"axis": [1, 3], "center": False},
            _PICTURE,
            lambda layer, x: _scaled({"gamma": (6, 1, 3)}, layer, x),
            free=(2,),
        ),
    ],
    L.ScaledAdd: [
        Sample({"scale": 0.25}, ((3, 2), (3, 2)), lambda _, x, y: x + y / 4, free=(1,)),
        Sample({}, ((4,), (3, 1)), lambda _, x, y: x[:, np.newaxis] + y),
    ],
    L.Power: [
        Sample({"scale": 2.0, "shift": -1.0}, ((4,),), lambda _, x: 2 * x - 1, free=(1,)),
        Sample({"power": -0.5, "shift": 9.0}, ((4, 3),), lambda _, x: (9 + x) ** -0.5),
        Sample({}, ((4,),), lambda _, x: x),
    ],
}
