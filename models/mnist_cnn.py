"""A convolutional network that reads handwritten digits: the classic MNIST example.

    python -m symgraph.models.mnist_cnn [--data mnist.npz] [--epochs N] [--split shuffled] [--out demo]

Without `--data` it trains on the small real set that comes with the package (1,797 pictures of 8 by 8
pixels), for 40 epochs on pictures that are turned, shifted and zoomed a little. With `--data mnist.npz` it is
the classic script: 12 epochs on the pictures as they are.

It prints the test accuracy and some of the digits that were misread. It writes the model, a listing of the
compiled program, the misread digits and the curves into `--out` (the curves only where matplotlib is there).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from symgraph import backend as K
from symgraph.callbacks import History
from symgraph.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from symgraph.losses import categorical_crossentropy
from symgraph.models import Sequential
from symgraph.models.commands import CLASSES, CommandLine, Split, load_digits
from symgraph.models.contact_sheet import write_contact_sheet
from symgraph.models.small_pictures import as_text, enlarged
from symgraph.optimizers import Adadelta
from symgraph.preprocessing.image import ImageDataGenerator
from symgraph.utils import plot_history, to_categorical

SHOWN, DRAWN = 6, 40  # misread digits in the terminal, and in the picture

# What the figure means.
SPLITS = {
    "writers": """\
The file has one writer's digits after another's: the test is on hands that training
has not seen (but for 22 pictures of one). With --split shuffled, which has every hand
on both sides, this network reads 0.99.""",
    "shuffled": """\
The pictures are shuffled: training has seen other digits in the same hands. New hands
are harder: with --split writers, the default, this network reads 0.96.""",
}


def load(path: str | None, split: str) -> tuple[Split, Split]:
    """Training and test pictures, scaled to [0, 1] with one channel, and one-hot labels."""
    (x_train, y_train), (x_test, y_test) = load_digits(path, split)
    channel = 1 if K.image_data_format() == "channels_first" else -1
    return (
        (np.expand_dims(x_train, channel), to_categorical(y_train, CLASSES)),
        (np.expand_dims(x_test, channel), to_categorical(y_test, CLASSES)),
    )


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


def train(model: Sequential, training: Split, test: Split, options: argparse.Namespace) -> History:
    """Fit the model to the pictures as they are, or to ones that are a little different in each epoch."""
    x, y = training
    if not options.augment:
        return model.fit(
            x, y, batch_size=options.batch_size, epochs=options.epochs, verbose=1, validation_data=test
        )
    generator = ImageDataGenerator(
        rotation_range=10, width_shift_range=0.1, height_shift_range=0.1, zoom_range=0.1
    )
    batches = generator.flow(x, y, batch_size=options.batch_size, seed=options.seed)
    return model.fit_generator(batches, epochs=options.epochs, verbose=1, validation_data=test)


def misread(model: Sequential, x: np.ndarray, y: np.ndarray) -> tuple[list[np.ndarray], list[str]]:
    """The pictures that the network misreads, those first of which it is surest, and a caption for each."""
    predicted = model.predict(x)
    read, true, sure = predicted.argmax(axis=-1), y.argmax(axis=-1), predicted.max(axis=-1)
    wrong = np.flatnonzero(read != true)
    wrong = wrong[np.argsort(-sure[wrong], kind="stable")]
    return [x[i].squeeze() for i in wrong], [
        f"is {true[i]}, read as {read[i]} ({sure[i]:.2f})" for i in wrong
    ]


def save(model: Sequential, history: History, folder: Path) -> list[Path]:
    """Write the model, the compiled program and the curves into `folder`; the paths written."""
    weights, listing, curves = folder / "model.h5", folder / "program.txt", folder / "history.png"
    model.save(str(weights))
    listing.write_text(f"{model.train_function}\n", encoding="utf-8")
    try:
        plot_history(history, curves)
    except ImportError as error:
        print("No curves:", error)
        return [weights, listing]
    return [weights, listing, curves]


def parse(arguments: list[str] | None) -> tuple[CommandLine, argparse.Namespace]:
    """The command line, and what it asks for."""
    line = CommandLine("mnist_cnn", __doc__)
    line.add_data("an mnist.npz file (default: the bundled digits)", (40, 12))
    line.set_defaults(out=Path("demo"))
    line.add_argument("--split", choices=sorted(SPLITS), help="of the bundled digits (default: writers)")
    line.add_argument(
        "--augment",
        action=argparse.BooleanOptionalAction,
        help="turn, shift and zoom the pictures a little (default: the bundled digits only)",
    )
    options = line.options(arguments)
    if options.data and options.split:
        line.error("--split is for the bundled digits: the file of --data has a split of its own")
    options.split = options.split or "writers"
    options.augment = not options.data if options.augment is None else options.augment
    return line, options


def main(arguments: list[str] | None = None) -> float:
    """Train, evaluate, save. Returns the accuracy on the test pictures."""
    line, options = parse(arguments)
    training, test = line.read(lambda: load(options.data, options.split))
    line.make_folder(options.out)
    np.random.seed(options.seed)
    model = build(training[0].shape[1:])
    model.summary()
    history = train(model, training, test, options)
    score = model.evaluate(*test, verbose=0)
    pictures, captions = misread(model, *test)
    if captions:
        print(f"\nMisread, the surest first:\n\n{as_text(pictures[:SHOWN], captions[:SHOWN])}")
    print("Test loss:", score[0])
    print("Test accuracy:", score[1])
    print(f"{len(captions)} of {len(test[0])} test pictures are misread.")
    if not options.data:
        print(SPLITS[options.split])
    written = save(model, history, options.out)
    if captions:
        sheet = options.out / "misread.png"
        drawn = [enlarged(picture) for picture in pictures[:DRAWN]]
        write_contact_sheet(sheet, drawn, captions[:DRAWN], [False] * len(drawn))
        written.append(sheet)
    for path in written:
        print("Wrote", path)
    return float(score[1])


if __name__ == "__main__":
    main()
