"""Pictures for networks of ImageNet, names of classes, and sizes, against keras_applications."""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph import layers, models, utils
from symgraph.applications import densenet, imagenet_utils, inception_v3, vgg16

PARTS = {"backend": K, "layers": layers, "models": models, "utils": utils}
LAYOUTS = ("channels_last", "channels_first")
MODES = ("caffe", "tf", "torch")


@pytest.fixture
def peer() -> Any:
    package = pytest.importorskip(
        "keras_applications", reason="needs keras_applications: pip install symgraph[test]"
    )
    return package.imagenet_utils


def pictures(layout: str, ndim: int, dtype: str) -> np.ndarray:
    shape = (4, 5, 3) if layout == "channels_last" else (3, 4, 5)
    drawn = np.random.default_rng(1).integers(0, 256, (2, *shape) if ndim == 4 else shape)
    return drawn.astype(dtype)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("ndim", [3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64"])
def test_arrays_to_the_last_bit(peer: Any, mode: str, layout: str, ndim: int, dtype: str) -> None:
    ours, theirs = (pictures(layout, ndim, dtype) for _ in range(2))
    found = imagenet_utils.preprocess_input(ours, layout, mode=mode)
    expected = peer.preprocess_input(theirs, layout, mode=mode, **PARTS)
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)
    assert np.array_equal(ours, theirs)  # floats have been changed in place, integers have not


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("layout", "ndim"), list(itertools.product(LAYOUTS, (3, 4))))
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_tensors_as_arrays(mode: str, layout: str, ndim: int, dtype: str) -> None:
    x = pictures(layout, ndim, dtype)
    tensor = K.placeholder(x.shape, dtype=dtype)
    made = imagenet_utils.preprocess_input(tensor, layout, mode=mode)
    expected = imagenet_utils.preprocess_input(x.copy(), layout, mode=mode)
    assert K.dtype(made) == "float32"
    np.testing.assert_allclose(K.function([tensor], [made])([x])[0], expected, rtol=1e-5, atol=1e-4)


def test_each_network_has_its_mode() -> None:
    grey = np.full((1, 1, 1, 3), 255.0)
    assert np.allclose(vgg16.preprocess_input(grey.copy()), 255 - np.array([103.939, 116.779, 123.68]))
    assert np.allclose(inception_v3.preprocess_input(grey.copy()), 1)
    means, deviations = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    assert np.allclose(densenet.preprocess_input(grey.copy()), (1 - means) / deviations)


@pytest.mark.parametrize(
    ("x", "arguments", "message"),
    [
        (np.zeros((2, 2, 3)), {"data_format": "last"}, "Unknown data_format last"),
        (np.zeros((2, 2, 3)), {"mode": "keras"}, "Unknown mode 'keras'; expected one of 'caffe'"),
        (np.zeros((2, 2, 4)), {}, r"3 colours .* got the shape \(2, 2, 4\)"),
        (np.zeros((2, 3)), {"mode": "tf"}, r"3 or 4 dimensions .* got the shape \(2, 3\)"),
    ],
)
def test_pictures_that_do_not_fit(x: np.ndarray, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        imagenet_utils.preprocess_input(x, **arguments)


def test_lists_are_no_pictures() -> None:
    with pytest.raises(TypeError, match="numpy array or a tensor, got list"):
        imagenet_utils.preprocess_input([[[0, 0, 0]]])


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """A list of names in place of the published one; what is asked for is noted."""
    path = tmp_path / "names.json"
    path.write_text(json.dumps({str(i): [f"n{i:08}", f"thing_{i}"] for i in range(1000)}))
    asked = []

    def get_file(*args: Any, **kwargs: Any) -> str:
        asked.append((args, kwargs))
        return str(path)

    monkeypatch.setattr("symgraph.models.imagenet_utils.get_file", get_file)
    monkeypatch.setattr(utils, "get_file", get_file)
    return asked


@pytest.mark.parametrize("top", [1, 5, 1000])
def test_names_of_classes(peer: Any, names: list[Any], top: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "CLASS_INDEX", None)
    predictions = np.random.default_rng(2).dirichlet(np.ones(1000), 3).astype("float32")
    found = imagenet_utils.decode_predictions(predictions, top)
    assert found == peer.decode_predictions(predictions, top, **PARTS)
    assert len(names) == 2 and names[0] == names[1]
    assert [row[0] for row in found[1][:3]] == [f"n{i:08}" for i in predictions[1].argsort()[::-1][:3]][:top]


@pytest.mark.parametrize(
    ("shape", "top", "message"),
    [((1000,), 5, r"\(samples, 1000\)"), ((2, 10), 5, r"shape: \(2, 10\)"), ((2, 1000), 0, "`top`")],
)
def test_predictions_that_do_not_fit(shape: tuple[int, ...], top: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        imagenet_utils.decode_predictions(np.zeros(shape), top)


SHAPES = (
    None,
    (224, 224, 3),
    (3, 224, 224),
    (224, 224, 1),
    (7, 64, 64),
    (64, 64, 7),
    (31, 64, 3),
    (3, 64, 31),
    (None, None, 3),
    (3, None, 64),
    (64, 64),
)


def outcome(build: Callable[..., Any], *args: Any) -> tuple[Any, list[str]]:
    """What is returned, or the text of the error; and the texts of warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = build(*args)
        except ValueError as error:
            result = str(error)
    return result, [str(warning.message) for warning in caught]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_input_shapes(peer: Any, shape: Any) -> None:
    for layout, top, weights in itertools.product(LAYOUTS, (True, False), (None, "imagenet", "file.h5")):
        arguments = (shape, 224, 32, layout, top, weights)
        ours = outcome(imagenet_utils._obtain_input_shape, *arguments)
        assert ours == outcome(peer._obtain_input_shape, *arguments), arguments
