"""The command `symgraph`."""

from __future__ import annotations

from pathlib import Path

import pytest

from symgraph import cli


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
