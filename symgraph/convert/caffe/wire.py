"""The wire format of protocol buffers, as far as weights need it. Files may be hostile.

A message is a run of fields: a varint of field number and wire type, then the value. Nothing is believed
that the bytes do not hold: a length that goes beyond its message is refused before anything is made of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_MOST_VARINT_BYTES = 10

Value = int | memoryview


def fields(message: memoryview, what: str) -> Iterator[tuple[int, int, Value]]:
    """Number, wire type and value of every field of a message; bytes of fixed fields are left as they are.

    Parameters
    ----------
    message : memoryview
    what : str
        What it is, for errors.

    Raises
    ------
    ValueError
        If the bytes are no message, or end within a field.
    """
    at = 0
    while at < len(message):
        start = at
        tag, at = _varint(message, at, what)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise ValueError(f"{what}: expected a field at byte {start}, got number 0: not a protocol buffer")
        if kind == VARINT:
            value, at = _varint(message, at, what)
            yield number, kind, value
            continue
        if kind == BYTES:
            size, at = _varint(message, at, what)
        elif kind in (FIXED32, FIXED64):
            size = 4 if kind == FIXED32 else 8
        else:
            raise ValueError(
                f"{what}: field {number} at byte {start} has wire type {kind}: not a protocol buffer"
            )
        if size > len(message) - at:
            raise ValueError(
                f"{what}: truncated or damaged: field {number} at byte {start} needs {size} bytes, "
                f"{len(message) - at} are left"
            )
        yield number, kind, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int, what: str) -> tuple[int, int]:
    """The number at a byte, and the byte after it."""
    value = 0
    for place in range(_MOST_VARINT_BYTES):
        if at + place >= len(message):
            raise ValueError(f"{what}: truncated: the number at byte {at} does not end")
        byte = message[at + place]
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value, at + place + 1
    raise ValueError(f"{what}: the number at byte {at} has more than {_MOST_VARINT_BYTES} bytes")


def submessage(kind: int, value: Value, what: str) -> memoryview:
    """The bytes of a field that is a message, a text or packed. ValueError for another wire type."""
    if kind != BYTES or isinstance(value, int):
        raise ValueError(f"{what}: expected bytes, got wire type {kind}")
    return value


def text(kind: int, value: Value, what: str) -> str:
    """A field that is a text. ValueError for anything else."""
    try:
        return str(submessage(kind, value, what), "utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{what}: a name is not UTF-8: {error}") from None


def numbers(kind: int, value: Value, dtype: str, what: str) -> np.ndarray:
    """The floats of a field, packed or single, without a copy. `dtype` is '<f4' or '<f8'."""
    size = np.dtype(dtype).itemsize
    if isinstance(value, int) or kind not in (BYTES, FIXED32 if size == 4 else FIXED64):
        raise ValueError(f"{what}: expected floats of {size} bytes, got wire type {kind}")
    if len(value) % size:
        raise ValueError(f"{what}: {len(value)} bytes are no whole number of floats of {size} bytes")
    return np.frombuffer(value, dtype)


def integers(kind: int, value: Value, what: str) -> list[int]:
    """The integers of a field, packed or single."""
    if isinstance(value, int):
        return [_signed(value)]
    packed, found, at = submessage(kind, value, what), [], 0
    while at < len(packed):
        single, at = _varint(packed, at, what)
        found.append(_signed(single))
    return found


def _signed(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >= 1 << 63 else value
