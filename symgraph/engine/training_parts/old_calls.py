"""The arguments that training, evaluation and prediction had in Keras 1."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from symgraph import backend as K
from symgraph.utils.old_arguments import Keywords, Positional, old_arguments
from symgraph.utils.warn_user import warn_old

F = TypeVar("F", bound=Callable[..., Any])


class Samples(int):
    """A number of samples, where one of batches is expected: batches count until they have so many."""

    in_words = "samples / batch size"

    def __repr__(self) -> str:
        return f"Samples({int(self)})"


_COUNTED = {
    "samples_per_epoch": "steps_per_epoch",
    "val_samples": "steps",
    "nb_val_samples": "validation_steps",
}
_RENAMED = {
    "nb_epoch": "epochs",
    "nb_worker": "workers",
    "pickle_safe": "use_multiprocessing",
    "max_q_size": "max_queue_size",
}


def _count_samples(owner: str, args: Positional, kwargs: Keywords) -> tuple[Positional, bool]:
    """Mark numbers of samples; a call with other arguments of Keras 1 has one in its second place."""
    found = kwargs.pop("nb_val_worker", None) is not None
    old = found or any(name in kwargs for name in (*_COUNTED, *_RENAMED))
    for name in _COUNTED:
        if kwargs.get(name) is not None:
            kwargs[name] = _samples(kwargs[name], name)
    if old and len(args) > 1 and args[1] is not None:
        args[1] = _samples(args[1], "samples_per_epoch" if owner == "fit_generator" else "val_samples")
    return args, found


def _samples(count: Any, name: str) -> Any:
    """The number as one of samples. TypeError, ValueError if it is none."""
    if isinstance(count, bool) or count != int(count):
        raise TypeError(f"`{name}` should be a number of samples, got {count!r}")
    if count <= 0:
        raise ValueError(f"`{name}` should be at least 1, got {count}")
    return Samples(count)


generator_method = old_arguments(
    {**_COUNTED, **_RENAMED}, positional=("generator", "steps_per_epoch", "epochs"), rearrange=_count_samples
)


def shows_accuracy(method: F) -> F:
    """A decorator of a model's methods that take `show_accuracy` (`accuracy` for batches), with a warning.

    As up to Keras 0.3 the model then reports its accuracy: it gets the metric that it was not compiled with.
    """
    flag = "accuracy" if method.__name__.endswith("on_batch") else "show_accuracy"

    @functools.wraps(method)
    def translated(self: Any, *args: Any, **kwargs: Any) -> Any:
        take_accuracy(self, method.__name__, kwargs, flag)
        return method(self, *args, **kwargs)

    translated.old_names = (flag, *getattr(method, "old_names", ()))  # type: ignore[attr-defined]
    return translated  # type: ignore[return-value]


def take_accuracy(model: Any, method: str, kwargs: Keywords, flag: str = "show_accuracy") -> None:
    """Take `show_accuracy` out of the keywords of a method, and do what it asks for; with a warning."""
    if flag in kwargs:
        warn_old(f"`{method}({flag}=...)` is `compile(..., metrics=['accuracy'])` since Keras 1.")
        if kwargs.pop(flag):
            _add_accuracy(model)


def _add_accuracy(model: Any) -> None:
    """Compile with the metric 'accuracy' as well; the optimizer keeps its state."""
    model._check_compiled()
    asked = model.metrics or []
    outputs = {name: asked.get(name) for name in model.output_names} if isinstance(asked, dict) else None
    if outputs is None:
        if any(metric in ("accuracy", "acc") for metric in asked):
            return
        model.metrics = [*asked, "accuracy"]
    else:
        wanted = {name: _with_accuracy(metrics) for name, metrics in outputs.items()}
        if wanted == asked:
            return
        model.metrics = wanted
    state = K.batch_get_value(model.optimizer.weights)
    model._compile_again()
    if len(state) == len(model.optimizer.weights):
        model.optimizer.set_weights(state)


def _with_accuracy(metrics: Any) -> list[Any]:
    given = [] if metrics is None else [metrics] if isinstance(metrics, str) else list(metrics)
    return given if {"accuracy", "acc"} & set(map(str, given)) else [*given, "accuracy"]


def without_old_modes(kwargs: Keywords) -> Keywords:
    """Keywords of `compile` without what Keras 0.3 asked for, with a warning."""
    old = sorted(kwargs.keys() & {"class_mode", "theano_mode"})
    if old:
        warn_old(
            f"`compile({old[0]}=...)` is gone since Keras 1: ask for `metrics=['accuracy']`, which suits the "
            "output and the loss."
        )
    return {name: value for name, value in kwargs.items() if name not in old}
