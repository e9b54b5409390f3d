"""From an ONNX file to a model."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from onnx import GraphProto, ModelProto, ValueInfoProto, defs, helper

from symgraph import layers as L
from symgraph.convert.builder import Size
from symgraph.convert.onnx.read import elements, fold, products, recurrent, shapes, windows
from symgraph.convert.onnx.read.entries import Entry
from symgraph.convert.onnx.read.node import Node, Reading
from symgraph.convert.onnx.read.tensors import array_of
from symgraph.engine.training import Model
from symgraph.graph.tensor import Tensor

_OLDEST_OPSET = 6
_DOMAINS = ("", "ai.onnx")

_READERS: dict[str, Callable[[Node], list[Entry]]] = {
    **{
        op: elements.activation(name)
        for op, name in {
            "Exp": "exponential", "Relu": "relu", "Sigmoid": "sigmoid", "Softplus": "softplus",
            "Softsign": "softsign", "Tanh": "tanh",
        }.items()
    },
    **{
        op: elements.merged(cls)
        for op, cls in {"Max": L.Maximum, "Mean": L.Average, "Min": L.Minimum, "Sum": L.Add}.items()
    },
    **dict.fromkeys(("GRU", "LSTM", "RNN"), recurrent.recurrent),
    "Add": elements.add, "AveragePool": windows.average_pool,
    "BatchNormalization": products.batch_normalization, "Cast": shapes.cast, "Clip": elements.clip,
    "Concat": shapes.concat, "Constant": fold.constant, "ConstantOfShape": fold.constant_of_shape,
    "Conv": windows.convolution, "ConvTranspose": windows.transposed, "Div": elements.divide,
    "Dropout": elements.dropout, "Einsum": products.einsum, "Elu": elements.elu, "Flatten": shapes.flatten,
    "Gather": products.gather, "Gemm": products.gemm, "GlobalAveragePool": windows.global_mean,
    "GlobalMaxPool": windows.global_max, "HardSigmoid": elements.hard_sigmoid,
    "HardSwish": elements.hard_swish, "Identity": elements.passed_on, "LRN": windows.response_normalization,
    "LeakyRelu": elements.leaky_relu, "MatMul": products.matmul, "MaxPool": windows.max_pool,
    "Mul": elements.multiply, "Neg": elements.negative, "PRelu": elements.prelu, "Pad": shapes.pad,
    "Pow": elements.power, "Reciprocal": elements.reciprocal, "ReduceMax": windows.reduce_max,
    "ReduceMean": windows.reduce_mean, "Reshape": shapes.reshape, "Resize": windows.resize,
    "Selu": elements.selu, "Shape": fold.shape, "Slice": shapes.slice_ends, "Softmax": elements.softmax,
    "Split": shapes.split, "Sqrt": elements.root, "Squeeze": shapes.squeeze, "Sub": elements.subtract,
    "ThresholdedRelu": elements.thresholded_relu, "Tile": shapes.tile, "Transpose": shapes.transpose,
    "Unsqueeze": shapes.unsqueeze, "Upsample": windows.resize,
}  # fmt: skip


def load_onnx(path: str | os.PathLike[str]) -> Model:
    """Make a model of an ONNX file.

    Parameters
    ----------
    path : path
        A file of opset 6 or newer, whose operators all have a counterpart among layers. Axis 0 of inputs and
        outputs are the samples, even where the file says how many.

    Returns
    -------
    Model
        Of plain layers, with the layouts of the file: channels first. Its inputs keep their names.

    Raises
    ------
    ValueError
        If the file is damaged, or an operator or attribute cannot be read; with the name of the node.
    OSError
        If the file cannot be read.

    Notes
    -----
    Constants in other files are read only if those lie in the folder of this one.
    """
    file = Path(path)
    proto = ModelProto()
    try:
        proto.ParseFromString(file.read_bytes())
    except DecodeError as error:
        raise ValueError(f"{path}: not an ONNX file, or a damaged one: {error}") from None
    _check_texts(proto.graph, file)
    if not proto.graph.node:
        raise ValueError(f"{path}: not an ONNX file: there are no nodes in it")
    reading = Reading(proto.graph, file, _opset(proto, file))
    inputs = _begin(reading, proto.graph)
    for node in proto.graph.node:
        _read(reading, Node(node, reading))
    outputs = [_output(reading, entry.name) for entry in proto.graph.output]
    return Model(inputs, outputs, name=_model_name(proto.graph, file))


def _check_texts(graph: GraphProto, file: Path) -> None:
    """ValueError where a name is no text: protobuf hands on the bytes then."""
    texts = [graph.name, *(entry.name for entry in (*graph.input, *graph.output, *graph.initializer))]
    for node in graph.node:
        texts += [node.name, node.op_type, node.domain, *node.input, *node.output]
        texts += [attribute.name for attribute in node.attribute]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{file}: damaged: a name in it is not UTF-8")


def _model_name(graph: GraphProto, file: Path) -> str:
    name = graph.name if graph.name.replace("_", "").replace("-", "").isalnum() else file.stem
    return name or "onnx"


def _opset(proto: ModelProto, file: Path) -> int:
    """The version of the operators. ValueError if it is too old or too new."""
    found = [entry.version for entry in proto.opset_import if entry.domain in _DOMAINS]
    newest = defs.onnx_opset_version()
    if not found or not _OLDEST_OPSET <= max(found) <= newest:
        raise ValueError(f"{file}: expected operators of opset {_OLDEST_OPSET} to {newest}, got {found}")
    if proto.functions or proto.graph.sparse_initializer:
        raise ValueError(f"{file}: functions and sparse constants cannot be read")
    return int(max(found))


def _begin(reading: Reading, graph: GraphProto) -> list[Tensor]:
    """Constants and inputs."""
    for tensor in graph.initializer:
        reading.values[tensor.name] = array_of(tensor, reading.path)
    inputs = []
    for entry in graph.input:
        # Files of old versions list constants among the inputs.
        if entry.name in reading.values or not reading.used(entry.name):
            continue
        reading.values[entry.name] = made = _input(reading, entry)
        inputs.append(made)
    if not inputs:
        raise ValueError(f"{reading.path}: no inputs were found that a node reads")
    return inputs


def _input(reading: Reading, entry: ValueInfoProto) -> Tensor:
    what = f"{reading.path}: input {entry.name!r}"
    tensor = entry.type.tensor_type
    if not entry.type.HasField("tensor_type") or not tensor.HasField("shape") or not tensor.shape.dim:
        raise ValueError(f"{what}: expected a tensor of a known number of axes, samples first")
    found: list[Size] = [
        int(size.dim_value) if size.HasField("dim_value") and size.dim_value > 0 else None
        for size in tensor.shape.dim
    ]
    if found[0] is not None:
        reading.batches.add(found[0])
    try:
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        made: Tensor = L.Input(tuple(found[1:]), name=reading.unique(entry.name), dtype=dtype.name)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{what}: it cannot be read: {error}") from None
    return made


def _read(reading: Reading, node: Node) -> None:
    """The results of one node, by the names of its outputs."""
    if id(node.proto) in reading.done:
        source = next(n for n in node.proto.input if not isinstance(reading.values.get(n), np.ndarray))
        reading.values[node.proto.output[0]] = reading.values[source]
        return
    if node.proto.domain not in _DOMAINS or node.op not in _READERS:
        raise node.error("there is no layer for this operator")
    try:
        results = fold.folded(node) or fold.of_sizes(node) or _READERS[node.op](node)
        node.check_attributes()
    except (ValueError, TypeError) as error:
        if str(error).startswith(str(node)):
            raise
        raise node.error(str(error)) from error
    for name, result in zip(node.proto.output, results, strict=False):
        reading.values[name] = result
    for name in node.proto.output[len(results) :]:
        if reading.used(name):
            raise node.error(f"its output {name!r} cannot be read")


def _output(reading: Reading, name: str) -> Any:
    found = reading.values.get(name)
    if not isinstance(found, Tensor):
        kind = "a constant" if isinstance(found, np.ndarray) else "of another layout, or made by no node"
        raise ValueError(f"{reading.path}: output {name!r}: expected samples on axis 0; it is {kind}")
    return found
