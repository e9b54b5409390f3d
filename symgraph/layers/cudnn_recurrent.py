"""Recurrent layers with the mathematics and the weights of cuDNN's; they run on the processor.

Of each gate the matrix (rows, units) is stored as the numbers of its transpose, as cuDNN reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from symgraph import backend as K
from symgraph import regularizers
from symgraph.engine.layer.shapes import Shape
from symgraph.graph.leaves import Variable
from symgraph.graph.tensor import Tensor
from symgraph.layers.cells import WEIGHT_ARGUMENTS, GRUCell, LSTMCell, MatrixCell, with_ones
from symgraph.layers.recurrent import CellLayer
from symgraph.layers.rnn import first


def _turned(weights: Tensor, gates: int) -> Tensor:
    """Matrices (rows, units) side by side, each read as cuDNN does, as the numbers of (units, rows)."""
    rows, width = K.int_shape(weights)
    assert rows is not None and width is not None
    units = width // gates
    blocks = K.permute_dimensions(K.reshape(weights, (rows, gates, units)), (1, 0, 2))
    turned = K.permute_dimensions(K.reshape(blocks, (gates, units, rows)), (2, 0, 1))
    return K.reshape(turned, (rows, width))


class _CuDNNCell(MatrixCell):
    """A cell whose weights have cuDNN's layout, so that they match those in Keras' files."""

    def build(self, input_shape: Shape) -> None:
        """Make the weights."""
        super().build(input_shape)
        # Not in the step: the loop would turn them again and again.
        self._read = {id(w): _turned(w, self.gates) for w in (self.kernel, self.recurrent_kernel)}

    def _product(self, x: Tensor, weights: Tensor, masks: Sequence[Tensor]) -> Tensor:
        return K.dot(x, self._read[id(weights)])


class _CuDNNGRUCell(_CuDNNCell, GRUCell):
    """A GRU cell whose biases are one vector: those of x · W, then those of h · U."""

    def _make_bias(self) -> Variable:
        return self._weight("bias", (6 * self.units,))

    def _biases(self) -> tuple[Tensor | None, Tensor | None]:
        assert self.bias is not None
        return self.bias[: 3 * self.units], self.bias[3 * self.units :]


class _CuDNNLSTMCell(_CuDNNCell, LSTMCell):
    """An LSTM cell with two biases in one vector: that of x · W, then that of h · U."""

    def _make_bias(self) -> Variable:
        forgetting = with_ones(self.bias_initializer, 5 * self.units, self.units, 2 * self.units)
        return self._weight("bias", (8 * self.units,), forgetting if self.unit_forget_bias else None)

    def _whole_bias(self) -> Tensor | None:
        assert self.bias is not None
        return self.bias[: 4 * self.units] + self.bias[4 * self.units :]


class _CuDNNRNN(CellLayer):
    """What both layers have in common: no masks, no loop to unroll."""

    kernel = property(lambda self: self.cell.kernel)
    recurrent_kernel = property(lambda self: self.cell.recurrent_kernel)
    bias = property(lambda self: self.cell.bias)

    def __init__(self, cell: Any, activity_regularizer: Any, **kwargs: Any) -> None:
        super().__init__(cell, **kwargs)
        self.supports_masking = False
        self.activity_regularizer = regularizers.get(activity_regularizer)

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: Any = None,
        initial_state: Any = None,
        constants: Any = None,
    ) -> Any:
        """Run the cell. ValueError for a mask."""
        if first(mask) is not None:
            raise ValueError("Masking is not supported for CuDNN RNNs.")
        return super().call(inputs, None, training, initial_state, constants)

    def get_config(self) -> dict[str, Any]:
        """Arguments."""
        config = super().get_config()
        del config["unroll"]
        return config


class CuDNNGRU(_CuDNNRNN):
    """`GRU` with sigmoid gates and `reset_after`, and a bias of shape (6 · units,).

    Parameters
    ----------
    units, kernel_initializer, recurrent_initializer, bias_initializer, ... :
        As of `GRU`.
    return_sequences, return_state, stateful : bool
        As of `RNN`; `go_backwards` too.
    """

    config_names: ClassVar[tuple[str, ...]] = ("units", *WEIGHT_ARGUMENTS, "activity_regularizer")

    def __init__(
        self,
        units: int,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        return_sequences: bool = False,
        return_state: bool = False,
        stateful: bool = False,
        **kwargs: Any,
    ) -> None:
        cell = _CuDNNGRUCell(
            units,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            reset_after=True,
            recurrent_activation="sigmoid",
        )
        flags = {
            "return_sequences": return_sequences,
            "return_state": return_state,
            "stateful": stateful,
        }
        super().__init__(cell, activity_regularizer, **flags, **kwargs)


class CuDNNLSTM(_CuDNNRNN):
    """`LSTM` with sigmoid gates, and a bias of shape (8 · units,): both halves are added.

    Parameters
    ----------
    units, kernel_initializer, recurrent_initializer, bias_initializer, unit_forget_bias, ... :
        As of `LSTM`.
    return_sequences, return_state, stateful : bool
        As of `RNN`; `go_backwards` too.
    """

    config_names: ClassVar[tuple[str, ...]] = (
        "units",
        "unit_forget_bias",
        *WEIGHT_ARGUMENTS,
        "activity_regularizer",
    )

    def __init__(
        self,
        units: int,
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
        return_state: bool = False,
        stateful: bool = False,
        **kwargs: Any,
    ) -> None:
        cell = _CuDNNLSTMCell(
            units,
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
            recurrent_activation="sigmoid",
        )
        flags = {
            "return_sequences": return_sequences,
            "return_state": return_state,
            "stateful": stateful,
        }
        super().__init__(cell, activity_regularizer, **flags, **kwargs)
