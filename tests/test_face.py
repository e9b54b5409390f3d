"""What `import symgraph` shows, and that it loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import symgraph
from symgraph.models import Model, Sequential
from symgraph.utils.sequence import Sequence


def test_import_is_cheap() -> None:
    heavy = ("numpy", "numba", "h5py", "symgraph.graph")
    code = f"import sys, symgraph; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_parts_are_loaded_when_they_are_used() -> None:
    assert symgraph.models.Model is symgraph.Model is Model
    assert symgraph.Sequential is Sequential
    assert symgraph.layers.Input is symgraph.Input
    assert symgraph.backend.floatx() == "float32"
    assert not hasattr(symgraph, "nothing")
    for name in symgraph.__all__:
        assert getattr(symgraph, name) is not None
    assert set(symgraph.__all__) <= set(dir(symgraph))


def test_parts_of_utils_are_loaded_when_they_are_used() -> None:
    assert symgraph.utils.Sequence is symgraph.utils.data_utils.Sequence is Sequence
    assert not hasattr(symgraph.utils, "nothing")
    for name in dir(symgraph.utils):
        assert getattr(symgraph.utils, name) is not None
    assert set(symgraph.utils.__all__) == set(symgraph.utils._NAMES)
