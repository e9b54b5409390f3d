"""The picture of a training."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from symgraph.callbacks import History
from symgraph.utils import plot_history

pytest.importorskip("matplotlib", reason="needs matplotlib: pip install symgraph[plot]")


def test_curves_are_drawn(tmp_path: Path) -> None:
    history = SimpleNamespace(
        epoch=[0, 1, 2],
        history={"loss": [3.0, 2.0, 1.0], "val_loss": [3.0, 2.5, 2.0], "acc": [0.1, 0.5, 0.9]},
    )
    plot_history(history, tmp_path / "curves.png")
    pixels = np.asarray(Image.open(tmp_path / "curves.png").convert("RGB"))
    assert pixels.shape[1] > 2 * pixels.shape[0]
    for colour in ((31, 119, 180), (255, 127, 14)):
        assert (np.abs(pixels.astype(int) - colour).sum(axis=-1) < 12).sum() > 50


def test_an_empty_history_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="history is empty"):
        plot_history(SimpleNamespace(epoch=[], history={}), tmp_path / "curves.png")
    assert not list(tmp_path.iterdir())


def test_a_training_draws_itself(tmp_path: Path) -> None:
    history = History()
    history.on_train_begin()
    history.on_epoch_end(0, {"loss": 3.0, "val_loss": 4.0})
    # Broken off before the validation.
    history.on_epoch_end(1, {"loss": 2.0})
    figure = history.plot(tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.format == "PNG"
    (axes,) = figure.axes
    curves = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert curves == {"training": [[1, 3], [2, 2]], "validation": [[1, 4]]}
    assert axes.get_title() == "loss"
    # There is no epoch 1.5.
    assert all(tick == round(tick) for tick in axes.get_xticks())
    assert history.plot() is not figure


def test_without_matplotlib_the_error_tells_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install symgraph\[plot\]"):
        plot_history(SimpleNamespace(epoch=[0], history={"loss": [1.0]}))
