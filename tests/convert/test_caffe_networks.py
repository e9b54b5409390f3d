"""Networks of Caffe: small versions of the famous ones, training files, old versions, sizes of ImageNet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symgraph import cli, layers
from symgraph.convert import load_caffe
from symgraph.models import load_model
from tests.convert import caffe_reference
from tests.convert.caffe_files import Layer, Word, as_text, caffemodel, prototxt, write
from tests.convert.test_caffe_layers import check

RNG = np.random.default_rng(3)


class Net:
    """Collects layers, each on top of the one before unless told otherwise."""

    def __init__(self, channels: int) -> None:
        self.layers: list[Layer] = []
        self.depth = {"data": channels}
        self.top = "data"

    def add(
        self, type: str, name: str, *blobs: np.ndarray, bottoms: Any = None, top: str = "", **fields: Any
    ) -> str:
        bottoms = bottoms or [self.top]
        self.top = top or name
        self.depth[self.top] = self.depth[bottoms[0]]
        self.layers.append(Layer(name, type, list(bottoms), [self.top], list(blobs), fields))
        return self.top

    def relu(self) -> None:
        self.add("ReLU", f"relu_{self.top}", top=self.top)

    def conv(
        self, name: str, filters: int, size: int, bottom: str = "", bias: bool = True, **more: Any
    ) -> str:
        bottom = bottom or self.top
        depth = self.depth[bottom] // more.get("group", 1)
        blobs = [RNG.normal(0, (2 / (depth * size * size)) ** 0.5, (filters, depth, size, size))]
        blobs += [RNG.normal(0, 0.1, filters)] * bias
        given = {"num_output": filters, "kernel_size": size, **more, **({} if bias else {"bias_term": False})}
        self.add("Convolution", name, *_floats(blobs), bottoms=[bottom], convolution_param=given)
        self.depth[name] = filters
        return name

    def pool(self, name: str, size: int, stride: int, bottom: str = "", **more: Any) -> str:
        given = {"kernel_size": size, "stride": stride, **more}
        return self.add("Pooling", name, bottoms=[bottom or self.top], pooling_param=given)

    def dense(self, name: str, inputs: int, units: int) -> str:
        blobs = _floats([RNG.normal(0, inputs**-0.5, (units, inputs)), RNG.normal(size=units)])
        return self.add("InnerProduct", name, *blobs, inner_product_param={"num_output": units})


def _floats(arrays: list[np.ndarray]) -> list[np.ndarray]:
    return [array.astype("float32") for array in arrays]


def _lrn() -> dict[str, Any]:
    return {"local_size": 5, "alpha": 0.1, "beta": 0.75}


def alexnet() -> list[Layer]:
    net = Net(3)
    net.conv("conv1", 8, 11, stride=4)
    net.relu()
    net.add("LRN", "norm1", lrn_param=_lrn())
    net.pool("pool1", 3, 2)
    net.conv("conv2", 12, 5, pad=2, group=2)
    net.relu()
    net.add("LRN", "norm2", lrn_param=_lrn())
    net.pool("pool2", 3, 2)
    net.conv("conv3", 12, 3, pad=1)
    net.relu()
    net.conv("conv4", 8, 3, pad=1, group=2)
    net.relu()
    net.pool("pool5", 3, 2)
    net.dense("fc6", 8 * 2 * 2, 16)
    net.relu()
    net.add("Dropout", "drop6", top="fc6", dropout_param={"dropout_ratio": 0.5})
    net.dense("fc8", 16, 5)
    net.add("Softmax", "prob")
    return net.layers


def googlenet() -> list[Layer]:
    net = Net(3)
    net.conv("conv1/7x7_s2", 8, 7, pad=3, stride=2)
    net.relu()
    net.pool("pool1/3x3_s2", 3, 2)
    net.add("LRN", "pool1/norm1", lrn_param=_lrn())
    base = net.top
    ends = [net.conv("inception/1x1", 4, 1)]
    net.conv("inception/3x3_reduce", 4, 1, base)
    ends += [net.conv("inception/3x3", 6, 3, pad=1)]
    net.conv("inception/5x5_reduce", 2, 1, base)
    ends += [net.conv("inception/5x5", 3, 5, pad=2)]
    net.pool("inception/pool", 3, 1, base, pad=1)
    ends += [net.conv("inception/pool_proj", 3, 1)]
    net.add("Concat", "inception/output", bottoms=ends)
    net.pool("pool5/7x7_s1", 4, 1, pool=Word("AVE"))
    net.dense("loss3/classifier", 16 * 2 * 2, 5)
    net.add("Softmax", "prob")
    return net.layers


def _normed(net: Net, name: str, relu: bool = True) -> str:
    size = net.depth[net.top]
    norm = [RNG.normal(size=size), RNG.uniform(1, 3, size), np.array([1.7])]
    net.add(
        "BatchNorm", f"bn_{name}", *_floats(norm), top=net.top, batch_norm_param={"use_global_stats": True}
    )
    factors = _floats([RNG.uniform(0.5, 1.5, size), RNG.normal(size=size)])
    net.add("Scale", f"scale_{name}", *factors, top=net.top, scale_param={"bias_term": True})
    if relu:
        net.relu()
    return net.top


def resnet() -> list[Layer]:
    net = Net(3)
    net.conv("conv1", 6, 7, pad=3, stride=2)
    _normed(net, "conv1")
    start = net.pool("pool1", 3, 2)
    net.conv("res2a_branch1", 8, 1, bias=False)
    shortcut = _normed(net, "2a_branch1", relu=False)
    net.conv("res2a_branch2a", 4, 3, start, bias=False, pad=1)
    _normed(net, "2a_branch2a")
    net.conv("res2a_branch2b", 8, 1, bias=False)
    _normed(net, "2a_branch2b", relu=False)
    net.add("Eltwise", "res2a", bottoms=[shortcut, net.top])
    net.relu()
    net.pool("pool5", 6, 1, pool=Word("AVE"))
    net.dense("fc", 8 * 2 * 2, 5)
    net.add("Softmax", "prob")
    return net.layers


@pytest.mark.parametrize(
    ("network", "shape"), [(alexnet, (2, 3, 75, 75)), (googlenet, (2, 3, 21, 19)), (resnet, (2, 3, 30, 30))]
)
def test_network(network: Any, shape: tuple[int, ...], tmp_path: Path) -> None:
    check(tmp_path, {"data": shape}, network())


def test_a_batch_normalisation_takes_over_the_scale(tmp_path: Path) -> None:
    model = check(tmp_path, {"data": (2, 3, 30, 30)}, resnet())
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("BatchNormalization") == 4
    assert "Scale" not in kinds


def test_a_normalised_blob_that_others_read_keeps_its_scale_apart(tmp_path: Path) -> None:
    net = Net(3)
    norm = net.add("BatchNorm", "bn", *_floats([np.ones(3), np.full(3, 2.0), np.ones(1)]))
    net.add("Scale", "scale", np.array([1.0, 2.0, 3.0], "float32"))
    net.add("Eltwise", "sum", bottoms=[norm, net.top])
    model = check(tmp_path, {"data": (2, 3, 4, 4)}, net.layers)
    assert "Scale" in [type(layer).__name__ for layer in model.layers]


# Sizes of ImageNet


def test_sizes_of_alexnet(tmp_path: Path) -> None:
    """Table 1 of Caffe's tutorial: 227 -> 55 -> 27 -> 13 -> 6."""
    steps = [("c", 11, 4, 0), ("p", 3, 2, 0), ("c", 5, 1, 2), ("p", 3, 2, 0), ("c", 3, 1, 1), ("p", 3, 2, 0)]
    model = load_caffe(_trunk(tmp_path, 227, steps))
    assert _sides(model) == [55, 27, 27, 13, 13, 6]


def test_sizes_of_googlenet(tmp_path: Path) -> None:
    """Table 1 of Szegedy et al., arXiv:1409.4842: 224 -> 112 -> 56 -> 28 -> 14 -> 7 -> 1."""
    steps = [("c", 7, 2, 3), ("p", 3, 2, 0), ("c", 3, 1, 1), ("p", 3, 2, 0), ("p", 3, 1, 1), ("p", 3, 2, 0)]
    model = load_caffe(_trunk(tmp_path, 224, [*steps, ("p", 3, 2, 0), ("a", 7, 1, 0)]))
    assert _sides(model) == [112, 56, 56, 28, 28, 14, 7, 1]


def _trunk(folder: Path, side: int, steps: list[tuple[str, int, int, int]]) -> Path:
    net = Net(1)
    for number, (kind, size, stride, pad) in enumerate(steps):
        if kind == "c":
            net.conv(f"one{number}", 1, size, stride=stride, pad=pad)
        else:
            net.pool(f"one{number}", size, stride, pad=pad, pool=Word("AVE" if kind == "a" else "MAX"))
    path = folder / "trunk.prototxt"
    path.write_text(prototxt({"data": (10, 1, side, side)}, net.layers))
    return path


def _sides(model: Any) -> list[int]:
    return [
        layer.output_shape[2]
        for layer in model.layers
        if layer.name.startswith("one") and "pad" not in layer.name
    ]


def test_vgg_is_made_of_layers_that_keras_has(tmp_path: Path) -> None:
    net = Net(3)
    net.conv("conv1_1", 4, 3, pad=1)
    net.relu()
    net.pool("pool1", 2, 2)
    net.dense("fc6", 4 * 4 * 4, 5)
    model = check(tmp_path, {"data": (1, 3, 8, 8)}, net.layers)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["InputLayer", "Conv2D", "Activation", "MaxPooling2D", "Flatten", "Dense"]


# Files of the training, and of old versions

TRAINING = """
name: "lenet"   # with comments
layer {
  name: "mnist" type: "Data" top: "data" top: "label"
  include { phase: TRAIN } transform_param { scale: 0.00390625 } data_param { source: "train" batch_size: 64 }
}
layer {
  name: "mnist" type: "Data" top: "data" top: "label"
  include { phase: TEST } transform_param { crop_size: 12 } data_param { batch_size: 100 backend: LMDB }
}
layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  param { lr_mult: 1 } param { lr_mult: 2 }
  convolution_param { num_output: 3 kernel_size: 3 weight_filler { type: "xavier" } bias_filler {} }
}
layer { name: "noise" type: "Python" bottom: "conv" top: "noise" include { phase: TRAIN } }
layer { name: "cut" type: "Dropout" bottom: "conv" top: "conv" exclude { phase: TEST } }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip" inner_product_param { num_output: 4 } }
layer { name: "top-5" type: "Accuracy" bottom: "ip" bottom: "label" top: "top-5" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""

VERSION_1 = """
name: "old"
input: "data"
input_dim: 1 input_dim: 2 input_dim: 12 input_dim: 12
layers { name: "conv" type: CONVOLUTION bottom: "data" top: "conv"
         blobs_lr: 1. blobs_lr: 2. weight_decay: 1 convolution_param < num_output: 3; kernel_size: 3, > }
layers { name: "ip" type: INNER_PRODUCT bottom: "conv" top: "ip" inner_product_param { num_output: 4 } }
layers { name: "loss" type: SOFTMAX_LOSS bottom: "ip" top: "loss" }
"""


INPUTS = [
    'layer { name: "in" type: "Input" top: "data" input_param { shape: { dim: 1 dim: 2 dim: 12 dim: 12 } } }',
    'input: "data" input_shape { dim: 1 dim: 2 dim: 12 dim: 12 }',
    'layer { name: "in" type: "MemoryData" top: "data" top: "label" '
    "memory_data_param { batch_size: 4 channels: 2 height: 12 width: 12 } }",
    'layer { name: "in" type: "DummyData" top: "data" top: "label" '
    "dummy_data_param { shape { dim: 4 dim: 2 dim: 12 dim: 12 } shape { dim: 4 } data_filler {} } }",
    'layer { name: "in" type: "DummyData" top: "data" '
    "dummy_data_param { num: 4 channels: 2 height: 12 width: 12 } }",
]


def _lenet() -> tuple[list[Layer], dict[str, list[np.ndarray]]]:
    net = Net(2)
    net.conv("conv", 3, 3)
    net.dense("ip", 300, 4)
    net.add("SoftmaxWithLoss", "loss")
    return net.layers, {layer.name: layer.blobs for layer in net.layers if layer.blobs}


@pytest.mark.parametrize("text", [TRAINING, VERSION_1])
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("form", [{}, {"old_shapes": True}, {"doubles": True}])
def test_training_files_and_old_versions(text: str, version: int, form: Any, tmp_path: Path) -> None:
    net, weights = _lenet()
    (tmp_path / "net.prototxt").write_text(text)
    (tmp_path / "net.caffemodel").write_bytes(caffemodel(weights, version, **form))
    model = load_caffe(tmp_path / "net.prototxt", tmp_path / "net.caffemodel")
    x = RNG.normal(size=(5, 2, 12, 12))
    expected = caffe_reference.run(net, {"data": x})["loss"]
    assert model.input_names == ["data"]
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("text", INPUTS)
def test_ways_to_begin(text: str, tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(text + 'layer { name: "r" type: "ReLU" bottom: "data" top: "out" }')
    model = load_caffe(path)
    assert (model.input_names, model.input_shape) == (["data"], (None, 2, 12, 12))


def test_several_heads_are_outputs(tmp_path: Path) -> None:
    net = Net(4)
    net.add("ReLU", "base", top="base")
    net.dense("a", 4, 3)
    net.top = "base"
    net.dense("b", 4, 2)
    files = write(tmp_path, {"data": (1, 4)}, net.layers)
    assert load_caffe(*files).output_names == ["a", "b"]


# The command


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    net, weights = _lenet()
    text = TRAINING.replace("crop_size: 12", "")
    (tmp_path / "net.prototxt").write_text(text)
    (tmp_path / "net.caffemodel").write_bytes(caffemodel({**weights, "aux": [np.ones(3)]}))
    files = [str(tmp_path / name) for name in ("net.prototxt", "net.caffemodel", "net.h5")]
    assert cli.main(["convert", *files]) == 2
    assert "the shape of 'data' is not known: pass input_shape" in capsys.readouterr().err
    assert cli.main(["convert", *files, "--input-shape", "2,12,12"]) == 0
    said = capsys.readouterr().out
    assert "note: " in said
    assert "layers that the network has not: aux" in said
    assert "wrote" in said
    model = load_model(files[2], compile=False)
    x = RNG.normal(size=(5, 2, 12, 12))
    expected = caffe_reference.run(net, {"data": x})["loss"]
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-5, atol=1e-6)
    assert cli.main(["convert", files[0], files[2]]) == 2
    assert "expected the names of .prototxt" in capsys.readouterr().err


def test_weights_are_not_needed(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(VERSION_1)
    model = load_caffe(path)
    assert isinstance(model.layers[-1], layers.Activation)
    assert model.name == "net"
    assert as_text({"a": [1, "b"]}) == 'a: 1\na: "b"\n'
