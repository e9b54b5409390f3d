"""Metric functions: (targets, predictions) to values whose mean is reported."""

from __future__ import annotations

from typing import Any

from symgraph import backend as K
from symgraph.utils.warn_user import warn_old


def binary_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Share of the outputs that round to their targets 0 and 1: the shape without the last axis."""
    return K.mean(K.equal(y_true, K.round(y_pred)), axis=-1)


def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the highest score is the target's class, else 0, for one-hot targets: without the last axis."""
    return K.cast(K.equal(K.argmax(y_true, axis=-1), K.argmax(y_pred, axis=-1)), K.floatx())


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the highest score is the class that the target numbers, else 0.

    `y_true` is (samples, ..., 1) or (samples, ...), `y_pred` (samples, ..., classes). The result has the
    shape (samples, ...).
    """
    best = K.argmax(y_pred, axis=-1)
    labels = K.reshape(y_true, best.shape)
    return K.cast(K.equal(labels, K.cast(best, K.dtype(y_true))), K.floatx())


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """Share of samples whose class is among the `k` highest scores, for one-hot targets: a scalar."""
    return K.mean(K.in_top_k(y_pred, K.argmax(y_true, axis=-1), k), axis=-1)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """Share of the samples whose class number is among the `k` highest scores: a scalar.

    `y_true` is (samples, 1) or (samples,), `y_pred` (samples, classes).
    """
    return K.mean(K.in_top_k(y_pred, K.cast(K.flatten(y_true), "int32"), k), axis=-1)


# -- Keras 1 -------------------------------------------------------------------------------------------------


def _of_batches(name: str) -> None:
    """Warn of a metric of batches, whose mean is not that of all samples."""
    warn_old(
        f"The metric `{name}` is gone since Keras 2: it is computed batch by batch, and the mean over the "
        "batches is not that of all samples. Compute it in a callback, from `model.predict`."
    )


def _confusion(y_true: Any, y_pred: Any) -> tuple[Any, Any, Any]:
    """Numbers of true positives, of predicted positives and of possible ones, all rounded to 0 or 1."""
    hits = K.round(K.clip(y_true * y_pred, 0, 1))
    predicted, possible = K.round(K.clip(y_pred, 0, 1)), K.round(K.clip(y_true, 0, 1))
    return K.sum(hits), K.sum(predicted), K.sum(possible)


def _fbeta(y_true: Any, y_pred: Any, beta: float) -> Any:
    hits, predicted, possible = _confusion(y_true, y_pred)
    p, r = hits / (predicted + K.epsilon()), hits / (possible + K.epsilon())
    return (1 + beta**2) * (p * r) / (beta**2 * p + r + K.epsilon())


def matthews_correlation(y_true: Any, y_pred: Any) -> Any:
    """The correlation of labels 0 and 1 with rounded predictions over a batch: a scalar from -1 to 1."""
    _of_batches("matthews_correlation")
    guess, label = K.round(K.clip(y_pred, 0, 1)), K.round(K.clip(y_true, 0, 1))
    tp, tn = K.sum(label * guess), K.sum((1 - label) * (1 - guess))
    fp, fn = K.sum((1 - label) * guess), K.sum(label * (1 - guess))
    scale = K.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return (tp * tn - fp * fn) / (scale + K.epsilon())


def precision(y_true: Any, y_pred: Any) -> Any:
    """The share of true positives among the predicted ones of a batch: a scalar."""
    _of_batches("precision")
    hits, predicted, _ = _confusion(y_true, y_pred)
    return hits / (predicted + K.epsilon())


def recall(y_true: Any, y_pred: Any) -> Any:
    """The share of a batch's positives that are predicted: a scalar."""
    _of_batches("recall")
    hits, _, possible = _confusion(y_true, y_pred)
    return hits / (possible + K.epsilon())


def fbeta_score(y_true: Any, y_pred: Any, beta: float = 1) -> Any:
    """The weighted harmonic mean of precision and recall of a batch; 0 where there are no positives.

    Raises
    ------
    ValueError
        If `beta`, the weight of recall, is negative.
    """
    if beta < 0:
        raise ValueError(f"The lowest choosable beta is zero (only precision), got {beta}")
    _of_batches("fbeta_score")
    return _fbeta(y_true, y_pred, beta)


def fmeasure(y_true: Any, y_pred: Any) -> Any:
    """`fbeta_score` with beta 1."""
    _of_batches("fmeasure")
    return _fbeta(y_true, y_pred, 1)


fscore = f1score = fmeasure
