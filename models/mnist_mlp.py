"""A plain network of dense layers that reads handwritten digits, with every choice given as a string.

    python -m symgraph.models.mnist_mlp [--data mnist.npz] [--epochs 10]

784-784-100-10 on pixels scaled to [-1, 1], mean squared error, SGD, a fifth of the pictures held out. Without
`--data` it trains on the small real set that comes with the package (64-64-100-10).
"""

from __future__ import annotations

import argparse

import numpy as np

from symgraph.callbacks import History
from symgraph.datasets import digits, mnist
from symgraph.layers import Dense
from symgraph.models import Sequential
from symgraph.utils import to_categorical

CLASSES = 10


def load(path: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Training pictures as rows of numbers in [-1, 1], and one-hot labels."""
    (x, y), _ = mnist.load_data(path) if path else digits.load_data()
    rows = x.reshape(len(x), -1).astype("float32")
    return rows / (rows.max() / 2) - 1, to_categorical(y, CLASSES)


def build(pixels: int) -> Sequential:
    """A hidden layer as wide as the picture, one of 100, and the ten classes."""
    model = Sequential()
    model.add(Dense(pixels, activation="relu", input_shape=(pixels,)))
    model.add(Dense(100, activation="relu"))
    model.add(Dense(CLASSES, activation="softmax"))
    model.compile(optimizer="sgd", loss="mse", metrics=["accuracy"])
    return model


def main(arguments: list[str] | None = None) -> History:
    """Train and print one line an epoch."""
    parser = argparse.ArgumentParser(
        prog="python -m symgraph.models.mnist_mlp", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--data", metavar="PATH", help="an mnist.npz file (default: the bundled digits)")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)

    np.random.seed(options.seed)
    x, y = load(options.data)
    model = build(x.shape[1])
    model.summary()
    return model.fit(
        x, y, batch_size=options.batch_size, epochs=options.epochs, verbose=2, validation_split=0.2
    )


if __name__ == "__main__":
    main()
