"""Processes in which symgraph answers for Keras."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "symgraph", "run"]


def environment(**further: str) -> dict[str, str]:
    """This process's, where this checkout comes first, and nothing of the user's Keras is seen."""
    found = {name: value for name, value in os.environ.items() if name not in ("KERAS_BACKEND",)}
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**found, "PYTHONPATH": os.pathsep.join(paths), "PYTHONWARNINGS": "default", **further}


def symgraph_run(*arguments: object, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """``symgraph run ARGUMENTS`` in `folder`."""
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def printed(ran: subprocess.CompletedProcess[str]) -> str:
    """What a process that ended well has printed."""
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout
