"""Networks in the spelling of Keras 1 compute, and learn, what Keras 1.2.2 computes."""

from __future__ import annotations

import json
import runpy
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symgraph.utils.warn_user import OldCallWarning
from tests.keras1.answering import keras_is_symgraph

FOLDER = Path(__file__).parent
# Written by cases.py itself under Keras 1.2.2, which tells how.
ANSWERS: dict[str, Any] = json.loads((FOLDER / "keras_1_2_2.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def cases() -> Iterator[dict[str, Any]]:
    with keras_is_symgraph():
        yield runpy.run_path(str(FOLDER / "cases.py"))


def compare(found: Any, wanted: Any, path: str) -> None:
    if isinstance(wanted, dict):
        assert sorted(found) == sorted(wanted)
        for key, value in wanted.items():
            compare(found[key], value, f"{path}/{key}")
    else:
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=2e-6, err_msg=path)


@pytest.mark.parametrize("name", ANSWERS)
def test_the_numbers_are_those_of_keras_1(name: str, cases: dict[str, Any]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = cases["plain"](cases[name]())
    assert {w.category for w in caught} <= {OldCallWarning}
    compare(found, ANSWERS[name], name)


def test_every_case_has_an_answer(cases: dict[str, Any]) -> None:
    assert sorted(case.__name__ for case in cases["CASES"]) == sorted(ANSWERS)
