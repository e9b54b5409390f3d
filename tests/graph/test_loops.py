"""Loops that end when they want, loops over integers, taps: against the same loops in Python."""

from __future__ import annotations

import numpy as np
import pytest

import symgraph
from symgraph import backend as K
from symgraph.graph.evaluate import evaluate
from symgraph.graph.ops.elementwise import where
from symgraph.graph.tensor import Tensor

Q = np.random.default_rng(1).uniform(0.5, 1.5, (6, 2))


@pytest.fixture
def n() -> Tensor:
    return symgraph.placeholder((), dtype="int32", name="n")


@pytest.fixture
def q() -> Tensor:
    return symgraph.placeholder((None, 2), dtype="float64", name="q")


class TestWhile:
    def test_newtons_square_root_and_its_derivatives(self) -> None:
        a = symgraph.placeholder((), dtype="float64", name="a")
        root = symgraph.while_loop(lambda s: K.abs(s * s - a) > 1e-12, lambda s: (s + a / s) * 0.5, a)
        (slope,) = symgraph.gradients(root, [a])
        (bend,) = symgraph.gradients(slope, [a])
        f = symgraph.function([a], [root, slope, bend])
        for value in (2.0, 9.0, 30.0):
            np.testing.assert_allclose(f(value), [value**0.5, 0.5 * value**-0.5, -0.25 * value**-1.5])

    def test_states_of_a_structure(self, n: Tensor) -> None:
        def step(s: dict[str, Tensor]) -> dict[str, Tensor]:
            odd = K.equal(s["value"] % 2, 1)
            return {"value": where(odd, 3 * s["value"] + 1, s["value"] // 2), "steps": s["steps"] + 1}

        start = {"value": n, "steps": K.constant(0, dtype="int32")}
        found = symgraph.while_loop(lambda s: s["value"] > 1, step, start)
        f = symgraph.function([n], [found["value"], found["steps"]])
        for value, steps in ((27, 111), (1, 0), (6, 8)):
            assert [int(v) for v in f(value)] == [1, steps]
            assert [int(v) for v in evaluate(list(found.values()), {n: value})] == [1, steps]

    def test_no_more_turns_than(self, n: Tensor) -> None:
        doubled = symgraph.while_loop(lambda s: s < 1000.0, lambda s: s * 2, K.constant(1.0), most=n)
        f = symgraph.function([n], doubled)
        assert [float(f(most)) for most in (0, 3, 50)] == [1.0, 8.0, 1024.0]

    def test_in_a_scan_and_with_a_scan_inside(self, q: Tensor) -> None:
        def halve(row: Tensor) -> Tensor:
            return symgraph.while_loop(lambda s: K.sum(s) > 0.5, lambda s: s * 0.5, row)

        (small,), _ = symgraph.scan(lambda v, s: ([halve(v[0])], []), [q])
        found = symgraph.function([q], small)(Q)
        wanted = Q.copy()
        for row in wanted:
            while row.sum() > 0.5:
                row *= 0.5
        np.testing.assert_allclose(found, wanted)

        def add_all(s: Tensor) -> Tensor:
            return symgraph.scan(lambda v, t: ([], [t[0] + K.sum(v[0])]), [q], [s])[1][0][-1]

        grown = symgraph.while_loop(lambda s: s < 30.0, add_all, K.constant(0.0, dtype="float64"))
        value = 0.0
        while value < 30:
            value += Q.sum()
        np.testing.assert_allclose(symgraph.function([q], grown)(Q), value)

    def test_draws_are_new_in_every_turn(self) -> None:
        drawn = symgraph.while_loop(
            lambda s: s[1] < 200,
            lambda s: (s[0] + K.random_uniform(()), s[1] + 1),
            (K.constant(0.0), K.constant(0)),
        )[0]
        f = symgraph.function([], drawn)
        first, second = float(f()), float(f())
        assert first != second
        assert all(80 < value < 120 and abs(value % (value / 200)) >= 0 for value in (first, second))

    def test_errors(self, n: Tensor) -> None:
        with pytest.raises(TypeError, match="while_loop: expected a bool scalar as condition"):
            symgraph.while_loop(lambda s: s, lambda s: s, n)
        with pytest.raises(TypeError, match="while_loop: expected 2 tensors from the body, got 1"):
            symgraph.while_loop(lambda s: s[0] > 0, lambda s: s[:1], (n, n))
        with pytest.raises(ValueError, match=r"while_loop: state 0 starts as int32\(\).*makes float32"):
            symgraph.while_loop(lambda s: s > 0, lambda s: K.cast(s, "float32"), n)

    def test_gradients_inside_a_scan_are_refused(self, q: Tensor) -> None:
        def halve(row: Tensor) -> Tensor:
            return symgraph.while_loop(lambda s: K.sum(s) > 0.5, lambda s: s * 0.5, row)

        (small,), _ = symgraph.scan(lambda v, s: ([halve(v[0])], []), [q])
        with pytest.raises(ValueError, match="same in all turns"):
            symgraph.gradients(K.sum(small), [q])


class TestFori:
    def test_values_and_gradient(self, n: Tensor) -> None:
        x = symgraph.placeholder((3,), name="x")
        y = symgraph.fori(1, n, lambda i, v: v * 2 + K.cast(i, "float32"), x)
        (slope,) = symgraph.gradients(K.sum(y), [x])
        f = symgraph.function([n, x], [y, slope])
        for last in (4, 1, -2):
            value, power = np.ones(3), 1
            for i in range(1, last):
                value, power = value * 2 + i, power * 2
            np.testing.assert_array_equal(f(last, np.ones(3)), [value, np.full(3, power)])


def python_until(q: np.ndarray, limit: float) -> list[np.ndarray]:
    """Running sums until their total passes `limit`."""
    sums = [np.zeros(2)]
    for row in q:
        sums.append(sums[-1] + row)
        if sums[-1].sum() > limit:
            break
    return sums


class TestUntil:
    @pytest.mark.parametrize("backward", [False, True])
    def test_outputs_and_histories_end_with_the_loop(self, q: Tensor, backward: bool) -> None:
        limit = symgraph.placeholder((), dtype="float64")

        def step(v: list[Tensor], s: list[Tensor]) -> tuple[list[Tensor], list[Tensor], Tensor]:
            new = s[0] + v[0]
            return [new * 2], [new], K.sum(new) > limit

        (twice,), (history,) = symgraph.scan(step, [q], [K.zeros_like(q[0])], backward=backward)
        (slope,) = symgraph.gradients(K.sum(K.square(twice)) + K.sum(history), [q])
        (second,) = symgraph.gradients(K.sum(K.square(slope)), [q])
        f = symgraph.function([q, limit], [twice, history, slope, second])
        for stop in (5.0, 0.0, 1e9):
            rows = Q[::-1] if backward else Q
            sums = np.array(python_until(rows, stop))
            turns = len(sums) - 1
            # d/dq_i of the sum over t >= i of 4 |s_t|^2 + s_t, and of the sum of its squares.
            flow = np.zeros_like(Q)
            for i in range(turns):
                flow[i] = sum(8 * sums[t + 1] + 1 for t in range(i, turns))
            reach = np.array([[8.0 * (turns - max(i, j)) for j in range(turns)] for i in range(turns)])
            bend = np.zeros_like(Q)
            bend[:turns] = 2 * reach.reshape(turns, turns) @ flow[:turns]
            wanted = [2 * sums[1:], sums, flow, bend]
            if backward:
                wanted = [w[::-1] for w in wanted]
            for value, truth in zip(f(Q, stop), wanted, strict=True):
                np.testing.assert_allclose(value, truth)

    def test_last_states_only(self, q: Tensor, n: Tensor) -> None:
        _, (last,) = symgraph.scan(
            lambda v, s: ([], [s[0] * 2], s[0] > 20.0), [], [K.constant(1.0)], length=n
        )
        f = symgraph.function([n], last)
        assert [float(f(turns)) for turns in (0, 3, 100)] == [1.0, 8.0, 64.0]

    def test_no_bool(self, q: Tensor) -> None:
        with pytest.raises(TypeError, match="scan: expected a bool scalar that ends the loop"):
            symgraph.scan(lambda v, s: ([v[0]], [], v[0]), [q])
        with pytest.raises(TypeError, match="scan: expected outputs and new states from a step"):
            symgraph.scan(lambda v, s: v[0], [q])


class TestTaps:
    def test_former_states(self, n: Tensor) -> None:
        start = K.constant([[1.0, 2.0], [1.0, 0.0], [2.0, 5.0]])

        def step(v: list[Tensor], s: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            oldest, newest = s
            return [], [newest + 2 * oldest]

        wanted = [np.array(row) for row in ((1.0, 2.0), (1.0, 0.0), (2.0, 5.0))]
        for _ in range(5):
            wanted.append(wanted[-1] + 2 * wanted[-3])
        _, (history,) = symgraph.scan(step, [], [start], length=5, state_taps=[[-3, -1]])
        np.testing.assert_allclose(history.eval(), wanted)
        _, (back,) = symgraph.scan(step, [], [start], length=5, backward=True, state_taps=[[-3, -1]])
        np.testing.assert_allclose(back.eval(), wanted[::-1])
        _, (last,) = symgraph.scan(step, [], [start], length=n, state_taps=[[-3, -1]])
        np.testing.assert_allclose(last.eval({n: 5}), wanted[-1])

    def test_other_entries_of_sequences_and_what_is_shared(self) -> None:
        z, w = symgraph.placeholder((None,), name="z"), symgraph.placeholder((), name="w")
        (y,), _ = symgraph.scan(
            lambda v, s, shared: ([v[0] * shared[0] + v[1] - v[2]], []),
            [z, z[2:]], [], sequence_taps=[[-1, 1], None], non_sequences=[w],
        )  # fmt: skip
        values = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0])
        np.testing.assert_allclose(
            symgraph.function([z, w], y)(values, 10.0), values[:-2] * 10 + values[2:] - values[2:]
        )

    def test_errors(self) -> None:
        z = symgraph.placeholder((2,))
        with pytest.raises(ValueError, match=r"state 0 with taps .*expected 2 entries to begin with"):
            symgraph.scan(lambda v, s: ([], [s[0]]), [], [K.zeros((3,))], length=2, state_taps=[[-2]])
        with pytest.raises(ValueError, match="expected negative taps"):
            symgraph.scan(lambda v, s: ([], [s[0]]), [], [z], length=2, state_taps=[[0]])
        with pytest.raises(ValueError, match="sequence_taps: expected one entry for each of 1"):
            symgraph.scan(lambda v, s: (v, []), [z], [], sequence_taps=[])
        with pytest.raises(ValueError, match="expected at least 3 entries for taps"):
            symgraph.scan(lambda v, s: (v, []), [z], [], sequence_taps=[[-3]])
