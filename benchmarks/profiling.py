"""What a profile costs and covers on mnist_cnn: training with and without one, in turns.

python -m benchmarks.profiling [--threads 2] [--rounds 300] [--steps 1]
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

import symgraph
from symgraph import layers
from symgraph.compiler.observe.profile import Profile
from symgraph.models import Sequential

_BATCH = 128


def _model() -> Sequential:
    model = Sequential()
    model.add(layers.Conv2D(32, (3, 3), activation="relu", input_shape=(28, 28, 1)))
    model.add(layers.Conv2D(64, (3, 3), activation="relu"))
    model.add(layers.MaxPooling2D((2, 2)))
    model.add(layers.Dropout(0.25))
    model.add(layers.Flatten())
    model.add(layers.Dense(128, activation="relu"))
    model.add(layers.Dropout(0.5))
    model.add(layers.Dense(10, activation="softmax"))
    model.compile("adadelta", "categorical_crossentropy", metrics=["accuracy"])
    return model


def measure(rounds: int, steps: int) -> tuple[list[float], list[float], Profile]:
    """Seconds a step of each round without and with a profile, and the profile."""
    rng = np.random.default_rng(0)
    x = rng.random((_BATCH, 28, 28, 1), "float32")
    y = np.eye(10, dtype="float32")[rng.integers(0, 10, _BATCH)]
    model, profile = _model(), symgraph.profile()

    def run() -> float:
        start = time.perf_counter()
        for _ in range(steps):
            model.train_on_batch(x, y)
        return (time.perf_counter() - start) / steps

    plain, timed = [], []
    run()
    with profile:
        run()
    for number in range(rounds):
        # Each side is first every other time.
        for side in (0, 1) if number % 2 else (1, 0):
            if side:
                with profile:
                    timed.append(run())
            else:
                plain.append(run())
    return plain, timed, profile


def main() -> None:
    """Print overhead and coverage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--steps", type=int, default=1)
    options = parser.parse_args()
    symgraph.set_num_threads(options.threads)
    plain, timed, profile = measure(options.rounds, options.steps)
    before, after = statistics.median(plain), statistics.median(timed)
    ratios = [t / p for t, p in zip(timed, plain, strict=True)]
    overhead = statistics.median(ratios) - 1
    low, *_, high = statistics.quantiles(ratios, n=4)
    error = (high - low) / len(ratios) ** 0.5
    (times,) = profile.functions
    print(f"mnist_cnn, batch {_BATCH}, {options.threads} threads; {options.rounds} rounds of {options.steps}")
    print(f"a step without a profile: {1e3 * before:.3f} ms (median), with one: {1e3 * after:.3f} ms")
    print(
        f"overhead: {100 * overhead:+.2f} % (median of the rounds' ratios, with an error of "
        f"{100 * error:.2f} %), at most 2 %"
    )
    print(f"overhead as the profile itself reckons: {100 * times.clock_seconds / times.seconds:.2f} %")
    print(f"coverage (rows' times in the calls' time): {times.coverage:.4f}, at least 0.95")


if __name__ == "__main__":
    main()
