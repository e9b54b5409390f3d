"""Sequences: examples of Keras' documentation, values of keras_preprocessing 1.0.5, and definitions."""

import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symgraph.preprocessing.sequence import (
    TimeseriesGenerator,
    _remove_long_seq,
    make_sampling_table,
    pad_sequences,
    skipgrams,
    timeseries_generator_from_json,
)
from symgraph.utils import Sequence

SEQUENCES = [[1], [2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [[0, 0, 1], [0, 2, 3], [4, 5, 6]]),
        ({"padding": "post"}, [[1, 0, 0], [2, 3, 0], [4, 5, 6]]),
        ({"maxlen": 2}, [[0, 1], [2, 3], [5, 6]]),
        ({"maxlen": 2, "truncating": "post"}, [[0, 1], [2, 3], [4, 5]]),
        ({"maxlen": 4, "value": 9}, [[9, 9, 9, 1], [9, 9, 2, 3], [9, 4, 5, 6]]),
        ({"maxlen": 0}, [[], [], []]),
    ],
)
def test_pad_sequences(options, expected):
    padded = pad_sequences(SEQUENCES, **options)
    assert padded.dtype == np.int32
    assert padded.tolist() == expected


@given(
    st.lists(st.lists(st.integers(-99, 99), max_size=6), max_size=5),
    st.one_of(st.none(), st.integers(0, 8)),
    st.sampled_from(["pre", "post"]),
    st.sampled_from(["pre", "post"]),
)
def test_pad_sequences_by_its_definition(sequences, maxlen, padding, truncating):
    padded = pad_sequences(sequences, maxlen, "int64", padding, truncating, 7)
    length = max(map(len, sequences), default=0) if maxlen is None else maxlen
    assert padded.shape == (len(sequences), length)
    for row, given_row in zip(padded.tolist(), sequences, strict=True):
        over = max(len(given_row) - length, 0)
        kept = given_row[over:] if truncating == "pre" else given_row[: len(given_row) - over]
        fill = [7] * (length - len(kept))
        assert row == (fill + kept if padding == "pre" else kept + fill)


def test_pad_sequences_of_rows_and_texts():
    rows = pad_sequences([np.ones((2, 3)), [], np.zeros((1, 3))], dtype="float64", value=-1.0)
    assert rows.tolist() == [[[1] * 3, [1] * 3], [[-1] * 3, [-1] * 3], [[-1] * 3, [0] * 3]]
    texts = pad_sequences([["a"], ["much", "longer"]], dtype=object, value="none")
    assert texts.tolist() == [["none", "a"], ["much", "longer"]]


@pytest.mark.parametrize(
    ("sequences", "options", "message"),
    [
        (iter([[1]]), {}, "must be iterable"),
        ([[1], 2], {}, "Found non-iterable: 2"),
        ([[1]], {"padding": "both"}, 'Padding type "both" not understood'),
        ([[1]], {"truncating": "both"}, 'Truncating type "both" not understood'),
        ([[1]], {"maxlen": -1}, "`maxlen` should be a whole number, not negative"),
        ([[1]], {"value": "x"}, "You should set `dtype=object`"),
        ([[1], [[2, 3]]], {}, r"\(2,\) of sequence at position 1 is different from expected shape \(\)"),
        ([[1], [1 << 40]], {}, "position 1 does not fit"),
        ([[1], ["a"]], {}, "position 1 does not fit"),
    ],
)
def test_pad_sequences_refuses(sequences, options, message):
    with pytest.raises(ValueError, match=message):
        pad_sequences(sequences, **options)


def test_sampling_table():
    table = make_sampling_table(1000, sampling_factor=1e-3)
    assert table[0] == table[1]
    for rank in (1, 2, 10, 100, 999):
        # word2vec keeps a word of frequency f with probability sqrt(t / f).
        frequency = 1 / (rank * (np.log(rank) + 0.577) + 0.5 - 1 / (12 * rank))
        assert table[rank] == pytest.approx(min(1, np.sqrt(1e-3 / frequency)), rel=1e-12)
    assert make_sampling_table(0).shape == (0,)


def test_skipgrams_draw_as_keras_does():
    random.seed(3)
    assert skipgrams([1, 2, 3, 0, 4], 6, window_size=1, negative_samples=0.5) == (
        [[2, 1], [3, 3], [1, 2], [1, 5], [2, 3], [3, 2]],
        [1, 0, 1, 0, 1, 1],
    )
    random.seed(3)
    couples, labels = skipgrams(
        [1, 2, 3, 0, 4], 6, window_size=2, categorical=True, sampling_table=[1, 1, 0.5, 0.5, 0.5, 0.5]
    )
    assert couples == [[1, 3], [3, 1], [1, 2], [3, 5], [3, 3], [1, 4], [3, 2], [3, 4], [3, 2], [1, 2]]
    assert labels == [[0, 1]] * 3 + [[1, 0]] * 4 + [[0, 1]] * 2 + [[1, 0]]
    assert skipgrams([1, 2, 3], 6, window_size=1, negative_samples=0, seed=5)[0] == [
        [1, 2],
        [2, 1],
        [3, 2],
        [2, 3],
    ]


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 4), st.booleans(), st.integers(0, 99))
def test_skipgrams_by_their_definition(sequence, window, shuffle, seed):
    before = random.getstate()
    couples, labels = skipgrams(sequence, 10, window, 2.0, shuffle, seed=seed)
    assert random.getstate() == before
    assert skipgrams(sequence, 10, window, 2.0, shuffle, seed=seed) == (couples, labels)
    near = [
        [a, b]
        for i, a in enumerate(sequence)
        for j, b in enumerate(sequence)
        if i != j and abs(i - j) <= window and a and b
    ]
    assert sorted(c for c, label in zip(couples, labels, strict=True) if label == 1) == sorted(near)
    drawn = [c for c, label in zip(couples, labels, strict=True) if label == 0]
    assert len(drawn) == 2 * len(near)
    assert sorted(word for word, _ in drawn) == sorted([word for word, _ in near] * 2)
    assert all(1 <= other <= 9 for _, other in drawn)


def test_skipgrams_of_no_vocabulary():
    with pytest.raises(ValueError, match="`vocabulary_size` should be at least 2"):
        skipgrams([1, 1], 1)


def test_long_sequences_are_removed():
    assert _remove_long_seq(3, [[1], [1, 2, 3], [1, 2]], [0, 1, 2]) == ([[1], [1, 2]], [0, 2])


DATA = np.array([[i] for i in range(50)])


def test_time_series_example_of_the_documentation():
    generator = TimeseriesGenerator(DATA, DATA, length=10, sampling_rate=2, batch_size=2)
    assert isinstance(generator, Sequence)
    assert len(generator) == 20
    x, y = generator[0]
    np.testing.assert_array_equal(x, [[[0], [2], [4], [6], [8]], [[1], [3], [5], [7], [9]]])
    np.testing.assert_array_equal(y, [[10], [11]])
    assert x.dtype == y.dtype == np.float64


@given(
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(1, 5),
    st.integers(0, 4),
    st.integers(12, 29),
    st.booleans(),
    st.integers(1, 9),
)
def test_time_series_by_its_definition(length, rate, stride, start, end, reverse, size):
    data, targets = list(range(30)), np.arange(30) * 10
    generator = TimeseriesGenerator(data, targets, length, rate, stride, start, end, False, reverse, size)
    expected = []
    for step in range(start + length, end + 1, stride):
        window = [i for i in range(step - length, step) if (i - step + length) % rate == 0]
        expected.append((window[::-1] if reverse else window, 10 * step))
    batches = list(generator)
    assert [len(x) for x, _ in batches] == [
        min(size, len(expected) - first) for first in range(0, len(expected), size)
    ]
    assert [tuple(pair) for x, y in batches for pair in zip(x.tolist(), y.tolist(), strict=True)] == expected


def test_time_series_drawn_at_random():
    generator = TimeseriesGenerator(DATA, DATA, 3, start_index=5, end_index=20, shuffle=True, batch_size=400)
    x, y = generator[0]
    assert x.shape == (400, 3, 1)
    np.testing.assert_array_equal(x[:, :, 0] + [3, 2, 1], y.repeat(3, axis=1))
    assert sorted(set(y[:, 0].tolist())) == list(range(8, 21))


def test_time_series_of_a_file(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "series.h5", "w") as file:
        file["x"] = DATA
        of_file = TimeseriesGenerator(file["x"], file["x"], 10, sampling_rate=3, batch_size=7)
        for ours, theirs in zip(of_file, TimeseriesGenerator(DATA, DATA, 10, 3, batch_size=7), strict=True):
            np.testing.assert_array_equal(ours[0], theirs[0])
            np.testing.assert_array_equal(ours[1], theirs[1])


def test_time_series_as_json():
    generator = TimeseriesGenerator(DATA, DATA * 2, 4, stride=2, start_index=3, reverse=True, batch_size=5)
    text = generator.to_json(indent=1)
    assert json.loads(text)["class_name"] == "TimeseriesGenerator"
    again = timeseries_generator_from_json(text)
    assert again.get_config() == generator.get_config()
    for ours, theirs in zip(again, generator, strict=True):
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])
    for wrong in ("{", "[]", '{"config": {"data": "[1]"}}', '{"config": {"data": "[1]", "targets": "[1]"}}'):
        with pytest.raises(ValueError, match=r"JSON|Expecting"):
            timeseries_generator_from_json(wrong)
    with pytest.raises(TypeError, match="Data not JSON Serializable"):
        TimeseriesGenerator([object()] * 3, [1, 2, 3], 1).to_json()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"targets": DATA[:-1]}, "same length. Data length is 50 while target length is 49"),
        ({"length": 50}, r"start_index\+length=50 > end_index=49"),
        ({"length": 0}, "`length` should be a whole number of at least 1"),
        ({"sampling_rate": 0}, "`sampling_rate` should be a whole number of at least 1"),
        ({"stride": 0}, "`stride` should be a whole number of at least 1"),
        ({"batch_size": 0}, "`batch_size` should be a whole number of at least 1"),
        ({"start_index": -1}, "`start_index` should be a whole number of at least 0"),
        ({"end_index": 50}, "`end_index` should be less than 50"),
    ],
)
def test_time_series_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        TimeseriesGenerator(**{"data": DATA, "targets": DATA, "length": 3, **options})


def test_time_series_has_no_batch_beyond_the_last():
    generator = TimeseriesGenerator(DATA, DATA, 3, batch_size=10)
    for index in (-1, len(generator)):
        with pytest.raises(IndexError, match="of 5 batches"):
            generator[index]
