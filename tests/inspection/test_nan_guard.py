"""The first NaN or infinity of a call is found where it is made, and nothing is stored."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symgraph
from symgraph import backend as K
from symgraph import layers as L
from symgraph.models import Model, Sequential
from symgraph.optimizers import SGD

RNG = np.random.default_rng(0)


def _forward(t: Any) -> Any:
    return K.log(-1 - K.square(t))


def _backward(t: Any) -> Any:
    return K.pow(t * 0, 0.5) + t  # 0, and a slope without bounds


def _line(function: Callable[..., Any]) -> str:
    """File and line of a function's only statement."""
    return f"{__file__}:{inspect.getsourcelines(function)[1] + 1}"


IMAGE, STEPS, FLAT = (8, 8, 3), (6, 4), (5,)
LAYERS: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "dense": (lambda: L.Dense(7), FLAT),
    "dense_relu": (lambda: L.Dense(7, activation="relu"), FLAT),
    "activation": (lambda: L.Activation("tanh"), FLAT),
    "softmax": (lambda: L.Softmax(), FLAT),
    "leaky_relu": (lambda: L.LeakyReLU(), FLAT),
    "prelu": (lambda: L.PReLU(), FLAT),
    "dropout": (lambda: L.Dropout(0.3), FLAT),
    "gaussian_noise": (lambda: L.GaussianNoise(0.3), FLAT),
    "batch_normalization": (lambda: L.BatchNormalization(), FLAT),
    "reshape": (lambda: L.Reshape((5, 1)), FLAT),
    "repeat": (lambda: L.RepeatVector(3), FLAT),
    "lambda": (lambda: L.Lambda(lambda t: t * 2 + 1), FLAT),
    "conv1d": (lambda: L.Conv1D(3, 2), STEPS),
    "conv2d": (lambda: L.Conv2D(4, 3, activation="relu"), IMAGE),
    "separable": (lambda: L.SeparableConv2D(4, 3), IMAGE),
    "transposed": (lambda: L.Conv2DTranspose(4, 3), IMAGE),
    "max_pooling": (lambda: L.MaxPooling2D(), IMAGE),
    "average_pooling": (lambda: L.AveragePooling2D(), IMAGE),
    "global_pooling": (lambda: L.GlobalMaxPooling2D(), IMAGE),
    "up_sampling": (lambda: L.UpSampling2D(), IMAGE),
    "zero_padding": (lambda: L.ZeroPadding2D(), IMAGE),
    "flatten": (lambda: L.Flatten(), IMAGE),
    "permute": (lambda: L.Permute((2, 1)), STEPS),
    "lstm": (lambda: L.LSTM(3, return_sequences=True), STEPS),
    "gru": (lambda: L.GRU(3), STEPS),
    "simple_rnn": (lambda: L.SimpleRNN(3), STEPS),
    "bidirectional": (lambda: L.Bidirectional(L.LSTM(3)), STEPS),
    "time_distributed": (lambda: L.TimeDistributed(L.Dense(3)), STEPS),
    "locally_connected": (lambda: L.LocallyConnected1D(3, 2), STEPS),
}
MERGES = {"add": L.Add, "multiply": L.Multiply, "concatenate": L.Concatenate, "dot": lambda: L.Dot(1)}


def _model(layer: Any, shape: tuple[int, ...], plant: Callable[..., Any]) -> Any:
    inputs = L.Input(shape)
    if isinstance(layer, L.Embedding):
        middle = layer(inputs)
    elif layer.__class__.__name__ in ("Add", "Multiply", "Concatenate", "Dot"):
        middle = layer([L.Dense(4, name="left")(inputs), L.Dense(4, name="right")(inputs)])
    else:
        middle = layer(L.PReLU(name="before")(inputs))  # weights that gradients are wanted for
    planted = L.Lambda(plant, name="plant")(middle)
    flat = L.Flatten()(planted) if len(K.int_shape(planted)) > 2 else planted
    return Model(inputs, L.Dense(2, name="last")(flat))


def _check_plant(layer: Any, shape: tuple[int, ...], plant: Callable[..., Any], data: Any = None) -> None:
    model = _model(layer, shape, plant)
    model.compile("adam", "mse", nan_guard=True)
    before = model.get_weights() + [K.get_value(w) for w in model.optimizer.weights]
    x = RNG.standard_normal((4, *shape)) if data is None else data
    with pytest.raises(FloatingPointError, match="layer plant") as caught:
        model.train_on_batch(x, np.zeros((4, 2)))
    error: Any = caught.value
    assert error.layer == "plant" and error.node in str(error)
    assert any(_line(plant) in origin for origin in error.origins)
    for old, new in zip(
        before, model.get_weights() + [K.get_value(w) for w in model.optimizer.weights], strict=True
    ):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("plant", [_forward, _backward], ids=["forward", "backward"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_plant_behind_a_layer_is_named_in_the_same_step(name: str, plant: Callable[..., Any]) -> None:
    make, shape = LAYERS[name]
    _check_plant(make(), shape, plant)


@pytest.mark.parametrize("name", MERGES)
def test_a_plant_behind_a_merge_is_named(name: str) -> None:
    _check_plant(MERGES[name](), FLAT, _forward)


def test_a_plant_behind_an_embedding_is_named() -> None:
    for plant in (_forward, _backward):
        _check_plant(L.Embedding(10, 3), (6,), plant, RNG.integers(0, 10, (4, 6)))


def _small(**compiled: Any) -> Any:
    model = Sequential(
        [L.Dense(4, activation="relu", input_shape=(3,), name="first"), L.Dense(1, name="second")]
    )
    model.compile(SGD(0.1), "mse", **compiled)
    return model


X, Y = RNG.standard_normal((8, 3)).astype("float32"), RNG.standard_normal((8, 1)).astype("float32")


def test_what_is_finite_is_trained_as_ever() -> None:
    plain, guarded = _small(), _small(nan_guard=True)
    guarded.set_weights(plain.get_weights())
    for model in (plain, guarded):
        model.fit(X, Y, 3, epochs=4, shuffle=False, verbose=0)
    for a, b in zip(plain.get_weights(), guarded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("bad", ["input", "target", "kernel"])
def test_a_nan_that_is_given_is_named_as_such(bad: str) -> None:
    model, x, y = _small(), X.copy(), Y.copy()
    if bad == "input":
        x[2, 1] = x[5, 0] = np.nan
        wanted = "train_function: input first_input has 2 NaN of 24 numbers, the first at \\[2, 1\\]"
    elif bad == "target":
        y[3, 0] = np.inf
        wanted = "train_function: input second_target has 1 infinite of 8 numbers, the first at \\[3, 0\\]"
    else:
        kernel, bias = model.layers[1].get_weights()
        kernel[3, 0] = np.nan
        model.layers[1].set_weights([kernel, bias])
        wanted = "train_function: variable second/kernel:0 has 1 NaN of 4 numbers.*layer second"
    with symgraph.nan_guard(), pytest.raises(FloatingPointError, match=wanted):
        model.fit(x, y, 8, shuffle=False, verbose=0)
    model.fit(x, y, 8, verbose=0)  # outside of the block nobody looks


def test_the_error_tells_ranges_of_inputs_and_the_step_of_a_fused_kernel() -> None:
    x, scale = K.placeholder((None, 3), name="x"), K.variable(np.array([1e30, 1.0, 2.0]), name="scale")
    line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]
    large = x * scale
    f = K.function([x], [large * large - 1], nan_guard=True)
    assert len([n for n in f.facts().nodes if n.role == "op"]) == 1
    np.testing.assert_allclose(f([np.zeros((2, 3))])[0], np.full((2, 3), -1.0))
    with pytest.raises(FloatingPointError) as caught:
        f([np.array([[1e10, 1.0, -3.0]])])
    text = str(caught.value)
    assert "the first infinity is made by multiply (a step of fused[" in text
    assert f"{__file__}:{line}" in text
    assert "x: float32(1, 3), -3 to 1e+10" in text and "scale:0: float32(3,), 1 to 1e+30" in text


def test_infinities_may_be_allowed() -> None:
    x = K.placeholder((None,))
    f, g = (K.function([x], [K.exp(x)], nan_guard=kind) for kind in ("nan", True))
    assert np.isinf(f([np.array([1000.0])])[0]).all()
    with pytest.raises(FloatingPointError, match="the first infinity is made by exp"):
        g([np.array([1000.0])])
    with symgraph.nan_guard(allow_inf=True):
        assert np.isinf(K.function([x], [K.exp(x)])([np.array([1000.0])])[0]).all()
    with pytest.raises(FloatingPointError, match="the first NaN is made by"):
        K.function([x], [K.exp(x) - K.exp(x + 1)], nan_guard="nan")([np.array([1000.0])])
    with pytest.raises(ValueError, match="expected True, False or 'nan', got 'inf'"):
        K.function([x], [x + 1], nan_guard="inf")


def test_infinite_constants_are_meant_so() -> None:
    x = K.placeholder((None, 4))
    masked = K.switch(K.greater(x, 0), x, K.constant(-np.inf) + 0 * K.zeros_like(x))
    f = K.function([x], [K.softmax(masked)], nan_guard=True)
    np.testing.assert_allclose(f([np.array([[1, -1, 1, -1.0]])])[0], [[0.5, 0, 0.5, 0]], rtol=1e-6)
    with pytest.raises(FloatingPointError, match=r"constant .* has 1 NaN"):
        K.function([x], [x * K.constant([1, np.nan, 1, 1])], nan_guard=True)([np.ones((1, 4))])


@pytest.mark.parametrize("whole", [False, True], ids=["rows", "one call"])
@pytest.mark.parametrize("backward", [False, True])
def test_the_turn_of_a_loop_is_named(backward: bool, whole: bool) -> None:
    x = K.placeholder((None, 5, 2))

    def step(now: Any, before: Any) -> Any:
        new = before[0] * 1e18 + now
        # A sum over all samples keeps the loop from becoming one kernel call.
        return K.exp(new if whole else new + K.sum(now)), [new]

    _, outputs, _ = K.rnn(step, x, [K.zeros_like(x[:, 0])], go_backwards=backward)
    f = K.function([x], [outputs], nan_guard="nan")
    g = K.function([x], [outputs], nan_guard=True)
    # 1, 1e18, 1e36: exp of the second one is infinite. Inputs come last first under `backward`.
    data = np.zeros((1, 5, 2))
    data[0, 4 if backward else 0] = 1.0
    f([data])
    assert any("sequence[" in row.kernel.name for row in f.program().rows) is whole
    with pytest.raises(FloatingPointError, match=r"turn 2 of 5 of the loop %") as caught:
        g([data])
    error: Any = caught.value
    assert error.turns == (1,) and error.op == "exp" and "." in error.node
    assert "layer" not in str(error) and f"{__file__}:{_line_of(step, 'return')}" in str(error)


def _line_of(function: Callable[..., Any], text: str) -> int:
    lines, first = inspect.getsourcelines(function)
    return first + next(i for i, line in enumerate(lines) if text in line)


def test_the_slice_of_the_samples_is_named() -> None:
    x = K.placeholder((None, 64, 64, 3))
    middle = K.relu(K.conv2d(x, K.variable(np.ones((3, 3, 3, 16))), padding="same"))
    f = K.function([x], [K.pool2d(middle, (2, 2), (2, 2))], nan_guard=True)
    data = np.zeros((64, 64, 64, 3), "float32")
    f([data])
    slices = max(row.slice for row in f.program().rows) + 1
    assert slices > 1
    data[-1, 5, 5] = 3e38
    data[-1, 5, 6] = 3e38
    with pytest.raises(FloatingPointError, match=f"in slice {slices} of the samples") as caught:
        f([data])
    assert caught.value.slice == slices - 1  # type: ignore[attr-defined]


def test_a_new_value_that_overflows_is_not_stored_and_nothing_else_is() -> None:
    a, b = K.variable(np.ones(3), name="a"), K.variable(np.full(3, 1e30), name="b")
    x = K.placeholder((), name="x")
    f = K.function([x], [x], updates=[(a, a + 1), (b, b * x)], nan_guard=True)
    f([10.0])
    with pytest.raises(FloatingPointError, match="the first infinity is made by multiply"):
        f([1e20])
    np.testing.assert_array_equal(K.get_value(a), [2, 2, 2])
    np.testing.assert_allclose(K.get_value(b), 1e31, rtol=1e-6)


def test_random_numbers_are_not_drawn_on_by_a_step_that_failed() -> None:
    x = K.placeholder((None,))
    f = K.function([x], [K.random_uniform((3,), seed=4), K.log(x)], nan_guard="nan")
    plain = K.function([x], [K.random_uniform((3,), seed=4)])
    first = f([np.ones(1)])[0]
    with pytest.raises(FloatingPointError):
        f([-np.ones(1)])
    np.testing.assert_array_equal(first, plain([np.ones(1)])[0])
    np.testing.assert_array_equal(f([np.ones(1)])[0], plain([np.ones(1)])[0])


def test_an_optimizer_that_explodes_is_named_and_leaves_the_weights() -> None:
    model = _small(nan_guard=True)
    K.set_value(model.optimizer.lr, 3e38)
    before = model.get_weights()
    with pytest.raises(FloatingPointError, match="training/SGD"):
        model.train_on_batch(100 * X, Y)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert K.get_value(model.optimizer.iterations) == 0


def test_prediction_and_evaluation_are_guarded_too() -> None:
    model = _small(nan_guard=True)
    model.layers[0].set_weights([np.full((3, 4), 1e38), np.zeros(4)])
    for call in (lambda: model.predict(100 + 0 * X), lambda: model.evaluate(100 + 0 * X, Y, verbose=0)):
        with pytest.raises(FloatingPointError, match="layer first"):
            call()


def test_what_a_choice_does_not_run_is_not_looked_at() -> None:
    x, chosen = K.placeholder((3,)), K.placeholder((), dtype="bool")
    y = K.switch(chosen, lambda: K.log(x), lambda: x * 2)
    f = K.function([x, chosen], [y], nan_guard=True)
    np.testing.assert_array_equal(f([-np.ones(3), False])[0], [-2, -2, -2])
    with pytest.raises(FloatingPointError, match="made by log"):
        f([-np.ones(3), True])
    np.testing.assert_array_equal(f([-np.ones(3), False])[0], [-2, -2, -2])
