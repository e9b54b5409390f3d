"""Batches from folders of pictures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from symgraph.preprocessing.image.iterator import sample_seeds
from tests.preprocessing.stand_ins import Noisy, folders, numbered, numbers, plain, same


@pytest.fixture(autouse=True)
def _several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pictures, too, are read by all threads."""
    monkeypatch.setattr("symgraph.preprocessing.image.file_iterator._WORTH_SHARING", 0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return numbered(tmp_path / "data", {"cat": 9, "dog": 7, "owl": 7})


def test_targets_of_each_class_mode(folder: Path) -> None:
    two = {"classes": ["cat", "owl"], "batch_size": 16, "shuffle": False}
    labels = [0] * 9 + [1] * 7
    pictures = [*range(9), *range(16, 23)]
    x, y = next(folders(folder, class_mode="categorical", **two))
    assert numbers(x) == pictures
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, np.eye(2)[labels])
    x, y = next(folders(folder, class_mode="binary", **two))
    assert y.dtype == np.float32
    assert y.tolist() == labels
    x, y = next(folders(folder, class_mode="sparse", **two))
    assert y.dtype == np.int32
    assert y.tolist() == labels
    x, y = next(folders(folder, class_mode="input", **two))
    np.testing.assert_array_equal(x, y)
    assert not np.shares_memory(x, y)
    x = next(folders(folder, class_mode=None, **two))
    assert numbers(x) == pictures
    assert x.shape == (16, 4, 3, 3)
    assert plain(x)[0, 0, 0].tolist() == [0, 100, 200]


def test_what_an_iterator_tells_of_a_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    iterator = folders(folder)
    assert capsys.readouterr().out == "Found 23 images belonging to 3 classes.\n"
    assert iterator.class_indices == {"cat": 0, "dog": 1, "owl": 2}
    assert iterator.classes.tolist() == [0] * 9 + [1] * 7 + [2] * 7
    assert iterator.filenames[8:10] == [os.path.join("cat", "008.png"), os.path.join("dog", "000.png")]
    assert (iterator.samples, iterator.n, iterator.num_classes) == (23, 23, 3)
    assert iterator.directory == str(folder)
    assert (iterator.image_shape, iterator.target_size) == ((4, 3, 3), (4, 3))


def test_layouts_and_color_modes(folder: Path) -> None:
    for mode, channels in (("grayscale", 1), ("rgb", 3), ("rgba", 4)):
        x, _ = next(folders(folder, color_mode=mode, shuffle=False))
        assert x.shape == (5, 4, 3, channels)
        first = folders(folder, color_mode=mode, shuffle=False, generator=Noisy("channels_first"))
        assert first.image_shape == (channels, 4, 3)
        np.testing.assert_array_equal(next(first)[0], x.transpose(0, 3, 1, 2))
        expected = np.asarray(Image.new("RGB", (1, 1), (0, 100, 200)).convert(_mode(mode)))
        assert plain(x)[0, 0, 0].tolist() == expected.reshape(-1).tolist()


def _mode(color_mode: str) -> str:
    return {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}[color_mode]


def test_pictures_are_brought_to_the_size_asked_for(tmp_path: Path) -> None:
    pixels = np.random.RandomState(0).randint(0, 256, (11, 13, 3)).astype("uint8")
    (tmp_path / "a").mkdir()
    Image.fromarray(pixels).save(tmp_path / "a" / "x.png")
    for name in ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"):
        x, _ = next(folders(tmp_path, target_size=(5, 7), interpolation=name))
        expected = Image.fromarray(pixels).resize((7, 5), Image.Resampling[name.upper()])
        np.testing.assert_array_equal(plain(x)[0], np.asarray(expected))


def test_subsets_are_parts_of_each_class(folder: Path) -> None:
    generator = Noisy(split=0.3)
    validation = folders(folder, subset="validation", generator=generator)
    training = folders(folder, subset="training", generator=generator)
    # int(0.3 * 9), int(0.3 * 7), int(0.3 * 7), from the beginning
    assert validation.filenames == [
        os.path.join(c, f"{i:03d}.png") for c in ("cat", "dog", "owl") for i in (0, 1)
    ]
    assert not {*validation.filenames} & {*training.filenames}
    assert sorted(validation.filenames + training.filenames) == folders(folder).filenames
    assert training.classes.tolist() == [0] * 7 + [1] * 5 + [2] * 5


def test_pictures_can_be_saved(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    options: dict[str, Any] = {"save_to_dir": out, "save_prefix": "p", "batch_size": 2}
    iterator = folders(folder, **options)
    x, _ = iterator[0]
    iterator[0]  # writes the same files again
    order = np.random.RandomState(7).permutation(23)[:2]
    names = [f"p_{i}_{seed % 10**7}.png" for i, seed in zip(order, sample_seeds(7, 0, order), strict=True)]
    assert sorted(os.listdir(out)) == sorted(names)
    pixels = np.asarray(Image.open(out / names[0])).astype(int)
    assert pixels.max() == 255
    np.testing.assert_allclose(pixels, x[0] / x[0].max() * 255, atol=1)
    folders(folder, save_format="jpeg", color_mode="rgba", **options)
    with pytest.warns(UserWarning, match="does not support RGBA"):
        folders(folder, save_format="jpeg", color_mode="rgba", **options)[0]
    assert len(os.listdir(out)) == 4


def test_bad_arguments_for_folders_are_refused(folder: Path) -> None:
    for options, words in [
        ({"class_mode": "other"}, 'Invalid class_mode: \'other\'; expected one of "categorical", "binary"'),
        ({"color_mode": "bgr"}, 'Invalid color mode: \'bgr\'; expected "rgb", "rgba", or "grayscale"'),
        ({"target_size": None}, r"target_size must be \(height, width\) in pixels, got None"),
        ({"target_size": (4, 0)}, r"target_size must be .* got \(4, 0\)"),
        ({"target_size": 4}, "target_size must be .* got 4"),
        ({"interpolation": "linear"}, "Invalid interpolation method linear specified"),
        ({"on_error": "ignore"}, 'on_error must be "raise" or "skip", got \'ignore\''),
        ({"classes": "cat"}, "classes must be a list of names of folders, got 'cat'"),
        ({"classes": ["cat", "cat"]}, "classes has an entry twice"),
        ({"class_mode": "binary"}, 'class_mode "binary" is for two classes, found 3'),
        ({"subset": "test"}, "Invalid subset name: 'test'"),
        ({"data_format": "channels_first"}, "data_format must be that of the generator"),
    ]:
        with pytest.raises(ValueError, match=words):
            folders(folder, **options)


def test_folders_without_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no folder '.*nowhere'"):
        folders(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=r"Expected a folder with pictures, got the file '.*file'"):
        folders(tmp_path / "file")
    iterator = folders(tmp_path)
    assert capsys.readouterr().out == "Found 0 images belonging to 0 classes.\n"
    assert len(iterator) == 0
    for take in (lambda: iterator[0], lambda: next(iterator)):
        with pytest.raises(ValueError, match=r"No pictures were found in .* a folder for each class"):
            take()


def test_a_class_may_lack_a_folder(folder: Path) -> None:
    with pytest.warns(
        UserWarning, match=r"no folders for the classes \['cow'\].*it has \['cat', 'dog', 'owl'\]"
    ):
        iterator = folders(folder, classes=["cat", "cow", "owl"])
    assert iterator.class_indices == {"cat": 0, "cow": 1, "owl": 2}
    assert iterator.classes.tolist() == [0] * 9 + [2] * 7
    assert folders(folder, classes=["cat"], class_mode="binary")[0][1].tolist() == [0] * 5


# Unreadable pictures


@pytest.fixture
def damaged(folder: Path) -> Path:
    (folder / "cat" / "003.png").write_bytes(b"")
    data = (folder / "dog" / "002.png").read_bytes()
    (folder / "dog" / "002.png").write_bytes(data[: len(data) - 30])
    return folder


def test_an_unreadable_picture_is_named(damaged: Path) -> None:
    with pytest.raises(OSError, match=r"cat.003\.png'?: the file is empty"):
        folders(damaged, shuffle=False)[0]
    with pytest.raises(OSError, match=r"dog.002\.png"):
        folders(damaged, shuffle=False)[2]
    # The first in the order of the batch, whichever thread comes upon one first.
    for _ in range(5):
        with pytest.raises(OSError, match=r"cat.003\.png"):
            folders(damaged, shuffle=False, batch_size=23)[0]


def test_unreadable_pictures_are_left_out_if_asked(damaged: Path) -> None:
    iterator = folders(damaged, shuffle=False, on_error="skip", class_mode="sparse")
    with pytest.warns(UserWarning, match="Left out of the data: ") as seen:
        batches = [next(iterator) for _ in range(5)]
    assert [str(w.message).count(name) for w, name in zip(seen, ("cat/003.png", "dog/002.png"), strict=True)]
    assert [numbers(x) for x, _ in batches[:3]] == [[0, 1, 2, 4], [5, 6, 7, 8, 9], [10, 12, 13, 14]]
    assert [y.tolist() for _, y in batches[:3]] == [[0] * 4, [0] * 4 + [1], [1] * 4]
    # Once is enough: a second warning would be an error.
    [next(iterator) for _ in range(5)]
    assert iterator.skipped == {os.path.join("cat", "003.png"), os.path.join("dog", "002.png")}
    with pytest.warns(UserWarning):
        assert same(folders(damaged, shuffle=False, on_error="skip", class_mode="sparse")[2], batches[2])


def test_a_batch_never_gets_empty(damaged: Path) -> None:
    for number in (4, 5):
        (damaged / "cat" / f"{number:03d}.png").write_bytes(b"GIF89a nothing")
    iterator = folders(damaged, shuffle=False, on_error="skip", class_mode="sparse", batch_size=2)
    with pytest.warns(UserWarning, match="Left out"):
        x, y = iterator[2]  # 4 and 5
    assert numbers(x) == [6]
    assert y.tolist() == [0]
    for path in damaged.glob("*/*"):
        path.write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="Left out"),
        pytest.raises(ValueError, match=r"None of the 23 pictures in .* can be read"),
    ):
        iterator[0]


def test_other_errors_are_not_hidden(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **options: Any) -> None:
        raise RuntimeError("a defect")

    iterator = folders(folder, on_error="skip")
    monkeypatch.setattr("symgraph.preprocessing.image.file_iterator.load_img", broken)
    with pytest.raises(RuntimeError, match="a defect"):
        iterator[0]
