"""Settings that the user keeps in a file: the default float type, the fuzz factor, the layout of pictures.

`symgraph.json` in `SYMGRAPH_HOME` (default `~/.symgraph`) counts; where there is none, `keras.json` of Keras
in `KERAS_HOME` (default `~/.keras`). Neither is ever written.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Callable, Mapping
from typing import Any

FLOAT_TYPES = ("float16", "float32", "float64")
DATA_FORMATS = ("channels_last", "channels_first")

_MOST_BYTES = 1 << 16


def read_settings() -> dict[str, Any]:
    """The settings of the file that counts: 'floatx', 'epsilon' and 'image_data_format', as far as given.

    A file that cannot be read, and values that mean nothing, are left out; one warning names them. Other
    entries, as Keras' 'backend', are passed over.
    """
    own = os.path.join(os.environ.get("SYMGRAPH_HOME") or "~/.symgraph", "symgraph.json")
    for path in (os.path.expanduser(own), _path_of_keras()):
        if os.path.isfile(path):
            return _read(path, _CHECKS)
    return {}


def read_keras_settings() -> dict[str, Any]:
    """What Keras' own file says, with 'backend': for scripts that import symgraph by the name of Keras."""
    path = _path_of_keras()
    return (
        _read(path, {**_CHECKS, "backend": lambda value: isinstance(value, str)})
        if os.path.isfile(path)
        else {}
    )


def keras_folder() -> str:
    """Where Keras keeps settings and data: `KERAS_HOME`, default `~/.keras`."""
    return os.path.expanduser(os.environ.get("KERAS_HOME") or "~/.keras")


def _path_of_keras() -> str:
    return os.path.join(keras_folder(), "keras.json")


def _read(path: str, checks: Mapping[str, Callable[[Any], bool]]) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            given = json.loads(file.read(_MOST_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        warnings.warn(f"{path} is not used, it cannot be read: {error}", stacklevel=2)
        return {}
    if not isinstance(given, dict):
        warnings.warn(f"{path} is not used: expected a JSON object, got {given!r:.80}", stacklevel=2)
        return {}
    settings = {name: given[name] for name in checks if name in given}
    wrong = [name for name, value in settings.items() if not checks[name](value)]
    if wrong:
        listed = ", ".join(f"{name}: {settings[name]!r:.80}" for name in wrong)
        warnings.warn(f"{path}: unknown values are not used ({listed})", stacklevel=2)
    return {name: value for name, value in settings.items() if name not in wrong}


def _is_epsilon(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and value >= 0 and math.isfinite(value)


_CHECKS = {
    "floatx": lambda value: value in FLOAT_TYPES,
    "epsilon": _is_epsilon,
    "image_data_format": lambda value: value in DATA_FORMATS,
}
