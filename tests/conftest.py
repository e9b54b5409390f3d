"""Settings of the whole suite."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import settings

# The user's settings and data sets are not the tests'. Compiled kernels are kept where they always are.
_home = tempfile.TemporaryDirectory(prefix="symgraph-tests-")
_kernels = Path(os.environ.get("SYMGRAPH_HOME") or "~/.symgraph").expanduser() / "kernels"
os.environ.setdefault("SYMGRAPH_CACHE", str(_kernels))
os.environ["SYMGRAPH_HOME"] = os.environ["KERAS_HOME"] = _home.name

# A gate asks the same questions every time; at a developer's desk new examples are looked for in every run.
settings.register_profile("gate", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("gate")
