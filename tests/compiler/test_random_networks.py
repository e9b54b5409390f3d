"""Compiled random convolutional networks, with gradients and an update, against the ops' references."""

from __future__ import annotations

import numpy as np
import pytest

from symgraph.compiler.function import Function
from symgraph.graph.evaluate import evaluate
from symgraph.graph.gradient import gradients
from symgraph.graph.leaves import Variable, placeholder
from symgraph.graph.ops import conv, math, matmul, nn, pool, reduce, shape
from symgraph.graph.tensor import Tensor

pytestmark = pytest.mark.threads


class Network:
    """Blocks drawn at random in one data format, and the parameters that they made."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.format = str(rng.choice(["channels_first", "channels_last"]))
        self.parameters: list[Tensor] = []

    def parameter(self, *sizes: int) -> Tensor:
        variable = Variable(self.rng.standard_normal(sizes) / np.sqrt(max(1, np.prod(sizes[:-1]))))
        self.parameters.append(variable)
        return variable

    def per_channel(self, vector: Tensor) -> Tensor:
        return shape.reshape(vector, (1, -1, 1, 1)) if self.format == "channels_first" else vector

    def block(self, y: Tensor) -> Tensor:
        """A convolution, perhaps with bias, normalisation, activation, a branch, and pooling."""
        rng, axis = self.rng, 1 if self.format == "channels_first" else 3
        channels = int(y.shape[axis])  # type: ignore[arg-type]
        filters, size = int(rng.integers(1, 6)), int(rng.integers(1, 4))
        strides = (1, 1) if rng.random() < 0.7 else (2, 1)
        y = conv.conv2d(y, self.parameter(size, size, channels, filters), strides, "same", self.format)
        if rng.random() < 0.7:
            y = y + self.per_channel(self.parameter(filters))
        if rng.random() < 0.3:
            over = tuple(a for a in range(4) if a != axis)
            y = (y - reduce.mean(y, over, True)) / math.sqrt(reduce.var(y, over, True) + 0.1)
        y = (math.relu, math.relu, math.tanh, lambda t: t)[int(rng.integers(4))](y)
        if rng.random() < 0.3:
            y = y + math.sigmoid(y)
        if rng.random() < 0.6:
            kind = pool.max_pool2d if rng.random() < 0.7 else pool.average_pool2d
            y = kind(y, (2, 2), (int(rng.integers(1, 3)), 2), "same", self.format)
        return y


@pytest.mark.parametrize("seed", range(12))
def test_random_networks(seed: int) -> None:
    check_network(seed)


def check_network(seed: int) -> None:
    """Loss, gradients and new parameters for several batches."""
    rng = np.random.default_rng(seed)
    network = Network(rng)
    picture = (2, 9, 7) if network.format == "channels_first" else (9, 7, 2)
    x, target = placeholder((None, *picture), dtype="float64"), placeholder((None, 3), dtype="float64")
    y = x
    for _ in range(int(rng.integers(1, 4))):
        y = network.block(y)
    y = shape.flatten(y, 1)
    w, b = network.parameter(int(y.shape[1]), 3), network.parameter(3)  # type: ignore[arg-type]
    score = nn.log_softmax(matmul.matmul(y, w) + b)
    loss = -reduce.mean(reduce.sum(score * target, 1))
    wrt = [x, *network.parameters]
    found = [g for g in gradients(loss, wrt) if g is not None]
    assert len(found) == len(wrt)
    values = [v - 0.1 * g for v, g in zip(network.parameters, found[1:], strict=True)]
    fetched = [loss, score, found[0], *(found[1:] if rng.random() < 0.5 else ())]
    step = Function([x, target], fetched, list(zip(network.parameters, values, strict=True)))
    for size in (4, 1, 5):
        feeds = {x: rng.standard_normal((size, *picture)), target: np.eye(3)[rng.integers(0, 3, size)]}
        wanted = evaluate([*fetched, *values], feeds)
        results = [*step(*feeds.values()), *(v.get_value() for v in network.parameters)]  # type: ignore[attr-defined]
        for value, truth in zip(results, wanted, strict=True):
            np.testing.assert_allclose(value, truth, rtol=1e-8, atol=1e-9)
