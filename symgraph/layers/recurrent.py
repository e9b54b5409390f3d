"""Recurrent layers: simple, gated recurrent units, and long short-term memories."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from symgraph import regularizers
from symgraph.engine.base_layer import InputSpec, Layer
from symgraph.layers import legacy
from symgraph.layers.cells import GRUCell, LSTMCell, SimpleRNNCell
from symgraph.layers.old_recurrent import Recurrent, time_distributed_dense
from symgraph.layers.own_cells import _generate_dropout_mask, _standardize_args  # noqa: F401 - for users
from symgraph.layers.rnn import RNN
from symgraph.layers.stacked_cells import StackedRNNCells
from symgraph.utils.manners import tf_keras_defaults
from symgraph.utils.warn_user import warn_user

# With those that Keras has in a module of this name.
__all__ = [
    "GRU", "LSTM", "RNN", "CellLayer", "GRUCell", "InputSpec", "LSTMCell", "Layer", "Recurrent", "SimpleRNN",
    "SimpleRNNCell", "StackedRNNCells", "time_distributed_dense",
]  # fmt: skip

_time_distributed_dense = time_distributed_dense  # its name in Keras 2.0


class CellLayer(RNN):
    """A recurrent layer that makes its cell, and shows the cell's arguments as its own."""

    # Of the cell:
    units: int
    activation: Any
    recurrent_activation: Any
    use_bias: bool
    kernel_initializer: Any
    recurrent_initializer: Any
    bias_initializer: Any
    unit_forget_bias: bool
    kernel_regularizer: Any
    recurrent_regularizer: Any
    bias_regularizer: Any
    kernel_constraint: Any
    recurrent_constraint: Any
    bias_constraint: Any
    dropout: float
    recurrent_dropout: float
    implementation: int
    reset_after: bool
    # Its own:
    activity_regularizer: Any

    def __getattr__(self, name: str) -> Any:
        cell = vars(self).get("cell")
        if name in getattr(cell, "config_names", ()):
            return getattr(cell, name)
        return super().__getattr__(name)  # type: ignore[misc]

    def get_config(self) -> dict[str, Any]:
        """Arguments, those of the cell among them."""
        config = super().get_config()
        del config["cell"]
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:  # type: ignore[override]
        """Make the layer from its configuration, also from one of older versions (`implementation` 0)."""
        given = dict(config)
        if given.get("implementation") == 0:
            given["implementation"] = 1
        # What a configuration does not say is as it was before there were other defaults.
        for name, value in (("recurrent_activation", "hard_sigmoid"), ("reset_after", False)):
            if name in cls.config_names:
                given.setdefault(name, value)
        if "implementation" not in cls.config_names:
            given.pop("implementation", None)
        return cls(**given)


class SimpleRNN(CellLayer):
    """A fully connected recurrent layer whose output is fed back, see `SimpleRNNCell`.

    Parameters
    ----------
    units, activation, use_bias, kernel_initializer, ... :
        As of `SimpleRNNCell`.
    activity_regularizer : Regularizer, optional
    return_sequences, return_state, go_backwards, stateful, unroll : bool
        As of `RNN`.

    Shapes
    ------
    (batch, steps, features) to (batch, units), or (batch, steps, units) under `return_sequences`.
    """

    config_names: ClassVar[tuple[str, ...]] = (*SimpleRNNCell.config_names, "activity_regularizer")

    @legacy.recurrent
    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
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
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        **kwargs: Any,
    ) -> None:
        if kwargs.pop("implementation", None) is not None:
            warn_user(
                "The `implementation` argument in `SimpleRNN` has been deprecated. Please remove it from "
                "your layer call.",
            )
        cell = SimpleRNNCell(
            units=units,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
        )
        super().__init__(cell, return_sequences, return_state, go_backwards, stateful, unroll, **kwargs)
        self.activity_regularizer = regularizers.get(activity_regularizer)


class GRU(CellLayer):
    """Gated recurrent units (Cho et al., arXiv:1406.1078), see `GRUCell`.

    Parameters
    ----------
    units, activation, use_bias, kernel_initializer, ... :
        As of `GRUCell`.
    activity_regularizer : Regularizer, optional
    return_sequences, return_state, go_backwards, stateful, unroll : bool
        As of `RNN`.

    Shapes
    ------
    (batch, steps, features) to (batch, units), or (batch, steps, units) under `return_sequences`.
    """

    config_names: ClassVar[tuple[str, ...]] = (*GRUCell.config_names, "activity_regularizer")

    @legacy.recurrent
    @tf_keras_defaults(since=2, recurrent_activation="sigmoid", reset_after=True)
    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "hard_sigmoid",
        use_bias: bool = True,
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
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        implementation: int = 1,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = False,
        **kwargs: Any,
    ) -> None:
        cell = GRUCell(
            units=units,
            activation=activation,
            recurrent_activation=recurrent_activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            implementation=implementation,
            reset_after=reset_after,
        )
        super().__init__(cell, return_sequences, return_state, go_backwards, stateful, unroll, **kwargs)
        self.activity_regularizer = regularizers.get(activity_regularizer)


class LSTM(CellLayer):
    """Long short-term memories (Hochreiter & Schmidhuber 1997), see `LSTMCell`.

    Parameters
    ----------
    units, activation, use_bias, kernel_initializer, ... :
        As of `LSTMCell`.
    activity_regularizer : Regularizer, optional
    return_sequences, return_state, go_backwards, stateful, unroll : bool
        As of `RNN`.

    Shapes
    ------
    (batch, steps, features) to (batch, units), or (batch, steps, units) under `return_sequences`.
    """

    config_names: ClassVar[tuple[str, ...]] = (*LSTMCell.config_names, "activity_regularizer")

    @legacy.recurrent
    @tf_keras_defaults(since=2, recurrent_activation="sigmoid")
    def __init__(
        self,
        units: int,
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
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        implementation: int = 1,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        **kwargs: Any,
    ) -> None:
        cell = LSTMCell(
            units=units,
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
            implementation=implementation,
        )
        super().__init__(cell, return_sequences, return_state, go_backwards, stateful, unroll, **kwargs)
        self.activity_regularizer = regularizers.get(activity_regularizer)
