"""Sessions: what TensorFlow 1 gives for the same fetches (Keras 2.2.4 on TensorFlow 1.14 was asked)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.backend.session import Action, Session, start_variables_anew
from symgraph.kernels.run.threads import get_num_threads, set_num_threads
from symgraph.layers import Dense, Dropout, Input
from symgraph.models import Model


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    K.clear_session()
    yield
    K.clear_session()


class Pair(NamedTuple):
    first: object
    second: object


def test_fetches_keep_their_structure() -> None:
    x, y = K.placeholder((None, 2), name="x"), K.placeholder((2,), name="y")
    session = K.get_session()
    feed = {x: [[1.0, 2.0], [3.0, 4.0]], y: np.array([10.0, 20.0])}
    np.testing.assert_array_equal(session.run(x + y, feed), [[11, 22], [13, 24]])
    found = session.run({"sum": x + y, "deep": [(x * y,), Action("nothing")]}, feed_dict=feed)
    assert list(found) == ["sum", "deep"] and found["deep"][1] is None
    np.testing.assert_array_equal(found["deep"][0][0], [[10, 40], [30, 80]])
    pair = session.run(Pair(K.sum(x), K.sum(y)), feed)
    assert isinstance(pair, Pair) and pair == (10.0, 30.0)
    np.testing.assert_array_equal(session.run([y + 1], {"y:0": [1, 2]})[0], [2, 3])
    # A tensor in the middle may be fed, as any other.
    middle = x + y
    np.testing.assert_array_equal(session.run(middle * 2, {middle: [[5.0, 6.0]]}), [[10, 12]])


def test_updates_are_stored_and_returned() -> None:
    v = K.variable(3.0)
    session = K.get_session()
    assert session.run(K.update_add(v, 2.0)) == 5.0
    assert session.run([v, K.update(v, v * 2)]) == [5.0, 10.0]
    assert K.get_value(v) == 10.0
    assert v.eval(session=session) == 10.0
    x = K.placeholder(())
    assert (v + x).eval(feed_dict={x: 1}, session=session) == 11.0


def test_the_learning_phase_is_0_unless_it_is_fed() -> None:
    x = Input((1000,))
    y = Dropout(0.5)(x)
    ones = np.ones((1, 1000))
    session = K.get_session()
    np.testing.assert_array_equal(session.run(y, {x: ones}), ones)
    dropped = session.run(y, {x: ones, K.learning_phase(): 1})
    assert set(np.unique(dropped)) == {0.0, 2.0}
    np.testing.assert_array_equal(session.run(y, {x: ones, K.learning_phase(): 0}), ones)


def test_variables_are_started_anew() -> None:
    np.random.seed(1)
    x = Input((3,))
    model = Model(x, Dense(50)(x))
    model.compile("adam", "mse")
    untouched = K.variable(np.arange(5000.0))
    before = model.get_weights()
    model.fit(np.ones((8, 3)), np.ones((8, 50)), verbose=0)
    np.testing.assert_array_equal(K.get_value(model.optimizer.iterations), 1)
    trained = model.get_weights()
    start_variables_anew()
    kernel, bias = model.get_weights()
    assert not np.array_equal(kernel, trained[0]) and not np.array_equal(kernel, before[0])
    # Glorot's limit for 3 inputs and 50 units.
    assert np.abs(kernel).max() <= np.sqrt(6 / 53)
    assert not bias.any() and not any(state.any() for state in model.optimizer.get_weights())
    model.layers[1].bias.set_value(np.ones(50))
    model.layers[1].bias.initializer.run(session=K.get_session())
    assert not model.layers[1].bias.get_value().any()
    np.testing.assert_array_equal(untouched.get_value(), np.arange(5000.0))


def test_an_unknown_first_value_changes_nothing() -> None:
    small = K.variable(1.0)
    small.set_value(2.0)
    large = K.variable(np.zeros(5000), name="large")
    large.set_value(np.ones(5000))
    with pytest.raises(ValueError, match="variable large:0: its first value was not kept"):
        start_variables_anew()
    assert small.get_value() == 2.0
    K.clear_session()
    start_variables_anew()
    assert small.get_value() == 2.0, "variables of before clear_session belong to no session"


def test_the_session_that_was_set_is_returned() -> None:
    own = Session()
    K.set_session(own)
    assert K.get_session() is own
    with Session() as inner:
        assert K.get_session() is inner
    with inner.as_default():
        assert K.get_session() is inner
    assert K.get_session() is own
    K.clear_session()
    assert K.get_session() is not own


def test_threads_of_the_configuration_count() -> None:
    class Config:
        intra_op_parallelism_threads = 1

    before = get_num_threads()
    try:
        Session(config=Config())
        assert get_num_threads() == 1
    finally:
        set_num_threads(before)


def test_what_cannot_be_run_is_refused() -> None:
    x = K.placeholder((2,), name="x")
    session = K.get_session()
    with pytest.raises(TypeError, match=r"expected tensors to fetch, got 'dense_1/BiasAdd:0'"):
        session.run("dense_1/BiasAdd:0")
    with pytest.raises(TypeError, match="got None"):
        session.run([x, None], {x: [1, 2]})
    with pytest.raises(ValueError, match="'z:0'; there are x"):
        session.run(x, {"z:0": [1, 2]})
    with pytest.raises(ValueError, match="is needed, but not given"):
        session.run(x + 1)
    with pytest.raises(AttributeError, match=r"Session\.list_devices"):
        session.list_devices()
    with pytest.raises(TypeError, match="expected a session of symgraph"):
        K.set_session(object())


def test_compiled_functions_are_kept_for_a_while() -> None:
    x = K.placeholder((), name="x")
    session = Session()
    for number in range(100):
        assert session.run(x + number, {x: 1}) == 1 + number
    assert len(session._functions) <= 32
    y = x * 3
    session.run(y, {x: 1})
    first = next(reversed(session._functions.values()))
    assert session.run(y, {x: 2}) == 6 and next(reversed(session._functions.values())) is first
