"""From a model to an ONNX file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from symgraph import __version__
from symgraph.convert.onnx.write.graph import Graph, Size, Value
from symgraph.convert.onnx.write.layers import write_network
from symgraph.distributed.together import written_by_first
from symgraph.utils.io_utils import atomic_path

DEFAULT_OPSET = 17
OLDEST_OPSET = 13
NEWEST_OPSET = 21

_TYPES = {
    "float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE, "float16": TensorProto.FLOAT16,
    "int32": TensorProto.INT32, "int64": TensorProto.INT64, "uint8": TensorProto.UINT8,
    "bool": TensorProto.BOOL, "int8": TensorProto.INT8, "int16": TensorProto.INT16,
}  # fmt: skip
_MOST_BYTES = (1 << 31) - 1  # of a protocol buffer


def to_onnx(model: Any, opset: int = DEFAULT_OPSET) -> ModelProto:
    """What `save_onnx` writes.

    Parameters
    ----------
    model : Model
    opset : int
        The version of the operators, 13 to 21.

    Raises
    ------
    ValueError
        As `save_onnx`.
    """
    if not OLDEST_OPSET <= opset <= NEWEST_OPSET:
        raise ValueError(f"opset: expected a version from {OLDEST_OPSET} to {NEWEST_OPSET}, got {opset}")
    if not getattr(model, "inputs", None) or not getattr(model, "outputs", None):
        raise ValueError(f"model {model.name}: it has no inputs yet; build it, or call it on data, first")
    graph = Graph(opset)
    inputs = [
        Value(graph.unique(name), _shape(tensor), _dtype(model, tensor))
        for name, tensor in zip(model.input_names, model.inputs, strict=True)
    ]
    results = write_network(graph, model, inputs)
    outputs = []
    for name, value in zip(model.output_names, results, strict=True):
        named = graph.unique(name)
        graph.nodes.append(
            helper.make_node("Identity", [graph.plain(value)], [named], name=f"{named}/output")
        )
        outputs.append(Value(named, value.shape, value.dtype))
    graph.remove_unread([value.name for value in outputs])
    made = helper.make_graph(
        graph.nodes, model.name, list(map(_info, inputs)), list(map(_info, outputs)), graph.initializers
    )
    return helper.make_model(
        made,
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=helper.find_min_ir_version_for([helper.make_opsetid("", opset)]),
        producer_name="symgraph",
        producer_version=__version__,
    )


def save_onnx(model: Any, path: str | os.PathLike[str], opset: int = DEFAULT_OPSET) -> None:
    """Write what a model predicts as an ONNX file, for onnxruntime and others.

    Parameters
    ----------
    model : Model
        Its inputs and outputs keep their names and layouts. What it does in training only is left out.
    path : path
        Replaced once the new file is complete.
    opset : int
        The version of the operators, 13 to 21.

    Raises
    ------
    ValueError
        If a layer cannot be written, with its name; or the file would have 2 GB or more, which the format
        does not allow. Nothing is written then.
    """
    made = to_onnx(model, opset)
    if made.ByteSize() > _MOST_BYTES:
        raise ValueError(f"{path}: {made.ByteSize():,} bytes are more than the {_MOST_BYTES:,} of the format")
    with written_by_first() as is_writer:
        if is_writer:
            with atomic_path(path) as temporary:
                temporary.write_bytes(made.SerializeToString())


def _shape(tensor: Any) -> tuple[Size, ...]:
    return tuple(tensor._keras_shape)


def _dtype(model: Any, tensor: Any) -> str:
    if tensor.dtype not in _TYPES:
        raise ValueError(f"model {model.name}: inputs of {tensor.dtype} cannot be written to ONNX")
    return str(tensor.dtype)


def _info(value: Value) -> ValueInfoProto:
    """Name, type and shape; sizes that are not known are named after the tensor, that of samples N."""
    sizes: Sequence[Any] = [
        size if size is not None else ("N" if axis == 0 else f"{value.name}_{axis}")
        for axis, size in enumerate(value.shape)
    ]
    return helper.make_tensor_value_info(value.name, _TYPES[value.dtype], sizes)
