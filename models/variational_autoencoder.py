"""A variational autoencoder: it learns a plane on which each point is the picture of a digit.

    python -m symgraph.models.variational_autoencoder [--data mnist.npz] [--epochs N]

The encoder says where on the plane a picture may lie (mean and variance), a point is drawn there, and the
decoder makes a picture of it (Kingma and Welling 2013). What is minimised is the negative ELBO: how badly the
picture is redrawn, plus how far the places are from a normal distribution. Without `--data` it trains on the
small real set that comes with the package. It prints the negative ELBO of the test pictures before and after
training, and writes the weights and a drawing of the plane into `--out` (the drawing only where matplotlib
is there).
"""

from __future__ import annotations

from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from symgraph import backend as K
from symgraph.layers import Dense, Input, Lambda
from symgraph.losses import binary_crossentropy
from symgraph.models import Model
from symgraph.models.commands import CLASSES, CommandLine, load_digits

PLANE = 2  # dimensions of the latent space
GRID = 12  # decoded digits in a row, and in a column


class Autoencoder(NamedTuple):
    """The three models, which share their layers."""

    encoder: Model  # pictures (n, pixels) to means, logarithms of variances and points, (n, 2) each
    decoder: Model  # points to pictures
    whole: Model  # pictures to pictures, with the loss


def draw_point(place: list[K.Tensor]) -> K.Tensor:
    """A random point around the mean, such that gradients reach mean and variance (reparametrisation)."""
    mean, log_variance = place
    return mean + K.exp(log_variance / 2) * K.random_normal(shape=K.shape(mean))


def divergence(mean: K.Tensor, log_variance: K.Tensor) -> K.Tensor:
    """Kullback-Leibler divergence of places (n, 2) from the standard normal distribution, in nats: (n,)."""
    return 0.5 * K.sum(K.square(mean) + K.exp(log_variance) - 1 - log_variance, axis=-1)


def reconstruction(pictures: K.Tensor, redrawn: K.Tensor) -> K.Tensor:
    """Cross-entropy of the pixels as chances of ink, summed over the picture, in nats: (n,)."""
    return K.int_shape(pictures)[-1] * binary_crossentropy(pictures, redrawn)


def build(pixels: int, hidden: int = 512) -> Autoencoder:
    """A hidden layer in the encoder, and one in the decoder."""
    pictures = Input(shape=(pixels,), name="pictures")
    x = Dense(hidden, activation="relu")(pictures)
    mean = Dense(PLANE, name="mean")(x)
    log_variance = Dense(PLANE, name="log_variance")(x)
    point = Lambda(draw_point, output_shape=(PLANE,), name="point")([mean, log_variance])
    encoder = Model(pictures, [mean, log_variance, point], name="encoder")

    points = Input(shape=(PLANE,), name="points")
    x = Dense(hidden, activation="relu")(points)
    decoder = Model(points, Dense(pixels, activation="sigmoid")(x), name="decoder")

    redrawn = decoder(encoder(pictures)[2])
    whole = Model(pictures, redrawn, name="autoencoder")
    whole.add_loss(K.mean(reconstruction(pictures, redrawn) + divergence(mean, log_variance)))
    whole.compile(optimizer="adam")
    return Autoencoder(encoder, decoder, whole)


def plane(decoder: Model, side: int) -> np.ndarray:
    """Decoded points on a grid, as one large picture.

    The lines of the grid are quantiles of the normal distribution: as many digits of the training set lie
    between two of them as between two others, if the encoder has learned its places well.
    """
    quantiles = [NormalDist().inv_cdf((i + 0.5) / GRID) for i in range(GRID)]
    points = np.array([(x, y) for y in reversed(quantiles) for x in quantiles])
    tiles = decoder.predict(points).reshape(GRID, GRID, side, -1)
    space = side // 4
    tiles = np.pad(tiles, ((0, 0), (0, 0), (0, space), (0, space)))
    return tiles.transpose(0, 2, 1, 3).reshape(GRID * (side + space), -1)[:-space, :-space]


def mean_picture_loss(x_train: np.ndarray, x_test: np.ndarray) -> float:
    """Reconstruction loss of one who draws the mean of the training pictures whatever he is shown."""
    mean = np.clip(x_train.mean(axis=0), 1e-7, 1 - 1e-7).astype("float64")
    return float(-np.sum(x_test * np.log(mean) + (1 - x_test) * np.log1p(-mean), axis=1).mean())


def draw(model: Autoencoder, x: np.ndarray, y: np.ndarray, side: int, path: Path) -> None:
    """The plane as pictures, and beside it the places of the pictures `x` with the colours of their classes.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    """
    try:
        # An extra, and slow to import: only for those who draw.
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise ImportError("the plane is drawn with matplotlib: pip install symgraph[plot]") from error
    figure = Figure(figsize=(11, 5), layout="constrained")
    pictures, places = figure.subplots(1, 2)
    pictures.imshow(plane(model.decoder, side), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    pictures.set_axis_off()
    pictures.set_title("what the decoder draws at the points of a grid")
    means = model.encoder.predict(x)[0]
    for digit in range(CLASSES):
        places.scatter(*means[y == digit].T, s=8, color=f"C{digit}", label=str(digit))
    places.set_title("where the encoder puts the test pictures")
    places.set_aspect("equal", "datalim")
    places.legend(loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(path, dpi=80)


def main(arguments: list[str] | None = None) -> float:
    """Train, evaluate, draw. Returns the negative ELBO of the test pictures, in nats a picture."""
    line = CommandLine("variational_autoencoder", __doc__)
    line.add_data("an mnist.npz file (default: the bundled digits)", (100, 50))
    options = line.options(arguments)
    (x_train, _), (x_test, y_test) = line.read(lambda: load_digits(options.data))
    line.make_folder(options.out)
    np.random.seed(options.seed)
    side = x_train.shape[1]
    x_train, x_test = (x.reshape(len(x), -1) for x in (x_train, x_test))
    model = build(x_train.shape[1])
    model.whole.summary()
    before = model.whole.evaluate(x_test, None, verbose=0)
    model.whole.fit(
        x_train,
        batch_size=options.batch_size,
        epochs=options.epochs,
        verbose=2,
        validation_data=(x_test, None),
    )
    after = model.whole.evaluate(x_test, None, verbose=0)
    print(f"Negative ELBO of the test pictures: {after:.2f} nats; before training: {before:.2f};")
    print(f"for the mean picture, whatever is to be drawn: {mean_picture_loss(x_train, x_test):.2f}")
    model.whole.save_weights(str(options.out / "weights.h5"))
    print("Wrote", options.out / "weights.h5")
    try:
        draw(model, x_test, y_test, side, options.out / "plane.png")
    except ImportError as error:
        print("No drawing:", error)
    else:
        print("Wrote", options.out / "plane.png")
    return float(after)


if __name__ == "__main__":
    main()
