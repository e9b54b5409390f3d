"""The base class of recurrent layers in Keras 1 and 2.0, for users' own ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symgraph import backend as K
from symgraph.engine.base_layer import Layer
from symgraph.engine.layer.rollback import unchanged_on_error
from symgraph.engine.layer.shapes import Shape
from symgraph.engine.layer.spec import InputSpec, check_inputs
from symgraph.graph.ops.create import zeros
from symgraph.graph.tensor import Tensor
from symgraph.graph.types import is_float
from symgraph.layers.rnn import UNKNOWN_BATCH, UNKNOWN_STEPS, first, joined_inputs, split_inputs
from symgraph.utils.generic_utils import has_arg, to_list
from symgraph.utils.warn_user import warn_old


class Recurrent(Layer):
    """Runs `step` along the time axis, with a warning: today one writes a cell, and `RNN(cell)`.

    A subclass sets `units` (`output_dim` in Keras 1), makes weights in `build` and writes
    ``step(x, states) -> (output, new states)``; behind the states stand the constants. `build` sets `states`:
    a list with None for each state, or, in a stateful layer, what `reset_states` makes. It may write
    `get_constants` and `preprocess_input` (with `training`, if they like), and `get_initial_state`, which
    Keras 1 called `get_initial_states`.

    Parameters
    ----------
    return_sequences, return_state, go_backwards, stateful, unroll : bool
        As of `RNN`.
    implementation : int
        For the subclass; Keras 1 called it `consume_less` ('cpu', 'mem' or 'gpu').
    **kwargs
        Keywords of `Layer`; `input_dim` and `input_length` for an input shape, `weights`.

    Shapes
    ------
    (batch, steps, features) to (batch, units), or (batch, steps, units) under `return_sequences`.
    """

    states: list[Any]
    state_spec: Any

    def __init__(
        self,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        implementation: int = 0,
        **kwargs: Any,
    ) -> None:
        warn_old(
            f"{type(self).__name__}: `Recurrent` was the base of recurrent layers up to Keras 2.0. Write a "
            "cell with `state_size` and `call(inputs, states)`, and use `RNN(cell)`."
        )
        self.consume_less = kwargs.pop("consume_less", "cpu")
        self.input_dim = kwargs.pop("input_dim", None)
        self.input_length = kwargs.pop("input_length", None)
        if self.input_dim and "input_shape" not in kwargs:
            kwargs["input_shape"] = (self.input_length, self.input_dim)
        self.input_spec = [InputSpec(ndim=3)]
        self.supports_masking = True
        super().__init__(**kwargs)
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.implementation = implementation
        self.state_spec = vars(self).get("state_spec")
        # The subclass of Keras 1 gives its weights their values itself.
        self.initial_weights = self._initial_weights

    # -- what a subclass writes ------------------------------------------------------------------------------

    def step(self, inputs: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The output and the new states of one time step."""
        raise NotImplementedError(f"{type(self).__name__} has to write `step(inputs, states)`")

    def get_constants(self, inputs: Tensor, training: Any = None) -> list[Any]:
        """Tensors that every step gets behind the states."""
        return []

    def preprocess_input(self, inputs: Tensor, training: Any = None) -> Tensor:
        """What the steps read: (batch, steps, ...)."""
        return inputs

    def get_initial_state(self, inputs: Tensor) -> list[Tensor]:
        """Zeros (batch, units) for each state."""
        old = getattr(self, "get_initial_states", None)
        if old is not None and getattr(old, "__func__", None) is not Recurrent.get_initial_states:
            return list(old(inputs))
        return self._zero_states(inputs)

    def get_initial_states(self, inputs: Tensor) -> list[Tensor]:
        """`get_initial_state` by the name of Keras 1."""
        return self._zero_states(inputs)

    def _zero_states(self, inputs: Tensor) -> list[Tensor]:
        dtype = inputs.dtype if is_float(inputs.dtype) else K.floatx()
        return [zeros((inputs.shape[0], self._width()), dtype) for _ in self._known_states()]

    # -- shapes and masks ------------------------------------------------------------------------------------

    def _width(self) -> int:
        for name in ("units", "output_dim"):
            if name in vars(self):
                return int(vars(self)[name])
        raise AttributeError(f"layer {self.name}: {type(self).__name__} has to set `units` (or `output_dim`)")

    def _known_states(self) -> list[Any]:
        if "states" not in vars(self):
            raise AttributeError(
                f"layer {self.name}: `build` of {type(self).__name__} has to set `states`, a list with None "
                "for each state"
            )
        return self.states

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shape of the output; with `return_state` a list, with those of the states behind it."""
        batch, steps, *_ = first(input_shape)
        output: Shape = (batch, steps, self._width()) if self.return_sequences else (batch, self._width())
        return [output, *((batch, self._width()) for _ in self.states)] if self.return_state else output

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the inputs for sequences, none for a last output and for states."""
        output = first(mask) if self.return_sequences else None
        return [output, *(None for _ in self.states)] if self.return_state else output

    # -- calls -----------------------------------------------------------------------------------------------

    def assert_input_compatibility(self, inputs: Any) -> None:
        """Compare the sequences with `input_spec`."""
        specs = to_list(self.input_spec)[:1]
        check_inputs(self.name, to_list(inputs), [*specs, *[None] * (len(to_list(inputs)) - 1)])

    def __call__(self, inputs: Any, initial_state: Any = None, **kwargs: Any) -> Any:
        """Apply the layer, see `Layer`; a list of inputs holds the initial states behind the sequences."""
        x, states, _ = split_inputs(inputs, initial_state, None, 0)
        tensors, keywords = joined_inputs(x, states, [])
        return super().__call__(tensors, **keywords, **kwargs)

    def _ensure_built(self, inputs: Any) -> None:
        if self.built:
            return
        with unchanged_on_error([self]):
            given, self._initial_weights = self._initial_weights, None
            super()._ensure_built(first(inputs))
            if given is not None and "initial_weights" in vars(self) and self.initial_weights is not None:
                self.set_weights(given)

    def call(self, inputs: Any, mask: Any = None, training: Any = None, initial_state: Any = None) -> Any:
        """Run the steps; the output, or a list of the output and the last states."""
        x, start, _ = split_inputs(inputs, initial_state, None, 0)
        steps = K.int_shape(x)[1]
        if self.unroll and steps in (None, 1):
            raise ValueError(UNKNOWN_STEPS)
        if start is None:
            start = self._known_states() if self.stateful else self.get_initial_state(x)
        if len(start) != len(self._known_states()):
            raise ValueError(
                f"Layer has {len(self.states)} states but was passed {len(start)} initial states."
            )
        given: list[Callable[..., Any]] = [self.get_constants, self.preprocess_input]
        constants, prepared = (
            f(x, **({"training": training} if has_arg(f, "training") else {})) for f in given
        )
        last, outputs, states = K.rnn(
            self.step,
            prepared,
            start,
            constants=[c if isinstance(c, Tensor) else K.constant(c) for c in constants],
            go_backwards=self.go_backwards,
            mask=first(mask),
            unroll=self.unroll,
            input_length=steps,
        )
        if self.stateful:
            self.add_update(list(zip(self.states, states, strict=True)), inputs)
        output = outputs if self.return_sequences else last
        return [output, *states] if self.return_state else output

    # -- states ----------------------------------------------------------------------------------------------

    def reset_states(self, states: Any = None) -> None:
        """Set the states of a stateful layer to zero, or to given values.

        Parameters
        ----------
        states : array or list of arrays, optional
            (batch, units) for each state.

        Raises
        ------
        AttributeError
            If the layer is not stateful.
        ValueError
            If the batch size is not known, or the values have another number or shape.
        """
        if not self.stateful:
            raise AttributeError("Layer must be stateful.")
        shape = to_list(self.input_spec)[0].shape or (None,)
        if not shape[0]:
            raise ValueError(UNKNOWN_BATCH)
        size = (shape[0], self._width())
        known = self._known_states()
        given = [np.zeros(size) for _ in known] if states is None else to_list(states, allow_tuple=True)
        if len(given) != len(known):
            raise ValueError(
                f"Layer {self.name} expects {len(known)} states, but it received {len(given)} state values. "
                f"Input received: {states}"
            )
        values = [np.asarray(value) for value in given]
        for index, value in enumerate(values):
            if value.shape != size:
                raise ValueError(
                    f"State {index} is incompatible with layer {self.name}: expected shape={size}, found "
                    f"shape={value.shape}"
                )
        if known and known[0] is None:
            self.states = [K.variable(np.zeros(size), name=f"{self.name}/state") for _ in known]
        K.batch_set_value(list(zip(self.states, values, strict=True)))

    def get_config(self) -> dict[str, Any]:
        """Name, trainable, input shape if known, and the arguments."""
        return {
            **super().get_config(),
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "unroll": self.unroll,
            "implementation": self.implementation,
        }


def time_distributed_dense(
    x: Tensor,
    w: Any,
    b: Any = None,
    dropout: float | None = None,
    input_dim: int | None = None,
    output_dim: int | None = None,
    timesteps: int | None = None,
    training: Any = None,
) -> Tensor:
    """x · w + b in every time step, for `preprocess_input` of a `Recurrent` layer.

    Parameters
    ----------
    x : Tensor, shape (batch, steps, features)
    w : Variable, shape (features, units)
    b : Variable, shape (units,), optional
    dropout : float, optional
        The share of features that training drops, the same in all steps of a sample.
    input_dim, output_dim, timesteps : int, optional
        Known from the tensors.
    training : bool or Tensor, optional
        In place of the learning phase.

    Returns
    -------
    Tensor, shape (batch, steps, units)
    """
    if dropout is not None and 0.0 < dropout < 1.0:
        mask = K.dropout(K.ones_like(x[:, :1]), dropout)
        x = K.in_train_phase(x * mask, x, training=training)
    y = K.dot(x, w)
    return y if b is None else K.bias_add(y, b, data_format="channels_last")
