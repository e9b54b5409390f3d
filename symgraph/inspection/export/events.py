"""TensorBoard's event files with the standard library alone: record framing, checksums, protocol buffers.

A file is a sequence of records: length (8 bytes), its checksum, the bytes, their checksum. The checksum is
CRC32C (RFC 3720, polynomial 0x1EDC6F41), rotated right by 15 bits plus a constant, as TFRecord files have it.
A record is a protocol buffer `Event`; the numbers below are those of the fields in TensorFlow's public
.proto files (event, summary, histogram, graph, node_def, attr_value).
"""

from __future__ import annotations

import itertools
import os
import socket
import struct
import sys
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

_MASK = 0xFFFFFFFF
_file_numbers = itertools.count()

# Wire types of protocol buffers.
_VARINT, _DOUBLE, _BYTES, _FLOAT = 0, 1, 2, 5


class EventWriter:
    """Writes an event file into `log_dir`, which is made where it is missing.

    The file is open only during writes, so everything written so far survives a crash.
    """

    def __init__(self, log_dir: str | os.PathLike[str]) -> None:
        folder = Path(log_dir)
        folder.mkdir(parents=True, exist_ok=True)
        stamp = f"{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(_file_numbers)}"
        self.path = folder / f"events.out.tfevents.{stamp}"
        self._write(_bytes(3, b"brain.Event:2"))

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Numbers by tag."""
        self._summary([_bytes(1, tag.encode()) + _float(2, value) for tag, value in values.items()], step)

    def histograms(self, values: Mapping[str, np.ndarray], step: int) -> None:
        """Distributions of arrays by tag; what is not finite is left out."""
        self._summary(
            [_bytes(1, tag.encode()) + _bytes(5, histogram(array)) for tag, array in values.items()], step
        )

    def images(self, values: Mapping[str, np.ndarray], step: int) -> None:
        """Gray pictures [number, height, width] by tag: the first three, as in TensorFlow."""
        self._summary(
            [
                _bytes(1, f"{tag}/image/{number}".encode()) + _bytes(4, _image(pixels))
                for tag, pictures in values.items()
                for number, pixels in enumerate(pictures[:3])
            ],
            step,
        )

    def graph(self, graph_def: bytes) -> None:
        """A graph, as `graph_def` makes it."""
        self._write(_bytes(4, graph_def))

    def state_dict(self) -> dict[str, Any]:
        """The file, and how much is in it."""
        return {"path": str(self.path), "size": self.path.stat().st_size}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on in the file of before, if it is there: it loses what was written since, and this one goes."""
        before = Path(state["path"])
        if not before.exists() or before.stat().st_size < state["size"]:
            return
        os.truncate(before, state["size"])
        if before != self.path:
            self.path.unlink()
            self.path = before

    def _summary(self, values: Sequence[bytes], step: int) -> None:
        if values:
            self._write(_int(2, step) + _bytes(5, b"".join(_bytes(1, value) for value in values)))

    def _write(self, what: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(record(_double(1, time.time()) + what))


def record(data: bytes) -> bytes:
    """`data` in the frame of a TFRecord file."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", _masked(length)) + data + struct.pack("<I", _masked(data))


def _masked(data: bytes) -> int:
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & _MASK


def crc32c(data: bytes) -> int:
    """The CRC32C checksum (Castagnoli) of `data`."""
    table, crc = _crc_table(), _MASK
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ _MASK


@cache
def _crc_table() -> tuple[int, ...]:
    """For each byte what eight steps of the division make of it; 0x82F63B78 is the polynomial, reflected."""
    entries = []
    for entry in range(256):
        for _ in range(8):
            entry = (entry >> 1) ^ (0x82F63B78 if entry & 1 else 0)
        entries.append(entry)
    return tuple(entries)


def histogram(array: np.ndarray) -> bytes:
    """A HistogramProto: smallest, largest, count, sum, sum of squares, then limits and counts of buckets.

    Buckets grow by a tenth from 1e-12 on, as TensorFlow's do; empty ones next to each other become one.
    """
    values = np.asarray(array, np.float64).ravel()
    values = values[np.isfinite(values)]
    limits = _bucket_limits()
    counts = np.bincount(np.searchsorted(limits, values, "right"), minlength=len(limits))
    filled = counts > 0
    # The last one of each run of empty buckets, and all that hold something.
    kept = filled | np.append(filled[1:], True)
    low, high = (values.min(), values.max()) if len(values) else (0.0, 0.0)
    numbers = (low, high, len(values), values.sum(), np.square(values).sum())
    return b"".join(
        [
            *(_double(field, float(number)) for field, number in enumerate(numbers, 1)),
            _doubles(6, limits[kept]),
            _doubles(7, counts[kept]),
        ]
    )


@cache
def _bucket_limits() -> np.ndarray:
    positive = []
    limit = 1e-12
    while limit < 1e20:
        positive.append(limit)
        limit *= 1.1
    positive.append(sys.float_info.max)
    return np.array([*(-v for v in reversed(positive)), 0.0, *positive])


def _image(pixels: np.ndarray) -> bytes:
    height, width = pixels.shape
    return _int(1, height) + _int(2, width) + _int(3, 1) + _bytes(4, gray_png(_gray(pixels)))


def _gray(pixels: np.ndarray) -> np.ndarray:
    """0 to 255, as TensorFlow scales: from 0 on where nothing is negative, else around 128."""
    finite = np.where(np.isfinite(pixels), pixels, 0).astype(np.float64)
    largest = np.abs(finite).max(initial=0.0)
    signed = finite.min(initial=0.0) < 0
    scale = (127.0 if signed else 255.0) / largest if largest > 1e-6 else 0.0
    scaled: np.ndarray = np.clip(finite * scale + (128.0 if signed else 0.0), 0, 255).astype(np.uint8)
    return scaled


def gray_png(pixels: np.ndarray) -> bytes:
    """A PNG file of uint8 [height, width] (8-bit gray, no filter: RFC 2083)."""
    height, width = pixels.shape
    lines = np.zeros((height, width + 1), np.uint8)
    lines[:, 1:] = pixels
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(lines.tobytes())), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


# Protocol buffers: a field is its number and wire type, then the value.


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _key(field: int, wire: int) -> bytes:
    return _varint(field << 3 | wire)


def _int(field: int, value: int) -> bytes:
    return _key(field, _VARINT) + _varint(int(value))


def _float(field: int, value: Any) -> bytes:
    # A number beyond float32 becomes an infinity.
    with np.errstate(over="ignore"):
        return _key(field, _FLOAT) + np.float32(value).tobytes()


def _double(field: int, value: float) -> bytes:
    return _key(field, _DOUBLE) + struct.pack("<d", value)


def _doubles(field: int, values: np.ndarray) -> bytes:
    return _bytes(field, np.asarray(values, "<f8").tobytes())


def _bytes(field: int, data: bytes) -> bytes:
    return _key(field, _BYTES) + _varint(len(data)) + data


_DTYPES = {
    "float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int16": 5, "int8": 6, "int64": 9, "bool": 10,
    "uint16": 17, "float16": 19, "uint32": 22, "uint64": 23,
}  # fmt: skip


def graph_def(nodes: Iterable[bytes]) -> bytes:
    """A GraphDef of what `node_def` made."""
    # A producer from 21 on tells that attributes have their present meaning.
    return b"".join(_bytes(1, node) for node in nodes) + _bytes(4, _int(1, 22))


def node_def(
    name: str,
    op: str,
    inputs: Sequence[str],
    dtype: str | None,
    shapes: Sequence[Sequence[int | None]],
    texts: Mapping[str, str],
) -> bytes:
    """A NodeDef. Of an unknown size (None) -1 is written; `texts` become attributes."""
    return b"".join(_node_fields(name, op, inputs, dtype, shapes, texts))


def _node_fields(
    name: str,
    op: str,
    inputs: Sequence[str],
    dtype: str | None,
    shapes: Sequence[Sequence[int | None]],
    texts: Mapping[str, str],
) -> Iterator[bytes]:
    yield _bytes(1, name.encode())
    yield _bytes(2, op.encode())
    for value in inputs:
        yield _bytes(3, value.encode())
    if dtype in _DTYPES:
        yield _attribute("dtype", _int(6, _DTYPES[dtype]))
    if shapes:
        yield _attribute("_output_shapes", _bytes(1, b"".join(_bytes(7, _shape(s)) for s in shapes)))
    for key, text in texts.items():
        yield _attribute(key, _bytes(2, text.encode()))


def _shape(sizes: Sequence[int | None]) -> bytes:
    return b"".join(_bytes(2, _int(1, -1 if size is None else size)) for size in sizes)


def _attribute(key: str, value: bytes) -> bytes:
    return _bytes(5, _bytes(1, key.encode()) + _bytes(2, value))
