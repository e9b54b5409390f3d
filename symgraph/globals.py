"""The only module-level state of symgraph: what Keras keeps global by contract.

Unique-name counters, the default float type, the fuzz factor, the default picture layout, the learning phase,
the session with the variables that it may start anew, where seeds are drawn from, the name by which the API
was imported, the processes that train together, the count of trainings, and the registry of custom objects;
and the functions that this process wrote to files, so that a script may load them without trusting other
code. Everything else in the project is passed as an argument. Float type, fuzz factor and layout begin as the
user's file of settings says, see `symgraph.settings_file`.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

from symgraph.settings_file import DATA_FORMATS, FLOAT_TYPES, read_keras_settings, read_settings

KERAS, TF_KERAS = "keras", "tf.keras"
BACKENDS = ("tensorflow", "theano", "cntk")


@dataclass(slots=True)
class _Settings:
    """The settings that the functions of this module read and change."""

    floatx: str = "float32"
    epsilon: float = 1e-7
    image_data_format: str = "channels_last"
    learning_phase: int | None = None
    uids: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    manners: str = "symgraph"
    backend: str = "symgraph"
    tensorflow: int = 2
    session: Any = None
    random: Any = None
    variables: WeakSet[Any] = field(default_factory=WeakSet)
    draws: WeakSet[Any] = field(default_factory=WeakSet)
    process_group: Any = None
    trainings: int = 0
    in_training: bool = False
    ended_trainings: list[bytes] = field(default_factory=list)
    joined: Any = None


_settings = _Settings(**read_settings())

_custom_objects: dict[str, Any] = {}
"""Names that configurations may use besides the built-in ones; see `symgraph.utils.get_custom_objects`."""

_written_functions: dict[str, list[Any]] = {}
"""Functions by the bytecode that `func_dump` wrote for them; see `symgraph.utils.own_functions`."""


def get_uid(prefix: str = "") -> int:
    """The next number, from 1, for names that begin with `prefix` (`dense_1`, `dense_2`, ...).

    Parameters
    ----------
    prefix : str
        Each prefix has a counter of its own.

    Returns
    -------
    int
        How often this prefix was asked for since the start or the last `reset_uids`.
    """
    _settings.uids[prefix] += 1
    return _settings.uids[prefix]


def reset_uids() -> None:
    """Start all counters of `get_uid` again, as Keras' `clear_session` does."""
    _settings.uids.clear()


def floatx() -> str:
    """The default float type of new variables and placeholders: 'float16', 'float32' or 'float64'."""
    return _settings.floatx


def set_floatx(floatx: str) -> None:
    """Set the default float type.

    Parameters
    ----------
    floatx : str
        'float16', 'float32' or 'float64'.

    Raises
    ------
    ValueError
        If `floatx` is none of the three; the old type stays.
    """
    if floatx not in FLOAT_TYPES:
        raise ValueError(f"Unknown floatx type: {floatx!r}; expected one of {', '.join(FLOAT_TYPES)}")
    _settings.floatx = str(floatx)


def epsilon() -> float:
    """The fuzz factor that keeps divisions and logarithms finite (1e-07 unless set)."""
    return _settings.epsilon


def set_epsilon(e: float) -> None:
    """Set the fuzz factor.

    Parameters
    ----------
    e : float
        The new value.

    Raises
    ------
    TypeError, ValueError
        If `e` is not a number; the old value stays.
    """
    _settings.epsilon = float(e)


def image_data_format() -> str:
    """The default layout of pictures: 'channels_last' (rows, columns, channels) or 'channels_first'."""
    return _settings.image_data_format


def set_image_data_format(data_format: str) -> None:
    """Set the default layout of pictures.

    Parameters
    ----------
    data_format : str
        'channels_last' or 'channels_first'.

    Raises
    ------
    ValueError
        If `data_format` is neither; the old layout stays.
    """
    if data_format not in DATA_FORMATS:
        expected = " or ".join(repr(name) for name in DATA_FORMATS)
        raise ValueError(f"Unknown data_format: {data_format!r}; expected {expected}")
    _settings.image_data_format = str(data_format)


def fixed_learning_phase() -> int | None:
    """The learning phase set for all graphs to come: 0 (test), 1 (train), or None where each call says it."""
    return _settings.learning_phase


def set_learning_phase(value: int) -> None:
    """Fix the learning phase of all graphs to come.

    Parameters
    ----------
    value : int
        0 (test) or 1 (train).

    Raises
    ------
    ValueError
        If `value` is neither; the old phase stays.
    """
    if value not in (0, 1):
        raise ValueError(f"Expected learning phase to be 0 or 1, got {value!r}")
    _settings.learning_phase = int(value)


def reset_learning_phase() -> None:
    """Leave the learning phase to each call again, as Keras' `clear_session` does."""
    _settings.learning_phase = None


def answer_as(name: str) -> None:
    """Take the manners of Keras or of tf.keras, because a script imports symgraph by that name.

    The first name counts for the whole process. The backend is then the one that `KERAS_BACKEND` or
    `keras.json` names; 'theano' puts channels first, unless a file of settings says otherwise.

    Parameters
    ----------
    name : str
        `KERAS` or `TF_KERAS`.

    Raises
    ------
    ValueError
        If `KERAS_BACKEND` names no backend of Keras 2.2.4.
    """
    if _settings.manners != "symgraph":
        return
    settings = read_keras_settings()
    wanted = os.environ.get("KERAS_BACKEND") or settings.get("backend", "tensorflow")
    backend = "tensorflow" if name == TF_KERAS else wanted
    if backend not in BACKENDS:
        raise ValueError(f"KERAS_BACKEND: expected one of {', '.join(BACKENDS)}, got {backend!r}")
    _settings.manners, _settings.backend = name, backend
    if backend == "theano" and not {"image_data_format"} & {*settings, *read_settings()}:
        _settings.image_data_format = "channels_first"


def answers_as() -> str:
    """Whose manners count: 'symgraph', 'keras' or 'tf.keras'."""
    return _settings.manners


def backend_name() -> str:
    """What `K.backend()` says."""
    return _settings.backend


def tensorflow_version() -> int:
    """Whose defaults count in the manners of tf.keras: 1 for TensorFlow 1.13 to 1.15, 2 for 2.0 to 2.3."""
    return _settings.tensorflow


def set_tensorflow_version(version: int) -> None:
    """Set the version of TensorFlow whose defaults count: 1 or 2."""
    _settings.tensorflow = version


def random_source() -> Any:
    """Where seeds and initial values are drawn from, if it was set; None: `numpy.random`."""
    return _settings.random


def set_random_source(source: Any) -> None:
    """Draw seeds and initial values from a `numpy.random.RandomState`; None: from `numpy.random` again."""
    _settings.random = source


def session() -> Any:
    """The session that `K.set_session` or the first `K.get_session` set, else None."""
    return _settings.session


def set_session(session: Any) -> None:
    """Set the session that `K.get_session` returns; None: a new one at the next call."""
    _settings.session = session


def note_variable(variable: Any) -> None:
    """Let the session start `variable` anew, as long as it lives."""
    _settings.variables.add(variable)


def noted_variables() -> Iterable[Any]:
    """All living variables since the last `forget_variables`."""
    return list(_settings.variables)


def note_draw(state: Any) -> None:
    """Let a restart of a training find the state of a draw, as long as it lives."""
    _settings.draws.add(state)


def noted_draws() -> Iterable[Any]:
    """The states of all draws that live."""
    return list(_settings.draws)


def forget_variables() -> None:
    """Leave the variables so far out of what a session starts anew, as `clear_session` does."""
    _settings.variables.clear()
    _settings.draws.clear()


def process_group() -> Any:
    """The processes that train together, as `symgraph.distributed` sees them; None before it was asked."""
    return _settings.process_group


def set_process_group(group: Any) -> None:
    """Set what `process_group` returns."""
    _settings.process_group = group


def next_training() -> int:
    """The number, from 1, of the training that begins now."""
    _settings.trainings += 1
    return _settings.trainings


def is_training() -> bool:
    """Whether a training is under way: one that begins now is part of it, as a callback has started it."""
    return _settings.in_training


def set_training(under_way: bool) -> None:
    """Note that a training begins or ends."""
    _settings.in_training = under_way


def ended_trainings() -> list[bytes]:
    """What a process in the place of a lost one has to know of each training before the present one."""
    return _settings.ended_trainings


def joined() -> Any:
    """What this process, in the place of a lost one, knows of the training that it will take part in."""
    return _settings.joined


def set_joined(what: Any) -> None:
    """Set what `joined` returns."""
    _settings.joined = what
