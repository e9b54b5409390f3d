"""Every public layer goes through the generic check."""

from __future__ import annotations

import pytest

from symgraph import layers
from tests.layer_checkers import LayerSample, check_layer
from tests.layers.samples import SAMPLES

PUBLIC = sorted(
    {
        value
        for name, value in vars(layers).items()
        if isinstance(value, type) and issubclass(value, layers.Layer) and not name.startswith("_")
    }
    # Cells are called by the layers that run them: they are in the samples of RNN. The layers of Keras 1
    # warn: test_legacy.py and tests/keras1.
    - {layers.Layer, layers.InputLayer}
    - {cls for cls in vars(layers).values() if ".old_" in getattr(cls, "__module__", "")}
    - {
        cls
        for cls in vars(layers).values()
        if isinstance(cls, type) and cls.__name__.endswith(("Cell", "Cells"))
    },
    key=lambda cls: cls.__name__,
)


def test_every_public_layer_has_samples() -> None:
    assert [cls.__name__ for cls in PUBLIC if not SAMPLES.get(cls)] == []


@pytest.mark.parametrize(
    ("cls", "sample"),
    [
        pytest.param(cls, sample, id=f"{cls.__name__}-{number}")
        for cls, samples in SAMPLES.items()
        for number, sample in enumerate(samples)
    ],
)
def test_layer(cls: type[layers.Layer], sample: LayerSample) -> None:
    check_layer(cls, sample)
