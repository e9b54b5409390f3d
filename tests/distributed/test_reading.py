"""Ranks of MPI read what they train on and nothing else, and train as one process does."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.distributed.reading import prepare

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("reading.py")


def _run(folder: Path, ranks: int) -> list[dict[str, np.ndarray]]:
    """What each rank found."""
    prepare(folder)
    beside = Path(sys.executable).with_name("mpirun")
    launcher = str(beside) if beside.is_file() else shutil.which("mpirun")
    start = [launcher, "--allow-run-as-root", "--oversubscribe", "-n", str(ranks)] if ranks > 1 else []
    command = [*map(str, start), sys.executable, str(SCRIPT), str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SYMGRAPH_NUM_THREADS": "1"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    # The first rank alone tells what was found, of each iterator.
    assert ended.stdout.count("Found 20 images belonging to 2 classes.") == 3
    assert ended.stdout.count("Found 19 images belonging to 2 classes.") == 2
    return [dict(np.load(folder / f"{rank}.npz")) for rank in range(ranks)]


@pytest.mark.skipif(
    importlib.util.find_spec("mpi4py") is None, reason="mpi4py is not installed: pip install symgraph[mpi]"
)
def test_each_rank_reads_its_share_and_all_train_as_one(tmp_path: Path) -> None:
    (one,), ranks = _run(tmp_path / "one", 1), _run(tmp_path / "three", 3)
    assert {-1, *range(19)} == set(one["pictures read"])
    for name, expected in one.items():
        found = [rank[name] for rank in ranks]
        if not name.endswith(" read"):
            for values in found:
                np.testing.assert_allclose(values, expected, rtol=1e-12)
                np.testing.assert_array_equal(values, found[0])
            continue
        # Each picture and each row is read as often by all ranks together as by one process, and none of them
        # reads more than its share: a third of each batch, rounded up.
        assert Counter(np.concatenate(found).tolist()) == Counter(expected.tolist()), name
        assert max(map(len, found)) <= len(expected) * 0.45, name
