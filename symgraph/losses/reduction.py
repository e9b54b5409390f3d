"""Loss objects: a function for each sample, and how its values become one number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np

from symgraph import backend as K
from symgraph.utils.config_errors import config_errors, label_of


class Reduction:
    """Names of the ways to make one number of the values of all samples."""

    AUTO = "auto"
    NONE = "none"
    SUM = "sum"
    SUM_OVER_BATCH_SIZE = "sum_over_batch_size"

    @classmethod
    def all(cls) -> tuple[str, ...]:
        """All names."""
        return cls.AUTO, cls.NONE, cls.SUM, cls.SUM_OVER_BATCH_SIZE

    @classmethod
    def validate(cls, key: Any) -> None:
        """ValueError where `key` is none of the names."""
        if key not in cls.all():
            raise ValueError(f"Invalid Reduction Key {key!r}; expected one of {', '.join(cls.all())}")


class Loss:
    """Base of loss objects. A subclass writes `call`.

    Parameters
    ----------
    reduction : str
        'sum_over_batch_size' ('auto' means it): the sum of all values over their number. Values of samples
        with weights, or masked ones, count in that number. 'sum': their sum; 'none': the values, which
        `compile` refuses.
    name : str, optional

    Raises
    ------
    ValueError
        If `reduction` is none of these.
    """

    def __init__(self, reduction: str = Reduction.AUTO, name: str | None = None) -> None:
        Reduction.validate(reduction)
        self.reduction = reduction
        self.name = name

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The loss of a batch.

        Parameters
        ----------
        y_true, y_pred : tensor or array
        sample_weight : tensor or array, optional
            A number, one for each sample, or one for each value.

        Returns
        -------
        tensor
            A scalar; with the reduction 'none' the shape of the values.
        """
        y_true, y_pred = as_floats(y_true, y_pred)
        return weighted_loss(self.call(y_true, y_pred), [sample_weight], self.reduction)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The values, one for each sample (or for each step of each)."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to compute a loss: write `call`")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal loss."""
        return {"reduction": self.reduction, "name": self.name}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A loss of `get_config`'s arguments."""
        with config_errors(label_of(cls.__name__, config)):
            return cls(**config)


def as_floats(*values: Any) -> tuple[Any, ...]:
    """Arrays as constants of `floatx()`; tensors stay."""
    return tuple(x if K.is_tensor(x) else K.constant(np.asarray(x, K.floatx())) for x in values)


def weighted_loss(values: Any, factors: Iterable[Any], reduction: str) -> Any:
    """The values times weights and masks, reduced as TensorFlow does.

    Parameters
    ----------
    values : tensor
    factors : iterable of tensor, array or None
        None counts as 1. A factor of fewer axes than `values` holds for all that a sample has.
    reduction : str
        See `Loss`.
    """
    for factor in factors:
        if factor is not None:
            values = values * expanded(factor, K.ndim(values))
    if reduction == Reduction.NONE:
        return values
    return K.sum(values) if reduction == Reduction.SUM else K.mean(values)


def expanded(factor: Any, ndim: int) -> Any:
    """`factor` in `floatx()`, with axes of size 1 behind its own up to `ndim`; one too many is removed."""
    factor = K.cast(as_floats(factor)[0], K.floatx())
    if K.ndim(factor) == ndim + 1 and K.int_shape(factor)[-1] == 1:
        return K.squeeze(factor, -1)
    for _ in range(ndim - K.ndim(factor) if K.ndim(factor) else 0):
        factor = K.expand_dims(factor, -1)
    return factor
