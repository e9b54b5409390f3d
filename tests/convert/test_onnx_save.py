"""Each kind of layer written to ONNX, and run by onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from symgraph import layers as L
from symgraph.convert import to_onnx
from symgraph.engine.files.layer_config import deserialize, serialize
from symgraph.models import Model
from tests.layer_checkers import LayerSample
from tests.layers.samples import SAMPLES


def run(made: onnx.ModelProto, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """What onnxruntime makes of a model."""
    onnx.checker.check_model(made, full_check=True)
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    return list(session.run(None, dict(zip(names, arrays, strict=True))))


def sample_model(cls: type[L.Layer], sample: LayerSample) -> tuple[Any, list[np.ndarray]]:
    """A model of one layer with random weights, and inputs for it."""
    rng = np.random.default_rng(8)
    draw = sample.inputs or (lambda generator, shape: generator.normal(size=shape))
    arrays = [draw(rng, (sample.batch, *shape)).astype(sample.dtype) for shape in sample.shapes]
    inputs = [L.Input(shape, dtype=sample.dtype) for shape in sample.shapes]
    # A layer of its own: those among the arguments of a sample belong to other tests, too.
    layer = deserialize(serialize(cls(**sample.kwargs)), safe_mode=False)
    model = Model(inputs, layer(inputs if len(inputs) > 1 else inputs[0]))
    layer.set_weights([np.abs(rng.normal(size=w.shape)) + 0.1 for w in layer.get_weights()])
    return model, arrays


#: Layers that have no operator.
NOT_WRITTEN = {
    L.ConvLSTM2D, L.ConvRNN2D, L.Lambda, L.LocallyConnected1D, L.LocallyConnected2D, L.RNN, L.Wrapper,
}  # fmt: skip

CASES = [
    pytest.param(cls, sample, id=f"{cls.__name__}-{number}")
    for cls, samples in SAMPLES.items()
    if cls not in NOT_WRITTEN
    for number, sample in enumerate(samples)
    if not isinstance(sample.kwargs.get("layer"), L.Lambda)
]


@pytest.mark.parametrize("cls", sorted(NOT_WRITTEN & set(SAMPLES), key=lambda cls: cls.__name__))
def test_layers_without_an_operator_are_refused(cls: type[L.Layer]) -> None:
    model, _ = sample_model(cls, SAMPLES[cls][0])
    name = model.layers[-1].name
    with pytest.raises(ValueError, match=rf"layer {name} \(.*\) cannot be written to ONNX"):
        to_onnx(model)


@pytest.mark.parametrize(("cls", "sample"), CASES)
def test_layer(cls: type[L.Layer], sample: LayerSample) -> None:
    model, arrays = sample_model(cls, sample)
    expected = model.predict(arrays)
    found = run(to_onnx(model), arrays)
    for got, wanted in zip(found, expected if isinstance(expected, list) else [expected], strict=True):
        assert got.dtype == wanted.dtype
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)
