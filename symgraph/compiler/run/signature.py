"""How a Function is written and called: inputs with names and defaults, outputs and updates of every form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.compiler.run.feeds import as_feed
from symgraph.graph.leaves import Variable
from symgraph.graph.symbolic import brief
from symgraph.graph.tensor import Tensor


@dataclass(frozen=True)
class In:
    """An input of a Function that says more than its tensor does.

    Parameters
    ----------
    variable : Tensor
    name : str, optional
        What calls name it by; default: the tensor's name.
    value : array-like or Variable, optional
        What it is where a call does not give it. A Variable stands for the value that it has then.
    update : Tensor, optional
        The default of the next call, computed in every call and stored after it. Needs a `value` that is no
        Variable.
    borrow, mutable : bool, optional
        Theano's: whether memory of the caller may be used. No effect, it never is.
    """

    variable: Tensor
    name: str | None = None
    value: Any = None
    update: Tensor | None = None
    borrow: bool | None = None
    mutable: bool | None = None


@dataclass(frozen=True)
class Out:
    """An output of a Function. `borrow` has no effect: results are always the caller's own."""

    variable: Tensor
    borrow: bool = False


class Signature:
    """The inputs of a Function by name, and what they are where a call does not give them.

    Attributes
    ----------
    tensors : tuple of Tensor
    plain : bool
        Whether all that a call may give is one value for each input, in order.
    kept : tuple of Tensor
        New values of defaults, in the order of their inputs.
    """

    def __init__(self, what: str, inputs: Any) -> None:
        given = [inputs] if isinstance(inputs, (Tensor, In)) else list(inputs)
        self.what = what
        self.tensors = tuple(i.variable if isinstance(i, In) else i for i in given)
        self.names = [i.name if isinstance(i, In) and i.name else getattr(t, "name", None)
                      for i, t in zip(given, self.tensors, strict=True)]  # fmt: skip
        self.defaults: dict[int, Any] = {}
        self.updated: list[int] = []
        kept: list[Tensor] = []
        for number, item in enumerate(given):
            if not isinstance(item, In):
                continue
            if item.value is not None:
                self.defaults[number] = self._default(number, item.value)
            if item.update is not None:
                if number not in self.defaults or isinstance(item.value, Variable):
                    raise ValueError(f"{what}: {self._label(number)}: an update needs a value to begin with")
                if not isinstance(item.update, Tensor) or item.update.dtype != item.variable.dtype:
                    raise TypeError(
                        f"{what}: {self._label(number)} is {item.variable.type}, "
                        f"its update {brief(item.update)}"
                    )
                self.updated.append(number)
                kept.append(item.update)
        self.kept = tuple(kept)
        self.plain = not self.defaults

    def _default(self, number: int, value: Any) -> Any:
        tensor = self.tensors[number]
        return (
            value if isinstance(value, Variable) or not isinstance(tensor, Tensor) else as_feed(value, tensor)
        )

    def _label(self, number: int) -> str:
        name = self.names[number]
        return f"input {name!r}" if name else f"input number {number}"

    def bound(self, values: Sequence[Any], named: Mapping[str, Any]) -> list[Any]:
        """One value for each input.

        TypeError as Python has it: too many, one given twice, one that is missing, an unknown name.
        """
        count = len(self.tensors)
        if len(values) > count:
            raise TypeError(
                f"{self.what}: expected at most {count} inputs ({self._all()}), got {len(values)}"
            )
        found = dict(enumerate(values))
        for name, value in named.items():
            number = self._number(name)
            if number in found:
                raise TypeError(f"{self.what}: got the input {name!r} twice")
            found[number] = value
        for number, value in self.defaults.items():
            if number not in found:
                found[number] = value.get_value() if isinstance(value, Variable) else value
        missing = [self._label(n) for n in range(count) if n not in found]
        if missing:
            raise TypeError(f"{self.what}: missing {', '.join(missing)}; it takes {self._all()}")
        return [found[number] for number in range(count)]

    def _number(self, name: str) -> int:
        places = [n for n, own in enumerate(self.names) if own == name]
        if len(places) > 1:
            raise TypeError(f"{self.what}: {len(places)} inputs are called {name!r}: give them by place")
        if not places:
            raise TypeError(f"{self.what}: no input is called {name!r}; it takes {self._all()}")
        return places[0]

    def _all(self) -> str:
        shown = [name or f"number {n}" for n, name in enumerate(self.names)]
        optional = [f"{s} (optional)" if n in self.defaults else s for n, s in enumerate(shown)]
        return ", ".join(optional) or "no inputs"

    def keep(self, values: Iterable[np.ndarray]) -> None:
        """Store the defaults of the next call."""
        self.defaults.update(zip(self.updated, values, strict=True))


class Results:
    """The outputs of a Function, and the form in which a call returns them."""

    def __init__(self, outputs: Any) -> None:
        self.single = isinstance(outputs, (Tensor, Out))
        self.keys = list(outputs) if isinstance(outputs, Mapping) else None
        self.none = outputs is None
        listed: Iterable[Any] = () if outputs is None else [outputs] if self.single else outputs
        listed = outputs.values() if isinstance(outputs, Mapping) else listed
        self.tensors = tuple(o.variable if isinstance(o, Out) else o for o in listed)

    def shaped(self, values: list[Any]) -> Any:
        """What a call returns for the list of results: as the outputs were given."""
        if self.single:
            return values[0]
        if self.keys is not None:
            return dict(zip(self.keys, values, strict=True))
        return None if self.none else values


def as_pairs(what: str, given: Any) -> list[Any]:
    """`updates` or `givens`, a mapping, pairs, or one pair, as a list of pairs. TypeError for all else."""
    if given is None:
        return []
    if isinstance(given, Mapping):
        return list(given.items())
    pairs = (
        [given] if isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], Tensor) else given
    )
    try:
        return list(pairs)
    except TypeError:
        raise TypeError(f"{what}: expected a dict or pairs, got {brief(given)}") from None


def as_givens(what: str, given: Any) -> dict[Any, Any]:
    """`givens` as a dict. ValueError for a tensor that is given twice."""
    found: dict[Any, Any] = {}
    for pair in as_pairs(f"{what}: givens", given):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise TypeError(f"{what}: givens: expected pairs of a tensor and a value, got {brief(pair)}")
        old, new = pair
        if isinstance(old, Tensor) and old in found:
            raise ValueError(f"{what}: givens: {old!r} is given twice")
        found[old] = new
    return found
