"""Files: writing so that a crash never destroys what was there before; HDF5 under Keras' names."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from symgraph.utils.h5_dict import H5Dict, h5dict
from symgraph.utils.hdf5_matrix import HDF5Matrix

__all__ = [
    "H5Dict",
    "HDF5Matrix",
    "ask_to_proceed_with_overwrite",
    "atomic_path",
    "h5dict",
    "remove_stale",
]

_RANDOM_BYTES = 6
_STALE = 86400.0  # seconds after which an unchanged temporary file belongs to nobody


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A `with` block that writes a temporary file, which takes the place of `path` when the block ends well.

    The temporary file lies in the same folder. It is flushed to the disk (`fsync`) before it is renamed, and
    the folder after that, so a kill or a loss of power at any moment leaves the old file or the new one,
    whole. If the block raises, the temporary file is removed and `path` stays as it was. What a killed
    process left is removed by a later write of the same file, a day after.

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
    OSError
        If `path` is a folder or a device, its folder does not exist or is not writable, or the disk is full.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(f"cannot write {os.fspath(path)!r}: it is a folder")
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"cannot write {os.fspath(path)!r}: there is no folder {str(target.parent)!r}"
        )
    mode = target.stat().st_mode if target.exists() else None
    if mode is not None and not stat.S_ISREG(mode):
        # The rename would put a file in the place of, say, /dev/null.
        raise OSError(f"cannot write {os.fspath(path)!r}: it is a device or a pipe, not a file")
    remove_stale(target.parent, _temporary_name(target, "[0-9a-f]" * 2 * _RANDOM_BYTES))
    temporary = target.with_name(_temporary_name(target, secrets.token_hex(_RANDOM_BYTES)))
    try:
        try:
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except OSError as error:
            raise OSError(error.errno, f"cannot write here: {error.strerror}", os.fspath(path)) from error
        yield temporary
        if mode is not None:
            temporary.chmod(stat.S_IMODE(mode))
        _flush_to_disk(temporary)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    # Not every system can open a folder; there the rename itself has to do.
    with contextlib.suppress(OSError):
        _flush_to_disk(target.parent)


def remove_stale(folder: Path, pattern: str) -> None:
    """Remove temporary files and folders that nobody has changed for a day: their writers were killed."""
    oldest = time.time() - _STALE
    for left in folder.glob(pattern):
        with contextlib.suppress(OSError):
            if left.lstat().st_mtime >= oldest:
                continue
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
            else:
                left.unlink()


def _temporary_name(target: Path, mark: str) -> str:
    """The name of a temporary file for `target`; with a pattern as `mark`, one that matches these only."""
    # At most 255 bytes make a name, and a letter has up to 4.
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in target.name[:50])
    return f".{name}.{mark}.part"


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
