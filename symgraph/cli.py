"""The command `symgraph`: what one does before, or instead of, writing a script.

symgraph warmup      compile the kernels that usual networks need, so that first runs do not wait
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from symgraph import layers
from symgraph.engine.sequential import Sequential
from symgraph.kernels.cache import cache_folder

_OPTIMIZERS = ("sgd", "rmsprop", "adagrad", "adadelta", "adam", "adamax", "nadam")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code."""
    parser = argparse.ArgumentParser(prog="symgraph", description="Tools around symgraph.")
    commands = parser.add_subparsers(dest="command", required=True)
    warm = commands.add_parser("warmup", help="compile the kernels that usual networks need")
    warm.add_argument("--quiet", action="store_true", help="print nothing")
    options = parser.parse_args(arguments)
    say: Callable[[str], None] = (lambda text: None) if options.quiet else print
    return warmup(say)


def warmup(say: Callable[[str], None] = print) -> int:
    """Train and run usual networks for one small batch each, so that their kernels lie in the cache."""
    folder = cache_folder()
    if folder is None:
        say("There is no folder for compiled kernels (see SYMGRAPH_CACHE), so nothing would be kept.")
        return 1
    start = time.perf_counter()
    for name, model, shape in _networks():
        begin = time.perf_counter()
        _exercise(model, shape)
        say(f"{name:40s} {time.perf_counter() - begin:6.2f} s")
    count = sum(1 for _ in folder.glob("*.o"))
    say(f"{count} kernels in {folder}, {time.perf_counter() - start:.1f} s")
    return 0


def _networks() -> Iterator[tuple[str, Any, tuple[int, ...]]]:
    """Name, compiled model, input shape with batch."""
    for optimizer in _OPTIMIZERS:
        yield f"dense, {optimizer}", _dense(optimizer), (32, 64)
    for batch in (32, 128):
        yield f"dense 512, batch {batch}", _dense("rmsprop", 512), (batch, 784)
        yield f"mnist convolutions, batch {batch}", _convolutions((28, 28, 1), "valid"), (batch, 28, 28, 1)
    yield "cifar convolutions", _convolutions((32, 32, 3), "same"), (32, 32, 32, 3)
    yield "photograph convolutions", _convolutions((74, 74, 3), "valid", 128), (8, 74, 74, 3)
    yield "batch normalization", _normalized(), (32, 32, 32, 3)


def _dense(optimizer: str, width: int = 64) -> Any:
    model = Sequential()
    model.add(layers.Dense(width, activation="relu", input_shape=(784 if width > 64 else 64,)))
    model.add(layers.Dropout(0.2))
    model.add(layers.Dense(width, activation="relu"))
    model.add(layers.Dense(10, activation="softmax"))
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    return model


def _convolutions(shape: tuple[int, ...], padding: str, most: int = 64) -> Any:
    model = Sequential()
    model.add(layers.Conv2D(32, (3, 3), activation="relu", padding=padding, input_shape=shape))
    filters = 64
    while filters <= most:
        model.add(layers.Conv2D(filters, (3, 3), activation="relu"))
        model.add(layers.MaxPooling2D((2, 2)))
        filters *= 2
    model.add(layers.Dropout(0.25))
    model.add(layers.Flatten())
    model.add(layers.Dense(128, activation="relu"))
    model.add(layers.Dense(10, activation="softmax"))
    model.compile("adadelta", "categorical_crossentropy", metrics=["accuracy"])
    return model


def _normalized() -> Any:
    model = Sequential()
    model.add(layers.Conv2D(16, (3, 3), padding="same", input_shape=(32, 32, 3)))
    model.add(layers.BatchNormalization())
    model.add(layers.Activation("relu"))
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(10, activation="softmax"))
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model


def _exercise(model: Any, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    y = np.eye(10, dtype=np.float32)[np.arange(shape[0]) % 10]
    model.train_on_batch(x, y)
    model.test_on_batch(x, y)
    model.predict_on_batch(x)
