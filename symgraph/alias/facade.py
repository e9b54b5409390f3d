"""The modules `keras` and `tensorflow.keras`: symgraph's names, and the version of the API in their place."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import symgraph

VERSION, TF_VERSION = "2.2.4", "2.2.4-tf"

# Names of symgraph that are none of Keras.
_OWN = ("__version__",)


class Facade(ModuleType):
    """A package whose names are those of symgraph; a module of it is imported when its name is first used.

    Parameters
    ----------
    name : str
        'keras' or 'tensorflow.keras'.
    version : str
        What scripts compare.
    """

    def __init__(self, name: str, version: str) -> None:
        super().__init__(name, "symgraph under the name of Keras: see docs/old_scripts.md.")
        self.__version__ = version
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if name in symgraph.__all__ and not isinstance(getattr(symgraph, name), ModuleType):
            return getattr(symgraph, name)
        try:
            return importlib.import_module(f"{self.__name__}.{name}")
        except ModuleNotFoundError:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from None

    def __dir__(self) -> list[str]:
        return sorted({*vars(self), *(name for name in symgraph.__all__ if name not in _OWN)})
