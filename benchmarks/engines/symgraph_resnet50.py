"""ResNet50 through symgraph's public API."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.resnet50_network import EPSILON, SIDE, Weights, pictures, resnet50
from symgraph import backend as K
from symgraph import layers
from symgraph.models import Model


class _Builder:
    """Makes layers and sets their weights."""

    def __init__(self) -> None:
        self.weights = Weights()

    def conv(self, x: Any, filters: int, size: int, stride: int = 1) -> Any:
        """(size - 1) / 2 zeros around the picture, whatever its size: not what "same" means with strides."""
        channels = K.int_shape(x)[-1]
        padding = "valid" if size == 1 else "same"
        if size > 1 and stride > 1:
            x, padding = layers.ZeroPadding2D(size // 2)(x), "valid"
        layer = layers.Conv2D(filters, size, strides=stride, padding=padding)
        y = layer(x)
        layer.set_weights(self.weights.conv(size, channels, filters))
        return y

    def norm(self, x: Any, scale: float = 1.0) -> Any:
        layer = layers.BatchNormalization(epsilon=EPSILON)
        y = layer(x)
        layer.set_weights(self.weights.norm(K.int_shape(x)[-1], scale))
        return y

    def relu(self, x: Any) -> Any:
        return layers.Activation("relu")(x)

    def pool(self, x: Any) -> Any:
        return layers.MaxPooling2D(3, strides=2)(layers.ZeroPadding2D(1)(x))

    def add(self, x: Any, y: Any) -> Any:
        return layers.Add()([x, y])

    def mean(self, x: Any) -> Any:
        return layers.GlobalAveragePooling2D()(x)

    def dense(self, x: Any, units: int) -> Any:
        layer = layers.Dense(units, activation="softmax")
        y = layer(x)
        layer.set_weights(self.weights.dense(K.int_shape(x)[-1], units))
        return y


def make(batch: str, folder: str, threads: int) -> Callable[[], object]:
    """Prediction of one batch as a call; what it gives is left in `folder`, to be compared."""
    entry = layers.Input((SIDE, SIDE, 3))
    model = Model(entry, resnet50(_Builder(), entry))
    x = pictures(int(batch))
    np.save(Path(folder, "symgraph.npy"), model.predict(x, batch_size=len(x)))
    return lambda: model.predict(x, batch_size=len(x))
