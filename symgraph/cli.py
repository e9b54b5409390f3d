"""The command `symgraph`: what one does before, or instead of, writing a script.

symgraph warmup                  compile the kernels that usual networks need, so that first runs do not wait
symgraph doctor                  look whether everything works on this machine
symgraph report model.h5         run a model for some batches, and tell where the time goes
symgraph report a.json b.json    compare two saved profiles
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from symgraph import layers
from symgraph.compiler.profile import Profile
from symgraph.engine.saving import load_model
from symgraph.engine.sequential import Sequential
from symgraph.engine.trial import trial_data, trial_run
from symgraph.inspection.compare import compare
from symgraph.inspection.doctor import BAD, examine, finding_lines
from symgraph.inspection.machine import machine_facts
from symgraph.inspection.rules import rule
from symgraph.kernels.ceilings import measure_ceilings
from symgraph.kernels.run.cache import cache_folder

_OPTIMIZERS = ("sgd", "rmsprop", "adagrad", "adadelta", "adam", "adamax", "nadam")
_BATCH_SIZE, _BATCHES = 32, 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code: 0, 1 where something is wrong, 2 for a wrong command."""
    options = _parser().parse_args(arguments)
    if options.command == "warmup":
        return warmup((lambda text: None) if options.quiet else print)
    if options.command == "doctor":
        return doctor()
    try:
        if len(options.files) == 2:
            _refuse_options_of_models(options)
            return comparison(options.files[0], options.files[1], options.fail_if)
        return report(options)
    except (ValueError, TypeError, OSError) as error:
        print(f"symgraph {options.command}: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="symgraph", description="Tools around symgraph.")
    commands = parser.add_subparsers(dest="command", required=True)
    warm = commands.add_parser("warmup", help="compile the kernels that usual networks need")
    warm.add_argument("--quiet", action="store_true", help="print nothing")
    commands.add_parser("doctor", help="look whether everything works on this machine")
    tell = commands.add_parser("report", help="profile a saved model, or compare two saved profiles")
    tell.add_argument("files", nargs="+", help="a model (.h5), or two profiles (.json)")
    tell.add_argument("--data", help="an .npz file with x and y, or arrays named as inputs and outputs are")
    tell.add_argument("--out", help="a file to write: .html for a page, .json for a profile")
    tell.add_argument("--function", choices=("train", "test", "predict"), help="default: train, if it can")
    tell.add_argument("--batch-size", type=int, help=f"default: {_BATCH_SIZE}")
    tell.add_argument("--batches", type=int, help=f"how many are run, default: {_BATCHES}")
    tell.add_argument("--fail-if", action="append", default=[], metavar="RULE", help="such as 'time>+10%%'")
    return parser


def doctor(say: Callable[[str], None] = print) -> int:
    """Look at the machine; 1 where something does not work."""
    machine = machine_facts()
    findings = list(examine(machine.with_ceilings(measure_ceilings(machine.threads))))
    for line in finding_lines(findings):
        say(line)
    return int(any(finding.verdict == BAD for finding in findings))


def comparison(a: str, b: str, rules: Sequence[str], say: Callable[[str], None] = print) -> int:
    """Compare two saved profiles; 1 where a rule is broken.

    Raises
    ------
    ValueError
        A file or a rule is none, or cold times would be compared with warm ones.
    """
    for text in rules:
        rule(text)
    found = compare(a, b)
    say(str(found))
    broken = found.broken(rules)
    for line in broken:
        say(f"broken: {line}")
    return int(bool(broken))


def _refuse_options_of_models(options: argparse.Namespace) -> None:
    names = ("data", "out", "function", "batch_size", "batches")
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(options, name) is not None]
    if given:
        raise ValueError(f"{', '.join(given)}: expected a model to run, got two profiles to compare")


def report(options: argparse.Namespace, say: Callable[[str], None] = print) -> int:
    """Run a saved model for some batches and tell where the time went.

    Raises
    ------
    ValueError
        Options contradict each other, or the data do not suit the model.
    """
    if len(options.files) > 2:
        raise ValueError(f"expected a model or two profiles, got {len(options.files)} files")
    if options.files[0].endswith((".json", ".json.gz")):
        raise ValueError(f"{options.files[0]}: give a second profile to compare it with")
    if options.fail_if:
        raise ValueError("--fail-if: expected two profiles to compare")
    suffix = Path(options.out).suffix if options.out else ".txt"
    if suffix not in (".html", ".json", ".txt"):
        raise ValueError(f"--out: expected a name that ends in .html, .json or .txt, got {options.out!r}")
    batch_size = _BATCH_SIZE if options.batch_size is None else options.batch_size
    batches = _BATCHES if options.batches is None else options.batches
    if batch_size < 1 or batches < 2:
        raise ValueError("expected a --batch-size of at least 1 and at least 2 --batches")
    model = load_model(options.files[0])
    data = trial_data(model, batch_size, options.data)
    with Profile() as profile:
        function = trial_run(model, data, options.function, batch_size, batches)
    if suffix == ".html":
        function.report(options.out, profile=profile)
    elif suffix == ".json":
        profile.save(options.out)
    elif options.out:
        Path(options.out).write_text(f"{profile}\n", encoding="utf-8")
    say(f"wrote {options.out}" if options.out else str(profile))
    return 0


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
