"""Accuracies and losses as metrics: means of their functions over an epoch."""

from __future__ import annotations

from typing import Any

from symgraph import backend as K
from symgraph import losses
from symgraph.metrics import functions
from symgraph.metrics.means import MeanMetricWrapper


def _equal(y_true: Any, y_pred: Any) -> Any:
    return K.cast(K.equal(y_true, y_pred), K.floatx())


def _above(y_true: Any, y_pred: Any, threshold: float) -> Any:
    right = K.equal(y_true, K.cast(K.greater(y_pred, threshold), K.floatx()))
    return K.mean(K.cast(right, K.floatx()), axis=-1)


def _in_sparse_top_k(y_true: Any, y_pred: Any, k: int) -> Any:
    classes = K.int_shape(y_pred)[-1]
    labels = K.cast(K.flatten(y_true), "int32")
    found = K.cast(K.in_top_k(K.reshape(y_pred, (-1, classes)), labels, k), K.floatx())
    return K.reshape(found, y_pred.shape[:-1])


def _in_top_k(y_true: Any, y_pred: Any, k: int) -> Any:
    return _in_sparse_top_k(K.argmax(y_true, axis=-1), y_pred, k)


def _cosine(y_true: Any, y_pred: Any, axis: int) -> Any:
    return -losses.cosine_similarity(y_true, y_pred, axis)


class Accuracy(MeanMetricWrapper):
    """How often predictions equal targets exactly."""

    def __init__(self, name: str | None = "accuracy", dtype: str | None = None) -> None:
        super().__init__(_equal, name, dtype)


class BinaryAccuracy(MeanMetricWrapper):
    """How often predictions lie on the side of `threshold` that targets 0 and 1 say."""

    def __init__(
        self, name: str | None = "binary_accuracy", dtype: str | None = None, threshold: float = 0.5
    ) -> None:
        super().__init__(_above, name, dtype, threshold=threshold)


class CategoricalAccuracy(MeanMetricWrapper):
    """How often the highest score is that of the class of one-hot targets."""

    def __init__(self, name: str | None = "categorical_accuracy", dtype: str | None = None) -> None:
        super().__init__(functions.categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the highest score is that of the class that the target numbers."""

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: str | None = None) -> None:
        super().__init__(functions.sparse_categorical_accuracy, name, dtype)


class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the class of one-hot targets is among the `k` highest scores."""

    def __init__(
        self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: str | None = None
    ) -> None:
        super().__init__(_in_top_k, name, dtype, k=k)


class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the class that the target numbers is among the `k` highest scores."""

    def __init__(
        self, k: int = 5, name: str | None = "sparse_top_k_categorical_accuracy", dtype: str | None = None
    ) -> None:
        super().__init__(_in_sparse_top_k, name, dtype, k=k)


class CosineSimilarity(MeanMetricWrapper):
    """The cosine between targets and predictions along `axis`: 1 where they agree (the loss is -1 there)."""

    def __init__(
        self, name: str | None = "cosine_similarity", dtype: str | None = None, axis: int = -1
    ) -> None:
        super().__init__(_cosine, name, dtype, axis=axis)


class MeanSquaredError(MeanMetricWrapper):
    """`losses.mean_squared_error` over an epoch."""

    def __init__(self, name: str | None = "mean_squared_error", dtype: str | None = None) -> None:
        super().__init__(losses.mean_squared_error, name, dtype)


class MeanAbsoluteError(MeanMetricWrapper):
    """`losses.mean_absolute_error` over an epoch."""

    def __init__(self, name: str | None = "mean_absolute_error", dtype: str | None = None) -> None:
        super().__init__(losses.mean_absolute_error, name, dtype)


class MeanAbsolutePercentageError(MeanMetricWrapper):
    """`losses.mean_absolute_percentage_error` over an epoch."""

    def __init__(self, name: str | None = "mean_absolute_percentage_error", dtype: str | None = None) -> None:
        super().__init__(losses.mean_absolute_percentage_error, name, dtype)


class MeanSquaredLogarithmicError(MeanMetricWrapper):
    """`losses.mean_squared_logarithmic_error` over an epoch."""

    def __init__(self, name: str | None = "mean_squared_logarithmic_error", dtype: str | None = None) -> None:
        super().__init__(losses.mean_squared_logarithmic_error, name, dtype)


class Hinge(MeanMetricWrapper):
    """`losses.hinge` over an epoch."""

    def __init__(self, name: str | None = "hinge", dtype: str | None = None) -> None:
        super().__init__(losses.hinge, name, dtype)


class SquaredHinge(MeanMetricWrapper):
    """`losses.squared_hinge` over an epoch."""

    def __init__(self, name: str | None = "squared_hinge", dtype: str | None = None) -> None:
        super().__init__(losses.squared_hinge, name, dtype)


class CategoricalHinge(MeanMetricWrapper):
    """`losses.categorical_hinge` over an epoch."""

    def __init__(self, name: str | None = "categorical_hinge", dtype: str | None = None) -> None:
        super().__init__(losses.categorical_hinge, name, dtype)


class LogCoshError(MeanMetricWrapper):
    """`losses.logcosh` over an epoch."""

    def __init__(self, name: str | None = "logcosh", dtype: str | None = None) -> None:
        super().__init__(losses.logcosh, name, dtype)


class Poisson(MeanMetricWrapper):
    """`losses.poisson` over an epoch."""

    def __init__(self, name: str | None = "poisson", dtype: str | None = None) -> None:
        super().__init__(losses.poisson, name, dtype)


class KLDivergence(MeanMetricWrapper):
    """`losses.kullback_leibler_divergence` over an epoch."""

    def __init__(self, name: str | None = "kullback_leibler_divergence", dtype: str | None = None) -> None:
        super().__init__(losses.kullback_leibler_divergence, name, dtype)


class BinaryCrossentropy(MeanMetricWrapper):
    """`losses.binary_crossentropy`, with its options, over an epoch."""

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: str | None = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing}
        super().__init__(losses.binary_crossentropy, name, dtype, **options)


class CategoricalCrossentropy(MeanMetricWrapper):
    """`losses.categorical_crossentropy`, with its options, over an epoch."""

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: str | None = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing}
        super().__init__(losses.categorical_crossentropy, name, dtype, **options)


class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """`losses.sparse_categorical_crossentropy`, with its options, over an epoch."""

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: str | None = None,
        from_logits: bool = False,
        axis: int = -1,
    ) -> None:
        options = {"from_logits": from_logits, "axis": axis}
        super().__init__(losses.sparse_categorical_crossentropy, name, dtype, **options)
