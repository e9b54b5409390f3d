"""Settings of the whole suite.

`make test` shares the tests among one process a core (pytest-xdist). Kernels use one thread there, but for
tests marked `threads`, which one process runs: they ask for what several threads do.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
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

# Processes that a test starts have one thread for kernels, too.
_ONE_OF_SEVERAL = "PYTEST_XDIST_WORKER" in os.environ
if _ONE_OF_SEVERAL:
    os.environ["SYMGRAPH_NUM_THREADS"] = "1"


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", "threads: asks for what several threads do")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of threads go to one process, so that only one at a time wants every core."""
    for item in items if _ONE_OF_SEVERAL else ():
        if item.get_closest_marker("threads"):
            item.add_marker(pytest.mark.xdist_group("threads"))


@pytest.fixture(autouse=_ONE_OF_SEVERAL)
def _every_thread(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As many threads as the machine has, for tests that are marked so."""
    if not request.node.get_closest_marker("threads"):
        yield
        return
    # Only now: the package reads the user's settings, which the lines above put away.
    from symgraph.kernels.run.threads import get_num_threads, most_threads, set_num_threads

    before = get_num_threads()
    monkeypatch.delenv("SYMGRAPH_NUM_THREADS")
    set_num_threads(most_threads())
    yield
    set_num_threads(before)
