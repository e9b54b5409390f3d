"""One training step of the classic MNIST network, batch 128, symgraph beside PyTorch (both memory layouts).

    python -m benchmarks.mnist_cnn [--rounds 7] [--steps 15] [--threads 2]

Conv32-Conv64-MaxPool-Dropout.25-Flatten-Dense128-Dropout.5-Dense10, categorical cross-entropy, Adadelta.
Prints the median milliseconds a step and the ratio to the best peer.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from benchmarks.harness import Engine, run

BATCH = 128


def data() -> tuple[np.ndarray, np.ndarray]:
    """A batch of random pictures and one-hot labels."""
    rng = np.random.default_rng(0)
    labels = np.eye(10, dtype=np.float32)[rng.integers(0, 10, BATCH)]
    return rng.random((BATCH, 28, 28, 1), dtype=np.float32), labels


def symgraph_step(threads: int) -> Callable[[], object]:
    """symgraph, through `train_on_batch`."""
    from symgraph.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D
    from symgraph.models import Sequential
    from symgraph.optimizers import Adadelta

    model = Sequential(
        [
            Conv2D(32, (3, 3), activation="relu", input_shape=(28, 28, 1)),
            Conv2D(64, (3, 3), activation="relu"),
            MaxPooling2D((2, 2)),
            Dropout(0.25),
            Flatten(),
            Dense(128, activation="relu"),
            Dropout(0.5),
            Dense(10, activation="softmax"),
        ]
    )
    model.compile(Adadelta(), "categorical_crossentropy", metrics=["accuracy"])
    x, y = data()
    return lambda: model.train_on_batch(x, y)


def _torch_step(threads: int, channels_last: bool) -> Callable[[], object]:
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25),
        nn.Flatten(), nn.Linear(64 * 12 * 12, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10),
    ).to(memory_format=layout)  # fmt: skip
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0, rho=0.95, eps=1e-7)
    loss_function = nn.CrossEntropyLoss()
    pictures, labels = data()
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous(memory_format=layout)
    y = torch.from_numpy(labels.argmax(1))

    def step() -> float:
        optimizer.zero_grad()
        scores = model(x)
        loss = loss_function(scores, y)
        loss.backward()
        optimizer.step()
        (scores.argmax(1) == y).float().mean().item()
        return loss.item()

    return step


def torch_step(threads: int) -> Callable[[], object]:
    """PyTorch, eager, channels first."""
    return _torch_step(threads, channels_last=False)


def torch_channels_last_step(threads: int) -> Callable[[], object]:
    """PyTorch, eager, channels last."""
    return _torch_step(threads, channels_last=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    here = "benchmarks.mnist_cnn"
    ours = Engine("symgraph", f"{here}:symgraph_step")
    peers = [
        Engine("PyTorch", f"{here}:torch_step"),
        Engine("PyTorch channels last", f"{here}:torch_channels_last_step"),
    ]
    run([ours, *peers], options.rounds, options.steps, options.threads)
    for engine in (ours, *peers):
        print(f"{engine.name:24s} {engine.median:8.2f} ms a step")
    best = min(peers, key=lambda e: e.median)
    print(f"ratio to the best peer ({best.name}): {ours.median / best.median:.3f}")


if __name__ == "__main__":
    main()
