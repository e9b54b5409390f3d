"""`symgraph scale`: what it prints, and one line for each thing that is wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from symgraph import cli
from symgraph.cli import main
from symgraph.distributed.scaling.network import PRESETS, Network, nbytes, network, rate, seconds

FIGURES = ["--step-time", "27ms", "--gradient-bytes", "4.8MB", "--batch-size", "128", "--nodes", "1,2,6"]
STEP = ["scale", *FIGURES]


@pytest.fixture(autouse=True)
def imports_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts find symgraph by the names of Keras in the process of a command, not in that of the tests."""
    monkeypatch.setattr(cli, "answer_imports", lambda: None)


def test_all_figures_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """One number by hand: a ring of 6 takes 10 · 20 µs + 2 · 5/6 of 4 ms + 5/6 of 1.2 ms (4 GB/s)."""
    chosen = ["--latency", "20us", "--bandwidth", "1.2GB/s", "--reduction", "4GB/s", "--json"]
    assert main([*STEP, *chosen]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["network"] == {
        "name": "network",
        "latency": pytest.approx(2e-5),
        "bandwidth": pytest.approx(1.2e9),
        "reduction": pytest.approx(4e9),
    }
    assert (data["workload"]["step"], data["workload"]["nbytes"]) == (0.027, pytest.approx(4.8e6))
    rows = data["predictions"]
    # Two scalings, three numbers of nodes, four algorithms, with and without overlap.
    assert len(rows) == 2 * 3 * 4 * 2
    found = {(r["scaling"], r["nodes"], r["algorithm"], r["overlap"]): r for r in rows}
    ring = found["weak", 6, "ring", False]
    took = 10 * 20e-6 + 2 * 5 / 6 * 4e-3 + 5 / 6 * 1.2e-3
    assert ring["allreduce"] == pytest.approx(took)
    assert ring["step"] == pytest.approx(0.027 + took)
    assert ring["throughput"] == pytest.approx(768 / (0.027 + took))
    assert ring["efficiency"] == pytest.approx(0.027 / (0.027 + took))
    assert found["strong", 6, "ring", False]["step"] == pytest.approx(0.027 * 22 / 128 + took)
    assert all(r["efficiency"] == pytest.approx(1) for r in rows if r["nodes"] == 1)


def test_tables(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*STEP, "--network", "1gbe", "--scaling", "weak"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("figures: 27 ms a step of 128 samples on one node")
    assert lines[1] == "1gbe: 50 µs a message, 117.7 MB/s, 10 GB/s added"
    assert lines[3] == "weak scaling: 128 samples on each node"
    heads = "nodes compute ring overlapped rabenseifner overlapped doubling overlapped tree overlapped best"
    assert lines[4].split()[:11] == heads.split()
    assert [line.split()[0] for line in lines[5:8]] == ["1", "2", "6"]
    assert "strong" not in "".join(lines)
    assert main([*STEP, "--algorithm", "tree"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[4].split()[:6] == ["nodes", "compute", "allreduce", "step", "samples/s", "efficiency"]
    assert any(line.startswith("strong scaling: 128 samples on all nodes together") for line in lines)


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ("2..1024", [2**k for k in range(1, 11)]),
        ("3..20", [3, 6, 12, 20]),
        ("4..4", [4]),
        ("8,2,2,5", [2, 5, 8]),
    ],
)
def test_numbers_of_nodes(nodes: str, expected: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*STEP, "--nodes", nodes, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["predictions"]
    assert sorted({row["nodes"] for row in rows}) == expected


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--nodes", "2..8"], "expected a model, a script, a profile, --step-time, or --measure"),
        (["m.h5"], "--nodes: expected numbers of nodes, such as 2..1024"),
        (["m.h5", *FIGURES], "--step-time: expected no model or script beside it, got m.h5"),
        (["--step-time", "1s", "--nodes", "2"], "--gradient-bytes: expected beside --step-time"),
        ([*FIGURES[:4], "--nodes", "2"], "--batch-size: expected beside --step-time"),
        (["m.h5", "--nodes", "2", "--fixed-time", "1s"], "--fixed-time: expected --step-time, too"),
        ([*FIGURES, "--gradient-bytes", "0B"], "--gradient-bytes: expected more than 0, got 0"),
        ([*FIGURES, "--fixed-time", "28ms"], "fixed time: expected at most the step's 0.027 s"),
        ([*FIGURES, "--backward-share", "2"], "backward share: expected 0 to 1, got 2"),
        ([*FIGURES, "--batch-size", "0"], "--batch-size: expected at least 1, got 0"),
        ([*FIGURES, "--step-time", "0s"], "step time: expected more than 0"),
        ([*FIGURES, "--buckets", "0"], "--buckets: expected at least 1, got 0"),
        ([*FIGURES, "--network", "token-ring"], "expected one of 1gbe, 10gbe, .* got 'token-ring'"),
        ([*FIGURES, "--network", "none.json"], "none.json"),
        ([*FIGURES, "--network", "1gbe", "--latency", "1us"], "--network: expected no --latency"),
        ([*FIGURES, "--latency", "1us"], "--latency and --bandwidth: expected both or none"),
        ([*FIGURES, "--latency", "1us", "--bandwidth", "0B/s"], "bandwidth should be more than 0, got 0"),
        ([*FIGURES, "--out", "a.json"], "--out: expected --measure"),
        (["--measure", "--out", "a.txt"], "--out: expected a name that ends in .json, got 'a.txt'"),
        (["--measure", "--nodes", "2"], "--nodes and --batch-size: expected a model"),
        (["--measure"], "--measure: expected two or more processes of MPI, got one: start it as `mpirun"),
        (["m.h5", "--nodes", "2", "--", "x"], "x behind --: expected a script that takes it"),
        (["m.json", "--nodes", "2", "--batch-size", "8"], "--batch-size: m.json has its own"),
        (["none.py", "--nodes", "2"], "there is no file 'none.py'"),
        (["none.h5", "--nodes", "2"], "none.h5"),
        (["nonet", "--nodes", "2"], "expected a model .* or one of mnist_cnn, .* got 'nonet'"),
    ],
)
def test_one_line_for_what_is_wrong(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scale", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("symgraph scale: ") and err.count("\n") == 1
    assert re.search(words, err), err


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--nodes", "0..4", "expected numbers of nodes from 1 to"),
        ("--nodes", "8..2", "such as 2..1024 or 2,3,8, got '8..2'"),
        ("--nodes", "many", "got 'many'"),
        ("--step-time", "27", "expected a time with a unit, such as 27ms or 1.5us, got '27'"),
        ("--step-time", "27MB", "expected a time with a unit"),
        ("--step-time", "-1s", "expected"),
        ("--gradient-bytes", "4.8Mb", "expected bytes with a unit, such as 4.8MB or 512KiB, got '4.8Mb'"),
        ("--bandwidth", "10GB", "expected a rate with a unit, such as 1.17GB/s or 10Gb/s, got '10GB'"),
    ],
)
def test_values_that_are_none(
    option: str, value: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*STEP, f"{option}={value}"])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_units() -> None:
    assert (seconds("27ms"), seconds("1.5 us"), seconds("2e1ns")) == pytest.approx((0.027, 1.5e-6, 2e-8))
    assert (nbytes("4.8MB"), nbytes("512KiB"), nbytes("7B")) == pytest.approx((4.8e6, 2**19, 7))
    assert (rate("1.17GB/s"), rate("10Gb/s")) == pytest.approx((1.17e9, 1.25e9))


def test_networks_by_name_and_from_files(tmp_path: Path) -> None:
    assert network("10GbE") is PRESETS["10gbe"]
    measured = Network("measured", 1.25e-6, 3.5e9, 7e9)
    measured.save(tmp_path / "a.json")
    assert network(str(tmp_path / "a.json")) == measured
    for text in ("[]", "{", '{"latency": 1}', '{"name": "x", "latency": "fast", "bandwidth": 1}'):
        (tmp_path / "b.json").write_text(text)
        with pytest.raises(ValueError, match=r"b\.json: expected name, latency, bandwidth and reduction"):
            network(str(tmp_path / "b.json"))
