"""Ready networks against Keras: names, shapes, weights, configurations, predictions."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symgraph
from symgraph import applications, models
from symgraph import backend as K
from symgraph.layers import Dense, Input, Lambda
from tests.models.network_facts import FACTS, FILES, NETWORKS, layer_facts, network_facts

KERAS = json.loads(Path(FACTS).read_text(encoding="utf-8"))
BUILDERS = [(module, name) for module, names in NETWORKS.items() for name in names.split()]

# As their authors and Keras' documentation count them.
COUNTS = {
    "VGG16": 138_357_544,
    "VGG19": 143_667_240,
    "ResNet50": 25_636_712,
    "InceptionV3": 23_851_784,
    "InceptionResNetV2": 55_873_736,
    "Xception": 22_910_480,
    "MobileNet": 4_253_864,
    "MobileNetV2": 3_538_984,
    "DenseNet121": 8_062_504,
    "DenseNet169": 14_307_880,
    "DenseNet201": 20_242_984,
    "NASNetMobile": 5_326_716,
    "NASNetLarge": 88_949_818,
    "ResNet101": 44_707_176,
    "ResNet152": 60_419_944,
    "ResNet50V2": 25_613_800,
    "ResNet101V2": 44_675_560,
    "ResNet152V2": 60_380_648,
}


@pytest.fixture
def channels_first() -> Iterator[None]:
    K.set_image_data_format("channels_first")
    yield
    K.set_image_data_format("channels_last")


@pytest.mark.parametrize(("module", "name"), BUILDERS)
def test_networks_are_those_of_keras(module: str, name: str, quick: None) -> None:
    """Layer by layer: name, kind, shape, weights, connections, configuration."""
    build = getattr(getattr(applications, module), name)
    K.clear_session()
    found = network_facts(build(weights=None))
    assert found == KERAS[f"{module}.{name}"]
    assert found[1] == COUNTS[name]
    if name == NETWORKS[module].split()[0]:  # what follows differs in depth only
        K.clear_session()
        found = network_facts(build(weights=None, include_top=False, pooling="avg"))
        assert found == KERAS[f"{module}.{name} without top"]


# Networks as keras_applications, unmodified, builds them from our layers; sizes that are quick to predict.
PEERS = [
    ("vgg16", "VGG16", 32, {}),
    ("resnet50", "ResNet50", 32, {"pooling": "max"}),
    ("inception_v3", "InceptionV3", 75, {"pooling": "avg"}),
    ("xception", "Xception", 71, {}),
    ("mobilenet", "MobileNet", 32, {"alpha": 0.25, "include_top": True, "classes": 7, "dropout": 0.2}),
    ("mobilenet_v2", "MobileNetV2", 32, {"alpha": 0.35, "include_top": True, "classes": 5}),
    ("densenet", "DenseNet121", 32, {"pooling": "avg"}),
    ("resnet_v2", "ResNet50V2", 32, {"include_top": True, "classes": 5}),
]


def built_by(module: str, name: str, **kwargs: Any) -> Any:
    """What keras_applications builds with the parts of the project."""
    pytest.importorskip("keras_applications", reason="needs keras_applications: pip install symgraph[test]")
    parts = {part: getattr(symgraph, part) for part in ("backend", "layers", "models", "utils")}
    build = getattr(importlib.import_module(f"keras_applications.{module}"), name)
    return build(weights=None, **kwargs, **parts)


def lively(model: Any) -> list[np.ndarray]:
    """Weights with which numbers neither fade nor grow from layer to layer."""
    rng = np.random.default_rng(3)
    values = []
    for weight in model.weights:
        shape, name = K.int_shape(weight), weight.name.split("/")[-1]
        if "kernel" in name:
            inputs = np.prod(shape[:2]) if "depthwise" in name else np.prod(shape[:-1])
            values.append(rng.normal(0, np.sqrt(2 / inputs), shape))
        elif "gamma" in name or "variance" in name:
            values.append(rng.uniform(0.5, 1.5, shape))
        else:
            values.append(rng.normal(0, 0.1, shape))
    return values


@pytest.mark.parametrize(("module", "name", "size", "kwargs"), PEERS, ids=[case[1] for case in PEERS])
def test_the_unmodified_package_builds_the_same(
    module: str, name: str, size: int, kwargs: dict[str, Any], quick: None
) -> None:
    """The same layers, and with the same weights the same predictions to the last bit."""
    kwargs = {"include_top": False, "input_shape": (size, size, 3), **kwargs}
    K.clear_session()
    theirs = built_by(module, name, **kwargs)
    K.clear_session()
    ours = getattr(getattr(applications, module), name)(weights=None, **kwargs)
    assert list(map(layer_facts, ours.layers)) == list(map(layer_facts, theirs.layers))
    for model in (ours, theirs):
        for weight, value in zip(model.weights, lively(model), strict=True):
            K.set_value(weight, value)
    picture = np.random.default_rng(0).uniform(-1, 1, (1, size, size, 3)).astype("float32")
    expected = theirs.predict(picture)
    assert np.isfinite(expected).all() and expected.std() > 1e-3
    assert np.array_equal(ours.predict(picture), expected)


def test_weights_of_the_unmodified_package(tmp_path: Path) -> None:
    """From its files, in the order of layers and by their names."""
    kwargs = {"alpha": 0.35, "input_shape": (32, 32, 3), "classes": 5}
    theirs = built_by("mobilenet_v2", "MobileNetV2", **kwargs)
    theirs.save_weights(tmp_path / "weights.h5")
    in_order = models.MobileNetV2(weights=str(tmp_path / "weights.h5"), **kwargs)
    by_name = models.MobileNetV2(weights=None, **kwargs)
    by_name.load_weights(tmp_path / "weights.h5", by_name=True)
    for found in (in_order, by_name):
        for weight, expected in zip(found.get_weights(), theirs.get_weights(), strict=True):
            assert np.array_equal(weight, expected)


@pytest.mark.parametrize(
    ("module", "name"), [("nasnet", "NASNetMobile"), ("inception_resnet_v2", "InceptionResNetV2")]
)
def test_the_unmodified_package_builds_the_same_large_graphs(module: str, name: str, quick: None) -> None:
    K.clear_session()
    ours = getattr(getattr(applications, module), name)(weights=None)
    assert not any(isinstance(layer, Lambda) for layer in ours.layers)
    K.clear_session()
    assert list(map(layer_facts, ours.layers)) == list(map(layer_facts, built_by(module, name).layers))


def test_layouts_agree(channels_first: None) -> None:
    kwargs: dict[str, Any] = {"alpha": 0.25, "include_top": False, "weights": None}
    first = models.MobileNet(input_shape=(3, 32, 32), **kwargs)
    for weight, value in zip(first.weights, lively(first), strict=True):
        K.set_value(weight, value)
    K.set_image_data_format("channels_last")
    last = models.MobileNet(input_shape=(32, 32, 3), **kwargs)
    last.set_weights(first.get_weights())
    picture = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 3)).astype("float32")
    expected = last.predict(picture)
    found = first.predict(np.moveaxis(picture, -1, 1))
    np.testing.assert_allclose(np.moveaxis(found, 1, -1), expected, rtol=1e-3, atol=1e-4)
    assert expected.std() > 1e-3


@pytest.mark.parametrize(
    ("name", "shape"), [("NASNetMobile", (32, 32, 3)), ("UNet", (1, 188, 188)), ("AlexNet", (3, 67, 67))]
)
def test_channels_first(name: str, shape: tuple[int, ...], quick: None, channels_first: None) -> None:
    """NASNets stay as they are, with Keras' warning."""
    if name == "NASNetMobile":
        with pytest.warns(UserWarning, match="only available for the input data format"):
            model = models.NASNetMobile(weights=None, input_shape=shape, include_top=False, pooling="avg")
        assert model.input_shape[1:] == shape and model.output_shape == (None, 1056)
        assert K.image_data_format() == "channels_first"
    else:
        assert getattr(models, name)(weights=None, input_shape=shape).input_shape[1:] == shape


def test_a_picture_may_come_from_other_layers() -> None:
    image = Input((32, 32, 1), name="grey")
    coloured = models.Model(image, Dense(3)(image))
    features = models.MobileNet(
        input_tensor=coloured.output, weights=None, include_top=False, alpha=0.25, pooling="max"
    )
    assert [layer.name for layer in features.layers[:2]] == ["grey", coloured.layers[1].name]
    constant = K.ones((2, 32, 32, 3))
    fixed = models.VGG16(input_tensor=constant, input_shape=(32, 32, 3), weights=None, include_top=False)
    assert fixed.output_shape == (2, 1, 1, 512)


def test_open_sizes() -> None:
    assert models.DenseNet121(weights=None, include_top=False).output_shape == (None, None, None, 1024)
    assert models.MobileNetV2(weights=None, include_top=False).name == "mobilenetv2_1.00_None"


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("VGG16", {"weights": "nowhere.h5"}, "`weights` argument should be either `None` .* `imagenet` "),
        ("AlexNet", {"weights": "imagenet"}, "either `None` \\(random initialization\\), or .*'imagenet'"),
        ("ResNet50", {"classes": 10}, '`weights` as `"imagenet"` with `include_top` as true, `classes` '),
        ("VGG19", {"weights": None, "pooling": "average"}, "`pooling` argument should be None, 'avg' or"),
        ("InceptionV3", {"weights": None, "input_shape": (74, 80, 3)}, "at least 75x75"),
        ("Xception", {"input_shape": (150, 150, 3)}, r"`input_shape` should be \(299, 299, 3\)"),
        ("MobileNet", {"alpha": 0.3}, "alpha can be one of"),
        ("MobileNet", {"depth_multiplier": 2}, "depth multiplier must be 1"),
        ("MobileNetV2", {"alpha": 0.25}, "alpha can be one of"),
        ("NASNetLarge", {"input_shape": (None, None, 3), "include_top": False}, "static"),
        ("UNet", {"input_shape": (512, 512, 1)}, r"16 n \+ 12, at least 188, got .*\(512, 512, 1\)"),
        ("UNet", {"input_shape": (100, 96, 3), "padding": "same"}, "of 16 n, got"),
        ("UNet", {"padding": "full"}, "'valid' or 'same', got 'full'"),
        ("LeNet5", {"input_shape": (28, 28, 1)}, "at least 32x32"),
        ("GoogLeNet", {"input_shape": (64, 64, 3)}, "at least 65x65"),
    ],
)
def test_arguments_that_do_not_fit(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(models, name)(**arguments)


def test_mobile_net_v2_compares_shape_and_tensor() -> None:
    with pytest.raises(ValueError, match="do not meet the same shape requirements"):
        models.MobileNetV2((64, 96, 3), input_tensor=Input((96, 96, 3)), include_top=False, weights=None)


def test_names_are_loaded_when_they_are_used() -> None:
    code = (
        "import sys, symgraph.models, symgraph.applications as a\n"
        "names = ('vgg', 'application', 'imagenet_utils', 'nasnet')\n"
        "print([n for n in names if f'symgraph.models.{n}' in sys.modules])\n"
        "from symgraph.models import VGG16\n"
        "assert VGG16 is a.VGG16 is a.vgg16.VGG16\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert not hasattr(models, "VGG17") and not hasattr(applications, "VGG17")
    assert set(models.__all__) <= set(dir(models))


def test_names_of_keras() -> None:
    for name in COUNTS:
        assert getattr(applications, name) is getattr(models, name)
    assert applications.ResNet50 is applications.resnet50.ResNet50
    for module in (*NETWORKS, "mobilenetv2", "imagenet_utils"):
        found = importlib.import_module(f"symgraph.applications.{module}")
        assert found is getattr(applications, module)
        assert callable(found.preprocess_input) and callable(found.decode_predictions)


def test_the_page_lists_them_all() -> None:
    """Weights, layers and files of docs/models.md against what Keras has."""
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| `(\w+)` \| ([\d,]+) \| ([\d,]+) \| \d+ \| \d+ \| `(\S+)` \|", page, re.MULTILINE)
    files = json.loads(Path(FILES).read_text(encoding="utf-8"))
    expected = {}
    for module, name in BUILDERS:
        _, weights, layers, _ = KERAS[f"{module}.{name}"]
        expected.setdefault(name, (f"{weights:,}", f"{layers:,}", files[f"{module}.{name}"][0][1][0][0]))
    assert {name: tuple(row) for name, *row in found} == expected
    for name in models._ARCHITECTURES:
        assert f"| `{name}` |" in page


def test_warnings_name_the_line_of_the_user(quick: None) -> None:
    with pytest.warns(UserWarning, match="1 or 3 input channels") as caught:
        models.VGG16(weights=None, include_top=False, input_shape=(32, 32, 5))
    assert [warning.filename for warning in caught] == [__file__]
