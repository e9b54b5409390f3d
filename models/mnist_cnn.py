"""A convolutional network that reads handwritten digits: the classic MNIST example.

    python -m symgraph.models.mnist_cnn [--data mnist.npz] [--epochs 12] [--out demo]

Without `--data` it trains on the small real set that comes with the package (1,797 pictures of 8 by 8
pixels). It prints the test accuracy and writes the model, the curves and a listing of the compiled program
into `--out` (the curves only where matplotlib is installed).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from symgraph.callbacks import History
from symgraph.datasets import digits, mnist
from symgraph.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from symgraph.losses import categorical_crossentropy
from symgraph.models import Sequential
from symgraph.optimizers import Adadelta
from symgraph.utils import plot_history, to_categorical

Split = tuple[np.ndarray, np.ndarray]
CLASSES = 10


def load(path: str | None) -> tuple[Split, Split]:
    """Training and test pictures, scaled to [0, 1] with one channel, and one-hot labels."""
    (x_train, y_train), (x_test, y_test) = mnist.load_data(path) if path else digits.load_data()
    brightest = float(x_train.max())
    pictures = [x[..., np.newaxis].astype("float32") / brightest for x in (x_train, x_test)]
    labels = [to_categorical(y, CLASSES) for y in (y_train, y_test)]
    return (pictures[0], labels[0]), (pictures[1], labels[1])


def build(input_shape: tuple[int, ...]) -> Sequential:
    """Two convolutions, a pooling, two dense layers, and dropout against overfitting."""
    model = Sequential()
    model.add(Conv2D(32, kernel_size=(3, 3), activation="relu", input_shape=input_shape))
    model.add(Conv2D(64, (3, 3), activation="relu"))
    model.add(MaxPooling2D(pool_size=(2, 2)))
    model.add(Dropout(0.25))
    model.add(Flatten())
    model.add(Dense(128, activation="relu"))
    model.add(Dropout(0.5))
    model.add(Dense(CLASSES, activation="softmax"))
    model.compile(loss=categorical_crossentropy, optimizer=Adadelta(), metrics=["accuracy"])
    return model


def save(model: Sequential, history: History, folder: Path) -> list[Path]:
    """Write the model, the curves and the compiled program into `folder`; the paths written."""
    folder.mkdir(parents=True, exist_ok=True)
    weights, listing, curves = folder / "model.h5", folder / "program.txt", folder / "history.png"
    model.save(str(weights))
    listing.write_text(f"{model.train_function}\n", encoding="utf-8")
    try:
        plot_history(history, curves)
    except ImportError as error:
        print("No curves:", error)
        return [weights, listing]
    return [weights, listing, curves]


def main(arguments: list[str] | None = None) -> float:
    """Train, evaluate, save. Returns the accuracy on the test pictures."""
    parser = argparse.ArgumentParser(
        prog="python -m symgraph.models.mnist_cnn", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--data", metavar="PATH", help="an mnist.npz file (default: the bundled digits)")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, help="default: 128 for MNIST, 32 for the bundled digits")
    parser.add_argument("--out", type=Path, default=Path("demo"), metavar="FOLDER", help="default: ./demo")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)

    np.random.seed(options.seed)
    (x_train, y_train), (x_test, y_test) = load(options.data)
    model = build(x_train.shape[1:])
    model.summary()
    history = model.fit(
        x_train,
        y_train,
        batch_size=options.batch_size or (128 if options.data else 32),
        epochs=options.epochs,
        verbose=1,
        validation_data=(x_test, y_test),
    )
    score = model.evaluate(x_test, y_test, verbose=0)
    print("Test loss:", score[0])
    print("Test accuracy:", score[1])
    for path in save(model, history, options.out):
        print("Wrote", path)
    return float(score[1])


if __name__ == "__main__":
    main()
