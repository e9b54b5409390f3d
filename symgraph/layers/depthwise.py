"""Convolutions that keep the channels apart, or mix them in a step of its own."""

from __future__ import annotations

from typing import Any, ClassVar

from symgraph import backend as K
from symgraph.engine.layer.shapes import Shape
from symgraph.graph.leaves import Variable
from symgraph.graph.tensor import Tensor
from symgraph.layers import legacy
from symgraph.layers.arguments import at_least
from symgraph.layers.conv import CONV_ARGUMENTS, _Conv
from symgraph.utils.conv_utils import channel_axis


class _SeparableConv(_Conv):
    """Each channel convolved by itself, then a convolution of size 1 that mixes them.

    Parameters
    ----------
    depth_multiplier : int
        Outputs of the first step per channel.
    depthwise_..., pointwise_... :
        Initializer, regularizer and constraint of the two kernels.
    """

    config_names: ClassVar[tuple[str, ...]] = (
        *CONV_ARGUMENTS,
        "bias_initializer",
        "bias_regularizer",
        "activity_regularizer",
        "bias_constraint",
        "depth_multiplier",
        "depthwise_initializer",
        "pointwise_initializer",
        "depthwise_regularizer",
        "pointwise_regularizer",
        "depthwise_constraint",
        "pointwise_constraint",
    )
    depthwise_kernel: Variable
    pointwise_kernel: Variable
    depthwise_initializer: Any
    pointwise_initializer: Any
    depthwise_regularizer: Any
    pointwise_regularizer: Any
    depthwise_constraint: Any
    pointwise_constraint: Any

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            rank,
            filters,
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            bias_initializer=bias_initializer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            bias_constraint=bias_constraint,
            **kwargs,
        )
        self.depth_multiplier = at_least(1, depth_multiplier, "depth_multiplier")
        self._store(
            depthwise_initializer=depthwise_initializer,
            pointwise_initializer=pointwise_initializer,
            depthwise_regularizer=depthwise_regularizer,
            pointwise_regularizer=pointwise_regularizer,
            depthwise_constraint=depthwise_constraint,
            pointwise_constraint=pointwise_constraint,
        )

    def build(self, input_shape: Shape) -> None:
        """Make depthwise kernel (*kernel_size, channels, multiplier), pointwise kernel and bias."""
        channels = self._channels(input_shape)
        self.depthwise_kernel = self.add_weight(
            "depthwise_kernel",
            (*self.kernel_size, channels, self.depth_multiplier),
            initializer=self.depthwise_initializer,
            regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
        )
        self.pointwise_kernel = self.add_weight(
            "pointwise_kernel",
            (*(1,) * self.rank, self.depth_multiplier * channels, self.filters),
            initializer=self.pointwise_initializer,
            regularizer=self.pointwise_regularizer,
            constraint=self.pointwise_constraint,
        )
        self._add_bias(self.filters)
        self.built = True

    def _convolve(self, inputs: Tensor) -> Tensor:
        convolve = K.separable_conv1d if self.rank == 1 else K.separable_conv2d
        return convolve(
            inputs,
            self.depthwise_kernel,
            self.pointwise_kernel,
            data_format=self.data_format,
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
        )


class SeparableConv1D(_SeparableConv):
    """Convolution of sequences, each channel by itself, then a mix of the channels.

    Parameters
    ----------
    filters, kernel_size, strides, dilation_rate, depth_multiplier : int
    padding : str
        'valid' or 'same'.
    data_format : str, optional
    **kwargs
        activation, use_bias, and initializers, regularizers, constraints of depthwise, pointwise and bias.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = "channels_last",
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            1,
            filters,
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            depth_multiplier,
            activation,
            use_bias,
            depthwise_initializer,
            pointwise_initializer,
            bias_initializer,
            depthwise_regularizer,
            pointwise_regularizer,
            bias_regularizer,
            activity_regularizer,
            depthwise_constraint,
            pointwise_constraint,
            bias_constraint,
            **kwargs,
        )

    def _check_padding(self) -> None:
        if self.padding == "causal":
            raise ValueError('SeparableConv1D: padding must be "valid" or "same", got "causal"')


class SeparableConv2D(_SeparableConv):
    """Convolution of each channel of pictures, then a mix of the channels (Chollet, arXiv:1610.02357).

    Parameters
    ----------
    filters : int
    kernel_size, strides, dilation_rate : int or pair of int
    padding : str
        'valid' or 'same'.
    data_format : str, optional
    depth_multiplier : int
    **kwargs
        activation, use_bias, and initializers, regularizers, constraints of depthwise, pointwise and bias.
    """

    @legacy.separable_conv2d
    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            2,
            filters,
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            depth_multiplier,
            activation,
            use_bias,
            depthwise_initializer,
            pointwise_initializer,
            bias_initializer,
            depthwise_regularizer,
            pointwise_regularizer,
            bias_regularizer,
            activity_regularizer,
            depthwise_constraint,
            pointwise_constraint,
            bias_constraint,
            **kwargs,
        )


class DepthwiseConv2D(_Conv):
    """Convolution of pictures, each channel by itself.

    Parameters
    ----------
    kernel_size, strides : int or pair of int
    padding : str
        'valid' or 'same'.
    depth_multiplier : int
        Outputs per channel.
    data_format : str, optional
    activation, use_bias, depthwise_initializer, ... :
        As of `Conv2D`.
    """

    config_names: ClassVar[tuple[str, ...]] = (
        *CONV_ARGUMENTS[1:],
        "bias_initializer",
        "bias_regularizer",
        "activity_regularizer",
        "bias_constraint",
        "depth_multiplier",
        "depthwise_initializer",
        "depthwise_regularizer",
        "depthwise_constraint",
    )
    depthwise_kernel: Variable
    depthwise_initializer: Any
    depthwise_regularizer: Any
    depthwise_constraint: Any

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            2,
            1,
            kernel_size,
            strides,
            padding,
            data_format,
            kwargs.pop("dilation_rate", (1, 1)),
            activation,
            use_bias,
            bias_initializer=bias_initializer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            bias_constraint=bias_constraint,
            **kwargs,
        )
        self.depth_multiplier = at_least(1, depth_multiplier, "depth_multiplier")
        self._store(
            depthwise_initializer=depthwise_initializer,
            depthwise_regularizer=depthwise_regularizer,
            depthwise_constraint=depthwise_constraint,
        )

    def build(self, input_shape: Shape) -> None:
        """Make depthwise kernel (*kernel_size, channels, multiplier) and bias."""
        channels = self._channels(input_shape)
        self.depthwise_kernel = self.add_weight(
            "depthwise_kernel",
            (*self.kernel_size, channels, self.depth_multiplier),
            initializer=self.depthwise_initializer,
            regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
        )
        self._add_bias(channels * self.depth_multiplier)
        self.built = True

    def _convolve(self, inputs: Tensor) -> Tensor:
        return K.depthwise_conv2d(
            inputs,
            self.depthwise_kernel,
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )

    def _output_channels(self, input_shape: Shape) -> int | None:
        channels = input_shape[channel_axis(self.data_format)]
        return None if channels is None else channels * self.depth_multiplier
