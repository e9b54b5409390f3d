"""ONNX files that are damaged, hostile, or hold what cannot be read: one clear error each."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import symgraph.convert.onnx
from symgraph.convert import load_onnx, to_onnx
from symgraph.layers import Dense
from symgraph.models import Sequential
from tests.convert.test_onnx_networks import floats, made_of, node, numbers, pictures


def _load(folder: Path, made: onnx.ModelProto) -> Any:
    path = folder / "net.onnx"
    path.write_bytes(made.SerializeToString())
    return load_onnx(path)


def _refused(folder: Path, made: onnx.ModelProto, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        _load(folder, made)
    assert message in str(caught.value)
    assert "net.onnx" in str(caught.value)


# Files


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    for data in (b"", b"PK\x03\x04 a zip file", os.urandom(64), b"\x89HDF\r\n\x1a\n"):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"net\.onnx: not an ONNX file"):
            load_onnx(path)
    with pytest.raises(OSError, match="missing"):
        load_onnx(tmp_path / "missing.onnx")


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole, path = to_onnx(Sequential([Dense(2, input_shape=(3,))])).SerializeToString(), tmp_path / "net.onnx"
    for end in range(0, len(whole), 3):
        path.write_bytes(whole[:end])
        with pytest.raises(ValueError, match=r"net\.onnx"):
            load_onnx(path)


def test_a_file_with_wrong_bytes_is_a_model_or_refused(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(0), tmp_path / "net.onnx"
    whole = to_onnx(pictures()).SerializeToString()
    refused = 0
    for _ in range(100):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), 3):
            data[place] = rng.integers(0, 256)
        path.write_bytes(bytes(data))
        try:
            load_onnx(path)
        except ValueError as error:
            assert str(path) in str(error)
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("opset", [1, 5, 1000])
def test_opsets_that_are_too_old_or_too_new(opset: int, tmp_path: Path) -> None:
    made = made_of([node("Relu", "x", "y")], {"x": ("N", 2, 3)}, {}, opset)
    _refused(tmp_path, made, "expected operators of opset 6 to")


# Constants


def _dense(tensor: onnx.TensorProto) -> onnx.ModelProto:
    made = made_of([node("MatMul", "x w", "y")], {"x": ("N", 4, 3)}, {})
    made.graph.initializer.append(tensor)
    return made


def test_constants_that_do_not_fill_their_shape(tmp_path: Path) -> None:
    whole = numpy_helper.from_array(floats(3, 5), "w")
    assert _load(tmp_path, _dense(whole)).output_shape == (None, 4, 5)
    for dims in ((3, 6), (3, 1 << 40), (1 << 40, 1 << 40), (-3, -5), (1,) * 40):
        broken = onnx.TensorProto()
        broken.CopyFrom(whole)
        del broken.dims[:]
        broken.dims.extend(dims)
        _refused(tmp_path, _dense(broken), "constant 'w': ")
    few = helper.make_tensor("w", TensorProto.FLOAT, [3, 5], floats(15))
    few.float_data.pop()
    _refused(tmp_path, _dense(few), "constant 'w': it does not have the 15 values of its shape")
    _refused(tmp_path, _dense(onnx.TensorProto(name="w", data_type=8, dims=[1])), "values of type 8")


def _external(location: str, **entries: Any) -> onnx.TensorProto:
    tensor = onnx.TensorProto(name="w", data_type=1, dims=[3, 5], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def test_constants_in_other_files(tmp_path: Path) -> None:
    folder, outside = tmp_path / "model", tmp_path / "secret.bin"
    folder.mkdir()
    weights = floats(3, 5)
    outside.write_bytes(weights.tobytes())
    (folder / "w.bin").write_bytes(b"1234" + weights.tobytes())
    (folder / "link.bin").symlink_to(outside)
    model = _load(folder, _dense(_external("w.bin", offset=4, length=60)))
    np.testing.assert_array_equal(model.get_weights()[0], weights)
    for location in ("../secret.bin", str(outside), "link.bin", "", ".", "none.bin"):
        _refused(folder, _dense(_external(location)), "expected a file in the folder of the model")
    for entries in ({"offset": 5}, {"offset": -1}, {"length": 59}, {"length": 1 << 50}):
        _refused(folder, _dense(_external("w.bin", **entries)), "constant 'w': expected 60 bytes in 'w.bin'")
    _refused(folder, _dense(_external("w.bin", offset="x")), "is no number")


def test_constants_that_would_be_large(tmp_path: Path) -> None:
    sides = {"a": np.zeros((1 << 13, 1), "float32"), "b": np.zeros((1, 1 << 13), "float32")}
    nodes = [node("Add", "a b", "c"), node("Add", "x c", "y")]
    _refused(tmp_path, made_of(nodes, {"x": ("N", 4, 3)}, sides), "node 'c' (Add): the constant")
    nodes = [node("ConstantOfShape", "s", "c"), node("Add", "x c", "y")]
    _refused(tmp_path, made_of(nodes, {"x": ("N", 4, 3)}, {"s": numbers(1 << 20, 1 << 20)}), "cannot be made")


# Nodes


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([node("Erf", "x", "y")], "node 'y' (Erf): there is no layer for this operator"),
        ([node("Relu", "x", "y", domain="com.else")], "node 'y' (Relu): there is no layer for this operator"),
        ([node("Add", "x z", "y")], "reads 'z', which nothing before it makes"),
        ([node("Relu", "x", "y", slope=2.0)], "node 'y' (Relu): its attribute slope cannot be read"),
        ([node("Conv", "x w", "y", group=2)], "do not suit 4 channels"),
        ([node("Conv", "x x", "y")], "expected a constant for the weights"),
        ([node("Conv", "x w", "y", pads=[1, -1])], "expected 2 pads of at least 0, got [1, -1]"),
        ([node("Conv", "x w", "y", kernel_shape=[2])], "kernel_shape [2] is not that of the weights, (1,)"),
        ([node("MaxPool", "x", "y", kernel_shape=[2], dilations=[2])], "expected dilations [1], got [2]"),
        ([node("Concat", "x x", "y", axis=0)], "axis 0 of a tensor of shape (None, 4, 3)"),
        ([node("Transpose", "x", "y", perm=[2, 1, 0])], "an order of axes [2, 1, 0]"),
        ([node("Transpose", "x", "y", perm=[1, 0, 2])], "output 'y': expected samples on axis 0"),
        ([node("Reshape", "x s", "y")], "a shape of [5, 12] mixes the samples of shape (None, 4, 3)"),
        ([node("Softmax", "x", "y", axis=5)], "axis 5 of a tensor of shape (None, 4, 3)"),
        ([node("Add", "x w", "y")], "a constant of shape (2, 4, 1) beside a tensor of shape (None, 4, 3)"),
        ([node("Div", "i i", "y")], "tensors of int64 cannot be read here"),
        ([node("LSTM", "x w w", "y", hidden_size=1)], "expected a sequence (time, samples, features)"),
        ([node("Transpose", "x", "t", perm=[1, 0, 2]), node("LSTM", "t w w", "y", hidden_size=1)],
         "expected W, R, B of shapes"),
        ([node("Transpose", "x", "t", perm=[1, 0, 2]), node("GRU", "t w w", "y", clip=1.0)], "its attribute"),
        ([node("Split", "x", "y z", axis=1)], "only the directions of a recurrent operator can be split"),
        ([node("Dropout", "x", "z m"), node("Add", "z m", "y")], "its mask, a second output, cannot be read"),
    ],
)  # fmt: skip
def test_what_cannot_be_read(nodes: list[Any], message: str, tmp_path: Path) -> None:
    made = made_of(nodes, {"x": ("N", 4, 3)}, {"w": floats(2, 4, 1), "s": numbers(5, 12)})
    made.graph.input.append(helper.make_tensor_value_info("i", TensorProto.INT64, ["N", 2]))
    _refused(tmp_path, made, message)


def test_inputs_that_cannot_be_read(tmp_path: Path) -> None:
    made = made_of([node("Relu", "x", "y")], {"x": ()}, {})
    _refused(tmp_path, made, "input 'x': expected a tensor of a known number of axes, samples first")
    made = made_of([node("Relu", "w", "y")], {"x": ("N", 2, 2)}, {"w": floats(2)})
    _refused(tmp_path, made, "no inputs were found that a node reads")
    made = made_of([node("Relu", "x", "y")], {"x": ("N", 2, 2)}, {})
    made.graph.input[0].type.tensor_type.elem_type = TensorProto.STRING
    _refused(tmp_path, made, "input 'x': it cannot be read")


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install symgraph\[onnx\]"):
        importlib.reload(symgraph.convert.onnx)
