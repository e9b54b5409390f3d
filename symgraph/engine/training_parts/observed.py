"""Training, testing and predicting under a profile, and with taps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

from symgraph.compiler.observe.profile import Profile
from symgraph.compiler.observe.taps import Callback


class ObservedModel(Protocol):
    """A compiled model as observers see it."""

    profile: Any
    train_function: Any


@contextmanager
def profiled(model: ObservedModel, profile: Any) -> Iterator[None]:
    """Time what runs in the body, if that is wanted; `model.profile` has the times then.

    Parameters
    ----------
    profile : bool or Profile

    Raises
    ------
    TypeError
        If `profile` is something else.
    """
    if not isinstance(profile, bool | Profile):
        raise TypeError(f"`profile` should be a bool or a symgraph.profile(), got {profile!r}")
    if profile is False:
        yield
        return
    model.profile = Profile() if profile is True else profile
    with model.profile:
        yield


@contextmanager
def observed(model: ObservedModel, profile: Any, taps: Mapping[str, Callback] | None) -> Iterator[None]:
    """`profiled`, with taps on the model's train function, which exists by then.

    Raises
    ------
    TypeError
        If `taps` is no mapping.
    """
    if taps is not None and not isinstance(taps, Mapping):
        raise TypeError(f"fit: expected taps as a dictionary of names to functions, got {taps!r}")
    with ExitStack() as stack:
        for name, callback in (taps or {}).items():
            stack.enter_context(model.train_function.tap(name, callback))
        stack.enter_context(profiled(model, profile))
        yield
