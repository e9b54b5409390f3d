"""Functions whose bytecode this very process has written: what it wrote itself needs no trust."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import CellType, FunctionType
from typing import Any

import numpy as np

from symgraph import globals as state


@dataclass(frozen=True, slots=True)
class Written:
    """A function, and the values that were written beside its code."""

    function: FunctionType
    defaults: tuple[Any, ...] | None
    closure: tuple[Any, ...] | None

    def acts_as(self, other: Written) -> bool:
        """Whether two functions of the same code do the same: their names and values are the same objects."""
        a, b = self.function, other.function
        return (
            a.__globals__ is b.__globals__
            and a.__kwdefaults__ == b.__kwdefaults__
            and _same_objects(self.defaults, other.defaults)
            and _same_objects(self.closure, other.closure)
        )

    def restored(self) -> FunctionType:
        """The function as it was when it was written."""
        now = tuple(cell.cell_contents for cell in self.function.__closure__ or ())
        if _same_objects(now, self.closure or ()) and _same_objects(
            self.function.__defaults__, self.defaults
        ):
            return self.function
        # What it closes over has been given another value since.
        copy = FunctionType(
            self.function.__code__,
            self.function.__globals__,
            name=self.function.__name__,
            argdefs=self.defaults,
            closure=None if self.closure is None else tuple(CellType(value) for value in self.closure),
        )
        copy.__kwdefaults__ = self.function.__kwdefaults__
        return copy


def remember(text: str, written: Written) -> None:
    """Note that the code of a function was written as `text`."""
    known = state._written_functions.setdefault(_key(text), [])
    known[:] = [*(other for other in known if not other.acts_as(written)), written]


def recall(text: Any, defaults: Sequence[Any] | None, closure: Sequence[Any] | None) -> FunctionType | None:
    """The function that was written as `text` beside these values; None if this process wrote no such one.

    Raises
    ------
    ValueError
        If several functions were written so, and may do different things.
    """
    known = state._written_functions.get(_key(text), []) if isinstance(text, str) else []
    found = [w for w in known if _same(defaults, w.defaults) and _same(closure, w.closure)]
    if len(found) > 1:
        raise ValueError(
            f"{len(found)} functions of this process have the bytecode of {found[0].function.__qualname__}, "
            "and the difference between them was not written with it"
        )
    return found[0].restored() if found else None


def _key(text: str) -> str:
    return "".join(text.split())


def _same_objects(a: Sequence[Any] | None, b: Sequence[Any] | None) -> bool:
    """Whether both hold identical objects, or equal plain values."""
    return (a is None) == (b is None) and (
        a is None
        or b is None
        or (len(a) == len(b) and all(_same_object(x, y) for x, y in zip(a, b, strict=True)))
    )


def _same_object(a: Any, b: Any) -> bool:
    return a is b or (type(a) is type(b) and isinstance(a, (bool, int, float, str, bytes)) and a == b)


def _same(stored: Any, own: Any) -> bool:
    """Whether a value is what became of one's own in a configuration, which may have been written as text."""
    if isinstance(own, (tuple, list)):
        return (
            isinstance(stored, (tuple, list))
            and len(stored) == len(own)
            and all(_same(a, b) for a, b in zip(stored, own, strict=True))
        )
    if isinstance(own, np.ndarray):
        marked = isinstance(stored, dict) and stored.get("type") == "ndarray"
        value = stored["value"] if marked and "value" in stored else stored
        return isinstance(value, (list, np.ndarray)) and np.array_equal(
            np.asarray(value), own, equal_nan=False
        )
    if isinstance(own, dict):
        return (
            isinstance(stored, dict)
            and stored.keys() == own.keys()
            and all(_same(stored[key], value) for key, value in own.items())
        )
    if isinstance(own, np.generic):
        own, stored = own.item(), stored.item() if isinstance(stored, np.generic) else stored
    if isinstance(own, (bool, int, float, str, bytes)):
        # By their text NaNs are equal, and -0.0 is not 0.0.
        return type(stored) is type(own) and repr(stored) == repr(own)
    # Functions and classes are written by their names.
    return stored is own or (isinstance(stored, str) and stored == getattr(own, "__name__", None))
