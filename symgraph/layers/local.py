"""Locally connected layers: convolutions with weights of their own at every place."""

from __future__ import annotations

from typing import Any, ClassVar

from symgraph import backend as K
from symgraph.engine.base_layer import Layer  # noqa: F401 - scripts import it from here
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

_WINDOW = ("filters", "kernel_size", "strides", "padding")
_REST = (
    "activation",
    "use_bias",
    "kernel_initializer",
    "bias_initializer",
    "kernel_regularizer",
    "bias_regularizer",
    "activity_regularizer",
    "kernel_constraint",
    "bias_constraint",
)


class _LocallyConnected(ConfiguredLayer):
    """What the layers of both ranks have in common; parameters as of the convolutions."""

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
        strides: Any,
        padding: str,
        data_format: str | None,
        use_bias: bool,
        described: dict[str, Any],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rank = rank
        self.filters = at_least(1, filters, "filters")
        self.kernel_size = normalize_tuple(kernel_size, rank, "kernel_size", 1)
        self.strides = normalize_tuple(strides, rank, "strides", 1)
        self.padding = normalize_padding(padding)
        if self.padding != "valid":
            raise ValueError(
                f'Invalid border mode for {type(self).__name__} (only "valid" is supported): {padding}'
            )
        self.data_format = K.normalize_data_format(data_format)
        self.use_bias = use_bias
        self._store(**described)
        self.input_spec = InputSpec(ndim=rank + 2)

    @property
    def _layout(self) -> str:
        """Where channels are."""
        return self.data_format

    def _lengths(self, input_shape: Shape) -> list[int | None]:
        axes = spatial_axes(self.rank + 2, self._layout)
        return [
            conv_output_length(input_shape[axis], size, self.padding, stride)
            for axis, size, stride in zip(axes, self.kernel_size, self.strides, strict=True)
        ]

    def build(self, input_shape: Shape) -> None:
        """Make a kernel (places, values of a window, filters) and a bias (..., filters).

        Raises
        ------
        ValueError
            If channels or spatial sizes are not known, or no window fits.
        """
        axis = channel_axis(self._layout)
        channels, lengths = input_shape[axis], self._lengths(input_shape)
        if channels is None or None in lengths:
            raise ValueError(
                f"layer {self.name}: the spatial dimensions and channels of the inputs to a "
                f"{type(self).__name__} layer should be fully-defined, but layer received the inputs shape "
                f"{input_shape}"
            )
        known = tuple(length for length in lengths if length is not None)
        if min(known) < 1:
            raise ValueError(
                f"layer {self.name}: windows of {self.kernel_size} do not fit into inputs of shape "
                f"{input_shape}"
            )
        places, values = 1, channels
        for length, size in zip(known, self.kernel_size, strict=True):
            places, values = places * length, values * size
        self.output_lengths = known
        self.kernel_shape = (places, values, self.filters)
        self.kernel = self.add_weight(
            "kernel",
            self.kernel_shape,
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                "bias",
                (*known, self.filters),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={axis: channels})
        self.built = True

    def _convolve(self, inputs: Tensor) -> Tensor:
        raise NotImplementedError

    def call(self, inputs: Tensor) -> Tensor:
        """Convolve, add the bias, activate."""
        output = self._convolve(inputs)
        if self.bias is not None:
            output = K.bias_add(output, self.bias, data_format=self._layout)
        return output if self.activation is None else self.activation(output)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The number of windows along each spatial axis, and `filters` channels."""
        shape = list(with_spatial(input_shape, self._layout, self._lengths(input_shape)))
        shape[channel_axis(self._layout)] = self.filters
        return tuple(shape)


class LocallyConnected1D(_LocallyConnected):
    """Convolution of sequences with a kernel of its own at every step.

    Parameters
    ----------
    filters, kernel_size, strides : int
    padding : str
        'valid' is all there is.
    data_format : str, optional
        Checked, and without any effect, as in Keras: channels are last.
    **kwargs
        activation, use_bias, initializers, regularizers, constraints as of `Dense`; keywords of `Layer`.

    Shapes
    ------
    (batch, steps, channels) to (batch, windows, filters); the number of steps has to be known.
    """

    config_names: ClassVar[tuple[str, ...]] = (*_WINDOW, *_REST)

    @legacy.conv1d
    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
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
        described = {
            "activation": activation,
            "kernel_initializer": kernel_initializer,
            "bias_initializer": bias_initializer,
            "kernel_regularizer": kernel_regularizer,
            "bias_regularizer": bias_regularizer,
            "activity_regularizer": activity_regularizer,
            "kernel_constraint": kernel_constraint,
            "bias_constraint": bias_constraint,
        }
        super().__init__(
            1, filters, kernel_size, strides, padding, data_format, use_bias, described, **kwargs
        )

    @property
    def _layout(self) -> str:
        return "channels_last"

    def _convolve(self, inputs: Tensor) -> Tensor:
        return K.local_conv1d(inputs, self.kernel, self.kernel_size, self.strides)


class LocallyConnected2D(_LocallyConnected):
    """Convolution of pictures with a kernel of its own at every pixel.

    Parameters
    ----------
    filters : int
    kernel_size, strides : int or pair of int
    padding : str
        'valid' is all there is.
    data_format : str, optional
        'channels_last' (batch, rows, columns, channels) or 'channels_first'; default `K.image_data_format()`.
    **kwargs
        activation, use_bias, initializers, regularizers, constraints as of `Dense`; keywords of `Layer`.

    Shapes
    ------
    (batch, rows, columns, channels) to (batch, windows, windows, filters), or channels second; the numbers of
    rows and columns have to be known.
    """

    config_names: ClassVar[tuple[str, ...]] = (*_WINDOW, "data_format", *_REST)

    @legacy.conv2d
    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
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
        described = {
            "activation": activation,
            "kernel_initializer": kernel_initializer,
            "bias_initializer": bias_initializer,
            "kernel_regularizer": kernel_regularizer,
            "bias_regularizer": bias_regularizer,
            "activity_regularizer": activity_regularizer,
            "kernel_constraint": kernel_constraint,
            "bias_constraint": bias_constraint,
        }
        super().__init__(
            2, filters, kernel_size, strides, padding, data_format, use_bias, described, **kwargs
        )

    def _convolve(self, inputs: Tensor) -> Tensor:
        return K.local_conv2d(
            inputs, self.kernel, self.kernel_size, self.strides, self.output_lengths, self.data_format
        )
