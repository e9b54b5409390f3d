"""Calls with the arguments of Keras 1: they are translated, with a warning that shows the new call."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from symgraph.utils.warn_user import warn_old

F = TypeVar("F", bound=Callable[..., Any])

Positional = list[Any]
Keywords = dict[str, Any]
Rearrange = Callable[[str, Positional, Keywords], tuple[Positional, bool]]
"""(name of the caller, arguments without self, keywords) to (new arguments, whether anything was old).

It changes the keywords in place.
"""

LAYOUTS = {"tf": "channels_last", "th": "channels_first", "default": None}
"""New names of layouts of pictures by the old ones."""

_SHOWN = 10  # characters of a value in a warning


def old_arguments(
    names: Mapping[str, str] | None = None,
    positional: Sequence[str] | None = None,
    values: Mapping[str, Mapping[Any, Any]] | None = None,
    rearrange: Rearrange | None = None,
    method: bool = True,
    taken: Sequence[str] = (),
) -> Callable[[F], F]:
    """A decorator of methods and functions that take the arguments of Keras 1 as well.

    What it returns names the old arguments in `old_names`.

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
    method : bool
        Whether the first argument is `self`.
    taken : sequence of str
        Old arguments that `rearrange` sees to.

    Raises
    ------
    TypeError
        From the call: for further positional arguments, or an argument under both names.
    """

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def translated(*args: Any, **kwargs: Any) -> Any:
            bound, given, found = args[:method], list(args[method:]), False
            is_init = function.__name__ == "__init__"
            owner = type(bound[0]).__name__ if is_init else function.__name__
            if rearrange is not None:
                given, found = rearrange(owner, given, kwargs)
            if positional is not None and len(given) > len(positional):
                raise TypeError(
                    f"`{owner}` can accept only {len(positional)} positional arguments {tuple(positional)}, "
                    f"but you passed the following positional arguments: {given}"
                )
            if _rename(kwargs, names or {}, values or {}) or found:
                warn_old(
                    f"Update your `{owner}` call to the Keras 2 API: {_shown_call(owner, given, kwargs)}"
                )
            return function(*bound, *given, **kwargs)

        translated.old_names = (*(names or ()), *taken)  # type: ignore[attr-defined]
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
    # A name with a bar in front is for the method alone: nobody writes it.
    named = [f"{name}={_shown(value)}" for name, value in kwargs.items() if not name.startswith("_")]
    shown = [_shown(value) for value in args] + named
    return f"`{owner}({', '.join(shown)})`"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if hasattr(value, "in_words"):
        return str(value.in_words)
    text = "array" if isinstance(value, np.ndarray) else str(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
