"""K.rnn, map_fn and folds against numpy loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.graph.tensor import Tensor

RNG = np.random.default_rng(0)
W, U = RNG.standard_normal((3, 4)) * 0.5, RNG.standard_normal((4, 4)) * 0.5
X = RNG.standard_normal((5, 6, 3))
START = RNG.standard_normal((5, 4))
MASK = RNG.random((5, 6)) > 0.4


def _numpy(mask: np.ndarray | None, backwards: bool, doubled: bool = False) -> tuple[np.ndarray, ...]:
    """Outputs in the order of the steps, last output, last state; the output is the state (or twice it)."""
    h = START
    steps = range(5, -1, -1) if backwards else range(6)
    outputs = []
    before = np.zeros_like(h) if doubled else h
    for t in steps:
        new = np.tanh(X[:, t] @ W + h @ U + 0.25)
        out = np.concatenate([new, new], 1)[:, :5] if doubled else new
        if mask is not None:
            keep = mask[:, t : t + 1]
            before_ = before if before.shape == out.shape else np.zeros_like(out)
            out, new = np.where(keep, out, before_), np.where(keep, new, h)
        before, h = out, new
        outputs.append(out)
    return np.stack(outputs, 1), outputs[-1], h


def _steps(extra: bool) -> Any:
    w, u = K.variable(W, "float64"), K.variable(U, "float64")

    def step(x: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        bias = states[1] if extra else 0.25
        new = K.tanh(K.dot(x, w) + K.dot(states[0], u) + bias)
        return new, [new]

    return step


@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("constant", [False, True])
def test_rnn(unroll: bool, backwards: bool, masked: bool, constant: bool) -> None:
    x = K.placeholder((None, 6 if unroll else None, 3), dtype="float64")
    start, mask = K.placeholder((None, 4), dtype="float64"), K.placeholder((None, 6 if unroll else None))
    constants = [K.constant(0.25, "float64")] if constant else None
    last, outputs, states = K.rnn(
        _steps(constant), x, [start], backwards, mask if masked else None, constants, unroll
    )
    assert K.ndim(outputs) == 3 and K.int_shape(outputs)[2] == 4
    inputs = [x, start, mask] if masked else [x, start]
    feeds = [X, START, MASK.astype("f4")] if masked else [X, START]
    found = K.function(inputs, [outputs, last, *states])(feeds)
    wanted = _numpy(MASK if masked else None, backwards)
    if masked and unroll:
        # Unrolled, Keras begins with an output of zeros.
        wanted = _begun_with_zeros(wanted, backwards)
    for value, truth in zip(found, wanted, strict=True):
        np.testing.assert_allclose(value, truth, rtol=1e-10, atol=1e-12)


def _begun_with_zeros(wanted: tuple[np.ndarray, ...], backwards: bool) -> tuple[np.ndarray, ...]:
    outputs = wanted[0].copy()
    order = range(5, -1, -1) if backwards else range(6)
    started = np.zeros(5, bool)
    for place, t in enumerate(order):
        started |= MASK[:, t]
        outputs[~started, place] = 0
    return outputs, outputs[:, -1], wanted[2]


def test_masked_outputs_that_are_no_state_repeat() -> None:
    x, start = K.variable(X, "float64"), K.variable(START, "float64")
    step = _steps(False)

    def doubled(v: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        new, after = step(v, states)
        return K.concatenate([new, new], 1)[:, :5], after

    last, outputs, _ = K.rnn(doubled, x, [start], mask=K.variable(MASK.astype("f4")))
    wanted = _numpy(MASK, False, doubled=True)
    np.testing.assert_allclose(K.eval(outputs), wanted[0], rtol=1e-10)
    np.testing.assert_allclose(K.eval(last), wanted[1], rtol=1e-10)


def test_rnn_refuses_what_it_cannot_do() -> None:
    x = K.placeholder((None, 6, 3))
    same = lambda v, s: (v, s)  # noqa: E731
    with pytest.raises(ValueError, match="Input should be at least 3D"):
        K.rnn(same, K.placeholder((None, 3)), [])
    with pytest.raises(ValueError, match="No initial states provided"):
        K.rnn(same, x, [], mask=K.placeholder((None, 6)))
    with pytest.raises(ValueError, match="Unrolling requires a fixed number of timesteps"):
        K.rnn(same, K.placeholder((None, None, 3)), [], unroll=True)
    with pytest.raises(ValueError, match=r"expected a mask of \(samples, time\)"):
        K.rnn(same, x, [x[:, 0]], mask=K.placeholder((None, 7)))
    with pytest.raises(ValueError, match="expected the step function to give 1 states, got 0"):
        K.rnn(lambda v, s: (v, []), x, [x[:, 0]])
    with pytest.raises(ValueError, match="state 0 starts as"):
        K.rnn(lambda v, s: (v, [K.concatenate([v, v])]), x, [x[:, 0]])


def test_map_fn() -> None:
    x = K.variable(X, "float64")
    np.testing.assert_allclose(K.eval(K.map_fn(lambda v: K.dot(v, K.variable(W, "float64")), x)), X @ W)
    a, b = K.map_fn(lambda v: (v[0] + v[1], K.sum(v[0] * v[1])), (x, x * 2))
    np.testing.assert_allclose(K.eval(a), X * 3)
    np.testing.assert_allclose(K.eval(b), (X * X * 2).sum((1, 2)))
    flags = K.map_fn(lambda v: K.cast(K.sum(v) > 0, "float32"), x, name="flags", dtype="float32")
    np.testing.assert_array_equal(K.eval(flags), (X.sum((1, 2)) > 0).astype("f4"))
    assert flags.name == "flags"


def test_folds() -> None:
    x = K.variable(X, "float64")
    left = K.foldl(lambda acc, v: acc * 0.5 + v, x)
    right = K.foldr(lambda acc, v: acc * 0.5 + v, x, initializer=K.zeros((6, 3), "float64"))
    acc = X[0]
    for v in X[1:]:
        acc = acc * 0.5 + v
    np.testing.assert_allclose(K.eval(left), acc, rtol=1e-12)
    acc = np.zeros((6, 3))
    for v in X[::-1]:
        acc = acc * 0.5 + v
    np.testing.assert_allclose(K.eval(right), acc, rtol=1e-12)
    np.testing.assert_allclose(K.eval(K.foldr(lambda a, v: a - v, x)), X[4] - X[3] - X[2] - X[1] - X[0])


def test_a_gradient_through_a_masked_rnn() -> None:
    x, start, mask = K.placeholder((5, 6, 3), dtype="float64"), K.variable(START, "float64"), K.variable(MASK)
    _, outputs, _ = K.rnn(_steps(False), x, [start], mask=mask)
    loss = K.sum(K.square(outputs))
    (grad,) = K.gradients(loss, [x])
    f = K.function([x], [loss, grad])
    way = RNG.standard_normal(X.shape)
    high, low = (f([X + s * 1e-6 * way])[0] for s in (1, -1))
    assert np.isclose(np.sum(f([X])[1] * way), (high - low) / 2e-6, rtol=1e-6)
