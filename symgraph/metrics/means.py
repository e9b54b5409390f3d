"""Sums and means of values, weighted, over the batches of an epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph import backend as K
from symgraph.losses.classes import without_last_axis
from symgraph.losses.reduction import as_floats, expanded
from symgraph.metrics.base import Metric


def divided(total: Any, count: Any) -> Any:
    """total / count, and 0 where the count is 0."""
    empty = K.equal(count, 0.0)
    return K.switch(empty, K.zeros_like(total * count), total / K.switch(empty, K.ones_like(count), count))


def _weighted(values: Any, sample_weight: Any, inner: Callable[..., Any]) -> tuple[Any, Any]:
    """Values times weights, and the weights that count for them, by the rules of TensorFlow.

    A weight may be a number, one for each value, or for each vector of values; weights of still fewer axes
    are for what `inner`, a mean or sum, makes of all that a sample has.
    """
    factor = K.cast(as_floats(sample_weight)[0], K.dtype(values))
    gap = K.ndim(values) - K.ndim(factor)
    if K.ndim(factor) and gap > 1:
        values = inner(values, axis=list(range(K.ndim(factor), K.ndim(values))))
    factor = expanded(factor, K.ndim(values)) * K.ones_like(values)
    return values * factor, factor


class _Counted(Metric):
    """What sums and means share."""

    def _tensor(self, values: Any) -> Any:
        return K.cast(as_floats(values)[0], self.dtype)


class Sum(_Counted):
    """The weighted sum of all values.

    Parameters
    ----------
    name, dtype
        See `Metric`.
    """

    def __init__(self, name: str | None = "sum", dtype: str | None = None) -> None:
        super().__init__(name, dtype)
        self.total = self.add_weight("total")

    def update_state(self, values: Any, sample_weight: Any = None) -> Any:
        """Count `values`, of any shape, times their weights."""
        values = self._tensor(values)
        if sample_weight is not None:
            values, _ = _weighted(values, sample_weight, K.sum)
        self.total.assign_add(K.sum(values))

    def result(self) -> Any:
        """The sum."""
        return K.identity(self.total)


class Mean(_Counted):
    """The weighted mean of all values; 0 where there is none.

    Parameters
    ----------
    name, dtype
        See `Metric`.
    """

    def __init__(self, name: str | None = "mean", dtype: str | None = None) -> None:
        super().__init__(name, dtype)
        self.total = self.add_weight("total")
        self.count = self.add_weight("count")

    def update_state(self, values: Any, sample_weight: Any = None) -> Any:
        """Count `values`, of any shape, with their weights."""
        values = self._tensor(values)
        factor = K.ones_like(values)
        if sample_weight is not None:
            values, factor = _weighted(values, sample_weight, K.mean)
        self.total.assign_add(K.sum(values))
        self.count.assign_add(K.sum(factor))

    def result(self) -> Any:
        """The mean."""
        return divided(self.total, self.count)


class MeanMetricWrapper(Mean):
    """The weighted mean of what a function of (y_true, y_pred) gives for each sample.

    Parameters
    ----------
    fn : callable
    name, dtype
        See `Metric`; the name is by default that of the function.
    **kwargs
        Further arguments of `fn`.
    """

    def __init__(
        self, fn: Callable[..., Any], name: str | None = None, dtype: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(name or str(getattr(fn, "__name__", "mean_metric_wrapper")), dtype)
        self._fn = fn
        self._fn_kwargs = kwargs

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> Any:
        """Count a batch."""
        y_true, y_pred = without_last_axis(self._tensor(y_true), self._tensor(y_pred))
        return super().update_state(self._fn(y_true, y_pred, **self._fn_kwargs), sample_weight)

    def get_config(self) -> dict[str, Any]:
        """name, dtype, and the arguments of the function where a class of its own holds that."""
        own = {"fn": self._fn} if type(self) is MeanMetricWrapper else {}
        return {**own, **self._fn_kwargs, **super().get_config()}


class MeanRelativeError(Mean):
    """The mean of |y_pred - y_true| / normalizer.

    Parameters
    ----------
    normalizer : array
        Of the shape of the predictions; where it is 0, the error counts as 0.
    name, dtype
        See `Metric`.
    """

    def __init__(self, normalizer: Any, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(name, dtype)
        self.normalizer = normalizer

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> Any:
        """Count a batch."""
        y_true, y_pred = without_last_axis(self._tensor(y_true), self._tensor(y_pred))
        scale = self._tensor(self.normalizer) + K.zeros_like(y_pred)
        return super().update_state(divided(K.abs(y_true - y_pred), scale), sample_weight)

    def get_config(self) -> dict[str, Any]:
        """The normalizer as a list, name, dtype."""
        return {"normalizer": np.asarray(self.normalizer).tolist(), **super().get_config()}


class RootMeanSquaredError(Mean):
    """The root of the mean squared error of all values.

    Parameters
    ----------
    name, dtype
        See `Metric`.
    """

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: str | None = None) -> None:
        super().__init__(name, dtype)

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> Any:
        """Count a batch."""
        y_true, y_pred = without_last_axis(self._tensor(y_true), self._tensor(y_pred))
        return super().update_state(K.square(y_pred - y_true), sample_weight)

    def result(self) -> Any:
        """The root."""
        return K.sqrt(divided(self.total, self.count))
