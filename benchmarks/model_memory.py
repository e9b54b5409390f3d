"""Resident memory while a thousand models of varying width are built, compiled, stepped once and dropped.

python -m benchmarks.model_memory [--models 1000]
"""

from __future__ import annotations

import argparse
import gc
from pathlib import Path

import numpy as np

from symgraph import backend as K
from symgraph.layers import Dense
from symgraph.models import Sequential


def resident_mib() -> float:
    """Resident set size of this process, in MiB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def one_model(width: int) -> None:
    """Build, compile, step, drop."""
    model = Sequential([Dense(width, activation="relu", input_shape=(20,)), Dense(3, activation="softmax")])
    model.compile("adam", "categorical_crossentropy")
    model.train_on_batch(np.ones((8, 20), np.float32), np.eye(3, dtype=np.float32)[np.zeros(8, int)])


def main() -> None:
    """Measure and print every tenth of the way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=1000)
    count = parser.parse_args().models
    for index in range(count):
        one_model(8 + index % 300)
        if (index + 1) % max(1, count // 10) == 0:
            gc.collect()
            print(f"{index + 1:6d} models  {resident_mib():8.1f} MiB")
    K.clear_session()


if __name__ == "__main__":
    main()
