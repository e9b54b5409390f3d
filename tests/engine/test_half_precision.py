"""Models of float16 weights: stored in half precision, computed in single."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.layers import Dense
from symgraph.models import Sequential
from symgraph.optimizers import SGD


@pytest.fixture(autouse=True)
def half_precision() -> Iterator[None]:
    before = K.floatx()
    K.set_floatx("float16")
    yield
    K.set_floatx(before)


def unit(value: np.ndarray) -> np.ndarray:
    """The distance of float16 numbers there."""
    return np.spacing(np.abs(value).astype("float16")).astype("f8")


def test_only_gradients_and_weights_are_rounded() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((8, 3)).astype("float16"), rng.standard_normal((8, 2)).astype("float16")
    model = Sequential([Dense(2, input_shape=(3,))])
    model.compile(SGD(0.125), "mse")
    kernel, bias = model.get_weights()
    assert kernel.dtype == bias.dtype == "float16"
    for _ in range(3):
        loss = model.train_on_batch(x, y)
        error = x.astype("f8") @ kernel.astype("f8") + bias.astype("f8") - y.astype("f8")
        np.testing.assert_allclose(loss, np.square(error).mean(), rtol=1e-6)
        slope = error * (2 / error.size)
        grads = x.astype("f8").T @ slope, slope.sum(axis=0)
        steps = kernel - 0.125 * grads[0], bias - 0.125 * grads[1]
        kernel, bias = model.get_weights()
        for found, truth, grad in zip((kernel, bias), steps, grads, strict=True):
            assert found.dtype == "float16"
            # Half a unit each of the new weight and of its gradient, and what float32 loses on the way.
            assert (np.abs(found - truth) <= 0.501 * (unit(truth) + 0.125 * unit(grad))).all()


def test_an_optimizer_with_slots_learns() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((256, 4)).astype("float16")
    truth = np.array([[1.0], [-2.0], [0.5], [0.25]])
    model = Sequential([Dense(1, input_shape=(4,))])
    model.compile("adam", "mse")
    K.set_value(model.optimizer.lr, 0.05)
    model.fit(x, x.astype("f8") @ truth, epochs=60, verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], truth, atol=0.02)
