"""The finder in `sys.meta_path` that answers imports of Keras and, where it is missing, of TensorFlow."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

from symgraph import globals as state
from symgraph.alias.errors import missing_module
from symgraph.alias.facade import TF_VERSION, VERSION, Facade
from symgraph.alias.names import PACKAGES, TF_INTERNAL_ROOTS, place_of, root_of

# Loaded only when a script asks for TensorFlow: processes that ask for nothing start quickly.
_STAND_IN = "symgraph.alias.tensorflow.tree"


class KerasFinder(MetaPathFinder):
    """Answers for `keras`, `tensorflow.keras` and `keras_preprocessing`, and for `tensorflow` if need be."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module that is answered here; None for all others.

        Raises
        ------
        ModuleNotFoundError
            If a script asks for a part of TensorFlow that the stand-in does not have.
        """
        top, _, inner = fullname.partition(".")
        if top == "symgraph" and place_of(inner) != inner:
            # A module that moved: `from keras.utils import visualize_util` asks by this name, too.
            moved = Answer(f"symgraph.{place_of(inner)}")
            return PathFinder.find_spec(fullname, path) or _spec(fullname, moved)
        if top not in PACKAGES:
            return None
        if top == "keras_preprocessing":
            return _spec(fullname, Answer(f"symgraph.preprocessing{fullname[len(top) :]}"))
        real = None if top == "keras" else _real_tensorflow()
        found = root_of(fullname)
        if found is not None and not (real is not None and found[0] in TF_INTERNAL_ROOTS):
            return _keras_spec(fullname, *found)
        if real is None:
            return _stand_in_spec(fullname)
        return _with_keras(real) if fullname == "tensorflow" else None


def _real_tensorflow() -> ModuleSpec | None:
    spec = PathFinder.find_spec("tensorflow")
    # A folder of this name without code is no TensorFlow.
    return spec if spec is not None and spec.origin is not None else None


def _keras_spec(fullname: str, root: str, inner: str) -> ModuleSpec | None:
    state.answer_as(state.KERAS if root == "keras" else state.TF_KERAS)
    if not inner:
        version = VERSION if root == "keras" else TF_VERSION
        return _spec(fullname, Ready(Facade(root, version)))
    return _spec(fullname, Answer(f"symgraph.{inner}"))


def _stand_in_spec(fullname: str) -> ModuleSpec:
    module = importlib.import_module(_STAND_IN).stand_in(fullname)
    if module is None:
        raise missing_module(fullname)
    return ModuleSpec(fullname, Ready(module), is_package=True)


def _spec(fullname: str, loader: Loader) -> ModuleSpec | None:
    if isinstance(loader, Answer) and not loader.is_there():
        return None
    return ModuleSpec(fullname, loader, is_package=True)


class Ready(Loader):
    """Loads a module that was made already."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module."""
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is left to do."""


class Answer(Loader):
    """Loads a module of symgraph under another name: the same object, so that its classes are the same."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._own: Any = None

    def is_there(self) -> bool:
        """Whether symgraph has the module."""
        try:
            self._module = importlib.import_module(self.name)
        except ModuleNotFoundError as error:
            if error.name is not None and (self.name == error.name or self.name.startswith(f"{error.name}.")):
                return False
            raise
        return True

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module of symgraph."""
        self._own = self._module.__spec__
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its own spec back: the import system has replaced it by that of the other name."""
        module.__spec__ = self._own


def _with_keras(real: ModuleSpec) -> ModuleSpec:
    """The spec of the TensorFlow that is installed, whose `keras` will be symgraph."""
    if real.loader is not None:
        real.loader = _WithKeras(real.loader)
    return real


class _WithKeras(Loader):
    """Loads the real TensorFlow, and puts symgraph into its attribute `keras`."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._real.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        self._real.exec_module(module)
        is_first = str(getattr(module, "__version__", "")).startswith("1.")
        state.set_tensorflow_version(1 if is_first else 2)
        module.__dict__["keras"] = importlib.import_module("tensorflow.keras")
