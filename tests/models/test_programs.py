"""The programs of `models/`, for one epoch on the bundled digits."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from symgraph.datasets import digits
from symgraph.models import load_model, mnist_cnn, mnist_mlp


def test_the_convolutional_one_leaves_model_curves_and_listing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install symgraph[plot]")
    accuracy = mnist_cnn.main(["--epochs", "1", "--out", str(tmp_path / "out")])
    assert accuracy > 0.6
    assert f"Test accuracy: {accuracy}" in capsys.readouterr().out
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["history.png", "model.h5", "program.txt"]
    assert "conv2d" in (tmp_path / "out" / "program.txt").read_text()
    _, (x, y) = digits.load_data()
    guessed = load_model(tmp_path / "out" / "model.h5").predict(x[..., np.newaxis] / 16).argmax(axis=-1)
    assert np.mean(guessed == y) == pytest.approx(accuracy, abs=1e-6)


def test_without_matplotlib_only_the_curves_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    mnist_cnn.main(["--epochs", "1", "--out", str(tmp_path)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.h5", "program.txt"]
    assert "pip install symgraph[plot]" in capsys.readouterr().out


def test_the_dense_one_prints_a_line_an_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    history = mnist_mlp.main(["--epochs", "2"])
    assert history.epoch == [0, 1]
    text = capsys.readouterr().out
    assert "Train on 1149 samples, validate on 288 samples" in text
    assert len(re.findall(r"^ - \d+s - loss: .* - val_acc: ", text, re.MULTILINE)) == 2
