"""A fixed run of random graphs; ``python -m tests.fuzz`` grows as many others as are asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.check import check_graph

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("first", range(0, 200, 10))
def test_ten_graphs(first: int) -> None:
    reports = [check_graph(seed) for seed in range(first, first + 10)]
    assert {r.seed: r.differences for r in reports if r.differences} == {}


def test_enough_gradients_are_compared() -> None:
    assert sum(check_graph(seed).gradient for seed in range(30)) >= 5


def test_the_command_in_a_process_of_its_own() -> None:
    """Nothing is compiled there before: kernels of the machine are made with the fuzzer's own compilation."""
    command = [sys.executable, "-m", "tests.fuzz", "--graphs", "2", "--seed", "7"]
    environment = dict(os.environ, SYMGRAPH_CACHE="")
    found = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert "0 differ" in found.stdout and not found.returncode, found.stdout + found.stderr
