"""The disk cache of object code: private, checked, keyed by content, never in the way."""

from __future__ import annotations

import ctypes
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from symgraph.kernels import cache, jit


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "kernels"
    monkeypatch.setenv("SYMGRAPH_CACHE", str(place))
    return place


def answer_kernel(value: int) -> jit.Kernel:
    def emit(builder: object, function: object) -> None:
        builder.ret(jit.INT(value))  # type: ignore[attr-defined]

    return jit.ir_kernel("answer", emit, value)


def call(kernel: jit.Kernel) -> int:
    entry = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64)(kernel.address)
    return int(entry(None, 0))


def test_compiled_once_then_loaded(folder: Path) -> None:
    first, second = answer_kernel(41), answer_kernel(41)
    assert call(first) == call(second) == 41
    assert first.compile_seconds and second.compile_seconds == 0.0
    assert len(list(folder.glob("*.o"))) == 1


def test_other_content_is_another_kernel(folder: Path) -> None:
    assert call(answer_kernel(1)) == 1
    assert call(answer_kernel(2)) == 2
    assert len(list(folder.glob("*.o"))) == 2


@pytest.mark.parametrize("damage", [b"", b"short", b"symgraph-object-1\n" + bytes(40), None])
def test_a_damaged_file_is_a_miss(folder: Path, damage: bytes | None) -> None:
    call(answer_kernel(7))
    (file,) = folder.glob("*.o")
    good = file.read_bytes()
    file.write_bytes(good[:-1] + bytes([good[-1] ^ 1]) if damage is None else damage)
    again = answer_kernel(7)
    assert call(again) == 7
    assert again.compile_seconds
    assert file.read_bytes() == good


def test_a_folder_that_others_can_write_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "shared"
    place.mkdir()
    place.chmod(0o777)
    monkeypatch.setenv("SYMGRAPH_CACHE", str(place))
    assert cache.cache_folder() is None
    assert call(answer_kernel(8)) == 8
    assert not list(place.iterdir())


def test_a_foreign_folder_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "foreign"
    place.mkdir(mode=0o700)
    monkeypatch.setenv("SYMGRAPH_CACHE", str(place))
    monkeypatch.setattr(os, "getuid", lambda: place.stat().st_uid + 1)
    assert cache.cache_folder() is None


def test_a_link_to_a_folder_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.setenv("SYMGRAPH_CACHE", str(tmp_path / "link"))
    assert cache.cache_folder() is None


def test_no_folder_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SYMGRAPH_CACHE", "")
    assert cache.cache_folder() is None
    monkeypatch.setenv("SYMGRAPH_CACHE", str(tmp_path / "file" / "below"))
    (tmp_path / "file").write_text("not a folder")
    assert cache.cache_folder() is None
    assert call(answer_kernel(9)) == 9


def test_a_full_disk_leaves_nothing_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    assert call(answer_kernel(10)) == 10
    assert not list(folder.iterdir())


def test_every_part_of_the_key_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    base = answer_kernel(3).symbol
    assert jit.ir_kernel("other", lambda b, f: None, 3).symbol != base
    assert answer_kernel(4).symbol != base
    for name, value in (("FLAGS", {"fast"}), ("TARGET", type("T", (), {"cpu": "x", "features": ""})())):
        jit._source_digest.cache_clear()
        with monkeypatch.context() as patch:
            patch.setattr(jit, name, value)
            assert answer_kernel(3).symbol != base
    jit._source_digest.cache_clear()
    assert answer_kernel(3).symbol == base


PROGRAM = """
import numpy as np, sys
from symgraph.kernels import jit
import ctypes
def make(value):
    return jit.ir_kernel("answer", lambda b, f: b.ret(jit.INT(value)), value)
for value in range(60):
    k = make(value)
    got = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64)(k.address)(None, 0)
    assert got == value, (got, value)
print("fine")
"""


def test_processes_share_one_folder(folder: Path) -> None:
    environment = dict(os.environ, SYMGRAPH_CACHE=str(folder))
    runs = [
        subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    runs[0].kill()
    answers = [run.communicate()[0].strip() for run in runs]
    assert answers[1:] == ["fine"] * 3
    loaded = [p for p in folder.iterdir() if p.suffix == ".o"]
    assert len(loaded) == 60


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_long_compilations_are_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMGRAPH_CACHE", "")
    notice = jit._Notice()
    monkeypatch.setattr(jit, "_notice", notice)
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    call(answer_kernel(101))
    assert terminal.getvalue() == ""
    notice.seconds = 1.5
    call(answer_kernel(102))
    assert "compiling kernels, once for this machine: answer" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    call(answer_kernel(103))
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]


def test_numba_kernels_are_cached_too(folder: Path) -> None:
    def body(operands, tile):  # type: ignore[no-untyped-def]
        operands[0] = operands[0] * 2 + tile
        return 0

    words = np.array([21], np.int64)
    for expected, compiled in ((43, True), (87, False)):
        kernel = jit.numba_kernel("twice", body, "test")
        entry = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64)(kernel.address)
        assert entry(words.ctypes.data, 1) == 0
        assert words[0] == expected
        assert bool(kernel.compile_seconds) is compiled
    assert "mov" in kernel.assembly() or "ldr" in kernel.assembly()
    assert kernel.symbol in kernel.llvm()
    assert "operands[0] * 2" in kernel.source()
