"""Logs with the names of Keras 2.2 ('acc') and with those of Keras 2.3 and tf.keras ('accuracy')."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symgraph.globals import answers_as

_PAIRS = (
    ("acc", "accuracy"),
    ("cosine", "cosine_proximity"),
    ("kld", "kullback_leibler_divergence"),
    ("mae", "mean_absolute_error"),
    ("mape", "mean_absolute_percentage_error"),
    ("mse", "mean_squared_error"),
    ("msle", "mean_squared_logarithmic_error"),
    ("lr", "learning_rate"),
)


class BothNames(dict[str, Any]):
    """A dict whose entries are also found by the other name of their metric.

    Only looking up knows the other names (`d[name]`, `d.get(name)`); `in`, `keys` and `len` know those that
    are stored.
    """

    def __missing__(self, name: str) -> Any:
        for other in _other_names(name):
            if other in self:
                return self[other]
        raise KeyError(name)

    def get(self, name: str, default: Any = None) -> Any:
        """The entry of this name or its other one, else `default`."""
        try:
            return self[name]
        except KeyError:
            return default


def new_logs() -> dict[str, Any]:
    """An empty dict for logs: one with both names where a script imports symgraph by the name of Keras."""
    return {} if answers_as() == "symgraph" else BothNames()


def named_values(logs: Mapping[str, Any], **further: Any) -> dict[str, Any]:
    """All values, under both names if the logs are."""
    values = BothNames() if isinstance(logs, BothNames) else {}
    values.update(logs, **further)
    return values


def _other_names(name: str) -> list[str]:
    """`val_out_accuracy` for `val_out_acc` and the other way round."""
    found = []
    for short, long in _PAIRS:
        for this, other in ((short, long), (long, short)):
            if name == this or (isinstance(name, str) and name.endswith(f"_{this}")):
                found.append(name.removesuffix(this) + other)
    return found
