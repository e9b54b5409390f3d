"""Writes the two files of a Caffe network: protocol buffers by Google's library, from a schema of our own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_LABELS = {"one": 1, "many": 3}
_TYPES = {"double": 1, "float": 2, "int64": 3, "int32": 5, "text": 9, "message": 11}

# Field, number, one or many, type; those of caffe.proto that weights need.
_SCHEMA: dict[str, list[tuple[str, int, str, str]]] = {
    "BlobShape": [("dim", 1, "many", "int64")],
    "BlobProto": [
        ("num", 1, "one", "int32"),
        ("channels", 2, "one", "int32"),
        ("height", 3, "one", "int32"),
        ("width", 4, "one", "int32"),
        ("data", 5, "many", "float"),
        ("diff", 6, "many", "float"),
        ("shape", 7, "one", "BlobShape"),
        ("double_data", 8, "many", "double"),
    ],
    "LayerParameter": [
        ("name", 1, "one", "text"),
        ("type", 2, "one", "text"),
        ("bottom", 3, "many", "text"),
        ("top", 4, "many", "text"),
        ("blobs", 7, "many", "BlobProto"),
    ],
    "V1LayerParameter": [
        ("bottom", 2, "many", "text"),
        ("top", 3, "many", "text"),
        ("name", 4, "one", "text"),
        ("type", 5, "one", "int32"),
        ("blobs", 6, "many", "BlobProto"),
    ],
    "NetParameter": [
        ("name", 1, "one", "text"),
        ("layers", 2, "many", "V1LayerParameter"),
        ("layer", 100, "many", "LayerParameter"),
    ],
}


def _net_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="tests/caffe.proto", package="tests.caffe")
    for name, fields in _SCHEMA.items():
        message = file.message_type.add(name=name)
        for key, number, label, kind in fields:
            made = message.field.add(name=key, number=number, label=_LABELS[label])
            made.type = _TYPES.get(kind, _TYPES["message"])
            if kind in _SCHEMA:
                made.type_name = f".tests.caffe.{kind}"
            made.options.packed = label == "many" and kind in ("int64", "float", "double")
            if not made.options.packed:
                made.ClearField("options")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tests.caffe.NetParameter"))


NetParameter = _net_class()


def caffemodel(
    weights: Mapping[str, Sequence[np.ndarray]],
    version: int = 2,
    old_shapes: bool = False,
    doubles: bool = False,
) -> bytes:
    """The bytes of a caffemodel."""
    net = NetParameter(name="net")
    for name, arrays in weights.items():
        layer = (net.layer if version == 2 else net.layers).add(name=name)
        for array in arrays:
            blob = layer.blobs.add()
            (blob.double_data if doubles else blob.data).extend(array.ravel().tolist())
            if old_shapes:
                sizes = (1,) * (4 - array.ndim) + array.shape
                blob.num, blob.channels, blob.height, blob.width = sizes
            else:
                blob.shape.dim.extend(array.shape)
    return bytes(net.SerializeToString())


@dataclass
class Layer:
    """A layer of a test's network. `fields` are its parameter messages."""

    name: str
    type: str
    bottoms: list[str]
    tops: list[str]
    blobs: list[np.ndarray] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)


class Word(str):
    """A value that is written without quotes."""


def as_text(fields: Mapping[str, Any], indent: str = "") -> str:
    """A message in protocol buffers' text format."""
    lines = []
    for key, value in fields.items():
        for single in value if isinstance(value, list) else [value]:
            if isinstance(single, dict):
                lines.append(f"{indent}{key} {{\n{as_text(single, indent + '  ')}{indent}}}\n")
            else:
                plain = isinstance(single, (Word, int, float)) and not isinstance(single, bool)
                text = (
                    str(single)
                    if plain
                    else f'"{single}"'
                    if isinstance(single, str)
                    else str(single).lower()
                )
                lines.append(f"{indent}{key}: {text}\n")
    return "".join(lines)


def prototxt(inputs: Mapping[str, Sequence[int]], layers: Sequence[Layer]) -> str:
    """The description of a network, in the form of `deploy.prototxt`."""
    fields: dict[str, Any] = {
        "name": "net",
        "input": list(inputs),
        "input_shape": [{"dim": list(shape)} for shape in inputs.values()],
        "layer": [
            {"name": x.name, "type": x.type, "bottom": x.bottoms, "top": x.tops, **x.fields} for x in layers
        ],
    }
    return as_text(fields)


def write(folder: Path, inputs: Mapping[str, Sequence[int]], layers: Sequence[Layer]) -> tuple[Path, Path]:
    """Write `net.prototxt` and `net.caffemodel`."""
    text, binary = folder / "net.prototxt", folder / "net.caffemodel"
    text.write_text(prototxt(inputs, layers))
    binary.write_bytes(caffemodel({x.name: x.blobs for x in layers}))
    return text, binary
