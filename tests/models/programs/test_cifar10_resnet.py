"""The residual network on small pictures: that of Keras' example, and what the program does with it."""

from __future__ import annotations

import pickle
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from symgraph.datasets import digits
from symgraph.models import cifar10_resnet, load_model
from symgraph.models.resnet_small import resnet_v1, resnet_v2

H5 = Path(__file__).parents[4] / "shared" / "h5"

# Counted by Keras 2.2.4 on the networks of its example cifar10_resnet: weights, layers.
COUNTS = {
    (resnet_v1, 8): (78_666, 30),
    (resnet_v1, 20): (274_442, 72),
    (resnet_v1, 32): (470_218, 114),
    (resnet_v1, 56): (861_770, 198),
    (resnet_v2, 11): (299_178, 40),
    (resnet_v2, 20): (574_090, 70),
    (resnet_v2, 29): (849_002, 100),
}
# The kinds of layers of ResNet29v2, and its weights that are trained.
KINDS = {"Conv2D": 31, "BatchNormalization": 28, "Activation": 28, "Add": 9}
TRAINED = 843_786


@pytest.mark.parametrize(("build", "depth"), COUNTS, ids=lambda value: getattr(value, "__name__", value))
def test_the_networks_are_those_of_the_example(build: object, depth: int) -> None:
    model = build((32, 32, 3), depth)  # type: ignore[operator]
    assert (model.count_params(), len(model.layers)) == COUNTS[build, depth]
    assert model.output_shape == (None, 10)


def test_the_layers_of_version_2() -> None:
    model = resnet_v2((32, 32, 3), 29)
    kinds = Counter(type(layer).__name__ for layer in model.layers)
    assert {kind: kinds[kind] for kind in KINDS} == KINDS
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == TRAINED


@pytest.mark.skipif(not H5.is_dir(), reason="needs ../shared/h5")
def test_a_trained_network_of_others_computes_what_it_did() -> None:
    """ResNet8 of MLPerf Tiny, which is this one: its outputs were computed by tf_keras on TensorFlow 2.21."""
    model = resnet_v1((32, 32, 3), 8)
    model.load_weights(str(H5 / "tfk240_resnet_cifar.h5"))
    with np.load(H5 / "tfk240_resnet_cifar.npz") as stored:
        x, y = (stored[name] for name in stored.files)
    np.testing.assert_allclose(model.predict(x), y, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("build", "depth", "words"),
    [(resnet_v1, 21, r"v1 should be 6n\+2"), (resnet_v2, 2, r"v2 should be 9n\+2")],
)
def test_depths_that_there_are_not(build: object, depth: int, words: str) -> None:
    with pytest.raises(ValueError, match=f"{words}.*got {depth}"):
        build((32, 32, 3), depth)  # type: ignore[operator]


def test_the_learning_rate_falls_as_in_the_example() -> None:
    rate = cifar10_resnet.schedule(200)
    expected = {0: 1e-3, 80: 1e-3, 81: 1e-4, 120: 1e-4, 121: 1e-5, 160: 1e-5, 161: 1e-6, 180: 1e-6, 181: 5e-7}
    assert {epoch: rate(epoch) for epoch in expected} == pytest.approx(expected)


def test_it_learns_to_read_and_a_seed_repeats_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--depth", "8", "--epochs", "2", "--seed", "4", "--out"]
    accuracy = cifar10_resnet.main([*arguments, str(tmp_path / "a")])
    text = capsys.readouterr().out
    assert "ResNet8v1: 78,378 weights" in text  # two kernels of 3 x 3 x 16 less than for three colours
    assert accuracy > 0.4
    _, (x, y) = digits.load_data()
    guesses = load_model(tmp_path / "a" / "model.h5").predict(x[..., np.newaxis] / 16).argmax(-1)
    wrong = int(np.sum(guesses != y))
    assert accuracy == pytest.approx(1 - wrong / 360)
    assert f"Test accuracy: {accuracy:.4f}, {wrong} of 360 misread" in text
    with Image.open(tmp_path / "a" / "misread.png") as sheet:
        assert sheet.size == (8 + 8 * 104, 8 + 126 * min(4, -(-wrong // 8)))
    assert cifar10_resnet.main([*arguments, str(tmp_path / "b")]) == accuracy
    again = [load_model(tmp_path / folder / "model.h5").get_weights() for folder in "ab"]
    assert all(np.array_equal(one, other) for one, other in zip(*again, strict=True))


@pytest.fixture
def cifar(tmp_path: Path) -> Path:
    """Ten pictures of noise a file, in the form of CIFAR-10."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        batch = {b"data": rng.integers(0, 256, (10, 3072), np.uint8), b"labels": list(range(10))}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    return folder


def test_cifar10(cifar: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = cifar10_resnet.load(str(cifar))
    assert (data.x_train.shape, data.x_test.shape, data.classes[3]) == (
        (50, 32, 32, 3),
        (10, 32, 32, 3),
        "cat",
    )
    np.testing.assert_allclose(data.x_train.mean(axis=0), 0, atol=1e-6)
    assert data.y_test.argmax(-1).tolist() == list(range(10))
    out = tmp_path / "out"
    cifar10_resnet.main(
        ["--data", str(cifar), "--version", "2", "--depth", "11", "--epochs", "1", "--out", str(out)]
    )
    assert "ResNet11v2: 299,178 weights" in capsys.readouterr().out
    assert load_model(out / "model.h5").input_shape == (None, 32, 32, 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "nowhere"], r"nowhere/data_batch_1"),
        (["--data", "{}"], "test_batch"),
        (["--depth", "9"], r"6n\+2.*got 9"),
        (["--out", "{}/data_batch_1"], "data_batch_1"),
    ],
)
def test_wrong_input_is_named_in_one_line(
    arguments: list[str], words: str, cifar: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (cifar / "test_batch").write_bytes(b"damaged")
    given = ["--out", str(tmp_path / "out"), *(argument.replace("{}", str(cifar)) for argument in arguments)]
    with pytest.raises(SystemExit) as error:
        cifar10_resnet.main(given)
    assert error.value.code == 2
    said = capsys.readouterr().err
    assert (
        re.search(words, said)
        and said.startswith("python -m symgraph.models.cifar10_resnet: error: ")
        and said.count("\n") == 1
    )
