"""Extraction of untrusted tar and zip archives: folders and plain files only, inside one folder only.

An archive is first extracted into a new, private folder; its entries move to their place only if all of it
is valid. Links and devices are refused, so that nothing extracted can point outside (as in CVE-2025-12638 and
CVE-2025-4517). Existing files in the target folder are never removed.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import lzma
import os
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import IO

UNPACKING = ".unpacking-"
"""How the names of the temporary folders begin."""

_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    gzip.BadGzipFile,
    struct.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,  # a compression method that zipfile does not know
    RuntimeError,  # an encrypted member
    OverflowError,
    MemoryError,  # what LZMA and zip directories claim, before it is taken
    ValueError,
)
_CHUNK = 1 << 20
_HEADERS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
_MOST_HEADER = 1 << 15  # bytes of a long name or of a pax header, which tarfile reads whole
_MOST_PADDING = 64 << 20  # bytes after the end of a tar archive
# How much an archive may unpack to: so much, and so many times its own bytes beyond.
_MOST_BYTES = 1 << 30
_MOST_EXPANSION = 200


class _Refused(ValueError):
    """The archive may be sound, but is not unpacked; the message names it."""


_Member = tuple[str, int, Callable[[], IO[bytes] | None] | None]
"""Name, size, and how to open it; a folder cannot be opened."""


def unpack(archive: Path, folder: Path, formats: Sequence[str], last: str | None = None) -> bool:
    """Unpack `archive` into `folder` if it is of one of the `formats`.

    Parameters
    ----------
    archive : Path
    folder : Path
        An existing folder; files of the same names are replaced.
    formats : sequence of 'tar' and 'zip'
        Tried in this order. 'tar' includes compression by gzip, bzip2 and xz.
    last : str, optional
        The entry of `folder` that appears last, so that its presence says that all is there.

    Returns
    -------
    bool
        False if the file is no such archive.

    Raises
    ------
    ValueError
        If the archive is damaged, or has a link, a device, a sparse file or a path that leads outside, or
        holds more than 1 GiB and 200 times its own size. Nothing is unpacked then.
    OSError
        If the disk is full or cannot be written.
    """
    for kind in formats:
        is_match, members = _FORMATS[kind]
        temporary = None
        try:
            if not is_match(archive):
                continue
            temporary = Path(tempfile.mkdtemp(prefix=UNPACKING, dir=folder))
            with contextlib.closing(members(archive)) as found:
                _unpack_members(found, archive, temporary)
            _move_into(temporary, folder, folder.resolve(), last)
        except _Refused:
            raise
        except _DAMAGE as error:
            raise ValueError(f"Archive {archive} is damaged or cannot be read: {error}") from error
        finally:
            if temporary is not None:
                shutil.rmtree(temporary, ignore_errors=True)
        return True
    return False


def _unpack_members(members: Generator[_Member], archive: Path, folder: Path) -> None:
    """Write all members below the new, empty `folder`."""
    room = shutil.disk_usage(folder).free
    most = _MOST_BYTES + _MOST_EXPANSION * archive.stat().st_size
    for name, size, open_member in members:
        target = folder.joinpath(*_safe_parts(name, archive))
        room -= size
        most -= size
        if room < 0:
            raise OSError(f"Archive {archive} does not fit on the disk (at member {name!r})")
        if most < 0:
            raise _Refused(f"Archive {archive} is refused: it claims too much for its size (at {name!r})")
        try:
            if open_member is None:
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            content = open_member()
            assert content is not None  # tarfile has None for links and devices only
            with content, open(target, "wb") as file:
                shutil.copyfileobj(content, file)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise _Refused(f"Archive {archive} uses {name!r} both as a file and as a folder") from error
        if target.stat().st_size != size:
            raise _Refused(f"Archive {archive} is damaged: member {name!r} is shorter than declared")


def _safe_parts(name: str, archive: Path) -> list[str]:
    """The path of a member relative to the target folder; backslashes separate as on Windows."""
    parts = name.replace("\\", "/").split("/")
    drive = os.name == "nt" and ":" in name
    if parts[0] == "" or ".." in parts or "\0" in name or drive:
        raise _Refused(f"Archive {archive} is refused: member {name!r} leads out of the folder")
    return [part for part in parts if part not in ("", ".")]


class _PlainInfo(tarfile.TarInfo):
    """A header of which tarfile reads no more than a little: it takes the size from the header as it is.

    Sparse files, of any of the four kinds, are damage: what they claim to hold is not in the archive.
    """

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type == tarfile.GNUTYPE_SPARSE:
            self._refuse_sparse()
        if self.type in _HEADERS and self.size > _MOST_HEADER:
            raise _Refused(f"Archive {tar.name!r} is refused: a header in it claims {self.size} bytes")
        found: tarfile.TarInfo = super()._proc_member(tar)  # type: ignore[misc]
        return found

    def _refuse_sparse(self, *_: object) -> None:
        raise NotImplementedError(f"member {self.name!r} is a sparse file")

    # As tarfile calls what reads the sparse files of pax headers.
    _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _refuse_sparse


def _is_tar(archive: Path) -> bool:
    try:
        tarfile.open(archive, "r:*", tarinfo=_PlainInfo).close()
    except tarfile.TarError:
        return False
    return True


def _tar_members(archive: Path) -> Generator[_Member]:
    with tarfile.open(archive, "r:*", tarinfo=_PlainInfo) as tar:
        position = -1
        while (member := tar.next()) is not None:
            # Else tarfile keeps them all.
            tar.members.clear()  # type: ignore[attr-defined]
            # A header with a negative size leads tarfile back to an earlier one, without end (CVE-2025-8194).
            if member.size < 0 or tar.offset <= position:
                raise _Refused(f"Archive {archive} is damaged: member {member.name!r} has a negative size")
            position = tar.offset
            if member.isdir():
                yield member.name, 0, None
            elif member.isreg():
                yield member.name, member.size, functools.partial(tar.extractfile, member)
            else:
                raise _Refused(
                    f"Archive {archive} is refused: member {member.name!r} is a link or a device, "
                    "only files and folders are unpacked"
                )
        # tarfile takes a header that it cannot read for the end; the true end is a block of zeros.
        stream = tar.fileobj
        if stream is not None:
            stream.seek(tar.offset)
            if stream.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
                raise _Refused(f"Archive {archive} is damaged: it breaks off after {position} bytes")
            # Checksums of the compression stand at the very end.
            end = stream.tell() + _MOST_PADDING
            while stream.read(_CHUNK):
                if stream.tell() > end:
                    raise _Refused(f"Archive {archive} is refused: there are data after its end")


def _zip_members(archive: Path) -> Generator[_Member]:
    with zipfile.ZipFile(archive) as packed:
        for member in packed.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _Refused(
                    f"Archive {archive} is refused: member {member.filename!r} is a link or a device, "
                    "only files and folders are unpacked"
                )
            if member.is_dir():
                yield member.filename, 0, None
            else:
                yield member.filename, member.file_size, functools.partial(packed.open, member)


_FORMATS = {
    "tar": (_is_tar, _tar_members),
    "zip": (zipfile.is_zipfile, _zip_members),
}


def _move_into(source: Path, target: Path, root: Path, last: str | None = None) -> None:
    """Move the entries of `source` into `target`; folders that are there already are merged.

    A folder that is new moves as a whole, so it is complete whenever it is seen.
    """
    for entry in sorted(source.iterdir(), key=lambda path: (path.name == last, path.name)):
        place = target / entry.name
        if not place.resolve().is_relative_to(root):
            raise _Refused(f"{place} leads out of {root}; nothing is unpacked there")
        if entry.is_dir() and place.is_dir():
            _move_into(entry, place, root)
        elif entry.is_dir() == place.is_dir() or not place.exists():
            os.replace(entry, place)
        else:
            raise _Refused(
                f"{place} is in the way of a {'folder' if entry.is_dir() else 'file'} of that name"
            )
