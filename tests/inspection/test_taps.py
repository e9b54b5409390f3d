"""Values of nodes, seen while training goes on as ever."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symgraph
from symgraph import backend as K
from symgraph import layers as L
from symgraph.models import Model, Sequential
from tests import philox

RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 8, 8, 3)).astype("float32")
Y = np.eye(4, dtype="float32")[RNG.integers(0, 4, 12)]


def _network() -> Any:
    """Every kind of fusion: epilogues, normalisation and its activation, dropout, a residual sum, a scan."""
    inputs = L.Input((8, 8, 3), name="pictures")
    x = L.Conv2D(4, 3, padding="same", activation="relu", name="conv")(inputs)
    y = L.BatchNormalization(name="norm")(L.Conv2D(4, 3, padding="same", use_bias=False, name="plain")(x))
    y = L.Activation("relu", name="act")(y)
    x = L.MaxPooling2D(name="pool")(L.Add(name="sum")([x, y]))
    x = L.Dropout(0.3, name="drop")(L.Reshape((16, 4), name="rows")(x))
    x = L.LSTM(5, name="lstm")(x)
    x = L.Dense(6, activation="tanh", name="hidden")(x)
    model = Model(inputs, L.Dense(4, activation="softmax", name="classes")(x))
    model.compile("adam", "categorical_crossentropy")
    return model


NAMES = ("conv", "plain", "norm", "act", "sum", "pool", "rows", "drop", "lstm", "hidden", "classes")


def _twin(model: Any) -> Any:
    twin = _network()
    twin.set_weights(model.get_weights())
    return twin


def _fixed_random_states(models: list[Any]) -> None:
    """The same draws in all of them."""
    states = [[n for n in _variables(m) if n.name == "random_state"] for m in models]
    for others in states[1:]:
        for a, b in zip(states[0], others, strict=True):
            b.set_value(a.get_value())


def _variables(model: Any) -> list[Any]:
    wanted = model.train_function._latest().lowered.wanted
    return [variable for variable, _ in wanted.updates]


def test_values_are_those_that_a_graph_of_its_own_computes_and_training_stays_the_same() -> None:
    model = _network()
    twin = _twin(model)
    _fixed_random_states([model, twin])
    # The truth: the outputs of all layers, in training, as results of a Function without updates.
    outputs = [model.get_layer(name).output for name in NAMES]
    feeds = [X, Y, np.ones(12, "float32")]
    f = model.train_function
    truth = f.run(dict(zip(f.inputs, feeds, strict=True)), outputs, update=False)
    seen: dict[str, list[Any]] = {}
    taps = {name: lambda n, value, info: seen.setdefault(n, []).append((value, info)) for name in NAMES}
    model.fit(X, Y, 12, epochs=1, shuffle=False, verbose=0, taps=taps)
    twin.fit(X, Y, 12, epochs=1, shuffle=False, verbose=0)
    for name, wanted in zip(NAMES, truth, strict=True):
        ((value, info),) = seen[name]
        np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=1e-5, err_msg=name)
        assert info.layer == name and info.function == "train_function" and info.turns == ()
        assert info.live == (info.node != "-")
    live = {name for name in NAMES if seen[name][0][1].live}
    assert live >= {"conv", "plain", "pool", "drop", "lstm", "hidden"}
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert all(len(found) == 1 for found in seen.values())
    model.fit(X, Y, 12, epochs=1, verbose=0)
    assert all(len(found) == 1 for found in seen.values()), "taps of fit end with it"


def test_a_value_that_fusion_swallowed_is_computed_apart_from_the_same_numbers() -> None:
    x = K.placeholder((None, 3), name="x")
    w = K.variable(np.full(3, 2.0), name="w")
    inner = K.exp(x * w)
    inner.name = "inner"
    f = K.function([x], [K.sum(inner + 1)], updates=[(w, w + 1)])
    seen: list[Any] = []
    f.tap("inner", lambda name, value, info: seen.append((name, value, info)))
    data = RNG.standard_normal((4, 3)).astype("float32")
    for _ in range(2):
        f([data])
    for number, (name, value, info) in enumerate(seen):
        assert name == "inner" and not info.live and info.node == "-" and info.call == number
        np.testing.assert_allclose(value, np.exp(data * (2.0 + number)), rtol=1e-5)
    np.testing.assert_array_equal(K.get_value(w), [4, 4, 4])


def test_swallowed_random_numbers_are_those_of_the_step() -> None:
    x = K.placeholder((None,), name="x")
    noisy = x + K.random_normal((5,), seed=3)
    f = K.function([x], [K.square(noisy * 1.5), noisy * 2])
    values = f.fetch(noisy)
    result = f([np.zeros(5)])
    np.testing.assert_allclose(values[noisy] * 2, result[1], rtol=1e-6)


def test_fetch_takes_ids_tensors_names_and_leaves() -> None:
    x = K.placeholder((None, 3), name="x")
    w = K.variable(np.arange(6).reshape(3, 2), name="w")
    product = K.dot(x, w)
    f = K.function([x], [K.tanh(K.dot(product, K.constant(np.ones((2, 2)))))])
    id_ = next(n.id for n in f.facts().nodes if n.kind == "matmul")
    flat = K.reshape(x, (-1,))
    g = K.function([x], [K.dot(K.reshape(flat, (-1, 3)), w)])
    data = np.arange(6.0).reshape(2, 3)
    values = f.fetch(id_, product, "w", "x")
    with pytest.raises(KeyError, match="it is set by the next call"):
        values["w"]
    f([data])
    wanted = data @ np.arange(6).reshape(3, 2)
    for key in (id_, product):
        np.testing.assert_array_equal(values[key], wanted)
    np.testing.assert_array_equal(values["w"], np.arange(6).reshape(3, 2))
    np.testing.assert_array_equal(values["x"], data)
    assert not f._observers, "a fetch is over after one call"
    again = g.fetch(flat)
    g([data])
    np.testing.assert_array_equal(again[flat], data.reshape(-1))


def test_names_that_are_nothing_are_refused_with_what_comes_close() -> None:
    model = _network()
    f = model.train_function
    for name, hint in (("hiden", "hidden"), ("%9999", "there is no node %9999")):
        with pytest.raises(ValueError, match=hint):
            f.fetch(name)
        with pytest.raises(ValueError, match=hint):
            model.fit(X, Y, verbose=0, taps={name: print})
    x = K.placeholder((3,))
    with pytest.raises(ValueError, match="which is no input of it"):
        f.fetch(x)
    shared = L.Dense(2, name="shared")
    a = L.Input((2,))
    twice = Model(a, shared(shared(a)))
    twice.predict(np.eye(2))
    with pytest.raises(ValueError, match="'shared' stands for 2 tensors"):
        twice.predict_function.fetch("shared")
    values = twice.predict_function.fetch(shared.get_output_at(0))
    twice.predict(np.eye(2))
    (kernel, bias) = shared.get_weights()
    np.testing.assert_allclose(values[shared.get_output_at(0)], kernel + bias, rtol=1e-6)


@pytest.mark.parametrize("whole", [False, True], ids=["rows", "one call"])
def test_the_turns_of_a_loop_are_seen_one_by_one(whole: bool) -> None:
    x = K.placeholder((None, 4, 2))

    def step(now: Any, before: Any) -> Any:
        # A sum over all samples keeps the loop from becoming one kernel call.
        new = before[0] * 0.5 + (K.tanh(now) if whole else K.tanh(now) * K.sum(now))
        return new, [new]

    _, _, states = K.rnn(step, x, [K.zeros_like(x[:, 0])])
    f = K.function([x], states)
    data = RNG.standard_normal((3, 4, 2)).astype("float32")
    inner = [n.id for n in f.facts().nodes if n.inside is not None and n.role == "op"]
    seen: list[Any] = []
    values = f.fetch(inner[-1])
    with f.tap(inner[-1], lambda name, value, info: seen.append((info, value))):
        result = f([data])[0]
    f([data])
    assert [info.turns for info, _ in seen] == [(0,), (1,), (2,), (3,)]
    assert all(info.live is not whole and info.node == inner[-1] for info, _ in seen)
    np.testing.assert_array_equal(values[inner[-1]], [value for _, value in seen])
    np.testing.assert_allclose(seen[-1][1], result, rtol=1e-5)
    state = np.zeros((3, 2))
    for turn, (_, value) in enumerate(seen):
        now = data[:, turn].astype("float64")
        state = state * 0.5 + np.tanh(now) * (1 if whole else now.sum())
        np.testing.assert_allclose(value, state, rtol=1e-4, atol=1e-6)


def test_draws_of_a_loop_are_looked_at_as_they_are() -> None:
    """Whoever looks, the turns have the numbers of (seed, call, turn), and a check draws no further ones."""
    x = K.placeholder((3, 4))

    def noisy(entry: Any) -> Any:
        row = K.map_fn(lambda e: e + K.random_uniform((), seed=5), entry)
        return K.exp(K.random_uniform((4,), seed=7) - row)

    f = K.function([x], [K.map_fn(noisy, x)])
    data = RNG.standard_normal((3, 4)).astype("float32")

    def truth(call: int) -> np.ndarray:
        drawn = [[philox.uniform(1, 5, call, 4 * turn + i)[0] for i in range(4)] for turn in range(3)]
        return np.exp([philox.uniform(4, 7, call, turn) for turn in range(3)] - data - drawn)

    np.testing.assert_allclose(f([data])[0], truth(0), rtol=1e-5)
    assert f.check([data]).ok
    draws = [n.id for n in f.facts().nodes if n.op == "random_uniform"]
    (node,) = (name for name in draws if name.count(".") == 1)  # the outer loop's
    values = f.fetch(node)
    with symgraph.nan_guard():
        np.testing.assert_allclose(f([data])[0], truth(1), rtol=1e-5)
    np.testing.assert_array_equal(values[node], [philox.uniform(4, 7, 1, turn) for turn in range(3)])
    np.testing.assert_allclose(f([data])[0], truth(2), rtol=1e-5)


def test_a_layer_that_is_a_loop_hands_on_its_last_state() -> None:
    model = Sequential([L.GRU(3, input_shape=(5, 2), name="gru"), L.Dense(1)])
    model.compile("sgd", "mse")
    data = RNG.standard_normal((4, 5, 2)).astype("float32")
    head = Model(model.inputs, model.get_layer("gru").output)
    wanted = head.predict(data)
    values = model.train_function.fetch("gru")
    model.train_on_batch(data, np.zeros((4, 1)))
    np.testing.assert_allclose(values["gru"], wanted, rtol=1e-5, atol=1e-6)


def test_values_that_are_made_in_slices_are_put_together() -> None:
    x = K.placeholder((None, 64, 64, 3))
    w = K.variable(RNG.standard_normal((3, 3, 3, 16)) * 0.1)
    middle = K.relu(K.conv2d(x, w, padding="same"))
    f = K.function([x], [K.pool2d(middle, (2, 2), (2, 2))])
    data = RNG.standard_normal((64, 64, 64, 3)).astype("float32")
    values = f.fetch(middle)
    f([data])
    assert max(row.slice for row in f.program().rows) > 0
    np.testing.assert_allclose(values[middle], K.function([x], [middle])([data])[0], rtol=1e-5, atol=1e-6)


def test_sums_over_slices_are_seen_when_they_are_whole() -> None:
    x = K.placeholder((None, 64, 64, 3))
    w = K.variable(RNG.standard_normal((3, 3, 3, 16)) * 0.1)
    loss = K.sum(K.square(K.relu(K.conv2d(x, w, padding="same"))))
    (gradient,) = K.gradients(loss, [w])
    f = K.function([x], [loss], updates=[(w, w - 1e-6 * gradient)])
    data = RNG.standard_normal((64, 64, 64, 3)).astype("float32")
    wanted = K.function([x], [gradient])([data])[0]
    values = f.fetch(gradient)
    f([data])
    assert max(row.slice for row in f.program().rows) > 0
    np.testing.assert_allclose(values[gradient], wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


def test_what_a_callback_raises_ends_the_step_and_nothing_is_stored() -> None:
    model = _network()
    before = model.get_weights()

    def stop(name: str, value: Any, info: Any) -> None:
        raise RuntimeError(f"seen {name}")

    with pytest.raises(RuntimeError, match="seen hidden"):
        model.fit(X, Y, verbose=0, taps={"hidden": stop})
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    model.train_on_batch(X, Y)
    assert any(not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_a_tap_for_all_functions_lets_those_pass_that_have_no_such_node() -> None:
    model = _network()
    other = K.placeholder((2,))
    f = K.function([other], [other * 2])
    seen: list[str] = []
    with symgraph.tap("hidden", lambda name, value, info: seen.append(info.function)):
        f([np.ones(2)])
        model.train_on_batch(X, Y)
        model.predict(X)
    model.predict(X)
    assert seen == ["train_function", "predict_function"]
    wanted = pytest.raises(ValueError, match="no Function that was called has a node 'hiden'")
    with wanted, symgraph.tap("hiden", print):
        model.predict(X)


def test_values_are_copies() -> None:
    x = K.placeholder((3,), name="x")
    f = K.function([x], [K.exp(K.exp(x) * 2)])
    kept: list[Any] = []
    f.tap("x", lambda name, value, info: kept.append(value))
    data = np.arange(3, dtype="float32")
    f([data])
    kept[0][:] = 7
    np.testing.assert_array_equal(data, [0, 1, 2])


def test_wrong_taps_are_refused_before_training() -> None:
    model = Sequential([L.Dense(2, input_shape=(3,), name="only")])
    model.compile("sgd", "mse")
    before = model.get_weights()
    data = np.ones((4, 3)), np.ones((4, 2))
    with pytest.raises(TypeError, match="expected taps as a dictionary"):
        model.fit(*data, taps=["only"], verbose=0)
    with pytest.raises(TypeError, match="expected a function for 'only', got 3"):
        model.fit(*data, taps={"only": 3}, verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    seen: list[str] = []
    model.fit(*data, taps={model.layers[0]: lambda name, value, info: seen.append(name)}, verbose=0)
    assert seen == ["only"]
