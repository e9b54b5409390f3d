"""Which files of weights networks ask for, and that files of their form fill networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from symgraph import models
from symgraph.models import (
    densenet,
    inception_resnet_v2,
    inception_v3,
    mobilenet,
    mobilenet_v2,
    nasnet,
    resnet,
    resnet50,
    resnet_v2,
    vgg,
    xception,
)
from tests.models.network_facts import FILES

ASKED = json.loads(Path(FILES).read_text(encoding="utf-8"))
PUBLISHED = {
    "vgg16.VGG16": vgg.FILES["vgg16"],
    "vgg19.VGG19": vgg.FILES["vgg19"],
    "resnet50.ResNet50": resnet50.FILES,
    "inception_v3.InceptionV3": inception_v3.FILES,
    "inception_resnet_v2.InceptionResNetV2": inception_resnet_v2.FILES,
    "xception.Xception": xception.FILES,
    "nasnet.NASNetMobile": nasnet.MOBILE.files,
    "nasnet.NASNetLarge": nasnet.LARGE.files,
    **{f"densenet.DenseNet{n}": densenet.FILES[f"densenet{n}"] for n in (121, 169, 201)},
    **{f"resnet.ResNet{n}": resnet.FILES[f"resnet{n}"] for n in (50, 101, 152)},
    **{f"resnet_v2.ResNet{n}V2": resnet_v2.FILES[f"resnet{n}v2"] for n in (50, 101, 152)},
}


def test_files_are_those_of_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    def note(name: str, origin: str, cache_subdir: str, file_hash: str | None) -> Any:
        assert cache_subdir == "models"
        return [name, origin, file_hash]

    monkeypatch.setattr("symgraph.models.application.get_file", note)
    assert {*PUBLISHED, "mobilenet.MobileNet", "mobilenet_v2.MobileNetV2"} == set(ASKED)
    for name, published in PUBLISHED.items():
        assert [[{}, [published.top.path(), published.no_top.path()]]] == ASKED[name]


@pytest.mark.parametrize(
    ("name", "module"), [("mobilenet.MobileNet", mobilenet), ("mobilenet_v2.MobileNetV2", mobilenet_v2)]
)
def test_files_of_each_width_and_size(name: str, module: Any) -> None:
    for kwargs, files in ASKED[name]:
        alpha, rows = kwargs.get("alpha", 1.0), kwargs.get("input_shape", (224,))[0]
        assert alpha in module.ALPHAS and rows in module.SIZES
        published = module._files(alpha, rows)
        for file, expected in zip((published.top, published.no_top), files, strict=True):
            assert [file.origin.split("/")[-1], file.origin, file.md5] == expected


@pytest.mark.parametrize("include_top", [True, False])
def test_weights_of_imagenet(include_top: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the call to the weights: the file that is asked for is loaded."""
    kwargs = {"alpha": 0.25, "input_shape": (128, 128, 3), "include_top": include_top}
    source = models.MobileNet(weights=None, **kwargs)
    source.save_weights(tmp_path / "weights.h5")
    asked = []

    def get_file(name: str, *_: Any, **__: Any) -> str:
        asked.append(name)
        return str(tmp_path / "weights.h5")

    monkeypatch.setattr("symgraph.models.application.get_file", get_file)
    loaded = models.MobileNet(**kwargs)
    assert asked == ["mobilenet_2_5_128_tf.h5" if include_top else "mobilenet_2_5_128_tf_no_top.h5"]
    for found, expected in zip(loaded.get_weights(), source.get_weights(), strict=True):
        assert np.array_equal(found, expected)


def test_sizes_without_weights_of_their_own_take_those_of_224(monkeypatch: pytest.MonkeyPatch) -> None:
    class Asked(Exception):
        pass

    def ask(name: str, *_: Any, **__: Any) -> str:
        raise Asked(name)

    monkeypatch.setattr("symgraph.models.application.get_file", ask)
    for build, name in (
        (models.MobileNet, "mobilenet_1_0_224_tf_no_top.h5"),
        (models.MobileNetV2, "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"),
    ):
        with pytest.warns(UserWarning, match="Weights for input shape"), pytest.raises(Asked, match=name):
            build(input_shape=(100, 100, 3), include_top=False)


# Names inside layers, as Keras 1 wrote them into the files of VGG and ResNet50.
_OLD_NAMES = {
    "kernel": "W",
    "bias": "b",
    "gamma": "gamma",
    "beta": "beta",
    "moving_mean": "running_mean",
    "moving_variance": "running_std",
}


def write_as_keras_1_did(model: Any, path: Path, suffix: str) -> None:
    """A group for each layer; no version, no backend."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array([layer.name.encode() for layer in model.layers])
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [w.name.split("/")[-1].split(":")[0] for w in layer.weights]
            names = [f"{layer.name}{suffix}_{_OLD_NAMES[name]}:0" for name in names]
            group.attrs["weight_names"] = np.array([name.encode() for name in names])
            for name, value in zip(names, layer.get_weights(), strict=True):
                group.create_dataset(name, data=value)


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize(("name", "suffix"), [("VGG16", "_1"), ("ResNet50", "")])
def test_files_of_keras_1(name: str, suffix: str, by_name: bool, tmp_path: Path) -> None:
    build = getattr(models, name)
    source = build(weights=None, include_top=False, pooling="avg")
    write_as_keras_1_did(source, tmp_path / "old.h5", suffix)
    target = build(weights=None, include_top=False, pooling="avg")
    target.load_weights(tmp_path / "old.h5", by_name=by_name)
    for found, expected in zip(target.get_weights(), source.get_weights(), strict=True):
        assert np.array_equal(found, expected)
