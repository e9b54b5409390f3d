"""Optimizers against steps written by hand in float64 numpy, on f(p) = Σ c (p - target)²."""

import numpy as np
import pytest

from symgraph import backend as K
from symgraph import constraints, optimizers
from symgraph.graph.evaluate import evaluate
from symgraph.utils import custom_object_scope

STEPS = 5
RNG = np.random.default_rng(0)
STARTS = [RNG.normal(size=(3, 2)), RNG.normal(size=4)]
TARGETS = [RNG.normal(size=(3, 2)), RNG.normal(size=4)]
CURVES = [RNG.uniform(0.5, 2, (3, 2)), RNG.uniform(0.5, 2, 4)]
EPSILON = 1e-7


@pytest.fixture(autouse=True)
def double_precision():
    K.set_floatx("float64")
    yield
    K.set_floatx("float32")


def problem():
    params = [K.variable(p, name=f"p{i}") for i, p in enumerate(STARTS)]
    parts = [K.sum(c * K.square(p - t)) for p, c, t in zip(params, CURVES, TARGETS, strict=True)]
    return params, parts[0] + parts[1]


def run(optimizer, steps=STEPS):
    """Values of the parameters after each step."""
    params, loss = problem()
    step = K.function([], [loss], updates=optimizer.get_updates(loss, params))
    path = []
    for _ in range(steps):
        step([])
        path.append([K.get_value(p) for p in params])
    assert K.get_value(optimizer.iterations) == steps
    return path


def by_hand(rule, states, steps=STEPS, clip=lambda grads: grads):
    """`rule(p, g, state, t)` returns the new p and state; t counts from 1."""
    values = [p.copy() for p in STARTS]
    memory = [[np.zeros_like(p) for _ in range(states)] for p in STARTS]
    path = []
    for t in range(1, steps + 1):
        grads = clip([2 * c * (p - target) for c, p, target in zip(CURVES, values, TARGETS, strict=True)])
        moved = [rule(p, g, s, t) for p, g, s in zip(values, grads, memory, strict=True)]
        values, memory = [m[0] for m in moved], [list(m[1:]) for m in moved]
        path.append(values)
    return path


def sgd(lr, momentum=0.0, decay=0.0, nesterov=False):
    def rule(p, g, state, t):
        rate = lr / (1 + decay * (t - 1))
        v = momentum * state[0] - rate * g
        return p + (momentum * v - rate * g if nesterov else v), v

    return rule, 1


def rmsprop(lr, rho=0.9, decay=0.0):
    def rule(p, g, state, t):
        a = rho * state[0] + (1 - rho) * g**2
        return p - lr / (1 + decay * (t - 1)) * g / (np.sqrt(a) + EPSILON), a

    return rule, 1


def adagrad(lr, epsilon=EPSILON):
    def rule(p, g, state, t):
        a = state[0] + g**2
        return p - lr * g / (np.sqrt(a) + epsilon), a

    return rule, 1


def adadelta(lr, rho=0.95, epsilon=EPSILON, decay=0.0):
    def rule(p, g, state, t):
        a = rho * state[0] + (1 - rho) * g**2
        s = g * np.sqrt(state[1] + epsilon) / np.sqrt(a + epsilon)
        return p - lr / (1 + decay * (t - 1)) * s, a, rho * state[1] + (1 - rho) * s**2

    return rule, 2


def adam(lr, b1=0.9, b2=0.999, amsgrad=False, decay=0.0):
    def rule(p, g, state, t):
        m, v = b1 * state[0] + (1 - b1) * g, b2 * state[1] + (1 - b2) * g**2
        size = np.maximum(state[2], v) if amsgrad else v
        rate = lr / (1 + decay * (t - 1)) * np.sqrt(1 - b2**t) / (1 - b1**t)
        return p - rate * m / (np.sqrt(size) + EPSILON), m, v, size

    return rule, 3


def adamax(lr, b1=0.9, b2=0.999):
    def rule(p, g, state, t):
        m, u = b1 * state[0] + (1 - b1) * g, np.maximum(b2 * state[1], np.abs(g))
        return p - lr / (1 - b1**t) * m / (u + EPSILON), m, u

    return rule, 2


def nadam(lr, b1=0.9, b2=0.999, schedule_decay=0.004):
    def mu(t):
        return b1 * (1 - 0.5 * 0.96 ** (t * schedule_decay))

    def rule(p, g, state, t):
        m, v = b1 * state[0] + (1 - b1) * g, b2 * state[1] + (1 - b2) * g**2
        product = np.prod([mu(i) for i in range(1, t + 1)])
        m_bar = (1 - mu(t)) * g / (1 - product) + mu(t + 1) * m / (1 - product * mu(t + 1))
        return p - lr * m_bar / (np.sqrt(v / (1 - b2**t)) + EPSILON), m, v

    return rule, 2


CASES = [
    (optimizers.SGD, {}, sgd(0.01)),
    (optimizers.SGD, {"lr": 0.1, "momentum": 0.9, "decay": 0.1}, sgd(0.1, 0.9, 0.1)),
    (optimizers.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}, sgd(0.1, 0.9, 0.0, True)),
    (optimizers.RMSprop, {}, rmsprop(0.001)),
    (optimizers.RMSprop, {"lr": 0.1, "rho": 0.5, "decay": 0.2}, rmsprop(0.1, 0.5, 0.2)),
    (optimizers.Adagrad, {}, adagrad(0.01)),
    (optimizers.Adagrad, {"lr": 0.5, "epsilon": 0.1}, adagrad(0.5, 0.1)),
    (optimizers.Adadelta, {}, adadelta(1.0)),
    (
        optimizers.Adadelta,
        {"lr": 0.5, "rho": 0.5, "epsilon": 1e-2, "decay": 0.3},
        adadelta(0.5, 0.5, 1e-2, 0.3),
    ),
    (optimizers.Adam, {}, adam(0.001)),
    (
        optimizers.Adam,
        {"lr": 0.1, "beta_1": 0.5, "beta_2": 0.6, "decay": 0.1},
        adam(0.1, 0.5, 0.6, decay=0.1),
    ),
    (optimizers.Adam, {"lr": 0.1, "beta_2": 0.3, "amsgrad": True}, adam(0.1, b2=0.3, amsgrad=True)),
    (optimizers.Adamax, {}, adamax(0.002)),
    (optimizers.Adamax, {"lr": 0.1, "beta_1": 0.5, "beta_2": 0.3}, adamax(0.1, 0.5, 0.3)),
    (optimizers.Nadam, {}, nadam(0.002)),
    (optimizers.Nadam, {"lr": 0.1, "schedule_decay": 0.4}, nadam(0.1, schedule_decay=0.4)),
]


@pytest.mark.parametrize(("made", "arguments", "rule"), CASES, ids=lambda v: getattr(v, "__name__", ""))
def test_steps(made, arguments, rule):
    for actual, expected in zip(run(made(**arguments)), by_hand(*rule), strict=True):
        for a, b in zip(actual, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10)


def test_clipping():
    def by_norm(grads):
        norm = np.sqrt(sum(np.square(g).sum() for g in grads))
        return [g * min(1, 0.5 / norm) for g in grads]

    def by_value(grads):
        return [np.clip(g, -0.3, 0.3) for g in grads]

    for arguments, clip in (({"clipnorm": 0.5}, by_norm), ({"clipvalue": 0.3}, by_value)):
        for actual, expected in zip(
            run(optimizers.SGD(0.1, **arguments)), by_hand(*sgd(0.1), clip=clip), strict=True
        ):
            for a, b in zip(actual, expected, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-10)
        assert optimizers.SGD(**arguments).get_config() == {**optimizers.SGD().get_config(), **arguments}


def test_a_norm_is_held_below_its_limit():
    g = np.array([3.0, -4.0])
    for limit, expected in ((2.0, g * 0.4), (5.0, g), (7.0, g), (0.0, g)):
        clipped = optimizers.clip_norm(K.variable(g, "float64"), limit, K.constant(5.0, "float64"))
        np.testing.assert_allclose(K.eval(clipped), expected, rtol=1e-12)


def test_constraints_apply_to_new_values():
    p = K.variable([1.0, -1.0], constraint=constraints.NonNeg())
    step = K.function([], [], optimizers.SGD(1.0).get_updates(K.sum(p * [3.0, -0.5]), [p]))
    step([])
    np.testing.assert_array_equal(K.get_value(p), [0, 0])
    step([])
    np.testing.assert_array_equal(K.get_value(p), [0, 0.5])


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adadelta", "adam", "adamax", "nadam"])
def test_state_is_stored_beside_a_constraint_that_reduces(name):
    """State and unconstrained parameter come out of one sweep, the constraint needs a second one."""
    p = K.variable(STARTS[0], constraint=constraints.MaxNorm(0.5))
    optimizer = optimizers.get(name)
    updates = optimizer.get_updates(K.sum(K.square(p - 1)), [p])
    step = K.function([], [], updates)
    for _ in range(3):
        expected = evaluate([value for _, value in updates])
        step([])
        for (variable, _), value in zip(updates, expected, strict=True):
            np.testing.assert_allclose(K.get_value(variable), value, rtol=1e-10)


def test_the_learning_rate_is_a_variable():
    params, loss = problem()
    optimizer = optimizers.SGD(0.1)
    step = K.function([], [], optimizer.get_updates(loss, params))
    K.set_value(optimizer.lr, 0.0)
    step([])
    np.testing.assert_array_equal(K.get_value(params[0]), STARTS[0])
    assert optimizer.get_config()["lr"] == 0.0


SIZES = {"sgd": 3, "rmsprop": 2, "adagrad": 2, "adadelta": 4, "adam": 7, "adamax": 5, "nadam": 5}


@pytest.mark.parametrize("name", SIZES)
def test_weights(name):
    optimizer = optimizers.get(name)
    assert optimizer.get_weights() == []
    run(optimizer, 2)
    before = optimizer.get_weights()
    assert len(before) == SIZES[name]
    names = [w.name for w in optimizer.weights]
    assert len(set(names)) == len(names) and all(n.startswith(type(optimizer).__name__) for n in names)
    optimizer.set_weights([w + 1 for w in before])
    for value, old in zip(optimizer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, old + 1)
    with pytest.raises(ValueError, match="does not match the number of weights"):
        optimizer.set_weights(before[:-1])
    with pytest.raises(ValueError, match="Optimizer weight shape"):
        optimizer.set_weights([*before[:-1], np.zeros((9, 9))])
    for value, old in zip(optimizer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, old + 1)


@pytest.mark.parametrize("name", SIZES)
def test_state_carries_over(name):
    first, second, fresh = (optimizers.get(name) for _ in range(3))
    whole = run(first, 4)
    params, loss = problem()
    step = K.function([], [], second.get_updates(loss, params))
    run(fresh, 2)
    second.set_weights(fresh.get_weights())
    K.batch_set_value(list(zip(params, whole[1], strict=True)))
    for _ in range(2):
        step([])
    for param, expected in zip(params, whole[3], strict=True):
        np.testing.assert_allclose(K.get_value(param), expected)


@pytest.mark.parametrize(("made", "arguments", "_"), CASES, ids=lambda v: getattr(v, "__name__", ""))
def test_round_trip(made, arguments, _):
    config = optimizers.serialize(made(**arguments))
    assert config["class_name"] == made.__name__ and config["config"].items() >= arguments.items()
    for again in (optimizers.get(config), optimizers.deserialize(config)):
        assert type(again) is made and again.get_config() == config["config"]


def test_float32_parameters_stay_float32():
    p = K.variable(np.ones(3), "float32")
    for name in SIZES:
        optimizer = optimizers.get(name)
        for variable, value in optimizer.get_updates(K.sum(K.square(p)), [p]):
            assert K.dtype(variable) == K.dtype(value)


def test_get_and_errors():
    for name in ("SGD", "sgd", "AdaM"):
        assert type(optimizers.get(name)).__name__.lower() == name.lower()
    made = optimizers.Adam()
    assert optimizers.get(made) is made

    class Mine(optimizers.SGD):
        pass

    with custom_object_scope({"Mine": Mine}):
        assert type(optimizers.get("Mine")) is Mine
    with pytest.raises(ValueError, match="Unknown optimizer: nothing"):
        optimizers.get("nothing")
    with pytest.raises(ValueError, match="Could not interpret optimizer identifier: 3"):
        optimizers.get(3)
    with pytest.raises(TypeError, match="Unexpected keyword argument passed to optimizer: clip"):
        optimizers.SGD(clip=1)
    with pytest.raises(NotImplementedError):
        optimizers.Optimizer().get_updates(K.variable(0.0), [])


def test_parameters_without_gradient():
    p, q = K.variable([1.0], name="p"), K.variable([1.0], name="q")
    with pytest.raises(
        ValueError, match="An operation has `None` for gradient: the loss does not depend on q:0"
    ):
        optimizers.SGD().get_updates(K.sum(p), [p, q])


def test_the_name_in_the_configuration_becomes_small():
    """As in Keras, which looks the name up in it."""
    given = {"class_name": "SGD", "config": {"lr": 0.5}}
    assert type(optimizers.deserialize(given)) is optimizers.SGD
    assert given == {"class_name": "sgd", "config": {"lr": 0.5}}

    class Mine(optimizers.SGD):
        pass

    own = {"class_name": "Mine", "config": {}}
    assert type(optimizers.deserialize(own, {"Mine": Mine})) is Mine
    assert own["class_name"] == "Mine"
    with pytest.raises(ValueError, match="Unknown optimizer: Nope"):
        optimizers.deserialize({"class_name": "Nope", "config": {}})
