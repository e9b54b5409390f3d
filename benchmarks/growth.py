"""How time grows: with threads, with the batch, with the number of nodes; and how long a first run takes.

    python -m benchmarks.growth

Threads: one to two on mnist_cnn, beside one to two on a 2,048 x 2,048 sgemm of the same run. Batch: forward
and backward milliseconds a sample, the optimizer's rows apart. Nodes: seconds to compile a chain. First run:
seconds in a new process, with an empty and with a full cache of kernels.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np

import symgraph
from benchmarks.engines.keras_like import build
from benchmarks.workloads import WORKLOADS
from symgraph import layers
from symgraph.kernels.matmul import matmul
from symgraph.models import Sequential
from symgraph.optimizers import Adadelta

_FIRST_RUN = """
import time
start = time.perf_counter()
import symgraph
imported = time.perf_counter()
from benchmarks.engines.symgraph_engine import make
call = make("mnist_cnn", "train", 2)
import numpy as np
from benchmarks.workloads import WORKLOADS
call()
print(imported - start, time.perf_counter() - start)
"""


def _median(call: Callable[[], object], repeats: int = 15) -> float:
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _step(batch: int) -> Callable[[], object]:
    """A training step of mnist_cnn."""
    workload = WORKLOADS["mnist_cnn"]
    model = build(layers, Sequential, workload.layers, workload.input_shape)
    model.compile(Adadelta(), workload.loss)
    rng = np.random.default_rng(0)
    x = rng.random((batch, 28, 28, 1), dtype=np.float32)
    y = np.eye(10, dtype=np.float32)[rng.integers(0, 10, batch)]
    return lambda: model.train_on_batch(x, y)


def threads() -> None:
    """Print the speed-up from one to all threads, of a network and of sgemm."""
    most = symgraph.get_num_threads()
    a = np.random.default_rng(0).random((2048, 2048), dtype=np.float32)
    step = _step(128)
    found = {}
    for count in (1, most):
        symgraph.set_num_threads(count)
        product = _median(lambda n=count: matmul(a, a, threads=n), 7)  # type: ignore[misc]
        found[count] = (_median(step, 9), product)
    network, sgemm = (found[1][i] / found[most][i] for i in (0, 1))
    print(f"threads 1 -> {most}: mnist_cnn x {network:.2f}, sgemm x {sgemm:.2f}, {network / sgemm:.2f} of it")


def batches() -> None:
    """Print microseconds a sample over the batch size; the optimizer's sweep is measured by itself."""
    update = _median(_step(1), 15)
    for batch in (32, 64, 128, 256, 512, 1024):
        seconds = _median(_step(batch), 9)
        print(f"batch {batch:5d}: {(seconds - update) / batch * 1e6:7.1f} µs a sample without the update")
    print(f"batch     1: {update * 1e3:.2f} ms a step, nearly all of it the update")


def nodes() -> None:
    """Print the seconds to compile chains."""
    for count in (5_000, 50_000):
        x = symgraph.placeholder((None, 8))
        y = x
        start = time.perf_counter()
        for _ in range(count // 2):
            y = symgraph.backend.cumsum(symgraph.backend.tanh(y), 1)
        written = time.perf_counter()
        function = symgraph.function([x], y)
        lowered = time.perf_counter()
        function(np.ones((4, 8), np.float32))
        done = time.perf_counter()
        print(
            f"{count:6d} nodes: written in {written - start:.2f} s, lowered in {lowered - written:.2f} s, "
            f"planned and run in {done - lowered:.2f} s"
        )


def first_runs() -> None:
    """Print import time and time to the first batches with an empty and a full cache."""
    with tempfile.TemporaryDirectory() as folder:
        kernels = os.path.join(folder, "kernels")
        environment = dict(os.environ, SYMGRAPH_CACHE=kernels, PYTHONPATH=os.getcwd())
        for name in ("empty", "full"):
            command = [sys.executable, "-c", _FIRST_RUN]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            imported, total = map(float, done.stdout.split())
            print(f"{name} cache: import symgraph {imported:.2f} s, first 8 batches done after {total:.2f} s")


def main() -> None:
    """Run all four."""
    threads()
    batches()
    nodes()
    first_runs()


if __name__ == "__main__":
    main()
