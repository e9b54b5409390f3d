"""Nodes that call Python: what they are shown, and when."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.graph.ops.host import watch
from symgraph.graph.tensor import Tensor

pytestmark = pytest.mark.threads


def test_print_tensor_prints_what_is_computed(capsys: pytest.CaptureFixture[str]) -> None:
    x = K.placeholder((2, 2), dtype="float32")
    y = K.print_tensor(x * 2, message="twice is")
    z = K.print_tensor(K.transpose(x))  # a view of what is fed
    f = K.function([x], [y + 1.0, z])
    value, turned = f([[[1, 2], [3, 4]]])
    assert capsys.readouterr().out.splitlines() in (
        ["twice is [[2. 4.]", " [6. 8.]]", "[[1. 3.]", " [2. 4.]]"],
        ["[[1. 3.]", " [2. 4.]]", "twice is [[2. 4.]", " [6. 8.]]"],
    )
    np.testing.assert_array_equal(value, [[3, 5], [7, 9]])
    np.testing.assert_array_equal(turned, [[1, 3], [2, 4]])
    K.print_tensor(x, "nobody needs this")
    K.function([x], [x + 1])([[[1, 2], [3, 4]]])
    assert capsys.readouterr().out == ""


def test_equal_watches_are_two_and_gradients_pass() -> None:
    seen: list[float] = []
    x = K.placeholder((3,), dtype="float64")
    a, b = (watch(x, lambda value: seen.append(float(value.sum()))) for _ in range(2))
    loss = K.sum(a * a) + K.sum(b)
    f = K.function([x], [loss, *K.gradients(loss, [x])])
    value, grad = f([[1.0, 2.0, 3.0]])
    assert value == 20 and seen == [6.0, 6.0]
    np.testing.assert_array_equal(grad, [3, 5, 7])


def test_every_step_of_a_loop_is_shown_once_with_its_gradient() -> None:
    seen: list[list[float]] = []
    x = K.placeholder((None, 2, 1), dtype="float64")

    def step(value: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        new = watch(states[0] + value, lambda v: seen.append(v.ravel().tolist()))
        return new, [new]

    last, _, _ = K.rnn(step, x, [x[:, 0] * 0.0])
    loss = K.sum(last**2)
    f = K.function([x], [loss, *K.gradients(loss, [x])])
    value, grad = f([np.array([[[1.0], [2.0]], [[3.0], [4.0]], [[5.0], [6.0]]])])
    assert seen == [[1.0, 3.0, 5.0], [3.0, 7.0, 11.0]]
    assert value == 9 + 49 + 121
    np.testing.assert_array_equal(grad[:, :, 0], [[6, 6], [14, 14], [22, 22]])


def test_the_callback_may_change_its_array_and_stop_the_call() -> None:
    x = K.placeholder((3,), dtype="float64")

    def spoil(value: np.ndarray) -> None:
        value[:] = np.nan

    np.testing.assert_array_equal(K.function([x], watch(x, spoil) + 1.0)([np.ones(3)]), 2)

    def stop(value: np.ndarray) -> None:
        if value[0] > 1:
            raise RuntimeError("too large")

    w = K.variable([0.0])
    f = K.function([x], [watch(x, stop)], updates=[(w, w + 1.0)])
    f([np.ones(3)])
    with pytest.raises(RuntimeError, match="too large"):
        f([np.full(3, 2.0)])
    assert K.get_value(w) == 1
    f([np.ones(3)])
    assert K.get_value(w) == 2


def test_threads_call_at_once_each_in_its_own() -> None:
    """Both callbacks wait for each other: the machine holds no lock that a second call needs."""
    both = threading.Barrier(2, timeout=60)
    x = K.placeholder((3,), dtype="float64")
    f = K.function([x], watch(x * 2.0, lambda value: print(both.wait(), end="")))
    f.program((3,))
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda k: f([np.full(3, k)]), (1.0, 2.0)))
    np.testing.assert_array_equal(results, [[2] * 3, [4] * 3])
