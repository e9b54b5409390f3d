"""Object code on disk, keyed by content.

One file a kernel: a magic word, the SHA-256 of key and payload, the payload. Nothing is unpickled. A file
that is short, changed, another kernel's or another user's is a miss. The folder has to belong to the user and
be closed to others, else kernels live in memory only.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from pathlib import Path

_MAGIC = b"symgraph-object-2\n"


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
    """Whether it is a folder that only this user can write to."""
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and _is_closed(status)


def _is_closed(status: os.stat_result) -> bool:
    """Whether only this user can write to what has this status (on systems that can tell)."""
    if not hasattr(os, "getuid"):
        return True
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def load(folder: Path | None, key: str) -> bytes | None:
    """The object code stored under `key`, or None."""
    if folder is None:
        return None
    try:
        data = _contents(folder / f"{key}.o")
    except OSError:
        return None
    head = len(_MAGIC) + 32
    payload = data[head:]
    intact = data.startswith(_MAGIC) and _digest(key, payload) == data[len(_MAGIC) : head]
    return payload if intact else None


def _contents(path: Path) -> bytes:
    """The bytes of a plain file that only this user can write; OSError for anything else."""
    # A link is not followed, and a pipe not waited for.
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or not _is_closed(status):
            raise OSError(f"{path} is no file of this user's own")
        return file.read()


def _digest(key: str, payload: bytes) -> bytes:
    """What tells an intact file: of its key too, or a file under another kernel's name would pass."""
    return hashlib.sha256(f"{key}\n".encode() + payload).digest()


def store(folder: Path | None, key: str, payload: bytes) -> None:
    """Write `payload` under `key`: whole or not at all. A full or read-only disk is no error."""
    if folder is None:
        return
    name = None
    try:
        handle, name = tempfile.mkstemp(dir=folder, prefix=".part-")
        with os.fdopen(handle, "wb") as file:
            file.write(_MAGIC + _digest(key, payload) + payload)
        os.replace(name, folder / f"{key}.o")
    except OSError:
        if name is not None:
            with contextlib.suppress(OSError):
                os.unlink(name)
