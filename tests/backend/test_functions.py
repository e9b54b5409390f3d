"""Functions, gradients, and the choice between training and testing."""

import numpy as np
import pytest

from symgraph import backend as K


def test_function_feeds_fetches_and_updates():
    x, y, total = K.placeholder((None, 2)), K.placeholder((2,)), K.variable(np.zeros(2))
    f = K.function([x, y], [x + y, K.sum(x)], updates=[(total, total + K.sum(x, axis=0))])
    assert isinstance(f, K.Function)
    a, b = np.array([[1.0, 2], [3, 4]]), np.array([10.0, 20])
    for _ in range(2):
        added, summed = f([a, b])
    np.testing.assert_array_equal(added, a + b)
    assert summed == 10 and K.get_value(total).tolist() == [8, 12]


def test_updates_are_simultaneous():
    a, b = K.variable(1.0), K.variable(2.0)
    K.function([], [], [(a, K.identity(b)), (b, K.identity(a))])([])
    assert K.eval(a) == 2 and K.eval(b) == 1


def test_what_is_no_tensor_is_refused():
    x, y = K.placeholder((2,)), K.variable([1.0, 2.0])
    with pytest.raises(TypeError, match="f: expected a tensor as output 1, got None, which stands"):
        K.function([x], [x, *K.gradients(K.sum(x), [y])], name="f")
    with pytest.raises(TypeError, match=r"expected a tensor as output 0, got 3\.0$"):
        K.function([x], [3.0])
    with pytest.raises(TypeError, match=r"expected a tensor as input 1, got 'phase'$"):
        K.function([x, "phase"], [x])


def test_givens():
    x, y = K.placeholder((3,)), K.placeholder((3,))
    (z,) = K.function([x], [x * y], givens={y: K.constant([1.0, 2, 3])})([[4.0, 5, 6]])
    assert z.tolist() == [4, 10, 18]


def test_gradients():
    x, y, other = (K.variable(v, "float64") for v in ([1.0, 2.0], [3.0, 4.0], [5.0]))
    loss = K.sum(x * K.square(y))
    by_x, by_y, by_other = K.gradients(loss, [x, y, other])
    np.testing.assert_allclose(K.eval(by_x), [9, 16])
    np.testing.assert_allclose(K.eval(by_y), [6, 16])
    assert by_other is None
    (second,) = K.gradients(by_y, [y])
    np.testing.assert_allclose(K.eval(second), [2, 4])
    np.testing.assert_allclose(K.eval(K.gradients(x * x, x)[0]), [2, 4])


def test_stop_gradient():
    x = K.variable([1.0, 2.0])
    y = K.stop_gradient(x)
    np.testing.assert_array_equal(K.eval(y), [1, 2])
    np.testing.assert_array_equal(K.eval(K.gradients(K.sum(x * y), [x])[0]), [1, 2])
    assert K.gradients(K.sum(y), [x]) == [None]
    assert [K.eval(z).tolist() for z in K.stop_gradient([x, x * 2])] == [[1, 2], [2, 4]]


def test_switch():
    x, y = K.variable(np.arange(6.0).reshape(3, 2)), K.variable(np.zeros((3, 2)))
    assert K.eval(K.switch(K.constant(True, "bool"), lambda: x, lambda: y)).tolist() == [
        [0, 1],
        [2, 3],
        [4, 5],
    ]
    assert K.eval(K.switch(K.constant(0, "int32"), x, y)).sum() == 0
    rows = K.switch(K.constant([1, 0, 1], "int32"), x, y)
    assert K.eval(rows).tolist() == [[0, 1], [0, 0], [4, 5]]
    every = K.switch(K.greater(x, 2), x, y)
    assert K.eval(every).tolist() == [[0, 0], [0, 3], [4, 5]]
    with pytest.raises(ValueError, match="Rank of `condition` should be less than or equal to rank"):
        K.switch(K.greater(x, 2), K.variable(1.0), K.variable(0.0))


def test_phases_that_are_known():
    x, y = K.constant(1.0), K.constant(2.0)
    assert K.in_train_phase(x, y, training=True) is x and K.in_train_phase(x, lambda: y, training=0) is y
    assert K.in_test_phase(x, y, training=1) is y
    assert K.in_train_phase(x, y, training=np.int64(1)) is x


def test_phases_that_are_fed():
    x = K.placeholder((2,))
    y = K.in_train_phase(lambda: x * 2, x)
    assert y._uses_learning_phase
    f = K.function([x, K.learning_phase()], [y])
    assert f([[1.0, 2], 1])[0].tolist() == [2, 4] and f([[1.0, 2], 0])[0].tolist() == [1, 2]
    g = K.function([x], [y], givens={K.learning_phase(): 1})
    assert g([[1.0, 2]])[0].tolist() == [2, 4]
    mine = K.placeholder((), dtype="bool")
    z = K.in_train_phase(x * 2, x, training=mine)
    assert not getattr(z, "_uses_learning_phase", False)
    assert K.function([x, mine], [z])([[1.0, 2], True])[0].tolist() == [2, 4]


def test_phases_that_are_fixed():
    x, y = K.constant(1.0), K.constant(2.0)
    try:
        K.set_learning_phase(1)
        assert K.learning_phase() == 1 and K.in_train_phase(x, y) is x
        K.set_learning_phase(0)
        assert K.learning_phase() == 0 and K.in_test_phase(x, y) is x
        with pytest.raises(ValueError, match="Expected learning phase to be 0 or 1, got 2"):
            K.set_learning_phase(2)
    finally:
        K.clear_session()
    assert K.is_placeholder(K.learning_phase())


def test_function_feeds_and_fetches_more() -> None:
    x, y, z = K.placeholder((2,)), K.placeholder((2,)), K.placeholder((2,))
    f = K.function([x, y], [x + y], feed_dict={z: np.ones(2)}, fetches=[z * 2])
    np.testing.assert_array_equal(f([[1, 2], [3, 4]])[0], [4, 6])
    assert len(f([[1, 2], [3, 4]])) == 1
    g = K.function([x], [x * z], feed_dict={z: np.array([3.0, 5.0])})
    np.testing.assert_array_equal(g([np.ones(2)])[0], [3, 5])
    g.feed_dict[z] = np.array([7.0, 9.0])  # type: ignore[attr-defined]
    np.testing.assert_array_equal(g([np.ones(2)])[0], [7, 9])


def test_function_takes_none_and_tensors_as_values() -> None:
    x, y = K.placeholder((2,)), K.placeholder((2,))
    f = K.function([x, y], [x * 2])
    np.testing.assert_array_equal(f([np.array([1.0, 2.0]), None])[0], [2, 4])
    np.testing.assert_array_equal(f([K.constant([3.0, 4.0]) + 1, None])[0], [8, 10])
    with pytest.raises(ValueError, match="missing input"):
        f([None, np.ones(2)])
    with pytest.raises(ValueError, match=r"Invalid argument 'shape' passed to K\.function"):
        K.function([x], [x], shape=(2,))
