"""Layers of volumes (batch, depth, rows, columns, channels): convolution, pooling, borders, dropout."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from symgraph import backend as K
from symgraph.engine.layer.shapes import Shape
from symgraph.graph.tensor import Tensor
from symgraph.layers import legacy
from symgraph.layers.conv import _Conv
from symgraph.layers.dropout import Dropout, _SpatialDropout
from symgraph.layers.pool import _GlobalPooling, _Pooling
from symgraph.layers.resizing import _Cropping, _Resizing
from symgraph.utils.conv_utils import (
    channel_axis,
    deconv_length,
    normalize_tuple,
    spatial_axes,
    with_spatial,
)

Pairs = tuple[tuple[int, ...], ...]


class Conv3D(_Conv):
    """Convolution of volumes.

    Parameters
    ----------
    filters : int
        The channels of the output.
    kernel_size : int or triple of int
        Depth, rows and columns of a window.
    strides, dilation_rate : int or triple of int
    padding : str
        'valid': windows lie inside. 'same': zeros around, so that stride 1 keeps the size (TensorFlow's rule:
        the odd zero goes to the end).
    data_format : str, optional
        'channels_last' (batch, depth, rows, columns, channels) or 'channels_first'; default
        `K.image_data_format()`.
    **kwargs
        activation, use_bias, initializers, regularizers, constraints as of `Dense`; keywords of `Layer`.
    """

    @legacy.conv3d
    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1, 1),
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            3,
            filters,
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            activity_regularizer,
            kernel_constraint,
            bias_constraint,
            **kwargs,
        )

    def _convolve(self, inputs: Tensor) -> Tensor:
        return K.conv3d(inputs, self.kernel, self.strides, self.padding, self.data_format, self.dilation_rate)


class Conv3DTranspose(Conv3D):
    """The gradient of a convolution of volumes used forwards: volumes grow where a convolution shrinks them.

    Parameters
    ----------
    filters : int
    kernel_size, strides : int or triple of int
    padding : str
        'valid' or 'same'.
    output_padding : int or triple of int, optional
        Added at one end of each axis; smaller than the stride. Default: worked out.
    data_format : str, optional
    **kwargs
        As of `Conv3D`.

    Notes
    -----
    The kernel is (depth, rows, columns, filters, channels).
    """

    config_names: ClassVar[tuple[str, ...]] = (
        *(name for name in Conv3D.config_names if name != "dilation_rate"),
        "output_padding",
    )

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1, 1),
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            filters=filters,
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=1,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            **kwargs,
        )
        self.output_padding: tuple[int, ...] | None = None
        if output_padding is not None:
            self.output_padding = normalize_tuple(output_padding, 3, "output_padding")
            if any(pad >= stride for pad, stride in zip(self.output_padding, self.strides, strict=True)):
                raise ValueError(
                    f"Stride {self.strides} must be greater than output padding {self.output_padding}"
                )

    def build(self, input_shape: Shape) -> None:
        """Make kernel (depth, rows, columns, filters, channels) and bias (filters,)."""
        self.kernel = self.add_weight(
            "kernel",
            (*self.kernel_size, self.filters, self._channels(input_shape)),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self._add_bias(self.filters)
        self.built = True

    def _shape_for(self, shape: Any) -> tuple[Any, ...]:
        """The output's shape for an input of `shape`, whose sizes may be symbolic."""
        extra = self.output_padding or (None, None, None)
        axes = spatial_axes(5, self.data_format)
        lengths = [
            deconv_length(shape[axis], stride, size, self.padding, pad)
            for axis, stride, size, pad in zip(axes, self.strides, self.kernel_size, extra, strict=True)
        ]
        result = list(with_spatial(shape, self.data_format, lengths))
        result[channel_axis(self.data_format)] = self.filters
        return tuple(result)

    def _convolve(self, inputs: Tensor) -> Tensor:
        return K.conv3d_transpose(
            inputs,
            self.kernel,
            self._shape_for(inputs.shape),
            self.strides,
            padding=self.padding,
            data_format=self.data_format,
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The lengths that a convolution of the same arguments leads back from."""
        return self._shape_for(input_shape)


class _Pooling3D(_Pooling):
    """Pooling of volumes."""

    @legacy.pooling
    def __init__(
        self,
        pool_size: Any = (2, 2, 2),
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(3, pool_size, strides, padding, data_format, **kwargs)


class MaxPooling3D(_Pooling3D):
    """The largest value of each window of volumes.

    Parameters
    ----------
    pool_size : int or triple of int
    strides : int or triple of int, optional
        Default: `pool_size`.
    padding : str
        'valid' or 'same'.
    data_format : str, optional
        'channels_last' (batch, depth, rows, columns, channels) or 'channels_first'; default
        `K.image_data_format()`.
    """

    mode: ClassVar[str] = "max"


class AveragePooling3D(_Pooling3D):
    """The mean of each window of volumes; parameters as of `MaxPooling3D`. Padding is not counted."""

    mode: ClassVar[str] = "avg"


class _GlobalPooling3D(_GlobalPooling):
    """Of volumes."""

    @legacy.global_pooling
    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(3, data_format, **kwargs)


class GlobalMaxPooling3D(_GlobalPooling3D):
    """The largest value of each channel of volumes."""

    def call(self, inputs: Tensor) -> Tensor:
        """Reduce depth, rows and columns."""
        return K.max(inputs, axis=self._axes(inputs))


class GlobalAveragePooling3D(_GlobalPooling3D):
    """The mean of each channel of volumes."""

    def call(self, inputs: Tensor) -> Tensor:
        """Reduce depth, rows and columns."""
        return K.mean(inputs, axis=self._axes(inputs))


class ZeroPadding3D(_Resizing):
    """Zeros around volumes.

    Parameters
    ----------
    padding : int, triple of int, or triple of pairs of int
        (before, after) of depth, rows and columns.
    data_format : str, optional
    """

    config_names: ClassVar[tuple[str, ...]] = ("padding", "data_format")

    @legacy.zero_padding3d
    def __init__(self, padding: Any = (1, 1, 1), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(3, data_format, **kwargs)
        self.padding = _three_pairs(padding, "padding")

    def call(self, inputs: Tensor) -> Tensor:
        """Pad."""
        return K.spatial_3d_padding(inputs, padding=self.padding, data_format=self.data_format)

    def _length(self, length: int, index: int) -> int:
        return length + sum(self.padding[index])


class Cropping3D(_Cropping):
    """Takes away the faces of volumes.

    Parameters
    ----------
    cropping : int, triple of int, or triple of pairs of int
        (before, after) of depth, rows and columns.
    data_format : str, optional
    """

    config_names: ClassVar[tuple[str, ...]] = ("cropping", "data_format")

    @legacy.cropping
    def __init__(
        self, cropping: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **kwargs: Any
    ) -> None:
        self.cropping = _three_pairs(cropping, "cropping")
        super().__init__(self.cropping, data_format, **kwargs)


class UpSampling3D(_Resizing):
    """Each voxel of volumes repeated.

    Parameters
    ----------
    size : int or triple of int
        Factors of depth, rows and columns.
    data_format : str, optional
    """

    config_names: ClassVar[tuple[str, ...]] = ("size", "data_format")

    @legacy.up_sampling
    def __init__(self, size: Any = (2, 2, 2), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(3, data_format, **kwargs)
        self.size = normalize_tuple(size, 3, "size", 1)

    def call(self, inputs: Tensor) -> Tensor:
        """Repeat."""
        depth, rows, columns = self.size
        return K.resize_volumes(inputs, depth, rows, columns, self.data_format)

    def _length(self, length: int, index: int) -> int:
        return length * self.size[index]


class SpatialDropout3D(_SpatialDropout):
    """Drops whole feature maps of volumes while training.

    Parameters
    ----------
    rate : float
    data_format : str, optional
        'channels_last' or 'channels_first'; default `K.image_data_format()`.

    Shapes
    ------
    (batch, depth, rows, columns, channels), or channels second, to the same.
    """

    config_names: ClassVar[tuple[str, ...]] = (*Dropout.config_names, "data_format")

    @legacy.spatial_dropout
    def __init__(self, rate: float, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(rate, 5, K.normalize_data_format(data_format), **kwargs)


def _three_pairs(value: Any, name: str) -> Pairs:
    """What is added or taken away at both ends of depth, rows and columns.

    Parameters
    ----------
    value : int, triple of int, or triple of pairs of int
    name : str
        The argument, for errors.

    Raises
    ------
    ValueError
        For anything else.
    """
    entries = (value,) * 3 if isinstance(value, (int, np.integer)) else value
    if not isinstance(entries, (tuple, list, np.ndarray)):
        raise ValueError(
            f"`{name}` should be either an int, a tuple of 3 ints (symmetric), or a tuple of 3 tuples of 2 "
            f"ints ((before, after) of each axis). Found: {value}"
        )
    if len(entries) != 3:
        raise ValueError(f"`{name}` should have 3 elements. Found: {value}")
    ordinals = ("1st", "2nd", "3rd")
    return tuple(
        normalize_tuple(entry, 2, f"{ordinal} entry of {name}")
        for entry, ordinal in zip(entries, ordinals, strict=True)
    )
