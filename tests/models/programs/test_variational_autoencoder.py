"""The variational autoencoder: both parts of its loss, the points that it draws, and its figure."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from symgraph import backend as K
from symgraph.models import variational_autoencoder as vae


def test_divergence_is_the_integral_that_defines_it() -> None:
    means, log_variances = np.array([[0.0, 0.0], [1.5, -0.4]]), np.array([[0.0, 0.0], [0.7, -1.2]])
    z = np.linspace(-12, 12, 200_001)
    standard = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    truth = np.zeros(2)
    for i, j in np.ndindex(2, 2):
        variance = np.exp(log_variances[i, j])
        p = np.exp(-((z - means[i, j]) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
        # Where p is 0, so is its part.
        truth[i] += np.sum(p * (np.log(np.maximum(p, 1e-300)) - np.log(standard))) * (z[1] - z[0])
    found = K.eval(vae.divergence(K.variable(means), K.variable(log_variances)))
    np.testing.assert_allclose(found, truth, rtol=1e-5, atol=1e-6)


def test_reconstruction_is_the_cross_entropy_of_all_pixels() -> None:
    rng = np.random.RandomState(0)
    pictures, redrawn = rng.uniform(size=(3, 64)), rng.uniform(0.01, 0.99, (3, 64))
    truth = -np.sum(pictures * np.log(redrawn) + (1 - pictures) * np.log(1 - redrawn), axis=1)
    found = K.eval(vae.reconstruction(K.variable(pictures), K.variable(redrawn)))
    np.testing.assert_allclose(found, truth, rtol=1e-5)


def test_points_are_drawn_around_their_means_and_gradients_reach_these() -> None:
    mean = K.variable(np.tile([2.0, -1.0], (40_000, 1)))
    log_variance = K.variable(np.tile(2 * np.log([0.5, 3.0]), (40_000, 1)))
    points = vae.draw_point([mean, log_variance])
    drawn = K.eval(points)
    # Five standard errors.
    np.testing.assert_allclose(drawn.mean(axis=0), [2, -1], atol=5 * 3 / 200)
    np.testing.assert_allclose(drawn.std(axis=0), [0.5, 3], rtol=0.02)
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.03
    gradients = K.gradients(K.sum(points), [mean, log_variance])
    by_mean, by_log_variance, drawn = K.function([], [*gradients, points])([])
    np.testing.assert_array_equal(by_mean, np.ones((40_000, 2)))
    # d/dv (m + exp(v / 2) e) is half of the distance from the mean.
    np.testing.assert_allclose(by_log_variance, (drawn - [2, -1]) / 2, atol=1e-5)


def test_the_loss_is_the_sum_of_both() -> None:
    model = vae.build(64, hidden=16)
    layer = model.encoder.get_layer("log_variance")
    # So small a variance that the point is the mean.
    layer.set_weights([np.zeros((16, 2)), np.full(2, -60.0)])
    x = np.random.RandomState(0).uniform(size=(50, 64)).astype("float32")
    mean = model.encoder.predict(x)[0].astype("float64")
    redrawn = model.decoder.predict(mean).astype("float64")
    cross_entropy = -np.sum(x * np.log(redrawn) + (1 - x) * np.log(1 - redrawn), axis=1)
    divergence = 0.5 * np.sum(mean**2 + np.exp(-60.0) - 1 + 60, axis=1)
    truth = np.mean(cross_entropy + divergence)
    assert model.whole.evaluate(x, None, batch_size=50, verbose=0) == pytest.approx(truth, rel=1e-5)


def test_the_plane_has_its_axes_where_a_drawing_has_them() -> None:
    class Decoder:
        def predict(self, points: np.ndarray) -> np.ndarray:
            return np.repeat(points, 8, axis=1)  # 16 pixels: two rows of x, two rows of y

    page = vae.plane(Decoder(), side=4)
    assert page.shape == (12 * 5 - 1, 12 * 5 - 1)
    x, y = page[0::5, 0::5], page[2::5, 0::5]
    # Quantiles of the normal distribution at 1/24 and 13/24.
    np.testing.assert_allclose([x[0, 0], x[11, 11], x[3, 6]], [-1.7317, 1.7317, 0.1046], atol=1e-4)
    np.testing.assert_allclose([y[0, 0], y[11, 11], y[5, 3]], [1.7317, -1.7317, 0.1046], atol=1e-4)
    assert np.all(page[4::5] == 0)


def test_the_program_beats_the_mean_picture_and_repeats_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install symgraph[plot]")
    figures = [vae.main(["--epochs", "12", "--seed", "1", "--out", str(tmp_path)]) for _ in range(2)]
    assert figures[0] == figures[1]
    printed = capsys.readouterr().out
    after, before = map(float, re.findall(r"pictures: (\S+) nats; before training: (\S+);", printed)[0])
    mean_picture = float(re.findall(r"whatever is to be drawn: (\S+)", printed)[0])
    assert after == pytest.approx(figures[0], abs=0.006)
    assert after < mean_picture < before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plane.png", "weights.h5"]
    with Image.open(tmp_path / "plane.png") as drawing:
        assert drawing.width > drawing.height > 300


def test_without_matplotlib_only_the_drawing_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    vae.main(["--epochs", "1", "--out", str(tmp_path)])
    assert [path.name for path in tmp_path.iterdir()] == ["weights.h5"]
    assert "pip install symgraph[plot]" in capsys.readouterr().out
