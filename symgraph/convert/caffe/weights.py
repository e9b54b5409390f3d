"""The arrays of a `.caffemodel`: a NetParameter in protocol buffers' binary format."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from symgraph.convert.caffe import wire

# Field numbers of caffe.proto: layers of NetParameter in both versions, then name and blobs of each.
_V1_LAYERS, _LAYER = 2, 100
_NAME = {_V1_LAYERS: 4, _LAYER: 1}
_BLOBS = {_V1_LAYERS: 6, _LAYER: 7}
_V0_LAYER = 1  # of a V1 layer
# Of BlobProto.
_OLD_SIZES, _DATA, _SHAPE, _DOUBLES = (1, 2, 3, 4), 5, 7, 8
_HDF5 = b"\x89HDF\r\n\x1a\n"
_MOST_AXES = 32

Blobs = dict[str, list[np.ndarray]]


def read_weights(path: str | os.PathLike[str]) -> Blobs:
    """The blobs of each layer that has some, by the layer's name.

    Parameters
    ----------
    path : path
        A `.caffemodel` of any age but the oldest (V0, of 2013).

    Returns
    -------
    dict of list of ndarray
        float32, or float64 where they are stored so, in the stored shapes. They look into the bytes of the
        file and cannot be written.

    Raises
    ------
    ValueError
        If the file is damaged, or none.
    OSError
        If it cannot be read.
    """
    data = Path(path).read_bytes()
    if data.startswith(_HDF5):
        raise ValueError(
            f"{path}: an HDF5 file; expected protocol buffers, which Caffe writes with "
            "`snapshot_format: BINARYPROTO`"
        )
    found: Blobs = {}
    layers = 0
    for number, kind, value in wire.fields(memoryview(data), str(path)):
        if number not in _NAME:
            continue
        layers += 1
        name, blobs = _layer(wire.submessage(kind, value, str(path)), number, str(path))
        if blobs and name in found:
            raise ValueError(f"{path}: two layers called {name!r} have weights")
        if blobs:
            found[name] = blobs
    if not layers:
        raise ValueError(f"{path}: no layers were found: not a caffemodel")
    return found


def _layer(message: memoryview, version: int, path: str) -> tuple[str, list[np.ndarray]]:
    """Name and blobs of a layer."""
    name, stored = "", []
    for number, kind, value in wire.fields(message, path):
        if number == _NAME[version]:
            name = wire.text(kind, value, path)
        elif number == _BLOBS[version]:
            stored.append(wire.submessage(kind, value, path))
        elif version == _V1_LAYERS and number == _V0_LAYER:
            raise ValueError(f"{path}: of Caffe's version 0: upgrade it by upgrade_net_proto_binary")
    return name, [_blob(blob, f"{path}: blob {n} of layer {name!r}") for n, blob in enumerate(stored)]


def _blob(message: memoryview, what: str) -> np.ndarray:
    """The array of a BlobProto."""
    parts: list[np.ndarray] = []
    old, shape = [0, 0, 0, 0], None
    for number, kind, value in wire.fields(message, what):
        if number in (_DATA, _DOUBLES):
            parts.append(wire.numbers(kind, value, "<f4" if number == _DATA else "<f8", what))
        elif number == _SHAPE:
            shape = list(_dims(wire.submessage(kind, value, what), what))
        elif number in _OLD_SIZES:
            (old[number - 1],) = wire.integers(kind, value, what)
    if shape is None:
        shape = old
    if len({part.dtype for part in parts}) > 1:
        raise ValueError(f"{what}: has data of both precisions")
    data = parts[0] if len(parts) == 1 else np.concatenate([*parts, np.empty(0, "<f4")])
    if len(shape) > _MOST_AXES or any(size < 0 for size in shape) or math.prod(shape) != data.size:
        raise ValueError(f"{what}: expected {shape} numbers, as its shape says, got {data.size}")
    return data.reshape(shape)


def _dims(message: memoryview, what: str) -> Iterator[int]:
    for number, kind, value in wire.fields(message, what):
        if number == 1:
            yield from wire.integers(kind, value, what)
