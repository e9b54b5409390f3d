"""The only reader of HDF5 files, which may be untrusted.

HDF5 can point to other files (external links, external storage, virtual datasets), declare any size and
compress it to nothing. Only data in the file itself are read, only under requested names, and no memory is
allocated for an array before the caller has accepted its declared shape.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from symgraph.graph.leaves import aligned_empty

_DEFLATE, _SHUFFLE, _FLETCHER32, _LZF = 1, 2, 3, 32000
_PLAIN_FILTERS = (_DEFLATE, _SHUFFLE, _FLETCHER32)
_CHECKSUM_BYTES = 4
_MOST_EXPANSION = 1032  # of deflate, see zlib's technical details
_SPARE_BYTES = 16 << 20  # what a chunk may take beyond the size of its dataset
_LZF_EXPANSION = 88  # a reference of 3 bytes stands for up to 264
_MOST_ATTRIBUTE_BYTES = 1 << 30
# What a packed chunk may take when rows are read, and how many times its stored bytes a larger one may.
_CHUNK_BYTES = 64 << 20
_MOST_CHUNK_EXPANSION = 32


_DAMAGE = (
    OSError,
    RuntimeError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,  # before allocation: the library was given too large a part
    zlib.error,
    UnicodeError,
)


@contextlib.contextmanager
def open_hdf5(source: Any, label: str | None = None) -> Iterator[GuardedGroup]:
    """A file for reading.

    Parameters
    ----------
    source : path, h5py.Group, or binary file object
        A group that is open already stays open.
    label : str, optional
        What errors call the file, where it has no path.

    Yields
    ------
    GuardedGroup

    Raises
    ------
    OSError
        If there is no such file, or it is no HDF5 file.
    """
    if isinstance(source, h5py.Group):
        yield GuardedGroup(source, str(source.file.filename))
        return
    if label is None:
        label = os.fspath(source) if isinstance(source, str | os.PathLike) else "the given file object"
    if isinstance(source, str | os.PathLike) and not os.path.exists(source):
        raise FileNotFoundError(f"there is no file {label!r}")
    try:
        file = h5py.File(source, "r")
    except OSError as error:
        raise OSError(f"{label} cannot be read as an HDF5 file: {error}") from error
    with file:
        yield GuardedGroup(file, str(label))


@contextlib.contextmanager
def _damage_named(label: str) -> Iterator[None]:
    """Say in which file the library failed."""
    try:
        yield
    except _DAMAGE as error:
        raise ValueError(f"{label}: damaged HDF5 data: {error}") from error


@dataclass(frozen=True, slots=True)
class GuardedGroup:
    """A group of a file.

    Attributes
    ----------
    group : h5py.Group
    label : str
        The file, and the path inside it, for errors.
    """

    group: h5py.Group
    label: str

    def __contains__(self, name: str) -> bool:
        # The link, not what it leads to: that may lie in another file.
        with _damage_named(self.label):
            return self.group.get(name, getlink=True) is not None

    def subgroup(self, name: str) -> GuardedGroup:
        """The group `name`. ValueError if there is none, or it lies in another file."""
        found = self._find(name)
        if not isinstance(found, h5py.Group):
            raise ValueError(f"{self.label}: expected a group {name!r}, got a {type(found).__name__}")
        return GuardedGroup(found, f"{self.label}, group {name}")

    def dataset(self, name: str, kinds: str = "biuf") -> GuardedDataset:
        """The dataset `name`, not read yet.

        ValueError if there is none, or its type is not one of `kinds` (numpy's letters).
        """
        found = self._find(name)
        label = f"{self.label}, dataset {name}"
        if not isinstance(found, h5py.Dataset):
            raise ValueError(f"{label}: expected a dataset, got a {type(found).__name__}")
        with _damage_named(label):
            _refuse_foreign_storage(found, label)
            if found.shape is None or found.dtype.kind not in kinds:
                raise ValueError(
                    f"{label}: expected an array of numbers, got {found.dtype} of shape {found.shape}"
                )
        return GuardedDataset(found, label)

    def _find(self, name: str) -> Any:
        found = self.lookup(name)
        if found is None:
            raise ValueError(f"{self.label}: there is no {name!r}")
        return found

    def lookup(self, name: str) -> Any:
        """The object at a path; None if there is none. ValueError if one of its links is not a plain one."""
        current: Any = self.group
        for part in name.split("/"):
            if part in ("", "."):
                continue
            with _damage_named(self.label):
                link = current.get(part, getlink=True) if isinstance(current, h5py.Group) else None
            if link is None:
                return None
            if not isinstance(link, h5py.HardLink):
                raise ValueError(f"{self.label}: {name!r} is a {type(link).__name__}; links are refused")
            with _damage_named(self.label):
                current = current[part]
        return current

    def text(self, name: str) -> str | None:
        """The attribute `name` as text; None if there is none."""
        values = self._strings(name)
        if values is None:
            return None
        if len(values) != 1:
            raise ValueError(f"{self.label}: expected one text in the attribute {name!r}, got {len(values)}")
        return values[0]

    def texts(self, name: str) -> list[str]:
        """The attribute `name`, a list of texts that long lists continue in `name0`, `name1`, ..."""
        whole = self._strings(name)
        if whole is not None:
            return whole
        found: list[str] = []
        for number in itertools.count():
            part = self._strings(f"{name}{number}")
            if part is None:
                return found
            found += part
        raise AssertionError("unreachable")

    def number(self, name: str) -> int | float | None:
        """The attribute `name`, a single number; None if there is none."""
        with _damage_named(self.label):
            if name not in self.group.attrs:
                return None
            attribute = h5py.h5a.open(self.group.id, name.encode())
            single = attribute.get_space().get_simple_extent_npoints() == 1
            if not single or attribute.get_type().get_class() not in (h5py.h5t.INTEGER, h5py.h5t.FLOAT):
                raise ValueError(f"{self.label}: expected a number in the attribute {name!r}")
            value: int | float = np.asarray(self.group.attrs[name]).item()
            return value

    def _strings(self, name: str) -> list[str] | None:
        with _damage_named(self.label):
            if name not in self.group.attrs:
                return None
            attribute = h5py.h5a.open(self.group.id, name.encode())
            count = attribute.get_space().get_simple_extent_npoints()
            kind = attribute.get_type()
            if count == 0:
                return []
            if kind.get_class() != h5py.h5t.STRING:
                raise ValueError(f"{self.label}: expected text in the attribute {name!r}")
            # Texts of variable length are references, any number of which may share one long text.
            longest = self.group.file.id.get_filesize() if kind.is_variable_str() else kind.get_size()
            if count > 1 and count * longest > _MOST_ATTRIBUTE_BYTES:
                raise ValueError(f"{self.label}: the attribute {name!r} is too large")
            values = np.atleast_1d(np.asarray(self.group.attrs[name], dtype=object)).reshape(-1)
            return [value.decode("utf-8") if isinstance(value, bytes) else str(value) for value in values]


@dataclass(frozen=True, slots=True)
class GuardedDataset:
    """An array in a file: its shape is known, its values are read on demand."""

    data: h5py.Dataset
    label: str

    @property
    def shape(self) -> tuple[int, ...]:
        """The declared shape."""
        return tuple(self.data.shape)

    @property
    def size(self) -> int:
        """The declared number of elements."""
        return int(self.data.size)

    @property
    def identity(self) -> int:
        """Equal for two names of the same array."""
        with _damage_named(self.label):
            return int(h5py.h5o.get_info(self.data.id).addr)

    @property
    def most_elements(self) -> int:
        """The largest number of elements that the stored bytes can represent, for any declared shape."""
        with _damage_named(self.label):
            return self._most_elements(_filters(self.data, _PLAIN_FILTERS, self.label))

    def _most_elements(self, filters: list[int]) -> int:
        # What a file claims to store can be more than it has.
        stored = min(self.data.id.get_storage_size(), self.data.file.id.get_filesize())
        return min(self.size, stored // self.data.dtype.itemsize * (_MOST_EXPANSION if filters else 1))

    def check_stored(self, unpacked_by_library: bool = False) -> list[int]:
        """Refuse (ValueError) what stores less than its shape says, or has chunks larger than itself.

        Parameters
        ----------
        unpacked_by_library : bool
            Whether the library unpacks the values, which knows one kind of compression more (LZF).

        Returns
        -------
        list of int
            HDF5's numbers of the filters that pack the values.
        """
        with _damage_named(self.label):
            itemsize, chunks = self.data.dtype.itemsize, self.data.chunks
            known = (*_PLAIN_FILTERS, _LZF) if unpacked_by_library else _PLAIN_FILTERS
            filters = _filters(self.data, known, self.label)
            if math.prod(chunks or ()) * itemsize > self.size * itemsize + _SPARE_BYTES:
                raise ValueError(f"{self.label}: has chunks of shape {chunks}, larger than the array")
            if self._most_elements(filters) < self.size:
                raise ValueError(f"{self.label}: of its shape {self.shape} only a part is stored")
            return filters

    def read(self) -> np.ndarray:
        """The array. Call this once the shape is known to be the expected one."""
        filters = self.check_stored()
        with _damage_named(self.label):
            if filters:
                return self._read_chunks(filters)
            if not self.size or not self.shape:
                return np.asarray(self.data[()])
            # Where a weight may take them over without a copy.
            values = aligned_empty(self.shape, self.data.dtype)
            self.data.read_direct(values)
            return values

    def _read_chunks(self, filters: list[int]) -> np.ndarray:
        """Unpack chunk by chunk: the library itself would unpack without any limit."""
        data = self.data
        nominal = math.prod(data.chunks) * data.dtype.itemsize
        count = math.prod(-(-size // chunk) for size, chunk in zip(data.shape, data.chunks, strict=True))
        if data.id.get_num_chunks() != count:
            raise ValueError(f"{self.label}: {data.id.get_num_chunks()} of {count} chunks are stored")
        out = aligned_empty(data.shape, data.dtype)
        for index in range(count):
            offset = data.id.get_chunk_info(index).chunk_offset
            mask, raw = self._stored_chunk(offset)
            for position in reversed(range(len(filters))):
                if not mask & (1 << position):
                    raw = _undone(filters[position], raw, nominal, data.dtype.itemsize)
            if len(raw) != nominal:
                raise ValueError(f"{self.label}: a chunk holds {len(raw)} bytes instead of {nominal}")
            chunk = np.frombuffer(raw, data.dtype).reshape(data.chunks)
            place = tuple(slice(start, start + size) for start, size in zip(offset, data.chunks, strict=True))
            target = out[place]
            target[...] = chunk[tuple(slice(0, size) for size in target.shape)]
        return out

    def check_chunks(self, number: int) -> None:
        """Refuse (ValueError) chunks that would unpack to more than their shape says.

        The library unpacks a chunk to its end, however much that is, before it looks at the length.

        Parameters
        ----------
        number : int
            The chunks are those that hold rows from `number` times the rows of a chunk on.
        """
        data = self.data
        filters = _filters(data, (*_PLAIN_FILTERS, _LZF), self.label)
        nominal = math.prod(data.chunks) * data.dtype.itemsize
        others = itertools.product(
            *(range(0, size, chunk) for size, chunk in zip(data.shape[1:], data.chunks[1:], strict=True))
        )
        with _damage_named(self.label):
            for rest in others:
                offset = (number * data.chunks[0], *rest)
                if data.id.get_chunk_info_by_coord(offset).size:
                    self._check_chunk(offset, filters, nominal)

    def _check_chunk(self, offset: tuple[int, ...], filters: list[int], nominal: int) -> None:
        mask, raw = self._stored_chunk(offset)
        if nominal > max(_CHUNK_BYTES, len(raw) * _MOST_CHUNK_EXPANSION):
            raise ValueError(
                f"{self.label}: has a chunk of {nominal} bytes packed into {len(raw)}; repack the file with "
                f"chunks of at most {_CHUNK_BYTES} bytes"
            )
        for position in reversed(range(len(filters))):
            if mask & (1 << position):
                continue
            if filters[position] == _LZF:
                length = _lzf_length(raw, nominal + _CHECKSUM_BYTES)
            else:
                raw = _undone(filters[position], raw, nominal, self.data.dtype.itemsize)
                length = len(raw)
            if length > nominal + _CHECKSUM_BYTES:
                raise ValueError(f"{self.label}: a chunk holds more than its {nominal} bytes")
            if filters[position] == _LZF:
                return

    def _stored_chunk(self, offset: tuple[int, ...]) -> tuple[int, bytes]:
        """Which filters a chunk goes without (a mask), and its bytes as they are stored."""
        if self.data.id.get_chunk_info_by_coord(offset).size > self.data.file.id.get_filesize():
            raise ValueError(f"{self.label}: has a chunk that is larger than the file")
        mask, raw = self.data.id.read_direct_chunk(offset)
        return mask, raw


def _refuse_foreign_storage(dataset: h5py.Dataset, label: str) -> None:
    if dataset.external:
        raise ValueError(f"{label}: its values lie in another file (external storage); refused")
    if dataset.is_virtual:
        raise ValueError(f"{label}: is put together from other files (a virtual dataset); refused")


def _filters(dataset: h5py.Dataset, known: tuple[int, ...], label: str) -> list[int]:
    """HDF5's numbers of the filters that pack a dataset; ValueError for unknown and repeated ones."""
    plist = dataset.id.get_create_plist()
    described = [plist.get_filter(i) for i in range(plist.get_nfilters())]
    filters = [code for code, *_ in described]
    if any(code not in known for code in filters):
        raise ValueError(
            f"{label}: is compressed by a method other than gzip (HDF5 filters {filters}); "
            "repack the file, for example with h5repack -f NONE"
        )
    if len(set(filters)) < len(filters) or {_DEFLATE, _LZF} <= set(filters):
        raise ValueError(f"{label}: is packed more than once (HDF5 filters {filters}); refused")
    nominal = math.prod(dataset.chunks or ()) * dataset.dtype.itemsize
    for code, _, values, _ in described:
        # The third value says how much memory LZF takes.
        if code == _LZF and max(values[2:3], default=0) > nominal:
            raise ValueError(f"{label}: claims that a chunk of {nominal} bytes needs {values[2]}; refused")
    return filters


def _undone(code: int, raw: bytes, nominal: int, itemsize: int) -> bytes:
    if code == _SHUFFLE:
        whole = len(raw) // itemsize * itemsize
        return np.frombuffer(raw[:whole], np.uint8).reshape(itemsize, -1).T.tobytes() + raw[whole:]
    if code == _FLETCHER32:
        return raw[:-_CHECKSUM_BYTES]
    unpacked: bytes = zlib.decompressobj().decompress(raw, nominal + _CHECKSUM_BYTES + 1)
    return unpacked


def _lzf_length(raw: bytes, most: int) -> int:
    """To how many bytes LZF unpacks `raw`; no more is counted once these are more than `most`."""
    if len(raw) * _LZF_EXPANSION <= most:
        return len(raw)
    position = length = 0
    while position < len(raw) and length <= most:
        control = raw[position]
        if control < 32:  # as many literal bytes follow, and one more
            position += control + 2
            length += control + 1
        elif control < 224:  # a reference of 2 bytes to what is repeated
            position += 2
            length += (control >> 5) + 2
        else:  # and one of 3
            length += (raw[position + 1] if position + 1 < len(raw) else 0) + 9
            position += 3
    return length
