"""Sparse tensors of the backend against scipy's matrices in float64."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse

from symgraph import backend as K

FORMATS = ["bsr", "coo", "csc", "csr", "dia", "dok", "lil"]


def _random(rows=4, columns=5, seed=0, share=0.4, dtype="float64"):
    return scipy.sparse.random(rows, columns, share, "csr", dtype, random_state=seed)


def _close(found, wanted, rtol=1e-5):
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=1e-6)


def test_a_placeholder_and_its_properties():
    x = K.placeholder((None, 3), sparse=True, name="x")
    assert K.is_sparse(x) and K.is_placeholder(x) and K.is_tensor(x) and not K.is_keras_tensor(x)
    assert K.int_shape(x) == x._keras_shape == (None, 3) and K.ndim(x) == 2 and K.dtype(x) == "float32"
    assert repr(x) == "<SparseTensor 'x' placeholder float32(N_x, 3)>"
    dense = K.to_dense(x)
    assert not K.is_sparse(dense) and K.int_shape(dense) == (None, 3) and K.to_dense(dense) is dense
    assert not K.is_sparse(K.placeholder((2, 2))) and not K.is_sparse(np.ones(2))
    assert K.int_shape(K.placeholder(ndim=2, sparse=True, dtype="float64")) == (None, None)
    other = K.identity(x)
    assert other is not x and K.is_sparse(other) and not K.is_placeholder(other)


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("kind", ["matrix", "array"])
def test_matrices_of_any_format_are_fed(layout, kind):
    x = K.placeholder((None, 5), sparse=True)
    w = np.random.default_rng(0).standard_normal((5, 3))
    f = K.function([x], [K.to_dense(x), K.dot(x, K.variable(w))])
    matrix = _random()
    given = (scipy.sparse.coo_array(matrix) if kind == "array" else matrix).asformat(layout)
    dense, product = f([given])
    _close(dense, matrix.toarray())
    _close(product, matrix @ w)


def test_matrices_of_many_sizes_need_few_programs():
    x = K.placeholder((None, 50), sparse=True)
    f = K.function([x], [K.to_dense(x)])
    programs = set()
    for stored in range(1000, 1100):
        values = np.arange(stored) + 1.0
        matrix = scipy.sparse.csr_matrix(
            (values, (np.arange(stored) // 50, np.arange(stored) % 50)), (30, 50)
        )
        _close(f([matrix])[0], matrix.toarray())
        programs.add(id(f.program()))
    assert len(programs) <= 2


def test_values_out_of_order_and_twice_in_one_place():
    indices, bounds = [3, 0, 3, 3, 1], [0, 3, 3, 5]
    matrix = scipy.sparse.csr_matrix(([1.0, 2, 3, 4, 5], indices, bounds), (3, 4))
    x, w = K.placeholder((3, 4), sparse=True), np.arange(8.0).reshape(4, 2)
    dense, product = K.function([x], [K.to_dense(x), K.dot(x, K.constant(w))])([matrix])
    expected = np.array([[2, 0, 0, 4], [0, 0, 0, 0], [0, 5, 0, 4]])
    np.testing.assert_array_equal(dense, expected)
    np.testing.assert_array_equal(product, expected @ w)


@pytest.mark.parametrize("shape", [(0, 5), (4, 0), (4, 5)])
def test_empty_matrices(shape):
    x = K.placeholder((None, None), sparse=True)
    w = K.placeholder((None, 2))
    f = K.function([x, w], [K.to_dense(x), K.dot(x, w)])
    dense, product = f([scipy.sparse.csr_matrix(shape), np.ones((shape[1], 2))])
    np.testing.assert_array_equal(dense, np.zeros(shape))
    np.testing.assert_array_equal(product, np.zeros((shape[0], 2)))
    with pytest.raises(ValueError, match="have to be equal"):
        f([scipy.sparse.csr_matrix(shape), np.ones((shape[1] + 1, 2))])


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "float32", "float64"])
def test_dtypes(dtype):
    matrix = (100 * _random(6, 7)).astype(dtype)
    x = K.placeholder((None, 7), dtype=dtype, sparse=True)
    whole, wide = K.to_dense(x), K.cast(x, "float64")
    assert K.dtype(x) == K.dtype(whole) == dtype and K.is_sparse(wide) and K.cast(x, dtype) is x
    w = np.random.default_rng(0).integers(-9, 9, (7, 2))
    f = K.function([x], [whole, wide, K.dot(x, K.constant(w, "int32")), K.dot(x, K.constant(w, "float64"))])
    dense, wide, integers, floats = f([matrix])
    assert dense.dtype == dtype and wide.dtype == floats.dtype == "float64"
    np.testing.assert_array_equal(dense, matrix.toarray())
    np.testing.assert_array_equal(wide, matrix.toarray())
    truth = matrix.toarray().astype("float64") @ w
    _close(integers, truth)
    _close(floats, truth)


def test_a_fixed_sparse_matrix():
    matrix = _random().tocoo()
    fixed = K.variable(matrix, dtype="float64")
    assert K.is_sparse(fixed) and fixed._keras_shape == (4, 5) and not K.is_placeholder(fixed)
    _close(K.eval(fixed), matrix.toarray(), 1e-15)
    _close(K.get_value(fixed), matrix.toarray(), 1e-15)
    w = K.variable(np.ones((5, 2)), dtype="float64")
    (gradient,) = K.gradients(K.sum(K.dot(fixed, w)), w)
    _close(K.eval(gradient), matrix.T @ np.ones((4, 2)), 1e-12)
    with pytest.raises(TypeError, match="expected a variable"):
        K.set_value(fixed, matrix)
    with pytest.raises(TypeError, match="expected numbers, got dtype complex128"):
        K.variable(matrix.astype(complex))


def test_dot_with_sparse_and_dense_twins():
    rng = np.random.default_rng(0)
    matrix, w = _random(8, 6), rng.standard_normal((6, 4))
    sparse, dense = K.variable(matrix), K.variable(matrix.toarray())
    _close(K.eval(K.dot(sparse, K.variable(w))), K.eval(K.dot(dense, K.variable(w))))
    for wrong in (np.ones((5, 4)), np.ones(6), np.ones((6, 2, 2))):
        with pytest.raises(ValueError, match=r"csr_dot: expected a dense matrix with 6 rows, got shape"):
            K.dot(sparse, K.constant(wrong))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concatenation(axis):
    shapes = [(3, 4), (2, 4), (5, 4)] if axis == 0 else [(3, 4), (3, 1), (3, 6)]
    matrices = [_random(*shape, seed=i, share=0.5) for i, shape in enumerate(shapes)]
    truth = np.concatenate([m.toarray() for m in matrices], axis)
    inputs = [K.placeholder((None, shape[1]), sparse=True) for shape in shapes]
    joined = K.concatenate(inputs, axis)
    assert K.is_sparse(joined) and K.int_shape(joined) == (None, truth.shape[1])
    w = np.random.default_rng(0).standard_normal((truth.shape[1], 3))
    variable = K.variable(w)
    product = K.dot(joined, variable)
    (gradient,) = K.gradients(K.sum(K.square(product)), [variable])
    again = K.concatenate([joined, joined], 0)
    outputs = K.function(
        inputs, [joined, product, gradient, K.dot(again, variable), K.cast(joined, "float64")]
    )
    found, y, slope, twice, wide = outputs(matrices)
    _close(found, truth)
    _close(y, truth @ w)
    _close(slope, 2 * truth.T @ (truth @ w), 1e-4)
    _close(twice, np.concatenate([truth @ w] * 2))
    assert wide.dtype == "float64"
    fixed = [K.variable(m) for m in matrices]
    _close(K.eval(K.concatenate(fixed, axis)), truth)
    mixed = K.concatenate([fixed[0], *(K.variable(m.toarray()) for m in matrices[1:])], axis)
    assert not K.is_sparse(mixed)
    _close(K.eval(mixed), truth)


def test_concatenation_of_sizes_that_do_not_fit():
    a, b = K.placeholder((None, 3), sparse=True), K.placeholder((None, 4), sparse=True)
    with pytest.raises(ValueError, match="concatenate: expected equal sizes on axis 1"):
        K.concatenate([a, b], axis=0)
    side = K.concatenate([a, b], axis=1)
    with pytest.raises(ValueError, match=r"expected a dense matrix with 7 rows, got shape \(6, 2\)"):
        K.dot(side, K.ones((6, 2)))
    one_row = K.concatenate([K.variable(_random(1, 3)), b], axis=1)
    for tensor, inputs, values in (
        (side, [a, b], [_random(2, 3), _random(1, 4)]), (one_row, [b], [_random(2, 4)])
    ):  # fmt: skip
        for result in (K.dot(tensor, K.ones((7, 2))), K.to_dense(tensor)):
            with pytest.raises(ValueError, match=r"have to be equal|expected size"):
                K.function(inputs, [result])(values)
    free = K.concatenate([K.placeholder((None, None), sparse=True) for _ in range(2)], axis=1)
    w = K.placeholder((None, 2))
    f = K.function([*free.inputs, w], [K.dot(free, w)])
    matrices = [_random(2, 3), _random(2, 4)]
    _close(f([*matrices, np.ones((7, 2))])[0], scipy.sparse.hstack(matrices) @ np.ones((7, 2)))
    for rows in (6, 8):
        with pytest.raises(ValueError):
            f([*matrices, np.ones((rows, 2))])


@pytest.mark.parametrize(
    "use",
    [
        K.sum, K.mean, K.max, K.transpose, K.square, K.sigmoid, K.flatten, K.l2_normalize, K.stop_gradient,
        K.print_tensor, lambda x: K.switch(K.placeholder(()), lambda: x, lambda: x),
        lambda x: x + 1, lambda x: 2 * x, lambda x: x > 0, lambda x: x[0], lambda x: K.dot(K.ones((2, 3)), x),
        lambda x: K.dot(x, x), lambda x: K.concatenate([x, x])[0], lambda x: K.batch_dot(x, x),
        lambda x: x @ K.ones((3, 2)), lambda x: K.gather(x, [0]), lambda x: K.stack([x, x]),
        lambda x: K.map_fn(K.sum, x), lambda x: K.bias_add(x, K.ones((3,))),
        lambda x: K.switch(K.learning_phase(), x, x),
    ],
)  # fmt: skip
def test_all_other_functions_refuse(use):
    x = K.placeholder((None, 3), sparse=True, name="x")
    with pytest.raises(TypeError, match=r"expected dense tensors, got <SparseTensor .*; use K.to_dense"):
        use(x)


def test_what_else_is_refused():
    x = K.placeholder((2, 3), sparse=True, name="x")
    with pytest.raises(TypeError, match=r"'x' .* is sparse, so it has no gradient"):
        K.gradients(K.sum(K.to_dense(x)), [x])
    with pytest.raises(TypeError, match=r"its new value .* use K.to_dense"):
        K.function([x], [], updates=[(K.zeros((2, 3)), x)])
    with pytest.raises(TypeError, match=r"'x' .* is sparse and can only be fed"):
        K.function([], [K.to_dense(x)], givens={x: 1})
    with pytest.raises(ValueError, match="a sparse tensor is a matrix: expected 2 dimensions, got"):
        K.placeholder((2, 3, 4), sparse=True)
    with pytest.raises(ValueError, match="less than 2147483648 columns, got 2147483648"):
        K.placeholder((2, 2**31), sparse=True)
    with pytest.raises(TypeError, match="cannot be fed: only sparse placeholders can"):
        K.function([K.identity(x)], [K.to_dense(x)])


def test_data_that_do_not_suit():
    x, y = K.placeholder((None, 3), sparse=True, name="x"), K.placeholder((None, 3), name="y")
    f = K.function([x], [K.to_dense(x)])
    with pytest.raises(
        TypeError, match=r"input 'x': expected a sparse matrix of scipy, got a dense array of"
    ):
        f([np.ones((2, 3))])
    with pytest.raises(TypeError, match="input 'x': expected a sparse matrix of scipy, got list"):
        f([[[1, 2, 3]]])
    with pytest.raises(ValueError, match=r"input x: expected size 3 on axis 1, got shape \(4, 5\)"):
        f([_random()])
    with pytest.raises(ValueError, match="Feeding from symbolic tensors is not supported with sparse inputs"):
        f([K.variable(_random(2, 3))])
    with pytest.raises(TypeError, match="input 'x': expected numbers of dtype float32, got dtype complex"):
        f([_random(2, 3).astype(complex)])
    with pytest.raises(TypeError, match="input 'y': expected a dense array, got a sparse matrix"):
        K.function([y], [y * 2])([_random(2, 3)])
    both = K.function([x, y], [K.to_dense(x) + y])
    with pytest.raises(ValueError, match=r"input y: expected size N_x|input y: expected size N_y|equal"):
        both([_random(2, 3), np.ones((4, 3))])


def _broken(**changed):
    matrix = scipy.sparse.csr_matrix(([1.0, 2.0], [0, 2], [0, 1, 2]), (2, 3))
    for name, value in changed.items():
        setattr(matrix, name, np.asarray(value))
    return matrix


@pytest.mark.parametrize(
    "changed",
    [{"indices": [0, 3]}, {"indices": [-1, 0]}, {"indptr": [0, 2, 1]}, {"indptr": [0, 1, 3]},
     {"indptr": [1, 1, 2]}, {"indptr": [0, 2]}, {"data": [1.0]}],
)  # fmt: skip
def test_broken_matrices_are_refused(changed):
    x = K.placeholder((None, 3), sparse=True, name="x")
    f = K.function([x], [K.to_dense(x)])
    with pytest.raises(ValueError, match=r"the sparse matrix of shape \(2, 3\) is broken"):
        f([_broken(**changed)])
    with pytest.raises(ValueError, match="is broken"):
        K.variable(_broken(**changed))


def test_functions_feed_and_fetch_by_name_and_tensor():
    x = K.placeholder((None, 3), sparse=True, name="x")
    product = K.dot(x, K.ones((3, 2)))
    f = K.function([x], product, name="f")
    matrix = _random(2, 3)
    _close(f.run({x: matrix}, fetch=x), matrix.toarray())
    _close(f.run({"x": matrix}), matrix @ np.ones((3, 2)))
    assert "csr_dot" in str(f) and "x.values: float32(stored_x,)" in str(f)
    assert f.unused_inputs == () and K.function([x], [K.ones((1,))]).unused_inputs == (x,)
    _close(product.eval({x: matrix}), matrix @ np.ones((3, 2)))
    _close(x.eval({"x": matrix}), matrix.toarray())


def test_choices_and_loops_that_read_sparse_tensors():
    x, w, condition = K.placeholder((None, 5), sparse=True), K.variable(np.ones((5, 2))), K.placeholder(())
    chosen = K.switch(condition, lambda: K.dot(x, w), lambda: -2 * K.dot(x, w))
    f = K.function([x, condition], [chosen, *K.gradients(K.sum(chosen), [w])])
    matrix, factor = _random(), {1: 1, 0: -2}
    for number in (0, 1):
        found, slope = f([matrix, number])
        _close(found, factor[number] * matrix @ np.ones((5, 2)))
        _close(slope, factor[number] * matrix.T @ np.ones((4, 2)))
    fixed, many = K.variable(matrix), K.placeholder((None, 5, 2))
    products = K.map_fn(lambda one: K.dot(fixed, one), many)
    (slopes,) = K.gradients(K.sum(K.square(products)), [many])
    values, a = np.random.default_rng(0).standard_normal((3, 5, 2)), matrix.toarray()
    found, slope = K.function([many], [products, slopes])([values])
    _close(found, a @ values)
    _close(slope, 2 * a.T @ (a @ values), 1e-4)


def test_scipy_is_not_imported():
    code = "import sys, symgraph.layers; sys.exit('scipy' in sys.modules and 'scipy.sparse' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
