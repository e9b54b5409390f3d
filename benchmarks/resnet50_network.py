"""ResNet50 as keras.applications builds it, told without any engine's words, with weights of random numbers.

The network calls a `Builder` layer by layer. Each engine's builder draws the weights of a layer from a
`Weights` of its own as it is called, so that all engines get the same.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

SIDE, CLASSES = 224, 1000
EPSILON = 1.001e-5
# Blocks, channels in them and behind them, stride of the first one.
_STAGES = ((3, 64, 256, 1), (4, 128, 512, 2), (6, 256, 1024, 2), (3, 512, 2048, 2))


class Builder(Protocol):
    """What an engine makes layers with; `x` is what it made before."""

    def conv(self, x: Any, filters: int, size: int, stride: int = 1) -> Any:
        """Convolution with bias; (size - 1) / 2 zeros around the picture."""

    def norm(self, x: Any, scale: float = 1.0) -> Any:
        """Batch normalization with running statistics; gammas lie around `scale`."""

    def relu(self, x: Any) -> Any:
        """max(x, 0)."""

    def pool(self, x: Any) -> Any:
        """The largest of windows 3 by 3, two apart, with one zero around the picture."""

    def add(self, x: Any, y: Any) -> Any:
        """x + y."""

    def mean(self, x: Any) -> Any:
        """Over all pixels."""

    def dense(self, x: Any, units: int) -> Any:
        """Matrix product, bias, softmax."""


class Weights:
    """The same numbers for every engine, layer after layer."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    def _normal(self, *shape: int, scale: float) -> np.ndarray:
        return self._rng.standard_normal(shape, dtype=np.float32) * np.float32(scale)

    def conv(self, size: int, channels: int, filters: int) -> tuple[np.ndarray, np.ndarray]:
        """Kernel [size, size, channels, filters] and bias [filters]."""
        scale = (2 / (size * size * channels)) ** 0.5
        return self._normal(size, size, channels, filters, scale=scale), self._normal(filters, scale=0.1)

    def norm(self, channels: int, scale: float) -> tuple[np.ndarray, ...]:
        """Gamma, beta, mean and variance, each [channels]."""
        gamma, beta, mean = (self._normal(channels, scale=0.1) for _ in range(3))
        variance = self._rng.uniform(0.8, 1.2, channels).astype(np.float32)
        return np.float32(scale) * (1 + gamma), beta, mean, variance

    def dense(self, inputs: int, units: int) -> tuple[np.ndarray, np.ndarray]:
        """Kernel [inputs, units] and bias [units]."""
        return self._normal(inputs, units, scale=inputs**-0.5), self._normal(units, scale=0.1)


def pictures(batch: int) -> np.ndarray:
    """Random input [batch, 224, 224, 3]."""
    return np.random.default_rng(1).standard_normal((batch, SIDE, SIDE, 3), dtype=np.float32)


def resnet50(build: Builder, x: Any) -> Any:
    """The whole network; `x` is the input."""
    x = build.pool(build.relu(build.norm(build.conv(x, 64, 7, 2))))
    for blocks, inner, outer, stride in _STAGES:
        for number in range(blocks):
            x = _block(build, x, inner, outer, stride if number == 0 else 1, number == 0)
    return build.dense(build.mean(x), CLASSES)


def _block(build: Builder, x: Any, inner: int, outer: int, stride: int, widened: bool) -> Any:
    """Three convolutions beside a way past them, which has one too where channels become more."""
    past = build.norm(build.conv(x, outer, 1, stride), 0.5) if widened else x
    x = build.relu(build.norm(build.conv(x, inner, 1, stride)))
    x = build.relu(build.norm(build.conv(x, inner, 3)))
    return build.relu(build.add(past, build.norm(build.conv(x, outer, 1), 0.5)))
