"""Layers that add noise while training."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from symgraph import backend as K
from symgraph.engine.base_layer import Layer  # noqa: F401 - scripts import it from here
from symgraph.graph.tensor import Tensor
from symgraph.layers import legacy
from symgraph.layers.arguments import ConfiguredLayer, number

# Of SELU (Klambauer et al., arXiv:1706.02515): what dropped values are set to is -alpha · scale.
_ALPHA = 1.6732632423543772848170429916717
_SCALE = 1.0507009873554804934193349852946


class GaussianNoise(ConfiguredLayer):
    """Adds normal noise of mean 0.

    Parameters
    ----------
    stddev : float
    """

    config_names: ClassVar[tuple[str, ...]] = ("stddev",)

    @legacy.gaussian_noise
    def __init__(self, stddev: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.stddev = number(stddev, "stddev")

    def call(self, inputs: Tensor, training: Any = None) -> Tensor:
        """Add noise in the training phase only."""
        return K.in_train_phase(
            lambda: inputs + K.random_normal(inputs.shape, 0.0, self.stddev, dtype=inputs.dtype),
            inputs,
            training=training,
        )


class GaussianDropout(ConfiguredLayer):
    """Multiplies by normal noise of mean 1 and deviation sqrt(rate / (1 - rate)) (Srivastava et al. 2014).

    Parameters
    ----------
    rate : float
        As of `Dropout`.
    """

    config_names: ClassVar[tuple[str, ...]] = ("rate",)

    @legacy.rate_only
    def __init__(self, rate: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.rate = number(rate, "rate")

    def call(self, inputs: Tensor, training: Any = None) -> Tensor:
        """Multiply in the training phase only."""
        if not 0.0 < self.rate < 1.0:
            return inputs
        stddev = math.sqrt(self.rate / (1.0 - self.rate))
        return K.in_train_phase(
            lambda: inputs * K.random_normal(inputs.shape, 1.0, stddev, dtype=inputs.dtype),
            inputs,
            training=training,
        )


class AlphaDropout(ConfiguredLayer):
    """Dropout that keeps mean and variance of self-normalising networks (Klambauer et al., arXiv:1706.02515).

    Parameters
    ----------
    rate : float
    noise_shape : sequence of int or None, optional
        The shape of the choice, which is broadcast.
    seed : int, optional
    """

    # Keras writes the rate alone; files of it load, and a copy keeps what was asked for.
    config_names: ClassVar[tuple[str, ...]] = ("rate", "noise_shape", "seed")

    def __init__(self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = number(rate, "rate")
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)
        self.seed = seed
        self.supports_masking = True

    def call(self, inputs: Tensor, training: Any = None) -> Tensor:
        """Drop in the training phase only."""
        if not 0.0 < self.rate < 1.0:
            return inputs
        return K.in_train_phase(lambda: self._dropped(inputs), inputs, training=training)

    def _dropped(self, inputs: Tensor) -> Tensor:
        given = self.noise_shape or (None,) * inputs.ndim
        if len(given) != inputs.ndim:
            raise ValueError(
                f"layer {self.name}: expected a noise_shape of {inputs.ndim} sizes, got {self.noise_shape}"
            )
        sizes = [size if asked is None else asked for asked, size in zip(given, inputs.shape, strict=True)]
        dropped_value = -_ALPHA * _SCALE
        kept = K.cast(K.random_uniform(sizes, dtype=inputs.dtype, seed=self.seed) >= self.rate, inputs.dtype)
        factor = ((1 - self.rate) * (1 + self.rate * dropped_value**2)) ** -0.5
        shift = -factor * dropped_value * self.rate
        return factor * (inputs * kept + dropped_value * (1 - kept)) + shift
