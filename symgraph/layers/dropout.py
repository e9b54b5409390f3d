"""Dropout of single values and of whole feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from symgraph import backend as K
from symgraph.engine.layer.spec import InputSpec
from symgraph.graph.tensor import Tensor
from symgraph.layers import legacy
from symgraph.layers.arguments import ConfiguredLayer, number


class Dropout(ConfiguredLayer):
    """Sets a share of the values to zero while training, and scales up the others (Srivastava et al. 2014).

    Parameters
    ----------
    rate : float
        The share, held between 0 and 1. At 0, and at 1 as in Keras, nothing is dropped.
    noise_shape : sequence of int or None, optional
        The shape of the choice, which is broadcast; None takes the input's size.
    seed : int, optional
        Default: drawn from numpy's generator.
    """

    config_names: ClassVar[tuple[str, ...]] = ("rate", "noise_shape", "seed")

    @legacy.dropout
    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rate = min(1.0, max(0.0, number(rate, "rate")))
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)
        self.seed = seed
        self.supports_masking = True

    def _get_noise_shape(self, inputs: Tensor) -> Any:
        return self.noise_shape

    def call(self, inputs: Tensor, training: Any = None) -> Tensor:
        """Drop in the training phase only."""
        if not 0.0 < self.rate < 1.0:
            return inputs
        return K.in_train_phase(
            lambda: K.dropout(inputs, self.rate, self._get_noise_shape(inputs), seed=self.seed),
            inputs,
            training=training,
        )


class _SpatialDropout(Dropout):
    """Dropout of whole feature maps (Tompson et al. 2014, arXiv:1411.4280)."""

    def __init__(self, rate: float, axes: int, data_format: str, **kwargs: Any) -> None:
        super().__init__(rate, **kwargs)
        self.data_format = data_format
        self.input_spec = InputSpec(ndim=axes)

    def _get_noise_shape(self, inputs: Tensor) -> Any:
        ones = (1,) * (inputs.ndim - 2)
        return (None, None, *ones) if self.data_format == "channels_first" else (None, *ones, None)


class SpatialDropout1D(_SpatialDropout):
    """Drops whole feature maps of sequences while training.

    Parameters
    ----------
    rate : float

    Shapes
    ------
    (batch, steps, channels) to the same.
    """

    @legacy.rate_only
    def __init__(self, rate: float, **kwargs: Any) -> None:
        super().__init__(rate, 3, "channels_last", **kwargs)


class SpatialDropout2D(_SpatialDropout):
    """Drops whole feature maps of pictures while training.

    Parameters
    ----------
    rate : float
    data_format : str, optional
        'channels_last' or 'channels_first'; default `K.image_data_format()`.

    Shapes
    ------
    (batch, rows, columns, channels), or channels second, to the same.
    """

    config_names: ClassVar[tuple[str, ...]] = (*Dropout.config_names, "data_format")

    @legacy.spatial_dropout
    def __init__(self, rate: float, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(rate, 4, K.normalize_data_format(data_format), **kwargs)
