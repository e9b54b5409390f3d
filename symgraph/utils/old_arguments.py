"""Calls with the arguments of Keras 1: they are translated, with a warning that shows the new call."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])

Positional = list[Any]
Keywords = dict[str, Any]
Rearrange = Callable[[str, Positional, Keywords], tuple[Positional, bool]]
"""(name of the caller, arguments without self, keywords) to (new arguments, whether anything was old).

It changes the keywords in place.
"""

_SHOWN = 10  # characters of a value in a warning


def old_arguments(
    names: Mapping[str, str] | None = None,
    positional: Sequence[str] | None = None,
    values: Mapping[str, Mapping[Any, Any]] | None = None,
    rearrange: Rearrange | None = None,
) -> Callable[[F], F]:
    """A decorator of methods that take the arguments of Keras 1 as well.

    Parameters
    ----------
    names : mapping, optional
        New names by the old ones.
    positional : sequence of str, optional
        All that may be given without its name: the order of the others has changed. None: anything.
    values : mapping, optional
        New values by the old ones, for each old name.
    rearrange : callable, optional
        What is more than a change of names; it comes first.

    Raises
    ------
    TypeError
        From the method: for further positional arguments, or an argument under both names.
    """

    def decorate(method: F) -> F:
        @functools.wraps(method)
        def translated(self: Any, *args: Any, **kwargs: Any) -> Any:
            owner = type(self).__name__ if method.__name__ == "__init__" else method.__name__
            given, found = list(args), False
            if rearrange is not None:
                given, found = rearrange(owner, given, kwargs)
            if positional is not None and len(given) > len(positional):
                raise TypeError(
                    f"`{owner}` can accept only {len(positional)} positional arguments {tuple(positional)}, "
                    f"but you passed the following positional arguments: {given}"
                )
            if _rename(kwargs, names or {}, values or {}) or found:
                warnings.warn(
                    f"Update your `{owner}` call to the Keras 2 API: {_shown_call(owner, given, kwargs)}",
                    stacklevel=2,
                )
            return method(self, *given, **kwargs)

        return translated  # type: ignore[return-value]

    return decorate


def _rename(kwargs: Keywords, names: Mapping[str, str], values: Mapping[str, Mapping[Any, Any]]) -> bool:
    """Give the keywords their new names and values; whether there were any old ones."""
    present = [name for name in names if name in kwargs]
    for old in present:
        new, value = names[old], kwargs.pop(old)
        if new in kwargs:
            raise TypeError(
                f"For the `{new}` argument, the layer received both the legacy keyword argument `{old}` and "
                f"the Keras 2 keyword argument `{new}`. Stick to the latter!"
            )
        known = values.get(old, {})
        kwargs[new] = known[value] if isinstance(value, str) and value in known else value
    return bool(present)


def _shown_call(owner: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    shown = [_shown(value) for value in args] + [f"{name}={_shown(value)}" for name, value in kwargs.items()]
    return f"`{owner}({', '.join(shown)})`"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    text = "array" if isinstance(value, np.ndarray) else str(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
