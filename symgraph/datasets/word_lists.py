"""What `imdb` and `reuters` share: texts as lists of words' ranks, and indices of words.

The lists of a data set are treated as one long array of words, of 32 bits each.
"""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgraph.utils.npz import read_npz
from symgraph.utils.warn_user import warn_old

_MOST_BYTES = 128 << 20  # IMDB has 30 MB
_MOST_TEXTS = 1_000_000
_MOST_INDEX_BYTES = 64 << 20
_HIGHEST = np.iinfo(np.int32).max


@dataclass(frozen=True, slots=True)
class WordLists:
    """Texts, one after the other.

    Attributes
    ----------
    words : ndarray of int32, shape (all words,)
    lengths : ndarray of int64, shape (texts,)
    labels : ndarray, shape (texts,)
    """

    words: NDArray[np.int32]
    lengths: NDArray[np.int64]
    labels: NDArray

    def texts(self, start: int, stop: int | None = None) -> tuple[NDArray[np.object_], NDArray]:
        """An array of lists for the texts from `start` to `stop`, and their labels."""
        before = int(self.lengths[:start].sum())
        ends = np.cumsum(self.lengths[start:stop]).tolist()
        words = self.words[before : before + (ends[-1] if ends else 0)].tolist()
        lists = np.empty(len(ends), object)
        # Assigned at once, lists of one length would become rows.
        for index, (first, last) in enumerate(zip([0, *ends], ends, strict=False)):
            lists[index] = words[first:last]
        return lists, self.labels[start:stop].copy()


def read_word_lists(path: str, names: Sequence[tuple[str, str]]) -> list[tuple[NDArray[np.object_], NDArray]]:
    """The arrays (lists of words, labels) of these names in an .npz file.

    Raises
    ------
    ValueError
        If the file is damaged, or an array has anything else than lists of whole numbers.
    OSError
        If the file cannot be opened.
    """
    arrays = read_npz(path, list(chain.from_iterable(names)), _MOST_BYTES, most_lists=_MOST_TEXTS)
    parts = []
    for name_x, name_y in names:
        x, y = arrays[name_x], arrays[name_y]
        if x.ndim != 1 or y.shape != x.shape or y.dtype.kind not in "iu":
            raise ValueError(
                f"{path}: expected {name_x} (n,) with lists and {name_y} (n,) with whole numbers, "
                f"got {x.dtype} of shape {x.shape} and {y.dtype} of shape {y.shape}"
            )
        if not all(type(text) is list for text in x):
            raise ValueError(f"{path}: expected lists of words in {name_x}")
        # Many times the same list, long as the file, would be more than memory holds.
        if len({id(text) for text in x}) != len(x):
            raise ValueError(f"{path} is refused: {name_x} has the same list more than once")
        parts.append((x, y))
    return parts


def joined(
    parts: Sequence[tuple[NDArray[np.object_], NDArray]], rng: np.random.RandomState, path: str
) -> WordLists:
    """The texts of all parts, each part in a random order of its own.

    Raises
    ------
    ValueError
        If a word is no whole number.
    """
    texts: list[list[int]] = []
    labels = []
    for x, y in parts:
        order = np.arange(len(x))
        rng.shuffle(order)
        texts += x[order].tolist()
        labels.append(y[order])
    try:
        # Refuses what is no whole number, which numpy would round.
        words = np.frombuffer(b"".join(array("i", text) for text in texts), np.intc)
    except (TypeError, OverflowError) as error:
        raise ValueError(f"{path}: expected lists of whole numbers of 32 bits: {error}") from error
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    return WordLists(words, lengths, np.concatenate(labels))


def marked(lists: WordLists, start_char: int | None, index_from: int | None) -> WordLists:
    """With `index_from` added to every word, and `start_char`, unless it is None, before every text.

    Raises
    ------
    ValueError
        If a sum does not fit 32 bits.
    """
    shift = index_from or 0
    highest = int(lists.words.max(initial=0)) + shift
    if highest > _HIGHEST or shift < -_HIGHEST:
        raise ValueError(f"`index_from` leads to numbers that do not fit 32 bits: {highest}")
    words = lists.words + np.int32(shift)
    if start_char is None:
        return WordLists(words, lists.lengths, lists.labels)
    lengths = lists.lengths + 1
    is_word = np.ones(int(lengths.sum()), bool)
    is_word[np.cumsum(lengths) - lengths] = False
    both = np.full(is_word.shape, start_char, np.int32)
    both[is_word] = words
    return WordLists(both, lengths, lists.labels)


def shorter_than(lists: WordLists, maxlen: int) -> tuple[WordLists, NDArray[np.bool_]]:
    """The texts of less than `maxlen` words, and which ones of all these are.

    Raises
    ------
    ValueError
        If there are none.
    """
    kept = lists.lengths < maxlen
    if not kept.any():
        raise ValueError(
            f"After filtering for sequences shorter than maxlen={maxlen}, no sequence was kept. "
            "Increase maxlen."
        )
    words = lists.words[np.repeat(kept, lists.lengths)]
    return WordLists(words, lists.lengths[kept], lists.labels[kept]), kept


def limited(lists: WordLists, num_words: int | None, skip_top: int, oov_char: int | None) -> WordLists:
    """With words outside of [skip_top, num_words) replaced by `oov_char`, or left out where that is None.

    Without `num_words` it is the highest number of all, which so counts as outside; as in Keras.
    """
    highest = num_words or int(lists.words.max(initial=0))
    used = (lists.words >= skip_top) & (lists.words < highest)
    if oov_char is not None:
        return WordLists(np.where(used, lists.words, np.int32(oov_char)), lists.lengths, lists.labels)
    before = np.concatenate([[0], np.cumsum(used)])
    ends = np.cumsum(lists.lengths)
    lengths = before[ends] - before[ends - lists.lengths]
    return WordLists(lists.words[used], lengths, lists.labels)


def check_numbers(**arguments: int | None) -> None:
    """ValueError unless each argument is None or a whole number of 32 bits; it is named.

    `num_words`, `skip_top`, `maxlen` and `seed` must not be negative.
    """
    for name, value in arguments.items():
        least = 0 if name in ("num_words", "skip_top", "maxlen", "seed") else -_HIGHEST
        most = 2 * _HIGHEST + 1 if name == "seed" else _HIGHEST
        # As in Keras 1e4 will do, but for a seed.
        kind = Integral if name == "seed" else Real
        if value is not None and (not isinstance(value, kind) or value % 1 or not least <= value <= most):
            raise ValueError(f"`{name}` should be a whole number from {least} to {most}, got {value!r}")


def renamed_argument(num_words: int | None, kwargs: dict[str, Any]) -> int | None:
    """`num_words`, or what Keras 1 called `nb_words`. TypeError for any other argument."""
    if "nb_words" in kwargs:
        warn_old("The `nb_words` argument in `load_data` has been renamed `num_words`.")
        num_words = kwargs.pop("nb_words")
    if kwargs:
        raise TypeError(f"Unrecognized keyword arguments: {kwargs}")
    return num_words


def read_word_index(path: str) -> dict[str, int]:
    """A JSON file of words and their ranks.

    Raises
    ------
    ValueError
        If the file is anything else.
    OSError
        If it cannot be opened.
    """
    if os.path.getsize(path) > _MOST_INDEX_BYTES:
        raise ValueError(f"{path} is refused: it has more than {_MOST_INDEX_BYTES} bytes")
    with open(path, encoding="utf-8") as file:
        try:
            index = json.load(file)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} is no JSON file, or a damaged one: {error}") from error
    if not isinstance(index, dict) or not all(type(rank) is int for rank in index.values()):
        raise ValueError(f"{path}: expected a JSON object of words and whole numbers")
    return index
