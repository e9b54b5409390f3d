"""Ready networks against onnxruntime, an engine that shares nothing with ours, through their ONNX files."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.models.agreement import MAPS, compare

# The smallest pictures that leave something to see at the end.
CASES: list[tuple[str, int, dict[str, Any]]] = [
    ("VGG16", 48, {"include_top": False}),
    ("ResNet50", 64, {"classes": 10}),
    ("MobileNetV2", 64, {"classes": 10}),
    ("InceptionV3", 75, {"classes": 10}),
    ("DenseNet121", 64, {"classes": 10}),
    ("ResNet50V2", 64, {"classes": 10}),
    ("Xception", 71, {"classes": 10}),
    ("MobileNet", 64, {"alpha": 0.5, "classes": 10}),
    ("NASNetMobile", 64, {"classes": 10}),
    ("GoogLeNet", 80, {"classes": 10}),
    ("AlexNet", 67, {"include_top": False}),
    ("LeNet5", 32, {}),
    ("UNet", 32, {"padding": "same"}),
]


@pytest.mark.parametrize(("name", "size", "kwargs"), CASES, ids=[case[0] for case in CASES])
def test_predictions_are_those_of_onnxruntime(name: str, size: int, kwargs: dict[str, Any]) -> None:
    """Outputs, and what layers inside give, of two pictures.

    A value near 0 is a sum of terms as large as the largest values beside it, whose rounding it has: 1e-7 of
    each, a few times more at each layer. Hence the absolute bound, as a part of the largest value.
    """
    channels = 1 if name in ("LeNet5", "UNet") else 3
    found = compare(name, input_shape=(size, size, channels), **kwargs)
    assert len(found.layers) >= MAPS - 1 + len(found.whole)
    whole = found.ours[: -len(found.whole)] + found.whole
    for layer, ours, mine, theirs in zip(found.layers, found.ours, whole, found.theirs, strict=True):
        largest = np.abs(theirs).max()
        assert np.isfinite(theirs).all() and theirs.std() > 1e-3 * largest, layer
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * largest, err_msg=layer)
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-4 * largest, err_msg=layer)
    if kwargs.get("classes"):
        # A softmax of nearly equal numbers would hide faults.
        assert found.theirs[-1].max() > 0.5 and found.theirs[-1].min() < 0.02
