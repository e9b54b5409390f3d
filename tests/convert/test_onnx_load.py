"""ONNX files read: what symgraph wrote, and what others write, against onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from symgraph import layers as L
from symgraph.convert import load_onnx, to_onnx
from tests.convert.test_onnx_save import CASES, run, sample_model
from tests.layer_checkers import LayerSample


def one_way(cls: type[L.Layer], sample: LayerSample) -> bool:
    """Whether a layer is written as several operators, of which one has no layer of its own."""
    given = sample.kwargs
    if cls is L.LocalResponseNormalization:
        return given.get("region") == "pixels" or given.get("size", 5) % 2 == 0
    if cls is L.TimeDistributed:
        return type(given["layer"]) is not L.Dense
    normalized = cls is L.Dot and (given.get("normalize", False) or len(sample.shapes[0]) == 1)
    return cls is L.Masking or normalized or (cls is L.ReLU and given.get("threshold", 0) != 0)


@pytest.mark.parametrize(("cls", "sample"), CASES)
def test_round_trip(cls: type[L.Layer], sample: LayerSample, tmp_path: Path) -> None:
    model, arrays = sample_model(cls, sample)
    made = to_onnx(model)
    path = tmp_path / "model.onnx"
    path.write_bytes(made.SerializeToString())
    if one_way(cls, sample):
        with pytest.raises(ValueError, match=r"model.onnx: node .* cannot be read|no layer for|mixes|border"):
            load_onnx(path)
        return
    again = load_onnx(path)
    found = again.predict(arrays)
    for got, wanted in zip(found if isinstance(found, list) else [found], run(made, arrays), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)
