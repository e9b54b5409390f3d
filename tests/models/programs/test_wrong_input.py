"""Wrong options and files end in one line and exit code 2, before any work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symgraph.models import (
    cifar10_resnet,
    deep_dream,
    mnist_cnn,
    mnist_mlp,
    siamese,
    text_generator,
    transfer_learning,
    variational_autoencoder,
)

READERS = [mnist_cnn, mnist_mlp, siamese, variational_autoencoder]
PROGRAMS = [*READERS, text_generator]
ALL = [*PROGRAMS, cifar10_resnet, deep_dream, transfer_learning]


def name_of(program: Any) -> str:
    return program.__name__.rpartition(".")[2]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The one line that a program says of these arguments."""

    def check(program: Any, *arguments: str) -> str:
        with pytest.raises(SystemExit) as end:
            program.main(list(arguments))
        printed = capsys.readouterr()
        assert end.value.code == 2
        assert printed.out == ""
        (line,) = printed.err.splitlines()
        return line.removeprefix(f"python -m symgraph.models.{name_of(program)}: error: ")

    return check


@pytest.mark.parametrize("program", ALL, ids=name_of)
def test_numbers_out_of_range(program: Any, refused: Callable[..., str]) -> None:
    for option, value, kind in (
        ("--epochs", "0", "at least 1"),
        ("--epochs", "1.5", "at least 1"),
        ("--epochs", "-", "at least 1"),
        ("--seed", "-1", "from 0 to 4294967295"),
        ("--seed", "4294967296", "from 0 to 4294967295"),
    ):
        line = refused(program, option, value)
        assert line == f"argument {option}: expected a whole number, {kind}, got {value!r}"


@pytest.mark.parametrize("program", [*PROGRAMS, cifar10_resnet], ids=name_of)
def test_batches_of_nothing(program: Any, refused: Callable[..., str]) -> None:
    line = refused(program, "--batch-size", "-3")
    assert line == "argument --batch-size: expected a whole number, at least 1, got '-3'"


@pytest.mark.parametrize("program", ALL, ids=name_of)
def test_a_folder_that_cannot_be_made(program: Any, refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    line = refused(program, "--out", str(tmp_path / "file"))
    assert line == f"--out: cannot make the folder {tmp_path / 'file'}: File exists"


@pytest.mark.parametrize("program", PROGRAMS, ids=name_of)
def test_no_such_file(program: Any, refused: Callable[..., str], tmp_path: Path) -> None:
    line = refused(program, "--data", str(tmp_path / "no.npz"), "--out", str(tmp_path / "out"))
    assert line.startswith("--data: ")
    assert str(tmp_path / "no.npz") in line
    assert list(tmp_path.iterdir()) == []


def arrays(**changed: np.ndarray) -> dict[str, np.ndarray]:
    whole: dict[str, np.ndarray] = {}
    for part in ("train", "test"):
        whole[f"x_{part}"] = np.full((20, 28, 28), 7, "uint8")
        whole[f"y_{part}"] = np.arange(20, dtype="uint8") % 10
    return whole | changed


@pytest.mark.parametrize("program", READERS, ids=name_of)
def test_files_that_are_no_digits(program: Any, refused: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "some.npz"
    path.write_bytes(b"no archive")
    assert str(path) in refused(program, "--data", str(path))
    for changed in (
        {"x_train": np.zeros((20, 28, 28), "uint8")},
        {"x_test": np.full((20, 28, 28), -1, "int8")},
        {"y_train": np.full(20, 10, "uint8")},
        {"x_test": np.zeros((0, 28, 28), "uint8"), "y_test": np.zeros(0, "uint8")},
        {"x_train": np.full((20, 28, 28), np.nan, "float32")},
    ):
        np.savez(path, **arrays(**changed))
        line = refused(program, "--data", str(path))
        assert line == (
            f"--data: {path} should have pictures, with pixels from 0 (paper) up, and labels from 0 to 9"
        )
    np.savez(path, **arrays(x_train=np.zeros((20, 28, 27), "uint8")))
    assert "expected x_train (n, 28, 28) and y_train (n,), got (20, 28, 27)" in refused(
        program, "--data", str(path)
    )


def test_pairs_need_two_pictures_of_a_class(refused: Callable[..., str], tmp_path: Path) -> None:
    np.savez(tmp_path / "few.npz", **arrays(y_test=np.array([*range(9), *range(9), 8, 9], "uint8")))
    line = refused(siamese, "--data", str(tmp_path / "few.npz"))
    assert line == "--data: pairs need at least two pictures of each of the 10 classes, got 1 of class 9"


def test_a_split_of_other_digits(refused: Callable[..., str]) -> None:
    line = refused(mnist_cnn, "--data", "mnist.npz", "--split", "shuffled")
    assert line == "--split is for the bundled digits: the file of --data has a split of its own"
    assert "invalid choice: 'half'" in refused(mnist_cnn, "--split", "half")


def test_texts(refused: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("short", encoding="utf-8")
    assert refused(text_generator, "--data", str(path)) == (
        "--data: a text should have at least 410 characters, got 5"
    )
    path.write_bytes(b"caf\xe9 " * 100)
    assert (
        refused(text_generator, "--data", str(path)) == f"--data: {path} is no text in UTF-8: byte 3 is 0xe9"
    )
    assert refused(text_generator, "--temperatures", "1", "0") == (
        "--temperatures: expected positive numbers, got 0"
    )
    assert refused(text_generator, "--temperatures", "nan") == (
        "--temperatures: expected positive numbers, got nan"
    )


@pytest.mark.parametrize("program", PROGRAMS, ids=name_of)
def test_help_names_every_option(program: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        program.main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    for option in ("--data", "--epochs", "--batch-size", "--out", "--seed"):
        assert option in text
    assert "None" not in text
