"""`HDF5Matrix` beside the numpy array that was written, and files that are refused."""

import io
import json
import pickle
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgraph.utils import HDF5Matrix
from symgraph.utils.hdf5_reader import _lzf_length

ROWS = np.random.default_rng(2).normal(size=(20, 3, 2)).astype("float32")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    where = tmp_path_factory.mktemp("hdf5") / "data.h5"
    with h5py.File(where, "w") as file:
        file["x"] = ROWS
        file["deep/labels"] = np.arange(20)
        file["one"] = 3.0
        file["texts"] = np.array([b"a", b"b"])
        for name in ("gzip", "lzf"):
            file.create_dataset(name, data=ROWS, chunks=(4, 3, 2), compression=name, shuffle=True)
        file.create_dataset("empty", (0, 4), "f4")
    return str(where)


def test_what_it_says_of_itself(path):
    with HDF5Matrix(path, "x") as x:
        assert (len(x), x.shape, x.ndim, x.size) == (20, (20, 3, 2), 3, 120)
        assert x.dtype == np.float32
    with HDF5Matrix(path, "/deep/labels", 5, 9) as labels:
        assert (len(labels), labels.shape, labels.ndim, labels.size) == (4, (4,), 1, 4)
        assert labels[:].tolist() == [5, 6, 7, 8]
    with HDF5Matrix(path, "x", end=7, normalizer=lambda rows: rows.reshape(-1, 6).astype("float64")) as x:
        assert (x.shape, x.ndim, x.size, x.dtype) == ((7, 6), 2, 42, np.float64)
        np.testing.assert_array_equal(np.asarray(x), ROWS[:7].reshape(7, 6))
    with HDF5Matrix(path, "empty") as empty:
        assert empty.shape == (0, 4) and empty[:].shape == (0, 4)


@given(st.integers(0, 20), st.integers(0, 20), st.data())
@settings(max_examples=60)
def test_rows_are_those_of_the_array(path, start, end, data):
    start, end = min(start, end), max(start, end)
    expected = ROWS[start:end] * 2
    size = end - start
    with HDF5Matrix(path, data.draw(st.sampled_from(["x", "gzip", "lzf"])), start, end, lambda r: r * 2) as x:
        bound = st.none() | st.integers(-size - 2, size)
        key = slice(data.draw(bound), data.draw(bound), data.draw(st.none() | st.integers(1, 4)))
        np.testing.assert_array_equal(x[key], expected[key])
        np.testing.assert_array_equal(np.asarray(x), expected)
        if not size:
            return
        numbers = data.draw(st.lists(st.integers(-size, size - 1), max_size=8))
        for form in (numbers, np.array(numbers, int), tuple(numbers) if len(numbers) != 1 else numbers):
            np.testing.assert_array_equal(x[form], expected[np.array(numbers, int)])
        one = data.draw(st.integers(-size, size - 1))
        np.testing.assert_array_equal(x[one], expected[one])
        np.testing.assert_array_equal(x[np.int32(one)], expected[one])
        mask = data.draw(st.lists(st.booleans(), min_size=size, max_size=size))
        np.testing.assert_array_equal(x[np.array(mask)], expected[np.array(mask)])


@pytest.mark.parametrize(
    "key",
    [
        10, -11, [0, 10], [-11], range(9, 11), np.array([10]), slice(10, 11), slice(0, 11), slice(11, None),
        slice(None, None, -1), None, "a", [0.5], [[1]], Ellipsis, [True],
    ],
)  # fmt: skip
def test_rows_that_are_not_there(path, key):
    with HDF5Matrix(path, "x", 5, 15) as x, pytest.raises(IndexError):
        x[key]


@pytest.mark.parametrize(
    ("dataset", "rows", "message"),
    [
        ("y", (0, None), "there is no 'y'"),
        ("deep", (0, None), "expected a dataset, got a Group"),
        ("one", (0, None), "expected rows, got a single number"),
        ("texts", (0, None), "expected an array of numbers"),
        ("x", (0, 21), "no rows from 0 to 21, only 20 in all"),
        ("x", (-1, None), "no rows from -1 to 20"),
        ("x", (7, 6), "no rows from 7 to 6"),
    ],
)
def test_datasets_and_rows_that_are_not_there(path, dataset, rows, message):
    with pytest.raises(ValueError, match=message):
        HDF5Matrix(path, dataset, *rows)
    with h5py.File(path, "a"):
        pass


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        HDF5Matrix(str(tmp_path / "data.h5"), "x")
    (tmp_path / "text").write_text("no HDF5")
    with pytest.raises(OSError, match="cannot be read as an HDF5 file"):
        HDF5Matrix(tmp_path / "text", "x")


def test_files_are_closed(path):
    def can_be_written():
        try:
            h5py.File(path, "a").close()
        except OSError:
            return False
        return True

    first, second = HDF5Matrix(path, "x"), HDF5Matrix(path, "deep/labels")
    assert not can_be_written()
    first.close()
    assert second[3] == 3
    assert not can_be_written()
    del second
    assert can_be_written()
    first.close()
    with pytest.raises(ValueError, match=r"data\.h5 is closed"):
        first[0]

    def fail(rows):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        HDF5Matrix(path, "x", normalizer=fail)
    assert can_be_written()


def test_it_is_pickled_by_its_arguments(path):
    with HDF5Matrix(path, "x", 2, 9, np.negative) as x, pickle.loads(pickle.dumps(x)) as again:
        np.testing.assert_array_equal(again[:], -ROWS[2:9])


def test_several_threads_read(path):
    with HDF5Matrix(path, "gzip") as x, ThreadPoolExecutor(4) as pool:
        for index, row in enumerate(pool.map(lambda i: x[i % 20], range(200))):
            np.testing.assert_array_equal(row, ROWS[index % 20])


def _links(file, folder):
    file["soft"] = h5py.SoftLink("/there")
    file["external"] = h5py.ExternalLink(str(folder / "canary.h5"), "secret")
    file["through"] = h5py.ExternalLink(str(folder / "canary.h5"), "/")
    file.create_dataset("storage", (4,), "f4", external=[(str(folder / "canary.bin"), 0, 16)])
    layout = h5py.VirtualLayout((4,), "f4")
    layout[...] = h5py.VirtualSource(str(folder / "canary.h5"), "secret", (4,))
    file.create_virtual_dataset("virtual", layout)


def _bombs(file):
    file.create_dataset("unstored", (1 << 40,), "f4", chunks=(1 << 10,))
    file.create_dataset("deflated", (1 << 40,), "f4", chunks=(1 << 10,), compression="gzip")
    file.create_dataset("chunk", (10,), "f4", chunks=(5 << 20,), maxshape=(None,), compression="gzip")
    file["chunk"][:] = 1
    file.create_dataset("scaled", data=np.zeros(64, "i4"), chunks=(64,), scaleoffset=0)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("soft", "SoftLink; links are refused"),
        ("external", "ExternalLink; links are refused"),
        ("through/secret", "ExternalLink; links are refused"),
        ("storage", "external storage"),
        ("virtual", "a virtual dataset"),
        ("unstored", "only a part is stored"),
        ("deflated", "only a part is stored"),
        ("chunk", "larger than the array"),
        ("scaled", "a method other than gzip"),
    ],
)
def test_what_files_of_strangers_may_not_have(tmp_path, dataset, message):
    (tmp_path / "canary.bin").write_bytes(bytes(16))
    with h5py.File(tmp_path / "canary.h5", "w") as canary:
        canary["secret"] = np.ones(4, "f4")
    with h5py.File(tmp_path / "bad.h5", "w") as file:
        file["there"] = np.ones(4)
        _links(file, tmp_path)
        _bombs(file)
    with pytest.raises(ValueError, match=message):
        HDF5Matrix(tmp_path / "bad.h5", dataset)


@pytest.mark.parametrize(
    ("dataset", "options", "error", "message"),
    [
        (None, {}, TypeError, "dataset.*None"),
        ("x", {"start": "a"}, ValueError, "start.*'a'"),
        ("x", {"end": 5.5}, ValueError, "end.*5.5"),
        ("x", {"normalizer": "a"}, TypeError, "normalizer.*'a'"),
        ("x", {"normalizer": lambda rows: None}, TypeError, "normalizer.*NoneType"),
    ],
)
def test_arguments_that_mean_nothing(path, dataset, options, error, message):
    with pytest.raises(error, match=message):
        HDF5Matrix(path, dataset, **options)


_OPEN = """
import json, resource, sys
from symgraph.utils import HDF5Matrix
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20),) * 2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path, row in json.load(sys.stdin):
    try:
        with HDF5Matrix(path, "x") as x:
            x[row]
    except ValueError as error:
        print(path in str(error))
    else:
        print(path, row)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""
DEFLATE, SHUFFLE, FLETCHER, NBIT, SCALE, LZF, BLOSC, ZSTD = 1, 2, 3, 5, 6, 32000, 32001, 32015
ZEROS = zlib.compress(bytes(400 << 20), 9)
# One literal byte, and references to it that stand for 264 bytes each.
REPEATED = b"\0\0" + b"\xe0\xff\0" * (400 << 12)


def packed_bombs():
    """(filters, bytes in a chunk, stored bytes) of datasets of two chunks, whose second one is the bomb."""
    yield [DEFLATE], 256, ZEROS
    yield [SHUFFLE, DEFLATE], 4 << 20, ZEROS
    yield [DEFLATE, FLETCHER], 256, ZEROS + bytes(4)
    yield [DEFLATE, DEFLATE], 256, zlib.compress(ZEROS)
    yield [DEFLATE, SHUFFLE, DEFLATE], 256, zlib.compress(ZEROS)
    yield [DEFLATE] * 5, 256, zlib.compress(zlib.compress(ZEROS))
    yield [SHUFFLE, SHUFFLE], 256, bytes(256)
    yield [LZF], 256, REPEATED
    yield [LZF], 4 << 20, REPEATED
    yield [LZF, DEFLATE], 256, zlib.compress(REPEATED)
    yield [DEFLATE], 400 << 20, ZEROS
    yield [LZF], 400 << 20, REPEATED
    for unknown in (NBIT, SCALE, BLOSC, ZSTD, 305):
        yield [unknown], 256, bytes(256)


def test_packed_bombs_take_no_memory(tmp_path):
    listed = []
    for number, (filters, size, stored) in enumerate(packed_bombs()):
        path = tmp_path / f"bomb{number}.h5"
        with h5py.File(path, "w") as file:
            described = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            described.set_chunk((size,))
            for code in filters:
                values = {DEFLATE: (9,), SHUFFLE: (1,)}.get(code, ())
                described.set_filter(code, h5py.h5z.FLAG_OPTIONAL, values)
            space = h5py.h5s.create_simple((2 * size,))
            data = h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_UINT8, space, described)
            data.write_direct_chunk((0,), bytes(min(size, 4096)), (1 << len(filters)) - 1)
            data.write_direct_chunk((size,), stored)
        listed.append((str(path), size))
    ran = subprocess.run(
        [sys.executable, "-c", _OPEN], input=json.dumps(listed), capture_output=True, text=True, check=True
    )
    *refused, growth = ran.stdout.split()
    assert refused == ["True"] * len(listed)
    assert int(growth) < 64


def test_large_chunks_that_are_honest(tmp_path):
    rows = np.zeros((3, 24 << 20), "u1")
    rows[:, : 1 << 20] = np.random.default_rng(0).integers(0, 256, (3, 1 << 20))
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file.create_dataset("x", data=rows, chunks=rows.shape, compression="gzip", compression_opts=1)
    with HDF5Matrix(tmp_path / "data.h5", "x") as x:
        np.testing.assert_array_equal(x[1], rows[1])


@given(st.binary(max_size=200), st.integers(0, 9), st.integers(1, 300))
@settings(max_examples=40)
def test_the_length_of_lzf(content, copies, period):
    whole = (content + bytes(range(256)))[:period] * (copies + 20)
    with h5py.File(io.BytesIO(), "w") as file:
        data = file.create_dataset(
            "x", data=np.frombuffer(whole, "u1"), chunks=(len(whole),), compression="lzf"
        )
        mask, raw = data.id.read_direct_chunk((0,))
    assert mask or _lzf_length(raw, len(whole)) == len(whole) or len(raw) * 88 <= len(whole)


def _kinds(file):
    numbers = np.zeros(3, [("a", "f4"), ("b", "i4")])
    file["compound"] = numbers
    file.create_dataset("ragged", (3,), h5py.vlen_dtype(np.float32))
    file.create_dataset("reference", (3,), h5py.ref_dtype)
    file.create_dataset("array", (3,), np.dtype(("f4", (1 << 20,))))
    file.create_dataset("opaque", (3,), "V8")
    file.create_dataset("strings", (3,), h5py.string_dtype())
    file["null"] = h5py.Empty("f4")
    file["type"] = np.dtype("f4")


@pytest.mark.parametrize(
    "name", ["compound", "ragged", "reference", "array", "opaque", "strings", "null", "type"]
)
def test_kinds_that_are_no_numbers(tmp_path, name):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        _kinds(file)
    with pytest.raises(ValueError, match=rf"data\.h5, dataset {name}: expected"):
        HDF5Matrix(tmp_path / "data.h5", name)
