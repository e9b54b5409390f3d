"""Arguments of layers: kept under their own names, and written to configurations by a list of them."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from symgraph import activations, constraints, initializers, regularizers
from symgraph.engine.base_layer import Layer
from symgraph.graph.tensor import Tensor

# What the last word of an argument's name says about its values.
_KINDS: dict[str, Any] = {
    "activation": activations,
    "initializer": initializers,
    "regularizer": regularizers,
    "constraint": constraints,
}


class ConfiguredLayer(Layer):
    """A layer whose configuration is the list of its arguments.

    `config_names` names the arguments, in Keras' order. Names that end in activation, initializer,
    regularizer or constraint stand for objects: they are looked up when they are stored, and described in
    configurations.
    """

    config_names: ClassVar[tuple[str, ...]] = ()

    def _store(self, **arguments: Any) -> None:
        for name, value in arguments.items():
            kind = _kind(name)
            setattr(self, name, value if kind is None else kind.get(value))

    def get_config(self) -> dict[str, Any]:
        """Name, trainable, input shape if known, and the arguments."""
        config = super().get_config()
        for name in self.config_names:
            kind, value = _kind(name), getattr(self, name)
            config[name] = value if kind is None else kind.serialize(value)
        return config


def _kind(name: str) -> Any:
    return _KINDS.get(name.rpartition("_")[2])


def at_least(minimum: int, value: Any, name: str) -> int:
    """`value` as an integer.

    Raises
    ------
    TypeError
        If it is no integer.
    ValueError
        If it is smaller than `minimum`.
    """
    whole = isinstance(value, float) and value.is_integer()
    if isinstance(value, bool) or not (whole or isinstance(value, (int, np.integer))):
        raise TypeError(f"The `{name}` argument must be an integer, got {value!r}")
    if value < minimum:
        raise ValueError(f"The `{name}` argument must be at least {minimum}, got {value}")
    return int(value)


def number(value: Any, name: str) -> float:
    """`value` as a float. TypeError if it is no number."""
    if isinstance(value, (bool, str, Tensor)) or not np.isscalar(np.asarray(value)[()]):
        raise TypeError(f"The `{name}` argument must be a number, got {value!r}")
    return float(value)
