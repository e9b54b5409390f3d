"""Transfer learning: what a network has learned for one task serves another one that has few pictures.

    python -m symgraph.models.transfer_learning [--few 1] [--out FOLDER]
    python -m symgraph.models.transfer_learning --data CatAndDog --base MobileNet [--weights FILE]

The base is frozen, and a new head learns from what it makes of the pictures; then the last block of the base
learns too, slowly. Without `--data` the base reads the bundled digits, and the new task is to tell odd digits
from even ones, of `--few` pictures of each digit; the same network without that past is the comparison. With
`--data` the base is a ready network, and the classes are the folders in `train` and `validation` of `--data`.
The model goes to `--out`, with a sheet of pictures that it learned from and that it was asked about.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from symgraph import backend as K
from symgraph.layers import BatchNormalization, Dense, Dropout
from symgraph.models import Model, Sequential, clone_model
from symgraph.models.commands import CommandLine
from symgraph.models.contact_sheet import write_contact_sheet
from symgraph.models.pretrained import NETWORKS, load_base
from symgraph.models.transfer_tasks import (
    Batches,
    Task,
    digit_network,
    parity_task,
    photograph_task,
    reading_task,
)
from symgraph.optimizers import Adam

READING_EPOCHS = 20
RATE, SLOW = 1e-3, 1e-4  # of the head; once the base learns, too, whose weights are good already
LEARNED, ASKED = 16, 32  # pictures on the sheet


def new_head(base: Model, classes: int) -> Sequential:
    """A classifier of the features that the base makes."""
    return Sequential([Dropout(0.5, input_shape=base.output_shape[1:]), Dense(classes, activation="softmax")])


def joined(base: Model, head: Model) -> Model:
    """A network of both, which shares their weights."""
    return Model(base.inputs, head(base.outputs[0]))


def learn(model: Model, rate: float, task: Task, epochs: int, verbose: int = 0) -> float:
    """Train what is not frozen; the accuracy on the pictures for validation."""
    model.compile(Adam(rate), "categorical_crossentropy", metrics=["acc"])
    model.fit_generator(task.batches("train", True), epochs=epochs, verbose=verbose)
    return float(model.evaluate_generator(task.batches("validation", False))[1])


def with_fixed_statistics(base: Model) -> Model:
    """A copy in which BatchNormalization uses its moving averages, also while others train.

    Else a frozen layer, too, would normalise by the few pictures of each batch, and the layers after it would
    learn from what they will not see again.
    """
    K.set_learning_phase(0)
    try:
        copy = clone_model(base)
    finally:
        # Leaves the phase to each call again.
        K.clear_session()
    copy.set_weights(base.get_weights())
    return copy


def unfreeze(base: Model, first: str | None) -> None:
    """Let the layers from `first` on learn, and no others; None freezes all.

    BatchNormalization stays frozen: few pictures are no good for new averages.
    """
    names = [layer.name for layer in base.layers]
    start = len(names) if first is None else names.index(first)
    for number, layer in enumerate(base.layers):
        layer.trainable = number >= start and not isinstance(layer, BatchNormalization)


def outputs(model: Model, batches: Batches) -> tuple[np.ndarray, np.ndarray]:
    """What a network makes of all pictures, and their labels."""
    parts = [(model.predict_on_batch(x), y) for x, y in (batches[i] for i in range(len(batches)))]
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


def train_head(base: Model, task: Task, epochs: int) -> tuple[Sequential, float]:
    """A head for the frozen base, whose features of each picture are computed once; and its accuracy."""
    x, y = outputs(base, task.batches("train", False))
    head = new_head(base, len(task.classes))
    head.compile(Adam(RATE), "categorical_crossentropy", metrics=["acc"])
    head.fit(x, y, batch_size=32, epochs=epochs, verbose=0)
    return head, float(head.evaluate(*outputs(base, task.batches("validation", False)), verbose=0)[1])


def write_sheet(model: Model, task: Task, path: Path) -> None:
    """Some pictures that the model learned from, then some with its answers: wrong ones are red."""
    learned = _spread(task.pictures("train"), LEARNED)
    guesses, labels = outputs(model, task.batches("validation", False))
    asked = _spread(range(len(guesses)), ASKED)
    pictures = task.pictures("validation")
    captions = [f"{task.classes[guesses[i].argmax()]} {guesses[i].max():.2f}" for i in asked]
    write_contact_sheet(
        path,
        [*learned, *(pictures[i] for i in asked)],
        ["learned"] * len(learned) + captions,
        [False] * len(learned) + [bool(guesses[i].argmax() != labels[i].argmax()) for i in asked],
        cell=96,
    )


def _spread(items: Sequence[Any], count: int) -> list[Any]:
    """So many of them, evenly."""
    return [items[i] for i in np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)]


def _digits(options: argparse.Namespace) -> tuple[Model, str, Task]:
    """The base that reads digits, and the new task; prints what is reached without the base."""
    reading, task = reading_task(), parity_task(options.few, options.seed)
    base = digit_network()
    accuracy = learn(joined(base, new_head(base, 10)), RATE, reading, READING_EPOCHS)
    print(f"The base reads digits: accuracy {accuracy:.4f} on pictures by other writers")
    scratch = digit_network()
    pictures = task.batches("train", False).n
    accuracy = learn(joined(scratch, new_head(scratch, 2)), RATE, task, options.epochs or 200)
    print(f"Odd or even, of {pictures} pictures, from scratch: accuracy {accuracy:.4f}")
    return base, "block3_conv", task


def _photographs(options: argparse.Namespace) -> tuple[Model, str, Task]:
    """A ready network, and the folders as the task."""
    network = NETWORKS[options.base]
    task = photograph_task(options.data, network.preprocess, options.size, options.seed)
    base = load_base(options.base, options.weights, (options.size, options.size, 3), "avg")
    return base, network.last_block, task


def _run(options: argparse.Namespace) -> tuple[float, float]:
    """The accuracies with the new head, and after the last block has learned too."""
    np.random.seed(options.seed)
    base, last_block, task = (_photographs if options.data else _digits)(options)
    base = with_fixed_statistics(base)
    unfreeze(base, None)
    head, first = train_head(base, task, options.epochs)
    print(f"New head on the frozen base, {head.count_params():,} weights: accuracy {first:.4f}")
    unfreeze(base, last_block)
    model = joined(base, head)
    second = learn(model, SLOW, task, options.tune_epochs, 2 * bool(options.data))
    print(f"The last block has learned too, from {last_block} on: accuracy {second:.4f}")
    model.save(str(options.out / "model.h5"))
    write_sheet(model, task, options.out / "answers.png")
    print("Wrote", options.out / "model.h5")
    print("Wrote", options.out / "answers.png")
    return first, second


def main(arguments: list[str] | None = None) -> tuple[float, float]:
    """Train in two steps and save; see the head of this file."""
    line = CommandLine("transfer_learning", __doc__)
    line.add_argument("--data", type=Path, metavar="FOLDER", help="photographs (default: the bundled digits)")
    line.add_argument("--base", choices=NETWORKS, default="MobileNet", help="with --data; default: MobileNet")
    line.add_argument("--weights", default="imagenet", metavar="FILE", help="of the base; default: imagenet")
    line.add_count("--size", 160, "side of the photographs")
    line.add_count("--few", 1, "without --data: pictures of each digit")
    line.add_count("--epochs", (100, 20), "of the head")
    line.add_count("--tune-epochs", (60, 5), "of head and last block")
    return line.run(_run, line.options(arguments))


if __name__ == "__main__":
    main()
