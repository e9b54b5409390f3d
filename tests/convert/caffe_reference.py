"""What Caffe computes, layer by layer, in float64 and plain loops: the formulas of its documentation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.convert.caffe_files import Layer


def run(layers: Sequence[Layer], blobs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All blobs of a network at the end."""
    found = {name: np.asarray(value, "float64") for name, value in blobs.items()}
    for layer in layers:
        inputs = [found[name] for name in layer.bottoms]
        result = _COMPUTED[layer.type](layer, *inputs)
        for top in layer.tops:
            found[top] = result
    return found


def _given(layer: Layer, name: str) -> dict[str, Any]:
    return dict(layer.fields.get(name, {}))


def _two(given: Mapping[str, Any], name: str, short: str, default: int) -> tuple[int, int]:
    value = given.get(name, [given.get(f"{short}_h", default), given.get(f"{short}_w", default)])
    values = value if isinstance(value, list) else [value]
    return values[0], values[-1]


def convolution(layer: Layer, x: np.ndarray) -> np.ndarray:
    given = _given(layer, "convolution_param")
    w, groups = layer.blobs[0].astype("float64"), given.get("group", 1)
    (sh, sw), (ph, pw) = _two(given, "stride", "stride", 1), _two(given, "pad", "pad", 0)
    (dh, dw), (kh, kw) = _two(given, "dilation", "dilation", 1), w.shape[2:]
    wide = np.pad(x, [(0, 0), (0, 0), (ph, ph), (pw, pw)])
    rows = (wide.shape[2] - (dh * (kh - 1) + 1)) // sh + 1
    columns = (wide.shape[3] - (dw * (kw - 1) + 1)) // sw + 1
    out = np.zeros((len(x), len(w), rows, columns))
    depth, each = x.shape[1] // groups, len(w) // groups
    for f in range(len(w)):
        seen = wide[:, f // each * depth : (f // each + 1) * depth]
        for p in range(kh):
            for q in range(kw):
                part = seen[:, :, p * dh :, q * dw :][
                    :, :, : (rows - 1) * sh + 1 : sh, : (columns - 1) * sw + 1 : sw
                ]
                out[:, f] += np.einsum("nchw,c->nhw", part, w[f, :, p, q])
    return out + layer.blobs[1].reshape(-1, 1, 1) if len(layer.blobs) > 1 else out


def deconvolution(layer: Layer, x: np.ndarray) -> np.ndarray:
    given = _given(layer, "convolution_param")
    w, groups = layer.blobs[0].astype("float64"), given.get("group", 1)
    (sh, sw), (ph, pw), (kh, kw) = (
        _two(given, "stride", "stride", 1), _two(given, "pad", "pad", 0), w.shape[2:],
    )  # fmt: skip
    rows, columns = (x.shape[2] - 1) * sh + kh, (x.shape[3] - 1) * sw + kw
    filters, each = w.shape[1] * groups, x.shape[1] // groups
    out = np.zeros((len(x), filters, rows, columns))
    for c in range(x.shape[1]):
        first = c // each * w.shape[1]
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                out[:, first : first + w.shape[1], i * sh : i * sh + kh, j * sw : j * sw + kw] += (
                    x[:, c, i, j, None, None, None] * w[c]
                )
    out = out[:, :, ph : rows - ph, pw : columns - pw]
    return out + layer.blobs[1].reshape(-1, 1, 1) if len(layer.blobs) > 1 else out


def pooling(layer: Layer, x: np.ndarray) -> np.ndarray:
    given = _given(layer, "pooling_param")
    mean = str(given.get("pool", "MAX")) == "AVE"
    if given.get("global_pooling"):
        return (x.mean((2, 3)) if mean else x.max((2, 3)))[:, :, None, None]
    window, strides = _two(given, "kernel_size", "kernel", 0), _two(given, "stride", "stride", 1)
    pads = _two(given, "pad", "pad", 0)
    sizes = []
    for size, k, s, p in zip(x.shape[2:], window, strides, pads, strict=True):
        count = math.ceil((size + 2 * p - k) / s) + 1
        if any(pads) and (count - 1) * s >= size + p:
            count -= 1
        sizes.append(count)
    out = np.zeros((*x.shape[:2], *sizes))
    for i, j in np.ndindex(*sizes):
        starts = [i * strides[0] - pads[0], j * strides[1] - pads[1]]
        ends = [min(a + k, n + p) for a, k, n, p in zip(starts, window, x.shape[2:], pads, strict=True)]
        area = (ends[0] - starts[0]) * (ends[1] - starts[1])
        seen = x[:, :, max(starts[0], 0) : ends[0], max(starts[1], 0) : ends[1]]
        out[:, :, i, j] = seen.sum((2, 3)) / area if mean else seen.max((2, 3))
    return out


def lrn(layer: Layer, x: np.ndarray) -> np.ndarray:
    given = _given(layer, "lrn_param")
    n, alpha, beta = given.get("local_size", 5), given.get("alpha", 1.0), given.get("beta", 0.75)
    out = np.zeros_like(x)
    half = (n - 1) // 2
    if str(given.get("norm_region", "ACROSS_CHANNELS")) == "ACROSS_CHANNELS":
        for c in range(x.shape[1]):
            near = (x[:, max(c - half, 0) : c + half + 1] ** 2).sum(1)
            out[:, c] = x[:, c] / (given.get("k", 1.0) + alpha / n * near) ** beta
        return out
    for i, j in np.ndindex(*x.shape[2:]):
        near = x[:, :, max(i - half, 0) : i + half + 1, max(j - half, 0) : j + half + 1]
        out[:, :, i, j] = x[:, :, i, j] / (1 + alpha / n**2 * (near**2).sum((2, 3))) ** beta
    return out


def inner_product(layer: Layer, x: np.ndarray) -> np.ndarray:
    given = _given(layer, "inner_product_param")
    axis = given.get("axis", 1) % x.ndim
    w = layer.blobs[0].astype("float64")
    flat = x.reshape(*x.shape[:axis], -1)
    y = flat @ (w if given.get("transpose") else w.T)
    return y + layer.blobs[1] if len(layer.blobs) > 1 else y


def _beside(blob: np.ndarray, x: np.ndarray, axis: int) -> np.ndarray:
    return blob.reshape((1,) * axis + blob.shape + (1,) * (x.ndim - axis - blob.ndim))


def batch_norm(layer: Layer, x: np.ndarray) -> np.ndarray:
    mean, variance, factor = (blob.astype("float64") for blob in layer.blobs)
    share = 0.0 if factor[0] == 0 else 1 / factor[0]
    eps = _given(layer, "batch_norm_param").get("eps", 1e-5)
    return (x - _beside(mean * share, x, 1)) / np.sqrt(_beside(variance * share, x, 1) + eps)


def scale(layer: Layer, x: np.ndarray, *factor: np.ndarray) -> np.ndarray:
    axis = _given(layer, "scale_param").get("axis", 1)
    y = x * _beside(factor[0] if factor else layer.blobs[0], x, axis)
    return y + _beside(layer.blobs[1], x, axis) if len(layer.blobs) > 1 else y


def bias(layer: Layer, x: np.ndarray) -> np.ndarray:
    return x + _beside(layer.blobs[0], x, _given(layer, "bias_param").get("axis", 1))


def softmax(layer: Layer, x: np.ndarray, *labels: np.ndarray) -> np.ndarray:
    axis = _given(layer, "softmax_param").get("axis", 1)
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def concat(layer: Layer, *inputs: np.ndarray) -> np.ndarray:
    given = _given(layer, "concat_param")
    return np.concatenate(inputs, given.get("axis", given.get("concat_dim", 1)))


def eltwise(layer: Layer, *inputs: np.ndarray) -> np.ndarray:
    given = _given(layer, "eltwise_param")
    operation = str(given.get("operation", "SUM"))
    if operation == "SUM":
        factors = given.get("coeff", [1.0] * len(inputs))
        return sum((f * x for f, x in zip(factors, inputs, strict=True)), np.zeros(()))
    return np.prod(inputs, 0) if operation == "PROD" else np.max(inputs, 0)


def relu(layer: Layer, x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, _given(layer, "relu_param").get("negative_slope", 0.0) * x)


def prelu(layer: Layer, x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, _beside(layer.blobs[0], x, 1) * x)


def elu(layer: Layer, x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, _given(layer, "elu_param").get("alpha", 1.0) * np.expm1(np.minimum(x, 0)))


def power(layer: Layer, x: np.ndarray) -> np.ndarray:
    given = _given(layer, "power_param")
    return (given.get("shift", 0.0) + given.get("scale", 1.0) * x) ** given.get("power", 1.0)


def flatten(layer: Layer, x: np.ndarray) -> np.ndarray:
    given = _given(layer, "flatten_param")
    first, last = given.get("axis", 1) % x.ndim, given.get("end_axis", -1) % x.ndim
    return x.reshape(*x.shape[:first], -1, *x.shape[last + 1 :])


def reshape(layer: Layer, x: np.ndarray) -> np.ndarray:
    given = _given(layer, "reshape_param")
    first, count = given.get("axis", 0), given.get("num_axes", -1)
    end = x.ndim if count == -1 else first + count
    new = [x.shape[first + n] if d == 0 else d for n, d in enumerate(given["shape"]["dim"])]
    return x.reshape(*x.shape[:first], *new, *x.shape[end:])


def crop(layer: Layer, x: np.ndarray, like: np.ndarray) -> np.ndarray:
    given = _given(layer, "crop_param")
    axis, offsets = given.get("axis", 2), given.get("offset", 0)
    offsets = offsets if isinstance(offsets, list) else [offsets] * (x.ndim - axis)
    cuts = [slice(o, o + like.shape[axis + n]) for n, o in enumerate(offsets)]
    return x[(slice(None),) * axis + tuple(cuts)]


def _same(layer: Layer, x: np.ndarray) -> np.ndarray:
    return x


_COMPUTED: dict[str, Any] = {
    "BatchNorm": batch_norm, "Bias": bias, "Concat": concat, "Convolution": convolution, "Crop": crop,
    "Deconvolution": deconvolution, "Dropout": _same, "ELU": elu, "Eltwise": eltwise, "Flatten": flatten,
    "InnerProduct": inner_product, "LRN": lrn, "PReLU": prelu, "Pooling": pooling, "Power": power,
    "ReLU": relu, "Reshape": reshape, "Scale": scale, "Sigmoid": lambda layer, x: 1 / (1 + np.exp(-x)),
    "Softmax": softmax, "SoftmaxWithLoss": softmax, "Split": _same, "TanH": lambda layer, x: np.tanh(x),
}  # fmt: skip
