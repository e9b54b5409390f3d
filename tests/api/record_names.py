"""Writes names_2_2_4.json: every public name in every module of Keras, recorded from Keras itself.

Run it with Keras 2.2.4 on TensorFlow 1.14 (Python 3.7), from the root of the project, outside its package:
``python tests/api/record_names.py``. `own` are the functions, classes, constants and submodules of a module,
`imported` what it has from other modules of Keras (and of the packages that it takes its pictures, texts and
ready-made models from). Names of other libraries and names that begin with an underscore are left out.
Modules that cannot be imported there (other backends, a leftover of Keras 1) have None. The package is "".
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import types
from pathlib import Path
from typing import Any

NAMES = Path(__file__).with_name("names_2_2_4.json")

PACKAGES = ("keras", "keras_preprocessing", "keras_applications")


def kind_of(module: str, name: str, value: Any) -> str | None:
    """'own', 'imported', or None for what is not recorded."""
    if name.startswith("_"):
        return None
    if isinstance(value, types.ModuleType):
        return "own" if value.__name__ == f"{module}.{name}" else None
    if callable(value):
        home = str(getattr(value, "__module__", None))
        if home.split(".", maxsplit=1)[0] not in PACKAGES:
            return None
        return "own" if home == module else "imported"
    return "own" if type(value) in (bool, int, float, str, dict, list, tuple) else None


def names_of(module: str) -> dict[str, list[str]] | None:
    """The names of a module, sorted; None where it cannot be imported."""
    try:
        found = importlib.import_module(module)
    except ImportError:
        return None
    kinds = {name: kind_of(module, name, value) for name, value in vars(found).items()}
    return {kind: sorted(n for n, k in kinds.items() if k == kind) for kind in ("own", "imported")}


def record() -> dict[str, Any]:
    """All modules of the installed Keras."""
    import keras

    modules = [module.name for module in pkgutil.walk_packages(keras.__path__, "keras.")]
    assert keras.__version__ == "2.2.4", keras.__version__
    made = {"_made_by": "tests/api/record_names.py, with Keras 2.2.4 on TensorFlow 1.14"}
    return {**made, **{name[len("keras.") :]: names_of(name) for name in ["keras", *sorted(modules)]}}


if __name__ == "__main__":
    NAMES.write_text(json.dumps(record(), indent=1) + "\n", encoding="utf-8")
