"""Losses: functions of (targets, predictions), and objects that hold one with its options.

Functions give a value for each sample, which the model averages. Objects are those of Keras 2.3 and tf.keras:
`BinaryCrossentropy(from_logits=True)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from symgraph.losses.classes import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    FunctionLoss,
    Hinge,
    Huber,
    KLDivergence,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from symgraph.losses.functions import (
    binary_crossentropy,
    categorical_crossentropy,
    categorical_hinge,
    cosine_proximity,
    cosine_similarity,
    hinge,
    huber_loss,
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
from symgraph.losses.reduction import Loss, Reduction
from symgraph.utils.generic_utils import deserialize_keras_object, serialize_keras_object

__all__ = [
    "KLD", "MAE", "MAPE", "MSE", "MSLE", "BinaryCrossentropy", "CategoricalCrossentropy", "CategoricalHinge",
    "CosineSimilarity", "Hinge", "Huber", "KLDivergence", "LogCosh", "Loss", "MeanAbsoluteError",
    "MeanAbsolutePercentageError", "MeanSquaredError", "MeanSquaredLogarithmicError", "Poisson", "Reduction",
    "SparseCategoricalCrossentropy", "SquaredHinge", "binary_crossentropy", "categorical_crossentropy",
    "categorical_hinge", "cosine", "cosine_proximity", "cosine_similarity", "deserialize",
    "deserialize_keras_object", "function_of",
    "get", "hinge", "huber_loss", "kld", "kullback_leibler_divergence", "logcosh", "mae", "mape",
    "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_error",
    "mean_squared_logarithmic_error", "mse", "msle", "poisson", "serialize", "serialize_keras_object",
    "sparse_categorical_crossentropy", "squared_hinge",
]  # fmt: skip

mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
kld = KLD = kullback_leibler_divergence
cosine = cosine_proximity

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        mean_squared_error, mean_absolute_error, mean_absolute_percentage_error,
        mean_squared_logarithmic_error, squared_hinge, hinge, categorical_hinge, logcosh, huber_loss,
        categorical_crossentropy, sparse_categorical_crossentropy, binary_crossentropy,
        kullback_leibler_divergence, poisson, cosine_proximity, cosine_similarity,
    )
} | {
    "mse": mse, "MSE": mse, "mae": mae, "MAE": mae, "mape": mape, "MAPE": mape, "msle": msle, "MSLE": msle,
    "kld": kld, "KLD": kld, "cosine": cosine,
}  # fmt: skip
_CLASSES: dict[str, type[Loss]] = {
    made.__name__: made
    for made in (
        BinaryCrossentropy, CategoricalCrossentropy, CategoricalHinge, CosineSimilarity, Hinge, Huber,
        KLDivergence, LogCosh, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredError,
        MeanSquaredLogarithmicError, Poisson, SparseCategoricalCrossentropy, SquaredHinge,
    )
}  # fmt: skip
_OBJECTS: dict[str, Any] = {**_FUNCTIONS, **_CLASSES}


def serialize(loss: Any) -> Any:
    """The name of a loss function (a description as dict of an object with `get_config`)."""
    return serialize_keras_object(loss)


def deserialize(name: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The loss called, or described by, `name`; of a class an object. ValueError where there is none."""
    found = deserialize_keras_object(name, _OBJECTS, custom_objects, "loss function")
    return found() if isinstance(found, type) and issubclass(found, Loss) else found


def get(identifier: Any) -> Any:
    """Find a loss function.

    Parameters
    ----------
    identifier : None, str, dict or callable
        A name such as 'mse', a description by `serialize`, or the function or `Loss` itself; None stays None.

    Raises
    ------
    ValueError
        If there is none of that name, or `identifier` is nothing of the kind.
    """
    if identifier is None:
        return None
    if isinstance(identifier, str | dict):
        return deserialize(identifier)
    if isinstance(identifier, type) and issubclass(identifier, Loss):
        raise ValueError(f"Expected an object as loss, got the class: write {identifier.__name__}(...)")
    if callable(identifier):
        return identifier
    raise ValueError(
        f"Could not interpret loss function identifier: {identifier!r}; expected "
        "None, a name such as 'mse', or a function of (y_true, y_pred)"
    )


def function_of(loss: Any) -> Any:
    """The function of this module that a loss object holds; any other loss itself."""
    return loss.function if isinstance(loss, FunctionLoss) else loss
