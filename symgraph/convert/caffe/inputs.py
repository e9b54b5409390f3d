"""Where a network begins: its declared inputs, or what the layers that read data hand on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from symgraph.convert.caffe.network import CaffeLayer, CaffeNetwork, shape_of
from symgraph.convert.caffe.prototxt import Message
from symgraph.convert.caffe.weights import Blobs

DATA_TYPES = (
    "Data",
    "ImageData",
    "HDF5Data",
    "MemoryData",
    "WindowData",
    "DummyData",
    "Input",
    "AnnotatedData",
)

Shapes = dict[str, tuple[int, ...]]


def given_shapes(given: Mapping[str, Sequence[int]] | Sequence[int] | None, names: Sequence[str]) -> Shapes:
    """What a user says about inputs: one shape, without samples, or one for each blob.

    Raises
    ------
    ValueError
        If a name is none of an input's, or one shape was given for several inputs.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        if len(names) != 1:
            raise ValueError(f"input_shape: expected a dict of shapes, as there are the inputs {list(names)}")
        given = {names[0]: given}
    unknown = sorted(set(given) - set(names))
    if unknown:
        raise ValueError(f"input_shape: there is no input {unknown[0]!r}; inputs are {list(names)}")
    found = {name: tuple(shape) for name, shape in given.items()}
    for name, shape in found.items():
        if not all(isinstance(size, int) and size > 0 for size in shape):
            raise ValueError(f"input_shape: expected sizes of a sample for {name!r}, got {shape}")
    return found


def data_shape(layer: CaffeLayer, number: int, network: CaffeNetwork, weights: Blobs | None) -> Any:
    """The shape, with samples, of a top of a layer that reads data; None if the file does not tell.

    For data bases the sizes are those to which pictures are cut, and the channels those that the first
    convolution has weights for.
    """
    if layer.type in ("Input", "DummyData"):
        return _listed(layer, number)
    if number > 0:
        return None
    fields = _merged(layer, ("memory_data_param", "transform_param", "data_param", "image_data_param"))
    if layer.type == "MemoryData":
        shape = [fields.get(key, [0])[-1] for key in ("batch_size", "channels", "height", "width")]
        return tuple(shape) if all(isinstance(s, int) and s > 0 for s in shape) else None
    side = fields.get("crop_size", [0])[-1]
    rows, columns = (fields.get(key, [side])[-1] for key in ("crop_h", "crop_w"))
    channels = _first_channels(layer.tops[0], network, weights)
    if not channels or not isinstance(rows, int) or not isinstance(columns, int) or min(rows, columns) < 1:
        return None
    return fields.get("batch_size", [1])[-1], channels, rows, columns


def _listed(layer: CaffeLayer, number: int) -> tuple[int, ...] | None:
    """Of the shapes that a layer lists: one for all tops, or one for each."""
    name = "input_param" if layer.type == "Input" else "dummy_data_param"
    given = layer.parameters(name, ("shape", "num", "channels", "height", "width"), ("data_filler",))
    shapes = [shape_of(message, layer) for message in given.messages("shape")]
    if not shapes:
        old = [given.integers(key) for key in ("num", "channels", "height", "width")]
        shapes = [tuple(sizes) for sizes in zip(*old, strict=False)]
    if not shapes or len(shapes) not in (1, len(layer.tops)):
        raise layer.error(f"expected one shape, or one for each of {len(layer.tops)} tops, got {len(shapes)}")
    return shapes[0] if len(shapes) == 1 else shapes[number]


def _merged(layer: CaffeLayer, names: Sequence[str]) -> Message:
    found = Message(layer.line)
    for name in names:
        for message in layer.fields.get(name, []):
            if isinstance(message, Message):
                found.update(message)
    return found


def _first_channels(blob: str, network: CaffeNetwork, weights: Blobs | None) -> int | None:
    """The input channels of the first convolution that reads a blob."""
    for layer in network.layers:
        arrays = (weights or {}).get(layer.name)
        if blob in layer.bottoms and layer.type == "Convolution" and arrays and arrays[0].ndim == 4:
            fields = _merged(layer, ("convolution_param",))
            groups = fields.get("group", [1])[-1]
            return arrays[0].shape[1] * groups if isinstance(groups, int) else None
    return None
