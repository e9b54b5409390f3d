"""The disk cache of object code: private, checked, keyed by content, never in the way."""

from __future__ import annotations

import ctypes
import io
import itertools
import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from symgraph.kernels.run import cache, jit


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


def assert_miss(file: Path, value: int, good: bytes) -> None:
    """The kernel is compiled again, gives the right answer, and its file is good again."""
    again = answer_kernel(value)
    assert call(again) == value
    assert again.compile_seconds
    assert file.read_bytes() == good


def test_a_damaged_file_is_a_miss(folder: Path) -> None:
    call(answer_kernel(7))
    (file,) = folder.glob("*.o")
    good = file.read_bytes()
    flipped = [good[:i] + bytes([good[i] ^ 1]) + good[i + 1 :] for i in (0, 30, 50, 200, len(good) - 1)]
    cut = [good[:length] for length in (0, 5, 17, 40, 49, 50, len(good) - 1)]
    for damage in [*flipped, *cut, good + b"\0", cache._MAGIC + bytes(40)]:
        file.write_bytes(damage)
        assert_miss(file, 7, good)


def test_a_file_of_another_kernel_is_a_miss(folder: Path) -> None:
    values = range(5)
    for value in values:
        call(answer_kernel(value))
    files = [folder / f"{answer_kernel(value).symbol}.o" for value in values]
    contents = [file.read_bytes() for file in files]
    for first, second in itertools.permutations(values, 2):
        files[first].write_bytes(contents[second])
        assert_miss(files[first], first, contents[first])


def test_code_of_another_processor_is_a_miss(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call(answer_kernel(5))
    (foreign,) = folder.glob("*.o")
    jit._source_digest.cache_clear()
    # The same instructions; as far as the key goes, a processor that has more of them.
    other = types.SimpleNamespace(cpu=jit.TARGET.cpu, features="+other", machine=jit.TARGET.machine)
    monkeypatch.setattr(jit, "TARGET", other)
    kernel = answer_kernel(5)
    call(kernel)
    (file,) = set(folder.glob("*.o")) - {foreign}
    good = file.read_bytes()
    file.write_bytes(foreign.read_bytes())
    assert_miss(file, 5, good)
    jit._source_digest.cache_clear()


@pytest.mark.parametrize("code", [b"", b"no object", b"\x7fELF" + bytes(60), None])
def test_code_without_the_entry_is_a_miss(folder: Path, code: bytes | None) -> None:
    call(answer_kernel(6))
    (file,) = folder.glob("*.o")
    good = file.read_bytes()
    if code is None:
        other = answer_kernel(60)
        code = jit.TARGET.machine().emit_object(jit._parse(other.llvm()))
    cache.store(folder, file.stem, code)
    assert cache.load(folder, file.stem) == code
    assert_miss(file, 6, good)


def test_a_kernel_without_entry_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMGRAPH_CACHE", "")
    other = answer_kernel(60).llvm()
    kernel = jit.Kernel("odd", 1, lambda symbol: other, lambda: "")
    with pytest.raises(RuntimeError, match="kernel odd: its object code has no entry"):
        kernel.address  # noqa: B018


def test_what_is_no_file_of_ones_own_is_a_miss(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(answer_kernel(7))
    (file,) = folder.glob("*.o")
    good = file.read_bytes()
    file.chmod(0o666)
    assert_miss(file, 7, good)
    (tmp_path / "elsewhere").write_bytes(good)
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere")
    assert_miss(file, 7, good)
    file.unlink()
    os.mkfifo(file)
    assert cache.load(folder, file.stem) is None
    file.unlink()
    file.mkdir()
    assert call(answer_kernel(7)) == 7
    file.rmdir()
    file.write_bytes(good)
    monkeypatch.setattr(os, "getuid", lambda: file.stat().st_uid + 1)
    assert cache.load(folder, file.stem) is None


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
from symgraph.kernels.run import jit
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
    # A file: kernels of code without one are not kept.
    script = folder.with_name("program.py")
    script.write_text(PROGRAM)
    runs = [
        subprocess.Popen([sys.executable, script], env=environment, stdout=subprocess.PIPE, text=True)
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
