"""Recurrent layers with the mathematics and the weights of cuDNN's; they run on the processor."""

from __future__ import annotations

from typing import Any, ClassVar

from symgraph import regularizers
from symgraph.graph.leaves import Variable
from symgraph.graph.tensor import Tensor
from symgraph.layers.cells import WEIGHT_ARGUMENTS, GRUCell, LSTMCell, with_ones
from symgraph.layers.recurrent import CellLayer
from symgraph.layers.rnn import first


class _CuDNNGRUCell(GRUCell):
    """A GRU cell whose biases are one vector: those of x · W, then those of h · U."""

    def _make_bias(self) -> Variable:
        return self._weight("bias", (6 * self.units,))

    def _biases(self) -> tuple[Tensor | None, Tensor | None]:
        assert self.bias is not None
        return self.bias[: 3 * self.units], self.bias[3 * self.units :]


class _CuDNNLSTMCell(LSTMCell):
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
