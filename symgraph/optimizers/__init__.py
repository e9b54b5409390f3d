"""Optimizers: from a loss and its parameters to the updates that one training step makes.

Hyper-parameters that Keras lets a callback change during training (`lr`, `momentum`, ...) are variables: read
them with `K.get_value(optimizer.lr)` and set them with `K.set_value(optimizer.lr, 0.01)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symgraph.optimizers import schedules
from symgraph.optimizers.base import NoGradientError, Optimizer, clip_norm
from symgraph.optimizers.base import updates_of as updates_of
from symgraph.optimizers.descent import SGD, Adadelta, Adagrad, RMSprop
from symgraph.optimizers.moments import Adam, Adamax, Nadam
from symgraph.utils.generic_utils import deserialize_keras_object, get_custom_objects, serialize_keras_object
from symgraph.utils.warn_user import warn_old

__all__ = [
    "SGD", "Adadelta", "Adagrad", "Adam", "Adamax", "Nadam", "NoGradientError", "Optimizer", "RMSprop",
    "adadelta", "adagrad", "adam", "adamax", "clip_norm", "deserialize", "get", "nadam",
    "optimizer_from_config", "rmsprop", "schedules", "serialize", "sgd",
]  # fmt: skip

sgd = SGD
rmsprop = RMSprop
adagrad = Adagrad
adadelta = Adadelta
adam = Adam
adamax = Adamax
nadam = Nadam

_CLASSES: dict[str, Any] = {
    made.__name__.lower(): made for made in (SGD, RMSprop, Adagrad, Adadelta, Adam, Adamax, Nadam)
}


def serialize(optimizer: Any) -> Any:
    """Describe an optimizer as a dict, without its state."""
    return serialize_keras_object(optimizer)


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make an optimizer from `serialize`'s description.

    Built-in names count in small and in capital letters; in the dict `config` itself they become small, as in
    Keras.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if not isinstance(config, dict):
        config = dict(config)
    name = config.get("class_name")
    own = {**get_custom_objects(), **(custom_objects or {})}
    if isinstance(name, str) and name not in own and name.lower() in _CLASSES:
        config["class_name"] = name.lower()
    return deserialize_keras_object(config, _CLASSES, custom_objects, "optimizer")


def optimizer_from_config(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """`deserialize`, by the name that it had in Keras 1; with a warning."""
    warn_old("`optimizers.optimizer_from_config` is called `optimizers.deserialize` since Keras 2.")
    return deserialize(config, custom_objects)


def get(identifier: Any) -> Any:
    """Find an optimizer.

    Parameters
    ----------
    identifier : str, dict or Optimizer
        A name such as 'adam' (with its default arguments), a description by `serialize`, or the optimizer
        itself.

    Raises
    ------
    ValueError
        If there is none of that name, or `identifier` is nothing of the kind.
    """
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return deserialize({"class_name": identifier, "config": {}})
    raise ValueError(
        f"Could not interpret optimizer identifier: {identifier!r}; expected "
        "a name such as 'adam', an optimizer such as `Adam(lr=0.001)`, or its configuration"
    )
