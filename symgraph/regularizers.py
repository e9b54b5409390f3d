"""Penalties on weights or outputs, added to the loss; the names of Keras 1 are at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from symgraph import backend as K
from symgraph.utils.config_errors import config_errors, label_of
from symgraph.utils.generic_utils import deserialize_keras_object, serialize_keras_object
from symgraph.utils.warn_user import warn_old


class Regularizer:
    """Base of regularizers: called with a tensor, it returns a scalar penalty."""

    def __call__(self, x: Any) -> Any:
        return 0.0

    def set_param(self, p: Any) -> None:
        """Note a weight of a layer that lists this regularizer in `regularizers`; with a warning."""
        warn_old("Since Keras 1.2 a layer gives a weight's regularizer to `add_weight(regularizer=...)`.")
        self._param = p

    def set_layer(self, layer: Any) -> None:
        """Become a layer's `activity_regularizer`, with a warning."""
        warn_old("Since Keras 1.2 a layer sets `activity_regularizer` for a penalty on its outputs.")
        layer.activity_regularizer = self

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
        return deserialize(identifier if "class_name" in identifier else _old_config(identifier))
    if isinstance(identifier, str):
        return deserialize({"class_name": identifier, "config": {}})
    if callable(identifier):
        return identifier
    raise ValueError(
        f"Could not interpret regularizer identifier: {identifier!r}; expected "
        "None, a name such as 'l2', a regularizer such as `l2(0.01)`, or its configuration"
    )


def _old_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A description as Keras 1 wrote it: the arguments, and maybe the class under 'name'."""
    arguments = {key: value for key, value in config.items() if key != "name"}
    kind = config.get("name") or ("EigenvalueRegularizer" if "k" in config else "L1L2")
    # One class under three names: a description gives no reason to warn.
    same = ("L1L2Regularizer", "WeightRegularizer", "ActivityRegularizer")
    return {"class_name": "L1L2" if kind in same else kind, "config": arguments}


# -- Keras 1 -------------------------------------------------------------------------------------------------


class EigenvalueRegularizer(Regularizer):
    """k · the largest singular value of a matrix, estimated by 9 steps of the power method from ones.

    Parameters
    ----------
    k : float
    """

    def __init__(self, k: float) -> None:
        self.k = k

    def __call__(self, x: Any) -> Any:
        if K.ndim(x) != 2:
            raise ValueError(f"EigenvalueRegularizer is only available for tensors of rank 2, got {x.type}")
        covariance = K.dot(K.transpose(x), x)
        vector = K.dot(covariance, K.ones_like(covariance[:, :1]))
        for _ in range(8):
            vector = K.dot(covariance, vector)
        image = K.dot(covariance, vector)
        return self.k * K.sqrt(K.sum(image * vector) / K.sum(vector * vector))

    def get_config(self) -> dict[str, Any]:
        """k."""
        return {"k": float(self.k)}


class _Old(L1L2):
    """`L1L2` under a name of Keras 1, with a warning."""

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        warn_old(f"`{type(self).__name__}` is called `L1L2` since Keras 2: `L1L2(l1={l1}, l2={l2})`.")
        super().__init__(l1, l2)


class L1L2Regularizer(_Old):
    """`L1L2`, with a warning."""


class WeightRegularizer(_Old):
    """`L1L2`, with a warning."""


class ActivityRegularizer(_Old):
    """`L1L2`, with a warning."""


def l1l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    """`l1_l2`, with a warning."""
    warn_old(f"`regularizers.l1l2` is called `l1_l2` since Keras 2: `l1_l2(l1={l1}, l2={l2})`.")
    return L1L2(l1=l1, l2=l2)


def activity_l1(l: float = 0.01) -> L1L2:  # noqa: E741 - Keras' name
    """`l1`, with a warning."""
    warn_old(f"`regularizers.activity_l1` is `l1` since Keras 2: `activity_regularizer=l1({l})`.")
    return L1L2(l1=l)


def activity_l2(l: float = 0.01) -> L1L2:  # noqa: E741 - Keras' name
    """`l2`, with a warning."""
    warn_old(f"`regularizers.activity_l2` is `l2` since Keras 2: `activity_regularizer=l2({l})`.")
    return L1L2(l2=l)


def activity_l1l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    """`l1_l2`, with a warning."""
    warn_old(
        "`regularizers.activity_l1l2` is `l1_l2` since Keras 2: "
        f"`activity_regularizer=l1_l2(l1={l1}, l2={l2})`."
    )
    return L1L2(l1=l1, l2=l2)


_OBJECTS |= {
    made.__name__: made
    for made in (
        EigenvalueRegularizer, L1L2Regularizer, WeightRegularizer, ActivityRegularizer, l1l2, activity_l1,
        activity_l2, activity_l1l2,
    )
}  # fmt: skip
