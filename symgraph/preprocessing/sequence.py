"""Sequences: padding to one length, skip-grams, and `TimeseriesGenerator`, windows of a time series."""

from __future__ import annotations

import operator
import random
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from symgraph.preprocessing.time_series import TimeseriesGenerator, timeseries_generator_from_json

__all__ = [
    "TimeseriesGenerator",
    "make_sampling_table",
    "pad_sequences",
    "skipgrams",
    "timeseries_generator_from_json",
]

_GAMMA = 0.577  # Euler's constant, as Keras rounds it
_SEEDS = 10_000_000  # seeds that are drawn lie in 0 ... this


def pad_sequences(
    sequences: Any,
    maxlen: int | None = None,
    dtype: DTypeLike = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> NDArray:
    """Sequences of different lengths as one array.

    Parameters
    ----------
    sequences : list of sequences
        Each a list or an array; of arrays with further axes, these have to agree.
    maxlen : int, optional
        Length of all rows; by default that of the longest sequence.
    dtype : dtype
        Of the result. `object` holds texts of any length.
    padding, truncating : {'pre', 'post'}
        Where short sequences are filled up, and where long ones are cut.
    value : float or str
        What fills short sequences up.

    Returns
    -------
    ndarray, shape (len(sequences), maxlen, ...)

    Raises
    ------
    ValueError
        If `sequences` is no list of sequences, their shapes differ, a value does not fit `dtype`, or another
        argument is none of the above.
    """
    lengths = _lengths(sequences)
    if truncating not in ("pre", "post"):
        raise ValueError(f'Truncating type "{truncating}" not understood')
    if padding not in ("pre", "post"):
        raise ValueError(f'Padding type "{padding}" not understood')
    if maxlen is not None and (not hasattr(maxlen, "__index__") or maxlen < 0):
        raise ValueError(f"`maxlen` should be a whole number, not negative, or None, got {maxlen!r}")
    length = max(lengths, default=0) if maxlen is None else operator.index(maxlen)
    kind = np.dtype(dtype)
    if isinstance(value, str) and kind.kind not in "OU":
        raise ValueError(
            f"`dtype` {dtype} is not compatible with `value`'s type: {type(value)}\n"
            "You should set `dtype=object` for variable length strings."
        )
    if kind.kind in "US" and not kind.itemsize:
        # As wide as the longest text: numpy would cut all of them to one character.
        kind = np.result_type(np.asarray(value, kind), *(np.asarray(s, kind) for s in sequences if len(s)))
    shape = next((np.asarray(s).shape[1:] for s in sequences if len(s)), ())
    try:
        padded = np.full((len(lengths), length, *shape), value, kind)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"`value` {value!r} does not fit `dtype` {dtype}: {error}") from error
    for index, (sequence, whole) in enumerate(zip(sequences, lengths, strict=True)):
        kept = min(whole, length)
        if not kept:
            continue
        row = _as_row(sequence[whole - kept :] if truncating == "pre" else sequence[:kept], kind, index)
        if row.shape[1:] != shape:
            raise ValueError(
                f"Shape of sample {row.shape[1:]} of sequence at position {index} is different from "
                f"expected shape {shape}"
            )
        start = length - kept if padding == "pre" else 0
        padded[index, start : start + kept] = row
    return padded


def _lengths(sequences: Any) -> list[int]:
    if not hasattr(sequences, "__len__"):
        raise ValueError("`sequences` must be iterable.")
    for x in sequences:
        if not hasattr(x, "__len__"):
            raise ValueError(f"`sequences` must be a list of iterables. Found non-iterable: {x}")
    return [len(x) for x in sequences]


def _as_row(sequence: Any, dtype: np.dtype, index: int) -> NDArray:
    try:
        return np.asarray(sequence, dtype)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"Sequence at position {index} does not fit `dtype` {dtype}: {error}") from error


def make_sampling_table(size: int, sampling_factor: float = 1e-5) -> NDArray[np.float64]:
    """Probabilities to keep words, by rank, so that frequent words do not rule `skipgrams`.

    From word2vec (Mikolov et al. 2013, "Distributed representations of words and phrases", section 2.3), with
    word frequencies after Zipf's law: 1 / (rank (ln rank + 0.577) + 1/2 - 1 / (12 rank)).

    Parameters
    ----------
    size : int
        Words.
    sampling_factor : float

    Returns
    -------
    ndarray of float64, shape (size,)
        Entry i is for the word of rank i; entry 0, no word, is that of rank 1.

    Raises
    ------
    ValueError
        If `sampling_factor` is negative.
    """
    if sampling_factor < 0:
        raise ValueError(f"`sampling_factor` should not be negative, got {sampling_factor}")
    rank = np.arange(size)
    rank[:1] = 1
    inverse_frequency = rank * (np.log(rank) + _GAMMA) + 0.5 - 1.0 / (12.0 * rank)
    ratio = sampling_factor * inverse_frequency
    return np.minimum(1.0, ratio / np.sqrt(ratio))


def skipgrams(
    sequence: Sequence[int],
    vocabulary_size: int,
    window_size: int = 4,
    negative_samples: float = 1.0,
    shuffle: bool = True,
    categorical: bool = False,
    sampling_table: ArrayLike | None = None,
    seed: int | None = None,
) -> tuple[list[list[int]], list[Any]]:
    """Pairs of a word and a word near it (label 1), and of a word and a random one (label 0).

    After Mikolov et al. 2013, "Efficient estimation of word representations in vector space".

    Parameters
    ----------
    sequence : sequence of int
        Words as numbers. 0 is no word and is left out.
    vocabulary_size : int
        Largest possible number + 1. Random words are drawn from 1 ... vocabulary_size - 1.
    window_size : int
        Words on either side that count as near.
    negative_samples : float
        Random pairs for each true pair.
    shuffle : bool
        Whether pairs are put in a random order.
    categorical : bool
        Labels [0, 1] and [1, 0] instead of 1 and 0.
    sampling_table : array, shape (vocabulary_size,), optional
        The probability to use a word as a centre, for instance from `make_sampling_table`.
    seed : int, optional
        All that is random comes from it. None: from Python's `random`, which can be seeded itself.

    Returns
    -------
    (list of [word, word], list of labels)

    Raises
    ------
    ValueError
        If random words are requested, and `vocabulary_size` is less than 2; or `sampling_table` is too short.
    """
    if sampling_table is not None:
        entries, highest = np.size(sampling_table), max((word for word in sequence if word), default=0)
        if entries <= highest:
            raise ValueError(
                f"`sampling_table` should have an entry for each word up to {highest}, got {entries}"
            )
    # The draws come in the order of Keras'.
    draw: Any = random if seed is None else random.Random(seed)
    couples = _near_pairs(sequence, window_size, sampling_table, draw)
    negatives = int(len(couples) * negative_samples) if negative_samples > 0 else 0
    if negatives and vocabulary_size < 2:
        raise ValueError(f"`vocabulary_size` should be at least 2 for random words, got {vocabulary_size}")
    near, random_pair = ([0, 1], [1, 0]) if categorical else (1, 0)
    labels: list[Any] = [near] * len(couples) + [random_pair] * negatives
    if negative_samples > 0:
        words = [pair[0] for pair in couples]
        draw.shuffle(words)
        couples += [[words[i % len(words)], draw.randint(1, vocabulary_size - 1)] for i in range(negatives)]
    if shuffle:
        of_order = draw.randint(0, _SEEDS) if seed is None else seed
        random.Random(of_order).shuffle(couples)
        random.Random(of_order).shuffle(labels)
    return couples, labels


def _near_pairs(sequence: Sequence[int], window: int, table: Any, draw: Any) -> list[list[int]]:
    couples: list[list[int]] = []
    for i, word in enumerate(sequence):
        if not word or (table is not None and table[word] < draw.random()):
            continue
        first = max(0, i - window)
        near = sequence[first : i + window + 1]
        couples += [[word, other] for j, other in enumerate(near, first) if j != i and other]
    return couples


def _remove_long_seq(maxlen: int, seq: Iterable[Any], label: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    """The sequences that are shorter than `maxlen` (not as long), and their labels."""
    kept = [(x, y) for x, y in zip(seq, label, strict=False) if len(x) < maxlen]
    return [x for x, _ in kept], [y for _, y in kept]
