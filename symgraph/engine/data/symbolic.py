"""Data that are tensors of the graph: each step computes them, and what they are fed to reads the results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph import backend as K


def holds_tensors(data: Any) -> bool:
    """Whether `data`, as `Model.fit` takes them, are a tensor, or a list or dict with one in it."""
    entries = data.values() if isinstance(data, dict) else data if isinstance(data, list | tuple) else [data]
    return any(K.is_tensor(entry) for entry in entries)


def sizes(array: Any) -> tuple[int | None, ...]:
    """The shape of an array or tensor; None stands for a size that is not known."""
    return K.int_shape(array) if K.is_tensor(array) else tuple(array.shape)


def refuse_weights_by_class(targets: Sequence[Any], class_weights: Sequence[Any]) -> None:
    """ValueError where classes have weights and the labels are not known before the step."""
    for target, weights in zip(targets, class_weights, strict=True):
        if K.is_tensor(target) and weights is not None:
            raise ValueError(
                "`class_weight` needs the labels before the training step, but the targets are the symbolic "
                f"tensor {target!r}: pass `sample_weight`"
            )


def refuse_split(arrays: Sequence[Any]) -> None:
    """ValueError where a share of the data is to be held out, and there is no telling them apart."""
    if not arrays or holds_tensors(arrays):
        raise ValueError(
            "If your data is in the form of symbolic tensors, you cannot use `validation_split`: pass "
            "`validation_data` and `validation_steps`."
        )
