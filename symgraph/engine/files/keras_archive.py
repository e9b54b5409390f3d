"""The `.keras` files of Keras 3: zip archives of a configuration and weights. Nothing is unpacked to disk."""

from __future__ import annotations

import os
import zipfile
import zlib
from dataclasses import dataclass
from typing import Any

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"

_MOST_TEXT = 64 << 20
_MOST_BYTES = 1 << 30
# How many times its packed size a larger member may have. Keras does not pack at all.
_MOST_EXPANSION = 20
_ENCRYPTED = 1

_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,  # a compression method that zipfile does not know
    OverflowError,
    MemoryError,
    UnicodeDecodeError,
    OSError,
    RuntimeError,
)


@dataclass(frozen=True, slots=True)
class KerasArchive:
    """What a `.keras` file holds."""

    label: str
    config: str
    """JSON."""
    weights: bytes
    """An HDF5 file."""


def is_archive(source: Any) -> bool:
    """Whether a path or a binary file object is a zip archive."""
    if isinstance(source, str | os.PathLike):
        return os.path.isfile(source) and zipfile.is_zipfile(source)
    if not hasattr(source, "read") or not hasattr(source, "seek"):
        return False
    start = source.tell()
    try:
        return zipfile.is_zipfile(source)
    finally:
        source.seek(start)


def read_archive(source: Any) -> KerasArchive:
    """Read a `.keras` file.

    Parameters
    ----------
    source : path or binary file object

    Raises
    ------
    ValueError
        If it is damaged, has no configuration or weights, or would take more memory than it may.
    """
    label = os.fspath(source) if isinstance(source, str | os.PathLike) else "the given file object"
    try:
        with zipfile.ZipFile(source) as archive:
            members = _members(archive, label)
            config = _read(archive, members[CONFIG], _MOST_TEXT, label).decode("utf-8")
            return KerasArchive(label, config, _read(archive, members[WEIGHTS], None, label))
    except _DAMAGE as error:
        raise ValueError(f"{label}: damaged .keras file: {error}") from error


def _members(archive: zipfile.ZipFile, label: str) -> dict[str, zipfile.ZipInfo]:
    """The members that are read. ValueError where one is missing, or there twice."""
    names = [member.filename for member in archive.infolist()]
    for name in (CONFIG, WEIGHTS):
        if names.count(name) != 1:
            shown = ", ".join(sorted(names)[:8]) or "nothing"
            raise ValueError(
                f"{label}: expected a .keras file of Keras 3 with one {CONFIG} and one {WEIGHTS}, got {shown}"
            )
    return {name: archive.getinfo(name) for name in (CONFIG, WEIGHTS)}


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most: int | None, label: str) -> bytes:
    if most is None:
        most = max(_MOST_BYTES, _MOST_EXPANSION * member.compress_size)
    if member.flag_bits & _ENCRYPTED:
        raise ValueError(f"{label}: {member.filename} is encrypted")
    if member.file_size > most:
        raise ValueError(
            f"{label}: {member.filename} is refused: {member.file_size} bytes, at most {most} are expected"
        )
    with archive.open(member) as stream:
        # What the directory claims may be less than there is.
        content = stream.read(member.file_size + 1)
    if len(content) != member.file_size:
        raise ValueError(f"{label}: {member.filename} does not have the {member.file_size} bytes it claims")
    return content
