"""Every public layer: gradients to inputs and weights, in float64, against differences of compiled values."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph import layers
from symgraph.engine.files.layer_config import deserialize, serialize
from symgraph.graph.tensor import Tensor
from tests.layer_checkers import LayerSample
from tests.layers.samples import SAMPLES


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    K.set_floatx("float64")
    yield
    K.set_floatx("float32")


def check_gradients(
    inputs: list[Tensor],
    outputs: list[Tensor],
    arrays: list[np.ndarray],
    variables: list[Any],
    phase: int = 0,
) -> None:
    """<v, outputs> along random directions of every input of floats and every variable."""
    rng = np.random.default_rng(4)
    fed = K.learning_phase()
    # Unused in most layers, and then not an input of the program.
    places = [*inputs, fed] if any(getattr(y, "_uses_learning_phase", False) for y in outputs) else inputs
    values = [*arrays, phase][: len(places)]
    shapes = [v.shape for v in K.function(places, outputs)(values)]
    terms = [
        K.sum(y * K.constant(rng.standard_normal(s), "float64")) for y, s in zip(outputs, shapes, strict=True)
    ]
    floats = [i for i, x in enumerate(inputs) if x.dtype == "float64"]
    loss = sum(terms[1:], terms[0])
    function = K.function(places, [loss, *K.gradients(loss, [*(inputs[i] for i in floats), *variables])])

    def at_input(place: int, moved: np.ndarray) -> float:
        return float(function([*values[:place], moved, *values[place + 1 :]])[0])

    def at_variable(variable: Any, moved: np.ndarray) -> float:
        before = K.get_value(variable)
        K.set_value(variable, moved)
        loss_there = float(function(values)[0])
        K.set_value(variable, before)
        return loss_there

    moves = [(arrays[i], functools.partial(at_input, i)) for i in floats]
    moves += [(K.get_value(v), functools.partial(at_variable, v)) for v in variables]
    for number, (gradient, (value, at)) in enumerate(zip(function(values)[1:], moves, strict=True)):
        way = rng.standard_normal(value.shape)
        measured = (at(value + 1e-5 * way) - at(value - 1e-5 * way)) / 2e-5
        assert np.isclose(np.sum(gradient * way), measured, rtol=1e-5, atol=1e-7), f"gradient {number}"


def randomised(layer: Any) -> list[Any]:
    """The trainable weights of a layer, after giving all weights random values; variances stay positive."""
    rng = np.random.default_rng(5)
    layer.set_weights(
        [
            rng.uniform(0.3, 1, v.shape) if "variance" in w.name else rng.normal(0, 0.5, v.shape)
            for w, v in zip(layer.weights, layer.get_weights(), strict=True)
        ]
    )
    return list(layer.trainable_weights)


def _fresh(cls: type[layers.Layer], sample: LayerSample) -> Any:
    """A layer of its own, of float64: cells among the arguments of a sample may have been built before."""
    return deserialize(serialize(cls(**sample.kwargs)), safe_mode=False)


@pytest.mark.parametrize(
    ("cls", "sample"),
    [
        pytest.param(cls, sample, id=f"{cls.__name__}-{number}")
        for cls, samples in SAMPLES.items()
        for number, sample in enumerate(samples)
    ],
)
def test_gradients(cls: type[layers.Layer], sample: LayerSample) -> None:
    rng = np.random.default_rng(6)
    numbers = cls is layers.Embedding
    shapes = [(sample.batch, *shape) for shape in sample.shapes]
    # No steps of zeros for Masking: there it jumps.
    arrays = [rng.integers(0, 7, s) if numbers else rng.normal(size=s) for s in shapes]
    inputs = [K.placeholder(s, dtype="int32" if numbers else "float64") for s in shapes]
    layer = _fresh(cls, sample)
    output = layer(inputs if len(inputs) > 1 else inputs[0])
    check_gradients(inputs, [output], arrays, randomised(layer))


def test_a_wrong_gradient_is_found() -> None:
    x, w = K.placeholder((2, 3), dtype="float64"), K.variable(np.ones(3), "float64")
    for wrong in (K.stop_gradient(x) * x * w, x * K.stop_gradient(w) * w):
        with pytest.raises(AssertionError, match="gradient"):
            check_gradients([x], [wrong], [np.arange(6.0).reshape(2, 3)], [w])
