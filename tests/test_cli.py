"""The command `symgraph`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symgraph import backend as K
from symgraph import cli, layers
from symgraph.compiler.function import Function
from symgraph.engine.training_parts.trial import trial_data, trial_run
from symgraph.inspection.facts.hardware import hardware_facts
from symgraph.inspection.text import doctor
from symgraph.models import Model, Sequential


def test_warmup_fills_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("SYMGRAPH_CACHE", str(tmp_path / "kernels"))
    monkeypatch.setattr(cli, "_OPTIMIZERS", ("sgd",))
    networks = [next(cli._networks())]
    monkeypatch.setattr(cli, "_networks", lambda: iter(networks))
    assert cli.main(["warmup"]) == 0
    assert "kernels in" in capsys.readouterr().out


def test_warmup_without_a_folder_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("SYMGRAPH_CACHE", "")
    assert cli.main(["warmup"]) == 1
    assert "nothing would be kept" in capsys.readouterr().out


def test_an_unknown_command_is_refused(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["fly"])
    assert caught.value.code == 2
    assert "invalid choice: 'fly'" in capsys.readouterr().err


# doctor


def test_doctor_finds_a_machine_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("SYMGRAPH_CACHE", str(tmp_path))
    assert cli.main(["doctor"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for part in ("versions", "processor", "kernel cache", "ceilings", "compiler", "check"):
        assert f"{part} ok" in text
    assert f"SYMGRAPH_CACHE={tmp_path}" in text


def test_doctor_finds_kernels_that_compute_nonsense(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(doctor, "matmul", lambda a, b, threads: (a @ b) * 1.01)
    assert cli.main(["doctor"]) == 1
    assert "FAILED" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "name", "text"),
    [
        ({"threads": 9, "processors": 2}, "threads", "more threads than processors"),
        ({"threading_layer": "workqueue"}, "threads", "calls wait for each other"),
        ({"clock": ""}, "clock", "profiles have no times of rows"),
        ({"cache": None}, "kernel cache", "compiled anew in every process"),
        ({"cache": "/nowhere/at/all"}, "kernel cache", "cannot be written to"),
    ],
)
def test_doctor_warns(changes: dict[str, Any], name: str, text: str) -> None:
    hardware = replace(hardware_facts(), **{"threads": 1, "processors": 4, **changes})
    (found,) = [finding for finding in doctor.examine(hardware) if finding.name == name]
    assert found.verdict == doctor.WARNING and text in found.text


def test_doctor_knows_the_quota_of_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_QUOTA", tmp_path / "cpu.max")
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    hardware = replace(hardware_facts(), threads=4, processors=8)
    (found,) = [finding for finding in doctor.examine(hardware) if finding.name == "threads"]
    assert found.verdict == doctor.WARNING and "may use 1.5 of them" in found.text
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (found,) = [finding for finding in doctor.examine(hardware) if finding.name == "threads"]
    assert found.verdict == doctor.GOOD


# report


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = Sequential()
    model.add(layers.Embedding(11, 4, input_length=5, name="words"))
    model.add(layers.Flatten())
    model.add(layers.Dense(3, activation="softmax", name="classes"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    path = tmp_path_factory.mktemp("cli") / "model.h5"
    model.save(path)
    return path


def test_a_report_is_printed(saved: Path, capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["report", str(saved), "--batches", "4", "--batch-size", "7"]) == 0
    text = capsys.readouterr().out
    assert "train_function((7, 5), (7, 1), (7,))" in text
    assert "warm  3 calls" in text and "\nclasses " in text and "\nwords " in text


def test_reports_are_written_and_compared(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    for path, size in ((a, 8), (b, 16)):
        options = ["--out", str(path), "--function", "predict", "--batch-size", str(size)]
        assert cli.main(["report", str(saved), *options]) == 0
    assert json.loads(a.read_text())["functions"][0]["facts"]["name"] == "predict_function"
    capsys.readouterr()
    assert cli.main(["report", str(a), str(b)]) == 0
    assert "other input shapes: [[8, 5]] → [[16, 5]]" in capsys.readouterr().out
    assert cli.main(["report", str(a), str(b), "--fail-if", "flops>+90%", "--fail-if", "rows>+50%"]) == 1
    text = capsys.readouterr().out
    assert "broken: flops>+90%: predict_function:" in text and "(+100.0 %)" in text
    assert "broken: rows" not in text
    assert cli.main(["report", str(a), str(b), "--fail-if", "flops>+101%"]) == 0
    assert cli.main(["report", str(b), str(a), "--fail-if", "flops<-49%"]) == 1
    capsys.readouterr()
    assert cli.main(["report", str(a), str(b), "--fail-if", "speed>3"]) == 2
    captured = capsys.readouterr()
    assert "symgraph report: expected a rule such as" in captured.err and captured.out == ""


def test_data_of_a_file_are_taken(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    x, y = np.zeros((6, 5), "int32"), np.zeros((6, 1), "int32")
    np.savez(tmp_path / "short.npz", x=x, y=y)
    np.savez(tmp_path / "long.npz", words_input=x, classes=y)
    np.savez(tmp_path / "train.npz", x_train=x)
    np.savez(tmp_path / "wrong.npz", z=x)
    (tmp_path / "text.npz").write_text("text")
    for name in ("short", "long"):
        assert cli.main(["report", str(saved), "--data", str(tmp_path / f"{name}.npz")]) == 0
        assert "train_function((6, 5), (6, 1), (6,))" in capsys.readouterr().out
    assert cli.main(["report", str(saved), "--data", str(tmp_path / "train.npz")]) == 0
    assert "predict_function((6, 5))" in capsys.readouterr().out
    assert cli.main(["report", str(saved), "--data", str(tmp_path / "wrong.npz")]) == 2
    assert "expected arrays words_input (or x), got z" in capsys.readouterr().err
    assert cli.main(["report", str(saved), "--data", str(tmp_path / "text.npz")]) == 2
    assert "is no .npz file" in capsys.readouterr().err
    options = ["--data", str(tmp_path / "train.npz"), "--function", "train"]
    assert cli.main(["report", str(saved), *options]) == 2
    assert "train: expected a model that was compiled, and targets" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["nothing.h5"], "nothing.h5"),
        (["a", "b", "c"], "expected a model or two profiles, got 3 files"),
        (["model.h5", "--out", "x.pdf"], "--out: expected a name that ends in .html, .json or .txt"),
        (["model.h5", "--batches", "1"], "at least 2 --batches"),
        (["model.h5", "--fail-if", "time>3"], "--fail-if: expected two profiles"),
        (["a.json", "b.json"], "a.json"),
        (["a.json"], "a.json: give a second profile"),
        (["a.json.gz", "--fail-if", "time>3"], "a.json.gz: give a second profile"),
        (["a.json", "b.json", "--out", "c.html"], "--out: expected a model to run, got two profiles"),
        (["a.json", "b.json", "--data", "x.npz"], "--data: expected a model to run, got two profiles"),
        (["a.json", "b.json", "--function", "test"], "--function: expected a model to run, got two profiles"),
        (["a.json", "b.json", "--batches", "10"], "--batches: expected a model to run, got two profiles"),
        (["a.json", "b.json", "--batch-size", "32", "--out", "c"], "--out, --batch-size: expected a model"),
    ],
)
def test_wrong_reports_are_one_line(options: list[str], text: str, capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["report", *options]) == 2
    captured = capsys.readouterr()
    assert text in captured.err and len(captured.err.splitlines()) == 1


@pytest.fixture(scope="module")
def profiled(saved: Path) -> dict[str, Any]:
    path = saved.with_name("profile.json")
    assert cli.main(["report", str(saved), "--out", str(path), "--function", "predict"]) == 0
    return json.loads(path.read_text())  # type: ignore[no-any-return]


def compared(folder: Path, a: Any, b: Any, *rules: str) -> int:
    """The exit code for two files a.json and b.json with these data."""
    for name, data in (("a", a), ("b", b)):
        (folder / f"{name}.json").write_text(json.dumps(data))
    options = [option for text in rules for option in ("--fail-if", text)]
    return cli.main(["report", str(folder / "a.json"), str(folder / "b.json"), *options])


def test_cold_times_give_no_verdict(
    profiled: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (function,) = profiled["functions"]
    cold = profiled | {"functions": [function | {"warm": False}]}
    text = "the second has only its first call"
    assert compared(tmp_path, profiled, cold) == 0
    assert f"{text}: times cannot be compared" in capsys.readouterr().out
    assert compared(tmp_path, profiled, cold, "rows>+0") == 0
    capsys.readouterr()
    assert compared(tmp_path, profiled, cold, "time>+10%") == 2
    captured = capsys.readouterr()
    assert f"time>+10%: predict_function: no verdict, {text}" in captured.err
    assert "broken" not in captured.out


def test_a_function_that_is_gone_breaks_rules(
    profiled: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (function,) = profiled["functions"]
    other = function | {"facts": function["facts"] | {"name": "other"}}
    both = profiled | {"functions": [function, other]}
    gone = profiled | {"functions": [other]}
    assert compared(tmp_path, both, gone) == 0
    capsys.readouterr()
    assert compared(tmp_path, both, gone, "rows>+0") == 1
    assert "broken: rows>+0: predict_function is only in the first" in capsys.readouterr().out


def test_incomplete_profiles_are_one_line(
    profiled: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (function,) = profiled["functions"]
    for change, text in (
        ({"functions": [None]}, "functions[0]: expected an object, got null"),
        ({"functions": [function | {"facts": {}}]}, "functions[0].facts: name, shapes, threads"),
        ({"functions": [function | {"row_seconds": [0.1]}]}, "functions[0].row_seconds: expected"),
        ({"machine": {}}, "machine: processor, threads, versions missing"),
    ):
        assert compared(tmp_path, profiled, profiled | change) == 2
        captured = capsys.readouterr()
        assert f"b.json: incomplete profile: {text}" in captured.err
        assert len(captured.err.splitlines()) == 1 and captured.out == ""


def test_random_data_fit_models_of_all_kinds() -> None:
    pictures, steps = layers.Input((8, 8, 2), name="pictures"), layers.Input((None, 3), name="steps")
    joined = layers.concatenate([layers.Flatten()(pictures), layers.LSTM(4)(steps)])
    outputs = [layers.Dense(3, activation="softmax")(joined), layers.Dense(2)(joined)]
    model = Model([pictures, steps], outputs)
    model.compile("sgd", ["categorical_crossentropy", "mse"])
    data = trial_data(model, 6)
    assert [x.shape for x in data.x] == [(6, 8, 8, 2), (6, 16, 3)]
    np.testing.assert_array_equal(data.y[0].sum(axis=1), np.ones(6))
    assert data.y[1].shape == (6, 2)
    function = trial_run(model, data, "test", 4, 3)
    assert function is model.test_function
    fixed = Sequential([layers.Dense(2, batch_input_shape=(5, 3))])
    data = trial_data(fixed, 32)
    assert data.x[0].shape == (5, 3)
    assert trial_run(fixed, data, None, 32, 2) is fixed.predict_function
    with pytest.raises(ValueError, match="its input shape is not known"):
        trial_data(Sequential([layers.Dense(2)]), 3)
    K.clear_session()


def test_a_page_is_written_with_the_profile_of_the_run(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str, int]] = []

    def page(function: Function, path: str, profile: Any) -> None:
        (times,) = profile.functions
        asked.append((function.name, path, times.calls))

    monkeypatch.setattr(Function, "report", page, raising=False)
    path = str(tmp_path / "page.html")
    assert cli.main(["report", str(saved), "--out", path, "--function", "test", "--batches", "3"]) == 0
    assert asked == [("test_function", path, 2)]


# run


def test_run_gives_all_that_follows_to_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also without `symgraph.__main__`, and options of Python as they are."""
    given: list[object] = []
    monkeypatch.setattr(cli, "run_script", lambda arguments: given.append(arguments) or 5)
    assert cli.main(["run", "-m", "pytest", "--help"]) == 5
    assert cli.main(["run", "script.py", "-h"]) == 5
    assert given == [["-m", "pytest", "--help"], ["script.py", "-h"]]


def test_run_tells_how_it_is_used(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["run", "--help"])
    assert caught.value.code == 0
    assert "symgraph run [options of Python] (script.py | -m module | -c code)" in capsys.readouterr().out
