"""Transposed convolution."""

from __future__ import annotations

from typing import Any, ClassVar

from symgraph import backend as K
from symgraph.engine.layer.shapes import Shape
from symgraph.graph.tensor import Tensor
from symgraph.layers import legacy
from symgraph.layers.conv import Conv2D
from symgraph.utils.conv_utils import (
    channel_axis,
    deconv_length,
    normalize_tuple,
    spatial_axes,
    with_spatial,
)


class Conv2DTranspose(Conv2D):
    """The gradient of a convolution used forwards: pictures grow where a convolution shrinks them.

    Parameters
    ----------
    filters : int
    kernel_size, strides, dilation_rate : int or pair of int
    padding : str
        'valid' or 'same'.
    output_padding : int or pair of int, optional
        Added at one end of rows and columns; smaller than the stride. Default: worked out.
    data_format : str, optional
    **kwargs
        As of `Conv2D`.

    Notes
    -----
    The kernel is (rows, columns, filters, channels).
    """

    config_names: ClassVar[tuple[str, ...]] = (*Conv2D.config_names, "output_padding")

    @legacy.conv2d_transpose
    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
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
        # That of Keras 1, which tells the lengths of the output.
        self._stated_shape: tuple[int | None, ...] | None = kwargs.pop("_output_shape", None)
        super().__init__(
            filters=filters,
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
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
        if self.groups != 1:
            raise ValueError(f"layer {self.name}: transposed convolutions have one group, got {self.groups}")
        self.output_padding: tuple[int, ...] | None = None
        if output_padding is not None:
            self.output_padding = normalize_tuple(output_padding, 2, "output_padding")
            if any(pad >= stride for pad, stride in zip(self.output_padding, self.strides, strict=True)):
                raise ValueError(
                    f"Stride {self.strides} must be greater than output padding {self.output_padding}"
                )

    def build(self, input_shape: Shape) -> None:
        """Make kernel (rows, columns, filters, channels) and bias (filters,)."""
        self.kernel = self.add_weight(
            "kernel",
            (*self.kernel_size, self.filters, self._channels(input_shape)),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self._add_bias(self.filters)
        if self._stated_shape is not None:
            self._pad_to(input_shape, self._stated_shape)
        self.built = True

    def _pad_to(self, input_shape: Shape, stated: tuple[int | None, ...]) -> None:
        """Find the `output_padding` that leads to a stated output shape. ValueError where none does."""
        axes = spatial_axes(4, self.data_format)
        if len(stated) != 4 or stated[channel_axis(self.data_format)] not in (None, self.filters):
            raise ValueError(
                f"layer {self.name}: `output_shape` {stated} does not suit an output of {self.filters} "
                f"filters with {self.data_format}"
            )
        worked_out = self._shape_for(input_shape)
        if all(stated[axis] in (None, worked_out[axis]) for axis in axes):
            return
        if any(input_shape[axis] is None or stated[axis] is None for axis in axes):
            raise ValueError(
                f"layer {self.name}: `output_shape` {stated} needs inputs of known rows and columns, got "
                f"{input_shape}"
            )
        self.output_padding = (0,) * len(axes)
        least = self._shape_for(input_shape)
        extra = tuple((stated[axis] or 0) - (least[axis] or 0) for axis in axes)
        if any(not 0 <= pad < stride for pad, stride in zip(extra, self.strides, strict=True)):
            raise ValueError(
                f"layer {self.name}: `output_shape` {stated} cannot be reached from {input_shape} with "
                f"kernel_size={self.kernel_size}, strides={self.strides} and padding={self.padding!r}; the "
                f"least output is {least}, and less than a stride can be added"
            )
        self.output_padding = extra

    def _shape_for(self, shape: Any) -> tuple[Any, ...]:
        """The output's shape for an input of `shape`, whose sizes may be symbolic."""
        extra = self.output_padding or (None, None)
        lengths = [
            deconv_length(shape[axis], stride, size, self.padding, pad, dilation)
            for axis, stride, size, pad, dilation in zip(
                spatial_axes(4, self.data_format),
                self.strides,
                self.kernel_size,
                extra,
                self.dilation_rate,
                strict=True,
            )
        ]
        result = list(with_spatial(shape, self.data_format, lengths))
        result[channel_axis(self.data_format)] = self.filters
        return tuple(result)

    def _convolve(self, inputs: Tensor) -> Tensor:
        return K.conv2d_transpose(
            inputs,
            self.kernel,
            self._shape_for(inputs.shape),
            self.strides,
            padding=self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The lengths that a convolution of the same arguments leads back from."""
        return self._shape_for(input_shape)
