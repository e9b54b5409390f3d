"""Each layer type of Caffe, with its parameters, against numpy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symgraph.convert import load_caffe
from symgraph.models import load_model
from tests.convert import caffe_reference
from tests.convert.caffe_files import Layer, Word, write

RNG = np.random.default_rng(7)


def _blobs(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    return [RNG.normal(size=shape).astype("float32") for shape in shapes]


def _conv(*shapes: tuple[int, ...], type: str = "Convolution", **given: Any) -> Layer:
    return Layer("one", type, ["data"], ["out"], _blobs(*shapes), {"convolution_param": given})


def _deconv(*shapes: tuple[int, ...], **given: Any) -> Layer:
    return _conv(*shapes, type="Deconvolution", **given)


def _one(type: str, *shapes: tuple[int, ...], bottoms: Sequence[str] = ("data",), **fields: Any) -> Layer:
    return Layer("one", type, list(bottoms), ["out"], _blobs(*shapes), fields)


PICTURE, LINE = (2, 4, 7, 6), (2, 5)

CASES: dict[str, tuple[Layer, tuple[int, ...]]] = {
    "convolution": (_conv((3, 4, 3, 2), (3,), num_output=3, kernel_h=3, kernel_w=2), PICTURE),
    "convolution, padded": (_conv((3, 4, 3, 3), (3,), num_output=3, kernel_size=3, pad=1), PICTURE),
    "convolution, strides": (
        _conv((3, 4, 3, 3), (3,), num_output=3, kernel_size=3, pad=[1, 2], stride=[2, 3]),
        PICTURE,
    ),
    "convolution, groups": (
        _conv((6, 2, 3, 3), (6,), num_output=6, kernel_size=3, pad_h=2, pad_w=0, group=2, stride=2),
        PICTURE,
    ),
    "convolution, depthwise": (_conv((8, 1, 2, 2), (8,), num_output=8, kernel_size=2, group=4), PICTURE),
    "convolution, dilation": (
        _conv((3, 4, 3, 3), num_output=3, kernel_size=3, dilation=2, pad=2, bias_term=False),
        PICTURE,
    ),
    "deconvolution": (
        _deconv((4, 3, 4, 4), (3,), num_output=3, kernel_size=4, stride=2, pad=1),
        (2, 4, 3, 4),
    ),
    "deconvolution, groups": (
        _deconv((4, 1, 3, 3), num_output=4, kernel_size=3, stride=2, group=4, bias_term=False),
        (2, 4, 3, 4),
    ),
    "deconvolution, gaps": (
        _deconv((4, 2, 1, 2), (4,), num_output=4, kernel_h=1, kernel_w=2, stride=3, group=2),
        (2, 4, 3, 2),
    ),
    "pooling": (_one("Pooling", pooling_param={"kernel_size": 2, "stride": 2}), (2, 3, 6, 8)),
    "pooling, rest": (_one("Pooling", pooling_param={"kernel_size": 3, "stride": 2}), (2, 3, 8, 7)),
    "pooling, last window left out": (
        _one("Pooling", pooling_param={"kernel_size": 2, "stride": 2, "pad": 1}),
        (2, 3, 5, 6),
    ),
    "pooling, pads": (
        _one("Pooling", pooling_param={"kernel_h": 3, "kernel_w": 2, "stride_w": 2, "pad_h": 1}),
        (2, 3, 5, 7),
    ),
    "mean, rest": (
        _one("Pooling", pooling_param={"pool": Word("AVE"), "kernel_size": 3, "stride": 2}),
        (2, 3, 8, 8),
    ),
    "mean, pads": (
        _one("Pooling", pooling_param={"pool": Word("AVE"), "kernel_size": 3, "stride": 2, "pad": 1}),
        (2, 3, 8, 7),
    ),
    "mean, stride 1": (
        _one("Pooling", pooling_param={"pool": Word("AVE"), "kernel_size": 3, "pad": 1}),
        (2, 3, 4, 5),
    ),
    "global mean": (_one("Pooling", pooling_param={"pool": Word("AVE"), "global_pooling": True}), PICTURE),
    "global largest": (_one("Pooling", pooling_param={"global_pooling": True}), PICTURE),
    "lrn": (_one("LRN", lrn_param={"local_size": 3, "alpha": 0.5, "beta": 0.6, "k": 2.0}), PICTURE),
    "lrn, defaults": (_one("LRN"), (2, 7, 2, 3)),
    "lrn, pixels": (
        _one("LRN", lrn_param={"local_size": 3, "norm_region": Word("WITHIN_CHANNEL"), "k": 3.0}),
        PICTURE,
    ),
    "inner product": (_one("InnerProduct", (3, 168), (3,), inner_product_param={"num_output": 3}), PICTURE),
    "inner product, transposed": (
        _one(
            "InnerProduct",
            (5, 3),
            inner_product_param={"num_output": 3, "transpose": True, "bias_term": False},
        ),
        LINE,
    ),
    "inner product, axis": (
        _one("InnerProduct", (3, 42), (3,), inner_product_param={"num_output": 3, "axis": 2}),
        PICTURE,
    ),
    "batch norm of lines": (_one("BatchNorm", (5,)), LINE),
    "batch norm without a step": (_one("BatchNorm", batch_norm_param={"eps": 0.1}), PICTURE),
    "scale": (_one("Scale", (4,), (4,), scale_param={"bias_term": True}), PICTURE),
    "scale, axes": (_one("Scale", (7, 6), scale_param={"axis": 2, "num_axes": 2}), PICTURE),
    "bias": (_one("Bias", (4,)), PICTURE),
    "relu": (_one("ReLU"), PICTURE),
    "relu, slope": (_one("ReLU", relu_param={"negative_slope": 0.1}), PICTURE),
    "prelu": (_one("PReLU", (4,)), PICTURE),
    "prelu, shared": (_one("PReLU", (1,), prelu_param={"channel_shared": True}), PICTURE),
    "elu": (_one("ELU", elu_param={"alpha": 0.5}), PICTURE),
    "sigmoid": (_one("Sigmoid"), LINE),
    "tanh": (_one("TanH"), LINE),
    "power": (_one("Power", power_param={"power": 2.0, "scale": 0.5, "shift": -1.0}), LINE),
    "softmax": (_one("Softmax"), LINE),
    "softmax of pictures": (_one("Softmax"), PICTURE),
    "softmax, axis": (_one("Softmax", softmax_param={"axis": 2}), PICTURE),
    "dropout": (_one("Dropout", dropout_param={"dropout_ratio": 0.4}), LINE),
    "flatten": (_one("Flatten"), PICTURE),
    "flatten, axes": (_one("Flatten", flatten_param={"axis": 2}), PICTURE),
    "flatten, first axes": (_one("Flatten", flatten_param={"axis": 1, "end_axis": -2}), PICTURE),
    "reshape": (_one("Reshape", reshape_param={"shape": {"dim": [0, 0, 6, -1]}}), PICTURE),
    "reshape, samples by number": (_one("Reshape", reshape_param={"shape": {"dim": [2, 168]}}), PICTURE),
    "reshape, samples left": (_one("Reshape", reshape_param={"shape": {"dim": [-1, 8, 21]}}), PICTURE),
    "reshape, axes": (
        _one("Reshape", reshape_param={"shape": {"dim": [2, 2]}, "axis": 1, "num_axes": 1}),
        PICTURE,
    ),
}  # fmt: skip


def check(folder: Path, inputs: dict[str, tuple[int, ...]], layers: list[Layer]) -> Any:
    """Convert, compare the last blob with the reference, also after saving and loading."""
    files = write(folder, inputs, layers)
    model = load_caffe(*files)
    values = {name: RNG.normal(size=shape).astype("float32") for name, shape in inputs.items()}
    expected = caffe_reference.run(layers, values)[layers[-1].tops[0]]
    x = list(values.values())
    found = model.predict(x)
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)
    assert model.output_shape == (None, *expected.shape[1:])
    model.save(folder / "model.h5")
    np.testing.assert_array_equal(load_model(folder / "model.h5", compile=False).predict(x), found)
    return model


@pytest.mark.parametrize("name", CASES)
def test_layer(name: str, tmp_path: Path) -> None:
    layer, shape = CASES[name]
    if layer.type == "BatchNorm":
        factor = np.array([0.0 if "without" in name else 2.5])
        layer.blobs[:] = [*_blobs(shape[1:2]), RNG.uniform(0.5, 2, shape[1]), factor]
    check(tmp_path, {"data": shape}, [layer])


@pytest.mark.parametrize(
    ("type", "fields"),
    [
        ("Eltwise", {}),
        ("Eltwise", {"eltwise_param": {"operation": Word("SUM"), "coeff": [0.5, 1.0, -2.0]}}),
        ("Eltwise", {"eltwise_param": {"operation": Word("PROD")}}),
        ("Eltwise", {"eltwise_param": {"operation": Word("MAX")}}),
        ("Concat", {}),
        ("Concat", {"concat_param": {"axis": 3}}),
        ("Concat", {"concat_param": {"concat_dim": 2}}),
    ],
)
def test_several_blobs(type: str, fields: Any, tmp_path: Path) -> None:
    inputs = {name: PICTURE for name in "abc"}
    check(tmp_path, inputs, [_one(type, bottoms="abc", **fields)])


def test_differences_are_subtracted(tmp_path: Path) -> None:
    layer = _one("Eltwise", bottoms="ab", eltwise_param={"coeff": [1.0, -1.0]})
    check(tmp_path, {"a": LINE, "b": LINE}, [layer])


def test_crop(tmp_path: Path) -> None:
    layer = _one("Crop", bottoms="ab", crop_param={"axis": 2, "offset": [1, 2]})
    check(tmp_path, {"a": (2, 3, 7, 8), "b": (2, 1, 4, 5)}, [layer])


def test_a_scale_by_another_blob(tmp_path: Path) -> None:
    check(tmp_path, {"a": PICTURE, "b": (2, 4)}, [_one("Scale", bottoms="ab", scale_param={"axis": 0})])
