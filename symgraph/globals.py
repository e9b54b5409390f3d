"""The only module-level state of symgraph: what Keras keeps global by contract.

Unique-name counters, the default float type, the fuzz factor, the default picture layout, the learning phase
and the registry of custom objects; and the functions that this process wrote to files, so that a script may
load them without trusting other code. Everything else in the project is passed as an argument. The first
three begin as the user's file of settings says, see `symgraph.settings_file`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from symgraph.settings_file import DATA_FORMATS, FLOAT_TYPES, read_settings


@dataclass(slots=True)
class _Settings:
    """The settings that the functions of this module read and change."""

    floatx: str = "float32"
    epsilon: float = 1e-7
    image_data_format: str = "channels_last"
    learning_phase: int | None = None
    uids: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))


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
