"""HDF5 groups and plain dicts under one interface."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from symgraph.utils.hdf5_reader import GuardedGroup

_HEADER_LIMIT = 64512  # bytes that HDF5 has for an attribute


class H5Dict:
    """A group of an HDF5 file, or a dict, with `h[key] = value` and `h[key]`.

    Arrays become datasets, everything else (texts, numbers, lists of texts) attributes. A key that is not
    there is made a group. Of a list of texts, parts that are too long for HDF5 are stored under numbered
    names; texts come back as they were in a dict, and lists of them as lists of bytes.

    Parameters
    ----------
    path : str, h5py.Group or dict
        A file that is opened, or what is there already.
    mode : str
        Of the file: 'r', 'w', 'a'. 'r' refuses changes.

    Raises
    ------
    TypeError
        If `path` is none of these.

    Notes
    -----
    What is read from a file lies in it: links and values in other files are refused with a ValueError.
    """

    def __init__(self, path: Any, mode: str = "a") -> None:
        self.data: Any
        self._is_file = isinstance(path, str)
        self.read_only = mode == "r"
        if isinstance(path, h5py.Group):
            self.data = path
        elif isinstance(path, str):
            self.data = h5py.File(path, mode)
        elif isinstance(path, dict):
            self.data = path
            if mode == "w":
                path.clear()
            # Tells groups from dicts that somebody stores.
            path["_is_group"] = True
        else:
            raise TypeError(f"Required Group, str or dict. Received: {type(path)}.")

    def __setitem__(self, attr: str | bytes, val: Any) -> None:
        if self.read_only:
            raise ValueError("Cannot set item in read only mode.")
        key = _text(attr)
        if isinstance(self.data, dict):
            self.data[key] = np.array(val) if isinstance(val, np.ndarray | np.generic) else val
        elif key in self.data:
            raise KeyError(f'Cannot set attribute. Group with name "{key}" exists.')
        elif isinstance(val, np.ndarray | np.generic):
            self.data.create_dataset(key, data=val)
        elif isinstance(val, list):
            self._set_texts(key, val)
        else:
            self.data.attrs[key] = val

    def _set_texts(self, key: str, texts: list[Any]) -> None:
        encoded = np.asarray([text.encode() if isinstance(text, str) else text for text in texts])
        if encoded.nbytes <= _HEADER_LIMIT:
            self.data.attrs[key] = encoded
            return
        if encoded.itemsize > _HEADER_LIMIT:
            raise RuntimeError(
                f"The attribute {key} cannot be saved to an HDF5 file: one of its entries has "
                f"{encoded.itemsize} bytes, more than {_HEADER_LIMIT}"
            )
        in_one = _HEADER_LIMIT // encoded.itemsize
        for number, start in enumerate(range(0, len(encoded), in_one)):
            self.data.attrs[f"{key}{number}"] = encoded[start : start + in_one]

    def __getitem__(self, attr: str | bytes) -> Any:
        key = _text(attr)
        if isinstance(self.data, dict):
            if key not in self.data:
                self._check_writable()
                self.data[key] = {"_is_group": True}
            found = self.data[key]
            return self._group(found) if isinstance(found, dict) and found.get("_is_group") else found
        if key in self.data.attrs:
            return _attribute(self.data.attrs[key])
        stored = GuardedGroup(self.data, str(self.data.file.filename))
        found = stored.lookup(key)
        if isinstance(found, h5py.Group):
            return self._group(found)
        if found is not None:
            array = stored.dataset(key, kinds="biufcSO")
            return np.asarray(found) if found.dtype.kind == "O" else array.read()
        if f"{key}0" in self.data.attrs:
            parts: list[Any] = []
            while (name := f"{key}{len(parts)}") in self.data.attrs:
                parts.append(self.data.attrs[name].tolist())
            return [text for part in parts for text in part]
        self._check_writable()
        return self._group(self.data.create_group(key))

    def _group(self, data: Any) -> H5Dict:
        return H5Dict(data, "r" if self.read_only else "a")

    def _check_writable(self) -> None:
        if self.read_only:
            raise ValueError("Cannot create group in read only mode.")

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[str]:
        return iter(self.data)

    def iter(self) -> Iterator[str]:
        """The names of groups and arrays (of a dict, all keys)."""
        return iter(self.data)

    def __contains__(self, key: str | bytes) -> bool:
        name = _text(key)
        return name in self.data or (not isinstance(self.data, dict) and name in self.data.attrs)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key that is there, else `default`; no group is made."""
        if key not in self:
            return default
        return self[key]

    def update(self, *args: Any) -> None:
        """Update a dict. NotImplementedError for an HDF5 group."""
        if not isinstance(self.data, dict):
            raise NotImplementedError("an HDF5 group cannot be updated at once")
        self.data.update(*args)

    def close(self) -> None:
        """Flush an HDF5 file; one that was opened here is closed too."""
        if isinstance(self.data, h5py.Group):
            self.data.file.flush()
            if self._is_file:
                self.data.close()


h5dict = H5Dict


def _text(key: str | bytes) -> str:
    return key.decode() if isinstance(key, bytes) else key


def _attribute(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) and value.dtype.kind == "S" else value
