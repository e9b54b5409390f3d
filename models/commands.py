"""What the command lines of the programs share: their options, and one line for what is wrong with them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

import numpy as np

from symgraph import backend as K
from symgraph.datasets import digits, mnist

Split = tuple[np.ndarray, np.ndarray]
Read = TypeVar("Read")
CLASSES = 10
LARGEST_SEED = 2**32 - 1


class CommandLine(argparse.ArgumentParser):
    """A parser with the options of all programs. What is wrong is said in one line; the exit code is 2.

    Parameters
    ----------
    program : str
        Name of the program's file in `models/`.
    purpose : str
        The program's docstring, whose first line `--help` shows.
    """

    def __init__(self, program: str, purpose: str | None) -> None:
        super().__init__(
            prog=f"python -m symgraph.models.{program}", description=(purpose or "").split("\n")[0]
        )
        self.usual: dict[str, tuple[int, int]] = {}
        self.add_argument(
            "--out",
            type=Path,
            default=Path("demo") / program,
            metavar="FOLDER",
            help="for its results (default: %(default)s)",
        )
        self.add_argument(
            "--seed", type=whole(0, LARGEST_SEED), metavar="N", default=0, help="default: %(default)s"
        )

    def add_data(self, what: str, epochs: tuple[int, int], batch_size: tuple[int, int] = (32, 128)) -> None:
        """Add `--data`, which names `what`, and options whose defaults depend on it.

        The pairs are those defaults: for the bundled data, and for those of `--data`.
        """
        self.add_argument("--data", metavar="PATH", help=what)
        self.add_count("--epochs", epochs)
        self.add_count("--batch-size", batch_size)

    def add_count(self, option: str, usual: int | tuple[int, int], text: str = "") -> None:
        """Add an option for a number from 1 up, with its default or those without and with `--data`."""
        text = f"{text}; " if text else ""
        if isinstance(usual, int):
            self.add_argument(
                option, type=whole(1), metavar="N", default=usual, help=f"{text}default: {usual}"
            )
            return
        bundled, real = usual
        self.usual[option.lstrip("-").replace("-", "_")] = usual
        self.add_argument(
            option, type=whole(1), metavar="N", help=f"{text}default: {bundled}; with --data {real}"
        )

    def options(self, arguments: list[str] | None) -> argparse.Namespace:
        """The options as they were given, and the defaults of those that were not."""
        options = self.parse_args(arguments)
        for name, (bundled, real) in self.usual.items():
            if getattr(options, name) is None:
                setattr(options, name, real if options.data else bundled)
        return options

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end the program."""
        self.exit(2, f"{self.prog}: error: {' '.join(message.split())}\n")

    def read(self, load: Callable[[], Read]) -> Read:
        """What `load` returns; what it complains about ends the program, as does a bad file or none."""
        try:
            return load()
        except (OSError, ValueError) as error:
            self.error(f"--data: {error}")

    def run(self, program: Callable[[argparse.Namespace], Read], options: argparse.Namespace) -> Read:
        """What `program` returns; what it says of files and values that are not as they should be ends it."""
        if K.image_data_format() != "channels_last":
            self.error(f"expected the image_data_format channels_last, got {K.image_data_format()}")
        self.make_folder(options.out)
        try:
            return program(options)
        except (OSError, ValueError) as error:
            self.error(str(error))

    def make_folder(self, folder: Path) -> None:
        """Make the folder of `--out` before the work that fills it."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self.error(f"--out: cannot make the folder {folder}: {error.strerror}")
        if not os.access(folder, os.W_OK):
            self.error(f"--out: cannot write into {folder}")


def whole(least: int, greatest: int | None = None) -> Callable[[str], int]:
    """A type of options: whole numbers from `least` to `greatest`."""
    kind = f"at least {least}" if greatest is None else f"from {least} to {greatest}"

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least or (greatest is not None and number > greatest):
            raise argparse.ArgumentTypeError(f"expected a whole number, {kind}, got {text!r}")
        return number

    return parse


def load_digits(path: str | None, split: str = "writers") -> tuple[Split, Split]:
    """Handwritten digits for training and for testing.

    Parameters
    ----------
    path : str or None
        A file like mnist.npz. `'mnist.npz'` itself is downloaded if need be. None: the bundled digits.
    split : {'writers', 'shuffled'}
        Of the bundled digits.

    Returns
    -------
    ((x_train, y_train), (x_test, y_test))
        Pictures, float32 (n, rows, columns), 0 (paper) to 1 (ink); labels (n,), 0 to 9.

    Raises
    ------
    OSError, ValueError
        If there is no such file, or it has something else.
    """
    if path is None:
        parts = digits.load_data(split)
    elif os.path.isfile(path):
        parts = mnist.load_data(os.path.abspath(path))
    elif path == "mnist.npz":
        parts = mnist.load_data(path)
    else:
        raise FileNotFoundError(f"there is no file {path}")
    for x, y in parts:
        if not len(x) or x.min() < 0 or not x.max() > 0 or y.min() < 0 or y.max() >= CLASSES:
            raise ValueError(
                f"{path} should have pictures, with pixels from 0 (paper) up, and labels from 0 to 9"
            )
    brightest = float(parts[0][0].max())
    (x_train, y_train), (x_test, y_test) = parts
    return (x_train.astype("float32") / brightest, y_train), (x_test.astype("float32") / brightest, y_test)
