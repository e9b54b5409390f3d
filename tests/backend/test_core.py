"""Variables, placeholders, constants, names, values and updates."""

import numpy as np
import pytest
from scipy import sparse

from symgraph import backend as K


def test_variable_keeps_a_copy_in_floatx():
    value = np.array([[1, 2], [3, 4]])
    x = K.variable(value)
    value[:] = 0
    assert K.dtype(x) == "float32" and K.int_shape(x) == (2, 2) and K.ndim(x) == 2 and K.count_params(x) == 4
    assert K.get_variable_shape(x) == (2, 2) and K.is_tensor(x) and not K.is_tensor(value)
    np.testing.assert_array_equal(K.get_value(x), [[1, 2], [3, 4]])
    K.set_value(x, np.ones((2, 2)))
    np.testing.assert_array_equal(K.eval(x), np.ones((2, 2)))
    assert K.dtype(K.variable(1, "int64")) == "int64"


def test_variable_takes_tensors_and_sparse_matrices():
    x = K.variable(K.constant([1.0, 2.0]) * 2)
    np.testing.assert_array_equal(K.get_value(x), [2, 4])
    matrix = sparse.random(4, 5, 0.5, random_state=0)
    fixed = K.variable(matrix, name="m")
    assert K.is_sparse(fixed) and fixed.name == "m:0" and K.dtype(fixed) == "float32"
    np.testing.assert_allclose(K.get_value(fixed), matrix.toarray(), rtol=1e-6)
    with pytest.raises(TypeError, match="constant c: expected numbers, got a sparse matrix"):
        K.constant(matrix, name="c")


def test_variable_refuses_what_is_no_number():
    for value in ("1.5", [None, 1], np.array([1j])):
        with pytest.raises(TypeError, match="variable kernel: expected numbers, got dtype"):
            K.variable(value, name="kernel")
    x = K.variable([1.0, 2.0])
    with pytest.raises(ValueError, match=r"expected a value of shape \(2,\), got \(3,\)"):
        K.set_value(x, [1, 2, 3])
    with pytest.raises(TypeError, match="expected a variable"):
        K.set_value(K.constant(1.0), 2)


def test_names():
    with K.name_scope("dense_1"):
        kernel = K.variable(0, name="kernel")
        with K.name_scope("inner"):
            bias = K.variable(0, name="bias")
    assert (kernel.name, bias.name, K.variable(0, name="free").name) == (
        "dense_1/kernel:0",
        "dense_1/inner/bias:0",
        "free:0",
    )
    K.clear_session()
    assert [K.get_uid("dense"), K.get_uid("dense"), K.get_uid("conv")] == [1, 2, 1]
    K.reset_uids()
    assert K.get_uid("dense") == 1


def test_set_many_values_or_none():
    a, b = K.variable([1.0]), K.variable([2.0, 3.0])
    K.batch_set_value([(a, [5.0]), (b, [6.0, 7.0])])
    assert [v.tolist() for v in K.batch_get_value([a, b])] == [[5], [6, 7]]
    with pytest.raises(ValueError, match="expected a value of shape"):
        K.batch_set_value([(a, [8.0]), (b, [9.0])])
    assert [v.tolist() for v in K.batch_get_value([a, b])] == [[5], [6, 7]]


def test_constants():
    np.testing.assert_array_equal(K.eval(K.constant(3, shape=(2, 2))), np.full((2, 2), 3))
    np.testing.assert_array_equal(K.eval(K.constant([1, 2, 3, 4], shape=(2, 2))), [[1, 2], [3, 4]])
    assert K.dtype(K.constant(1)) == "float32" and K.dtype(K.constant(1, "int32")) == "int32"
    with pytest.raises(ValueError, match=r"3 values do not fill the shape \(2, 2\)"):
        K.constant([1, 2, 3], shape=(2, 2))


def test_placeholders():
    x = K.placeholder((None, 3), name="x")
    assert K.int_shape(x) == (None, 3) and K.is_placeholder(x) and not K.is_placeholder(x + 1)
    assert K.int_shape(K.placeholder(ndim=3)) == (None, None, None)
    assert K.int_shape(K.placeholder(shape=x.shape)) == (None, 3)
    assert K.to_dense(x) is x
    with pytest.raises(ValueError, match="count_params: expected a tensor of known shape"):
        K.count_params(x)
    with pytest.raises(ValueError, match="give a shape or ndim"):
        K.placeholder()


def test_keras_tensors():
    with pytest.raises(ValueError, match="Unexpectedly found an instance of type"):
        K.is_keras_tensor(np.zeros(2))
    x = K.placeholder((2,))
    assert not K.is_keras_tensor(x)
    x._keras_history = ("layer", 0, 0)
    assert K.is_keras_tensor(x) and not K.is_keras_tensor(K.identity(x))
    np.testing.assert_array_equal(K.eval(K.identity(K.constant([1, 2]))), [1, 2])


def test_filled_tensors():
    for value, filled, like in ((0, K.zeros, K.zeros_like), (1, K.ones, K.ones_like)):
        x = filled((2, 3), name="x")
        assert x.name == "x:0"
        K.set_value(x, np.full((2, 3), 7))  # a variable
        assert K.int_shape(filled(3)) == (3,)
        y = K.placeholder((None, 2))
        for z in (like(y), filled(K.shape(y)), filled((y.shape[0], 2)), filled((K.shape(y)[0], 2))):
            assert K.int_shape(z) == (None, 2) and K.dtype(z) == "float32"
            np.testing.assert_array_equal(K.function([y], [z])([np.ones((3, 2))])[0], np.full((3, 2), value))
        assert K.dtype(like(y, "int32")) == "int32"
    np.testing.assert_array_equal(K.eval(K.eye(3)), np.eye(3))


def test_shapes_as_tensors():
    x = K.placeholder((None, 4))
    assert K.function([x], [K.shape(x)])([np.ones((5, 4))])[0].tolist() == [5, 4]
    y = K.reshape(x, (K.shape(x)[0] * 2, K.shape(x)[1] // 2))
    assert K.int_shape(y) == (None, 2)
    assert K.function([x], [y])([np.ones((5, 4))])[0].shape == (10, 2)


def test_updates():
    x, value = K.variable([1.0, 2.0], name="x"), K.variable([10.0, 20.0])
    updates = [K.update_add(x, 1), K.moving_average_update(value, x, 0.75)]
    K.function([], [], updates)([])
    np.testing.assert_array_equal(K.get_value(x), [2, 3])
    np.testing.assert_array_equal(K.get_value(value), [10 * 0.75 + 0.25, 20 * 0.75 + 0.5])
    K.function([], [], [K.update_sub(x, [0.5, 1]), K.update(value, x)])([])
    np.testing.assert_array_equal(K.get_value(x), [1.5, 2])
    np.testing.assert_array_equal(K.get_value(value), [2, 3])
    count = K.variable(0, "int64")
    assert K.dtype(K.update_add(count, 1)[1]) == "int64"


def test_updates_that_do_not_fit():
    x, count = K.variable([1.0, 2.0], name="x"), K.variable(0, "int64", name="count")
    with pytest.raises(ValueError, match=r"update of variable x:0: expected shape \(2,\), got \(3,\)"):
        K.update(x, [1.0, 2.0, 3.0])
    with pytest.raises(TypeError, match="update of variable count:0: expected int64, got float32"):
        K.update(count, count + 0.5)
    with pytest.raises(TypeError, match="expected a variable"):
        K.update(K.constant(1.0), 2.0)


def test_settings():
    assert (K.floatx(), K.epsilon(), K.image_data_format()) == ("float32", 1e-7, "channels_last")
    assert K.backend() == "symgraph"
    K.set_floatx("float64")
    K.set_image_data_format("channels_first")
    try:
        assert K.dtype(K.variable(1)) == "float64" and K.cast_to_floatx([1]).dtype == np.float64
        assert K.normalize_data_format(None) == "channels_first"
    finally:
        K.set_floatx("float32")
        K.set_image_data_format("channels_last")
    assert K.normalize_data_format("Channels_Last") == "channels_last"
    with pytest.raises(ValueError, match="The `data_format` argument must be one of"):
        K.normalize_data_format("tf")


def test_casts():
    x = K.variable([-1.7, 0.0, 2.3])
    assert K.eval(K.cast(x, "int32")).tolist() == [-1, 0, 2]
    assert K.eval(K.cast(x, "bool")).tolist() == [True, False, True]
    assert K.cast(x, "float32") is x


@pytest.mark.parametrize("make", [K.constant, K.variable])
def test_numbers_that_a_dtype_does_not_hold_are_refused(make):
    for value, dtype in [(300, "uint8"), (np.array([1, -1]), "uint8"), (np.nan, "int32"), (2.0**63, "int64")]:
        with pytest.raises(ValueError, match=rf"numbers from .* do not fit into {dtype}"):
            make(value, dtype=dtype)
    np.testing.assert_array_equal(K.eval(make([255.5, 0], dtype="uint8")), [255, 0])


def test_shapes_as_keras_notes_them():
    """Keras notes them on variables, placeholders and what layers return; here every tensor has them."""
    x = K.placeholder((None, 3))
    found = [x, K.variable(np.ones((2, 3))), K.dot(x, K.ones((3, 4))), K.sum(x), K.reshape(x, (-1, 1))]
    assert [t._keras_shape for t in found] == [(None, 3), (2, 3), (None, 4), (), (None, 1)]
    y = K.square(x)
    y._keras_shape = (5, 3)
    assert y._keras_shape == (5, 3)
    z = K.square(x)
    z.set_shape((7, None))
    assert z._keras_shape == K.int_shape(z) == (7, 3)
