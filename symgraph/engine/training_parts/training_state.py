"""All that a training goes on from, as plain values: variables, random generators, callbacks."""

from __future__ import annotations

import io
import os
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from symgraph import backend as K
from symgraph.compiler.lower import variables_of
from symgraph.globals import noted_draws, noted_variables, random_source
from symgraph.graph.leaves import Variable
from symgraph.utils.plain_state import is_plain, keeps_state, knows_all_its_state
from symgraph.utils.warn_user import warn_user

_GIVEN = ("model", "params", "validation_data", "verbose")
"""What `fit` hands to a callback, or settles by the rank: it is there again after a restart."""

FUNCTIONS = ("train_function", "test_function", "predict_function")

State = dict[str, Any]


# -- variables -----------------------------------------------------------------------------------------------


def variables_of_training(model: Any) -> list[Variable]:
    """What a step, a validation or a callback of Keras may read or change, each once, in a lasting order.

    Weights; hyper-parameters and state of the optimizer; states of random draws; what metrics have counted.
    """
    found: list[Any] = [*model.weights]
    optimizer = model.optimizer
    for value in (*vars(optimizer).values(), *getattr(optimizer, "weights", ())):
        found += value if isinstance(value, list | tuple) else [value]
    for name in FUNCTIONS:
        function = getattr(model, name, None)
        if function is not None:
            found += [variable for variable, _ in function.updates]
            found += variables_of([*function.outputs, *(value for _, value in function.updates)])
    return list({id(v): v for v in found if isinstance(v, Variable)}.values())


def values_of(variables: Iterable[Variable]) -> list[np.ndarray]:
    """Copies of the values."""
    return [variable.storage.copy() for variable in variables]


def set_values(variables: Sequence[Variable], values: Sequence[np.ndarray]) -> None:
    """Store values of the same shapes and dtypes."""
    for variable, value in zip(variables, values, strict=True):
        variable.storage.store(value)


class OtherVariables:
    """Variables that no step of the trained model knows, but that callbacks may change: of other models.

    Parameters
    ----------
    known : sequence of Variable
        Those that are kept anyway.
    """

    def __init__(self, known: Sequence[Variable]) -> None:
        taken = {id(variable) for variable in known}
        living = [
            v for v in (*noted_variables(), *noted_draws()) if isinstance(v, Variable) and id(v) not in taken
        ]
        self._variables = sorted(living, key=lambda variable: variable.serial)
        self._versions = [variable.storage.version for variable in self._variables]

    def state_dict(self) -> State:
        """Those that were written to since this was made, by their number in the order of their making."""
        pairs = enumerate(zip(self._variables, self._versions, strict=True))
        return {str(n): v.storage.copy() for n, (v, version) in pairs if v.storage.version != version}

    def load_state_dict(self, state: State) -> None:
        """Store them again; a warning where the script has made others than before."""
        for number, value in state.items():
            variable = self._variables[int(number)] if int(number) < len(self._variables) else None
            if variable is None or (K.int_shape(variable), variable.dtype) != (value.shape, value.dtype):
                warn_user(
                    f"A variable of shape {value.shape} that callbacks changed is not there any more, or not "
                    "in its place: it keeps the value that the script gave it. Make variables before `fit`."
                )
                return
            variable.storage.store(value)


# -- random generators ---------------------------------------------------------------------------------------


def random_state() -> State:
    """The state of the generators that the whole process shares."""
    own = random_source()
    return {
        "numpy": np.random.get_state(),
        "python": random.getstate(),
        "symgraph": None if own is None else own.get_state(),
    }


def set_random_state(state: State) -> None:
    """Let these generators go on from a state of `random_state`."""
    np.random.set_state(state["numpy"])
    random.setstate(state["python"])
    own = random_source()
    if own is not None and state["symgraph"] is not None:
        own.set_state(state["symgraph"])


def same_draws(some: Any, others: Any) -> bool:
    """Whether two states of numpy's generator give the same numbers."""
    return bool(some[1].tobytes() == others[1].tobytes() and some[2:] == others[2:])


# -- callbacks -----------------------------------------------------------------------------------------------


def state_of_callback(callback: Any) -> State:
    """What a callback tells by `state_dict`, and those of its attributes that are plain values."""
    own = dict(callback.state_dict()) if keeps_state(callback) else None
    return {"own": own, "attributes": {} if knows_all_its_state(callback) else plain_attributes(callback)}


def plain_attributes(thing: Any) -> State:
    """The attributes of an object that are plain values, but for what `fit` gave it."""
    return {name: value for name, value in vars(thing).items() if name not in _GIVEN and is_plain(value)}


def restore_callback(callback: Any, state: Mapping[str, Any]) -> None:
    """Give a callback its state back; a warning for what it had beyond that."""
    kept = state["attributes"]
    vars(callback).update(kept)
    if state["own"] is not None:
        callback.load_state_dict(state["own"])
    if knows_all_its_state(callback):
        return
    lost = [name for name, value in vars(callback).items() if name not in kept and not _is_tool(name, value)]
    if lost:
        warn_user(
            f"{type(callback).__name__}: {', '.join(lost)}: only numbers, texts, arrays, random generators "
            "and containers of them are kept over a restart. Give the callback the methods `state_dict()` "
            "and `load_state_dict(state)`."
        )


def _is_tool(name: str, value: Any) -> bool:
    """Whether an attribute is something that a callback works with, rather than what it has found out."""
    return (
        name in _GIVEN
        or is_plain(value)
        or callable(value)
        or isinstance(value, os.PathLike | io.IOBase)
        or type(value).__module__.partition(".")[0] in ("symgraph", "csv", "_csv")
    )
