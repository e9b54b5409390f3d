"""The networks that engines are compared on, told without any engine's words.

A layer is a tuple: its kind, then its parameters. Every engine module builds the same network from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Layer = tuple[object, ...]


@dataclass(frozen=True)
class Workload:
    """A network, how it is trained, and on what.

    `batches` is how many batches one measured call runs: enough for several tens of milliseconds. With a
    `vocabulary` inputs are integers below it, else real numbers.
    """

    name: str
    input_shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    loss: str
    optimizer: tuple[object, ...]
    batch: int
    batches: int
    vocabulary: int = 0

    @property
    def outputs(self) -> int:
        """Units of the last dense layer."""
        return int(next(layer[1] for layer in reversed(self.layers) if layer[0] == "dense"))  # type: ignore[call-overload]

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Random inputs and targets for all batches of one call."""
        rng = np.random.default_rng(0)
        count = self.batch * self.batches
        x: np.ndarray
        if self.vocabulary:
            x = rng.integers(0, self.vocabulary, (count, *self.input_shape), dtype=np.int32)
        else:
            x = rng.standard_normal((count, *self.input_shape), dtype=np.float32)
        if self.outputs == 1:
            return x, rng.integers(0, 2, (count, 1)).astype(np.float32)
        return x, np.eye(self.outputs, dtype=np.float32)[rng.integers(0, self.outputs, count)]


def _conv(filters: int, padding: str = "valid") -> Layer:
    return ("conv", filters, 3, padding)


POOL: Layer = ("pool", 2)

WORKLOADS = {
    w.name: w
    for w in (
        Workload(
            "mnist_cnn",
            (28, 28, 1),
            (_conv(32), _conv(64), POOL, ("dropout", 0.25), ("flatten",), ("dense", 128, "relu"),
             ("dropout", 0.5), ("dense", 10, "softmax")),
            "categorical_crossentropy", ("adadelta", 1.0), 128, 8,
        ),
        Workload(
            "mnist_mlp",
            (784,),
            (("dense", 784, "relu"), ("dense", 100, "relu"), ("dense", 10, "softmax")),
            "mse", ("sgd", 0.01), 32, 100,
        ),
        Workload(
            "mnist_mlp512",
            (784,),
            (("dense", 512, "relu"), ("dropout", 0.2), ("dense", 512, "relu"), ("dropout", 0.2),
             ("dense", 10, "softmax")),
            "categorical_crossentropy", ("rmsprop", 0.001), 128, 40,
        ),
        Workload(
            "cifar_cnn",
            (32, 32, 3),
            (_conv(32, "same"), _conv(32), POOL, ("dropout", 0.25), _conv(64, "same"), _conv(64), POOL,
             ("dropout", 0.25), ("flatten",), ("dense", 512, "relu"), ("dropout", 0.5),
             ("dense", 10, "softmax")),
            "categorical_crossentropy", ("rmsprop", 0.0001), 32, 10,
        ),
        Workload(
            "cat_dog",
            (150, 150, 3),
            (_conv(32), POOL, _conv(64), POOL, _conv(128), POOL, _conv(128), POOL, _conv(256), POOL,
             ("flatten",), ("dense", 512, "relu"), ("dense", 1, "sigmoid")),
            "binary_crossentropy", ("rmsprop", 0.0005), 32, 2,
        ),
        Workload(
            "imdb_lstm",
            (80,),
            (("embedding", 20000, 128), ("lstm", 128), ("dense", 1, "sigmoid")),
            "binary_crossentropy", ("adam", 0.001), 32, 8, 20000,
        ),
    )
}  # fmt: skip
"""By name. Convolutions are 3 by 3 with ReLU; pooling takes the maximum; gates are sigmoids."""
