"""The one error of a script that needs TensorFlow itself, with the line that does."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType

_PACKAGE = Path(__file__).parents[1]

_STAND_IN = (
    "TensorFlow is not installed. symgraph answers for tensorflow.keras, and for the rest of TensorFlow only "
    "with the few names that Keras scripts need beside Keras (docs/old_scripts.md)"
)


class MissingTensorFlowError(AttributeError):
    """A script uses a name of TensorFlow that symgraph has nothing for."""


def missing_attribute(name: str) -> MissingTensorFlowError:
    """The error for ``tensorflow.name``; an AttributeError, so that `hasattr` works."""
    return MissingTensorFlowError(f"{_where()} needs {name}: {_STAND_IN}", name=name)


def missing_module(name: str) -> ModuleNotFoundError:
    """The error for ``import tensorflow.name``."""
    # What is missing is TensorFlow. An error about the part would be replaced by a shorter one where it is a
    # `from` import.
    return ModuleNotFoundError(f"{_where()} needs {name}: {_STAND_IN}", name="tensorflow")


def _where() -> str:
    """File and line of the code that is not of symgraph and not of Python's import system."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        imports = file.startswith("<frozen ") or frame.f_globals.get("__name__") == "importlib"
        if not imports and _PACKAGE not in Path(file).parents:
            return f"{file}, line {frame.f_lineno},"
        frame = frame.f_back
    return "a script"
