"""Weights that a Function does not change stay packed between its calls, until they are changed."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.compiler.function import Function

pytestmark = pytest.mark.threads

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 70)).astype("float32")


def _predictor(shape: tuple[int, int] = (70, 33)) -> tuple[K.Function, K.Variable, K.Variable]:  # type: ignore[name-defined]
    w, b = K.variable(RNG.standard_normal(shape)), K.variable(RNG.standard_normal(shape[1]))
    x = K.placeholder((None, shape[0]))
    return K.function([x], [K.relu(K.dot(x, w) + b)]), w, b


def _wanted(w: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.maximum(X.astype("float64") @ w + b, 0)


def _check(function: Function, w: np.ndarray, b: np.ndarray) -> None:
    np.testing.assert_allclose(function([X])[0], _wanted(w, b), rtol=1e-5, atol=1e-4)


def test_weights_are_packed_once() -> None:
    f, w, b = _predictor()
    for _ in range(3):
        _check(f, K.get_value(w), K.get_value(b))
    program = f.program()
    assert program.lasting == 1 and "pack[" in program.rows[0].kernel.name
    # What is in the weights' memory is not looked at while their version stays.
    w.storage.array[...] = 0
    assert np.abs(f([X])[0]).max() > 1
    w.storage.version += 1
    _check(f, np.zeros((70, 33)), K.get_value(b))


def test_a_new_value_is_seen_at_once() -> None:
    f, w, b = _predictor()
    _check(f, K.get_value(w), K.get_value(b))
    for _ in range(2):
        K.set_value(w, RNG.standard_normal((70, 33)))
        _check(f, K.get_value(w), K.get_value(b))
        _check(f, K.get_value(w), K.get_value(b))


def test_updates_of_another_function_are_seen_at_once() -> None:
    f, w, b = _predictor()
    step = K.function([], [], [(w, w * 0.5 + 1.0)])
    for _ in range(3):
        _check(f, K.get_value(w), K.get_value(b))
        step([])
    _check(f, K.get_value(w), K.get_value(b))


def test_a_function_that_changes_its_weights_packs_them_in_every_call() -> None:
    w = K.variable(RNG.standard_normal((70, 33)))
    x = K.placeholder((None, 70))
    f = K.function([x], [K.dot(x, w)], [(w, w * 0.5)])
    value = K.get_value(w)
    for _ in range(3):
        np.testing.assert_allclose(f([X])[0], X @ value, rtol=1e-4, atol=1e-4)
        value = value * 0.5
    assert f.program().lasting == 0


@pytest.mark.parametrize("shape", [(9, 17), (1, 5), (257, 16), (70, 1), (300, 130)])
@pytest.mark.parametrize("rows", [9, 64, 301])
def test_odd_sizes(shape: tuple[int, int], rows: int) -> None:
    w = K.variable(RNG.standard_normal(shape))
    x = K.placeholder((None, shape[0]))
    value = RNG.standard_normal((rows, shape[0])).astype("float32")
    f = K.function([x], [K.dot(x, w)])
    wanted = value.astype("float64") @ K.get_value(w)
    for _ in range(2):
        found = f([value])[0]
        assert np.linalg.norm(found - wanted) <= 1e-5 * np.linalg.norm(wanted)


def test_weights_inside_a_loop_are_not_kept() -> None:
    w = K.variable(RNG.standard_normal((70, 70)) * 0.1)
    x = K.placeholder((None, 3, 70))
    _, _, (last,) = K.rnn(lambda v, s: (s[0], [K.tanh(K.dot(s[0] + v, w))]), x, [x[:, 0]])
    f = K.function([x], [last])
    value = RNG.standard_normal((40, 3, 70)).astype("float32")
    for _ in range(2):
        state = value[:, 0].astype("float64")
        for t in range(3):
            state = np.tanh((state + value[:, t]) @ K.get_value(w))
        np.testing.assert_allclose(f([value])[0], state, rtol=1e-4, atol=1e-5)
        K.set_value(w, K.get_value(w) * 0.5)


def test_several_threads_share_packed_weights() -> None:
    f, w, b = _predictor((70, 130))
    wanted = _wanted(K.get_value(w), K.get_value(b))
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(20):
            if not np.allclose(f([X])[0], wanted, rtol=1e-4, atol=1e-3):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize(("samples", "strides", "packed"), [(1, (1, 1), 1), (1, (2, 2), 0), (2, (1, 1), 0)])
def test_weights_of_a_convolution_of_one_cell_stay_packed(
    samples: int, strides: tuple[int, int], packed: int
) -> None:
    """For one picture; a new value of the weights is seen."""
    x, w = K.placeholder((None, 7, 7, 40)), K.variable(RNG.standard_normal((1, 1, 40, 33)))
    f = K.function([x], [K.relu(K.conv2d(x, w, strides=strides))])
    value = RNG.standard_normal((samples, 7, 7, 40)).astype("float32")
    seen = value[:, :: strides[0], :: strides[1]].astype("float64")
    for _ in range(3):
        np.testing.assert_allclose(f([value])[0], np.maximum(seen @ K.get_value(w)[0, 0], 0), 1e-4, 1e-4)
        K.set_value(w, RNG.standard_normal((1, 1, 40, 33)))
    assert f.program().lasting == packed
