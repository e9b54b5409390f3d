"""Files from the network: downloaded whole or not at all, checked, cached, and unpacked safely.

Data are kept in `datasets` below `SYMGRAPH_HOME` (default `~/.symgraph`); where a script knows symgraph by
the name of Keras, below `KERAS_HOME` (default `~/.keras`). Nothing is downloaded on import.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import tempfile
from collections import abc
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from symgraph.globals import answers_as
from symgraph.settings_file import keras_folder
from symgraph.utils.archive import UNPACKING, unpack
from symgraph.utils.enqueuers import GeneratorEnqueuer, OrderedEnqueuer, SequenceEnqueuer
from symgraph.utils.io_utils import atomic_path, remove_stale
from symgraph.utils.progbar import Progbar
from symgraph.utils.sequence import Sequence
from symgraph.utils.warn_user import warn_user

__all__ = [
    "GeneratorEnqueuer",
    "OrderedEnqueuer",
    "Sequence",
    "SequenceEnqueuer",
    "get_file",
    "validate_file",
]

_CHUNK = 1 << 18
_TIMEOUT = 60.0  # seconds without a byte from the server


def get_file(
    fname: str | os.PathLike[str],
    origin: str,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: str | abc.Sequence[str] | None = "auto",
    cache_dir: str | os.PathLike[str] | None = None,
) -> str:
    """Download a file unless it is in the cache, check it, and give its path.

    A file appears under its name only when it is complete: as long as the server said, and with the right
    hash if one is given. A file in the cache is checked against the hash on every call.

    Parameters
    ----------
    fname : str
        Name of the file in the cache; an absolute path is taken as it is.
    origin : str
        URL of the file.
    untar : bool
        The older way: unpack `fname` + '.tar.gz' as a tar archive and return the path of `fname`.
    md5_hash : str, optional
        The older way to give an md5 `file_hash`.
    file_hash : str, optional
        Expected hash of the file in hexadecimal digits.
    cache_subdir : str
        Folder below the cache folder; an absolute path is taken as it is.
    hash_algorithm : {'auto', 'md5', 'sha256'}
        'auto' tells the two by the length of the hash.
    extract : bool
        Unpack the file as an archive beside itself, on every call.
    archive_format : {'auto', 'tar', 'zip', None} or list of 'tar' and 'zip'
        What to try. 'auto' is both, None is none.
    cache_dir : str, optional
        Cache folder; by default `SYMGRAPH_HOME` or `~/.symgraph`; where a script imports symgraph by the name
        of Keras, that of Keras: `KERAS_HOME` or `~/.keras`. In the default case a file that Keras has
        left in `~/.keras` is used too: one with the right hash at once, one without a hash where the download
        fails. Where the folder cannot be written, a folder of the user's own among the system's temporary
        files is; under the name of Keras `.keras` among these.

    Returns
    -------
    str
        Path of the file (with `untar`, of what was unpacked).

    Raises
    ------
    OSError
        If the file cannot be fetched or stored.
    ValueError
        If the download has another hash than expected, or an archive is damaged or unsafe. The file that was
        in the cache before, if any, stays.
    """
    if not isinstance(origin, str):
        raise TypeError(f"origin should be a URL, got {origin!r:.80}")
    file_hash, hash_algorithm = _expected_hash(md5_hash, file_hash, hash_algorithm)
    formats = _formats(archive_format)
    name = os.fspath(fname) + (".tar.gz" if untar else "")
    base = _base_folder(cache_dir)
    path = base / cache_subdir / name
    if not _is_cached(path, file_hash, hash_algorithm):
        path = _writable(base, cache_subdir) / name
        kept = Path(os.path.expanduser("~")) / ".keras" / cache_subdir / name if cache_dir is None else path
        unpacks = untar or bool(formats and extract)
        path = _taken_or_downloaded(kept, origin, path, file_hash, hash_algorithm, unpacks)
    return _unpacked(path, untar, formats if extract else [])


def _taken_or_downloaded(
    kept: Path, origin: str, path: Path, file_hash: str | None, algorithm: str, unpacks: bool
) -> Path:
    """The file `kept` that Keras has left, where its hash is right or nothing better can be had; else `path`.

    Keras gives a download that was broken off the name of a whole one. So a file of Keras that has no hash is
    taken only where the download fails. What is unpacked is copied first.
    """
    taken = kept.absolute().as_uri() if unpacks else None
    if file_hash is not None and kept != path and _is_cached(kept, file_hash, algorithm, quiet=True):
        if taken is None:
            return kept
        origin = taken
    try:
        _download(origin, path, file_hash, algorithm)
    except OSError as error:
        if file_hash is not None or kept == path or not kept.is_file():
            raise
        print(f"{error}. A file that Keras has left is used, unchecked: {kept}")
        if taken is None:
            return kept
        _download(taken, path, None, algorithm)
    return path


def _unpacked(path: Path, untar: bool, formats: abc.Sequence[str]) -> str:
    """Unpack `path` beside itself as asked; the path that `get_file` returns."""
    if untar:
        unpacked = path.with_name(path.name.removesuffix(".tar.gz"))
        if not unpacked.exists() and not unpack(path, path.parent, ["tar"], last=unpacked.name):
            raise ValueError(f"{path} is no tar archive; delete it if it should be")
        return str(unpacked)
    if formats and not unpack(path, path.parent, formats):
        warn_user(f"{path} is not unpacked: it is no archive of {' or '.join(formats)}")
    return str(path)


def _extract_archive(
    file_path: str | os.PathLike[str],
    path: str | os.PathLike[str] = ".",
    archive_format: str | abc.Sequence[str] | None = "auto",
) -> bool:
    """Unpack an archive into the folder `path`, which is made; Keras' scripts call this by its hidden name.

    Parameters
    ----------
    file_path, path : path
    archive_format : {'auto', 'tar', 'zip', None} or list of 'tar' and 'zip'
        What to try. 'auto' is both, None is none.

    Returns
    -------
    bool
        False if the file is no such archive.

    Raises
    ------
    ValueError
        If the archive is damaged or unsafe. Nothing is unpacked then.
    """
    formats = _formats(archive_format)
    if formats:
        Path(path).mkdir(parents=True, exist_ok=True)
    return unpack(Path(file_path), Path(path), formats)


def validate_file(
    fpath: str | os.PathLike[str], file_hash: str, algorithm: str = "auto", chunk_size: int = 65535
) -> bool:
    """Whether a file has the hash.

    Parameters
    ----------
    fpath : str
    file_hash : str
        Hexadecimal digits.
    algorithm : {'auto', 'md5', 'sha256'}
        'auto' tells the two by the length of the hash.
    chunk_size : int
        Bytes read at a time.

    Raises
    ------
    ValueError
        If the algorithm is unknown or `file_hash` has another length than its hashes.
    """
    algorithm = _algorithm_of(file_hash, algorithm)
    return _hash_file(fpath, algorithm, chunk_size) == file_hash.lower()


def _hash_file(fpath: str | os.PathLike[str], algorithm: str = "sha256", chunk_size: int = 65535) -> str:
    hasher = hashlib.new(algorithm, usedforsecurity=False)
    with open(fpath, "rb") as file:
        while chunk := file.read(chunk_size):
            hasher.update(chunk)
    return hasher.hexdigest()


def _expected_hash(md5_hash: str | None, file_hash: str | None, algorithm: str) -> tuple[str | None, str]:
    """The hash that a file must have, and its algorithm. ValueError where the two do not go together."""
    if file_hash is None:
        file_hash, algorithm = md5_hash, "md5" if md5_hash is not None else algorithm
    return file_hash, algorithm if file_hash is None else _algorithm_of(file_hash, algorithm)


def _algorithm_of(file_hash: str, algorithm: str) -> str:
    lengths = {"md5": 32, "sha256": 64}
    if algorithm != "auto" and algorithm not in lengths:
        raise ValueError(f"hash_algorithm must be 'auto', 'md5' or 'sha256', got {algorithm!r}")
    for known, length in lengths.items():
        if algorithm in ("auto", known) and len(file_hash) == length:
            return known
    raise ValueError(
        f"file_hash has {len(file_hash)} digits; an md5 hash has 32, a sha256 hash 64: {file_hash!r}"
    )


def _formats(archive_format: str | abc.Sequence[str] | None) -> list[str]:
    if archive_format == "auto":
        return ["tar", "zip"]
    formats = [archive_format] if isinstance(archive_format, str) else list(archive_format or ())
    unknown = [name for name in formats if name not in ("tar", "zip")]
    if unknown:
        raise ValueError(
            f"archive_format must be 'auto', 'tar', 'zip', None or a list of them, got {archive_format!r}"
        )
    return formats


def _base_folder(cache_dir: str | os.PathLike[str] | None) -> Path:
    if cache_dir is None and answers_as() != "symgraph":
        return Path(keras_folder())
    named = cache_dir if cache_dir is not None else os.environ.get("SYMGRAPH_HOME") or "~/.symgraph"
    return Path(os.path.expanduser(named))


def _writable(base: Path, subdir: str) -> Path:
    """The folder `base / subdir`; where that cannot be written, one among the temporary files."""
    folder = base / subdir
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    user = os.getuid() if hasattr(os, "getuid") else "user"
    name = ".keras" if answers_as() != "symgraph" else f"symgraph-{user}"
    private = Path(tempfile.gettempdir()) / name
    private.mkdir(mode=0o700, exist_ok=True)
    status = private.lstat()
    # Anybody may make a folder of this name; data are taken only from one that is the user's own.
    if private.is_symlink() or (
        hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022)
    ):
        private = Path(tempfile.mkdtemp(prefix="symgraph-"))
    folder = private / subdir
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _is_cached(path: Path, file_hash: str | None, algorithm: str, quiet: bool = False) -> bool:
    """Whether the file is there and, where a hash is given, intact."""
    if not path.is_file():
        return False
    if file_hash is None or validate_file(path, file_hash, algorithm):
        return True
    if not quiet:
        print(
            f"A local file was found, but its hash is not {file_hash}: incomplete or outdated. "
            f"It is downloaded again: {path}"
        )
    return False


def _download(origin: str, path: Path, file_hash: str | None, algorithm: str) -> None:
    """Fetch `origin` into a temporary file beside `path`, check it, and rename it; unless it is there."""
    if _is_cached(path, file_hash, algorithm, quiet=True):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    print("Downloading data from", origin)
    remove_stale(path.parent, f"{UNPACKING}*")
    with atomic_path(path) as part:
        with open(part, "wb") as file:
            _fetch(origin, file, has_hash=file_hash is not None)
        if file_hash is not None and not validate_file(part, file_hash, algorithm):
            raise ValueError(f"{origin} was downloaded, but its hash is not the expected {file_hash}")


def _fetch(origin: str, file: IO[bytes], has_hash: bool) -> None:
    try:
        with urlopen(origin, timeout=_TIMEOUT) as response:
            declared = response.headers.get("Content-Length")
            length = int(declared) if declared is not None and declared.isdigit() else None
            # A chunked answer has an end mark, which http.client checks.
            if length is None and not has_hash and not getattr(response, "chunked", False):
                raise OSError(f"URL fetch failure on {origin}: the server sends no length; pass a file_hash")
            bar = Progbar(length, interval=0.5)
            received = 0
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                received += len(chunk)
                bar.update(received)
            if length is not None and received != length:
                raise OSError(f"URL fetch failure on {origin}: broken off after {received} of {length} bytes")
    except HTTPError as error:
        with error:
            raise OSError(f"URL fetch failure on {origin}: {error.code} -- {error.msg}") from error
    except URLError as error:
        raise OSError(f"URL fetch failure on {origin}: {error.reason}") from error
    except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise OSError(f"URL fetch failure on {origin}: {error!r}") from error
