"""Epoch after epoch: train on batches, validate, tell the callbacks; on whatever data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np

from symgraph import callbacks as cbks
from symgraph.callbacks.log_names import new_logs
from symgraph.distributed.function import share_variables_of
from symgraph.engine.training_parts.resume import Data, Resume

Function = Callable[[list[Any]], Sequence[Any]]
Batch = tuple[int, list[Any]]
"""What `logs['size']` says, and the arrays that a function is fed with."""


class TrainedModel(Protocol):
    """A compiled model as the loops see it."""

    history: Any
    train_function: Any
    test_function: Any
    outputs: list[Any]
    output_names: list[str]
    metrics_names: list[str]
    stateful_metric_names: list[str]
    stateful_metric_functions: list[Any]
    _feed_inputs: list[Any]

    def _make_train_function(self) -> None:
        """Make the function, unless it is there."""

    def _make_test_function(self) -> None:
        """Make the function, unless it is there."""


class Epochs(Data, Protocol):
    """Batches in epochs."""

    def new_epoch(self) -> None:
        """Begin an epoch."""

    def share(self) -> None:
        """Let all ranks have the same batches; again without harm."""

    def __call__(self) -> Iterator[Batch]:
        """The batches that are left of the epoch."""


def run_epochs(
    model: TrainedModel,
    batches: Epochs,
    callbacks: cbks.CallbackList,
    epochs: Sequence[int],
    validate: Callable[[], Sequence[Any]] | None,
    validation_freq: Any,
    resume: Resume,
) -> Any:
    """Epoch after epoch: train on all `batches()`, then `validate`, and tell the callbacks.

    An epoch without any batch, whose data have ended before it, does not count, and is the last one.

    Returns
    -------
    History
        `model.history` as it is now, which is among the callbacks: one of them may train this model too.
    """
    f, labels, history = model.train_function, list(model.metrics_names), model.history
    share_variables_of(f, model.test_function)
    target = callback_model(model)
    callbacks.on_train_begin()
    target.stop_training = False
    resume.attach(target, callbacks, batches)
    for epoch in resume.epochs(epochs):
        for metric in model.stateful_metric_functions:
            metric.reset_states()
        callbacks.on_epoch_begin(epoch)
        logs = new_logs()
        done = _train_epoch(f, labels, target, batches, callbacks, epoch, resume)
        if not done:
            break
        wanted = validate is not None and validates_after(epoch, validation_freq)
        if validate is not None and wanted and not target.stop_training:
            values = resume.whole(states_kept(model, validate), epoch, done)
            logs.update({f"val_{label}": value for label, value in zip(labels, values, strict=False)})
        callbacks.on_epoch_end(epoch, logs)
        resume.after_epoch(epoch)
        if target.stop_training:
            break
    callbacks.on_train_end()
    return history


def _train_epoch(
    f: Function,
    labels: Sequence[str],
    target: Any,
    batches: Epochs,
    callbacks: cbks.CallbackList,
    epoch: int,
    resume: Resume,
) -> int:
    """Train on the batches of an epoch, until a callback stops the training; how many it has had then."""
    done = resume.enter(epoch)
    if done is None:
        batches.new_epoch()
        done = 0
    resume.whole(batches.share, epoch, done)
    if target.stop_training:
        return done
    for index, (size, ins) in enumerate(batches(), done):
        batch_logs = new_logs()
        batch_logs.update(batch=index, size=size)
        if not resume.has_begun_batch():
            callbacks.on_batch_begin(index, batch_logs)
        values = resume.whole(partial(f, ins), epoch, index, in_batch=True)
        for label, value in zip(labels, values, strict=False):
            batch_logs[label] = scalar(value)
        callbacks.on_batch_end(index, batch_logs)
        done = index + 1
        resume.after_batch(epoch, done)
        if target.stop_training:
            break
    return done


def checked_frequency(validation_freq: Any) -> Any:
    """A number of epochs, or the epochs (from 1) to evaluate after. ValueError for anything else."""
    if isinstance(validation_freq, int) and not isinstance(validation_freq, bool) and validation_freq >= 1:
        return validation_freq
    if isinstance(validation_freq, list | tuple | set | range):
        return frozenset(validation_freq)
    raise ValueError(
        "`validation_freq` should be a number of epochs, at least 1, or a list of epochs counted from 1, got "
        f"{validation_freq!r}"
    )


def validates_after(epoch: int, validation_freq: Any) -> bool:
    """Whether the epoch of this number, from 0, ends with an evaluation."""
    if isinstance(validation_freq, int):
        return (epoch + 1) % validation_freq == 0
    return epoch + 1 in validation_freq


def states_kept(model: Any, validate: Callable[[], Sequence[Any]]) -> Callable[[], Sequence[Any]]:
    """`validate`, which begins with the same counts of the metrics when it is called again."""
    variables = [variable for variable, _ in model.test_function.updates]
    before: list[np.ndarray] = []

    def again() -> Sequence[Any]:
        if before:
            for variable, value in zip(variables, before, strict=True):
                variable.storage.store(value)
        before[:] = [variable.storage.copy() for variable in variables]
        return validate()

    return again


def scalar(value: Any) -> Any:
    """The number of an array without axes, as a number of numpy; else the array."""
    return value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value


def settings_of(model: Any, epochs: range, params: dict[str, Any]) -> dict[str, Any]:
    """What tells a training from another one of the same model."""
    return {
        "epochs": [epochs.start, epochs.stop],
        "optimizer": type(model.optimizer).__name__,
        **{name: params.get(name) for name in ("batch_size", "steps", "samples")},
    }


def callback_model(model: object) -> Any:
    """The model that callbacks see: `callback_model` if it is set."""
    return getattr(model, "callback_model", None) or model
