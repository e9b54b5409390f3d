"""Files whose headers claim far more than they hold, through every `load_data` that reads such a format."""

import gzip
import io
import json
import pickle
import struct
import subprocess
import sys
import zipfile

import numpy as np

_LOAD = """
import json, resource, sys
from symgraph.datasets import boston_housing, cifar, fashion_mnist, imdb, mnist, reuters
from symgraph.datasets.idx import read_idx
readers = {"boston_housing": boston_housing.load_data, "imdb": imdb.load_data, "mnist": mnist.load_data,
           "reuters": reuters.load_data, "cifar": cifar.load_batch,
           "fashion": lambda path: read_idx(path, 3, fashion_mnist._MOST_BYTES)}
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (512 << 20),) * 2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
refused = 0
for name, path in json.load(sys.stdin):
    try:
        readers[name](path)
    except ValueError as error:
        if path in str(error):
            refused += 1
        else:
            print(name, path, error)
    else:
        print(name, path)
print(refused, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""

# The files have some hundred bytes.
SHAPES = [
    (1 << 31,),
    (1 << 40,),
    (1 << 62, 4),
    (1 << 20, 1 << 20),
    (0, 1 << 70),
    (-1, -9),
    (9,),
    (7, 1 << 33),
]


def npy(shape, descr, payload):
    text = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + payload


class Array:
    """Pickles as an array of this shape and content."""

    def __init__(self, shape, dtype, content):
        self.state = (1, shape, np.dtype(dtype), False, content)

    def __reduce__(self):
        return np.empty(0).__reduce__()[0], (np.ndarray, (0,), b"b"), self.state


def bombs():
    """(reader, content) pairs."""
    for shape in SHAPES:
        for names in (("x", "y"), ("x_train", "y_train", "x_test", "y_test")):
            reader = "boston_housing" if len(names) == 2 else "mnist"
            for descr in ("<f8", "|u1"):
                yield reader, {name: npy(shape, descr, b"12345678") for name in names}
            lists = pickle.dumps(Array(shape, object, [[1, 2, 3]]), 2)
            lists_reader = "reuters" if len(names) == 2 else "imdb"
            yield lists_reader, {name: npy(shape, "|O", lists) for name in names}
            yield lists_reader, {name: npy(shape, "|O", lists.replace(b"numpy", b"bumpy")) for name in names}
        yield "cifar", pickle.dumps({"data": Array(shape, np.uint8, b"123"), "labels": [1]}, 2)
        yield "cifar", pickle.dumps({"data": Array(shape, np.float64, b"1234567"), "labels": [1]}, 4)
        sizes = [min(abs(size), (1 << 32) - 1) for size in (*shape, 9, 9)][:3]
        yield "fashion", gzip.compress(bytes([0, 0, 8, 3]) + struct.pack(">3I", *sizes) + b"123")
    deep = b"]" * 1_000_000
    yield "cifar", b"\x80\x02" + deep + b"."
    yield "cifar", b"\x80\x02U\xffK\x01."
    yield "cifar", b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f" + b"."
    yield "fashion", gzip.compress(bytes([0, 0, 8, 3]) + struct.pack(">3I", 300_000_000, 1, 1))
    yield "boston_housing", {"x": bytes(17 << 20)}
    yield "boston_housing", {"x": b"no array"}


def write(path, content):
    if isinstance(content, bytes):
        path.write_bytes(content)
        return
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, payload in content.items():
            archive.writestr(f"{name}.npy", payload)
        for name in {"y", "y_train", "x_test", "y_test"} - set(content):
            stored = io.BytesIO()
            np.save(stored, np.zeros(1, int))
            archive.writestr(f"{name}.npy", stored.getvalue())


def test_bombs_take_no_memory(tmp_path):
    listed = []
    for number, (reader, content) in enumerate(bombs()):
        path = tmp_path / f"bomb{number}"
        write(path, content)
        listed.append((reader, str(path)))
    assert len(listed) >= 80
    ran = subprocess.run(
        [sys.executable, "-c", _LOAD], input=json.dumps(listed), capture_output=True, text=True, check=True
    )
    refused, growth = map(int, ran.stdout.split())
    assert refused == len(listed)
    assert growth < 64
