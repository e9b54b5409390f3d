"""JSON files, compressed where their name says so."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from pathlib import Path
from typing import Any

_MOST_BYTES = 256 << 20


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Put `data` into a file; compressed where the name ends in ``.gz``."""
    target = Path(path)
    # No time inside: equal data make equal files.
    target.write_bytes(gzip.compress(data, mtime=0) if target.suffix == ".gz" else data)


def write_json(path: str | os.PathLike[str], data: Any) -> None:
    """Write `data` as JSON."""
    write_bytes(path, json.dumps(data, allow_nan=False).encode())


def read_json(path: str | os.PathLike[str]) -> Any:
    """What `write_json` wrote.

    Raises
    ------
    ValueError
        The file holds no JSON, or more than 256 MiB of it.
    """
    with open(path, "rb") as file:
        is_packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        try:
            with gzip.GzipFile(fileobj=file) if is_packed else file as stream:
                data = stream.read(_MOST_BYTES + 1)
            if len(data) > _MOST_BYTES:
                raise ValueError(f"more than {_MOST_BYTES} bytes")
            return json.loads(data)
        except (ValueError, OSError, EOFError, zlib.error, RecursionError) as error:
            raise ValueError(f"{path}: expected JSON, got something else ({error})") from error
