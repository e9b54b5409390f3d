"""Profiles by the names that scripts for Keras on TensorFlow ask for them."""

from __future__ import annotations

from typing import Any

from symgraph.compiler.observe.profile import Profile


class RunOptions:
    """What a `RunMetadata` is to note: ``RunOptions(trace_level=RunOptions.FULL_TRACE)``.

    Parameters
    ----------
    trace_level : int
        With any but `NO_TRACE` tiles are noted too, for a trace: those of calls 2 to 11.

    Raises
    ------
    ValueError
        There is no such level.
    """

    NO_TRACE, SOFTWARE_TRACE, HARDWARE_TRACE, FULL_TRACE = range(4)

    def __init__(self, trace_level: int = NO_TRACE) -> None:
        if trace_level not in range(4):
            raise ValueError(f"RunOptions: expected a trace_level of 0 to 3, got {trace_level!r}")
        self.trace_level = trace_level


class RunMetadata(Profile):
    """A `Profile` of all calls of the functions that it is given to.

    It is given to ``model.compile(..., options=..., run_metadata=...)`` or to ``K.function``. Every call adds
    to it.
    """

    def __init__(self) -> None:
        super().__init__()

    def apply(self, options: Any) -> None:
        """Note what `options` say, which may be None. TypeError for anything but `RunOptions`."""
        if options is None:
            return
        if not isinstance(options, RunOptions):
            raise TypeError(f"options: expected symgraph.RunOptions, got {options!r}")
        self.trace = (1, 10) if options.trace_level else None
