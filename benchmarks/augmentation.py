"""Images a second of augmentation from a folder, beside the same written with scipy, and beside training.

    python -m benchmarks.augmentation [--data FOLDER]

Both sides decode JPEGs, resize them to 150 x 150, rotate, shift, shear, zoom, mirror, change the brightness
and rescale, in batches of 32, with the same random numbers. The other side calls scipy's `affine_transform`
for each channel of each picture, and Pillow for the brightness, as Keras does it. They take turns, each with
one thread and with all. Then the training step of cat_dog is measured alone, and with the flow as its source.
The pictures are those of ../shared/data/cats_and_dogs, or, where these are not, made-up ones of their size.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance
from scipy import ndimage

import symgraph
from benchmarks.engines.keras_like import build
from benchmarks.workloads import WORKLOADS
from symgraph import layers
from symgraph.models import Sequential
from symgraph.optimizers import RMSprop
from symgraph.preprocessing.image import DirectoryIterator, ImageDataGenerator
from symgraph.preprocessing.image.iterator import sample_seeds

DATA = Path(__file__).parents[1] / ".." / "shared" / "data" / "cats_and_dogs" / "train"
SIZE, BATCH, SEED = (150, 150), 32, 1
GENERATOR = ImageDataGenerator(
    rotation_range=40, width_shift_range=0.2, height_shift_range=0.2, shear_range=10.0, zoom_range=0.2,
    horizontal_flip=True, brightness_range=(0.7, 1.3), rescale=1 / 255,
)  # fmt: skip


def write_pictures(folder: Path, count: int = 256) -> None:
    """JPEGs of 256 x 190 pixels in two classes: smooth shapes with some noise, 15 to 20 kB as photographs."""
    rng = np.random.default_rng(SEED)
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        shapes = np.asarray(coarse.resize((256, 190), Image.Resampling.BICUBIC), "float32")
        pixels = np.clip(shapes + rng.normal(0, 12, shapes.shape), 0, 255).astype("uint8")
        path = folder / ("cat", "dog")[number % 2] / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path, quality=85)


def _matrix(p: dict[str, float], rows: int, columns: int) -> np.ndarray:
    turn, slant = np.deg2rad(p["theta"]), np.deg2rad(p["shear"])
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    shift = np.array([[1, 0, p["tx"]], [0, 1, p["ty"]], [0, 0, 1]])
    shear = np.array([[1, -np.sin(slant), 0], [0, np.cos(slant), 0], [0, 0, 1]])
    there = np.array([[1, 0, rows / 2 + 0.5], [0, 1, columns / 2 + 0.5], [0, 0, 1]])
    back = np.array([[1, 0, -rows / 2 - 0.5], [0, 1, -columns / 2 - 0.5], [0, 0, 1]])
    return there @ rotation @ shift @ shear @ np.diag([p["zx"], p["zy"], 1.0]) @ back


def by_scipy(file: str, seed: int) -> np.ndarray:
    """One picture, the way Keras does it."""
    with Image.open(file) as opened:
        image = opened.convert("RGB").resize(SIZE[::-1], Image.Resampling.NEAREST)
    x = np.asarray(image, "float32")
    p = GENERATOR.get_random_transform(x.shape, seed)
    m = _matrix(p, *SIZE)
    moved = [
        ndimage.affine_transform(x[..., c], m[:2, :2], m[:2, 2], order=1, mode="nearest") for c in range(3)
    ]
    x = np.stack(moved, axis=-1)
    if p["flip_horizontal"]:
        x = x[:, ::-1]
    x = x + max(-x.min(), 0)
    image = Image.fromarray((x / x.max() * 255).astype("uint8"))
    return np.asarray(ImageEnhance.Brightness(image).enhance(p["brightness"]), "float32") * np.float32(
        1 / 255
    )


class ByScipy:
    """Batches of a flow, made with scipy by some threads."""

    def __init__(self, flow: DirectoryIterator, threads: int) -> None:
        self.flow = flow
        self.pool = ThreadPoolExecutor(threads)

    def __getitem__(self, number: int) -> np.ndarray:
        indices = np.arange(number * BATCH, (number + 1) * BATCH)
        files = [str(Path(self.flow.directory) / self.flow.filenames[i]) for i in indices]
        return np.stack([*self.pool.map(by_scipy, files, sample_seeds(SEED, 0, indices))])


def pictures_a_second(batches: Callable[[int], object], first: int, count: int) -> float:
    """Of batches number `first` and the following."""
    start = time.perf_counter()
    for number in range(first, first + count):
        batches(number)
    return count * BATCH / (time.perf_counter() - start)


def beside_scipy(flow: DirectoryIterator, rounds: int, count: int) -> float:
    """Print images a second of both sides; those of the flow with all threads."""
    most = symgraph.get_num_threads()
    numbers = sorted({1, most})
    others = {threads: ByScipy(flow, threads) for threads in numbers}
    difference = np.abs(flow[0][0] - others[most][0])
    levels = difference * 255
    print(
        f"largest difference {levels.max():.2f} levels, mean {levels.mean():.4f}; brightness has whole ones"
    )
    found: dict[tuple[str, int], list[float]] = {}
    for turn in range(rounds):
        first = turn * count % (len(flow) - count)
        for threads in numbers:
            symgraph.set_num_threads(threads)
            for side, batches in (("flow", flow), ("scipy", others[threads])):
                speed = pictures_a_second(batches.__getitem__, first, count)
                found.setdefault((side, threads), []).append(speed)
    for threads in numbers:
        ours, theirs = (statistics.median(found[side, threads]) for side in ("flow", "scipy"))
        print(f"{threads} threads: flow {ours:.0f}, scipy {theirs:.0f} images/s, ratio {ours / theirs:.2f}")
    return statistics.median(found["flow", most])


def beside_training(flow: DirectoryIterator, alone: float, rounds: int, count: int) -> None:
    """Print images a second of the training step of cat_dog, of the flow, and of both together."""
    workload = WORKLOADS["cat_dog"]
    model = build(layers, Sequential, workload.layers, workload.input_shape)
    model.compile(RMSprop(lr=0.0005), workload.loss)
    x, y = flow[0]
    model.train_on_batch(x, y)
    model.fit_generator(flow, steps_per_epoch=2, epochs=1, verbose=0)
    steps, together = [], []
    for _ in range(rounds):
        steps.append(pictures_a_second(lambda _: model.train_on_batch(x, y), 0, count))
        start = time.perf_counter()
        model.fit_generator(flow, steps_per_epoch=count, epochs=1, verbose=0)
        together.append(count * BATCH / (time.perf_counter() - start))
    step, both = statistics.median(steps), statistics.median(together)
    print(f"training step of cat_dog: {step:.0f} images/s; flow / step {alone / step:.2f}")
    print(f"fit_generator: {both:.0f} images/s, {both / step:.2f} of the step alone")


def measure(data: Path, rounds: int, count: int) -> None:
    """Print all figures for a folder of pictures."""
    flow = GENERATOR.flow_from_directory(
        data, target_size=SIZE, batch_size=BATCH, class_mode="binary", shuffle=False, seed=SEED
    )
    alone = beside_scipy(flow, rounds, count)
    beside_training(flow, alone, rounds, count)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Images a second of augmentation.")
    parser.add_argument("--data", type=Path, help="a folder with a folder for each class")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side")
    parser.add_argument("--batches", type=int, default=4, help="batches a turn")
    given = parser.parse_args()
    if given.data or DATA.is_dir():
        measure(given.data or DATA, given.rounds, given.batches)
        return
    print(f"There are no pictures in {DATA}: made-up ones are used.")
    with tempfile.TemporaryDirectory() as folder:
        write_pictures(Path(folder))
        measure(Path(folder), given.rounds, given.batches)


if __name__ == "__main__":
    main()
