"""Pooling against loops over explicit windows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from symgraph.kernels.conv_parts.geometry import output_shape
from symgraph.kernels.pool import (
    average_pool2d,
    average_pool2d_gradient,
    index_dtype,
    max_pool2d,
    max_pool2d_gradient,
)


def cells(shape, pool, strides, padding):
    """(output place, list of (number in window, input place)) of every window, padding left out."""
    size = output_shape(shape[1:3], pool, strides, padding)
    for oy, ox in np.ndindex(*size):
        inside = []
        for number, (ky, kx) in enumerate(np.ndindex(*pool)):
            y, x = oy * strides[0] + ky - padding[0][0], ox * strides[1] + kx - padding[1][0]
            if 0 <= y < shape[1] and 0 <= x < shape[2]:
                inside.append((number, y, x))
        yield oy, ox, inside


def reference(x, grad, pool, strides, padding):
    """Values, positions and gradients of max pooling, value and gradient of average pooling; in float64."""
    size = output_shape(x.shape[1:3], pool, strides, padding)
    shape = (x.shape[0], *size, x.shape[3])
    best, index, mean = np.zeros(shape), np.zeros(shape, int), np.zeros(shape)
    max_grad, mean_grad = np.zeros(x.shape), np.zeros(x.shape)
    for oy, ox, inside in cells(x.shape, pool, strides, padding):
        values = np.stack([x[:, iy, ix] for _, iy, ix in inside]).astype(np.float64)
        chosen = np.argmax(values, axis=0)
        best[:, oy, ox], mean[:, oy, ox] = np.max(values, axis=0), values.mean(axis=0)
        index[:, oy, ox] = np.array([number for number, _, _ in inside])[chosen]
        for i, (_, iy, ix) in enumerate(inside):
            max_grad[:, iy, ix] += np.where(chosen == i, grad[:, oy, ox], 0)
            mean_grad[:, iy, ix] += grad[:, oy, ox] / len(inside)
    return best, index, max_grad, mean, mean_grad


def check(x, pool, strides, padding, threads):
    size = output_shape(x.shape[1:3], pool, strides, padding)
    grad = np.random.default_rng(1).standard_normal((x.shape[0], *size, x.shape[3])).astype(x.dtype)
    best, index, max_grad, mean, mean_grad = reference(x, grad, pool, strides, padding)
    options = {"pool": pool, "strides": strides, "padding": padding, "threads": threads}
    value, position = max_pool2d(x, **options)
    assert value.dtype == x.dtype
    assert position.dtype == index_dtype(pool)
    assert np.array_equal(value, best, equal_nan=True)
    assert np.array_equal(position, index)
    tolerance = {"rtol": 0, "atol": 1e-5 if x.dtype == np.float32 else 1e-12}
    np.testing.assert_allclose(max_pool2d_gradient(grad, position, x.shape, **options), max_grad, **tolerance)
    np.testing.assert_allclose(average_pool2d(x, **options), mean, **tolerance)
    np.testing.assert_allclose(average_pool2d_gradient(grad, x.shape, **options), mean_grad, **tolerance)


border = st.tuples(st.integers(0, 2), st.integers(0, 2))


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(0, 2), st.integers(1, 9), st.integers(1, 9), st.integers(0, 19)),
    pool=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    strides=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    padding=st.tuples(border, border),
    dtype=st.sampled_from(["float32", "float64"]),
    threads=st.integers(1, 2),
)
def test_any_geometry(shape, pool, strides, padding, dtype, threads):
    for size, cell, stride, (before, after) in zip(shape[1:3], pool, strides, padding, strict=True):
        count = (size + before + after - cell) // stride + 1
        assume(before < cell and count > 0 and (count - 1) * stride - before < size)
    # Small whole numbers, so that ties are frequent.
    x = np.random.default_rng(0).integers(-3, 4, shape).astype(dtype)
    check(x, pool, strides, padding, threads)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("pool", "strides"), [((2, 2), (2, 2)), ((3, 3), (2, 2)), ((20, 20), (5, 5))])
def test_large(pool, strides, threads):
    x = np.random.default_rng(0).standard_normal((6, 30, 31, 40)).astype(np.float32)
    check(x, pool, strides, ((0, 1), (1, 1)), threads)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("cells", "stride"), [(2, 2), (3, 1), (3, 5), (11, 3)])
def test_sequences(cells, stride, threads):
    x = np.random.default_rng(0).standard_normal((9, 43, 1, 180)).astype(np.float32)
    check(x, (cells, 1), (stride, 1), ((1, 0), (0, 0)), threads)


def test_nan_wins_and_infinity_comes_through():
    x = np.zeros((1, 4, 4, 5), np.float32)
    x[0, 0, 1], x[0, 1, 0], x[0, 2, 2], x[0, 3, 1] = np.nan, np.nan, np.inf, -np.inf
    value, position = max_pool2d(x, (2, 2))
    assert np.isnan(value[0, 0, 0]).all()
    assert (position[0, 0, 0] == 1).all()
    assert (value[0, 1, 1] == np.inf).all()
    assert (value[0, 1, 0] == 0).all()
    mean = average_pool2d(x, (2, 2))
    assert np.isnan(mean[0, 0, 0]).all()
    assert (mean[0, 1, 1] == np.inf).all()
    assert (mean[0, 1, 0] == -np.inf).all()


def test_minus_infinity_alone_in_a_window():
    value, position = max_pool2d(np.full((1, 2, 2, 3), -np.inf), (2, 2), (1, 1), ((1, 0), (1, 0)))
    assert (value == -np.inf).all()
    assert position[0, :, :, 0].tolist() == [[3, 2], [1, 0]]


def test_windows_without_cells_are_refused():
    with pytest.raises(ValueError, match="without any cell"):
        max_pool2d(np.zeros((1, 4, 4, 1)), (2, 2), (2, 2), ((2, 0), (0, 0)))
    with pytest.raises(ValueError, match="without any cell"):
        average_pool2d(np.zeros((1, 4, 4, 1)), (2, 2), (2, 2), ((0, 0), (0, 3)))
    with pytest.raises(ValueError, match="without any cell"):
        average_pool2d(np.zeros((1, 4, 0, 1)), (2, 2), (2, 2), ((0, 0), (1, 1)))


@pytest.mark.parametrize("threads", [1, 2])
def test_gradient_of_no_windows_is_zero(threads):
    padding = ((0, 0), (1, 0))
    got = average_pool2d_gradient(np.zeros((2, 3, 0, 5)), (2, 3, 2, 5), (1, 4), (1, 4), padding, threads)
    assert np.array_equal(got, np.zeros((2, 3, 2, 5)))
