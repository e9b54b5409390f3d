"""A plain network of dense layers that reads handwritten digits, with every choice given as a string.

    python -m symgraph.models.mnist_mlp [--data mnist.npz] [--epochs N] [--out demo/mnist_mlp]

784-784-100-10 on pixels scaled to [-1, 1], mean squared error, SGD, a fifth of the pictures held out. Without
`--data` it trains on the small real set that comes with the package (64-64-100-10). It prints the accuracy on
the held-out pictures and draws the curves into `--out` (where matplotlib is there).
"""

from __future__ import annotations

import numpy as np

from symgraph.callbacks import History
from symgraph.layers import Dense
from symgraph.models import Sequential
from symgraph.models.commands import CLASSES, CommandLine, load_digits
from symgraph.utils import plot_history, to_categorical


def load(path: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Training pictures as rows of numbers in [-1, 1], and one-hot labels."""
    (x, y), _ = load_digits(path)
    return x.reshape(len(x), -1) * 2 - 1, to_categorical(y, CLASSES)


def build(pixels: int) -> Sequential:
    """A hidden layer as wide as the picture, one of 100, and the ten classes."""
    model = Sequential()
    model.add(Dense(pixels, activation="relu", input_shape=(pixels,)))
    model.add(Dense(100, activation="relu"))
    model.add(Dense(CLASSES, activation="softmax"))
    model.compile(optimizer="sgd", loss="mse", metrics=["accuracy"])
    return model


def main(arguments: list[str] | None = None) -> History:
    """Train, print one line an epoch and the last accuracy, draw."""
    what = "an mnist.npz file (default: the bundled digits)"
    line = CommandLine("mnist_mlp", __doc__)
    line.add_data(what, (200, 10), (32, 32))
    options = line.options(arguments)
    x, y = line.read(lambda: load(options.data))
    line.make_folder(options.out)
    np.random.seed(options.seed)
    model = build(x.shape[1])
    model.summary()
    history = model.fit(
        x, y, batch_size=options.batch_size, epochs=options.epochs, verbose=2, validation_split=0.2
    )
    print(f"Accuracy on the held-out fifth: {history.history['val_acc'][-1]:.4f}")
    try:
        plot_history(history, options.out / "history.png")
    except ImportError as error:
        print("No curves:", error)
    else:
        print("Wrote", options.out / "history.png")
    return history


if __name__ == "__main__":
    main()
