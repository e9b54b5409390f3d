"""JSON files, compressed where their name says so."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any


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
        The file holds no JSON.
    """
    data = Path(path).read_bytes()
    try:
        return json.loads(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"{path}: expected JSON, got something else ({error})") from error
