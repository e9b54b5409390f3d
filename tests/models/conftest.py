"""What tests of large networks share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph import initializers


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zeros in place of random numbers, which take longer than the rest of a large network."""

    def zeros(self: Any, shape: tuple[int, ...], dtype: str | None = None) -> np.ndarray:
        return np.zeros(shape, dtype or K.floatx())

    for kind in (initializers.VarianceScaling, initializers.RandomNormal):
        monkeypatch.setattr(kind, "__call__", zeros)
