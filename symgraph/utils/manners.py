"""Defaults that differ in tf.keras: they count where a script imports symgraph by that name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from symgraph.globals import TF_KERAS, answers_as, tensorflow_version

F = TypeVar("F", bound=Callable[..., Any])


def tf_keras_defaults(since: int = 1, **defaults: Any) -> Callable[[F], F]:
    """A decorator of methods with other defaults in tf.keras.

    Parameters
    ----------
    since : int
        1, or 2 where TensorFlow 1 still has Keras' defaults.
    **defaults
        The other defaults, by argument.
    """

    def decorate(method: F) -> F:
        places = _places(method)

        @functools.wraps(method)
        def completed(self: Any, *args: Any, **kwargs: Any) -> Any:
            if answers_as() == TF_KERAS and tensorflow_version() >= since:
                missing = {name: value for name, value in defaults.items() if places[name] >= len(args)}
                kwargs = {**missing, **kwargs}
            return method(self, *args, **kwargs)

        return completed  # type: ignore[return-value]

    return decorate


def _places(method: Callable[..., Any]) -> Mapping[str, int]:
    """The place of each argument after self, where it is given without its name."""
    code = method.__code__
    names = code.co_varnames[1 : code.co_argcount]
    return {name: place for place, name in enumerate(names)}
