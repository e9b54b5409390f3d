"""The arguments of optimizers by all the names that they have had."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def optimizer_arguments(init: F) -> F:
    """A decorator of `__init__`: it takes `learning_rate` as it takes `lr`, and passes over a `name`.

    Keras 2.3 and tf.keras have the longer name; names of optimizers mean something to TensorFlow only.

    Raises
    ------
    TypeError
        From `__init__`: if both names are given, or `name` is no text.
    """

    @functools.wraps(init)
    def translated(self: Any, *args: Any, **kwargs: Any) -> None:
        owner = type(self).__name__
        if "learning_rate" in kwargs:
            if "lr" in kwargs or args:
                raise TypeError(f"{owner}: got the learning rate twice, as `lr` and as `learning_rate`")
            kwargs["lr"] = kwargs.pop("learning_rate")
        if not isinstance(kwargs.get("name", ""), str):
            raise TypeError(f"{owner}: `name` should be a text, got {kwargs['name']!r}")
        kwargs.pop("name", None)
        init(self, *args, **kwargs)

    return translated  # type: ignore[return-value]
