"""Gradients of products with sparse matrices, and what their ops refuse."""

import numpy as np
import pytest

from symgraph.compiler.function import Function
from symgraph.graph.gradient import gradients
from symgraph.graph.leaves import constant, placeholder
from symgraph.graph.ops.csr import CsrDot, CsrToDense, random_csr
from symgraph.graph.ops.math import square
from symgraph.graph.ops.reduce import sum as total

ROWS, COLUMNS, WIDTH = 6, 5, 3


def _matrix(dtype="float64"):
    arrays = random_csr(np.random.default_rng(0), ROWS, COLUMNS, 14, dtype)
    return [constant(x) for x in arrays], CsrToDense(COLUMNS).reference(*arrays)


@pytest.mark.parametrize("transpose", [False, True])
def test_gradients_of_both_orders(transpose):
    matrix, a = _matrix()
    a = a.T if transpose else a
    x = placeholder((a.shape[1], WIDTH), dtype="float64")
    v = constant(np.random.default_rng(1).standard_normal((a.shape[1], WIDTH)))
    y = CsrDot(COLUMNS, transpose)(*matrix, x)
    loss = total(square(y) * y)  # the sum of the third powers of a @ x
    (first,) = gradients(loss, [x])
    (second,) = gradients(total(first * v), [x])
    value = np.random.default_rng(2).standard_normal((a.shape[1], WIDTH))
    found = Function([x], [first, second])(value)
    np.testing.assert_allclose(found[0], a.T @ (3 * (a @ value) ** 2), rtol=1e-10)
    np.testing.assert_allclose(found[1], a.T @ (6 * (a @ value) * (a @ v.op.array)), rtol=1e-10)


def test_a_sparse_matrix_has_no_gradient():
    values, indices, bounds = (placeholder(x.shape, dtype=x.dtype) for x in _matrix()[0])
    for result in (
        CsrDot(COLUMNS)(values, indices, bounds, constant(np.ones((COLUMNS, 2)))),
        CsrToDense(COLUMNS)(values, indices, bounds),
    ):
        assert gradients(total(result), [values]) == [None]


def test_types_that_do_not_fit_are_refused():
    (values, indices, bounds), _ = _matrix()
    dense = constant(np.ones((COLUMNS, 2)))
    with pytest.raises(TypeError, match="int32 indices and int64 bounds, got float64, int64 and int64"):
        CsrDot(COLUMNS)(values, bounds, bounds, dense)
    with pytest.raises(TypeError, match="expected two of one dtype, got float64 and float32"):
        CsrDot(COLUMNS)(values, indices, bounds, constant(np.ones((COLUMNS, 2), "float32")))
    with pytest.raises(
        TypeError, match="expected values of dtype int32 or int64 or float32 or float64, int32"
    ):
        CsrToDense(COLUMNS)(constant(np.ones(17, bool)), indices, bounds)
    with pytest.raises(ValueError, match="expected an index for each value"):
        CsrToDense(COLUMNS)(constant(np.ones(3)), indices, bounds)
    with pytest.raises(ValueError, match="expected an index for each value"):
        CsrToDense(COLUMNS)(values, indices, constant(np.ones(0, "int64")))
    with pytest.raises(ValueError, match=r"expected a dense matrix with 6 rows, got shape \(5, 2\)"):
        CsrDot(COLUMNS, True)(values, indices, bounds, dense)


def test_sizes_are_compared_when_data_come():
    values, indices = placeholder((None,), dtype="float64"), placeholder((None,), dtype="int32")
    bounds, dense = placeholder((None,), dtype="int64"), placeholder((None, 2), dtype="float64")
    f = Function([values, indices, bounds, dense], CsrDot(3)(values, indices, bounds, dense))
    arrays = np.ones(2), np.array([0, 2]), np.array([0, 1, 2])
    np.testing.assert_array_equal(f(*arrays, np.array([[1, 2], [3, 4], [5, 6]])), [[1, 2], [5, 6]])
    with pytest.raises(ValueError, match="have to be equal"):
        f(*arrays, np.ones((4, 2)))
    with pytest.raises(ValueError, match="have to be equal"):
        f(np.ones(3), *arrays[1:], np.ones((3, 2)))


def test_an_index_out_of_range_names_the_op():
    values, indices, bounds = (
        placeholder((2,)),
        placeholder((2,), dtype="int32"),
        placeholder((3,), dtype="int64"),
    )
    f = Function([values, indices, bounds], CsrToDense(3)(values, indices, bounds))
    with pytest.raises(ValueError, match="csr_to_dense: index out of range"):
        f([1, 2], [0, 3], [0, 1, 2])
