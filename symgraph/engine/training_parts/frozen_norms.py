"""A warning for scripts for TensorFlow 2 that freeze layers which normalise by the batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from symgraph.globals import TF_KERAS, answers_as, tensorflow_version
from symgraph.utils.warn_user import warn_user


def warn_of_frozen_norms(model: Any) -> None:
    """Warn, in the manners of TensorFlow 2, of layers that were frozen after they had been called.

    There a frozen `BatchNormalization` uses its moving averages in training, too. Here, as in Keras, the
    graph that a call has written stays as it is.
    """
    if answers_as() != TF_KERAS or tensorflow_version() < 2:
        return
    names = [layer.name for layer in _frozen(model, False) if getattr(layer, "normalizes_by_batch", False)]
    if names:
        warn_user(
            f"{', '.join(dict.fromkeys(names))}: frozen after the call, so training still normalises by the "
            "batch, as in Keras and TensorFlow 1; TensorFlow 2 would use the moving averages. Freeze the "
            "layer before it is called, or call it with `training=False`",
        )


def _frozen(layer: Any, inside_frozen: bool) -> Iterator[Any]:
    """All layers without parts that are frozen, by themselves or with what they are in."""
    is_frozen = inside_frozen or not layer.trainable
    parts = [*getattr(layer, "layers", ()), *filter(None, [getattr(layer, "layer", None)])]
    for part in parts:
        yield from _frozen(part, is_frozen)
    if is_frozen and not parts:
        yield layer
