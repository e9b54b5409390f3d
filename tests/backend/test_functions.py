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


def test_values_without_axes_are_numpy_scalars():
    """As in Keras on TensorFlow: scripts round them, and look them up. Python rounds no array."""
    x = K.placeholder((None, 2))
    total, rows = K.function([x, K.learning_phase()], [K.sum(x), K.sum(x, axis=1)])([np.ones((3, 2)), 0])
    single = K.function([x], K.sum(x))([np.ones((3, 2))])
    rate, count = K.batch_get_value([K.variable(0.25), K.variable(3, dtype="int32")])
    ran = K.get_session().run({"total": K.sum(x)}, {x: np.ones((3, 2))})["total"]
    found = [total, single, K.get_value(K.variable(6)), K.get_value(K.sum(K.ones((3, 2)))), ran, rate, count]
    assert [round(value, 1) for value in found] == [6, 6, 6, 6, 6, 0.2, 3]
    assert [type(value) for value in found] == [np.float32] * 6 + [np.int32]
    assert isinstance(rows, np.ndarray) and {total: "six"}[6.0] == "six"


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


def test_fed_tensors_are_part_of_the_run() -> None:
    a, b, c = (K.placeholder((None, 2)) for _ in range(3))
    f = K.function([a, b, c], [a, b, c])
    ones = np.ones((1, 2))
    for values in (
        [ones, a * 2, b + 1],
        [b / 2, ones * 2, K.constant([[3.0, 3.0]])],
        [c - b, c - 1, ones * 3],
    ):
        assert [x.tolist() for x in f(values)] == [[[1, 1]], [[2, 2]], [[3, 3]]]
    assert K.function([a, b], [a + b], givens={c: b * 2}, updates=())([ones, a * 2])[0].tolist() == [[3, 3]]
    assert K.function([a, b], [a + c], givens={c: b * 2})([ones, a * 2])[0].tolist() == [[5, 5]]
    hidden = a * 10
    assert K.function([hidden, b], [hidden + b])([b + 1, ones])[0].tolist() == [[3, 3]]
    whole = K.placeholder((2,), dtype="int32")
    assert K.function([whole], [whole + 1])([K.constant([1, 2], "int64")])[0].tolist() == [2, 3]
    phase = K.function([a, K.learning_phase()], [K.in_train_phase(a, -a)])
    assert phase([K.constant(ones), K.constant(1)])[0].tolist() == [[1, 1]]


def test_a_fed_draw_is_one_for_all_its_readers() -> None:
    a, total = K.placeholder((None, 2)), K.variable(0.0)
    f = K.function([a], [a * 1, a + 0], updates=[(total, K.sum(a))])
    draw = K.random_uniform((1, 2))
    x, y = f([draw])
    np.testing.assert_array_equal(x, y)
    assert np.isclose(K.get_value(total), x.sum())
    assert (f([draw])[0] != x).all()


def test_fed_tensors_that_do_not_fit() -> None:
    a, b = K.placeholder((None, 2), name="a"), K.placeholder((None, 2), name="b")
    f = K.function([a, b], [a + b])
    ones = np.ones((1, 2))
    for values in ([b * 2, a + 1], [ones, b], [ones, b * 2]):
        with pytest.raises(ValueError, match="'b': the tensors that are fed depend on the inputs"):
            f(values)
    with pytest.raises(ValueError, match=r"input 'b': expected float32\(N_b, 2\), got the tensor"):
        f([ones, K.ones((1, 3))])
    with pytest.raises(ValueError, match="input 'b': expected"):
        f([ones, K.ones((2,))])
    with pytest.raises(ValueError, match="have to be equal"):
        f([np.ones((4, 2)), K.ones((3, 2))])
    with pytest.raises(ValueError, match="missing input"):
        f([ones, K.placeholder((None, 2)) + a])
    whole = K.placeholder((2,), dtype="int32")
    with pytest.raises(TypeError, match=r"expected int32, got the tensor .*; use K\.cast"):
        K.function([whole], [whole])([K.constant([1.5, 2])])


def test_updates_wherever_keras_takes_them() -> None:
    v, w, x = K.variable(1.0), K.variable(2.0), K.placeholder(())
    assert K.function([x], [x + v], fetches=[K.update(v, w + 3)])([1.0]) == [2]
    assert K.get_value(v) == 5
    assert K.function([x], [x], fetches=K.update_add(v, x))([2.0]) == [2]
    assert K.get_value(v) == 7
    K.function([], [], updates=K.update_sub(v, 1.0))([])
    assert K.get_value(v) == 6
    assert K.function([], [v, K.update(v, w)])([]) == [6, 2]
    assert K.get_value(v) == 2
    assert K.function([], K.update(v, w * 2))([]) == 4
    assert K.eval(K.update_add(v, 1.0)) == 5
    assert K.get_value(v) == 5
    assert K.function([], (v, w))([]) == [5, 2]
    assert K.function([], [], fetches=(v, w))([]) == []
    assert K.get_value(v) == 5
    K.function([], [], fetches=[(v, w)])([])
    assert K.get_value(v) == 2
    with pytest.raises(ValueError, match="is updated twice"):
        K.function([], [], updates=[(v, w)], fetches=[K.update(v, w)])


def test_a_tensor_among_updates_is_computed(capsys: pytest.CaptureFixture[str]) -> None:
    v = K.variable(1.0)
    assert K.function([], [v], updates=[K.print_tensor(v, "v is"), (v, v + 1)])([]) == [1]
    assert capsys.readouterr().out == "v is 1.0\n"
    assert K.get_value(v) == 2


def test_without_a_learning_phase_graphs_test() -> None:
    """As TensorFlow's placeholder, which is 0 where nobody feeds it."""
    x = K.placeholder((2,))
    phase = K.in_train_phase(x + 1, x)
    data = np.array([1.0, 2.0], "f4")
    np.testing.assert_array_equal(K.function([x], [phase])([data])[0], data)
    np.testing.assert_array_equal(K.function([x], [x * 2], updates=[]).run({x: data}, phase), data)
    both = K.function([x, K.learning_phase()], [phase])
    np.testing.assert_array_equal(both([data, 1])[0], data + 1)
    np.testing.assert_array_equal(both([data, 0])[0], data)
    assert K.eval(K.in_train_phase(K.constant(1.0), K.constant(2.0))) == 2
    fed = K.function([x], [phase])
    np.testing.assert_array_equal(fed.run({x: data, K.learning_phase(): 1})[0], data + 1)
    # Read inside of a loop, and by an update.
    total = K.foldl(lambda a, b: a + K.in_train_phase(b * 0, b), x)
    np.testing.assert_allclose(K.function([x], [total])([data])[0], 3)
    v = K.variable(0.0)
    K.function([x], [], updates=[(v, K.in_train_phase(K.sum(x), K.sum(x) * 2))])([data])
    assert K.get_value(v) == 6
