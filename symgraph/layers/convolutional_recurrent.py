"""Recurrent layers whose products are convolutions: sequences of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from symgraph import backend as K
from symgraph import regularizers
from symgraph.engine.base_layer import Layer  # noqa: F401 - scripts import it from here
from symgraph.engine.layer.shapes import Shape
from symgraph.graph.leaves import Variable
from symgraph.graph.ops.create import zeros
from symgraph.graph.tensor import Tensor
from symgraph.layers import legacy
from symgraph.layers.arguments import at_least
from symgraph.layers.cells import WEIGHT_ARGUMENTS, DroppingCell, Step, lstm_step, with_ones
from symgraph.layers.old_recurrent import Recurrent  # noqa: F401 - scripts import it from here
from symgraph.layers.recurrent import CellLayer
from symgraph.layers.rnn import RNN
from symgraph.layers.stacked_cells import state_sizes
from symgraph.utils.conv_utils import (
    channel_axis,
    conv_output_length,
    normalize_padding,
    normalize_tuple,
    spatial_axes,
    with_spatial,
)


class ConvRNN2D(RNN):
    """Runs a convolutional cell along the time axis of sequences of pictures.

    Parameters
    ----------
    cell : cell
        As of `RNN`, one only; with `kernel_size`, `strides`, `padding`, `data_format`, `dilation_rate` and
        `filters`. `state_size` tells channels.
    return_sequences, return_state, go_backwards, stateful : bool
        As of `RNN`. A stateful layer needs to know rows and columns too.
    unroll : bool
        Has to be False.

    Shapes
    ------
    (batch, steps, rows, columns, channels), or channels before rows, to (batch, rows, columns, filters) or
    (batch, steps, rows, columns, filters); states are (batch, rows, columns, filters).
    """

    _rank = 5

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        **kwargs: Any,
    ) -> None:
        if unroll:
            raise TypeError("Unrolling isn't possible with convolutional RNNs.")
        if isinstance(cell, (list, tuple)):
            raise TypeError("It is not possible at the moment to stack convolutional cells.")
        super().__init__(cell, return_sequences, return_state, go_backwards, stateful, unroll, **kwargs)

    def _output_step(self, input_shape: Shape) -> Shape:
        return self._picture(input_shape, self.cell.filters)[1:]

    def _state_shapes(self, input_shape: Shape) -> list[Shape]:
        return [self._picture(input_shape, size) for size in state_sizes(self.cell)]

    def _picture(self, input_shape: Shape, channels: int) -> Shape:
        """The shape of a step's output with so many channels."""
        cell = self.cell
        step = (input_shape[0], *input_shape[2:])
        lengths = [
            conv_output_length(step[axis], size, cell.padding, stride, dilation)
            for axis, size, stride, dilation in zip(
                spatial_axes(4, cell.data_format),
                cell.kernel_size,
                cell.strides,
                cell.dilation_rate,
                strict=True,
            )
        ]
        shape = list(with_spatial(step, cell.data_format, lengths))
        shape[channel_axis(cell.data_format)] = channels
        return tuple(shape)

    def _state_axis(self) -> int:
        return channel_axis(self.cell.data_format)

    def get_initial_state(self, inputs: Tensor) -> list[Tensor]:
        """Zeros of the size that the convolution of a step has, for a call on `inputs` without states."""
        sizes = list(self.cell.input_conv(inputs[:, 0], self.cell.kernel, padding=self.cell.padding).shape)
        states = []
        for size in state_sizes(self.cell):
            sizes[self._state_axis()] = size
            states.append(zeros(tuple(sizes), inputs.dtype))
        return states

    def _unknown_batch(self) -> str:
        return f"{super()._unknown_batch()}\nThe same thing goes for the number of rows and columns."


class ConvLSTM2DCell(DroppingCell):
    """The step of `ConvLSTM2D`: an `LSTMCell` with convolutions for products.

    Parameters
    ----------
    filters : int
        Channels of the output and of both states.
    kernel_size, strides, dilation_rate : int or pair of int
    padding : str
        'valid' or 'same', of the inputs; states are always convolved with 'same'.
    data_format : str, optional
        'channels_last' or 'channels_first'; default `K.image_data_format()`.
    activation, recurrent_activation, use_bias, kernel_initializer, unit_forget_bias, dropout, ... :
        As of `LSTMCell`. Each gate drops for itself.
    """

    gates: ClassVar[int] = 4
    config_names: ClassVar[tuple[str, ...]] = (
        "filters",
        "kernel_size",
        "strides",
        "padding",
        "data_format",
        "dilation_rate",
        "activation",
        "recurrent_activation",
        "use_bias",
        "unit_forget_bias",
        *WEIGHT_ARGUMENTS,
        "dropout",
        "recurrent_dropout",
    )
    bias_initializer: Any

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = "tanh",
        recurrent_activation: Any = "hard_sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(dropout, recurrent_dropout, **kwargs)
        self.filters = at_least(1, filters, "filters")
        self.kernel_size = normalize_tuple(kernel_size, 2, "kernel_size", 1)
        self.strides = normalize_tuple(strides, 2, "strides", 1)
        self.padding = normalize_padding(padding)
        self.data_format = K.normalize_data_format(data_format)
        self.dilation_rate = normalize_tuple(dilation_rate, 2, "dilation_rate", 1)
        self.use_bias = use_bias
        self.unit_forget_bias = unit_forget_bias
        self._store(
            activation=activation,
            recurrent_activation=recurrent_activation,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
        )
        self.state_size = (self.filters, self.filters)

    def build(self, input_shape: Shape) -> None:
        """Make kernel (*kernel_size, channels, 4 · filters), recurrent_kernel and bias."""
        channels = input_shape[channel_axis(self.data_format)]
        if channels is None:
            raise ValueError("The channel dimension of the inputs should be defined. Found `None`.")
        self.kernel_shape = (*self.kernel_size, channels, 4 * self.filters)
        self.kernel = self._weight("kernel", self.kernel_shape)
        self.recurrent_kernel = self._weight(
            "recurrent_kernel", (*self.kernel_size, self.filters, 4 * self.filters)
        )
        self.bias = self._make_bias() if self.use_bias else None
        self.built = True

    def _make_bias(self) -> Variable:
        forgetting = with_ones(self.bias_initializer, self.filters, self.filters, 2 * self.filters)
        return self._weight("bias", (4 * self.filters,), forgetting if self.unit_forget_bias else None)

    def call(self, inputs: Tensor, states: Sequence[Tensor], training: Any = None) -> Step:
        """One step. Shapes: pictures; states and output have `filters` channels."""
        self._choose_masks(inputs, states[0], training, 4)
        axis = channel_axis(self.data_format)
        x = self._gates(inputs, self.kernel, self._dropout_mask or [], self._input_conv)
        if self.bias is not None:
            x = K.bias_add(x, self.bias, data_format=self.data_format)
        masks = self._recurrent_dropout_mask or []
        whole = x + self._gates(states[0], self.recurrent_kernel, masks, self.recurrent_conv)
        parts = [whole[_part(whole.ndim, axis, gate, self.filters)] for gate in range(4)]
        h, c = lstm_step(self, parts, states[1])
        self._marked(h, training)
        return h, [h, c]

    def _gates(self, x: Tensor, kernel: Tensor, masks: Sequence[Tensor], convolve: Any) -> Tensor:
        """The convolutions for all gates, side by side along the channels; with masks one by one."""
        if not masks:
            result: Tensor = convolve(x, kernel)
            return result
        parts = [
            convolve(x * mask, kernel[_part(4, 3, gate, self.filters)]) for gate, mask in enumerate(masks)
        ]
        return K.concatenate(parts, axis=channel_axis(self.data_format))

    def _input_conv(self, x: Tensor, w: Tensor) -> Tensor:
        return self.input_conv(x, w, padding=self.padding)

    def input_conv(self, x: Tensor, w: Tensor, b: Tensor | None = None, padding: str = "valid") -> Tensor:
        """The convolution of inputs, with a bias if there is one."""
        y = K.conv2d(x, w, self.strides, padding, self.data_format, self.dilation_rate)
        return y if b is None else K.bias_add(y, b, data_format=self.data_format)

    def recurrent_conv(self, x: Tensor, w: Tensor) -> Tensor:
        """The convolution of a state, which keeps its size."""
        return K.conv2d(x, w, (1, 1), "same", self.data_format)


def _part(axes: int, axis: int, number: int, size: int) -> tuple[slice, ...]:
    """The index of part `number` of parts of this size along an axis."""
    index = [slice(None)] * axes
    index[axis] = slice(number * size, (number + 1) * size)
    return tuple(index)


class ConvLSTM2D(CellLayer, ConvRNN2D):
    """Convolutional long short-term memories (Shi et al., arXiv:1506.04214, without peepholes).

    Parameters
    ----------
    filters, kernel_size, strides, padding, data_format, dilation_rate, activation, ... :
        As of `ConvLSTM2DCell`.
    activity_regularizer : Regularizer, optional
    return_sequences, return_state, go_backwards, stateful : bool
        As of `ConvRNN2D`, which tells the shapes.
    """

    config_names: ClassVar[tuple[str, ...]] = (*ConvLSTM2DCell.config_names, "activity_regularizer")
    filters: int
    kernel_size: tuple[int, int]
    strides: tuple[int, int]
    padding: str
    data_format: str
    dilation_rate: tuple[int, int]

    @legacy.conv_lstm2d
    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = "tanh",
        recurrent_activation: Any = "hard_sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        return_sequences: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        cell = ConvLSTM2DCell(
            filters,
            kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            recurrent_activation=recurrent_activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            unit_forget_bias=unit_forget_bias,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
        )
        flags = {
            "return_sequences": return_sequences,
            "go_backwards": go_backwards,
            "stateful": stateful,
        }
        super().__init__(cell, **flags, **kwargs)
        self.activity_regularizer = regularizers.get(activity_regularizer)
