"""K.rnn, map_fn and folds against numpy loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.graph.tensor import Tensor
from tests import philox

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
    with pytest.raises(ValueError, match="expected inputs of at least one time step"):
        K.rnn(same, K.placeholder((None, 0, 3)), [])
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


# -- Random numbers: those of (seed, call, turn)


def _numbers(turns: int, call: int = 0, count: int = 3) -> np.ndarray:
    return np.array([philox.uniform(count, 7, call, turn) for turn in range(turns)])


@pytest.mark.parametrize("backwards", [False, True])
def test_rnn_draws_anew_in_every_step(backwards: bool) -> None:
    x = K.placeholder((None, None, 3))

    def step(now: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        return now * 0 + K.random_uniform((3,), seed=7), [states[0] + now]

    last, outputs, _ = K.rnn(step, x, [x[:, 0]], go_backwards=backwards)
    f = K.function([x], [last, outputs])
    for call, steps in enumerate((5, 3)):
        wanted = _numbers(steps, call)
        end, whole = f([np.ones((2, steps, 3))])
        np.testing.assert_array_equal(whole, [wanted, wanted])
        np.testing.assert_array_equal(end, whole[:, -1])


@pytest.mark.parametrize("like_a_state", [True, False])
def test_masked_steps_draw_anew_and_repeat_where_they_are_masked(like_a_state: bool) -> None:
    x, mask = K.placeholder((5, 6, 3)), K.placeholder((5, 6))

    def step(now: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        noise = K.random_uniform((5, 3), seed=7)
        return noise if like_a_state else K.concatenate([noise, noise]), [noise]

    _, outputs, _ = K.rnn(step, x, [K.zeros((5, 3))], mask=mask)
    found = K.function([x, mask], [outputs])([X, MASK])[0]
    before, noise = np.zeros((5, 3)), _numbers(6, count=15).reshape(6, 5, 3)
    for t in range(6):
        before = np.where(MASK[:, t, None], noise[t], before)
        wanted = before if like_a_state else np.concatenate([before, before], 1)
        np.testing.assert_array_equal(found[:, t], wanted)


def test_an_unrolled_step_draws_anew() -> None:
    x = K.placeholder((2, 4, 3))
    _, outputs, _ = K.rnn(lambda now, _: (K.random_uniform((2, 3)) + now, []), x, [], unroll=True)
    found = K.function([x], [outputs])([np.zeros((2, 4, 3))])[0]
    assert len({found[:, t].tobytes() for t in range(4)}) == 4


def test_maps_draw_anew_for_every_entry() -> None:
    x, y = K.placeholder((None, 3)), K.placeholder((None, None, 3))
    f = K.function([x], [K.map_fn(lambda e: e + K.random_uniform((3,), seed=7), x)])
    for call in range(2):
        np.testing.assert_array_equal(f([np.zeros((4, 3))])[0], _numbers(4, call))
    rows = K.map_fn(lambda row: K.map_fn(lambda e: e + K.random_uniform((3,), seed=7), row), y)
    found = K.function([y], [rows])([np.zeros((2, 4, 3))])[0]
    np.testing.assert_array_equal(found, _numbers(8).reshape(2, 4, 3))


def test_folds_draw_anew_for_every_entry() -> None:
    x = K.placeholder((4, 3), dtype="float64")
    digits = 10.0 ** np.arange(4)

    def add(total: Tensor, entry: Tensor) -> Tensor:
        noise = K.cast(K.random_uniform((3,), seed=7) < 0.5, "float64")
        return total + noise * entry

    folds = [fold(add, x, initializer=K.zeros((3,), "float64")) for fold in (K.foldl, K.foldr)]
    left, right = K.function([x], folds)([np.repeat(digits[:, None], 3, 1)])
    chosen = (_numbers(4) < 0.5).astype("f8")
    # foldr counts its turns from the last entry on.
    np.testing.assert_array_equal(left, digits @ chosen)
    np.testing.assert_array_equal(right, digits[::-1] @ chosen)
    start = K.foldl(
        lambda total, entry: entry * 0 + K.random_uniform((3,), dtype="float32", seed=7), K.cast(x, "float32")
    )
    np.testing.assert_array_equal(K.function([x], [start])([np.zeros((4, 3))])[0], _numbers(3)[-1])


def test_a_loop_of_dropped_and_binomial_values() -> None:
    x = K.variable(np.ones((6, 400)))
    kept = K.eval(K.map_fn(lambda e: K.dropout(e, 0.25, seed=7), x))
    drawn = K.eval(K.map_fn(lambda e: e * K.random_binomial((400,), 0.75, seed=7), x))
    assert len({row.tobytes() for row in kept}) == 6 and abs(drawn.mean() - 0.75) < 0.04
    # Both are 1 where a 32-bit word is below 0.75.
    np.testing.assert_allclose(kept, drawn / 0.75)


def test_functions_of_the_same_seeds_draw_the_same() -> None:
    def made() -> Any:
        x = K.placeholder((None, 3))
        return K.function([x], [K.map_fn(lambda e: e + K.random_normal((3,), seed=1), x)])

    first, second = made(), made()
    zeros = np.zeros((4, 3))
    before = [first([zeros])[0] for _ in range(3)]
    np.testing.assert_array_equal(before, [second([zeros])[0] for _ in range(3)])


def test_what_the_learning_phase_leaves_out_does_not_go_on() -> None:
    """In the test phase nothing is drawn: training sees the numbers of its own calls."""
    x = K.placeholder((2, 3))

    def noisy(entry: Tensor) -> Tensor:
        inner = K.map_fn(lambda e: K.in_train_phase(lambda: e + K.random_uniform((), seed=3), e), entry)
        return K.in_train_phase(lambda: K.random_uniform((3,), seed=7), entry) + 0 * inner

    f = K.function([x, K.learning_phase()], [K.map_fn(noisy, x)])
    zeros = np.zeros((2, 3))
    for call in range(3):
        np.testing.assert_array_equal(f([zeros, 0])[0], zeros)
        np.testing.assert_array_equal(f([zeros, 1])[0], _numbers(2, call))
