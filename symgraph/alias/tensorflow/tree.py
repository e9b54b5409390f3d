"""The modules of the stand-in: `tensorflow`, `tensorflow.compat.v1`, `tensorflow.logging` and so on."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

from symgraph import globals as state
from symgraph.alias.errors import missing_attribute
from symgraph.alias.names import TF_INTERNAL_ROOTS
from symgraph.alias.tensorflow.contents import COMMON, ONLY_1, ONLY_2

_ROOTS = {
    "tensorflow": {**COMMON, **ONLY_1, **ONLY_2},
    "tensorflow.compat.v1": {**COMMON, **ONLY_1},
    "tensorflow.compat.v2": {**COMMON, **ONLY_2},
}


class StandIn(ModuleType):
    """A module of the stand-in. A name that it lacks raises an error that says where a script asks for it."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "A stand-in for a part of TensorFlow: see docs/old_scripts.md.")
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__version__":
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        path = f"{self.__name__}.{name}"
        if name == "keras" or _is_module(path):
            return importlib.import_module(path)
        root, inner = _split(path)
        if inner not in _ROOTS[root]:
            raise missing_attribute(path)
        if root == "tensorflow" and inner in ONLY_1:
            # TensorFlow 2 would refuse the name, so the script is one for TensorFlow 1.
            state.set_tensorflow_version(1)
        return _ROOTS[root][inner]

    def __dir__(self) -> list[str]:
        root, inner = _split(self.__name__)
        prefix = f"{inner}." if inner else ""
        names = {name[len(prefix) :].partition(".")[0] for name in _ROOTS[root] if name.startswith(prefix)}
        return sorted({*vars(self), *names, *(() if inner else ("keras",))})


def stand_in(fullname: str) -> ModuleType | None:
    """The module of this name, None if the stand-in has none."""
    if fullname in sys.modules:
        return sys.modules[fullname]
    return StandIn(fullname) if _is_module(fullname) else None


def _split(path: str) -> tuple[str, str]:
    """The root that a name is under, and its place below."""
    for root in sorted(_ROOTS, key=len, reverse=True):
        if path == root or path.startswith(f"{root}."):
            return root, path[len(root) + 1 :]
    raise KeyError(path)


def _is_module(path: str) -> bool:
    if path in _ROOTS or any(root.startswith(f"{path}.") for root in (*_ROOTS, *TF_INTERNAL_ROOTS)):
        return True
    root, inner = _split(path)
    return any(name.startswith(f"{inner}.") for name in _ROOTS[root])
