"""Deep dream: a picture is changed, by gradients, until a network sees more of what it knows in it.

    python -m symgraph.models.deep_dream [--digit 3] [--out FOLDER]
    python -m symgraph.models.deep_dream --picture FILE --base InceptionV3 [--weights FILE] [--layer mixed4]

Without `--picture` a small network learns to read the bundled digits, which takes seconds, and then dreams of
each class: out of noise, which shows what a digit looks like to the network, and out of a written `--digit`.
With `--picture` a ready network dreams of what its layers respond to. The weights of the network stay as they
are: it is the pixels that climb. They do so in octaves, from a small picture to the whole one, so that large
forms come first and details after them (Mordvintsev et al. 2015).
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from symgraph import backend as K
from symgraph.datasets import digits
from symgraph.layers import Activation, AveragePooling2D, Conv2D, Dense, Dropout, GlobalMaxPooling2D, Input
from symgraph.models import Model
from symgraph.models.commands import CommandLine, whole
from symgraph.models.contact_sheet import write_contact_sheet
from symgraph.models.gradient_ascent import climber, dream, resize
from symgraph.models.pretrained import NETWORKS, load_base
from symgraph.preprocessing.image import ImageDataGenerator, array_to_img, img_to_array, load_img
from symgraph.utils import to_categorical

SIDE = 32  # of the digits, enlarged four times
CELL = 48  # pixels, on the sheet
SMALLEST = 75  # rows or columns that each ready network takes


def digit_reader(x: np.ndarray, y: np.ndarray, epochs: int) -> Model:
    """A network that reads digits wherever they are, and its training; 'logits' is its last layer but one."""
    image = z = Input((None, None, 1))
    for block, filters in enumerate((16, 32, 64)):
        z = AveragePooling2D(2)(z) if block else z
        z = Conv2D(filters, 3, padding="same", activation="relu")(z)
        z = Conv2D(filters, 3, padding="same", activation="relu")(z)
    z = Dropout(0.3)(GlobalMaxPooling2D()(z))
    model = Model(image, Activation("softmax")(Dense(10, name="logits")(z)))
    model.compile("adam", "categorical_crossentropy", metrics=["acc"])
    moved = ImageDataGenerator(
        rotation_range=10, width_shift_range=0.1, height_shift_range=0.1, zoom_range=0.15
    )
    model.fit_generator(moved.flow(x, to_categorical(y, 10)), epochs=epochs, verbose=2)
    return model


def dream_of_digits(options: argparse.Namespace) -> int:
    """Ten dreams out of noise, ten out of a written digit; how many of the first ten are read as meant."""
    (x, y), (x_test, y_test) = (
        (resize(x[..., np.newaxis].astype("float32") / 16, (SIDE, SIDE)).clip(0, 1), y)
        for x, y in digits.load_data()
    )
    model = digit_reader(x, y, options.epochs)
    print(f"Test accuracy: {np.mean(model.predict(x_test).argmax(-1) == y_test):.4f}")
    wanted = K.placeholder((None, 10))
    score = K.sum(model.get_layer("logits").output * wanted, axis=-1)
    of_all = climber(model.inputs[0], score, wanted)
    classes = np.eye(10, dtype="float32")

    def climb(pictures: np.ndarray) -> list[np.ndarray]:
        return of_all([pictures, classes, 0])

    noise = np.random.RandomState(options.seed).uniform(0, 0.3, (10, SIDE, SIDE, 1)).astype("float32")
    written = np.repeat(x_test[y_test == options.digit][:1], 10, axis=0)
    rate, steps = options.rate or 0.02, options.steps or 40
    climbing = partial(dream, climb, scale=options.scale, steps=steps, rate=rate, seed=options.seed)
    # At its own size only, and fading less: the written digit is to be seen still.
    dreams = [climbing(noise, options.octaves or 3, fade=0.02), climbing(written, 1, fade=0.01)]
    right = int(np.sum(model.predict(dreams[0]).argmax(-1) == np.arange(10)))
    print(f"{right} of the 10 dreams out of noise are read as what they were to be")
    large = partial(Image.Image.resize, size=(CELL, CELL), resample=Image.Resampling.BICUBIC)
    images = [large(array_to_img(1 - x, scale=True)) for pictures in dreams for x in pictures]
    captions = [*(f"{c}" for c in range(10)), *(f"{options.digit} to {c}" for c in range(10))]
    write_contact_sheet(options.out / "dream.png", images, captions, [False] * 20, CELL, columns=10)
    return right


def dream_of_layers(options: argparse.Namespace) -> np.ndarray:
    """The picture after a ready network has dreamt into it; also written to `--out`."""
    network = NETWORKS[options.base]
    picture = load_img(str(options.picture))
    picture.thumbnail((options.size, options.size))
    pixels = img_to_array(picture)[np.newaxis] / 255
    if min(pixels.shape[1:3]) < SMALLEST:
        raise ValueError(
            f"{options.picture} is too small: expected {SMALLEST} rows and columns, got {picture.size}"
        )
    base = load_base(options.base, options.weights, (None, None, 3), None)
    outputs = [base.get_layer(name).output for name in options.layer or network.dream]
    image = K.placeholder((None, None, None, 3))
    features = Model(base.inputs, outputs)(network.preprocess(image * 255))
    features = features if isinstance(features, list) else [features]
    climb = climber(image, sum(K.mean(K.square(x), axis=(1, 2, 3)) for x in features))
    dreamt = dream(
        lambda x: climb([x, 0]),
        pixels,
        options.octaves or 4,
        options.scale,
        options.steps or 20,
        options.rate or 0.01,
        seed=options.seed,
        smallest=SMALLEST,
    )
    array_to_img(dreamt[0] * 255, scale=False).save(options.out / "dream.png")
    return dreamt


def _run(options: argparse.Namespace) -> Any:
    np.random.seed(options.seed)
    result = (dream_of_layers if options.picture else dream_of_digits)(options)
    print("Wrote", options.out / "dream.png")
    return result


def main(arguments: list[str] | None = None) -> Any:
    """Dream, and draw it; see the head of this file."""
    line = CommandLine("deep_dream", __doc__)
    line.add_argument("--picture", type=Path, metavar="FILE", help="to dream into (default: bundled digits)")
    line.add_argument(
        "--base", choices=NETWORKS, default="InceptionV3", help="that dreams; default: InceptionV3"
    )
    line.add_argument("--weights", default="imagenet", metavar="FILE", help="of the base; default: imagenet")
    line.add_argument("--layer", action="append", metavar="NAME", help="to dream of; may be repeated")
    line.add_count("--size", 400, "longest side of the picture")
    line.add_argument("--digit", type=int, choices=range(10), default=3, help="without --picture; default: 3")
    line.add_count("--epochs", 8, "of the reader of digits")
    line.add_argument("--octaves", type=whole(1), metavar="N", help="sizes; default: 4, for digits 3")
    line.add_argument("--scale", type=float, default=1.4, help="between sizes; default: 1.4")
    line.add_argument("--steps", type=whole(1), metavar="N", help="at each size; default: 20, for digits 40")
    line.add_argument(
        "--rate", type=float, help="change of a pixel in a step; default: 0.01, for digits 0.02"
    )
    options = line.options(arguments)
    if not options.scale >= 1 or not (options.rate is None or options.rate > 0):
        line.error("--scale should be at least 1, and --rate more than 0")
    return line.run(_run, options)


if __name__ == "__main__":
    main()
