"""Which pictures a folder has."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from symgraph.preprocessing.image import DirectoryIterator
from symgraph.preprocessing.image.listing import find_classes, list_classes, list_pictures_below, part
from tests.preprocessing.stand_ins import Noisy


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def below(folder: Path, follow_links: bool = False) -> list[str]:
    return [name.replace(os.sep, "/") for name in list_pictures_below(str(folder), follow_links)]


def test_pictures_are_sorted_by_folder_then_name(tmp_path: Path) -> None:
    names = ["z.jpg", "B.png", "a/x.jpg", "a/b/x.jpg", "a-b/x.jpg", "b.png", "10.png", "9.png"]
    touch(tmp_path, *names)
    # Folders in the order of their paths, where "-" comes before "/".
    expected = ["10.png", "9.png", "B.png", "b.png", "z.jpg", "a/x.jpg", "a-b/x.jpg", "a/b/x.jpg"]
    assert below(tmp_path) == expected


def test_the_order_is_that_of_a_sorted_walk(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{a}{b}/{c}.png" for a in "xyz" for b in ("", "-", "/q") for c in "13aA"))
    walked = sorted(os.walk(tmp_path), key=lambda entry: entry[0])
    expected = [
        os.path.relpath(os.path.join(root, f), tmp_path) for root, _, fs in walked for f in sorted(fs)
    ]
    assert list_pictures_below(str(tmp_path), False) == expected


def test_endings_and_hidden_files(tmp_path: Path) -> None:
    good = ["a.png", "b.JPG", "c.jpeg", "d.bmp", "e.ppm", "f.tif", "g.tiff"]
    touch(tmp_path, *good, "h.gif", "i.txt", "jpg", "k.jpg.txt", "._a.png", ".hidden/x.png")
    assert below(tmp_path) == good


def test_what_is_no_file_is_no_picture(tmp_path: Path) -> None:
    touch(tmp_path, "x.jpg/y.png")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.jpg")
    assert below(tmp_path) == ["x.jpg/y.png"]


def test_links(tmp_path: Path) -> None:
    folder = touch(tmp_path / "data", "a/x.png", "b/y.png")
    touch(tmp_path / "elsewhere", "z.png")
    (folder / "file.png").symlink_to(tmp_path / "elsewhere" / "z.png")
    (folder / "broken.png").symlink_to(tmp_path / "nothing")
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "a" / "up").symlink_to(folder)
    (folder / "a" / "across").symlink_to(folder / "b")
    (folder / "b" / "across").symlink_to(folder / "a")
    files = ["broken.png", "file.png"]
    assert below(folder) == [*files, "a/x.png", "b/y.png"]
    assert below(folder, follow_links=True) == [
        *files,
        "a/x.png",
        "a/across/y.png",
        "b/y.png",
        "b/across/x.png",
        "link/z.png",
    ]


def test_classes(tmp_path: Path) -> None:
    touch(tmp_path, "dog/1.png", "cat/1.png", "cat/2.png", ".ipynb_checkpoints/x.png", "loose.png")
    assert find_classes(str(tmp_path)) == ["cat", "dog"]
    names, counts = list_classes(str(tmp_path), ["dog", "cow", "cat"], None, False)
    assert [name.replace(os.sep, "/") for name in names] == ["dog/1.png", "cat/1.png", "cat/2.png"]
    assert counts == [1, 0, 2]
    # A folder that is named is taken, hidden or not.
    assert list_classes(str(tmp_path), [".ipynb_checkpoints"], None, False).counts == [1]


def test_parts_are_disjoint_and_complete() -> None:
    for n in range(30):
        entries = [*range(n)]
        for fraction in (0.1, 0.29, 0.5, 0.9):
            first, second = part(entries, (0, fraction)), part(entries, (fraction, 1))
            assert first + second == entries
            assert len(first) == int(fraction * n)
    assert part([1, 2], None) == [1, 2]


def test_folders_that_cannot_be_listed(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no folder '.*no'"):
        list_pictures_below(str(tmp_path / "no"), False)
    with pytest.raises(NotADirectoryError, match=r"got the file '.*x'"):
        find_classes(str(touch(tmp_path, "x") / "x"))


def test_a_folder_of_100000_entries(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "data"
    expected = []
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for i in range(50_000):
            # Every tenth is no picture.
            file = f"{i * 7919 % 50_000:05d}.{'txt' if i % 10 == 0 else 'jpg'}"
            os.close(os.open(folder / name / file, os.O_CREAT | os.O_WRONLY))
            if i % 10:
                expected.append(os.path.join(name, file))
    iterator = DirectoryIterator(folder, Noisy(), class_mode="binary")
    assert capsys.readouterr().out == "Found 90000 images belonging to 2 classes.\n"
    assert iterator.filenames == sorted(expected)
    assert iterator.classes.sum() == 45_000
    shutil.rmtree(folder)
