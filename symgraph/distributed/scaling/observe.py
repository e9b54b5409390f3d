"""Workloads that are measured: of models, of scripts, of saved profiles."""

from __future__ import annotations

import gzip
import importlib
import json
import os
import runpy
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import replace
from typing import Any

import numpy as np

from symgraph.compiler.observe.profile import Profile
from symgraph.distributed.scaling.workload import TRAIN, Workload, train_functions
from symgraph.engine.saving import load_model
from symgraph.engine.training_parts.trial import Trial, trial_data

MODEL_ENDINGS = (".h5", ".hdf5", ".keras")
PROFILE_ENDINGS = (".json", ".json.gz")
PROGRAMS = {"mnist_cnn": (28, 28, 1), "mnist_mlp": 784}
"""Programs of `symgraph.models` by name, with what their `build` takes."""
_RUNS, _SECONDS = (5, 50), 1.0
_STEPS = 20


def model_workload(name: str, batch: int) -> Workload:
    """Train a model for some steps on random data: with `batch` samples, and with halves and quarters of it.

    Parameters
    ----------
    name : str
        A file, or the name of a program or of a ready network.

    Raises
    ------
    ValueError, OSError
        There is no such model, or it was not compiled.
    """
    model = load_model(name) if name.endswith(MODEL_ENDINGS) else named_model(name)
    if getattr(model, "optimizer", None) is None:
        raise ValueError(f"{name}: expected a model that was compiled")
    data = trial_data(model, batch)
    sizes = sorted({batch, max(1, batch // 2), max(1, batch // 4)})
    seconds = [_median_step(model, data, size) for size in sizes]
    with Profile() as profile:
        for _ in range(_RUNS[0]):
            _step(model, data, batch)
    found = train_functions(name, profile.to_json())
    step = seconds[-1]
    update = min(found.update, step)
    fixed = _at_zero(sizes, seconds) if len(sizes) > 1 else found.fixed
    return replace(found, step=step, update=update, fixed=min(max(fixed, update), step))


def named_model(name: str) -> Any:
    """A program's network, or a ready one with a loss for its classes. ValueError for any other name."""
    if name in PROGRAMS:
        return importlib.import_module(f"symgraph.models.{name}").build(PROGRAMS[name])
    models = importlib.import_module("symgraph.models")
    if name not in models._ARCHITECTURES:
        raise ValueError(
            f"expected a model ({', '.join(MODEL_ENDINGS)}), a script (.py), a profile (.json) or one of "
            f"{', '.join([*PROGRAMS, *models._ARCHITECTURES])}, got {name!r}"
        )
    model = getattr(models, name)(weights=None)
    model.compile("sgd", "categorical_crossentropy")
    return model


def _step(model: Any, data: Trial, rows: int) -> None:
    model.train_on_batch([part[:rows] for part in data.x], [part[:rows] for part in data.y])


def _median_step(model: Any, data: Trial, rows: int) -> float:
    """Seconds of a step, after the first ones, which compile."""
    for _ in range(2):
        _step(model, data, rows)
    times: list[float] = []
    while len(times) < _RUNS[0] or (sum(times) < _SECONDS and len(times) < _RUNS[1]):
        begin = time.perf_counter()
        _step(model, data, rows)
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def _at_zero(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Seconds of a step without samples, by the line through the times of some sizes."""
    _, fixed = np.polyfit(sizes, seconds, 1)
    return float(fixed)


def profile_workload(path: str) -> Workload:
    """The workload of a file that `Profile.save` wrote. ValueError if it is none, or nothing was trained."""
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8")
            if path.endswith(".gz")
            else open(path, encoding="utf-8") as file
        ):
            profile = json.load(file)
        if profile["kind"] != "profile":
            raise KeyError("kind")
    except (ValueError, KeyError, TypeError, EOFError) as error:
        raise ValueError(f"{path}: expected a profile that symgraph saved: {error}") from error
    return train_functions(path, profile)


class _EnoughError(BaseException):
    """Ends a script that has shown what there is to see; not an Exception, which scripts may catch."""


class _FirstSteps(Profile):
    """A profile that ends what runs when a train function has made its steps."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._left = steps + 1  # the first step compiles, and is not counted

    def clocks(self, program: Any, graph: Any) -> Any:
        if graph.name == TRAIN:
            if not self._left:
                raise _EnoughError
            self._left -= 1
        return super().clocks(program, graph)


def script_workload(path: str, arguments: Sequence[str], steps: int = _STEPS) -> Workload:
    """Run a script until it has trained for some steps, and end it there.

    Raises
    ------
    ValueError
        It ended without training.
    OSError
        There is no such file.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no file {path!r}")
    with _as_main(path, arguments), _FirstSteps(steps) as profile, suppress(_EnoughError, SystemExit):
        runpy.run_path(path, run_name="__main__")
    return train_functions(path, profile.to_json())


@contextmanager
def _as_main(path: str, arguments: Sequence[str]) -> Iterator[None]:
    """`sys.argv` and `sys.path` as Python sets them for a script; what it prints goes to the errors."""
    before = sys.argv, sys.path
    sys.argv, sys.path = [path, *arguments], [os.path.dirname(os.path.abspath(path)), *sys.path]
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.argv, sys.path = before
