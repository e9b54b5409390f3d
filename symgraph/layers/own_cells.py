"""What cells and recurrent layers of users import from Keras by names with an underscore."""

from __future__ import annotations

from typing import Any

from symgraph import backend as K
from symgraph.graph.tensor import Tensor
from symgraph.layers.rnn import split_inputs


def _generate_dropout_mask(
    ones: Tensor, rate: float, training: Any = None, count: int = 1
) -> Tensor | list[Tensor]:
    """Factors that drop a share `rate` of `ones` in training; a list of them where `count` is above 1."""
    masks = [K.in_train_phase(lambda: K.dropout(ones, rate), ones, training=training) for _ in range(count)]
    return masks if count > 1 else masks[0]


def _standardize_args(
    inputs: Any, initial_state: Any, constants: Any, num_constants: int | None
) -> tuple[Any, list[Any] | None, list[Any] | None]:
    """Sequences, initial states and constants (lists, or None), of a list of inputs or of keywords."""
    x, states, rest = split_inputs(inputs, initial_state, constants, num_constants)
    return x, states, rest or None
