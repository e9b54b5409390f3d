"""Reuters: 11,228 newswires as lists of words, with one of 46 topics."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgraph.datasets.cached import dataset_path, training_size
from symgraph.datasets.word_lists import (
    check_numbers,
    joined,
    limited,
    marked,
    read_word_index,
    read_word_lists,
    renamed_argument,
    shorter_than,
)

_ORIGIN = "https://s3.amazonaws.com/text-datasets/reuters.npz"
_MD5 = "87aedbeb0cb229e378797a632c1997b6"
_INDEX_ORIGIN = "https://s3.amazonaws.com/text-datasets/reuters_word_index.json"
_INDEX_MD5 = "4d44cc38712099c9e383dc6e5f11a921"

Split = tuple[NDArray, NDArray]


def load_data(
    path: str = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int | None = 3,
    **kwargs: Any,
) -> tuple[Split, Split]:
    """Load the newswires, from the cache where the file is there.

    Parameters
    ----------
    path, num_words, skip_top, maxlen, seed, start_char, oov_char, index_from, **kwargs
        As `imdb.load_data` takes them, `nb_words` too.
    test_split : float
        The share of the newswires that are for testing, in [0, 1).

    Returns
    -------
    ((x_train, y_train), (x_test, y_test))
        Arrays of lists of int; labels 0 to 45, integers of the same shape.

    Raises
    ------
    OSError
        If the file cannot be downloaded or opened.
    ValueError
        If the file is damaged, `test_split` is out of range, or no newswire is as short as `maxlen` asks for.
    """
    num_words = renamed_argument(num_words, kwargs)
    check_numbers(
        num_words=num_words, skip_top=skip_top, maxlen=maxlen, seed=seed, start_char=start_char,
        oov_char=oov_char, index_from=index_from,
    )  # fmt: skip
    training_size(0, test_split)
    named = dataset_path(path, _ORIGIN, _MD5)
    parts = read_word_lists(named, (("x", "y"),))
    lists = marked(joined(parts, np.random.RandomState(seed), named), start_char, index_from)
    if maxlen:
        lists, _ = shorter_than(lists, maxlen)
    lists = limited(lists, num_words, skip_top or 0, oov_char)
    training = training_size(len(lists.lengths), test_split)
    return lists.texts(0, training), lists.texts(training)


def get_word_index(path: str = "reuters_word_index.json") -> dict[str, int]:
    """The ranks of the words, as `imdb.get_word_index` gives them."""
    return read_word_index(dataset_path(path, _INDEX_ORIGIN, _INDEX_MD5))
