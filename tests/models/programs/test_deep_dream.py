"""Deep dream: gradients against finite differences, scores that rise, weights that stay."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from symgraph import backend as K
from symgraph.layers import Conv2D, Input
from symgraph.models import MobileNet, Model, deep_dream
from symgraph.models.gradient_ascent import ascend, climber, dream, resize

# What is made once for these tests is made in one process.
pytestmark = pytest.mark.xdist_group("deep_dream")


def test_the_gradient_is_that_of_finite_differences() -> None:
    """In float64, for two pictures at once, each by its own score; up to the scale, which is a mean of 1."""
    rng = np.random.default_rng(0)
    image = K.placeholder((None, None, None, 2), dtype="float64")
    kernel = K.constant(rng.normal(0, 1, (3, 3, 2, 4)), dtype="float64")
    score = K.mean(K.square(K.tanh(K.conv2d(image, kernel, padding="same"))), axis=(1, 2, 3))
    climb = climber(image, score)
    x = rng.uniform(0, 1, (2, 5, 4, 2))
    gradient = climb([x, 0])[1]
    step, expected = 1e-6, np.zeros_like(x)
    for place in np.ndindex(x.shape):
        moved = [x.copy(), x.copy()]
        moved[0][place] += step
        moved[1][place] -= step
        up, down = (climb([pixels, 0])[0][place[0]] for pixels in moved)
        expected[place] = (up - down) / (2 * step)
    sizes = np.abs(expected).mean(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(gradient, expected / (sizes + K.epsilon()), rtol=1e-6, atol=1e-8)


def test_every_octave_climbs_and_the_network_stays(capsys: pytest.CaptureFixture[str]) -> None:
    np.random.seed(0)
    image = Input((None, None, 3))
    model = Model(image, Conv2D(4, 3, padding="same", activation="relu")(image))
    before = model.get_weights()
    climb = climber(image, K.mean(K.square(model.outputs[0]), axis=(1, 2, 3)))
    x = np.random.default_rng(1).uniform(0.3, 0.7, (1, 40, 30, 3)).astype("float32")
    dreamt = dream(lambda pixels: climb([pixels, 0]), x, octaves=3, scale=1.5, steps=8, rate=0.01)
    lines = re.findall(r"Octave (\d), (\d+) x (\d+): ([\d.e-]+) -> ([\d.e-]+)", capsys.readouterr().out)
    assert [line[:3] for line in lines] == [("1", "18", "13"), ("2", "27", "20"), ("3", "40", "30")]
    assert all(float(line[4]) > float(line[3]) for line in lines)
    assert dreamt.shape == x.shape and dreamt.min() >= 0 and dreamt.max() <= 1
    # By the network itself, without the function that climbs.
    scores = [np.mean(np.square(model.predict(pixels))) for pixels in (x, dreamt)]
    assert scores[1] > 1.2 * scores[0]
    assert all(np.array_equal(one, other) for one, other in zip(model.get_weights(), before, strict=True))


def test_pixels_go_where_the_score_is_highest() -> None:
    """The score is the distance to a constant picture, whose maximum is known."""

    def climb(x: np.ndarray) -> list[np.ndarray]:
        gradient = 0.25 - x
        return [-np.square(gradient).sum(axis=(1, 2, 3)), gradient]

    x = np.random.default_rng(0).uniform(0, 1, (2, 16, 16, 1))
    found, scores = ascend(climb, x, steps=100, rate=0.2, fade=0.0, rng=np.random.RandomState(0))
    np.testing.assert_allclose(found, 0.25, atol=1e-6)
    assert len(scores) == 100 and scores == sorted(scores)


def test_movements_are_undone_and_what_nothing_holds_fades() -> None:
    x = np.random.default_rng(0).uniform(0, 1, (1, 70, 40, 3))
    moved: list[np.ndarray] = []

    def still(pixels: np.ndarray) -> list[np.ndarray]:
        moved.append(pixels)
        return [np.zeros(1), np.zeros_like(pixels)]

    found, _ = ascend(still, x, steps=5, rate=1.0, fade=0.1, rng=np.random.RandomState(0))
    np.testing.assert_allclose(found, x * 0.9**5, rtol=1e-12)
    assert any(not np.array_equal(pixels, x * 0.9**n) for n, pixels in enumerate(moved))


def test_sizes_are_rows_and_columns() -> None:
    x = np.random.default_rng(0).uniform(0, 1, (2, 8, 6, 3)).astype("float32")
    large = resize(x, (16, 24))
    assert large.shape == (2, 16, 24, 3)
    plane = Image.fromarray(x[1, ..., 2]).resize((24, 16), Image.Resampling.BICUBIC)
    assert np.array_equal(large[1, ..., 2], np.asarray(plane))
    np.testing.assert_allclose(resize(np.full((1, 8, 8, 1), 0.5, "float32"), (3, 20)), 0.5, atol=1e-6)


def test_digits_out_of_noise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--epochs", "2", "--steps", "15", "--out"]
    right = deep_dream.main([*arguments, str(tmp_path / "a")])
    text = capsys.readouterr().out
    assert right >= 7 and f"{right} of the 10 dreams" in text
    scores = re.findall(r": (-?[\d.]+) -> (-?[\d.]+)", text)
    assert len(scores) == 4 and all(float(last) > float(first) for first, last in scores)
    with Image.open(tmp_path / "a" / "dream.png") as sheet:
        assert sheet.size == (8 + 10 * 56, 8 + 2 * 78)
    deep_dream.main([*arguments, str(tmp_path / "b")])
    assert (tmp_path / "a" / "dream.png").read_bytes() == (tmp_path / "b" / "dream.png").read_bytes()


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of 90 x 80 pixels, a smaller one, a broken one, and weights of a MobileNet."""
    folder = tmp_path_factory.mktemp("dream")
    pixels = np.random.default_rng(0).integers(0, 256, (80, 90, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "picture.png")
    Image.fromarray(pixels[:40]).save(folder / "small.png")
    (folder / "broken.png").write_bytes(b"no picture")
    np.random.seed(0)
    base = MobileNet(weights=None, input_shape=(32, 32, 3), include_top=False)
    base.save_weights(str(folder / "weights.h5"))
    return folder


def test_a_ready_network(given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture, weights = str(given / "picture.png"), str(given / "weights.h5")
    small = [
        "--layer",
        "conv_pw_1_relu",
        "--layer",
        "conv1_relu",
        "--steps",
        "3",
        "--octaves",
        "2",
        "--scale",
        "1.05",
    ]
    dreamt = deep_dream.main(
        ["--picture", picture, "--base", "MobileNet", "--weights", weights, *small, "--out", str(tmp_path)]
    )
    assert dreamt.shape == (1, 80, 90, 3)
    scores = re.findall(r": ([\d.e-]+) -> ([\d.e-]+)", capsys.readouterr().out)
    assert len(scores) == 2 and all(float(last) > float(first) for first, last in scores)
    base = MobileNet(weights=weights, input_shape=(80, 90, 3), include_top=False)
    seen = Model(base.inputs, [base.get_layer(name).output for name in ("conv_pw_1_relu", "conv1_relu")])

    def score(pixels: np.ndarray) -> float:
        """Of pixels from 0 to 255, scaled to -1 ... 1 for the network."""
        return float(sum(np.mean(np.square(x)) for x in seen.predict(pixels / 127.5 - 1)))

    original = np.asarray(Image.open(picture), "float32")[np.newaxis]
    with Image.open(tmp_path / "dream.png") as drawn:
        written = np.asarray(drawn, "float32")[np.newaxis]
    assert np.abs(written - dreamt * 255).max() <= 1
    assert score(written) > 1.05 * score(original)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--picture", "nothing.png"], r"nothing\.png"),
        (["--picture", "{}/broken.png"], r"broken\.png"),
        (["--picture", "{}/small.png"], r"small\.png is too small: expected 75"),
        (["--picture", "{}/picture.png", "--weights", "none.h5"], r"no file of weights none\.h5"),
        (
            ["--picture", "{}/picture.png", "--weights", "{}/weights.h5", "--base", "VGG19"],
            "weights of VGG19",
        ),
        (
            [
                "--picture",
                "{}/picture.png",
                "--weights",
                "{}/weights.h5",
                "--base",
                "MobileNet",
                "--layer",
                "x",
            ],
            "No such layer: x",
        ),
    ],
)
def test_wrong_input_is_named_in_one_line(
    arguments: list[str], words: str, given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as error:
        deep_dream.main([*(a.replace("{}", str(given)) for a in arguments), "--out", str(tmp_path)])
    assert error.value.code == 2
    said = capsys.readouterr().err
    assert (
        re.search(words, said)
        and said.startswith("python -m symgraph.models.deep_dream: error: ")
        and said.count("\n") == 1
    )


@pytest.mark.parametrize(
    "arguments", [["--steps", "0"], ["--scale", "0.9"], ["--rate", "0"], ["--digit", "10"]]
)
def test_bad_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        deep_dream.main(arguments)
    assert error.value.code == 2
    assert capsys.readouterr().err
