"""Ranks of MPI read what they train on and nothing else, and train as one process does."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from tests.distributed import reading
from tests.distributed.mpi import mpirun, run


def _found(folder: Path, ranks: int) -> list[dict[str, np.ndarray]]:
    """What each rank computed and read."""
    reading.prepare(folder)
    ran = run(ranks, Path(reading.__file__).read_text(encoding="utf-8"), folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    # The first rank alone tells what was found, of each iterator.
    assert ran.stdout.count("Found 20 images belonging to 2 classes.") == 3
    assert ran.stdout.count("Found 19 images belonging to 2 classes.") == 2
    return [dict(np.load(folder / f"{rank}.npz")) for rank in range(ranks)]


def test_each_rank_reads_its_share_and_all_train_as_one(tmp_path: Path) -> None:
    mpirun()
    (one,), ranks = _found(tmp_path / "one", 1), _found(tmp_path / "three", 3)
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
