"""Loss functions: (targets, predictions) of one shape to one value per sample.

Each takes `y_true` and `y_pred` of shape (samples, ..., n) and returns a tensor of shape (samples, ...);
losses are averaged over the samples by the model.
"""

from __future__ import annotations

import math
from typing import Any

from symgraph import backend as K
from symgraph.globals import TF_KERAS, answers_as


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """Mean of (p - t)²."""
    return K.mean(K.square(y_pred - y_true), axis=-1)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """Mean of |p - t|."""
    return K.mean(K.abs(y_pred - y_true), axis=-1)


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """100 times the mean of |t - p| / max(|t|, epsilon)."""
    size = K.clip(K.abs(y_true), K.epsilon(), None)
    return 100.0 * K.mean(K.abs((y_true - y_pred) / size), axis=-1)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """Mean of (log(1 + p) - log(1 + t))², with p and t held above epsilon."""
    logs = [K.log(K.clip(y, K.epsilon(), None) + 1.0) for y in (y_pred, y_true)]
    return K.mean(K.square(logs[0] - logs[1]), axis=-1)


def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """Mean of max(1 - t·p, 0)², for targets -1 and 1."""
    return K.mean(K.square(K.maximum(1.0 - _signs(y_true) * y_pred, 0.0)), axis=-1)


def hinge(y_true: Any, y_pred: Any) -> Any:
    """Mean of max(1 - t·p, 0), for targets -1 and 1."""
    return K.mean(K.maximum(1.0 - _signs(y_true) * y_pred, 0.0), axis=-1)


def _signs(y_true: Any) -> Any:
    """The targets; in the manners of tf.keras -1 for 0, where all of a batch are 0 or 1."""
    if answers_as() != TF_KERAS:
        return y_true
    are_binary = K.all(K.equal(y_true * (y_true - 1.0), 0.0))
    return K.switch(are_binary, 2.0 * y_true - 1.0, y_true)


def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """max(0, 1 + highest wrong score - right score), for one-hot targets."""
    right = K.sum(y_true * y_pred, axis=-1)
    wrong = K.max((1.0 - y_true) * y_pred, axis=-1)
    return K.maximum(0.0, wrong - right + 1.0)


def logcosh(y_true: Any, y_pred: Any) -> Any:
    """Mean of log(cosh(p - t)): about d²/2 for a small difference d, |d| - log 2 for a large one."""
    difference = y_pred - y_true
    # cosh(d) = exp(d) (1 + exp(-2d)) / 2, whose logarithm does not overflow.
    return K.mean(difference + K.softplus(-2.0 * difference) - math.log(2.0), axis=-1)


def huber_loss(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """Mean of d²/2 for differences d of at most `delta`, of delta · (|d| - delta / 2) for larger ones."""
    size = K.abs(y_pred - y_true)
    small = K.minimum(size, delta)
    return K.mean(0.5 * K.square(small) + delta * (size - small), axis=-1)


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0
) -> Any:
    """-Σ t·log p over the classes, for one-hot targets (or distributions).

    Parameters
    ----------
    y_true, y_pred : tensor
    from_logits : bool
        Whether `y_pred` are scores, which softmax would make probabilities.
    label_smoothing : float
        The share of each target that is spread evenly over all classes.
    """
    if label_smoothing:
        share = label_smoothing / float(K.int_shape(y_pred)[-1] or math.nan)
        y_true = y_true * (1.0 - label_smoothing) + share
    return K.categorical_crossentropy(y_true, y_pred, from_logits=from_logits)


def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    """-log p of the right class, for class numbers and probabilities (or scores, `from_logits`)."""
    return K.sparse_categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0
) -> Any:
    """Mean of -(t·log p + (1 - t)·log(1 - p)).

    Parameters
    ----------
    y_true, y_pred : tensor
    from_logits : bool
        Whether `y_pred` are scores, which sigmoid would make probabilities.
    label_smoothing : float
        Targets 0 and 1 become label_smoothing / 2 and 1 - label_smoothing / 2.
    """
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    return K.mean(K.binary_crossentropy(y_true, y_pred, from_logits=from_logits), axis=-1)


def kullback_leibler_divergence(y_true: Any, y_pred: Any) -> Any:
    """Σ t·log(t / p), with t and p held between epsilon and 1."""
    target, output = (K.clip(y, K.epsilon(), 1) for y in (y_true, y_pred))
    return K.sum(target * K.log(target / output), axis=-1)


def poisson(y_true: Any, y_pred: Any) -> Any:
    """Mean of p - t·log(p + epsilon): the negative log-likelihood of counts, without its constant."""
    return K.mean(y_pred - y_true * K.log(y_pred + K.epsilon()), axis=-1)


def cosine_proximity(y_true: Any, y_pred: Any) -> Any:
    """Minus the cosine of the angle between targets and predictions."""
    return -K.sum(K.l2_normalize(y_true, axis=-1) * K.l2_normalize(y_pred, axis=-1), axis=-1)


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Minus the cosine of the angle between targets and predictions along an axis: -1 where they agree."""
    return -K.sum(K.l2_normalize(y_true, axis=axis) * K.l2_normalize(y_pred, axis=axis), axis=axis)


mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
kld = KLD = kullback_leibler_divergence
cosine = cosine_proximity
