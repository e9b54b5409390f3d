"""A siamese network: two pictures go through the same layers, and their distance tells if they are alike.

    python -m symgraph.models.siamese [--data mnist.npz] [--epochs N] [--out demo/siamese]

It learns from pairs of digits, half of them of one class, to put like ones close and others at least a
margin apart (contrastive loss: Hadsell, Chopra and LeCun 2006). Without `--data` it trains on the small real
set that comes with the package. It prints the accuracy on pairs of test pictures, beside that of the plain
distance of pixels, and writes the shared layers as a model and a sheet of pairs into `--out`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from symgraph import backend as K
from symgraph.layers import Dense, Dropout, Flatten, Input, Lambda
from symgraph.models import Model, Sequential
from symgraph.models.commands import CLASSES, CommandLine, load_digits
from symgraph.models.contact_sheet import write_contact_sheet
from symgraph.models.small_pictures import enlarged
from symgraph.optimizers import RMSprop

MARGIN = 1.0  # what others than like ones should be apart at least
LIMIT = MARGIN / 2  # pairs that are closer count as alike
SHOWN = 24

Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]


def euclidean_distance(points: list[K.Tensor]) -> K.Tensor:
    """Distance of the points (n, d) of two pictures: (n, 1). Its gradient is finite at zero, too."""
    a, b = points
    return K.sqrt(K.maximum(K.sum(K.square(a - b), axis=1, keepdims=True), K.epsilon()))


def contrastive_loss(y_true: K.Tensor, y_pred: K.Tensor) -> K.Tensor:
    """Squared distance of like pairs (1); squared lack of the margin of others (0)."""
    apart = K.square(K.maximum(MARGIN - y_pred, 0))
    return K.mean(y_true * K.square(y_pred) + (1 - y_true) * apart)


def accuracy(y_true: K.Tensor, y_pred: K.Tensor) -> K.Tensor:
    """Share of the pairs on the right side of the limit."""
    return K.mean(K.equal(y_true, K.cast(y_pred < LIMIT, y_true.dtype)))


def make_pairs(x: np.ndarray, y: np.ndarray, seed: int) -> Pairs:
    """Pairs of one class and pairs of two, in turn: first pictures, second pictures, labels 1 and 0 (n, 1).

    Each picture is paired with the next one of its class, and with one of another class.

    Raises
    ------
    ValueError
        If a class has fewer than two pictures.
    """
    rng = np.random.RandomState(seed)
    members = [np.flatnonzero(y == digit) for digit in range(CLASSES)]
    count = min(len(places) for places in members) - 1
    if count < 1:
        rarest = min(range(CLASSES), key=lambda digit: len(members[digit]))
        raise ValueError(
            f"pairs need at least two pictures of each of the {CLASSES} classes, "
            f"got {len(members[rarest])} of class {rarest}"
        )
    first, second = [], []
    for digit, places in enumerate(members):
        for i in range(count):
            other = members[(digit + rng.randint(1, CLASSES)) % CLASSES]
            first += [places[i], places[i]]
            second += [places[i + 1], other[i]]
    labels = np.tile([1.0, 0.0], len(first) // 2).astype("float32")
    return x[first], x[second], labels[:, np.newaxis]


def build(input_shape: tuple[int, ...]) -> tuple[Model, Sequential]:
    """The network of two pictures, which ends in their distance, and the layers that both go through."""
    shared = Sequential(name="shared")
    shared.add(Flatten(input_shape=input_shape))
    shared.add(Dense(128, activation="relu"))
    shared.add(Dropout(0.1))
    shared.add(Dense(128, activation="relu"))
    shared.add(Dropout(0.1))
    shared.add(Dense(128, activation="relu"))
    a, b = Input(shape=input_shape), Input(shape=input_shape)
    distance = Lambda(euclidean_distance, output_shape=(1,), name="distance")([shared(a), shared(b)])
    model = Model([a, b], distance)
    model.compile(loss=contrastive_loss, optimizer=RMSprop(), metrics=[accuracy])
    return model, shared


def pixel_accuracy(training: Pairs, test: Pairs) -> float:
    """Accuracy of the distance of pixels, with the limit that is best for the training pairs."""

    def distances(pairs: Pairs) -> np.ndarray:
        return np.sqrt(np.square(pairs[0] - pairs[1]).reshape(len(pairs[0]), -1).sum(axis=1))

    known, alike = distances(training), training[2][:, 0] == 1
    limits = np.linspace(known.min(), known.max(), 200)
    best = max(limits, key=lambda limit: float(np.mean((known < limit) == alike)))
    return float(np.mean((distances(test) < best) == (test[2][:, 0] == 1)))


def draw(pairs: Pairs, distances: np.ndarray, path: Path) -> None:
    """A sheet of pairs with their distances; those on the wrong side of the limit are red."""
    # Like and other pairs alternate: both of them, from all classes.
    part = np.linspace(0, len(distances) // 2 - 1, SHOWN // 2).astype(int)
    part = np.stack([2 * part, 2 * part + 1], axis=1).ravel()
    first, second, alike = (array[part] for array in pairs)
    apart = distances[part, 0]
    gap = np.zeros_like(first[:, :, :1])
    pictures = [enlarged(pair) for pair in np.concatenate([first, gap, second], axis=2)]
    captions = [f"{'alike' if d < LIMIT else 'different'}: {d:.2f}" for d in apart]
    wrong = [bool((d < LIMIT) != same) for d, same in zip(apart, alike[:, 0] == 1, strict=True)]
    write_contact_sheet(path, pictures, captions, wrong)


def main(arguments: list[str] | None = None) -> float:
    """Train, evaluate, draw. Returns the accuracy on pairs of test pictures."""
    line = CommandLine("siamese", __doc__)
    line.add_data("an mnist.npz file (default: the bundled digits)", (20, 20))
    options = line.options(arguments)

    def load() -> tuple[Pairs, Pairs]:
        parts = load_digits(options.data)
        training, test = (make_pairs(x, y, options.seed) for x, y in parts)
        return training, test

    training, test = line.read(load)
    line.make_folder(options.out)
    np.random.seed(options.seed)
    model, shared = build(training[0].shape[1:])
    model.summary()
    model.fit(
        list(training[:2]),
        training[2],
        batch_size=options.batch_size,
        epochs=options.epochs,
        verbose=2,
        validation_data=(list(test[:2]), test[2]),
    )
    distances = model.predict(list(test[:2]))
    right = float(np.mean((distances < LIMIT) == (test[2] == 1)))
    print(f"Accuracy on {len(distances)} pairs of test pictures: {right:.4f}")
    print(f"By the distance of their pixels: {pixel_accuracy(training, test):.4f}")
    shared.save(str(options.out / "shared.h5"))
    draw(test, distances, options.out / "pairs.png")
    for name in ("shared.h5", "pairs.png"):
        print("Wrote", options.out / name)
    return right


if __name__ == "__main__":
    main()
