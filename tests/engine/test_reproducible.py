"""`np.random.seed` fixes weights, shuffling, dropout and noise: the same bits in any run, on any threads."""

import os
import subprocess
import sys

SCRIPT = """
import hashlib
import numpy as np
from symgraph.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten, GaussianNoise
from symgraph.models import Sequential

def digest(seed):
    np.random.seed(seed)
    model = Sequential([
        Conv2D(4, 3, activation="relu", input_shape=(8, 8, 1)), Dropout(0.25), Flatten(),
        Dense(16, kernel_initializer="orthogonal"), BatchNormalization(), GaussianNoise(0.1), Dropout(0.5),
        Dense(10, activation="softmax", kernel_initializer="truncated_normal"),
    ])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["acc"])
    data = np.random.RandomState(5)
    x, y = data.rand(100, 8, 8, 1), data.randint(0, 10, 100)
    history = model.fit(x, y, epochs=2, batch_size=37, validation_split=0.2, verbose=0).history
    arrays = [w.tobytes() for w in model.get_weights() + model.optimizer.get_weights()]
    return hashlib.sha256(b"".join(arrays) + repr(history).encode()).hexdigest()

print(digest(3), digest(3), digest(4))
"""


def _digests(threads: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "SYMGRAPH_NUM_THREADS": threads},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_a_seed_gives_the_same_bits_in_every_run() -> None:
    first, again, other = _digests("1")
    assert first == again != other
    assert _digests("2") == [first, again, other]
