"""Programs run by several processes under mpirun, and what each of them printed."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
_SECONDS = 300


def mpirun() -> str:
    """The program that starts ranks. Skips the test where MPI is missing."""
    beside = Path(sys.executable).with_name("mpirun")
    found = str(beside) if beside.is_file() else shutil.which("mpirun")
    missing = [] if importlib.util.find_spec("mpi4py") else ["mpi4py"]
    missing += [] if found else ["an mpirun"]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)}: pip install symgraph[mpi]")
    assert found is not None
    return found


def run(ranks: int, program: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program on so many ranks, in `folder`."""
    path = folder / "program.py"
    path.write_text(program, encoding="utf-8")
    command = [mpirun(), "--allow-run-as-root", "--oversubscribe", "-n", str(ranks), sys.executable, path]
    if ranks == 1:
        command = command[-2:]
    known = {
        "PYTHONPATH": str(ROOT),
        "SYMGRAPH_NUM_THREADS": "1",
        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    }
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **known, **environment},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )


def results(ranks: int, program: str, folder: Path, **environment: str) -> list[Any]:
    """What each rank wrote to ``rank<number>.json``, which a program does by `report`."""
    ran = run(ranks, program + _REPORT, folder, **environment)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(ranks)]
    for report in found:
        report["printed"] = ran.stdout
    return found


_REPORT = """

import json
from symgraph.distributed import world as _world
with open(f"rank{_world().rank}.json", "w") as _file:
    json.dump(report, _file)
"""
