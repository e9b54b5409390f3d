"""What is told of the hardware, and the ceilings that shares are counted against."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numba
import numpy as np
import pytest

import symgraph
from symgraph.inspection.facts.hardware import hardware_facts
from symgraph.kernels.ceilings import Ceilings, _chains, _multiply_adds, measure_ceilings
from symgraph.kernels.run.target import TARGET


def test_the_hardware_tells_versions_settings_and_threads(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SYMGRAPH_CACHE", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    facts = hardware_facts()
    assert facts.versions["numba"] == numba.__version__
    assert facts.versions["numpy"] == np.__version__
    assert facts.settings["OMP_NUM_THREADS"] == "7"
    assert facts.cache == str(tmp_path)
    assert facts.threads == symgraph.get_num_threads()
    assert 1 <= facts.processors <= (os.cpu_count() or 1)
    assert json.loads(json.dumps(facts.to_json()))["cpu"] == TARGET.cpu


def test_ceilings_are_measured_once() -> None:
    found = measure_ceilings(1)
    assert found is measure_ceilings(1)
    assert found.threads == 1 and found.gflops > 0 and found.gbytes > 0


def test_the_loop_of_multiply_adds_has_no_loads() -> None:
    """In the assembly, between the loop's label and its jump back, there are multiply-adds on registers."""
    lines = _multiply_adds().assembly().splitlines()
    fused = [line for line in lines if re.search(r"\bv?f(n?madd|mla)", line)]
    if not fused:
        pytest.skip("this processor has no instruction that multiplies and adds")
    assert len(fused) >= _chains()
    assert not any("(" in line or "[" in line for line in fused)


def test_the_share_is_that_of_the_nearer_ceiling() -> None:
    ceilings = Ceilings(2, gflops=100.0, gbytes=20.0)
    # 1e9 operations need 10 ms; 1e9 bytes need 50 ms.
    assert ceilings.seconds(1e9, 1e6) == pytest.approx(0.01)
    assert ceilings.seconds(1e9, 1e9) == pytest.approx(0.05)
    assert ceilings.share(1e9, 1e9, 0.2) == pytest.approx(0.25)
    assert ceilings.share(0, 0, 0.0) == 0
