"""Copies, fills, gathers and scatters against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgraph.kernels.index import (
    arange_rows,
    copy,
    copy_rows,
    eye_rows,
    fill_rows,
    gather,
    gather_nd_rows,
    gather_rows,
    one_hot_rows,
    pad_rows,
    scatter_add_along_axis_rows,
    scatter_add_rows,
    scatter_nd_add_rows,
    take_along_axis_rows,
)
from symgraph.kernels.run.buffer import launch
from symgraph.kernels.run.machine import KernelError

DTYPES = ["float32", "float64", "int32", "int64", "uint8", "bool"]


def some(shape, dtype="float32", seed=0):
    return np.asarray(np.random.default_rng(seed).integers(0, 100, shape)).astype(dtype)


@settings(deadline=None, max_examples=150)
@given(
    data=st.data(),
    shape=st.lists(st.sampled_from([0, 1, 2, 5, 16, 19, 40]), max_size=4),
    dtype=st.sampled_from(DTYPES),
    step=st.sampled_from([1, 2, -1]),
)
def test_copy_of_any_view(data, shape, dtype, step):
    order = data.draw(st.permutations(range(len(shape))))
    whole = some([2 * n + 1 for n in shape], dtype)
    view = whole[(..., *[slice(None, n * step if step > 0 else None, step) for n in shape])].transpose(order)
    np.testing.assert_array_equal(copy(view, threads=2), view)
    target = np.zeros([n + 2 for n in view.shape], dtype)
    inside = target[(..., *[slice(1, -1)] * view.ndim)]
    launch(copy_rows, view, inside)
    expected = np.zeros_like(target)
    expected[(..., *[slice(1, -1)] * view.ndim)] = view
    np.testing.assert_array_equal(target, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("shape", "order"),
    [
        ((300, 500), (1, 0)),
        ((2, 13, 17, 33), (0, 3, 1, 2)),
        ((2, 33, 13, 17), (0, 2, 3, 1)),
        ((7, 8, 9), (2, 1, 0)),
        ((16, 16), (1, 0)),
        ((129, 31), (1, 0)),
        ((40, 3, 50), (2, 0, 1)),
    ],
)
def test_transpositions(shape, order, threads, dtype):
    x = some(shape, dtype).transpose(order)
    np.testing.assert_array_equal(copy(x, threads=threads), x)


def test_copy_keeps_the_bits_of_nan():
    x = np.array([0x7FC01234, 0xFFC00001, 0x80000000], "uint32").view("float32")
    np.testing.assert_array_equal(copy(x).view("uint32"), x.view("uint32"))


@pytest.mark.parametrize("dtype", DTYPES)
def test_fill(dtype):
    out = np.zeros((5, 70), dtype)
    launch(lambda out, **o: fill_rows(out, 1, **o), out[1:4, ::3])
    expected = np.zeros((5, 70), dtype)
    expected[1:4, ::3] = 1
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
def test_ranges_and_identities(dtype):
    for n in (0, 1, 100):
        out = np.empty(n, dtype)
        launch(lambda out, **o: arange_rows(out, 3, -2, **o), out)
        np.testing.assert_array_equal(out, 3 - 2 * np.arange(n))
    large = np.empty(100_003, dtype)
    launch(lambda out, **o: arange_rows(out, 1, 1, **o), large, threads=2)
    np.testing.assert_array_equal(large, np.arange(1, 100_004))
    for shape in ((4, 6), (6, 4), (1, 1)):
        for k in (-7, -2, 0, 1, 5, 9):
            out = np.empty(shape, dtype)
            launch(lambda out, k=k, **o: eye_rows(out, k, **o), out)
            np.testing.assert_array_equal(out, np.eye(*shape, k))


@settings(deadline=None, max_examples=50)
@given(
    pads=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([0, 1, 5]), st.integers(0, 3)), min_size=1, max_size=4
    ),
    dtype=st.sampled_from(DTYPES),
)
def test_pad(pads, dtype):
    x = some([n for _, n, _ in pads], dtype)
    widths = [(before, after) for before, _, after in pads]
    expected = np.pad(x, widths, constant_values=1)
    out = np.empty_like(expected)
    launch(lambda x, out, **o: pad_rows(x, out, [w[0] for w in widths], 1, **o), x, out)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("index_dtype", ["int32", "int64", "uint8"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_gather_is_take(axis, dtype, index_dtype):
    x = some((6, 7, 8), dtype)
    indices = np.array([[0, 5, 3], [1, 1, 4]], index_dtype)
    np.testing.assert_array_equal(gather(x, indices, axis), np.take(x, indices, axis))
    np.testing.assert_array_equal(gather(x.T, indices, axis), np.take(x.T, indices, axis))
    np.testing.assert_array_equal(gather(x, indices[:, ::2].T, axis), np.take(x, indices[:, ::2].T, axis))
    np.testing.assert_array_equal(gather(x[:, :, 0], indices, 0), np.take(x[:, :, 0], indices, 0))


def test_gather_beyond_the_ends():
    x = some((5, 3))
    np.testing.assert_array_equal(gather(x, np.array([-1, -5])), x[[-1, -5]])
    far = np.array([-6, 7, 5, -20])
    for mode in ("clip", "wrap"):
        expected = np.take(x, far, 0, mode=mode) if mode == "wrap" else x[[0, 4, 4, 0]]
        np.testing.assert_array_equal(gather(x, far, 0, mode), expected)
    for bad in (5, -6):
        with pytest.raises(KernelError, match="index out of range"):
            gather(x, np.array([0, bad]))
    with pytest.raises(KernelError, match="index out of range"):
        gather(np.empty((0, 3)), np.array([0]), mode="wrap")
    with pytest.raises(ValueError, match="axis 2 is out of range"):
        gather(x, np.array([0]), axis=2)
    with pytest.raises(TypeError, match="got float64"):
        gather(x, np.array([0.0]))


def test_large_gather_on_threads():
    x = some((1000, 128))
    indices = np.random.default_rng(1).integers(0, 1000, (64, 80)).astype("int32")
    out = np.empty((64, 80, 128), "float32")
    launch(gather_rows, x, indices, out, threads=2)
    np.testing.assert_array_equal(out, x[indices])


def test_gather_nd_and_its_gradient():
    x = some((4, 5, 6, 3), "float64")
    indices = np.random.default_rng(2).integers(-4, 4, (7, 2, 3))
    picked = tuple(np.moveaxis(indices, -1, 0))
    out = np.empty((7, 2, 3))
    launch(gather_nd_rows, x, indices, out)
    np.testing.assert_array_equal(out, x[picked])
    total, expected = np.zeros_like(x), np.zeros_like(x)
    launch(scatter_nd_add_rows, indices, out, total)
    np.add.at(expected, picked, out)
    np.testing.assert_array_equal(total, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
@pytest.mark.parametrize("width", [(), (1,), (3, 7), (300,)])
@pytest.mark.parametrize("threads", [1, 2])
def test_scatter_add(threads, width, dtype):
    indices = np.random.default_rng(3).integers(-10, 10, (40, 5)).astype("int32")
    updates = some((40, 5, *width), dtype)
    out = some((10, *width), dtype, 4)
    expected = out.copy()
    np.add.at(expected, indices, updates)
    launch(scatter_add_rows, indices, updates, out, threads=threads)
    np.testing.assert_array_equal(out, expected)
    launch(lambda i, u, out, **o: scatter_add_rows(i, u, out, clear=True, **o), indices, updates, out)
    expected[...] = 0
    np.add.at(expected, indices, updates)
    np.testing.assert_array_equal(out, expected)


def test_scatter_add_is_deterministic():
    rng = np.random.default_rng(5)
    indices, updates = rng.integers(0, 50, 3000), rng.normal(size=(3000, 256)).astype("float32")
    results = []
    for threads in (1, 2):
        out = np.empty((50, 256), "float32")
        launch(
            lambda i, u, o, **k: scatter_add_rows(i, u, o, clear=True, **k),
            indices,
            updates,
            out,
            threads=threads,
        )
        results.append(out)
    np.testing.assert_array_equal(*results)
    with pytest.raises(KernelError, match="index out of range"):
        launch(scatter_add_rows, indices + 1, updates, results[0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_take_along_axis(axis, dtype):
    x = some((5, 6, 7), dtype)
    shape = [5, 6, 7]
    shape[axis] = 9
    indices = np.random.default_rng(6).integers(-5, 5, shape)
    for source in (x, np.asfortranarray(x)):
        out = np.empty(shape, dtype)
        launch(lambda x, i, o, **k: take_along_axis_rows(x, i, o, axis, **k), source, indices, out)
        np.testing.assert_array_equal(out, np.take_along_axis(x, indices, axis))


@pytest.mark.parametrize("axis", [0, 1])
def test_scatter_add_along_axis(axis):
    shape = [6, 8]
    shape[axis] = 20
    indices = np.random.default_rng(7).integers(-6, 6, shape)
    updates = some(shape)
    out = np.full((6, 8), 9, "float32")
    launch(
        lambda i, u, o, **k: scatter_add_along_axis_rows(i, u, o, axis, clear=True, **k),
        indices,
        updates,
        out,
        threads=2,
    )
    expected = np.zeros((6, 8), "float32")
    places = [np.arange(6)[:, None], np.arange(8)]
    places[axis] = indices
    np.add.at(expected, tuple(places), updates)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
@pytest.mark.parametrize("depth", [1, 2, 10, 100])
@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 4)])
def test_one_hot(shape, depth, dtype):
    indices = np.asarray(np.random.default_rng(8).integers(-1, depth + 1, shape)).astype("int32")
    out = np.empty((*shape, depth), dtype)
    launch(one_hot_rows, indices, out)
    np.testing.assert_array_equal(out, indices[..., None] == np.arange(depth))
