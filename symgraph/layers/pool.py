"""Pooling: the largest value or the mean of windows, or of whole feature maps."""

from __future__ import annotations

from typing import Any, ClassVar

from symgraph import backend as K
from symgraph.engine.layer.shapes import Shape
from symgraph.engine.layer.spec import InputSpec
from symgraph.graph.tensor import Tensor
from symgraph.layers import legacy
from symgraph.layers.arguments import ConfiguredLayer
from symgraph.utils.conv_utils import (
    channel_axis,
    conv_output_length,
    normalize_padding,
    normalize_tuple,
    spatial_axes,
    with_spatial,
)


class _Pooling(ConfiguredLayer):
    """One value for each window.

    Parameters
    ----------
    rank : int
        The number of spatial axes.
    pool_size : int or tuple of int
    strides : int or tuple of int, optional
        Default: `pool_size`.
    padding : str
        'valid' or 'same'.
    data_format : str, optional
    """

    config_names: ClassVar[tuple[str, ...]] = ("pool_size", "padding", "strides", "data_format")
    mode: ClassVar[str]

    def __init__(
        self, rank: int, pool_size: Any, strides: Any, padding: str, data_format: str | None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.pool_size = normalize_tuple(pool_size, rank, "pool_size", 1)
        self.strides = normalize_tuple(pool_size if strides is None else strides, rank, "strides", 1)
        self.padding = normalize_padding(padding)
        if self.padding == "causal":
            raise ValueError('The `padding` argument must be one of "valid", "same". Received: causal')
        self.data_format = K.normalize_data_format(data_format)
        self.input_spec = InputSpec(ndim=rank + 2)

    def _pooling_function(
        self, inputs: Any, pool_size: Any, strides: Any, padding: str, data_format: str
    ) -> Tensor:
        """Pool along the two or three axes of `pool_size`: what subclasses of users replace, as in Keras."""
        pool = K.pool2d if len(pool_size) == 2 else K.pool3d
        return pool(inputs, pool_size, strides, padding, data_format, pool_mode=self.mode)

    def call(self, inputs: Tensor) -> Tensor:
        """Pool."""
        return self._pooling_function(
            inputs=inputs,
            pool_size=self.pool_size,
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The number of windows along each spatial axis."""
        axes = spatial_axes(len(input_shape), self.data_format)
        lengths = [
            conv_output_length(input_shape[axis], size, self.padding, stride)
            for axis, size, stride in zip(axes, self.pool_size, self.strides, strict=True)
        ]
        return with_spatial(input_shape, self.data_format, lengths)


class _Pooling1D(_Pooling):
    """Pooling of sequences: of pictures with one column."""

    @legacy.pooling1d
    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = "channels_last",
        **kwargs: Any,
    ) -> None:
        super().__init__(1, pool_size, strides, padding, data_format, **kwargs)

    def call(self, inputs: Tensor) -> Tensor:
        """Pool."""
        column = 2 if self.data_format == "channels_last" else 3
        pooled = self._pooling_function(
            inputs=K.expand_dims(inputs, column),
            pool_size=(*self.pool_size, 1),
            strides=(*self.strides, 1),
            padding=self.padding,
            data_format=self.data_format,
        )
        return K.squeeze(pooled, column)


class _Pooling2D(_Pooling):
    """Pooling of pictures."""

    @legacy.pooling
    def __init__(
        self,
        pool_size: Any = (2, 2),
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(2, pool_size, strides, padding, data_format, **kwargs)


class MaxPooling1D(_Pooling1D):
    """The largest value of each window of sequences.

    Parameters
    ----------
    pool_size : int
    strides : int, optional
        Default: `pool_size`.
    padding : str
        'valid' or 'same'.
    data_format : str
        'channels_last' (batch, steps, channels) or 'channels_first'.
    """

    mode: ClassVar[str] = "max"


class AveragePooling1D(_Pooling1D):
    """The mean of each window of sequences; parameters as of `MaxPooling1D`. Padding is not counted."""

    mode: ClassVar[str] = "avg"


class MaxPooling2D(_Pooling2D):
    """The largest value of each window of pictures.

    Parameters
    ----------
    pool_size : int or pair of int
    strides : int or pair of int, optional
        Default: `pool_size`.
    padding : str
        'valid' or 'same'.
    data_format : str, optional
        'channels_last' (batch, rows, columns, channels) or 'channels_first'; default `K.image_data_format()`.
    """

    mode: ClassVar[str] = "max"


class AveragePooling2D(_Pooling2D):
    """The mean of each window of pictures; parameters as of `MaxPooling2D`. Padding is not counted."""

    mode: ClassVar[str] = "avg"


class _GlobalPooling(ConfiguredLayer):
    """One value for each channel.

    Parameters
    ----------
    data_format : str, optional
    """

    config_names: ClassVar[tuple[str, ...]] = ("data_format",)

    def __init__(self, rank: int, data_format: str | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = K.normalize_data_format(data_format)
        self.input_spec = InputSpec(ndim=rank + 2)

    def _axes(self, inputs: Tensor) -> list[int]:
        return list(spatial_axes(inputs.ndim, self.data_format))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(batch, channels)."""
        return input_shape[0], input_shape[channel_axis(self.data_format)]


class _GlobalPooling1D(_GlobalPooling):
    """Of sequences (batch, steps, channels)."""

    def __init__(self, data_format: str | None = "channels_last", **kwargs: Any) -> None:
        super().__init__(1, data_format, **kwargs)


class _GlobalPooling2D(_GlobalPooling):
    """Of pictures."""

    @legacy.global_pooling
    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(2, data_format, **kwargs)


class GlobalMaxPooling1D(_GlobalPooling1D):
    """The largest value of each channel of sequences."""

    def call(self, inputs: Tensor) -> Tensor:
        """Reduce the steps."""
        return K.max(inputs, axis=self._axes(inputs))


def _check_mask(mask: Tensor, inputs: Tensor, axis: int) -> None:
    """ValueError for a mask that is not (samples, steps) for inputs with their steps on this axis."""
    found, wanted = K.int_shape(mask), K.int_shape(inputs)[axis]
    if len(found) != 2 or (None not in (found[1], wanted) and found[1] != wanted):
        raise ValueError(f"expected a mask of (samples, time) for inputs {inputs.type}, got {mask.type}")


class GlobalAveragePooling1D(_GlobalPooling1D):
    """The mean of each channel of sequences, over the steps that a mask lets count."""

    def __init__(self, data_format: str | None = "channels_last", **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Tensor, mask: Any = None) -> Tensor:
        """Reduce the steps."""
        axes = self._axes(inputs)
        if mask is None:
            return K.mean(inputs, axis=axes)
        _check_mask(mask, inputs, axes[0])
        counted = K.expand_dims(K.cast(mask, inputs.dtype), channel_axis(self.data_format))
        return K.sum(inputs * counted, axis=axes) / K.sum(counted, axis=axes)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """No steps are left to be masked."""
        return


class GlobalMaxPooling2D(_GlobalPooling2D):
    """The largest value of each channel of pictures."""

    def call(self, inputs: Tensor) -> Tensor:
        """Reduce rows and columns."""
        return K.max(inputs, axis=self._axes(inputs))


class GlobalAveragePooling2D(_GlobalPooling2D):
    """The mean of each channel of pictures."""

    def call(self, inputs: Tensor) -> Tensor:
        """Reduce rows and columns."""
        return K.mean(inputs, axis=self._axes(inputs))
