"""The text generator: drawing at a temperature, the tables beside it, and its figure."""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from symgraph.models import load_model, text_generator


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


class Fixed:
    """A model that always says the same."""

    def __init__(self, chances: np.ndarray) -> None:
        self.chances, self.seen = chances.astype("float32"), []

    def predict_on_batch(self, x: np.ndarray) -> np.ndarray:
        self.seen.append(x)
        return self.chances[np.newaxis]


@pytest.mark.parametrize("temperature", [0.2, 0.5, 1.0, 1.7])
def test_characters_are_drawn_as_the_softmax_of_cooled_logits(temperature: float) -> None:
    logits = np.array([0.3, -1.0, 1.4, 0.9, -0.2])
    truth = softmax(logits / temperature)
    np.testing.assert_allclose(text_generator.cooled(softmax(logits), temperature), truth, rtol=1e-12)
    start = np.arange(text_generator.WINDOW) % 5
    model = Fixed(softmax(logits))
    drawn = text_generator.generate(model, start, 5_000, temperature, np.random.RandomState(0))
    shares = np.bincount(drawn, minlength=5) / 5_000
    # Four standard errors.
    assert np.all(np.abs(shares - truth) < 4 * np.sqrt(truth * (1 - truth) / 5_000) + 1e-9)
    # Each is drawn from the 40 before it.
    whole = np.concatenate([start, drawn])
    for place in (0, 1, 39, 4_999):
        np.testing.assert_array_equal(model.seen[place], whole[np.newaxis, place : place + 40])


def test_impossible_characters_stay_impossible() -> None:
    np.testing.assert_array_equal(text_generator.cooled(np.array([0.0, 1.0, 0.0]), 0.5), [0, 1, 0])
    extreme = text_generator.cooled(np.array([0.6, 0.4]), 1e-3)
    assert extreme[0] == 1
    assert extreme.sum() == 1


def test_windows_are_all_pieces_with_what_follows() -> None:
    codes = np.random.RandomState(0).randint(0, 9, 45)
    x, y = text_generator.windows(codes)
    assert (x.shape, y.shape) == ((5, 40), (5, 1))
    for place in range(5):
        np.testing.assert_array_equal(x[place], codes[place : place + 40])
        assert y[place, 0] == codes[place + 40]


def test_a_text_is_its_numbers() -> None:
    written = "Zoë saw 7 bears.\n" * 50
    text = text_generator.Text(written)
    assert text.alphabet == sorted(set(written))
    assert len(text.held_out) == len(written) // 10
    assert text.written(np.concatenate([text.training, text.held_out])) == written


def test_tables_against_counts_by_hand() -> None:
    letters = np.random.RandomState(4).choice(list("abcde"), p=[0.4, 0.3, 0.2, 0.05, 0.05], size=600)
    written = "".join(letters)
    training, rest = written[:540], written[540:]
    single, pairs, firsts = Counter(training), Counter(pairwise(training)), Counter(training[:-1])
    losses = {"single characters": 0.0, "pairs of characters": 0.0}
    for before, after in pairwise(rest[39:]):
        losses["single characters"] -= math.log((single[after] + 0.1) / (540 + 0.5)) / 20
        losses["pairs of characters"] -= math.log((pairs[before, after] + 0.1) / (firsts[before] + 0.5)) / 20
    assert text_generator.table_losses(text_generator.Text(written)) == pytest.approx(losses)


def test_the_program_learns_more_than_pairs_and_repeats_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install symgraph[plot]")
    # Which letter comes after "-" is told by what came before: pairs of characters do not know.
    words = np.random.RandomState(0).choice(["a-b ", "b-c ", "c-a "], 150)
    (tmp_path / "text.txt").write_text("".join(words), encoding="utf-8")
    out = tmp_path / "out"
    arguments = ["--data", str(tmp_path / "text.txt"), "--epochs", "10", "--seed", "2", "--out", str(out)]
    arguments += ["--temperatures", "0.3", "--batch-size", "32"]
    short = [text_generator.main([*arguments, "--epochs", "1"]) for _ in range(2)]
    assert short[0] == short[1]
    capsys.readouterr()
    figure = text_generator.main(arguments)
    # A word is one of three, and all else is told by its first letter: a third of log 3 is lost a character.
    best = 3 ** (1 / 4)
    assert best * 0.9 < figure < best * 1.1
    printed = capsys.readouterr().out
    named = dict(
        re.findall(r"^  (the network|single characters|pairs of characters) +(\S+) \(", printed, re.M)
    )
    assert float(named["the network"]) == pytest.approx(figure, abs=0.006)
    assert figure < float(named["pairs of characters"]) < float(named["single characters"])
    assert printed.count(" goes on:\n    0.3: ") == 10
    assert sorted(path.name for path in out.iterdir()) == ["history.png", "model.h5", "page.txt"]
    page = (out / "page.txt").read_text("utf-8")
    assert len(page) == 1001
    right = sum(page.count(word) for word in ("a-b", "b-c", "c-a"))
    assert right > 0.9 * page.count("-")
    assert load_model(out / "model.h5").output_shape == (None, 5)
