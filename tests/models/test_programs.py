"""The programs that read digits, for an epoch or two."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from symgraph import backend as K
from symgraph.datasets import digits
from symgraph.models import load_model, mnist_cnn, mnist_mlp

FILES = ["misread.png", "model.h5", "program.txt"]


def test_the_convolutional_one_leaves_model_curves_listing_and_misread_digits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install symgraph[plot]")
    accuracy = mnist_cnn.main(["--epochs", "2", "--out", str(tmp_path / "out")])
    assert accuracy > 0.6
    printed = capsys.readouterr().out
    assert f"Test accuracy: {accuracy}" in printed
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["history.png", *FILES]
    assert "conv2d" in (tmp_path / "out" / "program.txt").read_text()

    _, (x, y) = digits.load_data()
    chances = load_model(tmp_path / "out" / "model.h5").predict(x[..., np.newaxis] / 16)
    wrong = np.flatnonzero(chances.argmax(axis=-1) != y)
    assert 1 - len(wrong) / len(y) == pytest.approx(accuracy, abs=1e-6)
    assert f"{len(wrong)} of 360 test pictures are misread" in printed
    # The surest first, each as it is in the file: sixteen shades as eleven characters, two of them a pixel.
    surest = max(wrong, key=lambda i: float(chances[i].max()))
    caption = f"is {y[surest]}, read as {chances[surest].argmax()} ({chances[surest].max():.2f})"
    captions = re.findall(r"is \d, read as \d \(\d\.\d\d\)", printed)
    assert captions[0] == caption
    assert len(captions) == min(len(wrong), 6)
    first = printed[printed.index("the surest first") :].splitlines()[2:11]
    assert first[-1].startswith(caption)
    for pixels, line in zip(x[surest], first, strict=False):
        shades = [" .:-=+*#%@".index(character) for character in f"{line:16}"[:16:2]]
        np.testing.assert_allclose(shades, pixels / 16 * 9, atol=0.5)
    with Image.open(tmp_path / "out" / "misread.png") as sheet:
        pixels = np.asarray(sheet.convert("L"))[18 : 18 + 160 : 20, 18 : 18 + 160 : 20]
    np.testing.assert_allclose(pixels, 255 * (1 - x[surest] / 16), atol=1)


def test_without_matplotlib_only_the_curves_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    mnist_cnn.main(["--epochs", "1", "--out", str(tmp_path)])
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    assert "pip install symgraph[plot]" in capsys.readouterr().out


def test_shuffled_digits_are_easier_and_the_figure_says_which_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = {}
    for split, words in (("writers", "hands that training\nhas not seen"), ("shuffled", "other digits in")):
        figures[split] = mnist_cnn.main(
            ["--split", split, "--epochs", "3", "--no-augment", "--out", str(tmp_path)]
        )
        assert words in capsys.readouterr().out
    assert figures["writers"] < figures["shuffled"]


def test_pictures_with_the_channel_first(tmp_path: Path) -> None:
    K.set_image_data_format("channels_first")
    try:
        assert mnist_cnn.main(["--epochs", "2", "--out", str(tmp_path)]) > 0.6
    finally:
        K.set_image_data_format("channels_last")
    assert load_model(tmp_path / "model.h5").input_shape == (None, 1, 8, 8)


def test_real_data_make_it_the_classic_script() -> None:
    _, options = mnist_cnn.parse(["--data", "mnist.npz"])
    assert (options.epochs, options.batch_size, options.augment) == (12, 128, False)
    _, options = mnist_cnn.parse([])
    assert (options.epochs, options.batch_size, options.augment) == (40, 32, True)
    _, options = mnist_cnn.parse(["--data", "mnist.npz", "--augment", "--epochs", "3"])
    assert (options.epochs, options.batch_size, options.augment) == (3, 128, True)


def test_the_dense_one_prints_a_line_an_epoch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history = mnist_mlp.main(["--epochs", "2", "--out", str(tmp_path)])
    assert history.epoch == [0, 1]
    text = capsys.readouterr().out
    assert "Train on 1149 samples, validate on 288 samples" in text
    assert len(re.findall(r"^ - \d+s - loss: .* - val_acc: ", text, re.MULTILINE)) == 2
    assert f"Accuracy on the held-out fifth: {history.history['val_acc'][-1]:.4f}" in text
