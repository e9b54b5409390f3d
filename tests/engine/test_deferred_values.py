"""Weights whose first values are drawn when they are needed, and values handed over without a copy."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph import initializers, models
from symgraph.engine.weights.assignment import hand_over
from symgraph.layers import BatchNormalization, Dense, Embedding
from symgraph.models import Model, Sequential, load_model


def network(**kwargs: Any) -> Any:
    return Sequential(
        [
            Dense(7, input_shape=(5,), kernel_initializer="he_normal", **kwargs),
            BatchNormalization(),
            Dense(3, kernel_initializer="random_uniform"),
        ]
    )


def generator_state() -> Any:
    name, words, *rest = np.random.get_state()
    return name, words.tobytes(), *rest


def test_values_are_drawn_when_they_are_needed() -> None:
    """In the order in which they are needed, from the generator as it then is."""
    with initializers.deferred():
        model = network()
    np.random.seed(3)
    before = generator_state()
    assert model.count_params() == 5 * 7 + 7 + 4 * 7 + 7 * 3 + 3
    assert K.int_shape(model.weights[0]) == (5, 7)
    assert generator_state() == before
    kernel = model.weights[0].get_value()
    np.random.seed(3)
    np.testing.assert_array_equal(kernel, initializers.he_normal()((5, 7)))
    np.testing.assert_array_equal(model.weights[0].get_value(), kernel)


def test_a_prediction_draws_them() -> None:
    with initializers.deferred():
        model = network()
    np.random.seed(4)
    x = np.ones((2, 5), "float32")
    found = model.predict(x)
    weights = model.get_weights()
    assert all(np.abs(weights[n]).min() > 0 for n in (0, 6))
    np.testing.assert_array_equal(model.predict(x), found)
    model.set_weights([np.zeros_like(w) for w in weights])
    np.testing.assert_array_equal(model.predict(x), np.zeros((2, 3)))


def test_the_same_numbers_without_a_block_as_ever() -> None:
    np.random.seed(9)
    values = network().get_weights()
    np.random.seed(9)
    np.testing.assert_array_equal(values[0], initializers.he_normal()((5, 7)))
    np.testing.assert_array_equal(values[6], initializers.RandomUniform()((7, 3)))


def test_functions_of_a_script_are_called_at_once() -> None:
    """What they return counts, and stays theirs."""
    kept = np.arange(35, dtype="float32").reshape(5, 7)
    with initializers.deferred():
        layer = Dense(7, input_shape=(5,), kernel_initializer=lambda shape: kept)
        model = Sequential([layer])
    assert not initializers.are_deferred()
    K.set_value(layer.kernel, np.zeros((5, 7)))
    assert kept[-1, -1] == 34 and not model.get_weights()[0].any()

    class Mine(initializers.RandomNormal):
        def __call__(self, shape: Any, dtype: str | None = None) -> np.ndarray:
            return kept

    model = Sequential([Dense(7, input_shape=(5,), kernel_initializer=Mine())])
    K.set_value(model.weights[0], np.zeros((5, 7)))
    assert kept[-1, -1] == 34


def test_the_float_type_is_that_of_the_block() -> None:
    K.set_floatx("float64")
    with initializers.deferred():
        model = network()
    K.set_floatx("float32")
    np.random.seed(3)
    kernel = model.weights[0].get_value()
    np.random.seed(3)
    np.testing.assert_array_equal(kernel, initializers.he_normal()((5, 7), "float64"))
    assert kernel.dtype == "float64"


def test_loading_leaves_the_generator_alone(tmp_path: Path) -> None:
    """As in Keras on TensorFlow."""
    model = network()
    model.save(tmp_path / "model.h5")
    before = generator_state()
    again = load_model(tmp_path / "model.h5", compile=False)
    assert generator_state() == before
    for found, expected in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_given_weights_are_not_drawn_first() -> None:
    matrix = np.random.default_rng(0).normal(size=(50, 4)).astype("float32")
    before = generator_state()
    layer = Embedding(50, 4, input_length=2, weights=[matrix])
    model = Sequential([layer])
    assert generator_state() == before
    np.testing.assert_array_equal(model.predict(np.array([[1, 2]]))[0], matrix[1:3])
    K.set_value(layer.embeddings, matrix * 2)
    np.testing.assert_array_equal(layer.get_weights()[0], matrix * 2)


def test_architectures_draw_nothing_that_a_file_has(tmp_path: Path) -> None:
    kwargs: dict[str, Any] = {"alpha": 0.25, "input_shape": (32, 32, 3), "classes": 4}
    first = models.MobileNet(weights=None, **kwargs)
    first.save_weights(tmp_path / "weights.h5")
    np.random.seed(0)
    with initializers.deferred():
        models.MobileNet(weights=None, **kwargs)
    seeds_of_dropout = generator_state()
    np.random.seed(0)
    again = models.MobileNet(weights=str(tmp_path / "weights.h5"), **kwargs)
    assert generator_state() == seeds_of_dropout
    for found, expected in zip(again.get_weights(), first.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert models.MobileNet.__name__ == "MobileNet" and "weights" in (models.MobileNet.__doc__ or "")


@pytest.mark.parametrize("way", ["load_model", "load_weights"])
def test_loading_takes_the_memory_of_the_weights(way: str, tmp_path: Path) -> None:
    """Nothing is held twice: neither first values nor what was read."""

    def made() -> Any:
        return Sequential([Dense(1024, input_shape=(1024,)), Dense(1024), Dense(1024)])

    path = tmp_path / "model.h5"
    made().save(path)
    load_model(path, compile=False)  # what the first load imports and keeps
    tracemalloc.start()
    if way == "load_model":
        model = load_model(path, compile=False)
    else:
        with initializers.deferred():
            model = made()
        model.load_weights(path)
    model.predict(np.ones((1, 1024), "float32"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.3 * 4 * model.count_params()


def test_compiled_programs_see_what_is_loaded_later(tmp_path: Path) -> None:
    model, other = network(), network()
    other.save_weights(tmp_path / "other.h5")
    x = np.random.default_rng(1).normal(size=(4, 5)).astype("float32")
    assert not np.allclose(model.predict(x), other.predict(x))
    model.load_weights(tmp_path / "other.h5")
    np.testing.assert_array_equal(model.predict(x), other.predict(x))


def test_hand_over_is_all_or_none() -> None:
    a, b = K.variable(np.zeros(3)), K.variable(np.ones(2))
    with pytest.raises(ValueError, match=r"expected a value of shape \(2,\), got \(3,\)"):
        hand_over([(a, np.full(3, 5.0, "float32")), (b, np.zeros(3, "float32"))])
    with pytest.raises(TypeError, match="expected numbers"):
        hand_over([(a, np.full(3, 5.0, "float32")), (b, np.array(["x", "y"]))])
    assert not K.get_value(a).any() and K.get_value(b).all()


def test_two_weights_of_one_array_stay_apart() -> None:
    """Views of one array, and the same one twice, are not both taken over."""
    both = np.arange(64, dtype="float32").reshape(2, 32)
    a, b, c = (K.variable(np.zeros(32)) for _ in range(3))
    hand_over([(a, both[0]), (b, both[1]), (c, both[0])])
    K.set_value(a, np.full(32, -1.0))
    np.testing.assert_array_equal(K.get_value(b), np.arange(32, 64))
    np.testing.assert_array_equal(K.get_value(c), np.arange(32))


def test_a_model_on_tensors_of_another_keeps_its_values() -> None:
    """Only the layers that are made in the block wait for their values."""
    base = network()
    before = base.get_weights()
    with initializers.deferred():
        model = Model(base.inputs, Dense(2)(base.output))
    model.predict(np.ones((1, 5), "float32"))
    for found, expected in zip(base.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, expected)
