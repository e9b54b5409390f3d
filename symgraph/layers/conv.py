"""Convolutions of sequences and pictures."""

from __future__ import annotations

from typing import Any, ClassVar

from symgraph import backend as K
from symgraph.engine.layer.shapes import Shape
from symgraph.engine.layer.spec import InputSpec
from symgraph.graph.leaves import Variable
from symgraph.graph.tensor import Tensor
from symgraph.layers import legacy
from symgraph.layers.arguments import ConfiguredLayer, at_least
from symgraph.utils.conv_utils import (
    channel_axis,
    conv_output_length,
    normalize_padding,
    normalize_tuple,
    spatial_axes,
    with_spatial,
)

#: The arguments that come first in the configuration of any convolution.
CONV_ARGUMENTS = (
    "filters",
    "kernel_size",
    "strides",
    "padding",
    "data_format",
    "dilation_rate",
    "activation",
    "use_bias",
)


class _Conv(ConfiguredLayer):
    """What convolutions of any rank have in common.

    Parameters
    ----------
    rank : int
        The number of spatial axes.
    filters : int
        The channels of the output.
    kernel_size, strides, dilation_rate : int or tuple of int
    padding : str
        'valid', 'same', or 'causal' for sequences.
    data_format : str, optional
        'channels_last' or 'channels_first'; default `K.image_data_format()`.
    activation, use_bias, kernel_initializer, ... :
        As of `Dense`.
    """

    config_names: ClassVar[tuple[str, ...]] = (
        *CONV_ARGUMENTS,
        "kernel_initializer",
        "bias_initializer",
        "kernel_regularizer",
        "bias_regularizer",
        "activity_regularizer",
        "kernel_constraint",
        "bias_constraint",
    )
    groups: int = 1
    kernel: Variable
    bias: Variable | None
    activation: Any
    kernel_initializer: Any
    bias_initializer: Any
    kernel_regularizer: Any
    bias_regularizer: Any
    kernel_constraint: Any
    bias_constraint: Any

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
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
        super().__init__(**kwargs)
        self.rank = rank
        self.filters = at_least(1, filters, "filters")
        self.kernel_size = normalize_tuple(kernel_size, rank, "kernel_size", 1)
        self.strides = normalize_tuple(strides, rank, "strides", 1)
        self.padding = normalize_padding(padding)
        self.data_format = K.normalize_data_format(data_format)
        self.dilation_rate = normalize_tuple(dilation_rate, rank, "dilation_rate", 1)
        self.use_bias = use_bias
        self._store(
            activation=activation,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
        )
        self.input_spec = InputSpec(ndim=rank + 2)
        self._check_padding()

    def _check_padding(self) -> None:
        if self.padding == "causal" and (self.rank != 1 or self.data_format != "channels_last"):
            raise ValueError(
                "When using causal padding, the layer must be `Conv1D` and `data_format` must be "
                f'"channels_last" (temporal data), got {type(self).__name__} with {self.data_format!r}.'
            )

    def _keep_groups(self, groups: int) -> None:
        self.groups = at_least(1, groups, "groups")
        if self.filters % self.groups:
            raise ValueError(
                f"layer {self.name}: expected filters divisible by groups, "
                f"got {self.filters} filters in {self.groups} groups"
            )

    def get_config(self) -> dict[str, Any]:
        """The arguments; `groups` only if there are several, so that Keras 2.2.4 reads the others."""
        config = super().get_config()
        return config if self.groups == 1 else {**config, "groups": self.groups}

    def _channels(self, input_shape: Shape) -> int:
        """The number of input channels, which is demanded of all later inputs."""
        axis = channel_axis(self.data_format)
        channels = input_shape[axis]
        if channels is None:
            raise ValueError(
                f"layer {self.name}: the channel dimension of the inputs should be defined. Found `None`."
            )
        if channels % self.groups:
            raise ValueError(
                f"layer {self.name}: expected channels divisible by groups, "
                f"got {channels} channels in {self.groups} groups"
            )
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={axis: channels})
        return channels

    def _add_bias(self, size: int) -> None:
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                "bias",
                (size,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def build(self, input_shape: Shape) -> None:
        """Make kernel (*kernel_size, channels / groups, filters) and bias (filters,)."""
        self.kernel = self.add_weight(
            "kernel",
            (*self.kernel_size, self._channels(input_shape) // self.groups, self.filters),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self._add_bias(self.filters)
        self.built = True

    def _convolve(self, inputs: Tensor) -> Tensor:
        raise NotImplementedError

    def call(self, inputs: Tensor) -> Tensor:
        """Convolve, add the bias, activate."""
        output = self._convolve(inputs)
        if self.bias is not None:
            output = K.bias_add(output, self.bias, data_format=self.data_format)
        return output if self.activation is None else self.activation(output)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The number of windows along each spatial axis, and `filters` channels."""
        lengths = [
            conv_output_length(input_shape[axis], size, self.padding, stride, dilation)
            for axis, size, stride, dilation in zip(
                spatial_axes(self.rank + 2, self.data_format),
                self.kernel_size,
                self.strides,
                self.dilation_rate,
                strict=True,
            )
        ]
        shape = list(with_spatial(input_shape, self.data_format, lengths))
        shape[channel_axis(self.data_format)] = self._output_channels(input_shape)
        return tuple(shape)

    def _output_channels(self, input_shape: Shape) -> int | None:
        return self.filters


class Conv1D(_Conv):
    """Convolution of sequences.

    Parameters
    ----------
    filters, kernel_size, strides, dilation_rate : int
    padding : str
        'valid', 'same', or 'causal': a step sees itself and earlier ones.
    data_format : str
        'channels_last' (batch, steps, channels) or 'channels_first'.
    groups : int
        As of `Conv2D`.
    **kwargs
        activation, use_bias, initializers, regularizers, constraints as of `Dense`; keywords of `Layer`.
    """

    @legacy.conv1d
    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str = "channels_last",
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        groups: int = 1,
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
        self._keep_groups(groups)

    def _convolve(self, inputs: Tensor) -> Tensor:
        return K.conv1d(
            inputs,
            self.kernel,
            self.strides[0],
            self.padding,
            self.data_format,
            self.dilation_rate[0],
            self.groups,
        )


class Conv2D(_Conv):
    """Convolution of pictures.

    Parameters
    ----------
    filters : int
        The channels of the output.
    kernel_size : int or pair of int
        Rows and columns of a window.
    strides, dilation_rate : int or pair of int
    padding : str
        'valid': windows lie inside. 'same': zeros around, so that stride 1 keeps the size (TensorFlow's rule:
        the odd zero goes to the end).
    data_format : str, optional
        'channels_last' (batch, rows, columns, channels) or 'channels_first'; default `K.image_data_format()`.
    groups : int
        Of channels and filters that are convolved apart, as in AlexNet; divides both. Not in Keras 2.2.4.
    **kwargs
        activation, use_bias, initializers, regularizers, constraints as of `Dense`; keywords of `Layer`.
    """

    @legacy.conv2d
    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
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
        groups: int = 1,
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
        self._keep_groups(groups)

    def _convolve(self, inputs: Tensor) -> Tensor:
        return K.conv2d(
            inputs,
            self.kernel,
            self.strides,
            self.padding,
            self.data_format,
            self.dilation_rate,
            self.groups,
        )
