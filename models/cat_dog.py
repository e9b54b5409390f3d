"""Cats and dogs: a convolutional network that learns to tell them apart from folders of photographs.

    python -m symgraph.models.cat_dog [--data CatAndDog] [--weights CatDogClassifier_model.h5] [--epochs 30]
    python -m symgraph.models.cat_dog -f PICTURE
    python -m symgraph.models.cat_dog -d FOLDER [--sheet sheet.png]

The first form trains on the pictures in `train/cat`, `train/dog`, `validation/cat` and `validation/dog` of
`--data`. The model of the epoch with the best validation accuracy goes to `--weights`, the curves to a PNG
beside it, and the pictures in `test/cat` and `test/dog`, where there are any, are its last test. The other
two forms ask that model: about one picture, or about all pictures of a folder and its subfolders.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from symgraph.callbacks import EarlyStopping, History, ModelCheckpoint
from symgraph.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from symgraph.models import Model, Sequential, load_model
from symgraph.models.contact_sheet import check_contact_sheet, write_contact_sheet
from symgraph.optimizers import RMSprop
from symgraph.preprocessing.image import DirectoryIterator, ImageDataGenerator, img_to_array, load_img

CLASSES = ("cat", "dog")
DATA = Path("CatAndDog")
WEIGHTS = Path("CatDogClassifier_model.h5")
SIDE = 150
BATCH = 32
PATIENCE = 10  # epochs without a better validation accuracy that end the training
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff")


class Guess(NamedTuple):
    """What the network says of a picture: `dog` is its probability, None where `problem` says why not."""

    path: Path
    dog: float | None
    problem: str = ""

    @property
    def name(self) -> str:
        """The likelier class."""
        return "" if self.dog is None else CLASSES[self.dog >= 0.5]

    @property
    def share(self) -> float:
        """Probability of the likelier class."""
        return 0.0 if self.dog is None else max(self.dog, 1 - self.dog)

    @property
    def is_right(self) -> bool | None:
        """Whether the picture's folder has the name of the class; None where one of them is not known."""
        folder = self.path.parent.name
        return folder == self.name if self.name and folder in CLASSES else None


def pictures(folder: Path, augmented: bool, seed: int) -> DirectoryIterator:
    """Batches of the pictures in `folder/cat` and `folder/dog`; shuffled and augmented for training.

    A picture that cannot be read is named in a warning and left out.
    """
    generator = ImageDataGenerator(rescale=1 / 255)
    if augmented:
        generator = ImageDataGenerator(
            rescale=1 / 255,
            rotation_range=40,
            width_shift_range=0.2,
            height_shift_range=0.2,
            shear_range=10,
            zoom_range=0.2,
            horizontal_flip=True,
        )
    return generator.flow_from_directory(
        str(folder),
        target_size=(SIDE, SIDE),
        classes=list(CLASSES),
        class_mode="binary",
        batch_size=BATCH,
        shuffle=augmented,
        seed=seed,
        on_error="skip",
    )


class CatDogClassifier:
    """The network that tells cats from dogs: its data, its training, and the curves of that.

    Parameters
    ----------
    weights : path
        Where the best model goes, and beside it the curves.
    seed : int
        Of the initial weights, the order of the pictures and their transforms.
    """

    def __init__(self, weights: str | Path = WEIGHTS, seed: int = 0) -> None:
        self.weights = Path(weights)
        self.seed = seed

    def create_model(self) -> Sequential:
        """Five convolutions, each with a pooling, dropout, and two dense layers: 1,061,313 parameters."""
        model = Sequential()
        model.add(Conv2D(32, (3, 3), activation="relu", input_shape=(SIDE, SIDE, 3)))
        model.add(MaxPooling2D((2, 2)))
        for filters in (64, 128, 128, 256):
            model.add(Conv2D(filters, (3, 3), activation="relu"))
            model.add(MaxPooling2D((2, 2)))
        model.add(Flatten())
        model.add(Dropout(0.5))
        model.add(Dense(512, activation="relu"))
        model.add(Dense(1, activation="sigmoid"))
        model.compile(loss="binary_crossentropy", optimizer=RMSprop(5e-4), metrics=["acc"])
        return model

    def load_data(self, train_directory: str | Path = DATA) -> tuple[DirectoryIterator, DirectoryIterator]:
        """Batches of the pictures in the folders `train` and `validation` of `train_directory`.

        Raises
        ------
        FileNotFoundError
            If a folder is missing, or there are no pictures in it.
        """
        data = Path(train_directory)
        for part in ("train", "validation"):
            for name in CLASSES:
                if not (data / part / name).is_dir():
                    raise FileNotFoundError(
                        f"there is no folder {data / part / name}: expected train and validation in {data}, "
                        f"each with {' and '.join(CLASSES)}; --data names another folder"
                    )
        batches = pictures(data / "train", True, self.seed)
        held_out = pictures(data / "validation", False, self.seed)
        for found in (batches, held_out):
            if not found.samples:
                raise FileNotFoundError(
                    f"there are no pictures in {' and '.join(CLASSES)} of {found.directory}"
                )
        return batches, held_out

    def train(self, train_directory: str | Path = DATA, epochs: int = 30) -> History:
        """Train on the pictures in `train_directory`; keep the best model, and the curves beside it.

        Raises
        ------
        OSError
            If pictures are missing, or the model could not be written.
        """
        if self.weights.is_dir() or not self.weights.parent.is_dir():
            raise OSError(
                f"--weights: cannot write {self.weights}: it is a folder, or its folder does not exist"
            )
        np.random.seed(self.seed)
        batches, held_out = self.load_data(train_directory)
        model, history = self.create_model(), History()
        model.summary()
        try:
            model.fit_generator(
                batches,
                epochs=epochs,
                validation_data=held_out,
                callbacks=[
                    ModelCheckpoint(self.weights, monitor="val_acc", save_best_only=True, verbose=1),
                    EarlyStopping(monitor="val_acc", patience=PATIENCE, verbose=1),
                    history,
                ],
            )
        except KeyboardInterrupt:
            print(
                "\nStopped" if history.epoch else "\nStopped before the end of an epoch: nothing is written"
            )
        if history.epoch:
            write_curves(history, self.weights)
            self._test(Path(train_directory) / "test")
        return history

    def _test(self, folder: Path) -> None:
        """Evaluate the best model on a folder of pictures, if it is there."""
        if folder.is_dir():
            loss, accuracy = load_model(str(self.weights)).evaluate_generator(
                pictures(folder, False, self.seed)
            )
            print(f"Test: loss {loss:.4f}, accuracy {accuracy:.4f}")

    def show_acc(self, history: History, path: str | Path | None = None) -> Any:
        """Draw the accuracy over the epochs, into the file `path` too where there is one.

        Returns
        -------
        matplotlib.figure.Figure
            To look at in a notebook.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        return _curve(history, "acc", path)

    def show_loss(self, history: History, path: str | Path | None = None) -> Any:
        """Draw the loss over the epochs, as `show_acc` draws the accuracy."""
        return _curve(history, "loss", path)


def _curve(history: History, name: str, path: str | Path | None) -> Any:
    part = History()
    part.epoch = history.epoch
    part.history = {key: history.history[key] for key in (name, f"val_{name}") if key in history.history}
    return part.plot(path)


def write_curves(history: History, weights: Path) -> None:
    """Draw accuracy and loss over the epochs into a PNG beside `weights`."""
    best = max(history.history["val_acc"])
    print(f"Best validation accuracy: {best:.4f} (epoch {history.history['val_acc'].index(best) + 1})")
    print("Wrote", weights)
    curves = weights.with_name(f"{weights.stem.removesuffix('_model')}_curves.png")
    try:
        history.plot(curves)
    except ImportError as error:
        print("No curves:", error)
    else:
        print("Wrote", curves)


def predict(model: Model, paths: Sequence[Path]) -> list[Guess]:
    """Ask the network about pictures; one that cannot be read gets the reason instead."""
    guesses: list[Guess] = []
    for start in range(0, len(paths), BATCH):
        read: list[np.ndarray] = []
        problems: dict[Path, str] = {}
        part = paths[start : start + BATCH]
        for path in part:
            try:
                read.append(img_to_array(load_img(str(path), target_size=(SIDE, SIDE))) / 255)
            except (OSError, ValueError) as error:
                problems[path] = str(error)
        dogs = iter(model.predict_on_batch(np.stack(read))[:, 0] if read else ())
        guesses += [
            Guess(p, None, problems[p]) if p in problems else Guess(p, float(next(dogs))) for p in part
        ]
    return guesses


def listed(folder: Path) -> list[Path]:
    """All picture files below a folder, in order."""
    if not folder.is_dir():
        raise NotADirectoryError(f"there is no folder {folder}")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise FileNotFoundError(f"there is no picture ({' '.join(SUFFIXES)}) in {folder}")
    return paths


def table(guesses: Sequence[Guess], folder: Path) -> str:
    """One line a picture, and a last one that counts."""
    names = [str(guess.path.relative_to(folder)) for guess in guesses]
    width = max(len(name) for name in names)
    lines = [f"{'picture':{width}}  class  probability"]
    for name, guess in zip(names, guesses, strict=True):
        if guess.dog is None:
            lines.append(f"{name:{width}}  -      {guess.problem}")
        else:
            mark = "  wrong" if guess.is_right is False else ""
            lines.append(f"{name:{width}}  {guess.name:5}  {guess.share:11.4f}{mark}")
    counts = ", ".join(f"{sum(g.name == name for g in guesses)} {name}s" for name in CLASSES)
    lines.append(f"{len(guesses)} pictures: {counts}")
    unread = sum(guess.dog is None for guess in guesses)
    lines[-1] += f", {unread} unreadable" if unread else ""
    known = [guess.is_right for guess in guesses if guess.is_right is not None]
    if known:
        lines[-1] += f"; {sum(known)} of {len(known)} as their folders say ({sum(known) / len(known):.4f})"
    return "\n".join(lines)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m symgraph.models.cat_dog", description=(__doc__ or "").split("\n")[0]
    )
    asked = parser.add_mutually_exclusive_group()
    asked.add_argument("-f", "--file", type=Path, metavar="PICTURE", help="tell what is in this picture")
    asked.add_argument("-d", "--directory", type=Path, metavar="FOLDER", help="tell it of all in this folder")
    parser.add_argument(
        "--data",
        type=Path,
        default=DATA,
        metavar="FOLDER",
        help="what to train on, a folder of train, validation and test, each with cat and dog "
        "(default: ./CatAndDog)",
    )
    parser.add_argument(
        "--weights",
        type=Path,
        default=WEIGHTS,
        metavar="FILE",
        help="the model to write, or to ask (default: ./CatDogClassifier_model.h5)",
    )
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="with -d or -f: the pictures with answers")
    options = parser.parse_args(arguments)
    if options.epochs < 1:
        parser.error(f"--epochs should be at least 1, got {options.epochs}")
    if options.sheet and not (options.file or options.directory):
        parser.error("--sheet goes with -d or -f")
    return options


def _ask(options: argparse.Namespace) -> list[Guess]:
    """Predict a file or a folder, and print what came out."""
    if not options.weights.is_file():
        raise FileNotFoundError(
            f"there is no model {options.weights}: train one first, or name it: --weights"
        )
    paths = listed(options.directory) if options.directory else [options.file]
    if options.sheet:
        check_contact_sheet(options.sheet, len(paths))
    model = load_model(str(options.weights))
    if (model.input_shape, model.output_shape) != ((None, SIDE, SIDE, 3), (None, 1)):
        raise ValueError(
            f"{options.weights} is another model: expected one from (None, {SIDE}, {SIDE}, 3) to (None, 1), "
            f"got {model.input_shape} to {model.output_shape}"
        )
    guesses = predict(model, paths)
    if options.directory:
        print(table(guesses, options.directory))
    elif guesses[0].dog is None:
        raise OSError(guesses[0].problem)
    else:
        print(f"{guesses[0].path}: {guesses[0].name} ({guesses[0].share:.4f})")
    if options.sheet:
        captions = [f"{g.name} {g.share:.2f}" if g.name else "unreadable" for g in guesses]
        write_contact_sheet(options.sheet, paths, captions, [g.is_right is False for g in guesses])
        print("Wrote", options.sheet)
    return guesses


def main(arguments: list[str] | None = None) -> History | list[Guess]:
    """Train, or predict: see the head of this file."""
    options = _options(arguments)
    try:
        if options.file or options.directory:
            return _ask(options)
        return CatDogClassifier(options.weights, options.seed).train(options.data, options.epochs)
    except (OSError, ValueError) as error:
        sys.exit(f"cat_dog: {error}")


if __name__ == "__main__":
    main()
