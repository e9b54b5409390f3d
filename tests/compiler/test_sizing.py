"""Programs and sizes that are values of tensors: what is planned anew, and what a call finds out."""

from __future__ import annotations

import numpy as np
import pytest

import symgraph
from symgraph import backend as K

TABLE = np.random.default_rng(3).standard_normal((23, 4)).astype("float32")


def plans(f: symgraph.Function) -> int:
    return sum(note.what == "plan" for note in f.compilations)


def test_a_batch_of_a_table_has_one_program_for_all_places() -> None:
    data, index = symgraph.Variable(TABLE, name="data"), symgraph.placeholder((), dtype="int32", name="index")
    weights = symgraph.Variable(np.ones((4, 2), "float32"), name="weights")
    x = symgraph.placeholder((None, 4), name="x")
    loss = K.mean(K.square(K.dot(x, weights) - 1))
    (slope,) = symgraph.gradients(loss, [weights])
    f = symgraph.function(
        [index], loss, updates=[(weights, weights - 0.1 * slope)],
        givens={x: data[index * 5 : (index + 1) * 5]},
    )  # fmt: skip
    truth = np.ones((4, 2))
    for number in (0, 3, 1, 2, 0):
        batch = TABLE[number * 5 : number * 5 + 5].astype(float)
        error = batch @ truth - 1
        np.testing.assert_allclose(f(number), (error**2).mean(), rtol=1e-5)
        truth -= 0.1 * 2 * batch.T @ error / error.size
    np.testing.assert_allclose(weights.get_value(), truth, rtol=1e-4)
    assert plans(f) == 1
    f(4)  # the last batch is a short one
    assert plans(f) == 2
    assert "= 3" in str(f.compilations[-1])
    assert "index" in str(f)


def test_the_size_of_a_batch_is_fed_too() -> None:
    data, index = symgraph.Variable(TABLE, name="data"), symgraph.placeholder((), dtype="int64", name="i")
    size = symgraph.placeholder((), dtype="int32", name="b")
    f = symgraph.function([index, size], K.sum(data[index * size : (index + 1) * size] * 2, axis=0))
    for number, count in ((0, 4), (1, 4), (2, 3), (3, 3), (4, 4)):
        np.testing.assert_allclose(
            f(number, count), 2 * TABLE[number * count :][:count].sum(0), rtol=1e-5, atol=1e-5
        )
    assert plans(f) == 2


def test_moving_slices_of_values_on_the_way() -> None:
    x, start = symgraph.placeholder((None, 4)), symgraph.placeholder((), dtype="int32")
    y = K.exp(x)
    part = y[start : start + 3]
    f = symgraph.function([x, start], [part * 2, y + 1, K.dot(part, K.transpose(part)), part])
    for first in (0, 7, 20, 2):
        rows = np.exp(TABLE.astype(float))
        own = rows[first : first + 3]
        for found, truth in zip(f(TABLE, first), (own * 2, rows + 1, own @ own.T, own), strict=True):
            np.testing.assert_allclose(found, truth, rtol=1e-5)
    assert plans(f) == 1


def test_moving_slices_in_loops_and_branches() -> None:
    x, start = symgraph.placeholder((None, 4)), symgraph.placeholder((), dtype="int32")
    flag = symgraph.placeholder((), dtype="bool")
    part = x[start : start + 2]
    (inside,), _ = symgraph.scan(lambda v, s: ([x[start : start + 2] * v[0]], []), [K.sum(x, axis=1)[:3]])
    chosen = K.switch(flag, lambda: K.sum(part), lambda: K.sum(x[start:]))
    f = symgraph.function([x, start, flag], [inside, chosen])
    for first, side in ((0, True), (9, False), (4, True)):
        looped, sided = f(TABLE, first, side)
        own = TABLE[first : first + 2]
        np.testing.assert_allclose(looped, own * TABLE.sum(1)[:3, None, None], rtol=1e-5)
        np.testing.assert_allclose(sided, own.sum() if side else TABLE[first:].sum(), rtol=1e-5)
    assert plans(f) == 3  # x[start:] has another size each time


def test_a_variable_is_replaced_by_parts_of_itself() -> None:
    data, start = symgraph.Variable(np.arange(6.0)), symgraph.placeholder((), dtype="int32")
    turned = K.concatenate([data[start:], data[:start]])
    f = symgraph.function([start], data[start : start + 2], updates=[(data, turned)])
    np.testing.assert_array_equal(f(2), [2, 3])
    np.testing.assert_array_equal(data.get_value(), [2, 3, 4, 5, 0, 1])
    np.testing.assert_array_equal(f(3), [5, 0])
    np.testing.assert_array_equal(data.get_value(), [5, 0, 1, 2, 3, 4])


def test_weights_that_are_parts_of_a_variable_are_not_kept_packed() -> None:
    table = symgraph.Variable(np.random.default_rng(4).standard_normal((8, 6, 6)).astype("float32"))
    x, which = symgraph.placeholder((5, 6)), symgraph.placeholder((), dtype="int32")
    f = symgraph.function([x, which], K.dot(x, K.reshape(table[which : which + 1], (6, 6))))
    rows = TABLE[:15, :2].reshape(5, 6)
    for number in (0, 5, 2):
        np.testing.assert_allclose(f(rows, number), rows @ table.get_value()[number], rtol=1e-4, atol=1e-5)


def test_loops_of_a_length_that_is_fed() -> None:
    turns, a = symgraph.placeholder((), dtype="int32"), symgraph.Variable(np.array([[2.0, 1], [0, 3]]))
    _, (power,) = symgraph.scan(lambda v, s: ([], [K.dot(s[0], a)]), [], [K.eye(2, "float64")], length=turns)
    (slope,) = symgraph.gradients(K.sum(power), [a])
    f = symgraph.function([turns], [power, slope])
    one, matrix = np.ones((2, 2)), a.get_value()
    for count in (3, 0, 5):
        found, flow = f(count)
        raised = [np.linalg.matrix_power(matrix, n) for n in range(count + 1)]
        np.testing.assert_allclose(found, raised[-1])
        wanted = sum((raised[n].T @ one @ raised[count - 1 - n].T for n in range(count)), 0 * one)
        np.testing.assert_allclose(flow, wanted)


def test_views_show_functions_with_measured_sizes(tmp_path: object) -> None:
    x, start = symgraph.placeholder((None, 4), name="x"), symgraph.placeholder((), dtype="int32", name="s")
    f = symgraph.function([x, start], K.sum(K.square(x[start : start + 3])), name="parts")
    with pytest.raises(ValueError, match="parts: its Programs depend on fed values"):
        f.program((23, 4), ())
    f(TABLE, 2)
    assert f.check(TABLE, 5).ok
    assert f.run(feed={x: TABLE, start: 4}) == pytest.approx((TABLE[4:7] ** 2).sum(), rel=1e-5)
    assert "x" in str(f)
    assert "slice" in str(f.cost) or "sum" in str(f.cost)
    f.report(f"{tmp_path}/report.html")


def test_a_nan_is_found_before_and_behind_a_stage() -> None:
    x = symgraph.placeholder((None,), name="x")
    safe = symgraph.function([x], K.sum(K.log(x[x > 0])), nan_guard=True, name="safe")
    np.testing.assert_allclose(safe(np.array([1.0, -1.0, 2.0])), np.log(2), rtol=1e-6)
    roots = K.log(x)
    f = symgraph.function([x], K.sum(roots[roots > 0]), nan_guard=True, name="late")
    with pytest.raises(FloatingPointError, match="the first NaN is made by log"):
        f(np.array([1.0, -1.0]))


def test_values_are_tapped_before_and_behind_a_stage() -> None:
    x = symgraph.placeholder((None,), name="x")
    roots = K.sqrt(x + 1) * 1.0
    large = roots[roots > 1.5]
    doubled = K.identity(large * 2, name="doubled")
    f = symgraph.function([x], [K.sum(doubled)], name="tapped")
    seen: dict[str, np.ndarray] = {}
    f.tap(roots, lambda name, value, info: seen.setdefault("roots", value))
    f.tap(large, lambda name, value, info: seen.setdefault("large", value))
    value = np.array([0.0, 3.0, 8.0], "float32")
    np.testing.assert_allclose(f(value), [10.0], rtol=1e-6)
    np.testing.assert_allclose(seen["roots"], [1, 2, 3], rtol=1e-6)
    np.testing.assert_allclose(seen["large"], [2, 3], rtol=1e-6)
    np.testing.assert_allclose(f.run(feed={x: value}, fetch=[roots, large])[1], [2, 3], rtol=1e-6)


def test_givens_that_are_masked_and_parts_of_variables() -> None:
    x, y = symgraph.placeholder((None,), name="x"), symgraph.placeholder((None,), name="y")
    source = symgraph.placeholder((None,), name="source")
    data = symgraph.Variable(np.arange(8.0, dtype="float32"), name="data")
    f = symgraph.function(
        [source], K.sum(x) * K.cast(K.shape(x)[0], "float32") + K.sum(y[y > 2]),
        givens={x: source[source > 0], y: data[: K.cast(K.sum(source), "int32")]},
    )  # fmt: skip
    for value in ([1.0, -1.0, 4.0], [3.0, 2.0, 0.0], [-1.0, 3.0, 2.0]):
        array = np.array(value)
        positive, part = array[array > 0], np.arange(8.0)[: int(array.sum())]
        np.testing.assert_allclose(f(array), positive.sum() * len(positive) + part[part > 2].sum())
