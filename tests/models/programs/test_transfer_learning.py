"""Transfer learning: what is frozen stays as it is, bit for bit, and what was learned before helps."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from symgraph import backend as K
from symgraph.models import MobileNet, Model, load_model, transfer_learning
from symgraph.models.pretrained import NETWORKS, load_base
from symgraph.models.transfer_tasks import digit_network, parity_task, photograph_task

# What is made once for these tests is made in one process.
pytestmark = pytest.mark.xdist_group("transfer_learning")


def test_only_what_is_not_frozen_changes() -> None:
    np.random.seed(1)
    task = parity_task(few=1, seed=0)
    base = transfer_learning.with_fixed_statistics(digit_network())
    transfer_learning.unfreeze(base, None)
    before = {layer.name: layer.get_weights() for layer in base.layers}
    head, _ = transfer_learning.train_head(base, task, epochs=3)
    for layer in base.layers:
        for now, then in zip(layer.get_weights(), before[layer.name], strict=True):
            assert np.array_equal(now, then), layer.name
    assert not np.array_equal(head.layers[-1].get_weights()[1], np.zeros(2))  # the bias starts from zero

    transfer_learning.unfreeze(base, "block3_conv")
    transfer_learning.learn(transfer_learning.joined(base, head), 1e-3, task, epochs=2)
    changed = {
        f"{layer.name}/{number}"
        for layer in base.layers
        for number, (now, then) in enumerate(zip(layer.get_weights(), before[layer.name], strict=True))
        if not np.array_equal(now, then)
    }
    # The kernel of the last block; normalisation stays frozen there, too.
    assert changed == {"block3_conv/0"}


def test_the_base_computes_the_same_while_others_train() -> None:
    original = digit_network()
    fixed = transfer_learning.with_fixed_statistics(original)
    x = np.random.default_rng(0).uniform(0, 1, (5, 8, 8, 1)).astype("float32")
    outputs = {}
    for name, model in (("original", original), ("fixed", fixed)):
        run = K.function([model.inputs[0], K.learning_phase()], [model.outputs[0]])
        outputs[name] = [run([x, phase])[0] for phase in (0, 1)]
    # The untrained averages are 0 and 1, which a batch of dark pictures is far from.
    assert np.abs(outputs["original"][0] - outputs["original"][1]).max() > 0.1
    assert np.array_equal(*outputs["fixed"])
    assert np.array_equal(outputs["fixed"][0], outputs["original"][0])
    assert K.learning_phase() not in (0, 1)  # each call says it again


def test_the_joined_network_is_the_head_on_the_features() -> None:
    base, task = digit_network(), parity_task(few=2, seed=3)
    head = transfer_learning.new_head(base, 2)
    features, labels = transfer_learning.outputs(base, task.batches("train", False))
    assert features.shape == (20, 1024)
    # Two pictures of each digit, in order.
    assert labels.argmax(-1).tolist() == [digit % 2 for digit in range(10) for _ in range(2)]
    pictures = task.batches("train", False).x
    whole = transfer_learning.joined(base, head).predict(pictures)
    np.testing.assert_allclose(whole, head.predict(features), rtol=1e-5, atol=1e-6)


def test_a_past_helps_and_a_seed_repeats_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer_learning, "READING_EPOCHS", 6)
    arguments = ["--epochs", "60", "--tune-epochs", "3", "--out", str(tmp_path / "a"), "--seed", "2"]
    found = transfer_learning.main(arguments)
    text = capsys.readouterr().out
    _, scratch, *transferred = (float(share) for share in re.findall(r"accuracy ([\d.]+)", text))
    assert transferred == [pytest.approx(share, abs=5e-5) for share in found]
    assert min(transferred) > scratch + 0.02
    task = parity_task(few=1, seed=2)
    x, y = task.batches("validation", False).x, task.batches("validation", False).y
    model = load_model(tmp_path / "a" / "model.h5")
    assert np.mean(model.predict(x).argmax(-1) == y.argmax(-1)) == pytest.approx(found[1], abs=1e-6)
    with Image.open(tmp_path / "a" / "answers.png") as sheet:
        # 10 pictures to learn from and 32 answers, in rows of eight.
        assert sheet.size == (8 + 8 * 104, 8 + 6 * 126)
    arguments[5] = str(tmp_path / "b")
    assert transfer_learning.main(arguments) == found
    assert (tmp_path / "a" / "answers.png").read_bytes() == (tmp_path / "b" / "answers.png").read_bytes()
    again = load_model(tmp_path / "b" / "model.h5")
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        assert np.array_equal(one, other)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bluish "cats" and reddish "dogs" of 40 x 40 pixels, and weights for a MobileNet."""
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for part, count in (("train", 6), ("validation", 3)):
        for kind, colour in (("cat", (30, 60, 160)), ("dog", (220, 90, 40))):
            (folder / part / kind).mkdir(parents=True)
            for number in range(count):
                pixels = np.clip(rng.normal(0, 20, (40, 40, 3)) + colour, 0, 255).astype("uint8")
                Image.fromarray(pixels).save(folder / part / kind / f"{number}.png")
    np.random.seed(5)
    model = MobileNet(weights=None, input_shape=(32, 32, 3), classes=3)
    config = model.get_config()
    for layer in config["layers"]:
        if layer["class_name"] == "BatchNormalization":
            layer["config"]["momentum"] = 0.0
    # One step gives it the statistics of noise: with those of a new network its signals would vanish.
    measured = Model.from_config(config)
    measured.compile("sgd", "mse")
    measured.train_on_batch(rng.normal(0, 1, (16, 32, 32, 3)), np.zeros((16, 3)))
    model.set_weights(measured.get_weights())
    model.save_weights(str(folder / "mobilenet.h5"))
    return folder


def test_photographs_and_a_ready_network(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = str(photographs / "mobilenet.h5")
    counts = ["--size", "32", "--epochs", "2", "--tune-epochs", "1"]
    found = transfer_learning.main(
        ["--data", str(photographs), "--weights", weights, *counts, "--out", str(tmp_path)]
    )
    assert all(0 <= share <= 1 for share in found)
    text = capsys.readouterr().out
    assert "New head on the frozen base, 2,050 weights" in text  # 1,024 features, 2 classes
    assert "from conv_dw_13 on" in text
    stored = MobileNet(weights=weights, input_shape=(32, 32, 3), classes=3)
    learned = load_model(tmp_path / "model.h5")
    changed = {
        layer.name
        for layer in stored.layers
        if layer.name in {found.name for found in learned.layers}
        for now, then in zip(learned.get_layer(layer.name).get_weights(), layer.get_weights(), strict=True)
        if not np.array_equal(now, then)
    }
    assert changed == {"conv_dw_13", "conv_pw_13"}
    with Image.open(tmp_path / "answers.png") as sheet:
        assert sheet.size == (8 + 8 * 104, 8 + 3 * 126)


def test_pictures_come_as_the_network_expects_them(photographs: Path) -> None:
    """Those of MobileNet from -1 to 1."""
    task = photograph_task(photographs, NETWORKS["MobileNet"].preprocess, 40, 0)
    assert task.classes == ["cat", "dog"]
    x, y = task.batches("validation", False)[0]
    assert y.tolist() == [[1, 0]] * 3 + [[0, 1]] * 3
    first = np.asarray(Image.open(photographs / "validation" / "cat" / "0.png"), "float32")
    np.testing.assert_allclose(x[0], first / 127.5 - 1, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "{}/nowhere"], "there is no folder .*nowhere/train"),
        (["--data", "{}", "--weights", "none.h5"], r"there is no file of weights none\.h5"),
        (["--data", "{}", "--weights", "{}/train/cat/0.png"], r"0\.png cannot be read as an HDF5 file"),
        (
            ["--data", "{}", "--weights", "{}/mobilenet.h5", "--base", "VGG16"],
            "not have the weights of VGG16",
        ),
        (["--data", "{}", "--weights", "{}/mobilenet.h5", "--size", "20"], "at least 32x32"),
    ],
)
def test_wrong_input_is_named_in_one_line(
    arguments: list[str],
    words: str,
    photographs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [argument.replace("{}", str(photographs)) for argument in arguments]
    with pytest.raises(SystemExit) as error:
        transfer_learning.main([*given, "--out", str(tmp_path)])
    assert error.value.code == 2
    said = capsys.readouterr().err
    assert (
        re.search(words, said)
        and said.startswith("python -m symgraph.models.transfer_learning: error: ")
        and said.count("\n") == 1
    )
    assert not list(tmp_path.iterdir())


def test_one_class_and_a_bad_picture(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in ("train", "validation"):
        (tmp_path / part / "cat").mkdir(parents=True)
        (tmp_path / part / "cat" / "broken.png").write_bytes(b"no picture")
    arguments = ["--data", str(tmp_path), "--weights", str(photographs / "mobilenet.h5"), "--size", "32"]
    for words in ("two or more classes", "no folder .*validation/dog", r"broken\.png"):
        with pytest.raises(SystemExit) as error:
            transfer_learning.main([*arguments, "--out", str(tmp_path / "out")])
        assert error.value.code == 2
        said = capsys.readouterr().err
        assert re.search(words, said) and said.count("\n") == 1
        missing = tmp_path / ("validation" if (tmp_path / "train" / "dog").is_dir() else "train") / "dog"
        missing.mkdir(exist_ok=True)


@pytest.mark.parametrize("option", ["--few", "--epochs", "--tune-epochs", "--size"])
def test_counts_are_at_least_one(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        transfer_learning.main([option, "0"])
    assert error.value.code == 2
    assert f"{option}: expected a whole number, at least 1, got '0'" in capsys.readouterr().err


def test_weights_of_a_base_with_its_classifier_and_without(photographs: Path, tmp_path: Path) -> None:
    whole = MobileNet(weights=str(photographs / "mobilenet.h5"), input_shape=(32, 32, 3), classes=3)
    base = load_base("MobileNet", str(photographs / "mobilenet.h5"), (32, 32, 3), "avg")
    base.save_weights(str(tmp_path / "base.h5"))
    same = load_base("MobileNet", str(tmp_path / "base.h5"), (None, None, 3), None)
    for model in (base, same):
        for layer in model.layers:
            for one, other in zip(
                layer.get_weights(),
                whole.get_layer(layer.name).get_weights() if layer.weights else [],
                strict=True,
            ):
                assert np.array_equal(one, other)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_last_block_is_an_end_of_the_network(name: str, quick: None) -> None:
    """Nothing that stays frozen reads from it; and the layers to dream of are in front of the last ones."""
    K.clear_session()
    model = NETWORKS[name].build(include_top=False, weights=None, input_shape=(75, 75, 3), pooling="avg")
    layers = [layer.name for layer in model.layers]
    block = set(layers[layers.index(NETWORKS[name].last_block) :])
    assert any(model.get_layer(layer).weights for layer in block) and len(block) < len(layers) / 2
    for layer in model.get_config()["layers"]:
        if layer["name"] not in block:
            assert not {source[0] for node in layer["inbound_nodes"] for source in node} & block
    assert all(len(model.get_layer(layer).output_shape) == 4 for layer in NETWORKS[name].dream)
