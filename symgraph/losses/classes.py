"""The loss functions as objects that hold their options, as in Keras 2.3 and tf.keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from symgraph import backend as K
from symgraph.losses import functions
from symgraph.losses.reduction import Loss, Reduction

AUTO = Reduction.AUTO


class FunctionLoss(Loss):
    """A loss function of the library with values for its options.

    Attributes
    ----------
    function : callable
        ``function(y_true, y_pred, **options)``.
    options : dict
    """

    function: ClassVar[Callable[..., Any]]

    def __init__(self, reduction: str = AUTO, name: str | None = None, **options: Any) -> None:
        super().__init__(reduction, name)
        self.options = options

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The values of the function, one for each sample."""
        return type(self).function(*without_last_axis(y_true, y_pred), **self.options)

    def get_config(self) -> dict[str, Any]:
        """reduction, name and the options."""
        return {**super().get_config(), **self.options}


def without_last_axis(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Both of one rank, where one of them has a last axis of size 1 that the other has not."""
    if K.ndim(y_pred) == K.ndim(y_true) + 1 and K.int_shape(y_pred)[-1] == 1:
        return y_true, K.squeeze(y_pred, -1)
    if K.ndim(y_true) == K.ndim(y_pred) + 1 and K.int_shape(y_true)[-1] == 1:
        return K.squeeze(y_true, -1), y_pred
    return y_true, y_pred


def _checked_smoothing(owner: Any, share: Any) -> float:
    if not isinstance(share, int | float) or not 0 <= share <= 1:
        raise ValueError(
            f"{type(owner).__name__}: label_smoothing should be a number from 0 to 1, got {share!r}"
        )
    return share


class MeanSquaredError(FunctionLoss):
    """`mean_squared_error` as an object."""

    function = staticmethod(functions.mean_squared_error)

    def __init__(self, reduction: str = AUTO, name: str | None = "mean_squared_error") -> None:
        super().__init__(reduction, name)


class MeanAbsoluteError(FunctionLoss):
    """`mean_absolute_error` as an object."""

    function = staticmethod(functions.mean_absolute_error)

    def __init__(self, reduction: str = AUTO, name: str | None = "mean_absolute_error") -> None:
        super().__init__(reduction, name)


class MeanAbsolutePercentageError(FunctionLoss):
    """`mean_absolute_percentage_error` as an object."""

    function = staticmethod(functions.mean_absolute_percentage_error)

    def __init__(self, reduction: str = AUTO, name: str | None = "mean_absolute_percentage_error") -> None:
        super().__init__(reduction, name)


class MeanSquaredLogarithmicError(FunctionLoss):
    """`mean_squared_logarithmic_error` as an object."""

    function = staticmethod(functions.mean_squared_logarithmic_error)

    def __init__(self, reduction: str = AUTO, name: str | None = "mean_squared_logarithmic_error") -> None:
        super().__init__(reduction, name)


class Hinge(FunctionLoss):
    """`hinge` as an object."""

    function = staticmethod(functions.hinge)

    def __init__(self, reduction: str = AUTO, name: str | None = "hinge") -> None:
        super().__init__(reduction, name)


class SquaredHinge(FunctionLoss):
    """`squared_hinge` as an object."""

    function = staticmethod(functions.squared_hinge)

    def __init__(self, reduction: str = AUTO, name: str | None = "squared_hinge") -> None:
        super().__init__(reduction, name)


class CategoricalHinge(FunctionLoss):
    """`categorical_hinge` as an object."""

    function = staticmethod(functions.categorical_hinge)

    def __init__(self, reduction: str = AUTO, name: str | None = "categorical_hinge") -> None:
        super().__init__(reduction, name)


class KLDivergence(FunctionLoss):
    """`kullback_leibler_divergence` as an object."""

    function = staticmethod(functions.kullback_leibler_divergence)

    def __init__(self, reduction: str = AUTO, name: str | None = "kullback_leibler_divergence") -> None:
        super().__init__(reduction, name)


class Poisson(FunctionLoss):
    """`poisson` as an object."""

    function = staticmethod(functions.poisson)

    def __init__(self, reduction: str = AUTO, name: str | None = "poisson") -> None:
        super().__init__(reduction, name)


class LogCosh(FunctionLoss):
    """`logcosh` as an object."""

    function = staticmethod(functions.logcosh)

    def __init__(self, reduction: str = AUTO, name: str | None = "logcosh") -> None:
        super().__init__(reduction, name)


class Huber(FunctionLoss):
    """`huber_loss` as an object: `delta` is where the square ends and the straight line begins."""

    function = staticmethod(functions.huber_loss)

    def __init__(self, delta: float = 1.0, reduction: str = AUTO, name: str | None = "huber_loss") -> None:
        super().__init__(reduction, name, delta=delta)


class CosineSimilarity(FunctionLoss):
    """`cosine_similarity`, the negative cosine along `axis`, as an object."""

    function = staticmethod(functions.cosine_similarity)

    def __init__(self, axis: int = -1, reduction: str = AUTO, name: str | None = "cosine_similarity") -> None:
        super().__init__(reduction, name, axis=axis)


class BinaryCrossentropy(FunctionLoss):
    """`binary_crossentropy` as an object; see there for the options."""

    function = staticmethod(functions.binary_crossentropy)

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0,
        reduction: str = AUTO,
        name: str | None = "binary_crossentropy",
    ) -> None:
        smoothing = _checked_smoothing(self, label_smoothing)
        super().__init__(reduction, name, from_logits=from_logits, label_smoothing=smoothing)


class CategoricalCrossentropy(FunctionLoss):
    """`categorical_crossentropy` as an object; see there for the options."""

    function = staticmethod(functions.categorical_crossentropy)

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0,
        reduction: str = AUTO,
        name: str | None = "categorical_crossentropy",
    ) -> None:
        smoothing = _checked_smoothing(self, label_smoothing)
        super().__init__(reduction, name, from_logits=from_logits, label_smoothing=smoothing)


class SparseCategoricalCrossentropy(FunctionLoss):
    """`sparse_categorical_crossentropy` as an object; see there for the options."""

    function = staticmethod(functions.sparse_categorical_crossentropy)

    def __init__(
        self,
        from_logits: bool = False,
        reduction: str = AUTO,
        name: str | None = "sparse_categorical_crossentropy",
    ) -> None:
        super().__init__(reduction, name, from_logits=from_logits)
