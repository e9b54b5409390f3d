"""For every function of the backend that computes: arguments, and what numpy says about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from scipy import special

from tests.backend import window_truth as win


@dataclass(frozen=True)
class Truth:
    """An example: arrays, keywords, and the result in numpy's words.

    `free` are the axes (input, axis) that are tried with an unknown size too. `packed` functions take their
    tensors in a list. Where `smooth` is False there is no gradient to check.
    """

    expected: Callable[..., Any]
    inputs: tuple[np.ndarray, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    smooth: bool = True
    packed: bool = False
    free: tuple[tuple[int, int], ...] = ((0, 0),)


RNG = np.random.default_rng(12)


def _n(*shape: int) -> np.ndarray:
    """Normally distributed numbers."""
    return RNG.standard_normal(shape)


def _p(*shape: int) -> np.ndarray:
    """Positive numbers."""
    return RNG.uniform(0.2, 2, shape)


def _i(high: int, *shape: int) -> np.ndarray:
    return RNG.integers(0, high, shape).astype("int32")


def _b(*shape: int) -> np.ndarray:
    return RNG.random(shape) < 0.5


def _c(*shape: int) -> np.ndarray:
    """Distributions over the last axis."""
    return np.asarray(special.softmax(RNG.standard_normal(shape), -1))


def _t(expected: Callable[..., Any], *inputs: np.ndarray, **kwargs: Any) -> Truth:
    return Truth(expected, inputs, kwargs)


def _steps(expected: Callable[..., Any], *inputs: np.ndarray, **kwargs: Any) -> Truth:
    """A function of steps: its gradient is 0, or there is none."""
    return Truth(expected, inputs, kwargs, smooth=False)


X = _n(3, 4, 5)
_FIRST = {"data_format": "channels_first"}


def _leaky(x: np.ndarray, alpha: float, top: float, threshold: float) -> np.ndarray:
    return np.where(x > threshold, np.minimum(x, top), alpha * (x - threshold))


def _batch(x: np.ndarray, mean: np.ndarray, var: np.ndarray, beta: np.ndarray, gamma: np.ndarray) -> Any:
    return (x - mean) / np.sqrt(var + 1e-3) * gamma + beta


def _normed(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, ...]:
    mean, var = x.mean((0, 2)), x.var((0, 2))
    m, v, g, b = (p[:, None] for p in (mean, var, gamma, beta))
    return (x - m) / np.sqrt(v + 1e-3) * g + b, mean, var


def _reduced(name: str, function: Callable[..., Any], x: np.ndarray = X, smooth: bool = True) -> list[Truth]:
    """Over all axes, one, several, with and without keeping them."""
    arguments: list[dict[str, Any]] = [
        {}, {"axis": 1}, {"axis": -1, "keepdims": True}, {"axis": [0, 2]}, {"axis": None, "keepdims": True},
    ]  # fmt: skip

    def truth(kwargs: dict[str, Any]) -> Truth:
        given = {k: tuple(v) if isinstance(v, list) else v for k, v in kwargs.items()}
        return Truth(partial(function, **given), (x,), kwargs, smooth, free=((0, 0), (0, 2)))

    return [truth(kwargs) for kwargs in arguments]


def _compared(function: Callable[..., Any]) -> list[Truth]:
    whole = _i(3, 4, 5).astype("float64")
    return [_steps(function, whole, _i(3, 5).astype("float64")), _steps(function, _i(3, 6), _i(3, 6))]


def _bilinear(x: np.ndarray) -> np.ndarray:
    """Twice the rows, three times the columns; the last ones repeat (TensorFlow 1's places)."""
    for axis, factor in ((1, 2), (2, 3)):
        at = np.arange(x.shape[axis] * factor) / factor
        low = np.floor(at).astype(int)
        part = (at - low).reshape([-1 if a == axis else 1 for a in range(4)])
        high = np.minimum(low + 1, x.shape[axis] - 1)
        x = np.take(x, low, axis) * (1 - part) + np.take(x, high, axis) * part
    return x


def _logloss(t: np.ndarray, p: np.ndarray) -> np.ndarray:
    return -(t * np.log(p / p.sum(-1, keepdims=True))).sum(-1)


def _picked(labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
    logs = special.log_softmax(logits, -1)
    return -np.take_along_axis(logs, labels[..., None], -1)[..., 0]


def _in_top(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    own = np.take_along_axis(scores, labels[:, None], 1)
    return (scores > own).sum(1) < 2


ELEMENTWISE: dict[str, list[Truth]] = {
    "abs": [_t(np.abs, X), _steps(np.abs, _i(9, 4) - 4)],
    "square": [_t(np.square, X)],
    "sqrt": [_t(np.sqrt, _p(3, 4)), _steps(lambda x: np.sqrt(np.maximum(x, 0)), X)],
    "exp": [_t(np.exp, X)],
    "log": [_t(np.log, _p(3, 4))],
    "round": [_steps(np.round, np.array([0.5, 1.5, -0.5, -2.5, 2.4, 7.0])), _steps(np.round, 4 * X)],
    "sign": [_steps(np.sign, np.array([-2.0, 0.0, 3.0]))],
    "sin": [_t(np.sin, 3 * X)],
    "cos": [_t(np.cos, 3 * X)],
    "tanh": [_t(np.tanh, X)],
    "sigmoid": [_t(special.expit, 3 * X)],
    "hard_sigmoid": [_t(lambda x: np.clip(0.2 * x + 0.5, 0, 1), 3 * X)],
    "softplus": [_t(lambda x: np.logaddexp(0, x), 3 * X)],
    "softsign": [_t(lambda x: x / (1 + np.abs(x)), X)],
    "elu": [
        _t(lambda x: np.where(x > 0, x, np.expm1(x)), X),
        _t(lambda x: np.where(x > 0, x, 0.3 * np.expm1(x)), X, alpha=0.3),
    ],
    "relu": [
        _t(lambda x: np.maximum(x, 0), X),
        _t(lambda x: _leaky(x, 0.1, 1.2, 0.4), X, alpha=0.1, max_value=1.2, threshold=0.4),
    ],
    "softmax": [
        _t(lambda x: special.softmax(x, -1), X),
        _t(lambda x: special.softmax(x, 1), X, axis=1),
    ],
    "identity": [_t(lambda x: x, X)],
    "clip": [_t(lambda x: np.clip(x, -0.5, 0.7), X, min_value=-0.5, max_value=0.7)],
    "pow": [
        _t(lambda x: x**3, X, a=3), _t(lambda x: x**-0.5, _p(4), a=-0.5), _t(np.power, _p(3, 4), _n(4)),
    ],
    "maximum": [_t(np.maximum, X, _n(4, 1))],
    "minimum": [_t(np.minimum, X, _n(4, 1))],
    "equal": _compared(np.equal),
    "not_equal": _compared(np.not_equal),
    "greater": _compared(np.greater),
    "greater_equal": _compared(np.greater_equal),
    "less": _compared(np.less),
    "less_equal": _compared(np.less_equal),
    "cast": [_steps(lambda x: x.astype("int32"), 4 * X, dtype="int32")],
    "switch": [
        _t(lambda c, a, b: np.where(c, a, b), _b(3, 4), _n(3, 4), _n(3, 4)),
        _t(lambda c, a, b: np.where(c[:, None], a, b), _b(3), _n(3, 4), _n(3, 4)),
    ],
    "ones_like": [_steps(np.ones_like, X)],
    "zeros_like": [_steps(np.zeros_like, X)],
}  # fmt: skip

REDUCTIONS: dict[str, list[Truth]] = {
    "sum": _reduced("sum", np.sum),
    "prod": _reduced("prod", np.prod),
    "max": _reduced("max", np.max),
    "min": _reduced("min", np.min),
    "mean": _reduced("mean", np.mean),
    "var": _reduced("var", np.var),
    "std": _reduced("std", np.std),
    "logsumexp": _reduced("logsumexp", special.logsumexp),
    "any": _reduced("any", np.any, _b(3, 4, 5), smooth=False),
    "all": _reduced("all", np.all, RNG.random((3, 4, 5)) < 0.9, smooth=False),
    "argmax": [
        _steps(lambda x: x.argmax(-1), X), _steps(lambda x: x.argmax(0), _i(2, 4, 3), axis=0),
    ],
    "argmin": [
        _steps(lambda x: x.argmin(-1), X), _steps(lambda x: x.argmin(1), _i(2, 4, 3), axis=1),
    ],
    "cumsum": [_t(lambda x: x.cumsum(0), X), _t(lambda x: x.cumsum(-1), X, axis=-1)],
    "cumprod": [_t(lambda x: x.cumprod(0), X), _t(lambda x: x.cumprod(1), X, axis=1)],
    "dot": [
        _t(np.dot, _n(3, 4), _n(4, 5)), _t(np.dot, X, _n(5, 2)), _t(np.dot, X, _n(2, 5, 3)),
    ],
    "batch_dot": [
        _t(np.matmul, X, _n(3, 5, 2)),
        _t(lambda a, b: np.einsum("nij,nik->njk", a, b), X, _n(3, 4, 2), axes=1),
        _t(lambda a, b: np.einsum("ni,ni->n", a, b)[:, None], _n(3, 4), _n(3, 4), axes=1),
        _t(lambda a, b: np.einsum("nij,nki->njk", a, b), X, _n(3, 6, 4), axes=(1, 2)),
    ],
    "l2_normalize": [
        _t(lambda x: x / np.linalg.norm(x, axis=1, keepdims=True), X, axis=1),
        _t(lambda x: x / np.linalg.norm(x), X),
    ],
    "in_top_k": [_steps(_in_top, _n(6, 4), _i(4, 6), k=2)],
    "batch_normalization": [
        _t(_batch, X, _n(5), _p(5), _n(5), _p(5)),
        _t(lambda x, *p: _batch(x, *(v[:, None] for v in p)), X, _n(4), _p(4), _n(4), _p(4), axis=1),
    ],
    "normalize_batch_in_training": [_t(_normed, X, _n(4), _n(4), reduction_axes=[0, 2])],
    "categorical_crossentropy": [
        _t(lambda t, z: -(t * special.log_softmax(z, -1)).sum(-1), _c(3, 4), _n(3, 4), from_logits=True),
        _t(_logloss, _c(3, 2, 4), _c(3, 2, 4)),
    ],
    "sparse_categorical_crossentropy": [
        _t(_picked, _i(4, 3, 2), _n(3, 2, 4), from_logits=True),
        _t(lambda t, p: _picked(t, np.log(p)), _i(4, 3), _c(3, 4)),
    ],
    "binary_crossentropy": [
        _t(lambda t, z: np.logaddexp(0, z) - t * z, RNG.random((3, 4)), _n(3, 4), from_logits=True),
        _t(
            lambda t, p: -t * np.log(p) - (1 - t) * np.log(1 - p),
            RNG.random((3, 4)),
            RNG.uniform(0.1, 0.9, (3, 4)),
        ),
    ],
}  # fmt: skip

MOVEMENT: dict[str, list[Truth]] = {
    "transpose": [_t(np.transpose, X)],
    "permute_dimensions": [_t(lambda x: x.transpose(1, 2, 0), X, pattern=(1, 2, 0))],
    "gather": [_t(lambda x, i: x[i], _n(6, 3), _i(6, 2, 4)), _t(lambda x, i: x[i], _n(6), _i(6, 9))],
    "concatenate": [
        Truth(lambda *xs: np.concatenate(xs, 1), (X, _n(3, 2, 5)), {"axis": 1}, packed=True, free=((0, 2),)),
        Truth(lambda *xs: np.concatenate(xs, -1), (X, X, _n(3, 4, 1)), packed=True),
    ],
    "stack": [Truth(lambda *xs: np.stack(xs, 1), (X, _n(3, 4, 5)), {"axis": 1}, packed=True)],
    "reshape": [_t(lambda x: x.reshape(-1, 2, 10), X, shape=(-1, 2, 10))],
    "flatten": [_t(np.ravel, X)],
    "batch_flatten": [_t(lambda x: x.reshape(len(x), 20), X)],
    "expand_dims": [
        _t(lambda x: x[..., None], X), _t(lambda x: x[:, None], X, axis=1),
    ],
    "squeeze": [_t(lambda x: x[:, 0], _n(3, 1, 4), axis=1)],
    "repeat": [_t(lambda x: np.repeat(x[:, None], 3, 1), _n(4, 5), n=3)],
    "repeat_elements": [_t(lambda x: np.repeat(x, 3, 1), X, rep=3, axis=1)],
    "tile": [_t(lambda x: np.tile(x, (2, 1, 3)), X, n=(2, 1, 3))],
    "reverse": [_t(lambda x: x[::-1, :, ::-1], X, axes=[0, 2])],
    "slice": [_t(lambda x: x[:, 1:3, 2:], X, start=(0, 1, 2), size=(-1, 2, -1))],
    "one_hot": [_steps(lambda i: np.eye(4)[i], _i(4, 3, 2), num_classes=4)],
    "shape": [_steps(lambda x: np.array(x.shape, "int64"), X)],
    "arange": [_steps(lambda: np.arange(2, 11, 3, "int32"), start=2, stop=11, step=3)],
    "ones": [_steps(lambda: np.ones((2, 3)), shape=(2, 3))],
    "zeros": [_steps(lambda: np.zeros((2, 3)), shape=(2, 3))],
    "eye": [_steps(lambda: np.eye(3), size=3)],
    "constant": [_steps(lambda: np.full((2, 2), 1.5), value=1.5, shape=(2, 2))],
    "temporal_padding": [_t(lambda x: np.pad(x, [(0, 0), (2, 1), (0, 0)]), X, padding=(2, 1))],
    "spatial_2d_padding": [
        _t(lambda x: np.pad(x, [(0, 0), (1, 0), (2, 3), (0, 0)]), _n(2, 3, 4, 2), padding=((1, 0), (2, 3))),
        _t(lambda x: np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)]), _n(2, 3, 4, 2), **_FIRST),
    ],
    "spatial_3d_padding": [
        _t(
            lambda x: np.pad(x, [(0, 0), (1, 0), (2, 3), (0, 1), (0, 0)]),
            _n(2, 2, 3, 2, 2),
            padding=((1, 0), (2, 3), (0, 1)),
        ),
    ],
    "resize_images": [
        _t(
            lambda x: x.repeat(2, 2).repeat(3, 3), _n(2, 3, 4, 2),
            height_factor=2, width_factor=3, data_format="channels_first",
        ),
        _t(
            _bilinear, _n(2, 3, 4, 2),
            height_factor=2, width_factor=3, data_format="channels_last", interpolation="bilinear",
        ),
    ],
    "resize_volumes": [
        _t(
            lambda x: x.repeat(2, 1).repeat(3, 3), _n(2, 2, 3, 2, 2),
            depth_factor=2, height_factor=1, width_factor=3, data_format="channels_last",
        ),
    ],
}  # fmt: skip

_WAYS: list[tuple[int, str, int]] = [(1, "valid", 1), (2, "same", 1), (1, "same", 2), (2, "valid", 1)]


def _convolutions(rank: int, count: int = 4) -> list[Truth]:
    x, kernel = _n(2, *(7, 6, 5)[:rank], 2), _n(*(3, 2, 2)[:rank], 2, 3)
    found = []
    for stride, padding, dilation in _WAYS[:count]:
        ones = [stride] * rank, padding, [dilation] * rank
        steps = {
            "strides": stride if rank == 1 else ones[0],
            "padding": padding,
            "dilation_rate": dilation if rank == 1 else ones[2],
        }
        rule = partial(_convolved, ones)
        free = ((0, 0), (0, 1)) if padding == "valid" else ((0, 0),)
        found.append(Truth(rule, (x, kernel), steps, free=free))
        turned = np.moveaxis(x, -1, 1)
        found.append(Truth(win.first(rule), (turned, kernel), {**steps, **_FIRST}))
    return found


def _convolved(steps: Any, x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return win.convolved(x, kernel, *steps)


def _causal(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return win.convolved(np.pad(x, [(0, 0), (4, 0), (0, 0)]), kernel, [1], "valid", [2])


def _transposed(rank: int) -> list[Truth]:
    """From the size that the convolution of (6, 5, 4) leads to."""
    shape, kernel = (2, *(6, 5, 4)[:rank], 2), _n(*(3, 2, 2)[:rank], 2, 3)
    found = []
    for stride, padding, _ in _WAYS[:2]:
        steps = [stride] * rank, padding, [1] * rank
        y = _n(*win.convolved(np.zeros(shape), kernel, *steps).shape)
        rule = partial(_transposed_by, shape, steps)
        kwargs = {"output_shape": (None, *shape[1:]), "strides": steps[0], "padding": padding}
        found.append(Truth(rule, (y, kernel), kwargs))
    return found


def _transposed_by(shape: Any, steps: Any, y: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return win.transposed(y, kernel, (len(y), *shape[1:]), *steps)


def _pools(rank: int) -> list[Truth]:
    x, size, strides = _n(2, *(7, 6, 5)[:rank], 2), [3, 2, 2][:rank], [2, 1, 2][:rank]
    return [
        Truth(
            lambda x, p=padding, m=mode: win.pooled(x, size, strides, p, m),  # type: ignore[misc]
            (x,),
            {"pool_size": size, "strides": strides, "padding": padding, "pool_mode": mode},
        )
        for padding in ("valid", "same")
        for mode in ("max", "avg")
    ]


def _depthwise(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    rank = x.ndim - 2
    return win.convolved(x, win.spread(kernel), [2] * rank, "same", [1] * rank)


def _separable(x: np.ndarray, kernel: np.ndarray, mixing: np.ndarray) -> np.ndarray:
    return _depthwise(x, kernel) @ mixing.reshape(mixing.shape[-2:])


WINDOWS: dict[str, list[Truth]] = {
    "conv1d": [*_convolutions(1), _t(_causal, _n(2, 7, 2), _n(3, 2, 3), padding="causal", dilation_rate=2)],
    "conv2d": _convolutions(2),
    "conv3d": _convolutions(3, count=3),
    "conv2d_transpose": _transposed(2),
    "conv3d_transpose": _transposed(3),
    "depthwise_conv2d": [_t(_depthwise, _n(2, 5, 6, 2), _n(3, 3, 2, 2), strides=(2, 2), padding="same")],
    "separable_conv1d": [
        _t(_separable, _n(2, 7, 2), _n(3, 2, 2), _n(1, 4, 3), strides=2, padding="same"),
    ],
    "separable_conv2d": [
        _t(_separable, _n(2, 5, 6, 2), _n(3, 3, 2, 2), _n(1, 1, 4, 3), strides=(2, 2), padding="same"),
    ],
    "pool2d": _pools(2),
    "pool3d": _pools(3),
    "bias_add": [
        _t(np.add, _n(2, 3, 4, 5), _n(5)),
        _t(lambda x, b: x + b[:, None, None], _n(2, 3, 4, 5), _n(3), **_FIRST),
        _t(np.add, _n(2, 3, 4), _n(3, 4)),
    ],
    "local_conv1d": [
        _t(
            lambda x, w: win.local(x, w, [3], [2]), _n(2, 7, 2), _n(3, 6, 4),
            kernel_size=(3,), strides=(2,),
        ),
    ],
    "local_conv2d": [
        _t(
            lambda x, w: win.local(x, w, [3, 2], [2, 1]), _n(2, 5, 4, 2), _n(6, 12, 4),
            kernel_size=(3, 2), strides=(2, 1), output_shape=(2, 3),
        ),
    ],
}  # fmt: skip

TRUTHS: dict[str, list[Truth]] = {**ELEMENTWISE, **REDUCTIONS, **MOVEMENT, **WINDOWS}
