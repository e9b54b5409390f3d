"""Projections that keep weights inside a set: an optimizer applies them to each new value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from symgraph import backend as K
from symgraph.utils.config_errors import config_errors, label_of
from symgraph.utils.generic_utils import deserialize_keras_object, serialize_keras_object
from symgraph.utils.old_arguments import old_arguments


class Constraint:
    """Base of constraints: called with a new value of weights, it returns the value to store."""

    def __call__(self, w: Any) -> Any:
        return w

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal constraint."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Make a constraint of `get_config`'s arguments."""
        with config_errors(label_of(cls.__name__, config)):
            return cls(**config)


class _NormConstraint(Constraint):
    """What constraints of vector norms share: the axes that make up a vector.

    For a Dense kernel (inputs, units) axis 0 is the vector of one unit; for a Conv2D kernel
    (rows, columns, channels, filters) axes [0, 1, 2] are one filter.
    """

    def __init__(self, axis: int | Sequence[int] = 0) -> None:
        self.axis = axis

    def norms(self, w: Any) -> Any:
        """Euclidean norms along the axes, which stay with size 1."""
        return K.sqrt(K.sum(K.square(w), axis=self.axis, keepdims=True))

    def get_config(self) -> dict[str, Any]:
        """Return axis."""
        return {"axis": self.axis}


class MaxNorm(_NormConstraint):
    """Scales vectors whose norm is above a limit down to it (Srivastava et al., JMLR 2014).

    Parameters
    ----------
    max_value : float
        The largest norm.
    axis : int or sequence of int
        The axes of a vector: 0 for a Dense kernel, [0, 1, 2] for a Conv2D kernel.
    """

    @old_arguments({"m": "max_value"})
    def __init__(self, max_value: float = 2, axis: int | Sequence[int] = 0) -> None:
        super().__init__(axis)
        self.max_value = max_value

    def __call__(self, w: Any) -> Any:
        norms = self.norms(w)
        return w * (K.clip(norms, 0, self.max_value) / (K.epsilon() + norms))

    def get_config(self) -> dict[str, Any]:
        """max_value, axis."""
        return {"max_value": self.max_value, **super().get_config()}


class NonNeg(Constraint):
    """Sets negative weights to 0."""

    def __call__(self, w: Any) -> Any:
        return w * K.cast(K.greater_equal(w, 0.0), K.dtype(w))


class UnitNorm(_NormConstraint):
    """Scales vectors to norm 1.

    Parameters
    ----------
    axis : int or sequence of int
        The axes of a vector: 0 for a Dense kernel, [0, 1, 2] for a Conv2D kernel.
    """

    def __call__(self, w: Any) -> Any:
        return w / (K.epsilon() + self.norms(w))


class MinMaxNorm(_NormConstraint):
    """Brings the norms of vectors between two bounds, at once or step by step.

    Parameters
    ----------
    min_value, max_value : float
        The bounds.
    rate : float
        The new norm is (1 - rate) · norm + rate · clip(norm, min_value, max_value).
    axis : int or sequence of int
        The axes of a vector: 0 for a Dense kernel, [0, 1, 2] for a Conv2D kernel.
    """

    @old_arguments({"low": "min_value", "high": "max_value"})
    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: int | Sequence[int] = 0,
    ) -> None:
        super().__init__(axis)
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate

    def __call__(self, w: Any) -> Any:
        norms = self.norms(w)
        wanted = self.rate * K.clip(norms, self.min_value, self.max_value) + (1 - self.rate) * norms
        return w * (wanted / (K.epsilon() + norms))

    def get_config(self) -> dict[str, Any]:
        """min_value, max_value, rate, axis."""
        bounds = {"min_value": self.min_value, "max_value": self.max_value, "rate": self.rate}
        return {**bounds, **super().get_config()}


max_norm = maxnorm = MaxNorm
non_neg = nonneg = NonNeg
unit_norm = unitnorm = UnitNorm
min_max_norm = MinMaxNorm

_OBJECTS: dict[str, Any] = {
    made.__name__: made for made in (Constraint, MaxNorm, NonNeg, UnitNorm, MinMaxNorm)
} | {
    "max_norm": MaxNorm,
    "maxnorm": MaxNorm,
    "non_neg": NonNeg,
    "nonneg": NonNeg,
    "unit_norm": UnitNorm,
    "unitnorm": UnitNorm,
    "min_max_norm": MinMaxNorm,
}


def serialize(constraint: Any) -> Any:
    """Describe a constraint as a dict (a function as its name)."""
    return serialize_keras_object(constraint)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make a constraint from `serialize`'s description. ValueError where its name is unknown."""
    return deserialize_keras_object(config, _OBJECTS, custom_objects, "constraint")


def get(identifier: Any) -> Any:
    """Find a constraint.

    Parameters
    ----------
    identifier : None, str, dict or callable
        A name such as 'max_norm', a description by `serialize`, or the constraint itself; None stays None.

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
    raise ValueError(
        f"Could not interpret constraint identifier: {identifier!r}; expected "
        "None, a name such as 'max_norm', a constraint such as `max_norm(2)`, or its configuration"
    )
