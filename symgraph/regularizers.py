"""Penalties on weights or outputs, added to the loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from symgraph import backend as K
from symgraph.utils.config_errors import config_errors, label_of
from symgraph.utils.generic_utils import deserialize_keras_object, serialize_keras_object


class Regularizer:
    """Base of regularizers: called with a tensor, it returns a scalar penalty."""

    def __call__(self, x: Any) -> Any:
        return 0.0

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Make a regularizer of `get_config`'s arguments."""
        with config_errors(label_of(cls.__name__, config)):
            return cls(**config)


class L1L2(Regularizer):
    """l1 · Σ|x| + l2 · Σx².

    Parameters
    ----------
    l1, l2 : float
        Factors; a term whose factor is 0 is left out.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = K.cast_to_floatx(l1)
        self.l2 = K.cast_to_floatx(l2)

    def __call__(self, x: Any) -> Any:
        penalty: Any = 0.0
        if self.l1:
            penalty = penalty + float(self.l1) * K.sum(K.abs(x))
        if self.l2:
            penalty = penalty + float(self.l2) * K.sum(K.square(x))
        return penalty

    def get_config(self) -> dict[str, Any]:
        """l1, l2."""
        return {"l1": float(self.l1), "l2": float(self.l2)}


def l1(l: float = 0.01) -> L1L2:  # noqa: E741 - Keras' name
    """l · Σ|x|."""
    return L1L2(l1=l)


def l2(l: float = 0.01) -> L1L2:  # noqa: E741 - Keras' name
    """l · Σx²."""
    return L1L2(l2=l)


def l1_l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    """l1 · Σ|x| + l2 · Σx²."""
    return L1L2(l1=l1, l2=l2)


_OBJECTS: dict[str, Any] = {made.__name__: made for made in (Regularizer, L1L2, l1, l2, l1_l2)}


def serialize(regularizer: Any) -> Any:
    """Describe a regularizer as a dict (a function as its name)."""
    return serialize_keras_object(regularizer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make a regularizer from `serialize`'s description. ValueError where its name is unknown."""
    return deserialize_keras_object(config, _OBJECTS, custom_objects, "regularizer")


def get(identifier: Any) -> Any:
    """Find a regularizer.

    Parameters
    ----------
    identifier : None, str, dict or callable
        A name such as 'l2', a description by `serialize`, or the regularizer itself; None stays None.

    Raises
    ------
    ValueError
        If there is none of that name, or `identifier` is nothing of the kind.
    """
    if identifier is None:
        return None
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return deserialize({"class_name": identifier, "config": {}})
    if callable(identifier):
        return identifier
    raise ValueError(f"Could not interpret regularizer identifier: {identifier!r}")
