"""Draws in the steps of loops: new in every turn, the same for all who look at a turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.compiler.function import Function
from symgraph.graph.evaluate import evaluate
from symgraph.graph.gradient import gradients
from symgraph.graph.leaves import placeholder
from symgraph.graph.op import registered_ops
from symgraph.graph.ops.random import (
    random_bernoulli,
    random_normal,
    random_state,
    random_uniform,
    truncated_normal,
)
from symgraph.graph.ops.reduce import sum as sum_
from symgraph.graph.ops.scan import scan
from symgraph.graph.tensor import Tensor
from symgraph.kernels.run.threads import get_num_threads, set_num_threads
from tests import philox

RNG = np.random.default_rng(0)
RANDOM_OPS = [op for op in registered_ops() if op.__module__ == random_normal.__module__]


def _all_differ(turns: np.ndarray) -> bool:
    return len({turn.tobytes() for turn in turns}) == len(turns)


def _drawn(length: int, draw: Callable[[Tensor], Tensor], backward: bool = False) -> Tensor:
    """What a step draws in each turn; it is shown its state, which is 1."""
    (steps,), _ = scan(lambda _, s: ([draw(s[0])], [s[0]]), [], [K.constant(1.0)], length, backward)
    return steps


# -- Which numbers


@pytest.mark.parametrize("backward", [False, True])
def test_numbers_depend_on_seed_call_and_turn(backward: bool) -> None:
    f = Function([], _drawn(5, lambda _: random_uniform((9,), seed=3), backward))
    for call in range(3):
        wanted = np.stack([philox.uniform(9, 3, call, turn) for turn in range(5)])
        np.testing.assert_array_equal(f(), wanted[::-1] if backward else wanted)


def test_the_length_of_a_loop_has_no_say() -> None:
    x = placeholder((None, 2))
    (steps,), _ = scan(lambda v, _: ([v[0] * 0 + random_uniform((2,), seed=3)], []), [x])
    f = Function([x], steps)
    for call, count in enumerate((4, 7, 1, 3)):
        wanted = [philox.uniform(2, 3, call, turn) for turn in range(count)]
        np.testing.assert_array_equal(f(np.zeros((count, 2))), wanted)


def test_turns_of_loops_in_loops_are_counted_through() -> None:
    def outer(_: Any, __: Any) -> tuple[list[Tensor], list[Tensor]]:
        def middle(_: Any, __: Any) -> tuple[list[Tensor], list[Tensor]]:
            return [_drawn(4, lambda _: random_uniform((2,), seed=11)), random_uniform((2,), seed=5)], []

        made, _ = scan(middle, length=3)
        return [*made, random_uniform((2,), seed=8)], []

    f = Function([], scan(outer, length=2)[0])
    for call in range(2):
        inner, middle, outermost = f()
        wanted = [philox.uniform(2, 11, call, turn) for turn in range(24)]
        np.testing.assert_array_equal(inner, np.reshape(wanted, (2, 3, 4, 2)))
        wanted = [philox.uniform(2, 5, call, turn) for turn in range(6)]
        np.testing.assert_array_equal(middle, np.reshape(wanted, (2, 3, 2)))
        np.testing.assert_array_equal(outermost, [philox.uniform(2, 8, call, turn) for turn in range(2)])


def test_a_draw_outside_of_the_step_is_made_once_a_call() -> None:
    once = random_uniform((3,), seed=2)
    f = Function([], [_drawn(4, lambda s: once * s), once])
    for call in range(2):
        steps, alone = f()
        np.testing.assert_array_equal(alone, philox.uniform(3, 2, call))
        np.testing.assert_array_equal(steps, [alone] * 4)


def test_a_draw_that_leaves_its_step_is_the_first_turn_s() -> None:
    made: list[Tensor] = []

    def draw(_: Tensor) -> Tensor:
        made.append(random_uniform((3,), seed=2))
        return made[0]

    f = Function([], [_drawn(4, draw), _drawn(2, lambda s: made[0] * s), made[0] + 0.0])
    for call in range(2):
        wanted = [philox.uniform(3, 2, call, turn) for turn in range(4)]
        steps, others, alone = f()
        np.testing.assert_array_equal(steps, wanted)
        np.testing.assert_array_equal(others, [wanted[0]] * 2)
        np.testing.assert_array_equal(alone, wanted[0])


def test_a_draw_of_an_outer_step_is_one_for_all_turns_inside() -> None:
    def outer(_: Any, __: Any) -> tuple[list[Tensor], list[Tensor]]:
        noise = random_uniform((2,), seed=4)
        return [_drawn(3, lambda s: noise * s)], []

    (steps,), _ = scan(outer, length=3)
    wanted = [[philox.uniform(2, 4, 0, turn)] * 3 for turn in range(3)]
    np.testing.assert_array_equal(Function([], steps)(), wanted)


def _kinds() -> Iterator[tuple[str, Callable[[Tensor], Tensor]]]:
    for kind in RANDOM_OPS:
        for dtype in ("float32", "float64"):
            yield (
                f"{kind.__name__} {dtype}",
                lambda _, kind=kind, dtype=dtype: kind((99,), dtype)(random_state()),
            )
    yield "bools", lambda _: random_bernoulli((99,), 0.5, "bool")
    yield "limits of the state", lambda s: random_uniform((3,), s - 1.0, s * 2.0)
    yield "deviation of the state", lambda s: random_normal((3,), s, s)
    yield "chance of the state", lambda s: random_bernoulli((99,), s * 0.5)
    yield "a scalar", lambda _: random_uniform(())
    yield "truncated", lambda _: truncated_normal((3,))
    yield "dropout", lambda _: K.dropout(K.ones((99,)), 0.5)
    yield "a branch", lambda s: K.switch(s > 0, lambda: random_normal((3,)), lambda: K.zeros((3,)))
    yield (
        "a known branch",
        lambda s: K.switch(K.constant(True, "bool"), lambda: random_normal((3,)), lambda: K.zeros((3,))),
    )
    yield (
        "a branch that the step draws",
        lambda s: K.switch(random_uniform(()) < 2.0, lambda: random_normal((3,)), lambda: K.zeros((3,))),
    )
    yield (
        "a loop in a branch",
        lambda s: K.switch(s > 0, lambda: _drawn(2, lambda _: random_normal((3,))), lambda: K.zeros((2, 3))),
    )
    yield (
        "a branch in a loop",
        lambda s: _drawn(
            2, lambda t: K.switch(t * s > 0, lambda: random_normal((3,)), lambda: K.zeros((3,)))
        ),
    )
    yield (
        "the start of a loop",
        lambda s: scan(lambda _, t: ([], [t[0] * 0.5]), [], [random_normal((3,))], length=2)[1][0],
    )


KINDS = dict(_kinds())


@pytest.mark.parametrize("kind", KINDS)
def test_every_draw_is_new_in_every_turn(kind: str) -> None:
    steps = _drawn(5, KINDS[kind])
    f = Function([], steps)
    # The references, without any pass, see the same numbers.
    (wanted,) = evaluate([steps])
    first, second = f(), f()
    np.testing.assert_allclose(first, wanted, rtol=1e-5, atol=1e-6)
    assert _all_differ(np.concatenate([first, second]))


def test_two_draws_of_a_step_and_two_loops_of_one_step_differ() -> None:
    def step(_: Any, __: Any) -> tuple[list[Tensor], list[Tensor]]:
        return [random_normal((3,)), random_normal((3,))], []

    steps = [whole for _ in range(2) for whole in scan(step, length=4)[0]]
    assert _all_differ(np.concatenate(Function([], steps)()))


def test_no_pass_moves_a_product_with_drawn_weights_out_of_the_loop() -> None:
    x, w = placeholder((4, 2, 3), dtype="float64"), placeholder((3, 5), dtype="float64")

    def step(values: list[Tensor], _: Any) -> tuple[list[Tensor], list[Tensor]]:
        noise = random_normal((3, 5), dtype="float64")
        return [K.dot(values[0], w + noise), K.dot(values[0], w) + K.dot(values[0], noise), noise], []

    data, weights = RNG.standard_normal((4, 2, 3)), RNG.standard_normal((3, 5))
    outputs, _ = scan(step, [x])
    joined, apart, noise = Function([x, w], outputs)(data, weights)
    assert _all_differ(noise)
    np.testing.assert_allclose(joined, data @ (weights + noise), rtol=1e-10)
    np.testing.assert_allclose(apart, joined, rtol=1e-10)


@pytest.mark.threads
def test_threads_have_no_say() -> None:
    f = Function([], _drawn(3, lambda _: random_normal((30_000,))))
    before, found = get_num_threads(), []
    for threads in (1, 2):
        set_num_threads(threads)
        found.append(f.run(update=False))
    set_num_threads(before)
    np.testing.assert_array_equal(*found)


def test_turns_are_independent() -> None:
    """Of 40 turns of 2,500 numbers no two are correlated, and each has the normal distribution's moments."""
    turns = Function([], _drawn(40, lambda _: random_normal((2500,), seed=1)))().astype("float64")
    correlations = np.corrcoef(turns)[np.triu_indices(40, 1)]
    # Of deviation 1 / sqrt(2500), 780 of them: five deviations are beyond chance.
    assert np.abs(correlations).max() < 0.1 and abs(correlations.std() * 50 - 1) < 0.1
    shifted = [np.corrcoef(turns[:-1, k:].ravel(), turns[1:, : 2500 - k].ravel())[0, 1] for k in (1, 4, 16)]
    assert np.abs(shifted).max() < 0.016
    assert np.abs(turns.mean(1)).max() < 0.1 and np.abs(turns.var(1) - 1).max() < 0.15
    # Means of turns scatter as those of independent numbers.
    assert 0.6 < turns.mean(1).std() * 50 < 1.4


def test_seeds_make_loops_repeat_themselves() -> None:
    def made() -> list[np.ndarray]:
        f = Function([], _drawn(3, lambda _: random_normal((2,))))
        return [f(), f()]

    np.random.seed(5)
    first = made()
    np.random.seed(5)
    np.testing.assert_array_equal(made(), first)
    assert _all_differ(np.concatenate([*first, *made()]))


def test_no_step_draws_nothing() -> None:
    x = placeholder((None, 2))
    (steps,), _ = scan(lambda v, _: ([v[0] + random_uniform((2,), seed=3)], []), [x])
    f = Function([x], steps)
    assert f(np.zeros((0, 2))).shape == (0, 2)
    np.testing.assert_array_equal(f(np.zeros((1, 2))), [philox.uniform(2, 3, call=1)])


# -- Gradients: those of the same loop that is given what was drawn


def _walk(noise: Callable[[], Tensor], chance: Callable[[], Tensor]) -> Any:
    """A step with noise on a product, and a branch that is chosen by chance."""

    def step(x: Tensor, h: Tensor, w: Tensor) -> tuple[Tensor, list[Tensor]]:
        drawn, chosen = noise(), chance()
        z = K.tanh(K.dot(h * drawn, w) + x)
        y = K.switch(chosen < 0.5, lambda: z * drawn, lambda: K.sin(z) + x * drawn)
        return y, [drawn, chosen]

    return step


@pytest.mark.parametrize("truncate", [-1, 3])
@pytest.mark.parametrize("backward", [False, True])
def test_gradients_of_both_orders_see_what_was_drawn(truncate: int, backward: bool) -> None:
    rng = np.random.default_rng(1)
    x, w = placeholder((6, 2, 3), dtype="float64"), placeholder((3, 3), dtype="float64")
    given = [placeholder((6, 2, 3), dtype="float64"), placeholder((6,), dtype="float64")]
    drawing = _walk(
        lambda: random_normal((2, 3), dtype="float64"), lambda: random_uniform((), dtype="float64", seed=1)
    )

    def draw(v: list[Tensor], s: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        y, drawn = drawing(v[0], s[0], w)
        return [y, *drawn], [y]

    def replay(v: list[Tensor], s: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        y, _ = _walk(lambda: v[1], lambda: v[2])(v[0], s[0], w)
        return [y], [y]

    start = x[0] * 0.5
    (outputs, *drawn), _ = scan(draw, [x], [start], backward=backward, truncate_gradient=truncate)
    (again,), _ = scan(replay, [x, *given], [start], backward=backward, truncate_gradient=truncate)
    feeds = rng.standard_normal((6, 2, 3)), rng.standard_normal((3, 3))
    *found, noise, chance = Function([x, w], [*_two_orders(outputs, [x, w]), *drawn])(*feeds)
    wanted = Function([x, w, *given], _two_orders(again, [x, w]))(*feeds, noise, chance)
    assert 0 < (chance < 0.5).sum() < 6
    for value, truth in zip(found, wanted, strict=True):
        np.testing.assert_allclose(value, truth, rtol=1e-9, atol=1e-12)


def _two_orders(outputs: Tensor, wrt: list[Tensor]) -> list[Tensor]:
    loss = sum_(outputs * outputs)
    first = gradients(loss, wrt)
    second = gradients(sum_(first[0] * first[0]) + sum_(first[1] * first[1]), wrt)  # type: ignore[operator]
    return [loss, *first, *second]  # type: ignore[list-item]


def test_gradients_of_loops_in_loops_see_what_was_drawn() -> None:
    """Against central differences, at numbers that stay as they are while nothing is stored."""
    x = placeholder((3, 4, 2), dtype="float64")

    def outer(v: list[Tensor], s: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        def inner(u: list[Tensor], t: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            return [], [K.tanh(t[0] * random_normal((2,), dtype="float64") + u[0])]

        _, (history,) = scan(inner, [v[0]], [s[0]])
        new = history[4] * random_uniform((2,), dtype="float64")
        return [new], [new]

    (outputs,), _ = scan(outer, [x], [x[0, 0]])
    loss = sum_(outputs * outputs)
    (grad,) = gradients(loss, [x])
    f = Function([x], [loss, grad])  # type: ignore[list-item]
    value, way = RNG.standard_normal((2, 3, 4, 2))
    high, low = (f.run({x: value + s * 1e-6 * way}, loss, update=False) for s in (1, -1))
    slope = np.sum(f.run({x: value}, grad, update=False) * way)
    np.testing.assert_allclose(slope, (high - low) / 2e-6, rtol=1e-6)
