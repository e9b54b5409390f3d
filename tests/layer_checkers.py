"""The generic check of a layer: every public layer goes through it, see tests/layers/samples.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symgraph import backend as K
from symgraph.engine.files.layer_config import deserialize, json_value, serialize
from symgraph.graph.evaluate import evaluate
from symgraph.layers import Input, Layer
from symgraph.models import Model, Sequential


@dataclass(frozen=True)
class LayerSample:
    """An example of use: arguments, shapes of samples (without the batch), and what the layer computes.

    `expected` takes the layer, then the float64 inputs, and returns the output of the test phase. `free`
    lists the axes (of the batch) that the layer also accepts with an unknown size.
    """

    kwargs: dict[str, Any]
    shapes: tuple[tuple[int, ...], ...]
    expected: Callable[..., np.ndarray]
    free: tuple[int, ...] = ()
    batch: int = 3
    dtype: str = "float32"
    tolerance: float = 1e-5
    trainable: bool = True
    inputs: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray] | None = field(default=None)


def run(outputs: Any, inputs: Sequence[Any], arrays: Sequence[np.ndarray], training: int = 0) -> np.ndarray:
    """The value of `outputs` by the reference interpreter."""
    feeds = dict(zip(inputs, arrays, strict=True))
    return evaluate([outputs], {**feeds, K.learning_phase(): training})[0]


def check_layer(cls: type[Layer], sample: LayerSample) -> None:
    """Configuration, weights, shapes, values, Sequential and functional use, a training step of a layer."""
    rng = np.random.default_rng(1)
    draw = sample.inputs or (lambda generator, shape: generator.normal(size=shape))
    arrays = [draw(rng, (sample.batch, *shape)).astype(sample.dtype) for shape in sample.shapes]
    layer = cls(**sample.kwargs)
    inputs = [Input(shape, dtype=sample.dtype) for shape in sample.shapes]
    output = layer(inputs if len(inputs) > 1 else inputs[0])
    model = Model(inputs, output)

    _check_config(layer)
    _check_weights(layer, rng)
    value = run(output, inputs, arrays)
    expected = sample.expected(layer, *(a.astype("float64") for a in arrays))
    assert value.dtype == sample.dtype
    np.testing.assert_allclose(value, expected, rtol=sample.tolerance, atol=sample.tolerance)
    _check_shapes(layer, sample, value.shape)
    _check_copies(model, layer, arrays, value)
    if len(inputs) == 1:
        _check_sequential(cls, sample, layer, arrays[0], value)
    _check_trainable(layer)
    if sample.trainable:
        model.compile("rmsprop", "mse")
        assert np.isfinite(model.train_on_batch(arrays, np.zeros(value.shape, "float32")))


def _check_config(layer: Layer) -> None:
    """Configurations survive `from_config`, and JSON."""
    plain = as_json(serialize(layer))
    for described in (serialize(layer), plain):
        again = deserialize(described, safe_mode=False)
        assert type(again) is type(layer)
        assert without_code(as_json(serialize(again))) == without_code(plain)


def as_json(config: Any) -> Any:
    """A configuration as it comes back from a file."""
    return json.loads(json.dumps(config, default=json_value))


def without_code(config: Any) -> Any:
    """A configuration without bytecode, which is not the same in every copy of a function."""
    if isinstance(config, list):
        return [without_code(entry) for entry in config]
    if not isinstance(config, dict):
        return config
    return {key: without_code(value) for key, value in config.items() if key != "function"}


def _check_weights(layer: Layer, rng: np.random.Generator) -> None:
    """Values come back as they were set; wrong ones change nothing."""
    values = [np.abs(rng.normal(size=w.shape)).astype(w.dtype) + 0.1 for w in layer.weights]
    layer.set_weights(values)
    for got, expected in zip(layer.get_weights(), values, strict=True):
        np.testing.assert_array_equal(got, expected)
    assert layer.count_params() == sum(v.size for v in values)
    assert all(w.name.startswith(f"{layer.name}/") and w.name.endswith(":0") for w in layer.weights)
    for wrong in (values[1:], [v[..., None] for v in values]):
        if values:
            try:
                layer.set_weights(wrong)
            except ValueError as error:
                assert layer.name in str(error)
            else:
                raise AssertionError("wrong weights were taken")
    for got, expected in zip(layer.get_weights(), values, strict=True):
        np.testing.assert_array_equal(got, expected)


def _fits(declared: tuple[int | None, ...], actual: tuple[int, ...]) -> bool:
    return len(declared) == len(actual) and all(d in (None, a) for d, a in zip(declared, actual, strict=True))


def _check_shapes(layer: Layer, sample: LayerSample, actual: tuple[int, ...]) -> None:
    """`compute_output_shape` is right for known and for unknown sizes."""
    exact = [(sample.batch, *shape) for shape in sample.shapes]
    several = len(exact) > 1
    assert tuple(layer.compute_output_shape(exact if several else exact[0])) == actual
    assert _fits(layer.output_shape, actual)
    assert layer.output_shape[0] is None
    for axis in sample.free:
        opened = [tuple(None if a in (0, axis) else s for a, s in enumerate(shape)) for shape in exact]
        assert _fits(layer.compute_output_shape(opened if several else opened[0]), actual)
        tensors = [Input(batch_shape=shape, dtype=sample.dtype) for shape in opened]
        output = layer(tensors if several else tensors[0])
        assert _fits(K.int_shape(output), actual)
        rng, draw = (
            np.random.default_rng(2),
            sample.inputs or (lambda generator, shape: generator.normal(size=shape)),
        )
        arrays = [draw(rng, shape).astype(sample.dtype) for shape in exact]
        assert run(output, tensors, arrays).shape == actual


def _check_copies(model: Any, layer: Layer, arrays: list[np.ndarray], value: np.ndarray) -> None:
    """A model made of the configuration computes the same with the same weights, and so does a nested one."""
    config = as_json(model.get_config())
    again = Model.from_config(config, safe_mode=False)
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(run(again.outputs[0], again.inputs, arrays), value)
    inputs = [Input(batch_shape=K.int_shape(x), dtype=x.dtype) for x in model.inputs]
    nested = again(inputs if len(inputs) > 1 else inputs[0])
    assert K.int_shape(nested) == K.int_shape(model.outputs[0])
    np.testing.assert_array_equal(run(nested, inputs, arrays), value)


def _check_sequential(
    cls: type[Layer], sample: LayerSample, layer: Layer, array: np.ndarray, value: np.ndarray
) -> None:
    """The same values from Sequential models that know the input shape, or are told it later."""
    known = Sequential([cls(**sample.kwargs, input_shape=sample.shapes[0], dtype=sample.dtype)])
    models = [known]
    if sample.dtype == "float32" and not hasattr(layer, "batch_input_shape"):
        later = Sequential([cls(**sample.kwargs)])
        assert not later.built
        later.build((None, *sample.shapes[0]))
        models.append(later)
    for model in models:
        model.set_weights(layer.get_weights())
        assert model.output_shape == layer.get_output_shape_at(0)
        np.testing.assert_array_equal(run(model.outputs[0], model.inputs, [array]), value)
        config = as_json(model.get_config())
        again = Sequential.from_config(config, safe_mode=False)
        assert without_code(as_json(again.get_config())) == without_code(config)


def _check_trainable(layer: Layer) -> None:
    """A frozen layer lists its weights in the same order, all of them as not trainable."""
    before = layer.weights
    layer.trainable = False
    assert layer.trainable_weights == []
    assert layer.weights == before
    assert layer.updates == []
    layer.trainable = True
