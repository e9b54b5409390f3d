"""The siamese network: pairs, loss and figures."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from symgraph import backend as K
from symgraph.datasets import digits
from symgraph.models import load_model, siamese


def test_pairs_are_balanced_and_labelled_by_their_classes() -> None:
    y = np.repeat(np.arange(10), [4, 3, 6, 4, 5, 4, 4, 9, 4, 4])
    np.random.RandomState(3).shuffle(y)
    # A picture that tells its place.
    x = np.arange(len(y), dtype="float32").reshape(-1, 1, 1)
    first, second, alike = siamese.make_pairs(x, y, seed=1)
    assert first.shape == second.shape == (10 * 2 * 2, 1, 1)
    a, b = (pictures[:, 0, 0].astype(int) for pictures in (first, second))
    np.testing.assert_array_equal(alike[:, 0], y[a] == y[b])
    assert alike.sum() * 2 == len(alike)
    assert not np.any(a == b)
    # Each class as often as the others, and as the first picture of a like and of another pair.
    np.testing.assert_array_equal(np.bincount(y[a]), np.full(10, 4))
    np.testing.assert_array_equal(a[::2], a[1::2])
    for one, other in ((siamese.make_pairs(x, y, 1), True), (siamese.make_pairs(x, y, 2), False)):
        assert np.array_equal(one[1], second) is other


def test_other_pairs_are_of_all_classes() -> None:
    y = np.tile(np.arange(10), 200)
    first, second, alike = siamese.make_pairs(y.reshape(-1, 1, 1), y, seed=0)
    apart = (second - first)[alike == 0] % 10
    counts = np.bincount(apart.ravel(), minlength=10)
    assert counts[0] == 0
    # 1,990 pairs among nine differences: 221 each, give or take four standard deviations.
    assert np.all(np.abs(counts[1:] - 221) < 56)


def test_loss_distance_and_accuracy_against_numpy() -> None:
    rng = np.random.RandomState(0)
    alike, a, b = rng.randint(0, 2, (50, 1)), rng.normal(size=(50, 3)), 0.3 * rng.normal(size=(50, 3))
    truth = np.linalg.norm(a - b, axis=1, keepdims=True)
    given = [K.variable(array) for array in (alike, a, b)]
    distance = siamese.euclidean_distance(given[1:])
    np.testing.assert_allclose(K.eval(distance), truth, rtol=1e-5)
    each = np.where(alike == 1, truth**2, np.maximum(1 - truth, 0) ** 2)
    assert np.any((alike == 0) & (truth < 1))
    assert np.any((alike == 0) & (truth > 1))
    loss = siamese.contrastive_loss(given[0], distance)
    assert K.eval(loss) == pytest.approx(each.mean(), rel=1e-5)
    right = np.mean((truth < 0.5) == (alike == 1))
    assert K.eval(siamese.accuracy(given[0], distance)) == pytest.approx(right)


def test_the_gradient_is_finite_where_pictures_are_the_same() -> None:
    point = K.variable(np.ones((2, 3)))
    (gradient,) = K.gradients(
        K.sum(siamese.euclidean_distance([point, K.constant(np.ones((2, 3)))])), [point]
    )
    np.testing.assert_array_equal(K.eval(gradient), np.zeros((2, 3)))


def test_pixels_alone() -> None:
    # Like pairs are 1 apart, others 3; in the test one of four is not as in training.
    far = np.array([1.0, 3.0, 1.0, 3.0])[:, np.newaxis, np.newaxis]
    alike = np.array([[1.0], [0.0], [1.0], [0.0]])
    training = (np.zeros((4, 1, 1)), far, alike)
    test = (np.zeros((4, 1, 1)), np.concatenate([far[:3], far[:1]]), alike)
    assert siamese.pixel_accuracy(training, training) == 1
    assert siamese.pixel_accuracy(training, test) == 0.75


def test_the_program_beats_pixels_and_repeats_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = []
    for _ in range(2):
        right = siamese.main(["--epochs", "6", "--seed", "3", "--out", str(tmp_path)])
        printed.append(capsys.readouterr().out)
    figures = [float(text) for text in re.findall(r"(?:test pictures|pixels): (\S+)", printed[0])]
    assert figures[0] == pytest.approx(right, abs=5e-5)
    assert right > figures[1] + 0.02
    assert figures == [float(text) for text in re.findall(r"(?:test pictures|pixels): (\S+)", printed[1])]
    with Image.open(tmp_path / "pairs.png") as sheet:
        assert sheet.size == (8 + 8 * 168, 8 + 3 * 190)
        red = np.all(np.asarray(sheet)[6, :, :] == (200, 30, 30), axis=-1)
    assert red.sum() % 164 == 0  # frames of whole cells

    # The layers that both pictures go through are there once, and are what is kept.
    assert siamese.build((8, 8))[0].count_params() == 64 * 128 + 128 + 2 * (128 * 128 + 128)
    shared = load_model(tmp_path / "shared.h5", compile=False)
    _, (x, y) = digits.load_data()
    first, second, alike = siamese.make_pairs(x / 16, y, seed=3)
    distances = np.linalg.norm(shared.predict(first) - shared.predict(second), axis=1)
    assert np.mean((distances < 0.5) == alike[:, 0]) == pytest.approx(right, abs=0.002)
