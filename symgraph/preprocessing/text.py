"""Texts: words to numbers, by a `Tokenizer` that learns a vocabulary or by hashing."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import md5

from symgraph.preprocessing.tokenizer import FILTERS, Tokenizer, text_to_word_sequence, tokenizer_from_json

__all__ = ["Tokenizer", "hashing_trick", "one_hot", "text_to_word_sequence", "tokenizer_from_json"]


def one_hot(text: str, n: int, filters: str = FILTERS, lower: bool = True, split: str = " ") -> list[int]:
    """`hashing_trick` with Python's `hash`, which differs from process to process."""
    return hashing_trick(text, n, hash_function=hash, filters=filters, lower=lower, split=split)


def hashing_trick(
    text: str,
    n: int,
    hash_function: Callable[[str], int] | str | None = None,
    filters: str = FILTERS,
    lower: bool = True,
    split: str = " ",
) -> list[int]:
    """A text as numbers in [1, n), one for each word, without a vocabulary; words may share a number.

    Parameters
    ----------
    text : str
    n : int
        Size of the space; 0 stands for no word.
    hash_function : callable or 'md5', optional
        From a text to an int. None is Python's `hash`, which differs from process to process; 'md5' does not.
    filters, lower, split
        As `text_to_word_sequence` takes them.

    Raises
    ------
    ValueError
        If `n` is less than 2, or `hash_function` is another text.
    """
    if n < 2:
        raise ValueError(f"`n` should be at least 2, got {n}")
    if isinstance(hash_function, str):
        if hash_function != "md5":
            raise ValueError(f"`hash_function` should be a function, 'md5' or None, got {hash_function!r}")
        hash_function = _md5
    function = hash if hash_function is None else hash_function
    return [function(word) % (n - 1) + 1 for word in text_to_word_sequence(text, filters, lower, split)]


def _md5(word: str) -> int:
    return int(md5(word.encode(), usedforsecurity=False).hexdigest(), 16)
