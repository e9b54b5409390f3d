"""Metrics of yes and no: predictions above thresholds against targets 0 and 1.

Formulas are those of TensorFlow; a prediction is a yes where it is larger than the threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from symgraph import backend as K
from symgraph.losses.classes import without_last_axis
from symgraph.losses.reduction import as_floats, expanded
from symgraph.metrics.base import Metric
from symgraph.metrics.means import divided

_KINDS = ("true_positives", "true_negatives", "false_positives", "false_negatives")
# Thresholds at the ends lie outside [0, 1] by this, so that all predictions are above the first.
_BEYOND = 1e-7


class _ConfusionMetric(Metric):
    """What all share: weighted numbers of right and wrong answers for each threshold.

    Parameters
    ----------
    thresholds : sequence of float
    kinds : sequence of str
        Which numbers are kept, of `_KINDS`; each is a weight of the metric.
    """

    def __init__(
        self, thresholds: Sequence[float], kinds: Sequence[str], name: str | None, dtype: str | None
    ) -> None:
        super().__init__(name, dtype)
        self._limits = list(thresholds)
        self._kinds = tuple(kinds)
        for kind in self._kinds:
            setattr(self, kind, self.add_weight(kind, (len(self._limits),)))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Count a batch.

        Parameters
        ----------
        y_true, y_pred : tensor or array
            Of one shape: targets 0 and 1, predictions from 0 to 1. Others make the metric NaN.
        sample_weight : tensor or array, optional
            A number, one for each sample, or one for each value.
        """
        y_true, y_pred = without_last_axis(
            *(K.cast(value, self.dtype) for value in as_floats(y_true, y_pred))
        )
        y_true, y_pred = self._chosen(y_true, y_pred)
        factor = K.ones_like(y_pred)
        if sample_weight is not None:
            factor = expanded(sample_weight, K.ndim(y_pred)) * factor
        predictions, yes, weights = (K.reshape(x, (1, -1)) for x in (y_pred, y_true, factor))
        # TensorFlow ends with an error here; a graph cannot, so the number must not look like a result.
        valid = _all_within(predictions)
        yes = K.cast(K.not_equal(yes, 0.0), self.dtype)
        limits = K.constant(np.reshape(self._limits, (-1, 1)), dtype=self.dtype)
        said = K.cast(K.greater(predictions, limits), self.dtype)
        said_yes, said_no = said * weights, (1.0 - said) * weights
        sums = {
            "true_positives": lambda: said_yes * yes,
            "false_positives": lambda: said_yes * (1.0 - yes),
            "false_negatives": lambda: said_no * yes,
            "true_negatives": lambda: said_no * (1.0 - yes),
        }
        for kind in self._kinds:
            getattr(self, kind).assign_add(K.sum(sums[kind](), axis=1) * valid)

    def _chosen(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        """What of targets and predictions counts."""
        return y_true, y_pred

    def _one_or_all(self, values: Any) -> Any:
        return values[0] if len(self._limits) == 1 else values


def _all_within(predictions: Any) -> Any:
    """1, and NaN where one of the predictions is not in [0, 1]."""
    inside = K.all(K.equal(predictions, K.clip(predictions, 0.0, 1.0)))
    return K.switch(inside, K.constant(1.0), K.constant(np.nan))


def _checked_thresholds(owner: str, thresholds: Any, default: float = 0.5) -> list[float]:
    found = [default] if thresholds is None else np.reshape(np.asarray(thresholds, float), -1).tolist()
    wrong = [value for value in found if not 0 <= value <= 1]
    if wrong:
        raise ValueError(f"{owner}: thresholds should lie in [0, 1], got {wrong}")
    return found


class _Count(_ConfusionMetric):
    """The weighted number of answers of one kind."""

    kind: ClassVar[str]

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(_checked_thresholds(type(self).__name__, thresholds), (self.kind,), name, dtype)
        self.thresholds = thresholds

    def result(self) -> Any:
        """The number; a vector of them for several thresholds."""
        return self._one_or_all(K.identity(getattr(self, self.kind)))

    def get_config(self) -> dict[str, Any]:
        """thresholds, name, dtype."""
        return {"thresholds": self.thresholds, **super().get_config()}


class TruePositives(_Count):
    """The number of targets 1 whose prediction is above the threshold (0.5)."""

    kind = "true_positives"


class TrueNegatives(_Count):
    """The number of targets 0 whose prediction is not above the threshold (0.5)."""

    kind = "true_negatives"


class FalsePositives(_Count):
    """The number of targets 0 whose prediction is above the threshold (0.5)."""

    kind = "false_positives"


class FalseNegatives(_Count):
    """The number of targets 1 whose prediction is not above the threshold (0.5)."""

    kind = "false_negatives"


class _Share(_ConfusionMetric):
    """True positives over what `other` adds to them."""

    other: ClassVar[str]

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        owner = type(self).__name__
        if top_k is not None:
            raise ValueError(f"{owner}: top_k is not supported, got {top_k!r}")
        kinds = ("true_positives", self.other)
        super().__init__(_checked_thresholds(owner, thresholds), kinds, name, dtype)
        self.thresholds, self.class_id = thresholds, class_id

    def _chosen(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        if self.class_id is None:
            return y_true, y_pred
        return y_true[..., self.class_id], y_pred[..., self.class_id]

    def result(self) -> Any:
        """The share, 0 where nothing counts; a vector of them for several thresholds."""
        right = getattr(self, "true_positives")  # noqa: B009
        return self._one_or_all(divided(right, right + getattr(self, self.other)))

    def get_config(self) -> dict[str, Any]:
        """thresholds, top_k, class_id, name, dtype."""
        return {
            "thresholds": self.thresholds,
            "top_k": None,
            "class_id": self.class_id,
            **super().get_config(),
        }


class Precision(_Share):
    """The share of targets 1 among the predictions above the threshold.

    Parameters
    ----------
    thresholds : float or sequence of float, optional
        By default 0.5.
    top_k
        Not supported.
    class_id : int, optional
        Count this class only.
    name, dtype
        See `Metric`.
    """

    other = "false_positives"


class Recall(_Share):
    """The share of the targets 1 whose prediction is above the threshold; parameters as of `Precision`."""

    other = "false_negatives"


class _AtOther(_ConfusionMetric):
    """One rate at the threshold where another one is closest to a given value."""

    given: ClassVar[str]

    def __init__(self, value: float, num_thresholds: int, name: str | None, dtype: str | None) -> None:
        owner = type(self).__name__
        if not 0 <= value <= 1:
            raise ValueError(f"{owner}: `{self.given}` must be in the range [0, 1], got {value!r}")
        if num_thresholds <= 0:
            raise ValueError(f"{owner}: `num_thresholds` must be > 0, got {num_thresholds!r}")
        inner = [0.5] if num_thresholds == 1 else (np.arange(num_thresholds) / (num_thresholds - 1)).tolist()
        super().__init__(inner, _KINDS, name, dtype)
        self.value, self.num_thresholds = value, num_thresholds

    def _rates(self) -> tuple[Any, Any]:
        """Sensitivity and specificity at each threshold."""
        tp, tn, fp, fn = (getattr(self, kind) for kind in _KINDS)
        return divided(tp, tp + fn), divided(tn, tn + fp)

    def _at(self, rate: Any, given: Any) -> Any:
        return K.gather(rate, K.argmin(K.abs(given - self.value), axis=0))

    def get_config(self) -> dict[str, Any]:
        """num_thresholds, the given rate, name, dtype."""
        return {"num_thresholds": self.num_thresholds, self.given: self.value, **super().get_config()}


class SensitivityAtSpecificity(_AtOther):
    """The share of targets 1 that are found, at the threshold whose specificity is closest to the given one.

    Parameters
    ----------
    specificity : float
        From 0 to 1.
    num_thresholds : int
        How many thresholds are tried, evenly from 0 to 1.
    name, dtype
        See `Metric`.
    """

    given = "specificity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(specificity, num_thresholds, name, dtype)

    def result(self) -> Any:
        """The sensitivity."""
        return self._at(*self._rates())


class SpecificityAtSensitivity(_AtOther):
    """The share of targets 0 left out, at the threshold whose sensitivity is closest to the given one.

    Parameters
    ----------
    sensitivity : float
        From 0 to 1.
    num_thresholds : int
        How many thresholds are tried, evenly from 0 to 1.
    name, dtype
        See `Metric`.
    """

    given = "sensitivity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(sensitivity, num_thresholds, name, dtype)

    def result(self) -> Any:
        """The specificity."""
        sensitivity, specificity = self._rates()
        return self._at(specificity, sensitivity)


class AUC(_ConfusionMetric):
    """The area under a curve of rates, in straight or interpolated pieces between thresholds.

    Parameters
    ----------
    num_thresholds : int
        At least 2, evenly from 0 to 1.
    curve : str
        'ROC' (recall over the rate of false positives) or 'PR' (precision over recall).
    summation_method : str
        'interpolation' (for 'PR' as Davis & Goadrich, ICML 2006), 'minoring' or 'majoring'.
    name, dtype
        See `Metric`.
    thresholds : sequence of float, optional
        Those between 0 and 1, in the place of `num_thresholds`.

    Raises
    ------
    ValueError
        For values outside these.
    """

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: str | None = None,
        thresholds: Any = None,
    ) -> None:
        for argument, given, known in (
            ("curve", curve, ("ROC", "PR")),
            ("summation_method", summation_method, ("interpolation", "minoring", "majoring")),
        ):
            if given not in known:
                raise ValueError(f"AUC: `{argument}` should be one of {', '.join(known)}, got {given!r}")
        if thresholds is not None:
            inner = sorted(_checked_thresholds("AUC", thresholds))
            num_thresholds = len(inner) + 2
        elif num_thresholds <= 1:
            raise ValueError(f"AUC: `num_thresholds` must be > 1, got {num_thresholds!r}")
        else:
            inner = (np.arange(1, num_thresholds - 1) / (num_thresholds - 1)).tolist()
        super().__init__([-_BEYOND, *inner, 1.0 + _BEYOND], _KINDS, name, dtype)
        self.num_thresholds, self.curve, self.summation_method = num_thresholds, curve, summation_method
        self._given_thresholds = None if thresholds is None else inner

    def result(self) -> Any:
        """The area."""
        tp, tn, fp, fn = (getattr(self, kind) for kind in _KINDS)
        if self.curve == "PR" and self.summation_method == "interpolation":
            return _interpolated_area(tp, fp, fn)
        recall = divided(tp, tp + fn)
        x, y = (divided(fp, fp + tn), recall) if self.curve == "ROC" else (recall, divided(tp, tp + fp))
        if self.summation_method == "interpolation":
            heights = (y[:-1] + y[1:]) / 2.0
        else:
            heights = (K.minimum if self.summation_method == "minoring" else K.maximum)(y[:-1], y[1:])
        return K.sum((x[:-1] - x[1:]) * heights)

    def get_config(self) -> dict[str, Any]:
        """num_thresholds, curve, summation_method, the given thresholds, name, dtype."""
        return {
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "thresholds": self._given_thresholds,
            **super().get_config(),
        }


def _interpolated_area(tp: Any, fp: Any, fn: Any) -> Any:
    """Under precision over recall, where true positives grow in a straight line with all positives."""
    positives = tp + fp
    before, after = positives[:-1], K.maximum(positives[1:], 0.0)
    slope = divided(tp[:-1] - tp[1:], K.maximum(before - positives[1:], 0.0))
    start = tp[1:] - slope * positives[1:]
    both = K.cast(K.greater(before, 0.0), K.floatx()) * K.cast(K.greater(after, 0.0), K.floatx())
    ratio = K.switch(K.greater(both, 0.0), divided(before, after), K.ones_like(before))
    pieces = slope * (tp[:-1] - tp[1:] + start * K.log(ratio))
    return K.sum(divided(pieces, K.maximum(tp[1:] + fn[1:], 0.0)))
