"""IMDB and Reuters from small files in the true format, against the steps of Keras' documentation."""

import hashlib
import io
import json
import pickle
import zipfile

import numpy as np
import pytest

from symgraph.datasets import imdb, reuters

TEXTS = [[1, 5, 9], [2], [], [7, 1, 1, 3, 20], [4, 4], [1], [6, 2, 8, 30], [3, 3, 3], [11, 12], [2, 1]]
LABELS = [0, 1, 1, 0, 1, 0, 0, 1, 1, 0]


def lists(texts):
    array = np.empty(len(texts), object)
    for index, text in enumerate(texts):
        array[index] = list(text)
    return array


def write_npz(path, protocol=2, **arrays):
    """An .npz file as numpy wrote it then, with pickles of protocol 2."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            stored = io.BytesIO()
            if array.dtype == object:
                np.lib.format.write_array_header_1_0(stored, np.lib.format.header_data_from_array_1_0(array))
                pickle.dump(array, stored, protocol)
            else:
                np.lib.format.write_array(stored, array, (1, 0))
            archive.writestr(f"{name}.npy", stored.getvalue())
    return str(path)


@pytest.fixture
def imdb_file(tmp_path):
    return write_npz(
        tmp_path / "mine.npz",
        x_train=lists(TEXTS[:6]),
        y_train=np.array(LABELS[:6]),
        x_test=lists(TEXTS[6:]),
        y_test=np.array(LABELS[6:]),
    )


@pytest.fixture
def reuters_file(tmp_path):
    return write_npz(tmp_path / "reuters.npz", protocol=4, x=lists(TEXTS), y=np.array(LABELS))


def shuffled(*parts, seed=113):
    """Each part in the order that one seeded stream of numpy's old generator gives."""
    stream = np.random.RandomState(seed)
    result = []
    for texts, labels in parts:
        order = np.arange(len(texts))
        stream.shuffle(order)
        result.append([(texts[i], labels[i]) for i in order])
    return result


def prepared(pairs, num_words=None, skip_top=0, maxlen=None, start_char=1, oov_char=2, index_from=3):
    """The steps of the documentation, text by text."""
    start = [] if start_char is None else [start_char]
    texts = [(start + [word + (index_from or 0) for word in text], label) for text, label in pairs]
    return [pair for pair in texts if not maxlen or len(pair[0]) < maxlen]


def limited(texts, highest, skip_top=0, oov_char=2):
    inside = [[skip_top <= word < highest for word in text] for text in texts]
    if oov_char is None:
        return [[w for w, ok in zip(t, oks, strict=True) if ok] for t, oks in zip(texts, inside, strict=True)]
    return [
        [w if ok else oov_char for w, ok in zip(t, oks, strict=True)]
        for t, oks in zip(texts, inside, strict=True)
    ]


OPTIONS = [
    {},
    {"num_words": 8},
    {"num_words": 9, "skip_top": 5},
    {"num_words": 8, "oov_char": None},
    {"oov_char": None, "skip_top": 6},
    {"start_char": None, "index_from": 0},
    {"start_char": None},
    {"start_char": 0, "index_from": 1, "oov_char": 99},
    {"maxlen": 4},
    {"maxlen": 3, "num_words": 8},
    {"seed": 5},
]


def expected_of(parts, options):
    options = dict(options)
    done = [prepared(part, **{k: v for k, v in options.items() if k != "seed"}) for part in parts]
    highest = options.get("num_words") or max(word for part in done for text, _ in part for word in text)
    rest = {k: v for k, v in options.items() if k in ("skip_top", "oov_char")}
    return [(limited([t for t, _ in part], highest, **rest), [label for _, label in part]) for part in done]


def check(split, texts, labels):
    x, y = split
    assert x.dtype == object and x.shape == (len(texts),)
    assert x.tolist() == texts
    assert all(type(word) is int for text in x for word in text)
    assert y.tolist() == labels and y.dtype == np.int64


@pytest.mark.parametrize("options", OPTIONS)
def test_imdb(imdb_file, options):
    state = np.random.get_state()[1].tolist()
    train, test = imdb.load_data(imdb_file, **options)
    assert np.random.get_state()[1].tolist() == state
    parts = shuffled((TEXTS[:6], LABELS[:6]), (TEXTS[6:], LABELS[6:]), seed=options.get("seed", 113))
    for split, (texts, labels) in zip((train, test), expected_of(parts, options), strict=True):
        check(split, texts, labels)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("test_split", [0.2, 0.0, 0.55])
def test_reuters(reuters_file, options, test_split):
    train, test = reuters.load_data(reuters_file, test_split=test_split, **options)
    parts = shuffled((TEXTS, LABELS), seed=options.get("seed", 113))
    ((texts, labels),) = expected_of(parts, options)
    cut = int(len(texts) * (1 - test_split))
    check(train, texts[:cut], labels[:cut])
    check(test, texts[cut:], labels[cut:])


def test_texts_of_one_length_stay_lists(tmp_path):
    path = write_npz(tmp_path / "even.npz", x=lists([[1, 2], [3, 4]]), y=np.array([0, 1]))
    (x_train, _), (x_test, _) = reuters.load_data(path, test_split=0.5, start_char=None, index_from=0)
    assert sorted([*x_train, *x_test]) == [[1, 2], [3, 2]]


def test_cached_files_are_found(tmp_path, monkeypatch, imdb_file):
    monkeypatch.setenv("SYMGRAPH_HOME", str(tmp_path))
    folder = tmp_path / "datasets"
    folder.mkdir()
    index = json.dumps({"the": 1, "film": 2, "être": 3}, ensure_ascii=False).encode()
    for module, name in ((imdb, "imdb"), (reuters, "reuters")):
        (folder / f"{name}_word_index.json").write_bytes(index)
        monkeypatch.setattr(module, "_INDEX_MD5", hashlib.md5(index).hexdigest())
        assert module.get_word_index() == {"the": 1, "film": 2, "être": 3}
    content = (tmp_path / "mine.npz").read_bytes()
    (folder / "imdb.npz").write_bytes(content)
    monkeypatch.setattr(imdb, "_MD5", hashlib.md5(content).hexdigest())
    assert len(imdb.load_data()[0][0]) == 6


class Executed:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def bad_lists(*texts):
    array = np.empty(len(texts), object)
    for index, text in enumerate(texts):
        array[index] = text
    return array


SHARED = [1, 2, 3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": np.zeros((3, 2))}, r"got float64 of shape \(3, 2\)"),
        ({"y": np.zeros(3)}, "whole numbers, got object"),
        ({"y": np.zeros(2, int)}, r"int64 of shape \(2,\)"),
        ({"x": bad_lists([1], (2,), [3])}, "expected lists of words in x"),
        ({"x": bad_lists([1], [2.5], [3])}, "expected lists of whole numbers"),
        ({"x": bad_lists([1], ["a"], [3])}, "expected lists of whole numbers"),
        ({"x": bad_lists([1], [1 << 70], [3])}, "expected lists of whole numbers"),
        ({"x": bad_lists(SHARED, SHARED, SHARED)}, "the same list more than once"),
        ({"x": bad_lists([1], [Executed("canary")], [3])}, "only plain data are read"),
        ({"x": np.zeros(3, [("a", int), ("b", object)])}, "pickled objects|records"),
    ],
)
def test_files_with_something_else(tmp_path, monkeypatch, changes, message):
    monkeypatch.chdir(tmp_path)
    arrays = {"x": lists([[1], [2], [3]]), "y": np.array([0, 1, 2]), **changes}
    with pytest.raises(ValueError, match=message):
        reuters.load_data(write_npz(tmp_path / "bad.npz", **arrays))
    assert not (tmp_path / "canary").exists()


def test_headers_that_do_not_fit_their_lists(tmp_path):
    stored = io.BytesIO()
    np.lib.format.write_array(stored, lists([[1], [2]]), (1, 0))
    for wrong in (b"(9,)", b"(2,1)"):
        with zipfile.ZipFile(tmp_path / "bad.npz", "w") as archive:
            archive.writestr("x.npy", stored.getvalue().replace(b"(2,)", wrong))
            archive.writestr("y.npy", b"")
        with pytest.raises(ValueError, match=r"header|damaged"):
            reuters.load_data(str(tmp_path / "bad.npz"))


def test_shortened_files(tmp_path, reuters_file):
    whole = (tmp_path / "reuters.npz").read_bytes()
    for length in range(0, len(whole), 7):
        (tmp_path / "short.npz").write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"short\.npz"):
            reuters.load_data(str(tmp_path / "short.npz"))


def test_arguments_that_cannot_be(reuters_file, imdb_file):
    for module, path in ((imdb, imdb_file), (reuters, reuters_file)):
        with pytest.raises(ValueError, match="shorter than maxlen=1, no sequence was kept"):
            module.load_data(path, maxlen=1)
        with pytest.raises(TypeError, match="Unrecognized keyword arguments"):
            module.load_data(path, words=3)
        with pytest.raises(ValueError, match="`index_from` leads to numbers that do not fit"):
            module.load_data(path, index_from=(1 << 31) - 5)
    with pytest.raises(ValueError, match="`test_split` should be in"):
        reuters.load_data(reuters_file, test_split=1.0)


def test_the_older_name_of_num_words(imdb_file):
    with pytest.warns(UserWarning, match="renamed `num_words`"):
        old = imdb.load_data(imdb_file, nb_words=6)
    assert old[0][0].tolist() == imdb.load_data(imdb_file, num_words=6)[0][0].tolist()


@pytest.mark.parametrize("content", ["[1]", '{"a": "b"}', '{"a": 1', "[" * 100_000, '{"a": true}'])
def test_word_indices_with_something_else(tmp_path, content):
    (tmp_path / "index.json").write_text(content)
    with pytest.raises(ValueError, match=r"index\.json"):
        imdb.get_word_index(str(tmp_path / "index.json"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("num_words", "a"), ("num_words", -5), ("maxlen", "a"), ("seed", -1), ("index_from", "a"),
     ("start_char", 2**40), ("oov_char", "x"), ("skip_top", 1.5)],
)  # fmt: skip
def test_numbers_that_are_none(name, value):
    for data in (imdb, reuters):
        with pytest.raises(ValueError, match=f"`{name}` should be a whole number"):
            data.load_data("nowhere.npz", **{name: value})


def test_numbers_may_be_floats(imdb_file):
    given, expected = (imdb.load_data(imdb_file, num_words=n)[0][0].tolist() for n in (3e1, 30))
    assert given == expected
