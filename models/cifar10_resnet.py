"""A residual network on small pictures: ResNet of version 1 or 2 on CIFAR-10, as He et al. had it.

    python -m symgraph.models.cifar10_resnet [--data FOLDER] [--version 1] [--depth 20] [--out FOLDER]

`--data` is the unpacked archive of CIFAR-10, `cifar-10-batches-py`, or `cifar10`, which downloads it. Without
it the network trains on the bundled digits at their own size, 8 by 8 pixels. Pictures are shifted (those of
CIFAR-10 also mirrored), and the learning rate falls in steps. The model goes to `--out` after each epoch, and
in the end the misread pictures and the curves (these only where matplotlib is installed).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from symgraph.callbacks import History, LearningRateScheduler, ModelCheckpoint
from symgraph.datasets import cifar10, digits
from symgraph.models import Model
from symgraph.models.commands import CommandLine
from symgraph.models.contact_sheet import COLUMNS, write_contact_sheet
from symgraph.models.resnet_small import resnet_v1, resnet_v2
from symgraph.optimizers import Adam
from symgraph.preprocessing.image import ImageDataGenerator, array_to_img
from symgraph.utils import plot_history, to_categorical

CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


class Data(NamedTuple):
    """Pictures and one-hot labels."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    #: The pictures for testing, to look at, 0 to 255; and what is in them.
    shown: np.ndarray
    classes: list[str]
    augmentation: ImageDataGenerator


def load(path: str | None) -> Data:
    """CIFAR-10, from a folder or from the cache, or the bundled digits."""
    return load_digits() if path is None else load_cifar10(None if path == "cifar10" else path)


def load_cifar10(folder: str | None) -> Data:
    """Pixels are the differences from the mean of all pictures for training."""
    (x_train, y_train), (x_test, y_test) = cifar10.load_data(folder)
    train, test = (x.astype("float32") / 255 for x in (x_train, x_test))
    mean = train.mean(axis=0)
    moves = ImageDataGenerator(width_shift_range=0.1, height_shift_range=0.1, horizontal_flip=True)
    labels = [to_categorical(y, len(CIFAR10)) for y in (y_train, y_test)]
    return Data(train - mean, labels[0], test - mean, labels[1], x_test, CIFAR10, moves)


def load_digits() -> Data:
    """Pixels are 0 where there is paper, which is also what comes in from outside when a picture moves."""
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    train, test = (x[..., np.newaxis].astype("float32") / 16 for x in (x_train, x_test))
    moves = ImageDataGenerator(
        rotation_range=10, width_shift_range=0.1, height_shift_range=0.1, zoom_range=0.1, fill_mode="constant"
    )
    labels = [to_categorical(y, 10) for y in (y_train, y_test)]
    names = [str(digit) for digit in range(10)]
    return Data(train, labels[0], test, labels[1], 255 * (1 - test), names, moves)


def schedule(epochs: int) -> Callable[[int], float]:
    """The learning rate of an epoch: as for 200 epochs, where it falls after 80, 120, 160 and 180 of them."""

    def rate(epoch: int) -> float:
        return (
            1e-3 * (1, 1e-1, 1e-2, 1e-3, 0.5e-3)[sum(epoch > part * epochs for part in (0.4, 0.6, 0.8, 0.9))]
        )

    return rate


def train(data: Data, options: argparse.Namespace) -> tuple[Model, History]:
    """A new network, stored after each epoch."""
    build, depth = (resnet_v1, 20) if options.version == 1 else (resnet_v2, 29)
    model = build(data.x_train.shape[1:], options.depth or depth, len(data.classes))
    print(f"ResNet{options.depth or depth}v{options.version}: {model.count_params():,} weights")
    model.compile(Adam(), "categorical_crossentropy", metrics=["acc"])
    history = model.fit_generator(
        data.augmentation.flow(data.x_train, data.y_train, batch_size=options.batch_size, seed=options.seed),
        epochs=options.epochs,
        validation_data=(data.x_test, data.y_test),
        callbacks=[
            LearningRateScheduler(schedule(options.epochs)),
            ModelCheckpoint(str(options.out / "model.h5")),
        ],
        verbose=2,
    )
    return model, history


def write_misread(model: Model, data: Data, path: Path, rows: int = 4) -> int:
    """Draw the first pictures that the model takes for something else; how many there are."""
    guesses = model.predict(data.x_test).argmax(-1)
    labels = data.y_test.argmax(-1)
    misread = np.flatnonzero(guesses != labels)
    drawn = misread[: rows * COLUMNS]
    if len(drawn):
        images = [
            array_to_img(data.shown[i], scale=False).resize((96, 96), Image.Resampling.NEAREST) for i in drawn
        ]
        captions = [f"{data.classes[labels[i]]}: {data.classes[guesses[i]]}?" for i in drawn]
        write_contact_sheet(path, images, captions, [False] * len(drawn), cell=96)
        print("Wrote", path)
    return len(misread)


def _run(options: argparse.Namespace) -> float:
    np.random.seed(options.seed)
    data = load(options.data)
    model, history = train(data, options)
    print("Wrote", options.out / "model.h5")
    wrong = write_misread(model, data, options.out / "misread.png")
    try:
        plot_history(history, options.out / "history.png")
    except ImportError as error:
        print("No curves:", error)
    else:
        print("Wrote", options.out / "history.png")
    accuracy = 1 - wrong / len(data.x_test)
    print(f"Test accuracy: {accuracy:.4f}, {wrong} of {len(data.x_test)} misread")
    return accuracy


def main(arguments: list[str] | None = None) -> float:
    """Train, evaluate, save. Returns the accuracy on the test pictures."""
    line = CommandLine("cifar10_resnet", __doc__)
    line.add_data("cifar-10-batches-py, or cifar10 (default: bundled digits)", (30, 200), (32, 32))
    line.add_argument("--version", type=int, choices=(1, 2), default=1, help="default: 1")
    line.add_argument("--depth", type=int, help="6n+2 for version 1, 9n+2 for version 2; default: 20 or 29")
    return line.run(_run, line.options(arguments))


if __name__ == "__main__":
    main()
