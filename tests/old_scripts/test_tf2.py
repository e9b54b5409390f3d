"""Scripts in the style of TensorFlow 2's first tutorials, unchanged through `symgraph run`."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from symgraph.datasets import digits
from tests.alias.run import printed, symgraph_run

SCRIPTS = Path(__file__).parent / "scripts" / "tf2"


def _figure(said: str, pattern: str) -> float:
    found = re.search(pattern, said, re.MULTILINE)
    assert found, said
    return float(found[1])


@pytest.fixture
def mnist(tmp_path: Path) -> str:
    """The bundled digits, three times as large, in a file like that of MNIST."""
    arrays = {}
    for part, (x, y) in zip(("train", "test"), digits.load_data(), strict=True):
        arrays[f"x_{part}"] = np.pad(np.kron(x * 15, np.ones((3, 3), np.uint8)), ((0, 0), (2, 2), (2, 2)))
        arrays[f"y_{part}"] = y
    np.savez(tmp_path / "mnist.npz", **arrays)  # type: ignore[arg-type]
    return str(tmp_path / "mnist.npz")


def test_a_loss_of_scores(mnist: str, tmp_path: Path) -> None:
    said = printed(symgraph_run(SCRIPTS / "quickstart.py", mnist, folder=tmp_path))
    assert said.startswith("2\n[None, 10]\n")
    assert "['accuracy', 'loss', 'top3', 'val_accuracy', 'val_loss', 'val_top3'] 2" in said
    assert _figure(said, r"^Test accuracy: (\S+)") > 0.85
    assert _figure(said, r"^Top 3: (\S+)") > 0.95
    assert said.endswith("True True\nTrue\n")


def test_a_regression(tmp_path: Path) -> None:
    said = printed(symgraph_run(SCRIPTS / "regression.py", folder=tmp_path))
    assert said.startswith("['loss', 'mae', 'rmse', 'val_loss', 'val_mae', 'val_rmse']")
    assert _figure(said, r"^MAE: (\S+)") < 2
    assert said.endswith("True\n")


def test_metrics_of_rare_cases(tmp_path: Path) -> None:
    said = printed(symgraph_run(SCRIPTS / "imbalanced.py", folder=tmp_path))
    assert said.startswith("True True\nTrue\n")
    assert _figure(said, r"^AUC: (\S+)") > 0.95
