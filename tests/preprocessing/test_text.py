"""Texts: small cases worked out by hand, and definitions."""

import hashlib
import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symgraph.preprocessing.text import (
    Tokenizer,
    hashing_trick,
    one_hot,
    text_to_word_sequence,
    tokenizer_from_json,
)

TEXTS = ["The cat sat on the mat.", "The dog sat on the log!", "Dogs and cats living together"]


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("Hello, it's me!\tYou", {}, ["hello", "it's", "me", "you"]),
        ("Hello, it's me!", {"lower": False}, ["Hello", "it's", "me"]),
        ("a1b1c", {"filters": "", "split": "1"}, ["a", "b", "c"]),
        ("a!b  c", {"filters": "!", "split": "::"}, ["a", "b  c"]),
        ("", {}, []),
        ("Ärger über 模型", {}, ["ärger", "über", "模型"]),
    ],
)
def test_words_of_a_text(text, options, expected):
    assert text_to_word_sequence(text, **options) == expected


def test_only_texts_have_words():
    with pytest.raises(TypeError, match="Expected a text, got float: nan"):
        Tokenizer().fit_on_texts(["a", float("nan")])


def test_hashing():
    text = "The cat sat, on the mat!"
    words = ["the", "cat", "sat", "on", "the", "mat"]
    expected = [int(hashlib.md5(word.encode()).hexdigest(), 16) % 19 + 1 for word in words]
    assert expected == [17, 4, 13, 16, 17, 9]  # keras_preprocessing 1.0.5
    assert hashing_trick(text, 20, "md5") == expected
    assert hashing_trick(text, 5, len) == [4, 4, 4, 3, 4, 4]
    assert one_hot(text, 20) == hashing_trick(text, 20) == [hash(word) % 19 + 1 for word in words]
    with pytest.raises(ValueError, match="`n` should be at least 2"):
        one_hot(text, 1)
    with pytest.raises(ValueError, match="'sha1'"):
        hashing_trick(text, 5, "sha1")


def fitted(**options):
    tokenizer = Tokenizer(**options)
    tokenizer.fit_on_texts(TEXTS)
    return tokenizer


def test_the_vocabulary_is_ordered_by_frequency_then_by_first_sight():
    tokenizer = fitted()
    ranked = ["the", "sat", "on", "cat", "mat", "dog", "log", "dogs", "and", "cats", "living", "together"]
    assert tokenizer.word_index == {word: index for index, word in enumerate(ranked, 1)}
    assert tokenizer.index_word == dict(enumerate(ranked, 1))
    assert tokenizer.word_counts["the"] == 4
    assert (tokenizer.word_docs["the"], tokenizer.index_docs[1]) == (2, 2)
    assert tokenizer.document_count == 3
    tokenizer.fit_on_texts(["together together together together together"])
    assert (tokenizer.word_index["together"], tokenizer.word_index["the"]) == (1, 2)
    assert tokenizer.index_docs == {**dict.fromkeys(range(5, 13), 1), 1: 2, 2: 2, 3: 2, 4: 2}


@pytest.mark.parametrize(
    ("options", "sequence", "text"),
    [
        ({}, [1, 4, 3, 9], "the cat on and"),
        ({"num_words": 4}, [1, 3], "the on"),
        ({"oov_token": "?"}, [2, 5, 1, 4, 10], "the cat ? on and"),
        ({"oov_token": "?", "num_words": 5}, [2, 1, 1, 4, 1], "the ? ? on ?"),
    ],
)
def test_texts_and_sequences(options, sequence, text):
    tokenizer = fitted(**options)
    assert tokenizer.texts_to_sequences(["The cat zebra ON and", ""]) == [sequence, []]
    assert tokenizer.texts_to_sequences([["The", "cat", "zebra", "ON", "and"]]) == [sequence]
    assert tokenizer.sequences_to_texts([sequence, []]) == [text, ""]
    assert tokenizer.sequences_to_texts([[1, 99]])[0].split()[1:] == (["?"] if "oov_token" in options else [])


def test_characters():
    tokenizer = Tokenizer(char_level=True)
    tokenizer.fit_on_texts(["Abba", "b!"])
    assert tokenizer.word_index == {"b": 1, "a": 2, "!": 3}
    assert tokenizer.texts_to_sequences(["a!c"]) == [[2, 3]]
    kept = Tokenizer(char_level=True, lower=False)
    kept.fit_on_texts([["A", "b"], ["A"]])
    assert kept.word_index == {"A": 1, "b": 2}


def test_matrices():
    tokenizer = Tokenizer(num_words=4)
    tokenizer.fit_on_sequences([[1, 1, 2], [3], [2, 9]])
    sequences = [[1, 2, 1, 9], [], [3]]
    binary, count, freq, tfidf = (
        tokenizer.sequences_to_matrix(sequences, mode) for mode in ("binary", "count", "freq", "tfidf")
    )
    assert binary.tolist() == [[0, 1, 1, 0], [0] * 4, [0, 0, 0, 1]]
    assert count.tolist() == [[0, 2, 1, 0], [0] * 4, [0, 0, 0, 1]]
    assert freq.tolist() == [[0, 0.5, 0.25, 0], [0] * 4, [0, 0, 0, 1]]
    # (1 + ln count) ln(1 + 3 texts / (1 + texts with the word))
    one, two = math.log(1 + 3 / 2), math.log(1 + 3 / 3)
    expected = [[0, (1 + math.log(2)) * one, two, 0], [0] * 4, [0, 0, 0, one]]
    np.testing.assert_allclose(tfidf, expected, rtol=1e-14)
    assert {m.dtype for m in (binary, count, freq, tfidf)} == {np.dtype(np.float64)}
    assert fitted().texts_to_matrix(["the the cat"], "count")[0, [1, 4]].tolist() == [2, 1]
    assert fitted().texts_to_matrix([]).shape == (0, 13)


def test_matrices_that_cannot_be():
    with pytest.raises(ValueError, match="Specify a dimension"):
        Tokenizer().sequences_to_matrix([[1]])
    with pytest.raises(ValueError, match="before using tfidf mode"):
        Tokenizer(num_words=3).sequences_to_matrix([[1]], "tfidf")
    with pytest.raises(ValueError, match="Unknown vectorization mode: 'onehot'"):
        fitted().sequences_to_matrix([], "onehot")
    with pytest.raises(ValueError, match="numbers from 0, got -1"):
        fitted().sequences_to_matrix([[1, -1]])
    with pytest.raises(TypeError, match="lists of int"):
        fitted().sequences_to_matrix([[1, 0.5]])


@given(st.lists(st.text(alphabet="ab cA!", max_size=12), max_size=4), st.sampled_from([None, "c", "?"]))
def test_a_tokenizer_comes_back_from_json_and_pickle(texts, oov_token):
    tokenizer = Tokenizer(num_words=3, oov_token=oov_token)
    tokenizer.fit_on_texts(texts)
    for again in (tokenizer_from_json(tokenizer.to_json()), pickle.loads(pickle.dumps(tokenizer))):
        assert again.get_config() == tokenizer.get_config()
        again.fit_on_texts(["a c c"])
        other = tokenizer_from_json(tokenizer.to_json())
        other.fit_on_texts(["a c c"])
        assert again.get_config() == other.get_config()
        assert again.texts_to_sequences([*texts, "a b c"]) == other.texts_to_sequences([*texts, "a b c"])


def test_json_is_that_of_keras():
    config = json.loads(fitted(oov_token="?").to_json(indent=2))
    assert config["class_name"] == "Tokenizer"
    assert json.loads(config["config"]["index_word"])["1"] == "?"
    for wrong in ("{", "[]", "{}", '{"config": {"num_words": 3}}', '{"config": 3}'):
        with pytest.raises(ValueError, match=r"JSON|Expecting"):
            tokenizer_from_json(wrong)


def test_old_and_unknown_arguments():
    with pytest.warns(UserWarning, match="renamed `num_words`"):
        assert Tokenizer(nb_words=3).num_words == 3
    with pytest.raises(TypeError, match="Unrecognized keyword arguments"):
        Tokenizer(words=3)


def test_modules_as_scripts_import_them():
    import symgraph
    from symgraph.preprocessing import sequence, text

    assert symgraph.preprocessing.text is text
    assert symgraph.preprocessing.sequence is sequence
    assert {"sequence", "text"} <= set(dir(symgraph.preprocessing))
