"""Feed, fetch, updates, givens, errors and threads of a compiled Function."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import symgraph
from symgraph.compiler.function import Function, evaluate
from symgraph.graph.gradient import gradients
from symgraph.graph.leaves import Variable, constant, placeholder
from symgraph.graph.ops import elementwise, index, math, matmul, random, reduce, shape

pytestmark = pytest.mark.threads

RNG = np.random.default_rng(0)


def test_arguments_and_a_list_of_arguments() -> None:
    a, b = placeholder((None,), name="a"), placeholder((None,), name="b")
    f = Function([a, b], [a + b, a * b])
    x, y = np.arange(3, dtype=np.float32), np.float32([1, 2, 3])
    for results in (f(x, y), f([x, y])):
        np.testing.assert_array_equal(results[0], x + y)
        np.testing.assert_array_equal(results[1], x * y)


def test_one_compilation_serves_every_size() -> None:
    x = placeholder((None, 3))
    f = Function([x], math.tanh(x) + 1)
    lowered = f.lowered()
    for n in (1, 0, 5, 128):
        value = RNG.standard_normal((n, 3)).astype(np.float32)
        np.testing.assert_allclose(f(value), np.tanh(value) + 1, rtol=1e-5, atol=1e-6)
    assert f.lowered() is lowered


def test_updates_are_simultaneous() -> None:
    a, b = Variable(np.float32([1, 2]), name="a"), Variable(np.float32([3, 4]), name="b")
    f = Function([], [a + b], updates=[(a, b), (b, a)])
    np.testing.assert_array_equal(f()[0], [4, 6])
    np.testing.assert_array_equal(a.get_value(), [3, 4])
    np.testing.assert_array_equal(b.get_value(), [1, 2])


def test_outputs_see_the_old_values() -> None:
    counter = Variable(np.int64(0), name="counter")
    f = Function([], counter, updates=[(counter, counter + 1)])
    assert [int(f()) for _ in range(3)] == [0, 1, 2]


def test_updates_that_read_each_other() -> None:
    a, b = Variable(np.float64([1.0, 2.0])), Variable(np.float64([10.0, 20.0]))
    f = Function([], [], updates=[(a, a + b * 2), (b, math.sqrt(a) + b)])
    f()
    np.testing.assert_allclose(a.get_value(), [21, 42])
    np.testing.assert_allclose(b.get_value(), [11, 20 + np.sqrt(2)])


def test_update_through_a_view_of_itself() -> None:
    start = RNG.standard_normal((5, 5))
    w = Variable(start)
    Function([], [], updates=[(w, w + shape.transpose(w))])()
    np.testing.assert_allclose(w.get_value(), start + start.T)


def test_update_false_leaves_variables_alone() -> None:
    v = Variable(np.float32(1))
    f = Function([], v * 2, updates=[(v, v + 1)])
    assert f.run(update=False) == 2
    assert v.get_value() == 1


def test_feed_and_fetch_any_node() -> None:
    x = placeholder((None,), name="x")
    hidden = elementwise.add(x, 1.0)
    hidden.name = "hidden"
    y = math.square(hidden)
    f = Function([x], y)
    np.testing.assert_array_equal(f.run({"x": [1, 2]}, fetch="hidden"), [2, 3])
    np.testing.assert_array_equal(f.run({hidden: [3, 4]}), [9, 16])
    both = f.run({"x": [1, 2]}, fetch=[hidden, y])
    np.testing.assert_array_equal(both[1], [4, 9])


def test_ambiguous_and_unknown_names() -> None:
    x = placeholder((), name="x")
    y = placeholder((), name="x")
    f = Function([x, y], x + y)
    with pytest.raises(ValueError, match="ambiguous"):
        f.run({"x": 1})
    with pytest.raises(ValueError, match="no node is called 'z'; there are x"):
        f.run({"z": 1})


def test_givens_replace() -> None:
    x, n = placeholder((None,), name="x"), placeholder((), name="n")
    f = Function([x], x * n, givens={n: 3})
    np.testing.assert_array_equal(f(np.float32([1, 2])), [3, 6])


def test_static_inputs_choose_a_program() -> None:
    x, phase = placeholder((None,), name="x"), placeholder((), dtype="bool", static=True, name="phase")
    f = Function([x, phase], elementwise.where(phase, x * 2, x))
    one = np.float32([1, 2])
    np.testing.assert_array_equal(f(one, 0), one)
    np.testing.assert_array_equal(f(one, 1), one * 2)


def test_missing_input_is_named() -> None:
    x, y = placeholder((2,), name="x"), placeholder((2,), name="why")
    with pytest.raises(ValueError, match=r"missing input: .*'why'.*test_function\.py"):
        Function([x], x + y)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (np.zeros((2, 4)), ValueError, r"input x: expected size 3 on axis 1, got shape \(2, 4\)"),
        (np.zeros(3), ValueError, "expected 2 dimensions"),
        (np.zeros((2, 3), complex), TypeError, "expected numbers of dtype float32, got dtype complex128"),
        (np.array([["a"] * 3]), TypeError, "expected numbers"),
        ([[1, 2, 3], [4]], ValueError, "ragged"),
    ],
)
def test_bad_feeds(value: object, error: type[Exception], message: str) -> None:
    x = placeholder((None, 3), name="x")
    v = Variable(np.float32(0))
    f = Function([x], x, updates=[(v, v + 1)])
    with pytest.raises(error, match=message):
        f(value)
    assert v.get_value() == 0


def test_fractions_do_not_become_integers() -> None:
    n = placeholder((None,), dtype="int32", name="n")
    f = Function([n], n * 2)
    np.testing.assert_array_equal(f(np.float64([1, 2])), [2, 4])
    with pytest.raises(ValueError, match="do not fit into int32"):
        f(np.float64([1.5]))
    with pytest.raises(ValueError, match="do not fit into int32"):
        f(np.int64([2**40]))


def test_sizes_that_contradict_each_other_name_layer_and_line() -> None:
    a, b = placeholder((None,), name="a"), placeholder((None,), name="b")
    f = Function([a, b], a + b)
    with pytest.raises(
        ValueError, match=r"test_function\.py:\d+: add got inputs of shapes \(2,\) and \(3,\)"
    ):
        f(np.zeros(2), np.zeros(3))


def test_an_index_out_of_range_is_named_and_updates_nothing() -> None:
    table, i = (
        Variable(np.zeros((4, 2), np.float32), name="table"),
        placeholder((None,), dtype="int32", name="i"),
    )
    f = Function([i], index.gather(table, i), updates=[(table, table + 1)])
    with pytest.raises(ValueError, match=r"test_function\.py.*out of range"):
        f(np.int32([0, 4]))
    assert not table.get_value().any()


def test_outputs_are_the_callers_own() -> None:
    x = placeholder((None,), name="x")
    v = Variable(np.float32([1, 2]))
    f = Function([x], [x, v, x + v])
    feed = np.float32([5, 6])
    first = f(feed)
    first[0][:] = first[1][:] = first[2][:] = 0
    again = f(feed)
    np.testing.assert_array_equal(again[0], [5, 6])
    np.testing.assert_array_equal(again[1], [1, 2])
    np.testing.assert_array_equal(feed, [5, 6])


def test_training_step_equals_numpy() -> None:
    x, y = placeholder((None, 4)), placeholder((None, 2))
    w0 = RNG.standard_normal((4, 2))
    w = Variable(w0.astype(np.float32))
    error = matmul.matmul(x, w) - y
    loss = reduce.mean(math.square(error))
    (grad,) = gradients(loss, [w])
    f = Function([x, y], loss, updates=[(w, w - 0.1 * grad)])
    xs, ys = RNG.standard_normal((8, 4)), RNG.standard_normal((8, 2))
    expected = w0
    for _ in range(3):
        residual = xs @ expected - ys
        np.testing.assert_allclose(f(xs, ys), np.mean(residual**2), rtol=1e-4)
        expected = expected - 0.1 * 2 * xs.T @ residual / residual.size
    np.testing.assert_allclose(w.get_value(), expected, rtol=1e-4, atol=1e-5)


def test_second_derivative() -> None:
    x = placeholder((None,), dtype="float64")
    (first,) = gradients(reduce.sum(x**3), [x])
    (second,) = gradients(reduce.sum(first), [x])
    value = np.float64([1.0, -2.0, 0.5])
    np.testing.assert_allclose(Function([x], second)(value), 6 * value)


def test_disconnected_gradients() -> None:
    x, y = placeholder((2,), name="x"), placeholder((2,), name="y")
    loss = reduce.sum(x)
    assert gradients(loss, [y]) == [None]
    (zero,) = gradients(loss, [y], disconnected="zero")
    np.testing.assert_array_equal(evaluate(zero, {y: [1, 2]}), [0, 0])
    with pytest.raises(ValueError, match="does not depend on"):
        gradients(loss, [y], disconnected="raise")


def test_eval_and_print() -> None:
    x = placeholder((None,), name="x")
    assert "x" in repr(x)
    np.testing.assert_array_equal((x + 1).eval({"x": [1, 2]}), [2, 3])
    assert constant(2.0).eval() == 2


def test_listing_and_graph() -> None:
    x, w = placeholder((None, 4), name="x"), Variable(np.ones((4, 3), np.float32), name="w")
    f = Function([x], math.relu(matmul.matmul(x, w)), name="f")
    assert "matmul[relu]" in str(f)
    f(np.ones((2, 4)))
    text = str(f)
    assert "tiles" in text and "arena" in text
    graph = f.graph
    assert sum("matmul" in data["op"] for _, data in graph.nodes(data=True)) == 1
    assert graph.number_of_edges() == 2


def test_several_threads_call_one_function() -> None:
    x = placeholder((None, 64))
    w = Variable(RNG.standard_normal((64, 64)).astype(np.float32))
    f = Function([x], math.tanh(matmul.matmul(x, w)))
    feeds = [RNG.standard_normal((50 + i, 64)).astype(np.float32) for i in range(8)]
    wanted = [f(v) for v in feeds]
    wrong: list[int] = []

    def work(i: int) -> None:
        for _ in range(50):
            if not np.array_equal(f(feeds[i]), wanted[i]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_a_deep_chain() -> None:
    x = placeholder((None,), name="x")
    y = x
    for _ in range(3000):
        y = math.sin(y)
    f = Function([x], y)
    value = np.float64([0.5])
    expected = value
    for _ in range(3000):
        expected = np.sin(expected)
    np.testing.assert_allclose(f(value), expected, rtol=1e-4)


def test_fetches_of_passing_tensors_are_never_mistaken_for_each_other() -> None:
    x = placeholder((3,), name="x")
    f = Function([x], x)
    for i in range(60):
        # A new tensor may take the identity of the last one, which is gone.
        np.testing.assert_array_equal(f.run({x: np.ones(3)}, fetch=x * float(i)), np.full(3, i))


def test_a_fed_tensor_wins_over_a_given_one() -> None:
    x = placeholder((3,), name="x")
    f = Function([], x + 1, givens={x: np.zeros(3, np.float32)})
    np.testing.assert_array_equal(f(), np.ones(3))
    np.testing.assert_array_equal(f.run({x: np.ones(3)}), np.full(3, 2))
    with pytest.raises(ValueError, match=r"'x'.* is an input and in givens"):
        Function([x], x + 1, givens={x: np.zeros(3, np.float32)})
    with pytest.raises(TypeError, match="givens: expected tensors"):
        Function([x], x + 1, givens={"x": 1.0})  # type: ignore[dict-item]


def test_given_values_see_what_is_fed() -> None:
    x, y = placeholder((3,), name="x"), placeholder((3,), name="y")
    hidden = x * 2
    phase = placeholder((), dtype="bool", static=True, name="phase")
    f = Function([hidden], y + 1, givens={y: hidden * 2})
    np.testing.assert_array_equal(f(np.ones(3)), np.full(3, 3))
    g = Function([x, phase], y, givens={y: elementwise.where(phase, x, -x)})
    np.testing.assert_array_equal(g(np.ones(3), 1), np.ones(3))
    np.testing.assert_array_equal(g(np.ones(3), 0), -np.ones(3))


def test_random_numbers_are_new_at_every_call_also_in_givens_and_fetches() -> None:
    x = placeholder((4,), name="x")
    f = Function([], x, givens={x: random.random_uniform((4,), seed=1)})
    assert not np.array_equal(f(), f())
    fetched = random.random_uniform((4,), seed=1)
    g = Function([x], x)
    assert not np.array_equal(g.run(fetch=fetched), g.run(fetch=fetched))
    assert np.array_equal(g.run(fetch=fetched, update=False), g.run(fetch=fetched, update=False))


def test_the_least_recently_used_program_goes_first() -> None:
    x = placeholder((None,), name="x")
    f = Function([x], x + 1)
    f(np.zeros(100))
    kept = f.program((100,))
    for size in range(40):
        f(np.zeros(size))
        f(np.zeros(100))
    assert f.program((100,)) is kept


def test_unused_inputs_are_reported() -> None:
    x, y = placeholder((2,), name="x"), placeholder((2,), name="why")
    f = Function([x, y], x + 1)
    assert f.unused_inputs == (y,)
    assert "- why" in str(f)
    np.testing.assert_array_equal(f(np.ones(2), np.ones(2)), [2, 2])


def test_numbers_too_large_for_the_dtype_are_refused() -> None:
    x = placeholder((None,), name="x")
    with pytest.raises(ValueError, match="too large for float32"):
        Function([x], x)(np.float64([1e300]))
    np.testing.assert_array_equal(Function([x], x)(np.float64([np.inf])), [np.inf])


def test_an_index_out_of_range_among_constants_names_the_line() -> None:
    row = index.Gather(0)(constant(np.ones((3, 2), np.float32)), constant(np.int32([0, 5])))
    with pytest.raises(ValueError, match=r"test_function\.py:\d+: gather.*out of range"):
        Function([], row)()


def test_many_outputs() -> None:
    x = placeholder((2,), name="x")
    values = Function([x], [x * float(i) for i in range(300)])(np.ones(2))
    np.testing.assert_array_equal(values, np.arange(300.0)[:, None] * np.ones(2))


def test_the_number_of_threads_is_one_setting() -> None:
    x = placeholder((None, 256))
    f = Function([x], math.tanh(x) + 1)
    value = RNG.standard_normal((512, 256)).astype(np.float32)
    before = symgraph.get_num_threads()
    try:
        results = []
        for count in sorted({1, before}):
            symgraph.set_num_threads(count)
            results.append(f(value))
            assert max(row.tiles for row in f.program().rows) >= min(count, 2)
        np.testing.assert_array_equal(results[0], results[-1])
    finally:
        symgraph.set_num_threads(before)


@pytest.mark.parametrize(("times", "error"), [(2**40, MemoryError), (2**45, ValueError), (2**61, ValueError)])
def test_results_that_no_memory_holds(times: int, error: type[Exception]) -> None:
    x = placeholder((None,), name="x")
    large = shape.repeat(x, times, 0)
    f = Function([x], [reduce.sum(shape.concatenate([large, large], 0), 0)])
    with pytest.raises(error, match=r"feed less|test_function\.py:\d+: .* too large for any memory"):
        f(np.ones(4))
    assert f(np.ones(0)) == [0]


def test_feeds_that_nothing_needs_are_refused() -> None:
    x, y, spare = (placeholder((2,), name=name) for name in ("x", "why", "spare"))
    phase = placeholder((), dtype="bool", static=True, name="phase")
    f = Function([x, spare], x + 1)
    np.testing.assert_array_equal(f.run({x: [1, 2], spare: [1, 2], phase: 0}), [2, 3])
    with pytest.raises(ValueError, match=r"'why'.* is fed, but nothing needs it"):
        f.run({x: [1, 2], y: [1, 2]})
    sized = placeholder((None,), name="sized")
    assert f.run({sized: [1, 2, 3]}, fetch=shape.shape(sized)) == [3]
