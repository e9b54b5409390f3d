"""Problems on pictures [N, H, W, C]: convolution, its gradients, depthwise convolution, pooling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from symgraph.kernels.bench.problem import (
    Problem,
    Shape,
    changed,
    checked_dtype,
    checked_padding,
    checked_pair,
    checked_shape,
    random,
)
from symgraph.kernels.conv import conv2d_input_gradient_rows, conv2d_rows
from symgraph.kernels.conv_parts.geometry import Padding, Pair, output_shape
from symgraph.kernels.conv_parts.gradient import conv2d_weight_gradient_rows
from symgraph.kernels.pool import (
    average_pool2d_gradient_rows,
    average_pool2d_rows,
    index_dtype,
    max_pool2d_gradient_rows,
    max_pool2d_rows,
)
from symgraph.kernels.pool import max_pool2d as pooled
from symgraph.kernels.run.buffer import Buffer
from symgraph.kernels.run.machine import Row

Operands = dict[str, np.ndarray]
_PICTURES = "samples, height, width, channels"
_WEIGHTS = "height, width, channels / groups, filters"
_DEFAULTS = {"strides": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1}


def _taps(size: int, window: int, stride: int, before: int, dilation: int, outputs: int) -> int:
    """How many taps of all windows along one axis fall on the picture."""
    places = np.arange(outputs)[:, None] * stride - before + np.arange(window) * dilation
    return int(((places >= 0) & (places < size)).sum())


@dataclass(frozen=True)
class _Convolution:
    """A convolution's shapes, checked: of x, w and out, and the geometry between them."""

    x: tuple[int, ...]
    w: tuple[int, ...]
    out: tuple[int, ...]
    strides: Pair
    padding: Padding
    dilation: Pair
    groups: int
    dtype: np.dtype

    @classmethod
    def of(
        cls, x: Shape, w: Shape, strides: Pair, padding: object, dilation: Pair, groups: int, dtype: str
    ) -> _Convolution:
        x, w = checked_shape("x", x, _PICTURES), checked_shape("w", w, _WEIGHTS)
        strides, dilation = checked_pair("strides", strides), checked_pair("dilation", dilation)
        if not isinstance(groups, int) or groups < 1 or x[3] % groups:
            raise ValueError(f"groups: expected a divisor of the {x[3]} channels of x, got {groups!r}")
        if w[2] * groups != x[3] or w[3] % groups:
            raise ValueError(
                f"w: expected {x[3] // groups} channels and a multiple of {groups} filters for x of "
                f"{x[3]} channels in {groups} groups, got {w}"
            )
        window = (w[0], w[1])
        edges = checked_padding(padding, (x[1], x[2]), window, strides, dilation)
        size = output_shape((x[1], x[2]), window, strides, edges, dilation)
        if 0 in size:
            raise ValueError(f"w: expected a window that fits into x {x} with padding {edges}, got {w}")
        return cls(x, w, (x[0], *size, w[3]), strides, edges, dilation, groups, checked_dtype(dtype))

    @property
    def options(self) -> dict[str, Any]:
        """What planning functions take."""
        return {
            "strides": self.strides,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
        }

    @property
    def flops(self) -> int:
        """A multiply and an add for every tap that falls on a pixel."""
        sizes = (self.x[1:3], self.w[:2], self.strides, self.padding, self.dilation, self.out[1:3])
        taps = math.prod(_taps(n, k, s, p[0], d, m) for n, k, s, p, d, m in zip(*sizes, strict=True))
        return 2 * self.x[0] * taps * self.w[2] * self.w[3]

    def problem(self, kernel: str, plan: Any, names: Sequence[str]) -> Problem:
        """The inputs and the one output are called `names`."""
        shapes = {"x": self.x, "w": self.w, "grad": self.out, "out": self.out}
        shapes |= {"input_gradient": self.x, "weight_gradient": self.w}
        *inputs, output = names
        return Problem(
            kernel,
            {name: random(shapes[name], self.dtype, seed) for seed, name in enumerate(inputs)},
            {output: np.zeros(shapes[output], self.dtype)},
            partial(plan, **self.options),
            self.flops,
            changed(self.options, _DEFAULTS),
            algorithms=self.groups == 1,
            blocks=self.groups == 1 or self.w[2] > 1,
        )


def conv2d(
    x: Shape,
    w: Shape,
    *,
    strides: Pair = (1, 1),
    padding: object = "valid",
    dilation: Pair = (1, 1),
    groups: int = 1,
    dtype: str = "float32",
) -> Problem:
    """A convolution: ``out = cross_correlation(x, w)``.

    Parameters
    ----------
    x : (N, H, W, C)
    w : (kh, kw, C / groups, F)
    padding : {'valid', 'same'} or ((top, bottom), (left, right))
    dtype : {'float32', 'float64'}
    """
    made = _Convolution.of(x, w, strides, padding, dilation, groups, dtype)
    return made.problem("conv2d", conv2d_rows, ("x", "w", "out"))


def conv2d_input_gradient(
    x: Shape,
    w: Shape,
    *,
    strides: Pair = (1, 1),
    padding: object = "valid",
    dilation: Pair = (1, 1),
    groups: int = 1,
    dtype: str = "float32",
) -> Problem:
    """The gradient of `conv2d`, whose arguments these are, with respect to x: from grad (N, OH, OW, F)."""
    made = _Convolution.of(x, w, strides, padding, dilation, groups, dtype)
    names = ("grad", "w", "input_gradient")
    return made.problem("conv2d_input_gradient", conv2d_input_gradient_rows, names)


def conv2d_weight_gradient(
    x: Shape,
    w: Shape,
    *,
    strides: Pair = (1, 1),
    padding: object = "valid",
    dilation: Pair = (1, 1),
    groups: int = 1,
    dtype: str = "float32",
) -> Problem:
    """The gradient of `conv2d`, whose arguments these are, with respect to w: from grad (N, OH, OW, F)."""
    made = _Convolution.of(x, w, strides, padding, dilation, groups, dtype)
    names = ("x", "grad", "weight_gradient")
    return made.problem("conv2d_weight_gradient", conv2d_weight_gradient_rows, names)


def depthwise_conv2d(
    x: Shape,
    w: Shape,
    *,
    strides: Pair = (1, 1),
    padding: object = "valid",
    dilation: Pair = (1, 1),
    dtype: str = "float32",
) -> Problem:
    """A convolution of each channel apart.

    Parameters
    ----------
    x : (N, H, W, C)
    w : (kh, kw, 1, F)
        F is a multiple of C: F / C filters for each channel.
    padding, dtype
        As in `conv2d`.
    """
    groups = checked_shape("x", x, _PICTURES)[3]
    made = _Convolution.of(x, w, strides, padding, dilation, groups, dtype)
    found = made.problem("depthwise_conv2d", conv2d_rows, ("x", "w", "out"))
    settings = {name: value for name, value in found.settings.items() if name != "groups"}
    return Problem(found.kernel, found.inputs, found.outputs, found.plan, found.flops, settings)


@dataclass(frozen=True)
class _Pooling:
    """A pooling's shapes, checked."""

    x: tuple[int, ...]
    out: tuple[int, ...]
    pool: Pair
    strides: Pair
    padding: Padding
    dtype: np.dtype

    @classmethod
    def of(cls, x: Shape, pool: Pair, strides: Pair | None, padding: object, dtype: str) -> _Pooling:
        x, pool = checked_shape("x", x, _PICTURES), checked_pair("pool", pool)
        strides = pool if strides is None else checked_pair("strides", strides)
        edges = checked_padding(padding, (x[1], x[2]), pool, strides, (1, 1))
        size = output_shape((x[1], x[2]), pool, strides, edges)
        if 0 in size:
            raise ValueError(f"pool: expected windows that fit into x {x} with padding {edges}, got {pool}")
        for n, k, s, p, m in zip(x[1:3], pool, strides, edges, size, strict=True):
            if p[0] >= k or (m - 1) * s - p[0] >= n:
                raise ValueError(f"padding: expected windows {pool} with a pixel each, got {edges}")
        return cls(x, (x[0], *size, x[3]), pool, strides, edges, checked_dtype(dtype))

    @property
    def options(self) -> dict[str, Any]:
        """What planning functions take."""
        return {"pool": self.pool, "strides": self.strides, "padding": self.padding}

    @property
    def cells(self) -> int:
        """Pixels in all windows, for all samples and channels."""
        axes = zip(self.x[1:3], self.pool, self.strides, self.padding, self.out[1:3], strict=True)
        taps = math.prod(_taps(n, k, s, p[0], 1, m) for n, k, s, p, m in axes)
        return self.x[0] * self.x[3] * taps

    @property
    def windows(self) -> int:
        """Results of the pooling."""
        return math.prod(self.out)

    def problem(
        self,
        kernel: str,
        inputs: dict[str, np.ndarray],
        outputs: dict[str, np.ndarray],
        plan: Any,
        flops: int,
    ) -> Problem:
        """With the settings that all four share."""
        defaults: dict[str, object] = {"pool": None, "strides": self.pool, "padding": _DEFAULTS["padding"]}
        settings = changed(self.options, defaults)
        return Problem(kernel, inputs, outputs, partial(plan, **self.options), flops, settings)


def max_pool2d(
    x: Shape,
    pool: Pair,
    *,
    strides: Pair | None = None,
    padding: object = "valid",
    places: bool = False,
    dtype: str = "float32",
) -> Problem:
    """The largest of each window.

    Parameters
    ----------
    x : (N, H, W, C)
    pool : (height, width)
        Of the windows.
    strides : (int, int), optional
        Those of the windows' size if not given.
    padding : {'valid', 'same'} or ((top, bottom), (left, right))
        Pixels that never win.
    places : bool
        Store which pixel won too, as training does.
    dtype : {'float32', 'float64'}
    """
    made = _Pooling.of(x, pool, strides, padding, dtype)
    outputs = {"out": np.zeros(made.out, made.dtype)}
    if places:
        outputs["places"] = np.zeros(made.out, index_dtype(made.pool))
    inputs = {"x": random(made.x, made.dtype)}
    return made.problem("max_pool2d", inputs, outputs, _max_pool_rows, made.cells - made.windows)


def _max_pool_rows(x: Buffer, out: Buffer, places: Buffer | None = None, **options: Any) -> list[Row]:
    return max_pool2d_rows(x, out, places, **options)


def max_pool2d_gradient(
    x: Shape, pool: Pair, *, strides: Pair | None = None, padding: object = "valid", dtype: str = "float32"
) -> Problem:
    """The gradient of `max_pool2d`, whose arguments these are: from grad (N, OH, OW, C) and the places."""
    made = _Pooling.of(x, pool, strides, padding, dtype)
    _, places = pooled(random(made.x, made.dtype), made.pool, made.strides, made.padding)
    inputs = {"places": places, "grad": random(made.out, made.dtype, 1)}
    outputs = {"input_gradient": np.zeros(made.x, made.dtype)}
    return made.problem("max_pool2d_gradient", inputs, outputs, _max_pool_gradient_rows, made.windows)


def _max_pool_gradient_rows(places: Buffer, grad: Buffer, out: Buffer, **options: Any) -> list[Row]:
    return max_pool2d_gradient_rows(grad, places, out, **options)


def average_pool2d(
    x: Shape, pool: Pair, *, strides: Pair | None = None, padding: object = "valid", dtype: str = "float32"
) -> Problem:
    """The mean of each window's pixels; arguments as in `max_pool2d`."""
    made = _Pooling.of(x, pool, strides, padding, dtype)
    inputs, outputs = {"x": random(made.x, made.dtype)}, {"out": np.zeros(made.out, made.dtype)}
    return made.problem("average_pool2d", inputs, outputs, average_pool2d_rows, made.cells)


def average_pool2d_gradient(
    x: Shape, pool: Pair, *, strides: Pair | None = None, padding: object = "valid", dtype: str = "float32"
) -> Problem:
    """The gradient of `average_pool2d`, whose arguments these are: from grad (N, OH, OW, C)."""
    made = _Pooling.of(x, pool, strides, padding, dtype)
    inputs = {"grad": random(made.out, made.dtype)}
    outputs = {"input_gradient": np.zeros(made.x, made.dtype)}
    flops = made.windows + made.cells
    return made.problem("average_pool2d_gradient", inputs, outputs, average_pool2d_gradient_rows, flops)
