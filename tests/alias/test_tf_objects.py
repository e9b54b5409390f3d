"""Losses, metrics and schedules as objects: numbers of the package tf_keras 2.21, the last of Keras 2.

tf_keras_2_21.json holds what the script beside it, objects.py, prints there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.alias.run import printed, symgraph_run

FOLDER = Path(__file__).parent / "tf_keras"
TRUTH: dict[str, Any] = json.loads((FOLDER / "tf_keras_2_21.json").read_text())


def test_numbers_are_those_of_tf_keras(tmp_path: Path) -> None:
    numbers = json.loads(printed(symgraph_run(FOLDER / "objects.py", folder=tmp_path)))
    assert sorted(numbers) == sorted(TRUTH)
    for name, truth in TRUTH.items():
        np.testing.assert_allclose(numbers[name], truth, rtol=1e-5, atol=2e-6, err_msg=name)
