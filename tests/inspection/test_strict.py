"""float32 that becomes float64, and losses whose shapes do not fit: said aloud."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import symgraph
from symgraph import backend as K
from symgraph import layers as L
from symgraph.models import Model, Sequential

RNG = np.random.default_rng(0)


def _here() -> int:
    return inspect.currentframe().f_back.f_lineno  # type: ignore[union-attr]


def test_a_widening_is_in_the_listing_with_its_line() -> None:
    x = K.placeholder((None, 3), name="x")
    line = _here() + 1
    y = K.exp(x) * K.constant([1.0, 2.0, 3.0], "float64")
    assert y.dtype == "float64"
    f = K.function([x], [K.sum(y)])
    assert f.facts().widened and f"{__file__}:{line}" in f.facts().widened[0]
    f([np.ones((2, 3))])
    last = f.listing().splitlines()[-1]
    assert "widens float32 to float64" in last and f"{__file__}:{line}" in last
    assert not K.function([x], [K.exp(x) * 2.0]).facts().widened


def test_strict_dtypes_refuse_what_widens_unsaid() -> None:
    x, y = K.placeholder((None, 3)), K.placeholder((3, 3), dtype="float64")
    array = np.ones(3)
    wide = K.constant(array, "float64")
    writers: list[Any] = [
        lambda: x * wide,
        lambda: wide - x,
        lambda: K.dot(x, y),
        lambda: K.concatenate([x, y], 0),
        lambda: K.maximum(x, y),
        lambda: K.switch(K.greater(x, 0), x, x * y[:1]),
    ]
    for write in writers:
        write()
        with (
            symgraph.strict_dtypes(),
            pytest.raises(TypeError, match="float32 would be widened to float64") as caught,
        ):
            write()
        assert f"{__file__}:" in str(caught.value) and "float32, float64" in str(caught.value).replace(
            "float64, float32", "float32, float64"
        )
    with symgraph.strict_dtypes():
        assert (x * 2.5 + 1).dtype == "float32"
        assert (x * np.float64(2.5)).dtype == "float32"
        assert (x * array).dtype == "float32"
        assert (K.cast(x, "float64") * array).dtype == "float64"
        assert (x * K.placeholder((3,), dtype="int64")).dtype == "float32"
    assert (x * wide).dtype == "float64"


def test_strict_dtypes_name_the_layer_and_let_networks_be_written() -> None:
    inputs = L.Input((4,))
    with symgraph.strict_dtypes():
        hidden = L.BatchNormalization()(L.Dense(3, activation="relu")(inputs))
        model = Model(inputs, L.Dense(1)(L.Dropout(0.5)(hidden)))
        model.compile("adam", "mse", metrics=["mae"])
        model.fit(RNG.standard_normal((8, 4)), RNG.standard_normal((8, 1)), verbose=0)
        with pytest.raises(TypeError, match="scaled"):
            L.Lambda(lambda t: t * K.constant([0, 1, 2], "float64"), name="scaled")(hidden)


Y = RNG.standard_normal(6).astype("float32")
X = RNG.standard_normal((6, 3)).astype("float32")


def _own(t: Any, p: Any) -> Any:
    return K.mean(K.square(t - p))


@pytest.mark.parametrize("loss", ["mse", _own], ids=["mse", "own"])
@pytest.mark.parametrize("target", [Y, Y[:, None]], ids=["(n,)", "(n, 1)"])
def test_targets_that_fit_in_one_way_only_are_taken_so(loss: Any, target: np.ndarray) -> None:
    """As in Keras, which gives (n,) the axis that an output of shape (n, 1) has."""
    model = Sequential([L.Dense(1, input_shape=(3,))])
    model.compile("sgd", loss)
    wanted = np.mean((model.predict(X)[:, 0].astype("float64") - Y) ** 2)
    assert model.train_on_batch(X, target) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("loss", ["mse", _own], ids=["mse", "own"])
def test_an_output_without_axes_takes_targets_without_axes(loss: Any) -> None:
    inputs = L.Input((3,))
    model = Model(inputs, L.Lambda(lambda t: K.sum(t, -1), output_shape=())(L.Dense(2)(inputs)))
    model.compile("sgd", loss)
    wanted = np.mean((model.predict(X).astype("float64") - Y) ** 2)
    assert model.train_on_batch(X, Y) == pytest.approx(wanted, rel=1e-5)
    with pytest.raises(ValueError, match=r"to have 1 dimensions, but got array with shape \(6, 1\)"):
        model.train_on_batch(X, Y[:, None])


def _crossed_target(t: Any, p: Any) -> Any:
    return K.mean(K.square(K.squeeze(t, -1) - p))


def _crossed_output(t: Any, p: Any) -> Any:
    return K.mean(K.square(t - K.squeeze(p, -1)))


@pytest.mark.parametrize("loss", [_crossed_target, _crossed_output])
def test_n_against_n_1_raises_at_the_first_batch_at_the_latest(loss: Any) -> None:
    model = Sequential([L.Dense(1, input_shape=(3,), name="one")])
    line = inspect.getsourcelines(loss)[1] + 1
    with pytest.raises(ValueError, match="one_loss") as caught:
        model.compile("sgd", loss)
        model.train_on_batch(X, Y)
    assert f"{__file__}:{line}" in str(caught.value)
    assert "shapes" in str(caught.value)


def test_a_loss_may_compare_all_outputs_with_each_other() -> None:
    def ranks(t: Any, p: Any) -> Any:
        wanted, got = (K.squeeze(v, -1) - K.reshape(v, (-1, 1)) for v in (t, p))
        return K.mean(K.square(wanted - got), -1)

    model = Sequential([L.Dense(1, input_shape=(3,))])
    model.compile("sgd", ranks)
    p = model.predict(X)[:, 0].astype("float64")
    wanted = np.mean((np.subtract.outer(Y, Y) - np.subtract.outer(p, p)) ** 2)
    assert model.train_on_batch(X, Y) == pytest.approx(wanted, rel=1e-4)
