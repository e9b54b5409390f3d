"""For every public layer examples of use, with what numpy says they compute."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from symgraph import layers as L
from symgraph.utils.conv_utils import conv_output_length
from tests.layer_checkers import LayerSample as Sample
from tests.layers.converted_samples import CONVERTED_SAMPLES, GROUPED_SAMPLES
from tests.layers.recurrent_samples import RECURRENT_SAMPLES
from tests.layers.volume_samples import VOLUME_SAMPLES


def _w(layer: Any) -> dict[str, np.ndarray]:
    names = [w.name.split("/")[-1].removesuffix(":0") for w in layer.weights]
    return {n: v.astype("float64") for n, v in zip(names, layer.get_weights(), strict=True)}


def _same(layer: Any, x: np.ndarray) -> np.ndarray:
    return x


def _dense(layer: Any, x: np.ndarray) -> np.ndarray:
    w = _w(layer)
    y = x @ w["kernel"] + w.get("bias", 0.0)
    return np.tanh(y) if layer.activation.__name__ == "tanh" else y


def _windows(layer: Any, x: np.ndarray, size: Any, fill: float) -> tuple[np.ndarray, tuple[int, int]]:
    """Pictures (N, H, W, C) with the border of 'same' padding (TensorFlow's rule), and the output's size."""
    dilation = getattr(layer, "dilation_rate", (1, 1))
    border, lengths = [(0, 0)], []
    for axis in (0, 1):
        length = conv_output_length(
            x.shape[axis + 1], size[axis], layer.padding, layer.strides[axis], dilation[axis]
        )
        reach = (size[axis] - 1) * dilation[axis] + 1
        missing = max((length - 1) * layer.strides[axis] + reach - x.shape[axis + 1], 0)
        border.append((missing // 2, missing - missing // 2) if layer.padding == "same" else (0, 0))
        lengths.append(length)
    return np.pad(x, [*border, (0, 0)], constant_values=fill), (lengths[0], lengths[1])


def _correlate(layer: Any, x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Cross-correlation by loops over the kernel's taps; kernel (h, w, in, out)."""
    padded, (rows, columns) = _windows(layer, x, kernel.shape, 0.0)
    (sh, sw), (dh, dw) = layer.strides, layer.dilation_rate
    y = np.zeros((x.shape[0], rows, columns, kernel.shape[3]))
    for i in range(kernel.shape[0]):
        for j in range(kernel.shape[1]):
            part = padded[:, i * dh :, j * dw :][:, : (rows - 1) * sh + 1 : sh, : (columns - 1) * sw + 1 : sw]
            y += part @ kernel[i, j]
    return y


def _last(layer: Any, x: np.ndarray) -> np.ndarray:
    return np.moveaxis(x, 1, -1) if layer.data_format == "channels_first" else x


def _back(layer: Any, y: np.ndarray) -> np.ndarray:
    return np.moveaxis(y, -1, 1) if layer.data_format == "channels_first" else y


def _conv2d(layer: Any, x: np.ndarray) -> np.ndarray:
    w = _w(layer)
    y = _correlate(layer, _last(layer, x), w["kernel"]) + w.get("bias", 0.0)
    return _back(layer, np.maximum(y, 0) if layer.activation.__name__ == "relu" else y)


def _conv1d(layer: Any, x: np.ndarray) -> np.ndarray:
    w = _w(layer)
    kernel, bias = w["kernel"], w.get("bias", 0.0)
    x = _last(layer, x)
    (d,), (s,) = layer.dilation_rate, layer.strides
    reach = (len(kernel) - 1) * d
    length = conv_output_length(x.shape[1], len(kernel), layer.padding, s, d)
    missing = max((length - 1) * s + reach + 1 - x.shape[1], 0)
    before = {"valid": 0, "causal": reach, "same": missing // 2}[layer.padding]
    after = missing - before if layer.padding == "same" else 0
    padded = np.pad(x, [(0, 0), (before, after), (0, 0)])
    y = sum(padded[:, k * d :][:, : (length - 1) * s + 1 : s] @ kernel[k] for k in range(len(kernel)))
    return _back(layer, y + bias)


def _depthwise_kernel(kernel: np.ndarray) -> np.ndarray:
    """The full kernel of a convolution that keeps channels apart."""
    rows, columns, channels, multiplier = kernel.shape
    full = np.zeros((rows, columns, channels, channels * multiplier))
    for c in range(channels):
        full[:, :, c, c * multiplier : (c + 1) * multiplier] = kernel[:, :, c]
    return full


def _depthwise(layer: Any, x: np.ndarray) -> np.ndarray:
    w = _w(layer)
    return _back(
        layer, _correlate(layer, _last(layer, x), _depthwise_kernel(w["depthwise_kernel"])) + w["bias"]
    )


def _separable(layer: Any, x: np.ndarray) -> np.ndarray:
    w = _w(layer)
    y = _correlate(layer, _last(layer, x), _depthwise_kernel(w["depthwise_kernel"]))
    return _back(layer, y @ w["pointwise_kernel"][0, 0] + w["bias"])


def _separable1d(layer: Any, x: np.ndarray) -> np.ndarray:
    w = _w(layer)
    depthwise = w["depthwise_kernel"]
    length = x.shape[1] - len(depthwise) + 1
    taps = [x[:, k : k + length, :, None] * depthwise[k] for k in range(len(depthwise))]
    y = sum(taps).reshape(x.shape[0], length, -1)
    return y @ w["pointwise_kernel"][0] + w["bias"]


def _transposed(layer: Any, x: np.ndarray) -> np.ndarray:
    """Each pixel puts its copy of the kernel on the output; 'same' cuts a border away."""
    w = _w(layer)
    kernel = w["kernel"]
    x = _last(layer, x)
    (sh, sw), (kh, kw) = layer.strides, kernel.shape[:2]
    n, rows, columns, _ = x.shape
    full = np.zeros((n, rows * sh + kh, columns * sw + kw, kernel.shape[2]))
    for i in range(rows):
        for j in range(columns):
            full[:, i * sh : i * sh + kh, j * sw : j * sw + kw] += np.einsum(
                "nc,hwfc->nhwf", x[:, i, j], kernel
            )
    shape = layer._shape_for(_back(layer, x).shape)
    height, width = shape[2:] if layer.data_format == "channels_first" else shape[1:3]
    top, left = 0, 0
    if layer.padding == "same":
        top = max((rows - 1) * sh + kh - height, 0) // 2
        left = max((columns - 1) * sw + kw - width, 0) // 2
    return _back(layer, full[:, top : top + height, left : left + width] + w["bias"])


def _pooled(layer: Any, x: np.ndarray) -> np.ndarray:
    last = _last(layer, x)
    padded, (rows, columns) = _windows(layer, last, layer.pool_size, np.nan)
    (sh, sw), (ph, pw) = layer.strides, layer.pool_size
    y = np.zeros((x.shape[0], rows, columns, last.shape[-1]))
    reduce = np.nanmax if "Max" in type(layer).__name__ else np.nanmean
    for i in range(rows):
        for j in range(columns):
            y[:, i, j] = reduce(padded[:, i * sh : i * sh + ph, j * sw : j * sw + pw], axis=(1, 2))
    return _back(layer, y)


def _pooled1d(layer: Any, x: np.ndarray) -> np.ndarray:
    reduce = np.max if "Max" in type(layer).__name__ else np.mean
    last = _last(layer, x)
    (size,), (stride,) = layer.pool_size, layer.strides
    starts = range(0, last.shape[1] - size + 1, stride)
    return _back(layer, np.stack([reduce(last[:, s : s + size], axis=1) for s in starts], axis=1))


def _global(layer: Any, x: np.ndarray) -> np.ndarray:
    last = _last(layer, x)
    axes = tuple(range(1, last.ndim - 1))
    return last.max(axes) if "Max" in type(layer).__name__ else last.mean(axes)


def _batchnorm(layer: Any, x: np.ndarray) -> np.ndarray:
    w = _w(layer)
    shape = [1] * x.ndim
    shape[layer.axis] = -1
    p = {name: value.reshape(shape) for name, value in w.items()}
    y = (x - p["moving_mean"]) / np.sqrt(p["moving_variance"] + layer.epsilon)
    return y * p.get("gamma", 1.0) + p.get("beta", 0.0)


def _bilinear(layer: Any, x: np.ndarray) -> np.ndarray:
    """Every output pixel k lies at k / factor of the input; the last ones repeat the edge (TF 1's rule)."""
    for axis, factor in ((1, layer.size[0]), (2, layer.size[1])):
        at = np.arange(x.shape[axis] * factor) / factor
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, x.shape[axis] - 1)
        shape = [-1 if a == axis else 1 for a in range(4)]
        part = (at - low).reshape(shape)
        x = np.take(x, low, axis) * (1 - part) + np.take(x, high, axis) * part
    return x


def _dot(layer: Any, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    axes = [layer.axes] * 2 if isinstance(layer.axes, int) else layer.axes
    if layer.normalize:
        a = a / np.linalg.norm(a, axis=axes[0], keepdims=True)
        b = b / np.linalg.norm(b, axis=axes[1], keepdims=True)
    moved = [np.moveaxis(x, axis, 1) for x, axis in zip((a, b), axes, strict=True)]
    y = np.stack([np.tensordot(p, q, axes=(0, 0)) for p, q in zip(*moved, strict=True)])
    return y[:, None] if y.ndim == 1 else y


def _relu(layer: Any, x: np.ndarray) -> np.ndarray:
    below = layer.negative_slope * (x - layer.threshold)
    above = x if layer.max_value is None else np.minimum(x, layer.max_value)
    return np.where(x >= layer.threshold, above, below)


def _masked(layer: Any, x: np.ndarray) -> np.ndarray:
    return x * (x != layer.mask_value).any(-1, keepdims=True)


def _gaps(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    x = rng.normal(size=shape)
    x[:, 1] = 0.0
    return x


_PICTURE = ((6, 5, 3),)
_FIRST = {"data_format": "channels_first"}

SAMPLES: dict[type[L.Layer], list[Sample]] = {
    L.Dense: [
        Sample({"units": 4}, ((5,),), _dense),
        Sample({"units": 2, "activation": "tanh"}, ((3, 5),), _dense, free=(1,)),
        Sample(
            {
                "units": 3,
                "use_bias": False,
                "kernel_regularizer": "l2",
                "activity_regularizer": "l1",
                "kernel_constraint": "max_norm",
                "kernel_initializer": "he_normal",
            },
            ((3, 2, 4),),
            _dense,
        ),
    ],
    L.Activation: [
        Sample({"activation": "sigmoid"}, ((4, 3),), lambda _, x: special.expit(x), free=(1,)),
        Sample({"activation": "linear"}, ((4,),), _same),
    ],
    L.Dropout: [
        Sample({"rate": 0.5}, ((4,),), _same),
        Sample({"rate": 0.3, "noise_shape": (None, 1, 3), "seed": 3}, ((2, 3),), _same),
    ],
    L.SpatialDropout1D: [Sample({"rate": 0.5}, ((4, 3),), _same, free=(1,))],
    L.SpatialDropout2D: [
        Sample({"rate": 0.5}, _PICTURE, _same, free=(1, 2)),
        Sample({"rate": 0.5, **_FIRST}, _PICTURE, _same),
    ],
    L.Flatten: [
        Sample({}, ((3, 2),), lambda _, x: x.reshape(len(x), -1)),
        Sample(_FIRST, _PICTURE, lambda _, x: np.moveaxis(x, 1, -1).reshape(len(x), -1)),
    ],
    L.Reshape: [
        Sample({"target_shape": (3, 4)}, ((12,),), lambda _, x: x.reshape(-1, 3, 4)),
        Sample({"target_shape": (-1, 2, 2)}, ((3, 4),), lambda _, x: x.reshape(len(x), 3, 2, 2), free=(1,)),
    ],
    L.Permute: [
        Sample({"dims": (2, 1)}, ((3, 5),), lambda _, x: x.transpose(0, 2, 1), free=(1, 2)),
        Sample({"dims": (3, 1, 2)}, _PICTURE, lambda _, x: x.transpose(0, 3, 1, 2)),
    ],
    L.RepeatVector: [Sample({"n": 3}, ((4,),), lambda _, x: np.repeat(x[:, None], 3, 1))],
    L.Lambda: [
        Sample({"function": lambda x: x * x + 1}, ((4, 3),), lambda _, x: x * x + 1, free=(1,)),
        Sample(
            {"function": lambda x, k: x[:, :k], "arguments": {"k": 2}, "output_shape": (2,)},
            ((4,),),
            lambda _, x: x[:, :2],
        ),
        Sample({"function": lambda x: x[0] - x[1]}, ((4,), (4,)), lambda _, a, b: a - b),
    ],
    L.ActivityRegularization: [Sample({"l1": 0.1, "l2": 0.2}, ((4,),), _same)],
    L.Masking: [Sample({"mask_value": 0.0}, ((3, 2),), _masked, free=(1,), inputs=_gaps)],
    L.Conv1D: [
        Sample({"filters": 4, "kernel_size": 3}, ((7, 2),), _conv1d, free=(1,)),
        Sample({"filters": 4, "kernel_size": 3, "padding": "causal", "dilation_rate": 2}, ((7, 2),), _conv1d),
        Sample({"filters": 2, "kernel_size": 4, "padding": "same", "strides": 2}, ((9, 3),), _conv1d),
        Sample({"filters": 2, "kernel_size": 2, **_FIRST}, ((3, 9),), _conv1d),
    ],
    L.Conv2D: [
        Sample({"filters": 4, "kernel_size": 3}, _PICTURE, _conv2d, free=(1, 2)),
        Sample(
            {"filters": 2, "kernel_size": (3, 2), "padding": "same", "activation": "relu"},
            _PICTURE,
            _conv2d,
            free=(1,),
        ),
        Sample({"filters": 2, "kernel_size": 3, "strides": (2, 1), "padding": "same"}, ((7, 6, 2),), _conv2d),
        Sample({"filters": 3, "kernel_size": 2, "dilation_rate": (2, 1)}, _PICTURE, _conv2d),
        Sample({"filters": 3, "kernel_size": 2, "use_bias": False, **_FIRST}, ((2, 6, 5),), _conv2d),
        Sample(
            {"filters": 3, "kernel_size": 3, "padding": "SAME", "dilation_rate": 2, **_FIRST},
            ((2, 6, 7),),
            _conv2d,
        ),
    ],
    L.Conv2DTranspose: [
        Sample({"filters": 4, "kernel_size": 3}, _PICTURE, _transposed, free=(1,)),
        Sample(
            {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same"},
            _PICTURE,
            _transposed,
            free=(1, 2),
        ),
        Sample({"filters": 2, "kernel_size": 2, "strides": (3, 2)}, _PICTURE, _transposed),
        Sample(
            {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 1, **_FIRST},
            ((2, 4, 5),),
            _transposed,
        ),
    ],
    L.SeparableConv1D: [
        Sample({"filters": 4, "kernel_size": 3, "depth_multiplier": 2}, ((7, 2),), _separable1d)
    ],
    L.SeparableConv2D: [
        Sample({"filters": 4, "kernel_size": 3}, _PICTURE, _separable, free=(1,)),
        Sample(
            {
                "filters": 2,
                "kernel_size": 3,
                "padding": "same",
                "depth_multiplier": 2,
                "strides": 2,
                **_FIRST,
            },
            ((2, 6, 7),),
            _separable,
        ),
    ],
    L.DepthwiseConv2D: [
        Sample({"kernel_size": 3}, _PICTURE, _depthwise, free=(2,)),
        Sample(
            {"kernel_size": (2, 3), "padding": "same", "depth_multiplier": 3, **_FIRST},
            ((2, 5, 4),),
            _depthwise,
        ),
    ],
    L.MaxPooling1D: [
        Sample({}, ((7, 3),), _pooled1d, free=(1,)),
        Sample({"pool_size": 3, "strides": 2, **_FIRST}, ((3, 8),), _pooled1d),
    ],
    L.AveragePooling1D: [Sample({"pool_size": 3, "strides": 1}, ((7, 3),), _pooled1d)],
    L.MaxPooling2D: [
        Sample({}, _PICTURE, _pooled, free=(1, 2)),
        Sample({"pool_size": 3, "strides": 2, "padding": "same"}, _PICTURE, _pooled, free=(1,)),
        Sample({"pool_size": (2, 3), "strides": (1, 2), **_FIRST}, ((2, 5, 7),), _pooled),
    ],
    L.AveragePooling2D: [
        Sample({}, _PICTURE, _pooled, free=(1,)),
        Sample({"pool_size": 3, "strides": 2, "padding": "same", **_FIRST}, ((2, 5, 6),), _pooled),
    ],
    L.GlobalMaxPooling1D: [Sample({}, ((4, 3),), _global, free=(1,))],
    L.GlobalAveragePooling1D: [Sample({}, ((4, 3),), _global, free=(1,))],
    L.GlobalMaxPooling2D: [
        Sample({}, _PICTURE, _global, free=(1, 2)),
        Sample(_FIRST, ((2, 4, 3),), _global),
    ],
    L.GlobalAveragePooling2D: [
        Sample({}, _PICTURE, _global, free=(1, 2)),
        Sample(_FIRST, ((2, 4, 3),), _global),
    ],
    L.ZeroPadding1D: [
        Sample({"padding": (1, 2)}, ((4, 3),), lambda _, x: np.pad(x, [(0, 0), (1, 2), (0, 0)]), free=(1,))
    ],
    L.ZeroPadding2D: [
        Sample({}, _PICTURE, lambda _, x: np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)]), free=(1, 2)),
        Sample(
            {"padding": ((1, 0), (2, 3)), **_FIRST},
            ((2, 3, 4),),
            lambda _, x: np.pad(x, [(0, 0), (0, 0), (1, 0), (2, 3)]),
        ),
    ],
    L.Cropping1D: [Sample({"cropping": (1, 2)}, ((6, 3),), lambda _, x: x[:, 1:-2], free=(1,))],
    L.Cropping2D: [
        Sample({"cropping": ((1, 0), (0, 2))}, _PICTURE, lambda _, x: x[:, 1:, :-2], free=(1, 2)),
        Sample({"cropping": 1, **_FIRST}, ((2, 5, 4),), lambda _, x: x[:, :, 1:-1, 1:-1]),
    ],
    L.UpSampling1D: [Sample({"size": 3}, ((4, 2),), lambda _, x: np.repeat(x, 3, 1), free=(1,))],
    L.UpSampling2D: [
        Sample({}, _PICTURE, lambda _, x: x.repeat(2, 1).repeat(2, 2), free=(1, 2)),
        Sample({"size": (1, 3), **_FIRST}, ((2, 3, 4),), lambda _, x: x.repeat(3, 3)),
        Sample({"size": (2, 3), "interpolation": "bilinear"}, ((4, 3, 2),), _bilinear),
    ],
    L.BatchNormalization: [
        Sample({}, ((4,),), _batchnorm),
        Sample({}, _PICTURE, _batchnorm, free=(1, 2)),
        Sample({"axis": 1, "scale": False}, ((3, 4, 5),), _batchnorm),
        Sample(
            {"axis": 2, "center": False, "momentum": 0.5, "gamma_regularizer": "l2"}, ((3, 4),), _batchnorm
        ),
    ],
    L.Add: [
        Sample({}, ((4,), (4,)), lambda _, a, b: a + b),
        Sample({}, ((2, 3), (3,), (1, 3)), lambda _, a, b, c: a + b[:, None] + c),
    ],
    L.Subtract: [Sample({}, ((4,), (4,)), lambda _, a, b: a - b)],
    L.Multiply: [Sample({}, ((2, 3), (2, 3), (2, 1)), lambda _, a, b, c: a * b * c)],
    L.Average: [Sample({}, ((4,), (4,), (4,)), lambda _, a, b, c: (a + b + c) / 3)],
    L.Maximum: [Sample({}, ((4,), (4,), (4,)), lambda _, *xs: np.maximum.reduce(xs))],
    L.Minimum: [Sample({}, ((4,), (4,), (4,)), lambda _, *xs: np.minimum.reduce(xs))],
    L.Concatenate: [
        Sample({}, ((4,), (2,), (3,)), lambda _, *xs: np.concatenate(xs, -1)),
        Sample({"axis": 1}, ((4, 2), (3, 2)), lambda _, *xs: np.concatenate(xs, 1), free=(1,)),
    ],
    L.Dot: [
        Sample({"axes": 1}, ((4,), (4,)), _dot),
        Sample({"axes": (2, 1), "normalize": True}, ((3, 4), (4, 2)), _dot),
    ],
    L.LeakyReLU: [Sample({"alpha": 0.2}, ((4,),), lambda _, x: np.where(x > 0, x, 0.2 * x))],
    L.PReLU: [
        Sample({}, ((4,),), lambda layer, x: np.where(x > 0, x, _w(layer)["alpha"] * x)),
        Sample(
            {"shared_axes": [1, 2], "alpha_initializer": "ones"},
            _PICTURE,
            lambda layer, x: np.where(x > 0, x, _w(layer)["alpha"] * x),
            free=(1,),
        ),
    ],
    L.ELU: [Sample({"alpha": 0.7}, ((4,),), lambda _, x: np.where(x > 0, x, 0.7 * np.expm1(x)))],
    L.ThresholdedReLU: [Sample({"theta": 0.5}, ((4,),), lambda _, x: x * (x > 0.5))],
    L.Softmax: [
        Sample({}, ((4,),), lambda _, x: special.softmax(x, -1)),
        Sample({"axis": 1}, ((3, 4),), lambda _, x: special.softmax(x, 1)),
    ],
    L.ReLU: [
        Sample({}, ((8,),), _relu),
        Sample({"max_value": 0.5, "negative_slope": 0.1, "threshold": 0.2}, ((8,),), _relu),
    ],
    L.GaussianNoise: [Sample({"stddev": 0.5}, ((4,),), _same, free=())],
    L.GaussianDropout: [Sample({"rate": 0.5}, ((4,),), _same)],
    L.AlphaDropout: [Sample({"rate": 0.5}, ((4,),), _same)],
}
for _cls, _samples in GROUPED_SAMPLES.items():
    SAMPLES[_cls] += _samples
SAMPLES |= CONVERTED_SAMPLES
SAMPLES |= VOLUME_SAMPLES
SAMPLES |= RECURRENT_SAMPLES
