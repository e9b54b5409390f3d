"""Networks in Keras' words, for symgraph and for Keras 3 on its backends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.workloads import WORKLOADS, Layer


def build(layers: Any, sequential: Any, description: tuple[Layer, ...], input_shape: tuple[int, ...]) -> Any:
    """A Sequential model from a workload's layers; `layers` is the engine's module of layer classes."""
    model = sequential()
    shape: dict[str, Any] = {"input_shape": input_shape}
    for kind, *rest in description:
        if kind == "conv":
            filters, size, padding = rest
            model.add(layers.Conv2D(filters, (size, size), padding=padding, activation="relu", **shape))
        elif kind == "pool":
            model.add(layers.MaxPooling2D((rest[0], rest[0])))
        elif kind == "dropout":
            model.add(layers.Dropout(rest[0]))
        elif kind == "embedding":
            model.add(layers.Embedding(*rest, **shape))
        elif kind == "lstm":
            # Old Keras' gates are piecewise linear by default.
            model.add(layers.LSTM(rest[0], recurrent_activation="sigmoid", **shape))
        elif kind == "flatten":
            model.add(layers.Flatten())
        else:
            model.add(layers.Dense(rest[0], activation=rest[1], **shape))
        shape = {}
    return model


def call(model: Any, name: str, mode: str) -> Callable[[], object]:
    """Train or predict through the public `fit` and `predict`, one epoch over the workload's batches."""
    workload = WORKLOADS[name]
    x, y = workload.data()
    if mode == "train":
        return lambda: model.fit(x, y, batch_size=workload.batch, epochs=1, verbose=0, shuffle=False)
    return lambda: model.predict(x, batch_size=workload.batch, verbose=0)
