"""Products of sparse and dense matrices and dense forms, against float64 sums of single products."""

import sys

import numpy as np
import pytest
import scipy.sparse

from symgraph.kernels.csr import csr_dot, csr_dot_rows, csr_to_dense, csr_to_dense_rows
from symgraph.kernels.run.buffer import launch
from symgraph.kernels.run.machine import KernelError
from tests.fence import Fence

FLOATS = ["float32", "float64"]
# Rows, columns, columns of the dense operand, stored numbers.
SIZES = [
    (7, 5, 3, 14), (1, 1, 1, 1), (30, 40, 64, 150), (30, 40, 65, 120), (13, 20, 207, 60), (5, 6, 0, 9),
    (0, 4, 3, 0), (4, 0, 3, 0), (9, 9, 17, 0), (400, 300, 40, 9000), (3, 50, 1, 900),
]  # fmt: skip


def _matrix(rows, columns, stored, dtype, seed=0):
    """CSR arrays with columns in any order, some twice, empty rows, and the truth in float64."""
    rng = np.random.default_rng(seed)
    row = np.sort(rng.integers(0, max(rows, 1), stored))
    row[row == rows // 2] = 0
    row = np.sort(row)
    indices = rng.integers(0, max(columns, 1), stored)
    values = rng.standard_normal(stored).astype(dtype)
    bounds = np.searchsorted(row, np.arange(rows + 1))
    truth = np.zeros((rows, columns))
    for place in zip(row, indices, values, strict=True):
        truth[place[0], place[1]] += place[2]
    return (values, indices, bounds), truth


def _tolerance(dtype):
    return {"rtol": 0, "atol": 1e-4 if dtype == "float32" else 1e-12}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("rows", "columns", "width", "stored"), SIZES)
def test_products(rows, columns, width, stored, dtype):
    matrix, truth = _matrix(rows, columns, stored, dtype)
    rng = np.random.default_rng(1)
    b, g = (
        rng.standard_normal((columns, width)).astype(dtype),
        rng.standard_normal((rows, width)).astype(dtype),
    )
    np.testing.assert_allclose(csr_dot(*matrix, b), truth @ b, **_tolerance(dtype))
    found = csr_dot(*matrix, g, transpose=True, columns=columns)
    np.testing.assert_allclose(found, truth.T @ g, **_tolerance(dtype))
    np.testing.assert_allclose(csr_to_dense(*matrix, columns), truth, **_tolerance(dtype))


@pytest.mark.parametrize("dtype", FLOATS)
def test_any_number_of_threads_gives_the_same_bits(dtype):
    matrix, _ = _matrix(600, 500, 20000, dtype)
    rng = np.random.default_rng(1)
    b, g = rng.standard_normal((500, 75)).astype(dtype), rng.standard_normal((600, 75)).astype(dtype)

    def results(threads):
        yield csr_dot(*matrix, b, threads=threads)
        yield csr_dot(*matrix, g, transpose=True, columns=500, threads=threads)
        yield csr_to_dense(*matrix, 500, threads=threads)

    first = list(results(1))
    for threads in (2, 3, 7):
        for a, again in zip(first, results(threads), strict=True):
            np.testing.assert_array_equal(a, again)


def test_as_scipy():
    a = scipy.sparse.random(50, 70, 0.1, "csr", np.float32, random_state=0)
    b = np.random.default_rng(0).standard_normal((70, 9)).astype("float32")
    np.testing.assert_allclose(csr_dot(a.data, a.indices, a.indptr, b), a @ b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_integers_are_made_dense(dtype):
    matrix, truth = _matrix(20, 9, 300, "float64")
    values = (10 * matrix[0]).astype(dtype)
    expected = np.zeros(truth.shape, dtype)
    np.add.at(expected, (np.repeat(np.arange(20), np.diff(matrix[2])), matrix[1]), values)
    np.testing.assert_array_equal(csr_to_dense(values, *matrix[1:], 9), expected)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_products_of_integers_wrap_around(dtype):
    rng, limits = np.random.default_rng(5), np.iinfo(dtype)
    indices, bounds = rng.integers(0, 9, 60), np.array([0, 20, 20, 50, 60])
    values = rng.integers(limits.min, limits.max, 60, dtype)
    whole = csr_to_dense(values, indices, bounds, 9)
    for width in (1, 37):
        a, b = (rng.integers(limits.min, limits.max, (n, width), dtype) for n in (9, 4))
        np.testing.assert_array_equal(csr_dot(values, indices, bounds, a), whole @ a)
        turned = csr_dot(values, indices, bounds, b, transpose=True, columns=9)
        np.testing.assert_array_equal(turned, whole.T @ b)


def test_infinities_and_nans_reach_what_they_meet():
    dense = np.array([[np.inf, 1], [np.nan, 2], [3, 4]])
    values, indices, bounds = np.array([2.0, 1.0, 0.0]), np.array([0, 2, 1]), np.array([0, 1, 2, 3])
    np.testing.assert_array_equal(csr_dot(values, indices, bounds, dense), [[np.inf, 2], [3, 4], [np.nan, 0]])


def test_room_behind_the_last_bound_is_not_read():
    values, indices = np.array([1.0, np.nan, np.nan]), np.array([1, 999, -1])
    bounds = np.array([0, 0, 1])
    np.testing.assert_array_equal(csr_dot(values, indices, bounds, np.eye(2)), [[0, 0], [0, 1]])
    np.testing.assert_array_equal(csr_to_dense(values, indices, bounds, 2), [[0, 0], [0, 1]])
    turned = csr_dot(values, indices, bounds, np.eye(2), transpose=True, columns=2)
    np.testing.assert_array_equal(turned, [[0, 0], [0, 1]])


@pytest.mark.parametrize("bad", [3, -1, 2**31 - 1, -(2**31), 2**32 + 1, 1 - 2**32])
def test_columns_out_of_range_are_refused(bad):
    values, indices, bounds = np.ones(2, "float32"), np.array([0, bad]), np.array([0, 1, 2])
    dense = np.ones((3, 5), "float32")
    with pytest.raises(KernelError):
        csr_dot(values, indices, bounds, dense)
    with pytest.raises(KernelError):
        csr_dot(values, indices, bounds, dense[:2], transpose=True, columns=3)
    with pytest.raises(KernelError):
        csr_to_dense(values, indices, bounds, 3)


@pytest.mark.parametrize("bounds", [[0, 1, 9], [-1, 1, 2], [0, 2, 1], [3, 3, 3]])
def test_bounds_out_of_range_are_refused(bounds):
    values, indices, bounds = np.ones(2), np.array([0, 1]), np.array(bounds)
    with pytest.raises(KernelError):
        csr_dot(values, indices, bounds, np.ones((3, 4)))
    with pytest.raises(KernelError):
        csr_to_dense(values, indices, bounds, 3)
    with pytest.raises(KernelError):
        csr_dot(values, indices, bounds, np.ones((2, 4)), transpose=True, columns=3)


@pytest.mark.skipif(sys.platform != "linux", reason="needs mprotect")
@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("dtype", FLOATS)
def test_nothing_outside_the_operands_is_touched(dtype, at_end):
    fence = Fence(at_end)
    for rows, columns, width, stored in SIZES:
        matrix, truth = _matrix(rows, columns, stored, dtype)
        values, indices, bounds = matrix[0], matrix[1].astype(np.int32), matrix[2].astype(np.int64)
        parts = [fence(x) for x in (values, indices, bounds)]
        b, g = np.ones((columns, width), dtype), np.ones((rows, width), dtype)
        for dense, transpose, expected in ((b, False, truth @ b), (g, True, truth.T @ g)):
            out = fence(np.full(expected.shape, 7, dtype))
            launch(csr_dot_rows, *parts, fence(dense), out, transpose=transpose, threads=2)
            np.testing.assert_allclose(out, expected, **_tolerance(dtype))
        whole = fence(np.full(truth.shape, 7, dtype))
        launch(csr_to_dense_rows, *parts, whole, threads=2)
        np.testing.assert_allclose(whole, truth, **_tolerance(dtype))


@pytest.mark.parametrize("transpose", [False, True])
def test_operands_of_any_strides(transpose):
    (values, indices, bounds), truth = _matrix(20, 30, 90, "float32")
    wide = np.random.default_rng(2).standard_normal((30, 2, 31)).astype("float32")
    matrix = values, indices.astype(np.int32), bounds.astype(np.int64)
    a = truth.T if transpose else truth
    for dense in (wide[:, 1], wide[::-1, 0, ::2], wide.T[:, 0, :].T):
        dense = dense[: a.shape[1]]
        out = np.zeros((dense.shape[1], len(a)), "float32").T
        launch(csr_dot_rows, *matrix, dense, out, transpose=transpose, threads=1)
        np.testing.assert_allclose(out, a @ dense, rtol=0, atol=1e-5)
    out = np.zeros((20, 2, 30), "float32")
    launch(csr_to_dense_rows, *matrix, out[:, 1], threads=1)
    np.testing.assert_allclose(out[:, 1], truth, rtol=0, atol=1e-6)
    assert not out[:, 0].any()


def test_arrays_that_do_not_fit_are_refused():
    values, indices, bounds = np.ones(2), np.array([0, 1]), np.array([0, 1, 2])
    with pytest.raises(
        TypeError, match="expected values of dtype float32 or float64 or int32 or int64, got b"
    ):
        csr_dot(values > 0, indices, bounds, np.ones((3, 4)))
    with pytest.raises(ValueError, match=r"got shapes \(2,\), \(1,\) and \(3,\)"):
        csr_to_dense(values, indices[:1], bounds, 3)
    with pytest.raises(ValueError, match=r"float64 array of shape \(3, 4\) does not fit 2 sparse rows"):
        csr_dot(values, indices, bounds, np.ones((3, 4)), transpose=True, columns=3)
    with pytest.raises(
        TypeError, match="expected whole numbers in indices and bounds, got float64 and int64"
    ):
        csr_to_dense(values, indices / 2, bounds, 3)
    with pytest.raises(
        TypeError, match="expected whole numbers in indices and bounds, got int64 and float64"
    ):
        csr_dot(values, indices, bounds / 2, np.ones((3, 4)))
