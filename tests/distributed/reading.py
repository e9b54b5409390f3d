"""A training on data of each kind, which notes what it reads: run by one process, and by ranks of MPI.

mpirun -n 2 python reading.py       on what `prepare` made in this folder; writes <rank>.npz
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

from symgraph import backend as K
from symgraph.distributed import share, world
from symgraph.layers import Conv2D, Dense, Flatten
from symgraph.models import Sequential
from symgraph.preprocessing.image import ImageDataGenerator
from symgraph.preprocessing.image.file_iterator import FileIterator
from symgraph.utils import HDF5Matrix
from symgraph.utils import Sequence as Batches

PICTURES, ROWS = 19, 50


def prepare(folder: Path) -> None:
    """Pictures of noise in two classes, one of them damaged, and an HDF5 file."""
    random = np.random.RandomState(0)
    for number in range(PICTURES):
        path = folder / "pictures" / "ab"[number % 2] / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.randint(0, 256, (6, 5, 3)).astype("uint8")).save(path)
    (folder / "pictures" / "a" / "damaged.png").write_bytes(b"no picture")
    with h5py.File(folder / "rows.h5", "w") as file:
        file["x"], file["y"] = random.rand(ROWS, 6, 5, 3), random.rand(ROWS, 2)
        file["classes"] = random.randint(0, 2, (ROWS, 1))


class Rows(Batches):
    """Rows of a file that are read one by one."""

    def __init__(self, folder: Path, read: list[int]) -> None:
        self.folder, self.read = folder, read

    def __len__(self) -> int:
        return 7

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self._rows(range(7 * index, min(7 * index + 7, 47)))

    def shard(self, index: int, rank: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        rows = range(7 * index, min(7 * index + 7, 47))
        return self._rows(rows[share(len(rows), rank, size)])

    def _rows(self, rows: range) -> tuple[np.ndarray, np.ndarray]:
        self.read.extend(rows)
        with h5py.File(self.folder / "rows.h5") as file:
            return file["x"][rows.start : rows.stop], file["y"][rows.start : rows.stop]


def _model(loss: str) -> Any:
    model = Sequential([Conv2D(3, 3, activation="relu", input_shape=(6, 5, 3)), Flatten()])
    model.add(Dense(2, activation="softmax"))
    model.compile("sgd", loss, metrics=["accuracy"])
    random = np.random.RandomState(1)
    model.set_weights([random.normal(size=weight.shape) / 3 for weight in model.get_weights()])
    return model


def _noted() -> tuple[list[int], list[int]]:
    """Numbers of pictures and rows that are read from now on; the damaged picture is number -1."""
    pictures: list[int] = []
    rows: list[int] = []
    read_one, read = FileIterator._read_one, HDF5Matrix._read

    def reading_one(self: FileIterator, index: int) -> np.ndarray:
        name = Path(self.filenames[index]).stem
        pictures.append(int(name) if name.isdigit() else -1)
        return read_one(self, index)

    def reading(self: HDF5Matrix, key: Any, order: Any = None) -> Any:
        rows.extend(range(self.data.shape[0])[key] if isinstance(key, slice) else key)
        return read(self, key, order)

    FileIterator._read_one, HDF5Matrix._read = reading_one, reading
    return pictures, rows


def run(folder: Path) -> dict[str, Any]:
    """Train, evaluate and predict; results, and what was read, by kind of data."""
    K.set_floatx("float64")
    rank, found = world().rank, {}
    generator = ImageDataGenerator(rescale=1 / 255, rotation_range=40, horizontal_flip=True)
    pictures, rows = _noted()
    # Only the first rank's draws count.
    np.random.seed(3 + 10 * rank)

    def flow(**options: Any) -> Any:
        settings = {"target_size": (6, 5), "batch_size": 8, "on_error": "skip", **options}
        return generator.flow_from_directory(folder / "pictures", **settings)

    model, batches = _model("categorical_crossentropy"), flow()
    # Two calls: the second one goes on with the epochs of the iterator.
    history = [model.fit(batches, epochs=2, verbose=0, workers=2).history["loss"] for _ in range(2)]
    found["pictures read"] = np.array(pictures)
    found["pictures"] = np.concatenate([*map(np.ravel, model.get_weights()), *history])
    found["evaluated"] = np.array(model.evaluate_generator(flow(seed=5), workers=0))
    found["predicted"] = model.predict_generator(flow(class_mode=None, shuffle=False, seed=6))

    table = {
        "filename": [f"{'ab'[i % 2]}/{i:02d}.png" for i in range(PICTURES)],
        "class": list("ab" * 10)[:PICTURES],
    }
    pictures.clear()
    model = _model("sparse_categorical_crossentropy")

    def named(seed: int) -> Any:
        return generator.flow_from_dataframe(
            table, folder / "pictures", target_size=(6, 5), batch_size=5, class_mode="sparse", seed=seed
        )

    model.fit_generator(named(1), epochs=2, verbose=0, validation_data=named(2), class_weight={0: 1, 1: 3})
    found["table read"] = np.array(pictures)
    found["table"] = np.concatenate([*map(np.ravel, model.get_weights())])

    with HDF5Matrix(folder / "rows.h5", "x") as x, HDF5Matrix(folder / "rows.h5", "y") as y:
        rows.clear()
        model = _model("mse")
        history = model.fit(x, y, batch_size=8, epochs=3, shuffle="batch", verbose=0, validation_split=0.2)
        found["hdf5 read"] = np.array(rows)
        found["hdf5"] = np.concatenate([*map(np.ravel, model.get_weights()), history.history["val_loss"]])
        found["hdf5 predicted"] = model.predict(x, batch_size=9)

    # Class numbers are checked before, too.
    with HDF5Matrix(folder / "rows.h5", "x") as x, HDF5Matrix(folder / "rows.h5", "classes") as y:
        rows.clear()
        model = _model("sparse_categorical_crossentropy")
        model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
        found["classes read"] = np.array(rows)
        found["classes"] = np.concatenate([*map(np.ravel, model.get_weights())])

    read: list[int] = []
    model = _model("mse")
    model.fit(Rows(folder, read), epochs=3, verbose=0)
    found["sequence read"] = np.array(read)
    found["sequence"] = np.concatenate([*map(np.ravel, model.get_weights())])
    return found


if __name__ == "__main__":
    warnings.filterwarnings("ignore", "Left out of the data")
    np.savez(f"{world().rank}.npz", **run(Path.cwd()))
