"""Writing files so that a crash never destroys what was there before."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A `with` block that writes a temporary file, which takes the place of `path` when the block ends well.

    The temporary file lies in the same folder. It is flushed to the disk (`fsync`) before it is renamed, and
    the folder after that, so that a kill or a loss of power at any moment leaves the old file or the new one,
    whole. If the block raises, the temporary file is removed and `path` stays as it was.

    Parameters
    ----------
    path : str or path
        The file to write. A symbolic link is followed; an existing file hands its permissions on.

    Yields
    ------
    pathlib.Path
        The temporary file, which exists and is empty.

    Raises
    ------
    IsADirectoryError, FileNotFoundError
        If `path` is a folder, or its folder does not exist.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(f"cannot write {os.fspath(path)!r}: it is a folder")
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"cannot write {os.fspath(path)!r}: there is no folder {str(target.parent)!r}"
        )
    temporary = target.with_name(f".{target.name[:200]}.{secrets.token_hex(6)}.part")
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield temporary
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o7777)
        _flush_to_disk(temporary)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    # Not every system can open a folder; there the rename itself has to do.
    with contextlib.suppress(OSError):
        _flush_to_disk(target.parent)


def _flush_to_disk(path: Path) -> None:
    # Windows flushes files that are open for writing only, and does not open folders at all.
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def ask_to_proceed_with_overwrite(filepath: str | os.PathLike[str]) -> bool:
    """Ask on the terminal whether `filepath` may be overwritten, until the answer is y or n."""
    question = f"[WARNING] {os.fspath(filepath)} already exists - overwrite? [y/n] "
    answer = input(question).strip().lower()
    while answer not in ("y", "n"):
        answer = input('Enter "y" (overwrite) or "n" (cancel). ').strip().lower()
    if answer == "n":
        return False
    print("[TIP] Next time specify overwrite=True!")
    return True
