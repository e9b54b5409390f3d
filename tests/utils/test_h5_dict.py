"""One interface to HDF5 groups and dicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from symgraph.utils import h5dict

ARRAY = np.arange(12.0).reshape(3, 4)
NAMES = [f"{i:05d}" * 20 for i in range(1000)]


@pytest.fixture(params=["file", "dict"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return str(tmp_path / "some.h5") if request.param == "file" else {}


def test_what_is_stored_comes_back(place: Any) -> None:
    store = h5dict(place, "w")
    store["text"], store["names"], store["array"] = "abc", [b"ef", b"ghi"], ARRAY
    inner = store["first"]["second"]
    inner[b"number"], inner["array"] = 3, ARRAY[0]
    store["scalar"] = np.float64(2.5)
    store.close()
    again = h5dict(place, "r")
    assert again["text"] == "abc" and again["names"] == [b"ef", b"ghi"]
    np.testing.assert_array_equal(again["array"], ARRAY)
    assert again["scalar"] == 2.5 and again["first"]["second"]["number"] == 3
    np.testing.assert_array_equal(again["first"]["second"]["array"], ARRAY[0])
    assert "text" in again and "first" in again and "other" not in again
    assert {"first", "array"} <= set(again) and len(again) == len(list(again.iter()))
    assert again.get("other", 7) == 7 and again.get("text") == "abc"
    with pytest.raises(ValueError, match="Cannot set item in read only mode"):
        again["text"] = "x"
    with pytest.raises(ValueError, match="Cannot create group in read only mode"):
        again["first"]["other"]
    again.close()


def test_long_lists_and_what_hdf5_cannot_do(tmp_path: Path) -> None:
    store = h5dict(str(tmp_path / "long.h5"))
    store["names"] = NAMES
    assert store["names"] == [name.encode() for name in NAMES]
    with pytest.raises(RuntimeError, match="more than 64512"):
        store["long"] = ["x" * 70000]
    with pytest.raises(NotImplementedError):
        store.update({"a": 1})
    store["group"]
    with pytest.raises(KeyError, match='Group with name "group" exists'):
        store["group"] = 3
    store.close()
    with h5py.File(tmp_path / "long.h5") as file:
        assert "group" in h5dict(file) and "names0" in file.attrs
    plain: dict[str, Any] = {}
    h5dict(plain).update({"a": 1})
    assert h5dict(plain)["a"] == 1
    with pytest.raises(TypeError, match="Required Group, str or dict"):
        h5dict(3)


@pytest.mark.parametrize("name", ["external", "soft", "storage", "virtual", "through/secret"])
def test_other_files_are_not_read(tmp_path, name):
    with h5py.File(tmp_path / "canary.h5", "w") as canary:
        canary["secret"] = np.ones(4, "f4")
    (tmp_path / "canary.bin").write_bytes(bytes(16))
    with h5py.File(tmp_path / "bad.h5", "w") as file:
        file["there"] = np.ones(4)
        file["soft"] = h5py.SoftLink("/there")
        file["external"] = h5py.ExternalLink(str(tmp_path / "canary.h5"), "secret")
        file["through"] = h5py.ExternalLink(str(tmp_path / "canary.h5"), "/")
        file.create_dataset("storage", (4,), "f4", external=[(str(tmp_path / "canary.bin"), 0, 16)])
        layout = h5py.VirtualLayout((4,), "f4")
        layout[...] = h5py.VirtualSource(str(tmp_path / "canary.h5"), "secret", (4,))
        file.create_virtual_dataset("virtual", layout)
    with pytest.raises(ValueError, match=r"bad\.h5"):
        h5dict(str(tmp_path / "bad.h5"), "r")[name]
