"""CIFAR and Fashion-MNIST from small files in the true format."""

import gzip
import hashlib
import io
import pickle
import struct
import tarfile

import numpy as np
import pytest

from symgraph import backend as K
from symgraph.datasets import cifar, cifar10, cifar100, fashion_mnist

RANDOM = np.random.default_rng(4)


def short(text):
    return b"U" + bytes([len(text)]) + text


def numbers(values):
    return b"](" + b"".join(b"K" + bytes([value]) for value in values) + b"e"


def python_2_pickle(data, **labels):
    """What cPickle of Python 2 wrote for a batch, protocol 2; texts and bytes are the same to it."""
    rows, columns = (b"M" + struct.pack("<H", size) for size in data.shape)
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x04cnumpy\nndarray\nq\x05K\x00\x85U\x01b\x87Rq\x06"
        b"(K\x01" + rows + columns + b"\x86cnumpy\ndtype\nq\x07U\x02u1K\x00K\x01\x87Rq\x08"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        b"T" + struct.pack("<i", data.nbytes) + data.tobytes() + b"tb"
    )
    entries = short(b"batch_label") + b"q\x02" + short(b"batch 1 of 5") + b"q\x03"
    entries += b"".join(short(name.encode()) + numbers(values) for name, values in labels.items())
    return b"\x80\x02}q\x01(" + entries + short(b"data") + array + b"u."


def batch(rows, key="labels", classes=10, **more):
    data = RANDOM.integers(0, 256, (rows, 3072), dtype=np.uint8)
    labels = RANDOM.integers(0, classes, rows).tolist()
    return data, labels, python_2_pickle(data, **{key: labels, **more})


def test_the_format_is_that_of_python_2():
    data, labels, pickled = batch(3)
    read = pickle.loads(pickled, encoding="bytes")
    np.testing.assert_array_equal(read[b"data"], data)
    assert read[b"labels"] == labels
    assert read[b"batch_label"] == b"batch 1 of 5"


@pytest.fixture
def cifar_10(tmp_path):
    """A folder as the archive has it, and what is in it."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    made = {}
    for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]:
        data, labels, pickled = batch(3 + len(made))
        (folder / name).write_bytes(pickled)
        made[name] = data, labels
    return folder, made


@pytest.fixture(params=["channels_last", "channels_first"])
def layout(request):
    before = K.image_data_format()
    K.set_image_data_format(request.param)
    yield request.param
    K.set_image_data_format(before)


def pictures(data, layout):
    planes = data.reshape(-1, 3, 32, 32)
    return planes if layout == "channels_first" else np.moveaxis(planes, 1, 3)


def test_cifar_10(cifar_10, layout):
    folder, made = cifar_10
    (x_train, y_train), (x_test, y_test) = cifar10.load_data(str(folder))
    train = [made[f"data_batch_{number}"] for number in range(1, 6)]
    np.testing.assert_array_equal(x_train, pictures(np.concatenate([data for data, _ in train]), layout))
    np.testing.assert_array_equal(x_test, pictures(made["test_batch"][0], layout))
    assert y_train[:, 0].tolist() == [label for _, labels in train for label in labels]
    assert y_test.tolist() == [[label] for label in made["test_batch"][1]]
    assert [a.dtype for a in (x_train, x_test, y_train, y_test)] == [np.uint8, np.uint8, np.uint8, np.int64]
    assert x_train.flags.c_contiguous and x_train.flags.writeable


@pytest.mark.parametrize(("mode", "classes"), [("fine", 100), ("coarse", 20)])
def test_cifar_100(tmp_path, mode, classes):
    made = []
    for name in ("train", "test"):
        more = {"fine_labels": [99] * 4, "coarse_labels": [19] * 4}
        data, labels, pickled = batch(4, f"{mode}_labels", classes, **{
            key: value for key, value in more.items() if not key.startswith(mode)
        })  # fmt: skip
        (tmp_path / name).write_bytes(pickled)
        made.append((data, labels))
    for (x, y), (data, labels) in zip(cifar100.load_data(mode, path=str(tmp_path)), made, strict=True):
        np.testing.assert_array_equal(x, pictures(data, "channels_last"))
        assert y.tolist() == [[label] for label in labels]
    with pytest.raises(ValueError, match='`label_mode` must be one of `"fine"`, `"coarse"`'):
        cifar100.load_data("both")


def test_the_archive_in_the_cache_is_unpacked(tmp_path, monkeypatch, cifar_10):
    folder, _ = cifar_10
    monkeypatch.setenv("SYMGRAPH_HOME", str(tmp_path / "home"))
    cached = tmp_path / "home" / "datasets" / "cifar-10-batches-py.tar.gz"
    cached.parent.mkdir(parents=True)
    with tarfile.open(cached, "w:gz") as tar:
        tar.add(folder, folder.name)
    monkeypatch.setattr(cifar10, "_MD5", hashlib.md5(cached.read_bytes()).hexdigest())
    for _ in range(2):
        assert cifar10.load_data()[0][0].shape == (3 + 4 + 5 + 6 + 7, 32, 32, 3)


def replaced(pickled, old, new):
    assert old in pickled
    return pickled.replace(old, new)


_, _, SOUND = batch(3)
SHAPE = b"M\x03\x00M\x00\x0c\x86"


@pytest.mark.parametrize(
    ("pickled", "message"),
    [
        (pickle.dumps([1, 2]), "has no data"),
        (python_2_pickle(np.zeros((3, 3072), np.uint8)), "has no labels"),
        (python_2_pickle(np.zeros((3, 3071), np.uint8), labels=[1, 2, 3]), "expected data, uint8"),
        (python_2_pickle(np.zeros((3, 3072), np.uint8), labels=[1, 2]), "a list of n labels"),
        (python_2_pickle(np.zeros((3, 3072), np.uint8), labels=[1, 2, 10]), r"expected labels in \[0, 10\)"),
        (
            pickle.dumps({"data": np.zeros((1, 3072), np.uint8), "labels": [0.5]}, 2),
            "whole numbers in labels",
        ),
        (pickle.dumps({"data": np.zeros((1, 3072)), "labels": [0]}, 2), "expected data, uint8"),
        # Shape bombs: more rows than there are bytes.
        (replaced(SOUND, SHAPE, b"M\xff\xffM\xff\xff\x86"), "does not fit"),
        (
            replaced(SOUND, SHAPE, b"\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x7fK\x01\x86"),
            "does not fit",
        ),
        (replaced(SOUND, b"cnumpy.core.multiarray\n_reconstruct", b"cos\nsystem"), "names os.system"),
        (replaced(SOUND, b"cnumpy\nndarray", b"cbuiltins\nexec"), "names builtins.exec"),
    ],
)
def test_batches_with_something_else(tmp_path, pickled, message):
    for number in range(1, 6):
        (tmp_path / f"data_batch_{number}").write_bytes(pickled)
    with pytest.raises(ValueError, match=message):
        cifar10.load_data(str(tmp_path))


def test_shortened_batches(tmp_path):
    path = tmp_path / "batch"
    for length in range(0, len(SOUND), 97):
        path.write_bytes(SOUND[:length])
        with pytest.raises(ValueError, match="damaged pickle"):
            cifar.load_batch(path)
    path.write_bytes(SOUND)
    data, labels = cifar.load_batch(path)
    assert data.shape == (3, 3, 32, 32) and len(labels) == 3


def idx(array, kind=8):
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, kind, array.ndim]) + sizes + array.tobytes()


FASHION = {
    "train-images-idx3-ubyte.gz": RANDOM.integers(0, 256, (5, 28, 28), dtype=np.uint8),
    "train-labels-idx1-ubyte.gz": np.array([9, 0, 3, 3, 1], np.uint8),
    "t10k-images-idx3-ubyte.gz": RANDOM.integers(0, 256, (2, 28, 28), dtype=np.uint8),
    "t10k-labels-idx1-ubyte.gz": np.array([7, 2], np.uint8),
}


@pytest.fixture
def fashion(tmp_path):
    for name, array in FASHION.items():
        (tmp_path / name).write_bytes(gzip.compress(idx(array)))
    return tmp_path


def check_fashion(found):
    for array, name in zip([*found[0], *found[1]], FASHION, strict=True):
        np.testing.assert_array_equal(array, FASHION[name])
        assert array.dtype == np.uint8 and array.flags.writeable


def test_fashion_mnist(fashion):
    check_fashion(fashion_mnist.load_data(str(fashion)))


def test_fashion_mnist_in_the_cache(fashion, tmp_path, monkeypatch):
    monkeypatch.setenv("SYMGRAPH_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "datasets" / "fashion-mnist"
    folder.mkdir(parents=True)
    for name in FASHION:
        content = (fashion / name).read_bytes()
        (folder / name).write_bytes(content)
        monkeypatch.setitem(fashion_mnist._MD5, name, hashlib.md5(content).hexdigest())
    check_fashion(fashion_mnist.load_data())


X = FASHION["train-images-idx3-ubyte.gz"]


def zipped(content):
    """Without the time, so that every process collects tests of the same names."""
    return gzip.compress(content, mtime=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no gzip file", "no gzip file"),
        (zipped(b""), "no idx file"),
        (zipped(idx(X)[:10]), "no idx file"),
        (zipped(idx(X, kind=9)), "no idx file of unsigned bytes"),
        (zipped(idx(X[0])), "with 3 axes"),
        (zipped(idx(X)[:-1]), "does not fit its size"),
        (zipped(idx(X) + b"x"), "does not fit its size"),
        (zipped(idx(X)[:4] + b"\xff" * 12), "more than"),
        (zipped(idx(X)[:4] + b"\x00\x00\xff\xff" + idx(X)[8:]), "does not fit its size"),
        (zipped(idx(X[:4])), r"expected pictures \(n, 28, 28\)"),
        (zipped(idx(X[:, :5])), r"got shape \(5, 5, 28\)"),
        (zipped(idx(X))[:-9], "no gzip file, or a damaged one"),
        (zipped(idx(X))[:-8] + b"12345678", "no gzip file, or a damaged one"),
    ],
)
def test_files_that_are_not_fashion_mnist(fashion, content, message):
    (fashion / "train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        fashion_mnist.load_data(str(fashion))


def test_a_file_that_unpacks_to_too_much_takes_no_memory(fashion):
    """The bytes beyond what the header says are not unpacked."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as stream:
        stream.write(idx(X))
        stream.write(bytes(64 << 20))
    (fashion / "train-images-idx3-ubyte.gz").write_bytes(packed.getvalue())
    import tracemalloc

    tracemalloc.start()
    with pytest.raises(ValueError, match="does not fit"):
        fashion_mnist.load_data(str(fashion))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20
