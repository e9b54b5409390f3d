"""The reader of .npz files: right arrays from sound files, ValueError and nothing else from others."""

import io
import pickle
import resource
import struct
import zipfile

import numpy as np
import pytest

from symgraph.utils.npz import read_npz

LIMIT = 1 << 20


class Executed:
    """Unpickling this would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def header(shape, descr="|u1"):
    text = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def write_member(path, payload, name="x.npy"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, payload)
    return path


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "int64", "bool", "complex128"])
def test_sound_files(tmp_path, dtype):
    arrays = {
        "x": np.arange(24).reshape(2, 3, 4).astype(dtype),
        "y": np.asfortranarray(np.ones((3, 2), dtype)),
        "scalar": np.array(3, dtype),
        "empty": np.zeros((0, 5), dtype),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **arrays)
        read = read_npz(tmp_path / "a.npz", list(arrays), LIMIT)
        for name, expected in arrays.items():
            np.testing.assert_array_equal(read[name], expected)
            assert read[name].dtype == expected.dtype


def test_names_missing_and_arrays_too_large(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros(LIMIT + 1, np.uint8), z=np.zeros(1))
    with pytest.raises(ValueError, match=r"has no array y, w; its arrays: x, z"):
        read_npz(tmp_path / "a.npz", ["x", "y", "w"], LIMIT)
    with pytest.raises(ValueError, match="at most"):
        read_npz(tmp_path / "a.npz", ["x"], LIMIT)
    assert read_npz(tmp_path / "a.npz", ["z"], LIMIT)["z"].shape == (1,)
    with pytest.raises(FileNotFoundError):
        read_npz(tmp_path / "b.npz", ["x"], LIMIT)


def test_pickles_are_never_loaded(tmp_path):
    canary = tmp_path / "canary"
    objects = np.array([Executed(canary)], dtype=object)
    np.savez(tmp_path / "a.npz", x=objects)
    write_member(tmp_path / "b.npz", pickle.dumps(Executed(canary)))
    (tmp_path / "c.npz").write_bytes(pickle.dumps(Executed(canary)))
    np.savez(tmp_path / "d.npz", x=np.array([(1, Executed(canary))], dtype=[("a", int), ("b", object)]))
    for name in "abcd":
        with pytest.raises(ValueError, match=r"[abcd]\.npz"):
            read_npz(tmp_path / f"{name}.npz", ["x"], LIMIT)
    assert not canary.exists()


@pytest.mark.parametrize(
    "shape", [(10**12,), (1 << 62, 4), (3,), (1 << 32, 1 << 32), (-1, -10), (-10,), (0, 1 << 70), (11,)]
)
def test_shapes_that_the_file_cannot_fill(tmp_path, shape):
    path = write_member(tmp_path / "a.npz", header(shape) + b"0123456789")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=r"does not fit|shape"):
        read_npz(path, ["x"], LIMIT)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def test_a_changed_or_shortened_file_is_refused_or_right(tmp_path):
    stored = io.BytesIO()
    expected = np.arange(200, dtype=np.int32)
    np.savez_compressed(stored, x=expected)
    whole = stored.getvalue()
    path = tmp_path / "a.npz"
    random = np.random.default_rng(3)
    for trial in range(300):
        damaged = bytearray(whole)
        if trial % 2:
            del damaged[random.integers(len(whole)) :]
        else:
            damaged[random.integers(len(whole))] ^= 1 << random.integers(8)
        path.write_bytes(damaged)
        try:
            np.testing.assert_array_equal(read_npz(path, ["x"], LIMIT)["x"], expected)
        except ValueError:
            continue
