"""How far predicted and true regions agree."""

from __future__ import annotations

from typing import Any

from symgraph import backend as K
from symgraph.losses.reduction import as_floats, expanded
from symgraph.metrics.base import Metric
from symgraph.metrics.means import divided


class MeanIoU(Metric):
    """Intersection over union of each class, averaged over the classes that occur.

    Parameters
    ----------
    num_classes : int
    name, dtype
        See `Metric`.
    """

    def __init__(self, num_classes: int, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(name, dtype)
        self.num_classes = num_classes
        self.total_cm = self.add_weight("total_confusion_matrix", (num_classes, num_classes))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Count a batch of class numbers, of one shape, with their weights."""
        y_true, y_pred = as_floats(y_true, y_pred)
        factor = K.ones_like(y_pred)
        if sample_weight is not None:
            factor = expanded(sample_weight, K.ndim(y_pred)) * factor
        rows, columns = (
            K.one_hot(K.cast(K.flatten(labels), "int32"), self.num_classes) for labels in (y_true, y_pred)
        )
        counts = K.dot(K.transpose(rows), columns * K.expand_dims(K.flatten(factor), -1))
        self.total_cm.assign_add(K.cast(counts, self.dtype))

    def result(self) -> Any:
        """The mean; 0 before the first class occurs."""
        diagonal = K.sum(self.total_cm * K.eye(self.num_classes), axis=0)
        union = K.sum(self.total_cm, axis=0) + K.sum(self.total_cm, axis=1) - diagonal
        occur = K.sum(K.cast(K.not_equal(union, 0.0), K.floatx()))
        return divided(K.sum(divided(diagonal, union)), occur)

    def get_config(self) -> dict[str, Any]:
        """num_classes, name, dtype."""
        return {"num_classes": self.num_classes, **super().get_config()}
