"""`Tokenizer`: a vocabulary learned from texts, by which texts become numbers."""

from __future__ import annotations

import itertools
import json
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgraph.utils.warn_user import warn_old

FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
"""Characters that part words like a blank: punctuation without ', tabs and line breaks."""

_MODES = ("binary", "count", "tfidf", "freq")


def text_to_word_sequence(
    text: str, filters: str = FILTERS, lower: bool = True, split: str = " "
) -> list[str]:
    """The words of a text.

    Parameters
    ----------
    text : str
    filters : str
        Characters that are replaced by `split`.
    lower : bool
        Whether the text is put in small letters first.
    split : str
        What parts words.

    Raises
    ------
    TypeError
        If `text` is no str.
    """
    if not isinstance(text, str):
        raise TypeError(f"Expected a text, got {type(text).__name__}: {text!r:.80}")
    if lower:
        text = text.lower()
    return [word for word in text.translate(dict.fromkeys(map(ord, filters), split)).split(split) if word]


class Tokenizer:
    """Turns texts into sequences of numbers, or into rows of a matrix, by a vocabulary that it learns.

    Words are numbered from 1 in the order of their frequency, words of one frequency in the order in which
    they came; 0 is never a word.

    Parameters
    ----------
    num_words : int, optional
        Only numbers less than this are used: the `num_words - 1` most frequent words. Keras 1 called it
        `nb_words`.
    filters, lower, split
        As `text_to_word_sequence` takes them.
    char_level : bool
        Whether characters are the words.
    oov_token : str, optional
        The word, number 1, that stands for words that are not known or not used. Without it these are left
        out.
    document_count : int
        Texts seen before.

    Raises
    ------
    ValueError
        If `num_words` is no whole number.

    Attributes
    ----------
    word_counts : dict
        How often each word was seen.
    word_docs, index_docs : dict
        In how many texts each word was seen, by word and by number.
    word_index, index_word : dict
        The vocabulary, from words to numbers and back.
    """

    def __init__(
        self,
        num_words: int | None = None,
        filters: str = FILTERS,
        lower: bool = True,
        split: str = " ",
        char_level: bool = False,
        oov_token: str | None = None,
        document_count: int = 0,
        **kwargs: Any,
    ) -> None:
        if "nb_words" in kwargs:
            warn_old("The `nb_words` argument in `Tokenizer` has been renamed `num_words`.")
            num_words = kwargs.pop("nb_words")
        if kwargs:
            raise TypeError(f"Unrecognized keyword arguments: {kwargs}")
        if num_words is not None and (not isinstance(num_words, Real) or num_words < 0 or num_words % 1):
            raise ValueError(f"`num_words` should be a whole number or None, got {num_words!r}")
        self.word_counts: OrderedDict[str, int] = OrderedDict()
        self.word_docs: defaultdict[str, int] = defaultdict(int)
        self.filters = filters
        self.split = split
        self.lower = lower
        self.num_words = None if num_words is None else int(num_words)
        self.document_count = document_count
        self.char_level = char_level
        self.oov_token = oov_token
        self.index_docs: defaultdict[int, int] = defaultdict(int)
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}

    def _words(self, text: Any) -> Sequence[str]:
        """The words of a text, or of a list that holds them already."""
        if isinstance(text, list | tuple):
            other = next((word for word in text if not isinstance(word, str)), None)
            if self.lower and other is not None:
                raise TypeError(f"Expected words, got {type(other).__name__}: {other!r:.80}")
            return [word.lower() for word in text] if self.lower else text
        if self.char_level and isinstance(text, str):
            return text.lower() if self.lower else text
        return text_to_word_sequence(text, self.filters, self.lower, self.split)

    def fit_on_texts(self, texts: Iterable[Any]) -> None:
        """Learn the words of texts, beside those that are known.

        Parameters
        ----------
        texts : iterable of str or of list of str
            A list stands for a text whose words it holds.
        """
        for text in texts:
            words = self._words(text)
            self.document_count += 1
            for word, count in Counter(words).items():
                self.word_counts[word] = self.word_counts.get(word, 0) + count
                self.word_docs[word] += 1
        # Sorting keeps the order of words of one frequency.
        ranked = sorted(self.word_counts, key=lambda word: self.word_counts[word], reverse=True)
        first = [] if self.oov_token is None else [self.oov_token]
        self.word_index = {word: index for index, word in enumerate(first + ranked, 1)}
        self.index_word = {index: word for word, index in self.word_index.items()}
        for word, count in self.word_docs.items():
            self.index_docs[self.word_index[word]] = count

    def fit_on_sequences(self, sequences: Sequence[Iterable[int]]) -> None:
        """Count in how many of the sequences of numbers each number is, for the mode 'tfidf'."""
        self.document_count += len(sequences)
        for sequence in sequences:
            for index in set(sequence):
                self.index_docs[index] += 1

    def texts_to_sequences(self, texts: Iterable[Any]) -> list[list[int]]:
        """Texts (or lists of words) as lists of numbers.

        Words that are not known, or not used because of `num_words`, become `oov_token` or are left out.
        """
        return list(self.texts_to_sequences_generator(texts))

    def texts_to_sequences_generator(self, texts: Iterable[Any]) -> Iterator[list[int]]:
        """`texts_to_sequences`, one by one."""
        other = self._oov_index()
        for text in texts:
            found = (self.word_index.get(word) for word in self._words(text))
            indices = (other if index is None or not self._is_used(index) else index for index in found)
            yield [index for index in indices if index is not None]

    def sequences_to_texts(self, sequences: Iterable[Iterable[int]]) -> list[str]:
        """Lists of numbers as texts of words with blanks between them, by the same rules."""
        return list(self.sequences_to_texts_generator(sequences))

    def sequences_to_texts_generator(self, sequences: Iterable[Iterable[int]]) -> Iterator[str]:
        """`sequences_to_texts`, one by one."""
        index_of_other = self._oov_index()
        other = None if index_of_other is None else self.index_word[index_of_other]
        for sequence in sequences:
            words = (self.index_word.get(i, other) if self._is_used(i) else other for i in sequence)
            yield " ".join(word for word in words if word is not None)

    def _oov_index(self) -> int | None:
        return None if self.oov_token is None else self.word_index.get(self.oov_token)

    def _is_used(self, index: int) -> bool:
        # A number that is no word is not used either way.
        return not self.num_words or index < self.num_words

    def texts_to_matrix(self, texts: Iterable[Any], mode: str = "binary") -> NDArray[np.float64]:
        """`sequences_to_matrix` of texts."""
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode=mode)

    def sequences_to_matrix(
        self, sequences: Sequence[Sequence[int]], mode: str = "binary"
    ) -> NDArray[np.float64]:
        """A row for each sequence, a column for each number.

        Parameters
        ----------
        sequences : list of list of int
        mode : {'binary', 'count', 'tfidf', 'freq'}
            Whether a number is in the sequence, how often, its share of the sequence, or
            (1 + ln count) ln(1 + texts / (1 + texts with it)), for numbers that are in the sequence.

        Returns
        -------
        ndarray of float64, shape (len(sequences), num_words)
            Where no `num_words` was given, it is the number of words + 1.

        Raises
        ------
        ValueError
            If the mode is unknown, there is no vocabulary and no `num_words`, or a number is negative.
        """
        if not self.num_words and not self.word_index:
            raise ValueError("Specify a dimension (num_words argument), or fit on some text data first.")
        columns = self.num_words or len(self.word_index) + 1
        if mode not in _MODES:
            raise ValueError(f"Unknown vectorization mode: {mode!r}; expected one of {', '.join(_MODES)}")
        if mode == "tfidf" and not self.document_count:
            raise ValueError("Fit the Tokenizer on some data before using tfidf mode.")
        lengths = np.fromiter(map(len, sequences), np.int64, len(sequences))
        indices = _flat(sequences)
        rows = np.repeat(np.arange(len(lengths)), lengths)
        used = indices < columns
        places, counts = np.unique(rows[used] * columns + indices[used], return_counts=True)
        matrix = np.zeros((len(lengths), columns))
        matrix.flat[places] = self._entries(mode, places % columns, counts, lengths[places // columns])
        return matrix

    def _entries(self, mode: str, indices: NDArray, counts: NDArray, lengths: NDArray) -> NDArray | float:
        if mode == "binary":
            return 1.0
        if mode == "count":
            return counts
        if mode == "freq":
            return counts / lengths
        documents = np.array([self.index_docs.get(index, 0) for index in indices.tolist()])
        return (1 + np.log(counts)) * np.log(1 + self.document_count / (1 + documents))

    def get_config(self) -> dict[str, Any]:
        """The arguments, and what was learned as JSON texts."""
        return {
            "num_words": self.num_words,
            "filters": self.filters,
            "lower": self.lower,
            "split": self.split,
            "char_level": self.char_level,
            "oov_token": self.oov_token,
            "document_count": self.document_count,
            "word_counts": json.dumps(self.word_counts),
            "word_docs": json.dumps(self.word_docs),
            "index_docs": json.dumps(self.index_docs),
            "index_word": json.dumps(self.index_word),
            "word_index": json.dumps(self.word_index),
        }

    def to_json(self, **kwargs: Any) -> str:
        """The configuration as JSON, for `tokenizer_from_json`; `kwargs` go to `json.dumps`."""
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **kwargs)


def _flat(sequences: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    indices = np.asarray(list(itertools.chain.from_iterable(sequences)))
    if not indices.size:
        return np.zeros(0, np.int64)
    if indices.dtype.kind not in "iu" or indices.ndim != 1:
        raise TypeError("`sequences` should be lists of int, one for each text")
    if indices.min() < 0:
        raise ValueError(f"`sequences` should hold numbers from 0, got {indices.min()}")
    return indices.astype(np.int64, copy=False)


def tokenizer_from_json(json_string: str) -> Tokenizer:
    """The tokenizer whose `to_json` gave `json_string`.

    Raises
    ------
    ValueError
        If the text is no such JSON.
    """
    try:
        config = dict(json.loads(json_string)["config"])
        learned = {
            name: json.loads(config.pop(name))
            for name in ("word_counts", "word_docs", "index_docs", "index_word", "word_index")
        }
        tokenizer = Tokenizer(**config)
        tokenizer.word_counts.update(learned["word_counts"])
        tokenizer.word_docs.update(learned["word_docs"])
        # JSON has texts as keys only.
        tokenizer.index_docs.update({int(index): count for index, count in learned["index_docs"].items()})
        tokenizer.index_word.update({int(index): word for index, word in learned["index_word"].items()})
        tokenizer.word_index.update(learned["word_index"])
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ValueError(f"This is no JSON of a Tokenizer: {error!r}") from error
    return tokenizer
