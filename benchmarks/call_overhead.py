"""Microseconds per call of a Function of ten tiny ops that cannot be fused.

python -m benchmarks.call_overhead
"""

from __future__ import annotations

import statistics
import time

import numpy as np

from symgraph import backend as K


def main() -> None:
    """Measure and print."""
    x = K.placeholder((4, 4))
    value = x
    for _ in range(5):
        value = K.dot(value, K.constant(np.eye(4, dtype=np.float32) * 0.9))
        value = K.softmax(value)
    function = K.function([x], [value])
    feed = np.ones((4, 4), np.float32)
    function([feed])
    times = []
    for _ in range(20):
        start = time.perf_counter()
        for _ in range(1000):
            function([feed])
        times.append((time.perf_counter() - start) * 1e3)
    print(function)
    print(f"{statistics.median(times):.2f} µs a call, {len(function.program().rows)} rows")


if __name__ == "__main__":
    main()
