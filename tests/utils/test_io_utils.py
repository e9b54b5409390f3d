"""Atomic writes: the old file or the new one, never anything between."""

import os
import subprocess
import sys

import pytest

from symgraph.utils.io_utils import ask_to_proceed_with_overwrite, atomic_path


def test_the_file_appears_when_the_block_ends(tmp_path):
    target = tmp_path / "file"
    with atomic_path(target) as temporary:
        temporary.write_text("new")
        assert not target.exists()
        assert temporary.parent == tmp_path
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_keeps_the_old_file(tmp_path, error):
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(error), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_permissions_and_links_are_kept(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    with atomic_path(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink() and real.read_text() == "new"
    assert real.stat().st_mode & 0o777 == 0o640


def test_new_files_have_the_usual_permissions(tmp_path):
    with atomic_path(tmp_path / "file"):
        pass
    (tmp_path / "other").write_text("")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_unusable_paths_are_named(tmp_path):
    with pytest.raises(IsADirectoryError, match="it is a folder"), atomic_path(tmp_path):
        pass
    with pytest.raises(FileNotFoundError, match="no folder"), atomic_path(tmp_path / "no" / "file"):
        pass


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_devices_and_pipes_are_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="pipe': it is a device or a pipe"), atomic_path(pipe):
        pass
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


@pytest.mark.parametrize("name", ["ü" * 120, "模" * 80, "[model]*?.h5"])
def test_names_of_any_kind(tmp_path, name):
    (tmp_path / "model.h5").write_text("other")
    for text in ("old", "new"):
        with atomic_path(tmp_path / name) as temporary:
            temporary.write_text(text)
    assert (tmp_path / name).read_text() == "new"
    assert len(list(tmp_path.iterdir())) == 2


def test_what_killed_writers_left_goes_after_a_day(tmp_path):
    target = tmp_path / "model.h5"
    names = [".model.h5.0123456789ab.part", ".model.h5.ba9876543210.part", ".other.h5.0123456789ab.part"]
    kept = [".model.h5.notes.part", "model.h5.0123456789ab.part"]
    for name in (*names, *kept):
        (tmp_path / name).write_text("left")
        os.utime(tmp_path / name, (0, 0))
    os.utime(tmp_path / names[1])
    with atomic_path(target) as temporary:
        temporary.write_text("new")
    assert {path.name for path in tmp_path.iterdir()} == {*names[1:], *kept, "model.h5"}


_WRITER = """
import sys
from symgraph.utils.io_utils import atomic_path
while True:
    for letter in "ab":
        with atomic_path(sys.argv[1]) as temporary, temporary.open("w") as file:
            for _ in range(64):
                file.write(letter * 4096)
                file.flush()
        print(letter, flush=True)
"""


def test_a_killed_writer_leaves_a_whole_file(tmp_path):
    target = tmp_path / "file"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for kill_after in range(1, 6):
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(target)], env=environment, stdout=subprocess.PIPE, text=True
        ) as process:
            for _ in range(kill_after):
                process.stdout.readline()
            process.kill()
        text = target.read_text()
        assert text in ("a" * 64 * 4096, "b" * 64 * 4096)


def test_asking(monkeypatch, capsys):
    for answers, expected in ((["y"], True), (["maybe", "n"], False), ([" Y "], True)):
        given = iter(answers)
        monkeypatch.setattr("builtins.input", lambda question, given=given: next(given))
        assert ask_to_proceed_with_overwrite("file") is expected
