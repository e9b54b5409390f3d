"""The script whose ranks are killed: a small network on the bundled digits, with everything that draws."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from symgraph import backend as K
from symgraph.callbacks import Callback, CSVLogger, EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from symgraph.datasets import digits
from symgraph.distributed import world
from symgraph.layers import BatchNormalization, Dense, Dropout, Flatten
from symgraph.models import Sequential
from symgraph.utils import to_categorical


class Steps(Callback):
    """Writes the number of each step that was applied into a file of this process; nothing is held back."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.path = folder / f"steps-{world().rank}-{os.getpid()}"
        self.path.touch()

    def on_batch_end(self, batch, logs=None):
        with self.path.open("a") as file:
            file.write(f"{int(K.get_value(self.model.optimizer.iterations))}\n")


def main(folder: Path, epochs: int) -> None:
    np.random.seed(7)
    (x, y), (x_test, y_test) = digits.load_data()
    x, y = x[:640] / 16, to_categorical(y[:640])
    x_test, y_test = x_test / 16, to_categorical(y_test)
    model = Sequential(
        [
            Flatten(input_shape=(8, 8)),
            Dense(32, activation="relu"),
            BatchNormalization(),
            Dropout(0.2),
            Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    callbacks = [
        Steps(folder),
        ModelCheckpoint(folder / "best.h5", monitor="val_acc", save_best_only=True),
        ReduceLROnPlateau(monitor="val_loss", patience=1, factor=0.5),
        EarlyStopping(monitor="val_loss", patience=50),
    ]
    if "elastic" not in folder.parts[-1]:
        # What is in the file is known to the first rank alone, so that it cannot be replaced.
        callbacks.append(CSVLogger(folder / "log.csv"))
    settings = {"batch_size": 32, "verbose": 0, "validation_split": 0.1}
    first = model.fit(x, y, epochs=epochs, callbacks=callbacks, **settings)
    second = model.fit(x, y, epochs=1, callbacks=callbacks[:1], **settings)
    accuracy = model.evaluate(x_test, y_test, verbose=0)[1]
    values = [*model.get_weights(), *model.optimizer.get_weights(), np.random.rand(2), accuracy]
    curves = [*first.history.values(), *second.history.values()]
    if world().rank == 0:
        np.savez(folder / "result.npz", *values, *curves, accuracy=accuracy)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
