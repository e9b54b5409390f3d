"""Reads names, parameters and defaults of Keras' public API from its sources, without running them.

``python -m tests.api.read_keras FOLDER PREPROCESSING`` writes keras_2_2_4.json; FOLDER is the folder `keras`
of its wheel, PREPROCESSING the folder `keras_preprocessing` of the wheel (1.0.5) from which Keras takes its
tools for pictures, sequences and texts.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any

FACTS = Path(__file__).with_name("keras_2_2_4.json")

# Public module: (the file it is read from, modules whose names it passes on). Names alone are compared of
# modules that only pass on, and of the loops of training, which take what `fit` has made of its arguments.
MODULES: dict[str, tuple[str, tuple[str, ...]]] = {
    "activations": ("activations", ()),
    "backend": ("backend.tensorflow_backend", ("backend.common",)),
    "callbacks": ("callbacks", ()),
    "constraints": ("constraints", ()),
    "datasets.cifar": ("datasets.cifar", ()),
    "datasets.boston_housing": ("datasets.boston_housing", ()),
    "datasets.cifar10": ("datasets.cifar10", ()),
    "datasets.cifar100": ("datasets.cifar100", ()),
    "datasets.fashion_mnist": ("datasets.fashion_mnist", ()),
    "datasets.imdb": ("datasets.imdb", ()),
    "datasets.mnist": ("datasets.mnist", ()),
    "datasets.reuters": ("datasets.reuters", ()),
    "engine.base_layer": ("engine.base_layer", ()),
    "engine.input_layer": ("engine.input_layer", ()),
    "engine.network": ("engine.network", ()),
    "engine.saving": ("engine.saving", ()),
    "engine.sequential": ("engine.sequential", ()),
    "engine.training": ("engine.training", ()),
    "engine.training_utils": ("engine.training_utils", ()),
    "initializers": ("initializers", ()),
    "layers": ("layers", ("layers", "legacy", "engine")),
    "legacy.interfaces": ("legacy.interfaces", ()),
    "legacy.layers": ("legacy.layers", ()),
    "losses": ("losses", ()),
    "metrics": ("metrics", ("losses",)),
    "models": ("models", ("engine",)),
    "optimizers": ("optimizers", ()),
    "preprocessing.image": ("preprocessing.image", ("keras_preprocessing.",)),
    "preprocessing.sequence": ("preprocessing.sequence", ("keras_preprocessing.",)),
    "preprocessing.text": ("preprocessing.text", ("keras_preprocessing.",)),
    "regularizers": ("regularizers", ()),
    "utils": ("utils", ("utils",)),
    "utils.conv_utils": ("utils.conv_utils", ()),
    "utils.data_utils": ("utils.data_utils", ()),
    "utils.generic_utils": ("utils.generic_utils", ()),
    "utils.io_utils": ("utils.io_utils", ()),
    "utils.layer_utils": ("utils.layer_utils", ()),
    "utils.multi_gpu_utils": ("utils.multi_gpu_utils", ()),
    "utils.np_utils": ("utils.np_utils", ()),
    "utils.test_utils": ("utils.test_utils", ()),
    "utils.training_utils": ("utils.training_utils", ()),
    "utils.vis_utils": ("utils.vis_utils", ()),
    "wrappers.scikit_learn": ("wrappers.scikit_learn", ()),
}

# The package whose functions and classes Keras wraps or passes on.
OUTSIDE = "keras_preprocessing"

Definition = ast.FunctionDef | ast.ClassDef


class Source:
    """The modules of a package, and of the one that it wraps (``keras_preprocessing.*``), parsed."""

    def __init__(self, folder: Path, outside: Path) -> None:
        self.folder = folder
        self.outside = outside
        self.trees: dict[str, ast.Module] = {}
        self.known: dict[str, dict[str, tuple[str, Definition]]] = {}

    def path(self, module: str) -> Path:
        first, _, rest = module.partition(".")
        top, inside = (self.outside, rest) if first == OUTSIDE else (self.folder, module)
        whole = top.joinpath(*inside.split(".")) if inside else top
        return whole / "__init__.py" if whole.is_dir() else whole.with_suffix(".py")

    def tree(self, module: str) -> ast.Module:
        if module not in self.trees:
            self.trees[module] = ast.parse(self.path(module).read_text(encoding="utf-8"))
        return self.trees[module]

    def target(self, module: str, node: ast.ImportFrom) -> str | None:
        """The module of the package that a relative import names."""
        if not node.level:
            return None
        parts = module.split(".") if module else []
        up = node.level - (self.path(module).name == "__init__.py")
        base = parts[: len(parts) - up] if up else parts
        return ".".join([*base, *(node.module or "").split(".")]).strip(".")

    def names(self, module: str) -> dict[str, tuple[str, Definition]]:
        """Every function and class that a module knows, with the module that defines it."""
        if module in self.known:
            return self.known[module]
        body = self.tree(module).body
        # Known before imports are followed, which lead in circles.
        found = self.known[module] = {
            node.name: (module, node) for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        }
        for node in body:
            if isinstance(node, ast.ImportFrom) and self.target(module, node) is not None:
                for name, known in self._imported(str(self.target(module, node)), node).items():
                    found.setdefault(name, known)
            elif isinstance(node, ast.Assign) and (known_value := self.value(module, node.value)):
                for name in node.targets:
                    if isinstance(name, ast.Name):
                        found[name.id] = known_value
        return found

    def value(self, module: str, node: ast.expr) -> tuple[str, Definition] | None:
        """What ``name``, or ``wrapped.name`` of a module of the wrapped package, stands for in a module."""
        if isinstance(node, ast.Name):
            return self.names(module).get(node.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id in self._wrapped(module):
                return self.names(f"{OUTSIDE}.{node.value.id}").get(node.attr)
            return None if module.startswith("preprocessing.") else self.names(module).get(node.attr)
        return None

    def _wrapped(self, module: str) -> set[str]:
        """The modules of the wrapped package that a module imports."""
        imports = [node for node in self.tree(module).body if isinstance(node, ast.ImportFrom)]
        return {a.name for node in imports if node.module == OUTSIDE and not node.level for a in node.names}

    def _imported(self, target: str, node: ast.ImportFrom) -> dict[str, tuple[str, Definition]]:
        if not self.path(target).exists() or target in ("backend", ""):
            return {}
        known = dict(self.names(target))
        if node.names[0].name == "*":
            return known
        return {a.asname or a.name: known[a.name] for a in node.names if a.name in known}


def signature(function: ast.FunctionDef, bound: bool) -> str:
    """``a, b=1, *args, **kwargs``, without `self` where `bound`."""
    a = function.args
    plain = [*a.posonlyargs, *a.args]
    defaults = [None] * (len(plain) - len(a.defaults)) + [ast.unparse(d) for d in a.defaults]
    found = [p.arg if d is None else f"{p.arg}={d}" for p, d in zip(plain, defaults, strict=True)]
    rest = [*([f"*{a.vararg.arg}"] if a.vararg else []), *([f"**{a.kwarg.arg}"] if a.kwarg else [])]
    return ", ".join([*(found[1:] if bound else found), *rest])


def members(source: Source, module: str, node: ast.ClassDef) -> dict[str, str]:
    """Public methods and properties of a class: its own, those of hidden or wrapped bases, any `__init__`."""
    found: dict[str, str] = {}
    for base in reversed(node.bases):
        home, known = source.value(module, base) or ("", None)
        if isinstance(known, ast.ClassDef):
            inherited = members(source, home, known)
            hidden = known.name.startswith("_") or home.startswith(OUTSIDE)
            found |= {key: value for key, value in inherited.items() if hidden or key == "__init__"}
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and (item.name == "__init__" or not item.name.startswith("_")):
            marks = {ast.unparse(d) for d in item.decorator_list}
            if "property" in marks or any(m.endswith(".setter") for m in marks):
                found[item.name] = "property"
            else:
                found[item.name] = signature(item, "staticmethod" not in marks)
    return found


def read(folder: Path, outside: Path) -> dict[str, dict[str, Any]]:
    """{module: {name: signature of a function, or {method: signature or "property"} of a class}}."""
    source = Source(folder, outside)
    facts: dict[str, dict[str, Any]] = {}
    for public, (module, passed_on) in MODULES.items():
        names = dict(source.names(module))
        if public == "backend":
            names |= source.names("backend.common")
            names["backend"] = next(
                ("backend", n) for n in source.tree("backend").body if getattr(n, "name", "") == "backend"
            )
        entry = facts[public] = {}
        for name, (home, node) in sorted(names.items()):
            if name.startswith(("_", "py_")) or not (home == module or home.startswith(passed_on)):
                continue
            if isinstance(node, ast.ClassDef):
                entry[name] = members(source, home, node)
            else:
                entry[name] = signature(node, False)
    return facts


if __name__ == "__main__":
    facts = read(Path(sys.argv[1]), Path(sys.argv[2]))
    FACTS.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
