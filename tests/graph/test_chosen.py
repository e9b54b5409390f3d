"""Masks and places of elements, whose number only data know: against numpy."""

from __future__ import annotations

import numpy as np
import pytest

import symgraph
from symgraph import backend as K
from symgraph.graph.evaluate import evaluate
from symgraph.graph.ops.chosen import unique_of_sorted

M = np.random.default_rng(2).standard_normal((5, 4)).astype("float32")


def test_masks_nonzero_and_gradients() -> None:
    x = symgraph.placeholder((None, 4), name="x")
    picked, rows = x[x > 0], x[K.sum(x, axis=1) > 0]
    (slope,) = symgraph.gradients(K.sum(K.square(picked)) + K.sum(rows), [x])
    (second,) = symgraph.gradients(K.sum(K.pow(slope, 2.0)), [x])
    f = symgraph.function([x], [picked, rows, slope, second, *symgraph.nonzero(x), K.mean(picked)])
    for value in (M, -M, M * 0 + 1, M[:0]):
        some = value.sum(1) > 0
        flow = np.where(value > 0, 2 * value, 0) + some[:, None]
        with np.errstate(all="ignore"):
            wanted = [
                value[value > 0], value[some], flow, np.where(value > 0, 4 * flow, 0),
                *np.nonzero(value), value[value > 0].sum() / (value > 0).sum(),
            ]  # fmt: skip
        for found, truth in zip(f(value), wanted, strict=True):
            np.testing.assert_allclose(found, truth, rtol=1e-5)
        for node, truth in zip((picked, slope), (wanted[0], wanted[2]), strict=True):
            np.testing.assert_allclose(evaluate([node], {x: value})[0], truth, rtol=1e-6)


def test_masks_of_some_axes_and_of_masks() -> None:
    x = symgraph.placeholder((3, None, 2), name="x")
    value = np.arange(24.0, dtype="float32").reshape(3, 4, 2)
    columns = np.array([True, False, True, True])
    mask = symgraph.placeholder((None,), dtype="bool")
    f = symgraph.function([x, mask], [x[:, mask], x[1, mask, 0], x[mask[:3]]])
    for found, truth in zip(
        f(value, columns), (value[:, columns], value[1, columns, 0], value[columns[:3]]), strict=True
    ):
        np.testing.assert_array_equal(found, truth)
    inner = x[x > 5.0]
    twice = symgraph.function([x], inner[inner < 20.0])
    np.testing.assert_array_equal(twice(value), value[(value > 5) & (value < 20)])
    assert twice.check(value).ok


def test_what_sizes_are_found_by_runs_once() -> None:
    x = symgraph.placeholder((None,), name="x")
    seen: list[float] = []
    watched = symgraph.watch(K.exp(x), lambda value: seen.append(float(value.sum())))
    f = symgraph.function([x], [K.sum(watched[watched > 1.0]), watched])
    total, whole = f(np.array([-1.0, 2.0]))
    np.testing.assert_allclose([total, whole.sum()], [np.exp(2), np.exp(2) + np.exp(-1)], rtol=1e-6)
    assert len(seen) == 1


def test_draws_advance_though_only_a_size_reads_them() -> None:
    drawn = K.random_uniform((50,))
    f = symgraph.function([], drawn[drawn > 0.5])
    first, second = f(), f()
    assert (first > 0.5).all()
    assert (second > 0.5).all()
    assert len(first) != len(second) or (first != second).all()


def test_updates_see_old_values_in_all_stages() -> None:
    x = symgraph.placeholder((None,), name="x")
    limit = symgraph.Variable(np.float32(0.0), name="limit")
    f = symgraph.function([x], x[x > limit], updates=[(limit, limit + 1)])
    value = np.array([0.5, 1.5, 2.5], "float32")
    assert [len(f(value)) for _ in range(4)] == [3, 2, 1, 0]


def test_scalars_have_no_places() -> None:
    with pytest.raises(TypeError, match="at least one axis"):
        symgraph.nonzero(symgraph.placeholder(()))


def test_masks_of_another_shape() -> None:
    x, mask = symgraph.placeholder((3, 2)), symgraph.placeholder((None,), dtype="bool")
    f = symgraph.function([x, mask], x[mask])
    np.testing.assert_array_equal(f(np.ones((3, 2)), [True, False, True]), np.ones((2, 2)))
    for length in (2, 4, 1):
        with pytest.raises(ValueError, match="have to be equal"):
            f(np.ones((3, 2)), [True] * length)
    with pytest.raises(IndexError, match=r"x\[mask\]: expected a mask of shape \(2,\), as the axes from 1"):
        x[:, symgraph.placeholder((3,), dtype="bool")]


def test_distinct_elements_of_sorted_vectors() -> None:
    line = symgraph.placeholder((None,), name="line")
    f = symgraph.function([line], list(unique_of_sorted(line)))
    for values in ([1.0, 1.0, 2.0, 5.0, 5.0, 5.0], [3.0], [2.0, 2.0], []):
        array = np.array(values, "float32")
        wanted = np.unique(array, return_index=True, return_counts=True, return_inverse=True)
        found = f(array)
        for value, truth in zip(found, (wanted[0], wanted[1], wanted[3], wanted[2]), strict=True):
            np.testing.assert_array_equal(value, truth)
    assert len(f(np.array([1.0, np.nan, np.nan]))[0]) == 3
