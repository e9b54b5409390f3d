"""Metrics: functions of (targets, predictions), and objects that count over an epoch.

The mean over the batches of what a function gives is reported; any loss function is a metric too. Objects
(`AUC`, `Precision`, ...) are those of Keras 2.3 and tf.keras.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from symgraph.losses import (
    binary_crossentropy,
    categorical_crossentropy,
    categorical_hinge,
    cosine_proximity,
    cosine_similarity,
    hinge,
    kullback_leibler_divergence,
    logcosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from symgraph.metrics.base import Metric
from symgraph.metrics.confusion import (
    AUC,
    FalseNegatives,
    FalsePositives,
    Precision,
    Recall,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
    TrueNegatives,
    TruePositives,
)
from symgraph.metrics.functions import (
    binary_accuracy,
    categorical_accuracy,
    fbeta_score,
    fmeasure,
    matthews_correlation,
    precision,
    recall,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from symgraph.metrics.iou import MeanIoU
from symgraph.metrics.means import Mean, MeanMetricWrapper, MeanRelativeError, RootMeanSquaredError, Sum
from symgraph.metrics.of_functions import (
    Accuracy,
    BinaryAccuracy,
    BinaryCrossentropy,
    CategoricalAccuracy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SparseCategoricalAccuracy,
    SparseCategoricalCrossentropy,
    SparseTopKCategoricalAccuracy,
    SquaredHinge,
    TopKCategoricalAccuracy,
)
from symgraph.utils.generic_utils import deserialize_keras_object, serialize_keras_object

__all__ = [
    "AUC", "KLD", "MAE", "MAPE", "MSE", "MSLE", "Accuracy", "BinaryAccuracy", "BinaryCrossentropy",
    "CategoricalAccuracy", "CategoricalCrossentropy", "CategoricalHinge", "CosineSimilarity",
    "FalseNegatives", "FalsePositives", "Hinge", "KLDivergence", "LogCoshError", "Mean",
    "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanIoU", "MeanMetricWrapper", "MeanRelativeError",
    "MeanSquaredError", "MeanSquaredLogarithmicError", "Metric", "Poisson", "Precision", "Recall",
    "RootMeanSquaredError", "SensitivityAtSpecificity", "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy", "SparseTopKCategoricalAccuracy", "SpecificityAtSensitivity",
    "SquaredHinge", "Sum", "TopKCategoricalAccuracy", "TrueNegatives", "TruePositives", "binary_accuracy",
    "binary_crossentropy", "categorical_accuracy", "categorical_crossentropy", "categorical_hinge", "cosine",
    "cosine_proximity", "cosine_similarity", "deserialize", "f1score", "fbeta_score", "fmeasure", "fscore",
    "get", "hinge", "kld", "kullback_leibler_divergence", "logcosh", "mae", "mape", "matthews_correlation",
    "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_error",
    "mean_squared_logarithmic_error", "mse", "msle", "poisson", "precision", "recall", "serialize",
    "sparse_categorical_accuracy", "sparse_categorical_crossentropy", "sparse_top_k_categorical_accuracy",
    "squared_hinge", "top_k_categorical_accuracy",
]  # fmt: skip

fscore = f1score = fmeasure
mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
kld = KLD = kullback_leibler_divergence
cosine = cosine_proximity

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        binary_accuracy, categorical_accuracy, sparse_categorical_accuracy, top_k_categorical_accuracy,
        sparse_top_k_categorical_accuracy, mean_squared_error, mean_absolute_error,
        mean_absolute_percentage_error, mean_squared_logarithmic_error, hinge, squared_hinge,
        categorical_hinge, logcosh, categorical_crossentropy, sparse_categorical_crossentropy,
        binary_crossentropy, kullback_leibler_divergence, poisson, cosine_proximity, cosine_similarity,
        matthews_correlation, precision, recall, fbeta_score, fmeasure,
    )
} | {
    "mse": mse, "MSE": mse, "mae": mae, "MAE": mae, "mape": mape, "MAPE": mape, "msle": msle, "MSLE": msle,
    "kld": kld, "KLD": kld, "cosine": cosine, "fscore": fmeasure, "f1score": fmeasure,
}  # fmt: skip
_CLASSES: dict[str, type[Metric]] = {
    made.__name__: made
    for made in (
        AUC, Accuracy, BinaryAccuracy, BinaryCrossentropy, CategoricalAccuracy, CategoricalCrossentropy,
        CategoricalHinge, CosineSimilarity, FalseNegatives, FalsePositives, Hinge, KLDivergence,
        LogCoshError, Mean, MeanAbsoluteError, MeanAbsolutePercentageError, MeanIoU, MeanRelativeError,
        MeanSquaredError, MeanSquaredLogarithmicError, Poisson, Precision, Recall, RootMeanSquaredError,
        SensitivityAtSpecificity, SparseCategoricalAccuracy, SparseCategoricalCrossentropy,
        SparseTopKCategoricalAccuracy, SpecificityAtSensitivity, SquaredHinge, Sum, TopKCategoricalAccuracy,
        TrueNegatives, TruePositives,
    )
}  # fmt: skip
_OBJECTS: dict[str, Any] = {**_FUNCTIONS, **_CLASSES}
# Who writes "Accuracy" means "accuracy", not the share of predictions that equal their targets exactly.
_BY_TEXT = {name: made for name, made in _OBJECTS.items() if made is not Accuracy}


def serialize(metric: Any) -> Any:
    """The name of a metric function (a description as dict of an object with `get_config`)."""
    return serialize_keras_object(metric)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The metric called, or described by, `config`; of a class an object. ValueError for unknown names."""
    known = _BY_TEXT if isinstance(config, str) else _OBJECTS
    found = deserialize_keras_object(config, known, custom_objects, "metric function")
    return found() if isinstance(found, type) and issubclass(found, Metric) else found


def get(identifier: Any) -> Any:
    """Find a metric.

    Parameters
    ----------
    identifier : str, dict or callable
        A name such as 'mae', a description by `serialize`, or the function or `Metric` itself.

    Raises
    ------
    ValueError
        If there is none of that name, or `identifier` is nothing of the kind.
    """
    if isinstance(identifier, str | dict):
        return deserialize(identifier)
    if isinstance(identifier, type) and issubclass(identifier, Metric):
        raise ValueError(f"Expected an object as metric, got the class: write {identifier.__name__}(...)")
    if callable(identifier):
        return identifier
    raise ValueError(
        f"Could not interpret metric function identifier: {identifier!r}; expected "
        "a name such as 'mae', a function of (y_true, y_pred), or a stateful layer"
    )
