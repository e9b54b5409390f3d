"""Python imports this module as it starts, because `symgraph run` put its folder into `PYTHONPATH`.

So worker processes, `python -m pytest` and whatever else a script starts find symgraph by the name of Keras:
the very package that this file is in, wherever it lies. The `sitecustomize` that this one hides is run, too.
"""

import importlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

_HERE = Path(__file__).parent
_PACKAGE = _HERE.parents[1]


def _run(spec: ModuleSpec | None, name: str | None = None) -> None:
    """Run a module; under `name` it stays loaded."""
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        if name is not None:
            sys.modules[name] = module
        spec.loader.exec_module(module)


_run(
    importlib.util.spec_from_file_location(
        "symgraph", _PACKAGE / "__init__.py", submodule_search_locations=[str(_PACKAGE)]
    ),
    "symgraph",
)
importlib.import_module("symgraph.alias.install").answer_imports()
_run(PathFinder.find_spec("sitecustomize", [folder for folder in sys.path if Path(folder) != _HERE]))
