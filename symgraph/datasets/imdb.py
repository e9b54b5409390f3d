"""IMDB: 50,000 film reviews as lists of words, with their sentiment (Maas et al. 2011)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgraph.datasets.cached import dataset_path
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

_ORIGIN = "https://s3.amazonaws.com/text-datasets/imdb.npz"
_MD5 = "599dadb1135973df5b59232a0e9a887c"
_INDEX_ORIGIN = "https://s3.amazonaws.com/text-datasets/imdb_word_index.json"
_INDEX_MD5 = "bfafd718b763782e994055a2d397834f"

Split = tuple[NDArray, NDArray]


def load_data(
    path: str = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int | None = 3,
    **kwargs: Any,
) -> tuple[Split, Split]:
    """Load the reviews, from the cache where the file is there.

    Words are numbers: the rank by frequency plus `index_from`. 0 is for padding.

    Parameters
    ----------
    path : str
        As `mnist.load_data` takes it.
    num_words : int, optional
        Only words with smaller numbers are kept. By default this is the highest number.
    skip_top : int
        Only words from this number on are kept.
    maxlen : int, optional
        Only reviews of fewer words are kept.
    seed : int
        Of the order; the numbers of `numpy.random` are left alone.
    start_char : int, optional
        What begins each review; None for nothing.
    oov_char : int, optional
        What stands for words that are not kept; None leaves them out.
    index_from : int
        Added to ranks, which begin with 1.
    **kwargs
        `nb_words`, the older name of `num_words`.

    Returns
    -------
    ((x_train, y_train), (x_test, y_test))
        Arrays of lists of int, shape (25000,) each; labels, integers of the same shape, 0 (negative) or 1
        (positive).

    Raises
    ------
    OSError
        If the file cannot be downloaded or opened.
    ValueError
        If a number is none, the file is damaged, or no review is as short as `maxlen` asks for.
    """
    num_words = renamed_argument(num_words, kwargs)
    check_numbers(
        num_words=num_words, skip_top=skip_top, maxlen=maxlen, seed=seed, start_char=start_char,
        oov_char=oov_char, index_from=index_from,
    )  # fmt: skip
    named = dataset_path(path, _ORIGIN, _MD5)
    parts = read_word_lists(named, (("x_train", "y_train"), ("x_test", "y_test")))
    training = len(parts[0][0])
    lists = marked(joined(parts, np.random.RandomState(seed), named), start_char, index_from)
    if maxlen:
        lists, kept = shorter_than(lists, maxlen)
        training = int(kept[:training].sum())
    lists = limited(lists, num_words, skip_top or 0, oov_char)
    return lists.texts(0, training), lists.texts(training)


def get_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
    """The ranks of the words, from 1 for the most frequent one, without the `index_from` of `load_data`.

    Raises
    ------
    OSError
        If the file cannot be downloaded or opened.
    ValueError
        If it is damaged.
    """
    return read_word_index(dataset_path(path, _INDEX_ORIGIN, _INDEX_MD5))
