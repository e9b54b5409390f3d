"""Files of Caffe that are damaged, hostile, or describe what cannot be converted: one clear error each."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symgraph.convert import load_caffe
from symgraph.convert.caffe.prototxt import Message, parse_prototxt
from symgraph.convert.caffe.weights import read_weights
from tests.convert.caffe_files import NetParameter, caffemodel

NET = """
input: "data" input_dim: 1 input_dim: 2 input_dim: 8 input_dim: 8
layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv"
         convolution_param {{ num_output: 3 kernel_size: 3 }} }}
{}
"""
CONV = {"conv": [np.ones((3, 2, 3, 3)), np.ones(3)]}


def _load(folder: Path, text: str, weights: bytes | None = None) -> Any:
    (folder / "net.prototxt").write_text(text)
    if weights is None:
        return load_caffe(folder / "net.prototxt")
    (folder / "net.caffemodel").write_bytes(weights)
    return load_caffe(folder / "net.prototxt", folder / "net.caffemodel")


def _layer(type: str, more: str = "", bottom: str = 'bottom: "conv"') -> str:
    return NET.format(f'layer {{ name: "it" type: "{type}" {bottom} top: "it" {more} }}')


# The text


def test_values_of_the_text_format() -> None:
    text = r"""
    a: 1 a: -0x1F, a: 017; b: 1.5f b: .5e-3 b: -inf  # comment { "
    c: "one" 'two\n\x41\101\"' d < e: true > f { g: [1, 2.5, X] } h: [{ i: 1 }, { i: 2 }]
    j: []
    """
    found = parse_prototxt(text, "net")
    assert found["a"] == [1, -31, 15]
    assert found["b"] == [1.5, 0.0005, -np.inf]
    assert found["c"] == ['onetwo\nAA"']
    assert found["d"] == [{"e": ["true"]}]
    assert found["f"] == [{"g": [1, 2.5, "X"]}]
    assert found["h"] == [{"i": [1]}, {"i": [2]}]
    assert found["j"] == []
    assert isinstance(found["f"][0], Message)
    assert found["f"][0].line == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb {\n c: 2", "line 3: expected the name of a field or }, got the end of the file"),
        ("a: 1\n}", "line 2: expected the name of a field, got }"),
        ("a 1", "line 1: expected ':' or '{', got 1"),
        ("a: \n: 2", "line 2: expected a value, got :"),
        ("a: 12monkeys", "line 1: unexpected '12monkeys'"),
        ('a: "open\nb: 1', "line 1: unexpected '\"open"),
        ("a: [1 2]", "line 1: expected ',' or ']', got 2"),
        ("a { b: 1 >", "line 1: expected the name of a field or }, got >"),
        ("a {" * 100, "more than 32 messages inside each other"),
    ],
)
def test_a_damaged_text(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_prototxt(text, "net.prototxt")
    assert f"net.prototxt, {message}" in str(caught.value) or message in str(caught.value)


def test_files_that_are_no_text_or_no_network(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_bytes(caffemodel(CONV))
    with pytest.raises(ValueError, match=r"net\.prototxt"):
        load_caffe(path)
    path.write_text('net: "train.prototxt" base_lr: 0.1')
    with pytest.raises(ValueError, match="expected the prototxt of a network, got a solver's"):
        load_caffe(path)
    with pytest.raises(OSError, match=r"missing\.prototxt"):
        load_caffe(tmp_path / "missing.prototxt")


# Networks that cannot be converted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (_layer("Python"), "line 5: layer 'it' (Python): layers of this type cannot be converted"),
        (
            _layer("ReLU", "relu_param { slope: 2 }"),
            "layer 'it' (ReLU): relu_param { slope } cannot be converted",
        ),
        (
            _layer("ReLU", bottom='bottom: "nothing"'),
            "reads the blob 'nothing', which no layer before it makes",
        ),
        (_layer("ReLU", bottom='bottom: "conv" bottom: "data"'), "expected one bottom, got 2: conv, data"),
        (_layer("ReLU", 'top: "two"'), "layer 'it' (ReLU): expected one top, got 2: it, two"),
        (_layer("Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 2 }"), "STOCHASTIC"),
        (
            _layer("Pooling", "pooling_param { pool: SOME kernel_size: 2 }"),
            "expected one of MAX, AVE, STOCHASTIC",
        ),
        (
            _layer("Pooling", "pooling_param { kernel_size: 2 pad: 2 }"),
            "expected padding smaller than the window",
        ),
        (
            _layer("Pooling", "pooling_param { kernel_size: 9 }"),
            "a window of (9, 9) does not fit into (6, 6)",
        ),
        (_layer("Pooling", "pooling_param { kernel_size: 1 stride: 4 }"), "begins behind the picture"),
        (_layer("Pooling", "pooling_param { }"), "pooling_param: expected kernel_size"),
        (_layer("LRN", "lrn_param { local_size: 4 }"), "expected an odd local_size, got 4"),
        (_layer("Softmax", "softmax_param { axis: 0 }"), "axis 0 of a blob of shape (None, 3, 6, 6)"),
        (_layer("Reshape", "reshape_param { shape { dim: 7 dim: -1 } }"), "mixes the samples"),
        (_layer("BatchNorm", "batch_norm_param { use_global_stats: false }"), "use_global_stats: false"),
        (
            _layer("Eltwise", "eltwise_param { coeff: 1 }", 'bottom: "conv" bottom: "conv"'),
            "a coeff for each of 2",
        ),
        (_layer("Eltwise", "", 'bottom: "conv" bottom: "data"'), "expected blobs of one shape"),
        (
            _layer("Convolution", "convolution_param { num_output: 4 kernel_size: 2 group: 2 }"),
            "into 2 groups",
        ),
        (
            _layer("Convolution", "convolution_param { num_output: 4 kernel_size: 7 }"),
            "layer 'it' (Convolution): ",
        ),
        (
            _layer("Convolution", "convolution_param { num_output: 4 kernel_size: [1, 2, 3] }"),
            "one or two integers",
        ),
        (
            _layer("Convolution", 'convolution_param { num_output: "x" kernel_size: 2 }'),
            "expected an integer",
        ),
        (
            _layer("Convolution", "convolution_param { kernel_size: 2 }"),
            "convolution_param: expected num_output",
        ),
        (
            _layer("Dropout", "dropout_param { dropout_ratio: 1 }"),
            "expected a dropout_ratio from 0 to below 1",
        ),
        ('layers { layer { name: "c" type: "conv" } }', "version 0: upgrade it by upgrade_net_proto_text"),
        ('layer { name: "a" }', "line 1: layer 'a' has no type"),
        ('input: "a" layer { name: "a" type: "ReLU" bottom: "a" top: "b" }', "got 1 inputs, 0 shapes"),
        (
            'input: "a" input_dim: 1 input_dim: 0 layer { type: "ReLU" }',
            "expected sizes of at least 1, got 0",
        ),
        (
            'layer { name: "d" type: "Data" top: "d" } layer { name: "r" type: "ReLU" bottom: "d" top: "r" }',
            "line 1: layer 'd' (Data): the shape of 'd' is not known: pass input_shape",
        ),
    ],
)
def test_what_cannot_be_converted(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError) as caught:
        _load(tmp_path, text)
    assert message in str(caught.value)
    assert "net.prototxt" in str(caught.value)


def test_input_shapes_that_do_not_suit(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(NET.format(""))
    for shape, message in (({"x": (1, 2)}, "there is no input 'x'"), ((0, 2), "expected sizes of a sample")):
        with pytest.raises(ValueError, match=message):
            load_caffe(tmp_path / "net.prototxt", input_shape=shape)  # type: ignore[arg-type]
    assert load_caffe(tmp_path / "net.prototxt", input_shape=(2, 5, 5)).input_shape == (None, 2, 5, 5)


# Weights


def test_weights_that_do_not_suit(tmp_path: Path) -> None:
    for weights, message in (
        ({"other": [np.ones(1)]}, "has no weights for it"),
        ({"conv": [np.ones((3, 2, 3, 3))]}, "expected 2 blobs in"),
        (
            {"conv": [np.ones((3, 2, 3, 2)), np.ones(3)]},
            "expected blob 0 of shape (3, 2, 3, 3), got (3, 2, 3, 2)",
        ),
    ):
        with pytest.raises(ValueError) as caught:
            _load(tmp_path, NET.format(""), caffemodel(weights))
        assert message in str(caught.value)
        assert "layer 'conv' (Convolution)" in str(caught.value)


def test_more_weights_than_layers_are_told(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="layers that the network has not: aux"):
        _load(tmp_path, NET.format(""), caffemodel({**CONV, "aux": [np.ones(1)]}))


def test_weights_that_are_declared_larger_than_they_are_cost_nothing(tmp_path: Path) -> None:
    text = NET.format("").replace("num_output: 3", "num_output: 4000000000")
    with pytest.raises(ValueError, match="expected blob 0 of shape"):
        _load(tmp_path, text, caffemodel(CONV))


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole, path = caffemodel(CONV), tmp_path / "net.caffemodel"
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        try:
            found = read_weights(path)
        except ValueError as error:
            assert "net.caffemodel" in str(error)
        else:
            # Cut between two fields of the network: what is left is a network, too.
            assert found == {}


def _blob(**fields: Any) -> bytes:
    net = NetParameter()
    blob = net.layer.add(name="conv").blobs.add()
    for name, value in fields.items():
        if name == "shape":
            blob.shape.dim.extend(value)
        elif isinstance(value, list):
            getattr(blob, name).extend(value)
        else:
            setattr(blob, name, value)
    return bytes(net.SerializeToString())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no layers were found: not a caffemodel"),
        (b"PK\x03\x04 a zip file", "not a protocol buffer"),
        (b"\x89HDF\r\n\x1a\n....", "an HDF5 file"),
        (_blob(shape=[2, 2], data=[1.0, 2.0, 3.0]), "expected [2, 2] numbers, as its shape says, got 3"),
        (_blob(shape=[-1, -3], data=[1.0, 2.0, 3.0]), "expected [-1, -3] numbers"),
        (_blob(shape=[1] * 40, data=[1.0]), "as its shape says, got 1"),
        (_blob(shape=[1 << 40, 1 << 40], data=[1.0]), "as its shape says, got 1"),
        (_blob(num=2, channels=1, height=1, width=1, data=[1.0]), "expected [2, 1, 1, 1] numbers"),
        (_blob(shape=[2], data=[1.0], double_data=[1.0]), "has data of both precisions"),
        (caffemodel(CONV) + caffemodel(CONV), "two layers called 'conv' have weights"),
        (b"\xa2\x06\xff\xff\xff\xff\xff\x7f", "truncated or damaged"),
        (b"\xa2\x06" + b"\xff" * 11, "has more than 10 bytes"),
        (b"\xa2\x06\x02\x0a\x05", "truncated or damaged"),
        (b"\xa2\x06\x03\x0a\x01\xff", "a name is not UTF-8"),
        (b"\xa0\x06\x07", "expected bytes, got wire type 0"),
        (b"\x12\x04\x0a\x02\x08\x01", "version 0: upgrade it by upgrade_net_proto_binary"),
    ],
)
def test_a_damaged_caffemodel(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "net.caffemodel"
    path.write_bytes(data)
    with pytest.raises(ValueError) as caught:
        read_weights(path)
    assert message in str(caught.value)
    assert "net.caffemodel" in str(caught.value)


def test_floats_that_are_not_packed(tmp_path: Path) -> None:
    """Fields one by one, as the first protocol buffers of version 2 wrote them; unknown fields between."""
    floats = b"".join(b"\x2d" + struct.pack("<f", value) for value in (1.5, -2.0))
    blob = b"\x08\x01\x10\x01\x18\x01\x20\x02" + floats + b"\x35" + struct.pack("<f", 9.0)
    layer = b"\x0a\x01a" + b"\x3a" + bytes([len(blob)]) + blob + b"\x98\x06\x07"
    path = tmp_path / "net.caffemodel"
    path.write_bytes(b"\xa2\x06" + bytes([len(layer)]) + layer)
    (array,) = read_weights(path)["a"]
    np.testing.assert_array_equal(array, np.float32([[[[1.5, -2.0]]]]))
