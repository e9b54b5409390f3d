"""Scripts in the style of their time, unchanged through `symgraph run`, each to a sensible figure.

They were written for these tests. Those that need no data were run on the real Keras 2.2.4, too. It reaches
the same figures: text and stateful 1.000, bidirectional 1.0000, DQN '>>>>>', saliency (2, 5), GAN (3, -2).
Most run one after the other in one process, which loads symgraph once; some in a process of their own.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from symgraph.datasets import digits
from tests.alias.run import printed, symgraph_run

# What is made once for these tests is made in one process.
pytestmark = pytest.mark.xdist_group("old_scripts")

HERE = Path(__file__).parent
SCRIPTS = HERE / "scripts"

Case = tuple[str, list[str], str, float, float]

# Script, arguments, what it prints of its result, and the least and greatest number there.
FIGURES: list[Case] = [
    ("bidirectional_lstm", [], r"Test accuracy: (\S+)", 0.97, 1),
    ("cifar10_resnet", ["MNIST"], r"Test accuracy: (\S+)", 0.7, 1),
    ("dqn_agent", [], r"before the end: (\S+)", 0.9, 1.1),
    ("gan", [], r"generated mean: (\S+) ", 2.3, 3.7),
    ("grid_search", ["MNIST"], r"^acc: (\S+)", 0.65, 1),
    ("hdf5_matrix", [], r"Test accuracy: (\S+)", 0.85, 1),
    ("lstm_text_generation", [], r"right characters: (\S+)", 0.9, 1),
    ("mnist_siamese", ["MNIST"], r"on test set: (\S+)%", 85, 100),
    ("saliency", [], r"^accuracy: (\S+)", 0.95, 1),
    ("stateful_lstm", [], r"stateful accuracy: (\S+)", 0.9, 1),
    ("variational_autoencoder", ["--data", "MNIST"], r"after: (\S+)", 150, 300),
]
# What else a script has to say.
LINES = {
    "dqn_agent": ["'activation_2_loss', 'activation_2_mean_absolute_error', 'activation_2_mean_q']", ">>>>>"],
    "gan": ["6 4"],
    "grid_search": ["{'dense_layer_sizes': [32], 'epochs': 8}"],
    "hdf5_matrix": ["(150, 10) (3, 10) [1]", "(50, 1)"],
    "saliency": ["most salient pixel: (2, 5)"],
    "variational_autoencoder": ["decoded (28, 28)", "encoder_input (InputLayer)"],
}


@pytest.fixture(scope="module")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The bundled digits, three times as large, in a file like that of MNIST."""
    arrays = {}
    for part, (x, y) in zip(("train", "test"), digits.load_data(), strict=True):
        large = np.kron(x * 15, np.ones((3, 3), np.uint8))
        arrays[f"x_{part}"] = np.pad(large, ((0, 0), (2, 2), (2, 2))).astype("uint8")
        arrays[f"y_{part}"] = y.astype("uint8")
    path = tmp_path_factory.mktemp("mnist") / "mnist.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return str(path)


@pytest.fixture(scope="module")
def told(mnist: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """Output and traceback of every script."""
    lines = [
        [str(SCRIPTS / f"{name}.py"), *(mnist if word == "MNIST" else word for word in words)]
        for name, words, *_ in FIGURES
    ]
    folder = tmp_path_factory.mktemp("several")
    ran = symgraph_run(HERE / "several.py", json.dumps(lines), folder=folder, PYTHONWARNINGS="ignore")
    return {name: (said, error) for name, (said, error, _) in json.loads(printed(ran)).items()}


def figure(said: str, pattern: str) -> float:
    found = re.search(pattern, said, re.MULTILINE)
    assert found, said
    return float(found[1])


@pytest.mark.parametrize("case", FIGURES, ids=lambda case: case[0])
def test_a_script_reaches_its_figure(told: dict[str, tuple[str, str]], case: Case) -> None:
    name, _, pattern, least, most = case
    said, error = told[f"{name}.py"]
    assert error == "", said
    assert least <= figure(said, pattern) <= most, said
    for line in LINES.get(name, []):
        assert line in said


def test_the_spelling_of_tf_keras(mnist: str, tmp_path: Path) -> None:
    said = printed(symgraph_run(SCRIPTS / "tf_keras_cnn.py", mnist, folder=tmp_path))
    assert said.startswith('GPUs: 0\nModel: "sequential"\n')
    assert figure(said, r"Test accuracy: (\S+)") > 0.85
    assert figure(said, r"^validation accuracy (\S+)") > 0.7
    assert re.search(r" - accuracy: [\d.]+ - val_loss: [\d.]+ - val_accuracy: [\d.]+$", said, re.MULTILINE)
    assert said.endswith("['conv2d', 'batch_normalization', 'activation', 'conv2d_1'] True\n")
    assert (tmp_path / "best.h5").is_file()


def test_a_u_net_with_generators(tmp_path: Path) -> None:
    ran = symgraph_run(SCRIPTS / "unet.py", folder=tmp_path)
    said = printed(ran)
    assert figure(said, r"^dice: (\S+)") > 0.8
    assert (tmp_path / "unet_membrane.hdf5").is_file() and "saving model to unet_membrane.hdf5" in said
