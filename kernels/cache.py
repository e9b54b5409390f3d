"""Object code on disk, keyed by content.

One file a kernel: a magic word, the SHA-256 of the payload, the payload. Nothing is unpickled. A file that is
short, changed or foreign is a miss. The folder has to belong to the user and be closed to others, else
kernels live in memory only.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from pathlib import Path

_MAGIC = b"symgraph-object-1\n"


def cache_folder() -> Path | None:
    """The folder of compiled kernels, made where it is missing; None where there is no safe one.

    `SYMGRAPH_CACHE` names it, else it is `kernels` in `SYMGRAPH_HOME` (default `~/.symgraph`).
    An empty `SYMGRAPH_CACHE` switches the disk cache off.
    """
    named = os.environ.get("SYMGRAPH_CACHE")
    if named == "":
        return None
    home = Path(os.environ.get("SYMGRAPH_HOME") or "~/.symgraph")
    try:
        folder = (Path(named) if named else home / "kernels").expanduser()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder if _is_private(folder) else None
    except (OSError, RuntimeError):
        return None


def _is_private(folder: Path) -> bool:
    """Whether only this user can write to `folder` (on systems that can tell)."""
    if not hasattr(os, "getuid"):
        return True
    status = folder.lstat()
    foreign = status.st_uid != os.getuid() or not stat.S_ISDIR(status.st_mode)
    return not foreign and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def load(folder: Path | None, key: str) -> bytes | None:
    """The object code stored under `key`, or None."""
    if folder is None:
        return None
    try:
        data = (folder / f"{key}.o").read_bytes()
    except OSError:
        return None
    head = len(_MAGIC) + 32
    payload = data[head:]
    intact = data.startswith(_MAGIC) and hashlib.sha256(payload).digest() == data[len(_MAGIC) : head]
    return payload if intact else None


def store(folder: Path | None, key: str, payload: bytes) -> None:
    """Write `payload` under `key`: whole or not at all. A full or read-only disk is no error."""
    if folder is None:
        return
    name = None
    try:
        handle, name = tempfile.mkstemp(dir=folder, prefix=".part-")
        with os.fdopen(handle, "wb") as file:
            file.write(_MAGIC + hashlib.sha256(payload).digest() + payload)
        os.replace(name, folder / f"{key}.o")
    except OSError:
        if name is not None:
            with contextlib.suppress(OSError):
                os.unlink(name)
