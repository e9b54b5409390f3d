"""The tasks of `symgraph.models.transfer_learning`, and a network with a past that helps with the first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from symgraph.datasets import digits
from symgraph.layers import Activation, BatchNormalization, Conv2D, Flatten, MaxPooling2D
from symgraph.models import Sequential
from symgraph.preprocessing.image import DirectoryIterator, ImageDataGenerator, array_to_img
from symgraph.utils import to_categorical

# Batches of pictures and one-hot labels, by their numbers.
Batches = Any

_SHIFTED: dict[str, Any] = {"width_shift_range": 0.1, "height_shift_range": 0.1, "zoom_range": 0.1}


class Task(NamedTuple):
    """What is to be told apart, and pictures of it, for the parts 'train' and 'validation'."""

    classes: list[str]
    #: `batches(part, learn)`: shuffled and perhaps transformed to learn from, else in order.
    batches: Callable[[str, bool], Batches]
    #: `pictures(part)`: in order, to look at.
    pictures: Callable[[str], list[Path | Image.Image]]


def digit_network() -> Sequential:
    """Three blocks of convolution, normalisation and ReLU on 8 x 8 pixels: 1,024 features of a digit."""
    model = Sequential()
    for number, filters in enumerate((32, 32, 64), 1):
        shape: dict[str, Any] = {"input_shape": (8, 8, 1)} if number == 1 else {}
        model.add(Conv2D(filters, 3, padding="same", use_bias=False, name=f"block{number}_conv", **shape))
        model.add(BatchNormalization(momentum=0.9, name=f"block{number}_bn"))
        model.add(Activation("relu", name=f"block{number}_relu"))
        if number == 2:
            model.add(MaxPooling2D(name="block2_pool"))
    model.add(Flatten(name="features"))
    return model


def reading_task() -> Task:
    """Which digit it is: what the base of the next task has learned."""
    return _digit_task(
        [str(digit) for digit in range(10)],
        *digits.load_data(),
        ImageDataGenerator(rotation_range=10, fill_mode="constant", **_SHIFTED),
        0,
    )


def parity_task(few: int, seed: int) -> Task:
    """Odd or even, from `few` pictures of each digit; the pictures for validation are by other writers."""
    (x, y), (x_test, y_test) = digits.load_data()
    order = np.random.RandomState(seed).permutation(len(x))
    chosen = np.concatenate([order[y[order] == digit][:few] for digit in range(10)])
    return _digit_task(
        ["even", "odd"], (x[chosen], y[chosen] % 2), (x_test, y_test % 2), ImageDataGenerator(), seed
    )


def _digit_task(
    classes: list[str],
    train: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    learning: ImageDataGenerator,
    seed: int,
) -> Task:
    parts = {"train": train, "validation": validation}

    def batches(part: str, learn: bool) -> Batches:
        x, y = parts[part]
        generator = learning if learn else ImageDataGenerator()
        pixels = x[..., np.newaxis].astype("float32") / 16
        return generator.flow(pixels, to_categorical(y, len(classes)), shuffle=learn, seed=seed)

    def pictures(part: str) -> list[Path | Image.Image]:
        # Ink is dark here.
        images = [array_to_img(16.0 - x[..., np.newaxis], scale=True) for x in parts[part][0]]
        return [image.resize((80, 80), Image.Resampling.NEAREST) for image in images]

    return Task(classes, batches, pictures)


def photograph_task(data: Path, preprocess: Callable[[Any], Any], side: int, seed: int) -> Task:
    """Of which of the folders in `train` and `validation` of `data` a photograph is.

    Raises
    ------
    OSError
        If folders or pictures are missing.
    ValueError
        If there is one class only.
    """
    for part in ("train", "validation"):
        if not (data / part).is_dir():
            raise FileNotFoundError(
                f"there is no folder {data / part}: expected train and validation in {data}, each "
                "with a folder for each class"
            )
    classes = sorted(folder.name for folder in (data / "train").iterdir() if folder.is_dir())
    if len(classes) < 2:
        raise ValueError(
            f"expected a folder for each of two or more classes in {data / 'train'}, got {classes}"
        )

    missing = [
        str(data / "validation" / name) for name in classes if not (data / "validation" / name).is_dir()
    ]
    if missing:
        raise FileNotFoundError(f"there is no folder {missing[0]}, as there is one in {data / 'train'}")

    def found(part: str, learn: bool) -> DirectoryIterator:
        changes: dict[str, Any] = {"horizontal_flip": True, **_SHIFTED} if learn else {}
        generator = ImageDataGenerator(preprocessing_function=preprocess, **changes)
        pictures = generator.flow_from_directory(
            str(data / part), target_size=(side, side), classes=classes, shuffle=learn, seed=seed
        )
        if not pictures.samples:
            raise FileNotFoundError(f"there are no pictures of {', '.join(classes)} in {data / part}")
        return pictures

    kinds = (("train", True), ("train", False), ("validation", False))
    iterators = {kind: found(*kind) for kind in kinds}
    return Task(
        classes,
        lambda part, learn: iterators[part, learn],
        lambda part: [data / part / name for name in iterators[part, False].filenames],
    )
